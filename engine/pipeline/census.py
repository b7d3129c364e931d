"""How much a backup has before it, about: counted ahead of the scan where no snapshot tells.

A second walk over the sources, in short units between those of the job itself, so that a share and a remaining time can
be shown long before the scan has seen everything. A job that ends within seconds needs no forecast and is spared the
walk, which for small files is a tenth of all its work. One unit at a time.
"""

from __future__ import annotations

import stat
from collections.abc import Callable, Iterator, Sequence

from engine.pipeline.pool import Buffers, Progress
from engine.pipeline.walk import WalkItem, WalkWarning
from engine.repository.snapshot import Snapshot

ITEMS_PER_UNIT = 2_000
BEGINS_AFTER_S = 5.0


def known_before(parents: Sequence[Snapshot], sources: Sequence[bytes]) -> int | None:
    """Bytes of the newest whole snapshot of the same sources; None without one."""
    whole = next((one for one in parents if not one.partial and set(one.body.sources) == set(sources)), None)
    return whole.body.counts.bytes_source if whole is not None else None


class Census:
    """Counts bytes of files into `progress.bytes_expected`."""

    def __init__(
        self, walk: Callable[[], Iterator[WalkItem | WalkWarning]], progress: Progress, *, job_begun_s: float
    ) -> None:
        """`walk` is begun with the first unit; `job_begun_s`: of the clock's monotonic seconds."""
        self._walk = walk
        self._items: Iterator[WalkItem | WalkWarning] | None = None
        self._progress = progress
        self._begins_s = job_begun_s + BEGINS_AFTER_S
        self._size_bytes = 0
        self._is_turn = False  # every other unit of the job, and never two at once
        self._is_over = False

    def is_due(self, now_s: float) -> bool:
        """Whether the next unit shall be one of counting. Asked once for each unit that is handed out."""
        if self._is_over or now_s < self._begins_s or self._progress.bytes_total is not None:
            return False
        self._is_turn = not self._is_turn
        return not self._is_turn

    def unit(self, _: Buffers) -> None:
        """Count on. What cannot be walked ends the count: the scan says why."""
        self._is_over = True  # so that no other stream counts meanwhile
        items = self._items = self._items or self._walk()
        try:
            for _number, item in zip(range(ITEMS_PER_UNIT), items, strict=False):
                if isinstance(item, WalkItem) and stat.S_ISREG(item.stat.st_mode):
                    self._size_bytes += item.stat.st_size
            first = next(items, None)
        except OSError:
            return
        if first is None:
            self._progress.bytes_expected = self._size_bytes
            return
        if isinstance(first, WalkItem) and stat.S_ISREG(first.stat.st_mode):
            self._size_bytes += first.stat.st_size
        self._is_over = False

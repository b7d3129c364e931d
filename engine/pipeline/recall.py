"""One recall as a run: it waits, without a stream, until every pack that was asked for can be read."""

from __future__ import annotations

from collections.abc import Mapping

from engine.pipeline.passes import Readable
from engine.pipeline.pool import Buffers, Run, Unit


class RecallRun(Run[int]):
    """Waits for packs; its outcome is how many came."""

    def __init__(self, packs: Mapping[str, int], readable: Readable) -> None:
        """`packs`: names and sizes of what was asked for."""
        super().__init__()
        self._packs = packs
        self._left = set(packs)
        self._readable = readable
        self.progress.files_total = len(packs)
        self.progress.bytes_total = sum(packs.values())

    def next_unit(self, *, idle: bool) -> Unit | None:
        """See `Run.next_unit`: there is none, only something to see."""
        came = [name for name in self._left if self._readable.is_ready(name)]
        self._left.difference_update(came)
        self.progress.files_done += len(came)
        self.progress.bytes_read += sum(self._packs[name] for name in came)
        self.progress.current = f"{len(self._left)} packs are on their way" if self._left else ""
        return None

    @property
    def is_waiting(self) -> bool:
        """See `Run.is_waiting`."""
        return bool(self._left)

    def conclude(self, buffers: Buffers) -> int:
        """See `Run.conclude`."""
        return len(self._packs)

"""A drill: some files of a snapshot, chosen by chance, are restored, read back from the disk and compared.

In: a snapshot and a scratch folder. Out: how long a person would have waited, and every file that did not come back
as it was. Compared are the bytes on the disk with the hash in the manifest, and with the source itself where that
still stands with the same size and time. Units run on the streams as those of any retrieval do.
"""

from __future__ import annotations

import os
import random
import stat as st
from collections import deque
from collections.abc import Iterable, Sequence
from functools import partial

import msgspec

from engine.contract.tiers import Tier
from engine.pipeline.extents import DataMap
from engine.pipeline.filehash import hash_of_data
from engine.pipeline.passes import Readable
from engine.pipeline.plan import Selection
from engine.pipeline.pool import Buffers, Unit
from engine.pipeline.restore import RestoreOutcome, RestoreRun
from engine.pipeline.targets.target import RestoreTarget
from engine.repository.entry import FILE, Entry, path_text
from engine.repository.snapshot import Snapshot
from engine.repository.vault import WeddingVault

_ROTTEN = "has other bytes than when it was backed up, behind the same size and time"

BYTES_MAX = 4_000_000_000  # of one sample, unless its first file alone is larger


class DrillOutcome(RestoreOutcome, frozen=True):
    """What came back. `first_file_s` and `restored_s` are since the drill began."""

    first_file_s: float
    restored_s: float
    compared_with_source: int
    tier: Tier  # the slowest that any of it was read from
    problems: tuple[str, ...]  # files that differ from what was backed up
    source_changes: tuple[str, ...]  # files whose source has other bytes behind the same size and time


def sample(entries: Iterable[Entry], count: int, chance: random.Random) -> list[Entry]:
    """Up to `count` of the files, each as likely as any other (Vitter 1985, algorithm R), cut at `BYTES_MAX`."""
    chosen: list[Entry] = []
    groups: set[int] = set()
    seen = 0
    for entry in entries:
        if entry.kind != FILE or (entry.link_group and entry.link_group in groups):
            continue  # of several names of one file the first stands for all
        if entry.link_group:
            groups.add(entry.link_group)
        seen += 1
        if len(chosen) < count:
            chosen.append(entry)
        elif (at := chance.randrange(seen)) < count:
            chosen[at] = entry
    chance.shuffle(chosen)
    total_bytes = 0
    for at, entry in enumerate(chosen):
        total_bytes += entry.size
        if at and total_bytes > BYTES_MAX:
            return chosen[:at]
    return chosen


def album(entries: Sequence[Entry], size_bytes: int, chance: random.Random) -> list[Entry]:
    """Files that lie one after the other from anywhere on, as many as come to `size_bytes`; all if they are fewer."""
    total_bytes = sum(entry.size for entry in entries)
    first, at_bytes = 0, chance.randrange(max(1, total_bytes - size_bytes + 1))
    while first < len(entries) and at_bytes >= entries[first].size:
        at_bytes -= entries[first].size
        first += 1
    chosen: list[Entry] = []
    for entry in entries[first:]:
        if size_bytes <= 0:
            break
        chosen.append(entry)
        size_bytes -= entry.size
    return chosen


def files_of(entries: Iterable[Entry]) -> list[Entry]:
    """The files; of several names of one file the first."""
    groups: set[int] = set()
    found = []
    for entry in entries:
        if entry.kind == FILE and not (entry.link_group and entry.link_group in groups):
            groups.add(entry.link_group)
            found.append(entry)
    return found


class Sample(msgspec.Struct, frozen=True):
    """What a drill restores. Where some of it has to be recalled, the clock runs from the request on."""

    entries: list[Entry]
    tier: Tier = "hot"  # the slowest that any of it lies in
    readable: Readable | None = None
    requested_s: float = -1.0  # of the clock's monotonic seconds

    @property
    def selection(self) -> Selection:
        """The files."""
        return Selection(tuple(entry.path for entry in self.entries))


class DrillRun(RestoreRun):
    """One drill: a retrieval of a sample into `root`, and then the comparison."""

    def __init__(
        self, vault: WeddingVault, snapshot: Snapshot, drilled: Sample, target: RestoreTarget, *, root: bytes
    ) -> None:
        """`target` restores into the folder `root`, which is empty."""
        super().__init__(vault, snapshot, drilled.selection, target, drilled.readable)
        entries = drilled.entries
        self._root = root
        self._tier = drilled.tier
        self._uncompared = deque(entries)
        self._began_s = drilled.requested_s
        self._first_s = self._restored_s = -1.0
        self._compared = 0
        self._differ: list[str] = []
        self._sources_differ: list[str] = []
        self.progress.files_total = len(entries)
        self.progress.bytes_total = sum(entry.size for entry in entries)

    def next_unit(self, *, idle: bool) -> Unit | None:
        """See `Run.next_unit`: restoring first, then comparing, a file a unit."""
        unit = super().next_unit(idle=idle)
        if unit is not None:
            return partial(self._timed, unit)
        if not self.is_planned or not (idle or self._restored_s >= 0) or not self._uncompared:
            return None
        entry = self._uncompared.popleft()
        self.cost = entry.size
        return partial(self._compare, entry)

    def _timed(self, unit: Unit, buffers: Buffers) -> None:
        if self._began_s < 0:
            self._began_s = buffers.now_s()
        unit(buffers)
        if self._first_s < 0 and self.progress.files_done:
            self._first_s = buffers.now_s() - self._began_s

    def _compare(self, entry: Entry, buffers: Buffers) -> None:
        if self._restored_s < 0:
            self._restored_s = buffers.now_s() - self._began_s
        restored = os.path.join(self._root, entry.path)
        what = _difference(restored, entry, buffers)
        source = b"/" + entry.path
        same_source = not what and _is_unchanged(source, entry)
        source_differs = same_source and _hash_of(source, entry, buffers) != entry.hash and _is_unchanged(source, entry)
        with self._lock:
            self._compared += same_source
            if what:
                self._differ.append(f"{path_text(entry.path)}: {what}")
            if source_differs:
                self._sources_differ.append(f"{path_text(entry.path)} {_ROTTEN}")

    def conclude(self, buffers: Buffers) -> DrillOutcome:
        """See `Run.conclude`. Raises IntegrityError when a file could not be restored at all."""
        restored = super().conclude(buffers)
        return DrillOutcome(
            restored.files,
            restored.bytes_restored,
            first_file_s=max(0.0, self._first_s),
            restored_s=max(0.0, self._restored_s),
            compared_with_source=self._compared,
            tier=self._tier,
            problems=tuple(sorted(self._differ)),
            source_changes=tuple(sorted(self._sources_differ)),
        )


def _difference(path: bytes, entry: Entry, buffers: Buffers) -> str:
    """What is not as it was backed up, as the end of a sentence."""
    try:
        found = os.lstat(path)
        if not st.S_ISREG(found.st_mode) or found.st_size != entry.size:
            return f"came back with {found.st_size} bytes instead of {entry.size}"
        if found.st_mtime_ns != entry.mtime_ns:
            return "came back with another time"
        return "" if _hash_of(path, entry, buffers) == entry.hash else "came back with other bytes"
    except OSError as error:
        return f"did not come back ({os.strerror(error.errno or 0)})"


def _is_unchanged(path: bytes, entry: Entry) -> bool:
    """Whether a source still stands there that seems to be what was backed up."""
    try:
        found = os.lstat(path)
    except OSError:
        return False
    return st.S_ISREG(found.st_mode) and (found.st_size, found.st_mtime_ns) == (entry.size, entry.mtime_ns)


def _hash_of(path: bytes, entry: Entry, buffers: Buffers) -> bytes:
    """The hash of a file's data as the manifest has it. Empty when it ends too early."""
    fd = os.open(path, os.O_RDONLY | os.O_NOFOLLOW | os.O_CLOEXEC)
    try:
        return hash_of_data(fd, DataMap(entry.size, entry.extents), buffers.source)
    finally:
        os.close(fd)

"""One retrieval as a run: entries in walk order to the target, file contents by pack, in batches.

With a target of random access, the reads of a batch are units of their own and any stream writes any file; an
archive gets one batch at a time, in order. Every chunk is checked against its id before it is written; a file
whose contents cannot be had is not left behind half-done, and the others are restored all the same.
"""

from __future__ import annotations

import threading
from collections import deque
from collections.abc import Iterator, Sequence
from functools import partial

import msgspec

from engine.base.errors import IntegrityError, WedSyncError
from engine.base.units import format_count
from engine.contract.settings import UNIT_BYTES, WARNINGS_TOLD
from engine.pipeline.fetch import fetch_from_any
from engine.pipeline.passes import Passes, Readable
from engine.pipeline.plan import Piece, Range, Selection, by_pack, place_chunks, selected
from engine.pipeline.pool import Buffers, Run, Unit
from engine.pipeline.stretch import Stretch, joined
from engine.pipeline.targets.smallfiles import SmallFiles
from engine.pipeline.targets.target import FileWriter, RestoreTarget
from engine.repository.entry import FILE, Entry, path_text
from engine.repository.index import Location
from engine.repository.manifest import SegmentRef, entries_lost, telling
from engine.repository.snapshot import WARNINGS_KEPT, Snapshot
from engine.repository.vault import WeddingVault

_BATCH_BYTES = 4 * UNIT_BYTES
_BATCH_FILES = 1024  # a blob of small files is opened once a batch; they hold no descriptor before they are written
_BATCH_ENTRIES = 4096
_CHUNKS_A_TIME = 64
_MISFIT = "its chunks do not come to its size"


class RestoreOutcome(msgspec.Struct, frozen=True):
    """What was restored."""

    files: int
    bytes_restored: int


class _End:
    """There are no more entries."""


_END = _End()


class _Open(msgspec.Struct):
    """A file being written. Its counts change under the run's lock."""

    entry: Entry
    writer: FileWriter
    ids: bytes
    chunks_planned: int = 0
    data_planned: int = 0
    pieces_left: int = 0  # planned and not written
    is_planned: bool = False  # all of its chunks are in some batch
    spoilt: str = ""

    @property
    def is_one_chunk(self) -> bool:
        """Whether it is a chunk as it stands."""
        return len(self.ids) == 32 and not self.entry.extents and not self.spoilt


class RestoreRun(Run[RestoreOutcome]):
    """One retrieval."""

    is_due_by_first_unit = True  # how long all of it takes is a matter of its size

    def __init__(
        self,
        vault: WeddingVault,
        snapshot: Snapshot,
        selection: Selection,
        target: RestoreTarget,
        readable: Readable | None = None,
    ) -> None:
        """`readable`: which packs can be read yet, where some are being recalled; the others are waited for."""
        super().__init__()
        self._vault = vault
        self._target = target
        self.read_ahead_bytes = _BATCH_BYTES  # planned at a time, and read in the order of the packs
        self._lock = threading.Lock()

        def walk(is_first: bool) -> Iterator[Entry]:
            return selected(vault, snapshot, selection, damaged=self._pass_over if is_first else telling([]))

        self._passes = Passes(vault, walk, readable) if readable is not None else None
        self._entries: Iterator[Entry | None] | None = walk(True)
        if self._passes is not None:
            self._entries = self._passes.first() if target.random_access else self._passes.in_order()
        self._is_held = False  # the next entry of an archive waits to be recalled
        self._open: dict[int, _Open] = {}
        self._owner = 0  # the newest file's number
        self._current: _Open | None = None  # a file too large for one batch
        self._ranges: deque[Range] = deque()
        self._damaged: list[str] = []
        self._files = 0
        self._bytes = 0
        if not selection.paths:
            self.progress.files_total = snapshot.body.counts.files
            self.progress.bytes_total = snapshot.body.counts.bytes_source

    def next_unit(self, *, idle: bool) -> Unit | None:
        """See `Run.next_unit`."""
        more = self._entries is not None or self._current is not None
        if not self._target.random_access:
            return self._next_in_order() if idle and more else None
        if not more and self._passes is not None and self._passes.may_go_on:
            self._entries, more = self._passes.another(), True
        if not self._ranges and more:
            self._ranges.extend(by_pack(self._plan_batch(self.read_ahead_bytes, _BATCH_FILES)))
            if not self._ranges:
                return _nothing
        if not self._ranges:
            self._tell_waiting()
            return None
        wanted = self._ranges.popleft()
        self.cost = wanted.length
        return partial(self._fetch_unit, wanted)

    @property
    def is_planned(self) -> bool:
        """Whether all units were handed out."""
        return self._entries is None and self._current is None and not self._ranges and not self.is_waiting

    @property
    def is_waiting(self) -> bool:
        """See `Run.is_waiting`: for packs that are being recalled."""
        return self._passes is not None and self._passes.awaited > 0

    def _tell_waiting(self) -> None:
        if self._passes is not None and self._passes.awaited:
            self.progress.current = f"waits for {format_count(self._passes.awaited, 'pack')} to be recalled"

    def _pass_over(self, segment: SegmentRef, what: str) -> None:
        """A part of the manifest that cannot be read: its entries are lost, all others are restored."""
        with self._lock:
            self._damaged.append(entries_lost(segment, what))

    # --- planning: one stream at a time -----------------------------------------------------------------

    def _plan_batch(self, bytes_max: int, files_max: int) -> list[tuple[Location, Piece]]:
        """Begin entries until a batch is full; what their contents need."""
        needed: list[tuple[Location, Piece]] = []
        whole: list[tuple[int, _Open]] = []
        gathered_bytes = files = 0
        for _ in range(_BATCH_ENTRIES):
            if self._current is None:
                self._begin_next()
                if self._is_held:
                    break
                files += self._current is not None
            if self._current is not None and self._current.is_one_chunk:
                whole.append((self._owner, self._current))
                gathered_bytes += self._current.entry.size
                self._current = None
            elif self._current is not None:
                more = self._plan_chunks(self._current, bytes_max - gathered_bytes)
                needed += more
                gathered_bytes += sum(location.length for location, _ in more)
            if self._entries is None and self._current is None:
                break
            if gathered_bytes >= bytes_max or files >= files_max:
                break
        return needed + self._plan_whole(whole) if whole else needed

    def _plan_whole(self, files: list[tuple[int, _Open]]) -> list[tuple[Location, Piece]]:
        """Files of one chunk each: all of them asked for at once."""
        needed: list[tuple[Location, Piece]] = []
        ended: list[int] = []
        locations = self._vault.places([opened.ids for _, opened in files])
        for (owner, opened), location in zip(files, locations, strict=True):
            opened.is_planned = True
            if location is not None and location.length == opened.entry.size:
                opened.pieces_left = 1
                needed.append((location, Piece(opened.ids, owner, ((0, location.length),))))
                continue
            opened.spoilt = _MISFIT if location is not None else _missing(opened.ids)
            ended.append(owner)
        for owner in ended:
            self._end_if_complete(owner)
        return needed

    def _begin_next(self) -> None:
        """Take the next entry; `_current` is its file when that wants bytes, `_entries` None when there is no more."""
        assert self._entries is not None
        entry = next(self._entries, _END)
        self._is_held = entry is None
        if isinstance(entry, _End):
            self._entries = None
        if entry is None or isinstance(entry, _End):
            return
        self.progress.current = entry.path.decode("utf-8", "backslashreplace")
        writer = self._target.begin(entry)
        if writer is None:
            if entry.kind == FILE:
                self.progress.bytes_reused += entry.size  # kept, or another name of what is written once
                self._count(entry.size)
            return
        opened = _Open(entry, writer, b"")
        try:
            opened.ids = self._vault.chunk_ids(entry)
        except WedSyncError as error:
            opened.spoilt = error.message
        self._owner += 1
        with self._lock:
            self._open[self._owner] = opened
        self._current = opened

    def _plan_chunks(self, opened: _Open, bytes_max: int) -> list[tuple[Location, Piece]]:
        """Some chunks more of the file at hand, up to the first that fills `bytes_max`; forgets it after its last."""
        begin = opened.chunks_planned * 32
        part = opened.ids[begin : begin + _CHUNKS_A_TIME * 32]
        split = [part[at : at + 32] for at in range(0, len(part), 32)]
        locations = _until_full(self._vault.places(split), bytes_max)
        split = split[: len(locations)]
        needed = list(place_chunks(opened.entry, split, locations, data_offset=opened.data_planned, owner=self._owner))
        with self._lock:
            opened.chunks_planned += len(split)
            opened.data_planned += sum(location.length for location, _ in needed)
            opened.pieces_left += len(needed)
            if len(needed) < len(split):
                opened.spoilt = _missing(split[len(needed)])
            is_last = opened.chunks_planned * 32 >= len(opened.ids)
            if is_last and not opened.spoilt and opened.data_planned != opened.entry.data_bytes:
                opened.spoilt = _MISFIT
            opened.is_planned = is_last or bool(opened.spoilt)
        if opened.is_planned:
            self._current = None
            self._end_if_complete(self._owner)
        return needed

    # --- carrying out -----------------------------------------------------------------------------------

    def _fetch_unit(self, wanted: Range, buffers: Buffers) -> None:
        stretch = Stretch(buffers, self._write)
        files = sum(len(blob.uses) for blob in wanted.blobs)
        small = SmallFiles(buffers.companion) if buffers.companion.is_ready_for(files) else None
        for piece, data, what in fetch_from_any(self._vault, wanted, buffers, stretch.room):
            if small is not None and data is not None and self._is_taken(small, piece, data):
                continue
            if not stretch.takes(piece, data):
                stretch.flush()
                stretch.write((piece,), data, what)
        stretch.flush()
        if small is not None:
            begin_s = buffers.now_s()
            small.flush()
            self._end_all(small.ended)
            buffers.spent("place", buffers.now_s() - begin_s, 0)
        self._note_first_byte(buffers)

    def _is_taken(self, small: SmallFiles, piece: Piece, data: memoryview) -> bool:
        opened = self._open[piece.owner]
        return opened.is_one_chunk and small.takes(piece.owner, opened.writer, data)

    def _end_all(self, ended: Sequence[tuple[int, bool]]) -> None:
        """Files that were written aside, whole."""
        with self._lock:
            for owner, stands in ended:
                size_bytes = self._open.pop(owner).entry.size
                self._files += stands
                self._bytes += size_bytes
                self.progress.bytes_read += size_bytes
            self.progress.files_done += len(ended)
            self._tell_warnings()

    def _note_first_byte(self, buffers: Buffers) -> None:
        if self.progress.first_sealed_monotonic is None and self._bytes:
            self.progress.first_sealed_monotonic = buffers.now_s()

    def _write(self, pieces: Sequence[Piece], data: memoryview | None, what: str) -> None:
        """Write pieces of one file that lie end to end in `data`; None: they cannot be had."""
        owner = pieces[0].owner
        opened = self._open[owner]
        if data is None:
            opened.spoilt = opened.spoilt or what
        elif len(pieces) == 1 and len(pieces[0].pieces) == 1 and not opened.spoilt:
            opened.writer.write_at(pieces[0].pieces[0][0], data)
        elif not opened.spoilt:
            at = 0
            for offset, length in joined(pieces):
                opened.writer.write_at(offset, data[at : at + length])
                at += length
        with self._lock:
            opened.pieces_left -= len(pieces)
            if data is not None:
                self._bytes += len(data)
                self.progress.bytes_read += len(data)
        self._end_if_complete(owner)

    def _next_in_order(self) -> Unit | None:
        """For an archive: one file at a time, its chunks in order, one buffer's worth a unit."""
        needed = self._plan_batch(UNIT_BYTES // 2, 1)
        if self._is_held and not needed:
            self._tell_waiting()
            return None
        self.cost = sum(location.length for location, _ in needed)
        return partial(self._in_order, needed) if needed else _nothing

    def _in_order(self, needed: Sequence[tuple[Location, Piece]], buffers: Buffers) -> None:
        held: dict[bytes, bytes] = {}
        spoilt: dict[bytes, str] = {}
        for wanted in by_pack(needed):
            for piece, data, what in fetch_from_any(self._vault, wanted, buffers):
                if data is None:
                    spoilt[piece.chunk_id] = what
                else:
                    held[piece.chunk_id] = bytes(data)
        for _, piece in needed:
            content = held.get(piece.chunk_id)
            data = None if content is None else memoryview(content)
            self._write((piece,), data, spoilt.get(piece.chunk_id, ""))
        self._note_first_byte(buffers)

    def _end_if_complete(self, owner: int) -> None:
        with self._lock:
            opened = self._open.get(owner)
            if opened is None or opened.pieces_left or not opened.is_planned:
                return
            del self._open[owner]
        if opened.spoilt:
            opened.writer.abort(opened.spoilt)
            with self._lock:
                self._damaged.append(f"{path_text(opened.entry.path)}: {opened.spoilt}")
        else:
            stands = opened.writer.commit()
            self._count(opened.entry.size - opened.entry.data_bytes, stands=stands)

    def _count(self, unwritten_bytes: int, *, stands: bool = True) -> None:
        """A file is dealt with; so many bytes of it were no data to write: holes, or all of it."""
        with self._lock:
            self._files += stands
            self.progress.files_done += 1
            self._tell_warnings()
            self.progress.bytes_read += unwritten_bytes

    def _tell_warnings(self) -> None:
        """Show what the target has warned of so far: how often, and the first ones in words."""
        self.progress.warnings = len(self._target.warnings)
        told = len(self.progress.first_warnings)
        if told < min(self.progress.warnings, WARNINGS_TOLD):
            more = self._target.warnings[told:WARNINGS_TOLD]
            self.progress.first_warnings += tuple(f"{path_text(each.path)}: {each.what}" for each in more)

    def warning_lines(self) -> tuple[str, ...]:
        """See `Run.warning_lines`."""
        return tuple(f"{path_text(each.path)}: {each.what}" for each in self._target.warnings[:WARNINGS_KEPT])

    def conclude(self, buffers: Buffers) -> RestoreOutcome:
        """See `Run.conclude`. Raises IntegrityError, after all else is restored, when a file was damaged."""
        self._target.finish()
        self._tell_warnings()
        if self._damaged:
            more = f", and {len(self._damaged) - 1} more" if len(self._damaged) > 1 else ""
            raise IntegrityError(f"not restored: {self._damaged[0]}{more}", "run verify; all else is restored")
        return RestoreOutcome(self._files, self._bytes)

    def abort(self) -> None:
        """See `Run.abort`: the target forgets what is unfinished (an archive is not padded with what will not come)."""
        self._target.close()
        self._open.clear()


def _until_full(locations: list[Location | None], bytes_max: int) -> list[Location | None]:
    """The first of them, as many as it takes to fill `bytes_max`; at least one."""
    total_bytes = 0
    for count, location in enumerate(locations, 1):
        total_bytes += 0 if location is None else location.length
        if total_bytes >= bytes_max:
            return locations[:count]
    return locations


def _missing(chunk_id: bytes) -> str:
    return f"chunk {chunk_id.hex()} is missing from the index"


def _nothing(_: Buffers) -> None:
    """A turn given to others in the middle of a long plan."""

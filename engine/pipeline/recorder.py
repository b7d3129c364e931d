"""Entries on their way into the manifest: reserved in walk order, completed in any order, written in walk order.

The scanning stream reserves, any stream completes; one lock. Memory holds what was reserved and not completed,
one segment, and at most 256 entries of a manifest that may still fit into its snapshot.
"""

from __future__ import annotations

import threading
from collections import deque
from collections.abc import Callable, Iterable, Sequence
from itertools import chain

import msgspec

from engine.base.invariants import check
from engine.pipeline.reuse import SegmentReuse
from engine.repository.entry import INLINE_CHUNKS_MAX, Entry
from engine.repository.manifest import Segment, SegmentRef, SegmentWriter, encode_segment
from engine.repository.snapshot import INLINE_BYTES_MAX, INLINE_ENTRIES_MAX
from engine.repository.transaction import Transaction

_LIST_BYTES = 4 * 1024 * 1024  # of ids in one chunk-list blob


class Slot:
    """A place in the manifest. `entry` is there once `done`; None then means that there is nothing to record.

    A slot with a `segment` stands for all the entries of one that another manifest has too, one with a `row` for
    entries of the parent that are as they were.
    """

    __slots__ = ("done", "entry", "row", "segment", "unfinished")

    def __init__(self) -> None:
        self.entry: Entry | None = None
        self.row: Sequence[Entry] = ()
        self.segment: SegmentRef | None = None
        self.done = False
        self.unfinished: Callable[[], Entry | None] | None = None  # for a checkpoint: what is done of the file


class Recorder:
    """The manifest of one job."""

    def __init__(self, transaction: Transaction) -> None:
        self._transaction = transaction
        self._lock = threading.Lock()
        self._slots: deque[Slot] = deque()
        self._writer = SegmentWriter()
        self._held: list[Segment] | None = []  # until it is sure that the manifest is not a small one
        self._held_bytes = 0
        self._small: list[Entry] = []
        self._segments: list[SegmentRef] = []
        self._entries_reused = 0
        self._reuse = SegmentReuse(())

    def compare_with(self, parent: Sequence[SegmentRef]) -> None:
        """The segments that rows come from. Before the first place is reserved."""
        self._reuse = SegmentReuse(parent)

    @property
    def entries_total(self) -> int:
        """Entries written so far, and those of segments that were reused."""
        return self._writer.entries_total + self._entries_reused

    def reserve(self, entry: Entry | None = None) -> Slot:
        """The next place in walk order; with `entry` it is complete at once. The scanning stream only."""
        slot = Slot()
        slot.entry, slot.done = entry, entry is not None
        with self._lock:
            self._slots.append(slot)
            if slot.done:
                self._drain()
        return slot

    def reuse(self, segment: SegmentRef) -> None:
        """The next places, as a segment of the parent has them: it is named, not written. The scanning stream only."""
        slot = Slot()
        slot.segment, slot.done = segment, True
        with self._lock:
            self._slots.append(slot)
            self._drain()

    def reserve_row(self, entries: Sequence[Entry], *, are_parents: bool = True) -> None:
        """The next places, complete at once. Of the parent's own entries whole segments are named, not written.

        The scanning stream only.
        """
        if not are_parents:
            for entry in entries:
                self.reserve(entry)
            return
        slot = Slot()
        slot.row, slot.done = entries, True
        with self._lock:
            self._slots.append(slot)
            self._drain()

    def complete(self, slot: Slot, entry: Entry | None) -> None:
        """Fill a place; None leaves it out."""
        self.complete_all(((slot, entry),))

    def complete_all(self, filled: Iterable[tuple[Slot, Entry | None]]) -> None:
        """Fill places; None leaves one out."""
        with self._lock:
            for slot, entry in filled:
                slot.entry, slot.done, slot.unfinished = entry, True, None
            self._drain()

    def _drain(self) -> None:
        while self._slots and self._slots[0].done:
            slot = self._slots.popleft()
            if slot.row:
                self._take_over(slot.row)
            elif slot.segment is not None:
                self._end_reuse()
                self._append(slot.segment)
            elif slot.entry is not None:
                self._end_reuse()
                self._write(slot.entry)

    def _write(self, entry: Entry) -> None:
        segment = self._writer.add(entry)
        if segment is not None:
            self._keep(segment)
        if self._held is not None:
            self._small.append(entry)
            held_bytes = self._held_bytes + self._writer.pending_bytes
            if len(self._small) > INLINE_ENTRIES_MAX or held_bytes > INLINE_BYTES_MAX:
                self._release()

    def _take_over(self, row: Sequence[Entry]) -> None:
        at = 0
        while at < len(row):
            wanted = self._reuse.wanted
            if wanted:
                self._reuse.entries += row[at : at + wanted]
                at += wanted
                if at <= len(row):
                    self._end_reuse()
            elif self._writer.pending_entries or not self._reuse.begin(row[at]):
                self._write(row[at])
                at += 1

    def _end_reuse(self) -> None:
        """Name the parent's segment at hand, or write what there is of it."""
        segment, entries = self._reuse.end()
        is_named = segment is not None and (self._held is None or segment.entries > INLINE_ENTRIES_MAX)
        if segment is not None and is_named and self._transaction.has_metadata(segment.id):
            self._writer.pass_over(entries[0], entries[-1])
            self._append(segment)
            return
        for entry in entries:
            self._write(entry)

    def _keep(self, segment: Segment) -> None:
        if self._held is not None:
            self._held.append(segment)
            self._held_bytes += len(segment.data)
        else:
            self._segments.append(self._reference(segment))

    def _append(self, reused: SegmentRef) -> None:
        """Name a whole segment. What was gathered before it ends here, be it short; the next full scan joins it."""
        if self._held is not None:
            self._release()
        last = self._writer.flush()
        if last is not None:
            self._segments.append(self._reference(last))
        self._segments.append(reused)
        self._entries_reused += reused.entries

    def _release(self) -> None:
        held, self._held, self._small = self._held or [], None, []
        self._segments.extend(self._reference(segment) for segment in held)

    def _reference(self, segment: Segment) -> SegmentRef:
        chunk_id = self._transaction.add_metadata(segment.data)
        return SegmentRef(chunk_id, segment.first_path, segment.entries, len(segment.data))

    def so_far(self) -> tuple[tuple[SegmentRef, ...], bytes]:
        """For a checkpoint: what is complete by now, and what is done of unfinished files. No unit is in flight."""
        with self._lock:
            entries = [*self._reuse.entries, *chain.from_iterable(map(self._tail_entries, self._slots))]
            if self._held is not None:
                small = [*self._small, *entries]
                segment = encode_segment(small) if small else None
                if segment is None or (len(small) <= INLINE_ENTRIES_MAX and len(segment.data) <= INLINE_BYTES_MAX):
                    return (), segment.data if segment else b""
                return tuple(self._reference(part) for part in _in_segments(small)), b""
            pending = self._writer.peek()
            extra = ([pending] if pending else []) + _in_segments(entries)
            return (*self._segments, *(self._reference(part) for part in extra)), b""

    @staticmethod
    def _tail_entries(slot: Slot) -> Sequence[Entry]:
        entry = slot.entry
        if not slot.done:
            entry = slot.unfinished() if slot.unfinished is not None else None
        return slot.row or (() if entry is None else (entry,))

    def finish(self) -> tuple[tuple[SegmentRef, ...], bytes]:
        """The whole manifest: references to segments, or, for a small one, its bytes. Every place has been filled."""
        with self._lock:
            check(not self._slots, "a manifest is finished when each of its places is filled")
            self._end_reuse()
            if self._held is not None:
                whole = encode_segment(self._small) if self._held else self._writer.peek()
                return (), whole.data if whole is not None else b""
            last = self._writer.flush()
            if last is not None:
                self._segments.append(self._reference(last))
            return tuple(self._segments), b""


def _in_segments(entries: list[Entry]) -> list[Segment]:
    writer = SegmentWriter()
    segments = [writer.add(entry) for entry in entries]
    segments.append(writer.flush())
    return [segment for segment in segments if segment is not None]


def with_chunks(entry: Entry, ids: bytes, digest: bytes, transaction: Transaction) -> Entry:
    """`entry` with its contents: ids inline, or, when they are many, in blobs of their own."""
    if len(ids) <= INLINE_CHUNKS_MAX * 32:
        return msgspec.structs.replace(entry, chunks=ids, hash=digest)
    lists = b"".join(transaction.add_metadata(ids[at : at + _LIST_BYTES]) for at in range(0, len(ids), _LIST_BYTES))
    return msgspec.structs.replace(entry, chunk_lists=lists, hash=digest)

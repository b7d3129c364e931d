"""What streams are given: files whole, or segments of a large one, and what a run remembers of each meanwhile.

A unit is up to 16 MiB or 256 files. A file of up to one unit is read whole in one go; a larger one is cut into
64 MiB segments that several streams work on, a segment's units in order, each starting at the last cut.
"""

from __future__ import annotations

import os
import select
from collections.abc import Callable

import msgspec
from blake3 import blake3

from engine.base.errors import IntegrityError, NotFound, Unavailable
from engine.contract.settings import SEGMENT_BYTES, UNIT_BYTES
from engine.pipeline.chunk import CHUNK_BYTES_MAX
from engine.pipeline.folders import reason
from engine.pipeline.pool import Cancelled
from engine.pipeline.recorder import Slot, with_chunks
from engine.pipeline.source import SourceFile
from engine.pipeline.walk import WalkItem
from engine.repository.entry import FILE, Entry
from engine.repository.index import Location
from engine.repository.transaction import Transaction
from engine.repository.vault import WeddingVault

UNFINISHED = b"\0"  # first byte of the hash of a file that a checkpoint holds a part of

STOP_LOOKED_AT_MS = 200


class Contents(msgspec.Struct, frozen=True, gc=False):
    """What was read of a file, or of one of its segments."""

    ids: bytes
    digest: bytes
    length: int


class FileWork(msgspec.Struct):
    """One file on its way. Fields change under the run's lock, or before the file is shared."""

    item: WalkItem | None  # None: a stream that has no file
    path: bytes
    slot: Slot
    size_bytes: int  # when it was met
    previous: Entry | None = None
    reads: int = 1  # which reading this is
    dealt_bytes: int = 0  # of `size_bytes`, as far as progress has counted them
    followers: list[tuple[WalkItem, Slot]] = []  # other names of the same inode
    source: SourceFile | StreamSource | None = None
    entry: Entry | None = None
    segments: list[Contents | None] = []
    is_short: bool = False

    def dealt(self, more_bytes: int) -> int:
        """Progress within the file: so many of `more_bytes` as were not counted; only a stream has no bound."""
        if self.item is not None:
            more_bytes = min(more_bytes, self.size_bytes - self.dealt_bytes)
        self.dealt_bytes += more_bytes
        return more_bytes

    def dealt_whole(self) -> int:
        """Its end: holes, and what was cut off or cannot be read, are dealt with, too."""
        return self.dealt(max(0, self.size_bytes - self.dealt_bytes))

    def open_segments(self, source: SourceFile | StreamSource, entry: Entry, resumed: list[Contents]) -> None:
        """Begin to read segment by segment; those in `resumed` are done already."""
        count = max(1, -(-source.data_bytes // SEGMENT_BYTES)) if isinstance(source, SourceFile) else 1
        self.source, self.entry, self.is_short = source, entry, False
        self.segments = [*resumed, *([None] * (count - len(resumed)))]

    def unfinished_entry(self, transaction: Transaction) -> Entry | None:
        """What a checkpoint keeps of it: the first segments, as far as there is no gap."""
        done = []
        for contents in self.segments:
            if contents is None or self.is_short:
                break
            done.append(contents)
        if not done or self.entry is None or isinstance(self.source, StreamSource):
            return None
        ids = b"".join(contents.ids for contents in done)
        digests = b"".join(contents.digest for contents in done)
        return with_chunks(self.entry, ids, UNFINISHED + digests, transaction)


class SegmentTask(msgspec.Struct):
    """The rest of one segment. One stream at a time."""

    work: FileWork
    number: int
    start: int  # of what is not cut yet, in the data stream
    unit_bytes: int = UNIT_BYTES
    ids: bytearray = msgspec.field(default_factory=bytearray)
    hasher: blake3 = msgspec.field(default_factory=blake3)

    @property
    def first(self) -> int:
        """Where the segment begins in the data stream."""
        return self.number * SEGMENT_BYTES

    def wanted(self, data_bytes: int) -> int:
        """Bytes of the next unit."""
        return max(0, min(self.unit_bytes, self.first + SEGMENT_BYTES - self.start, data_bytes - self.start))


class StreamSource:
    """A pipe or any descriptor read once from front to end, with the interface of a `SourceFile`.

    What the chunker could not cut yet is asked for again, so the last 4 MiB are kept.
    """

    def __init__(self, fd: int, is_stopped: Callable[[], bool]) -> None:
        """`is_stopped` is asked while nothing comes: whoever feeds a pipe may take any time, or forget about it."""
        self._fd = fd
        self._is_stopped = is_stopped
        self._poll = select.poll()
        self._poll.register(fd, select.POLLIN)
        self._position = 0
        self._tail = b""
        self.data_bytes = 1 << 62

    def read_into(self, buffer: memoryview, data_offset: int) -> int:
        """Fill `buffer` from `data_offset`; fewer bytes only at the end of the stream.

        Raises Unavailable; Cancelled when it was stopped meanwhile.
        """
        kept = self._position - data_offset
        filled = min(kept, len(buffer))
        if filled:
            at = len(self._tail) - kept
            buffer[:filled] = self._tail[at : at + filled]
        while filled < len(buffer):
            is_ready = self._poll.poll(STOP_LOOKED_AT_MS)
            if self._is_stopped():
                raise Cancelled
            if not is_ready:
                continue
            try:
                count = os.readv(self._fd, [buffer[filled:]])
            except OSError as error:
                raise Unavailable(f"the input cannot be read: {reason(error)}", "begin it again") from None
            if not count:
                break
            filled += count
            self._position += count
        if data_offset + filled == self._position:
            self._tail = bytes(buffer[max(0, filled - CHUNK_BYTES_MAX) : filled])
        return filled

    def changed(self) -> bool:
        """A stream is what it is."""
        return False

    def close(self) -> None:
        """The descriptor is the caller's."""


def stream_entry(path: bytes, now_ns: int) -> Entry:
    """Metadata for a stream, which has none of its own."""
    return Entry(path=path, kind=FILE, mode=0o644, uid=os.getuid(), gid=os.getgid(), mtime_ns=now_ns)


def whole(segments: list[Contents]) -> Contents:
    """A file's contents from its segments': the hash of the only one, else of their hashes (format, section 6.5)."""
    filled = [contents for contents in segments if contents.length] or segments[:1]
    digest = filled[0].digest
    if len(filled) > 1:
        digest = blake3(b"".join(contents.digest for contents in filled)).digest()
    return Contents(b"".join(contents.ids for contents in filled), digest, sum(c.length for c in filled))


def resume(work: FileWork, entry: Entry, vault: WeddingVault) -> list[Contents]:
    """The segments that a checkpoint has of a file that is just opened, if it still is as it was, holes and all."""
    previous = work.previous
    if previous is None or work.reads > 1 or not is_resumable(previous, entry):
        return []
    try:
        ids = vault.chunk_ids(previous)
    except (IntegrityError, NotFound):
        return []  # the list of its chunks is damaged: read it from the start
    split = [ids[at : at + 32] for at in range(0, len(ids), 32)]
    sound = split[: [*vault.index.unsound(split), True].index(True)]
    return resumed_segments(previous, ids, vault.index.locate(sound))


def is_resumable(previous: Entry, entry: Entry) -> bool:
    """Whether a checkpoint holds a part of this file, and the one that is open now is still the same.

    That the walk found it as it was says nothing: it may have been written to before it was opened.
    """
    if previous.hash[:1] != UNFINISHED or len(previous.hash) % 32 != 1 or previous.ctime_ns == 0:
        return False
    was = (previous.size, previous.mtime_ns, previous.ctime_ns, previous.inode, previous.extents)
    return was == (entry.size, entry.mtime_ns, entry.ctime_ns, entry.inode, entry.extents)


def resumed_segments(previous: Entry, chunk_ids: bytes, locations: list[Location | None]) -> list[Contents]:
    """The segments that a checkpoint has of an unfinished file, as far as their chunks are there. Pure.

    `chunk_ids` are those of `previous`, `locations` where they lie, in order.
    """
    digests = [previous.hash[at : at + 32] for at in range(1, len(previous.hash), 32)]
    segments: list[Contents] = []
    begin = length = 0
    for at, location in enumerate(locations):
        if location is None:
            break
        length += location.length
        if length >= SEGMENT_BYTES:
            if length > SEGMENT_BYTES or len(segments) == len(digests):
                return []
            ids = chunk_ids[begin * 32 : (at + 1) * 32]
            segments.append(Contents(ids, digests[len(segments)], length))
            begin, length = at + 1, 0
    return segments

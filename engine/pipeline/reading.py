"""From bytes of the source to stored chunks: the part of a unit between the file and the packs.

In: files or a segment, read into the stream's buffer. Out: chunk ids and hashes, and the new chunks sealed. One
stream a call; the objects it holds may be shared by all streams of a run.
"""

from __future__ import annotations

import msgspec
from blake3 import blake3

from engine.base.clock import Clock
from engine.base.entropy import Entropy
from engine.contract.settings import SEGMENT_BYTES, SMALL_FILE_BYTES
from engine.pipeline import units
from engine.pipeline.chunk import Cutter
from engine.pipeline.compress import is_pressed_format
from engine.pipeline.objects import open_source
from engine.pipeline.pool import Buffers
from engine.pipeline.seal import NamedChunk, store_chunks
from engine.pipeline.source import SourceFile, entry_of
from engine.pipeline.units import Contents, FileWork, SegmentTask, StreamSource
from engine.repository.entry import Entry
from engine.repository.transaction import Transaction
from engine.repository.vault import WeddingVault

_NO_CONTENTS = Contents(b"", b"", 0)
_HASH_OF_NOTHING = blake3().digest()


class Reading(msgspec.Struct):
    """A whole file in the stream's buffer; `contents` are known once it is stored."""

    work: FileWork
    entry: Entry
    start: int
    length: int
    problems: list[str] = []
    contents: Contents = _NO_CONTENTS


class Reader:
    """Reads and stores for one run. Any stream of it."""

    def __init__(
        self, vault: WeddingVault, transaction: Transaction, clock: Clock, entropy: Entropy, *, compare: bool
    ) -> None:
        self._keys = vault.keys
        self._transaction = transaction
        self._clock = clock
        self._entropy = entropy
        self._compare = compare

    def read_whole(self, work: FileWork, buffer: memoryview, start: int) -> Reading | None:
        """Read one file behind `start` of the buffer; None when it no longer fits there. Raises SourceProblem."""
        assert work.item is not None
        while True:
            with open_source(work.item) as source:
                size_bytes = source.data_bytes
                if start + size_bytes > len(buffer):
                    return None
                entry, problems = entry_of(work.item, source, now_ns=self._clock.now_ns())
                length = source.read_into(buffer[start : start + size_bytes], 0) if size_bytes else 0
                changed = length < size_bytes or source.changed()
            if not changed or work.reads >= units.READS_MAX:
                break
            work.reads += 1
        reading = Reading(work, entry, start, length, list(problems))
        if changed:
            reading.problems.append("changed while it was read; kept as it was read")
        if length < size_bytes:
            reading.entry = units.cut_to(entry, length)
        return reading

    def store(self, readings: list[Reading], buffers: Buffers) -> int:
        """Chunk, name and store what was read; fills in each reading's contents. Returns the bytes written."""
        begin_s = buffers.now_s()
        cutter, chunk_key = Cutter(self._keys.chunker_seed), self._keys.chunk_key
        chunks: list[NamedChunk] = []
        total = 0
        for reading in readings:
            length = reading.length
            total += length
            data = buffers.source[reading.start : reading.start + length]
            if length >= SMALL_FILE_BYTES:
                hasher = blake3()
                lengths, ids = cutter.cut_and_name(data, chunk_key, hasher, is_end=True)
                reading.contents = Contents(b"".join(ids), hasher.digest(), length)
                chunks += _placed(ids, lengths, reading.start, is_pressed_format(reading.work.path))
            elif length:
                chunk_id = blake3(data, key=chunk_key).digest()
                reading.contents = Contents(chunk_id, blake3(data).digest(), length)
                chunks.append(NamedChunk(chunk_id, reading.start, length, is_pressed_format(reading.work.path)))
            else:
                reading.contents = Contents(b"", _HASH_OF_NOTHING, 0)
        buffers.spent("chunk", buffers.now_s() - begin_s, total)
        return self._store_new(chunks, buffers, total)

    def read_segment(
        self, task: SegmentTask, source: SourceFile | StreamSource, buffers: Buffers
    ) -> tuple[int, Contents | None, int]:
        """One unit of a segment: bytes dealt with, the segment's contents if it has ended, bytes written.

        Raises SourceProblem.
        """
        wanted = task.wanted(source.data_bytes)
        begin_s = buffers.now_s()
        count = source.read_into(buffers.source[:wanted], task.start) if wanted else 0
        read_s = buffers.now_s()
        buffers.spent("read", read_s - begin_s, count)
        segment_end = min(task.first + SEGMENT_BYTES, source.data_bytes)
        is_end = count < wanted or task.start + count >= segment_end
        data = buffers.source[:count]
        cutter = Cutter(self._keys.chunker_seed)
        lengths, ids = cutter.cut_and_name(data, self._keys.chunk_key, task.hasher, is_end=is_end)
        covered = sum(lengths)
        buffers.spent("chunk", buffers.now_s() - read_s, covered)
        chunks = _placed(ids, lengths, 0, is_pressed_format(task.work.path))
        stored_bytes = self._store_new(chunks, buffers, covered)
        task.ids += b"".join(ids)
        task.start += covered
        contents = None
        if is_end:
            contents = Contents(bytes(task.ids), task.hasher.digest(), task.start - task.first)
        return covered, contents, stored_bytes

    def _store_new(self, chunks: list[NamedChunk], buffers: Buffers, total: int) -> int:
        begin_s = buffers.now_s()
        wanted = self._transaction.claim([chunk.chunk_id for chunk in chunks])
        buffers.spent("index", buffers.now_s() - begin_s, total)
        new = [chunk for chunk, is_wanted in zip(chunks, wanted, strict=True) if is_wanted]
        return store_chunks(new, buffers, self._transaction, entropy=self._entropy, compare=self._compare)


def _placed(ids: list[bytes], lengths: list[int], start: int, pressed_format: bool) -> list[NamedChunk]:
    placed = []
    for chunk_id, length in zip(ids, lengths, strict=True):
        placed.append(NamedChunk(chunk_id, start, length, pressed_format))
        start += length
    return placed

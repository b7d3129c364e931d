"""From bytes of the source to stored chunks: the part of a unit between the file and the packs.

In: files or a segment, read into the stream's buffer. Out: chunk ids and hashes, and the new chunks sealed. One
stream a call; the objects it holds may be shared by all streams of a run.
"""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import ExitStack

import msgspec
from blake3 import blake3

from engine.base.clock import Clock
from engine.base.entropy import Entropy
from engine.contract.settings import SEGMENT_BYTES
from engine.pipeline.chunk import Cutter
from engine.pipeline.companion import FOLDERS_MAX, Companion, ReadUnit
from engine.pipeline.compress import is_pressed_format
from engine.pipeline.folders import OpenFolder
from engine.pipeline.objects import open_source, reading_ahead
from engine.pipeline.pool import Buffers
from engine.pipeline.recorder import with_chunks
from engine.pipeline.seal import NamedChunk, store_chunks
from engine.pipeline.source import SourceFile, SourceProblem
from engine.pipeline.units import Contents, FileWork, SegmentTask, StreamSource
from engine.pipeline.wholefile import WholeFile, WholeReader
from engine.repository.entry import Entry
from engine.repository.transaction import Transaction
from engine.repository.vault import WeddingVault

Found = WholeFile | SourceProblem | None  # None: it no longer fits into the unit


class Reading(msgspec.Struct):
    """A whole file in the stream's buffer; its entry is final once it is stored."""

    work: FileWork
    file: WholeFile
    start: int
    entry: Entry


class Reader:
    """Reads and stores for one run. Any stream of it."""

    def __init__(
        self, vault: WeddingVault, transaction: Transaction, clock: Clock, entropy: Entropy, *, compare: bool
    ) -> None:
        self._keys = vault.keys
        self._whole = WholeReader(open_source, vault.keys.chunk_key)
        self._transaction = transaction
        self._clock = clock
        self._entropy = entropy
        self._compare = compare

    def read_files(self, files: Sequence[FileWork], buffers: Buffers) -> list[Found]:
        """Read files end to end into the stream's buffer, as many as fit."""
        if buffers.companion.is_ready_for(len(files)):
            found = self._read_aside(files, buffers.companion)
            if found is not None:
                return found
        found, at = [], 0
        with reading_ahead([work.item for work in files]):
            for work in files:
                assert work.item is not None
                try:
                    file = self._whole.read(
                        work.item, buffers.source[at:], reads=work.reads, now_ns=self._clock.now_ns()
                    )
                    found.append(file)
                    at += file.length if file is not None else 0
                except SourceProblem as problem:
                    found.append(problem)
        return found

    def _read_aside(self, files: Sequence[FileWork], companion: Companion) -> list[Found] | None:
        """The same by the companion; None when it cannot."""
        numbers: dict[OpenFolder, int] = {}
        prefixes: list[bytes] = []
        wanted: list[tuple[int, bytes, int]] = []
        with ExitStack() as held:
            folders: list[int] = []
            for work in files:
                item = work.item
                if item is None or item.folder is None:
                    return None
                number = numbers.setdefault(item.folder, len(folders))
                if number == len(folders):
                    if number == FOLDERS_MAX:
                        return None
                    try:
                        folders.append(held.enter_context(item.folder.descriptor()))
                    except OSError:
                        return None  # what is wrong with it is found out file by file
                    prefixes.append(item.path.removesuffix(item.name))
                wanted.append((number, item.name, work.reads))
            unit = ReadUnit(self._clock.now_ns(), self._keys.chunk_key, prefixes, wanted)
            answer = companion.read(unit, folders)
        if answer is None:
            return None
        return [SourceProblem(found) if isinstance(found, str) else found for found in answer]

    def store(self, readings: Sequence[Reading], buffers: Buffers) -> int:
        """Chunk, name and store what was read; makes each reading's entry final. Returns the bytes written."""
        begin_s = buffers.now_s()
        cutter, chunk_key = Cutter(self._keys.chunker_seed), self._keys.chunk_key
        chunks: list[NamedChunk] = []
        total = 0
        for reading in readings:
            file, start, entry = reading.file, reading.start, reading.entry
            total += file.length
            if not file.is_named:
                data = buffers.source[start : start + file.length]
                hasher = blake3()
                lengths, ids = cutter.cut_and_name(data, chunk_key, hasher, is_end=True)
                reading.entry = with_chunks(entry, b"".join(ids), hasher.digest(), self._transaction)
                chunks += _placed(ids, lengths, start, is_pressed_format(entry.path))
            elif file.length:
                chunks.append(NamedChunk(entry.chunks, start, file.length, is_pressed_format(entry.path)))
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

"""One file of up to a unit, read whole: its metadata, its bytes in the unit's memory, and a small one's name.

In: a name in a folder that is held. Out: a `WholeFile`, the same whether a stream reads or its companion process.
One thread a call.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Generic, TypeVar

import msgspec
from blake3 import blake3

from engine.contract.settings import SMALL_FILE_BYTES
from engine.pipeline.source import Named, SourceFile, entry_of_file
from engine.repository.entry import Entry

READS_MAX = 2  # a file that changes while it is read is read again, then recorded with a warning
_HASH_OF_NOTHING = blake3().digest()


Item = TypeVar("Item", bound=Named)


class WholeFile(msgspec.Struct, frozen=True, array_like=True, gc=False):
    """A file in a unit's memory. The entry of a small one names its contents already."""

    entry: Entry
    length: int
    reads: int  # how often it has been read by now
    problems: tuple[str, ...] = ()

    @property
    def is_named(self) -> bool:
        """Whether it is one chunk or none, and its entry says which."""
        return self.length < SMALL_FILE_BYTES


class WholeReader(Generic[Item]):
    """Reads whole files of one wedding."""

    def __init__(self, open_file: Callable[[Item], SourceFile], chunk_key: bytes) -> None:
        """`open_file` may raise SourceProblem."""
        self._open = open_file
        self._chunk_key = chunk_key

    def read(self, item: Item, room: memoryview, *, reads: int, now_ns: int) -> WholeFile | None:
        """Read a file into the front of `room`, for the `reads`-th time; None when it no longer fits there.

        Raises SourceProblem.
        """
        while True:
            with self._open(item) as source:
                size_bytes = source.data_bytes
                if size_bytes > len(room):
                    return None
                entry, problems = entry_of_file(item.path, source, now_ns=now_ns)
                length = source.read_into(room[:size_bytes], 0) if size_bytes else 0
                changed = length < size_bytes or source.changed()
            if not changed or reads >= READS_MAX:
                break
            reads += 1
        if changed:
            problems = (*problems, "changed while it was read; kept as it was read")
        if length < size_bytes:
            entry = cut_to(entry, length)
        if length < SMALL_FILE_BYTES:
            entry = self._named(entry, room[:length])
        return WholeFile(entry, length, reads, problems)

    def _named(self, entry: Entry, data: memoryview) -> Entry:
        if not len(data):
            return msgspec.structs.replace(entry, hash=_HASH_OF_NOTHING)
        chunk_id = blake3(data, key=self._chunk_key).digest()
        return msgspec.structs.replace(entry, chunks=chunk_id, hash=blake3(data).digest())


def cut_to(entry: Entry, length: int) -> Entry:
    """`entry` as if its data had ended after `length` bytes: what could be read of a file that shrank."""
    if not entry.extents:
        return msgspec.structs.replace(entry, size=length)
    kept: list[tuple[int, int]] = []
    for offset, size in entry.extents:
        take = min(size, length)
        if take:
            kept.append((offset, take))
        length -= take
    end = kept[-1][0] + kept[-1][1] if kept else 0
    return msgspec.structs.replace(entry, size=end, extents=tuple(kept) if end else ())

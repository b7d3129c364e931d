"""Where data lies in a file with holes: between offsets in the file and offsets in its *data stream*.

The data stream is the extents of an entry, one after the other; it is what is chunked, hashed and sealed.
`()` means that the whole file is data, `((0, 0),)` that all of it is one hole. Pure; any thread.
"""

from __future__ import annotations

import bisect
from collections.abc import Iterator, Sequence
from itertools import accumulate

from engine.repository.entry import ALL_HOLE as ALL_HOLE

Extents = tuple[tuple[int, int], ...]


class DataMap:
    """The data stream of one file."""

    __slots__ = ("_ends", "_extents", "data_bytes")

    def __init__(self, size: int, extents: Sequence[tuple[int, int]]) -> None:
        self._extents = tuple(extents) or ((0, size),)
        self._ends = tuple(accumulate(length for _, length in self._extents))
        self.data_bytes = self._ends[-1]

    def pieces(self, data_offset: int, length: int) -> Iterator[tuple[int, int]]:
        """(offset in the file, length) of each run that `length` bytes at `data_offset` of the stream are in, in order.

        Stops at the end of the stream, so the lengths may add up to less.
        """
        index = bisect.bisect_right(self._ends, data_offset)
        while length > 0 and index < len(self._extents):
            file_offset, extent_length = self._extents[index]
            skipped = data_offset - (self._ends[index] - extent_length)
            run = min(length, extent_length - skipped)
            if run > 0:
                yield file_offset + skipped, run
            data_offset += run
            length -= run
            index += 1

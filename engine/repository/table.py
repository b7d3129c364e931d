"""A hash table of fixed-size keys and values in flat memory: under 60 bytes a row of 44, where a dict takes over 200.

Rows lie one after another in pages that never move; slots of u32 find them by open addressing. The slots are cut
into shards by the first byte of the key, so that growing touches a 256th of them at a time: no long stop, and never
two copies of the whole. A table of few rows is small: shards get slots of their own with their first row, and the first
page grows with its rows. Keys must be hashes: their own bytes choose shard and slot. Not locked: the owner locks.
"""

from __future__ import annotations

from array import array
from collections.abc import Iterator
from struct import Struct

_SHARDS = 256
_PAGE_BITS = 10
_PAGE_MASK = (1 << _PAGE_BITS) - 1
_SLOTS_FIRST = 8  # a power of two, as every later number of slots
_LOAD_MAX = 0.6  # slots cost 4 ÷ 0.6 … 4 ÷ 0.3 bytes a row
_NO_SLOTS = array("I", bytes(4 * _SLOTS_FIRST))  # of every shard without a row; never written
_HASH = Struct("<xI")  # of a key: the bytes after the one that chose its shard


class Table:
    """Rows of `key_bytes` + `value_bytes`, written once and kept. One caller at a time."""

    def __init__(self, *, key_bytes: int, value_bytes: int) -> None:
        self._key_bytes = key_bytes
        self._row_bytes = key_bytes + value_bytes
        self._pages: list[bytearray] = []
        self._count = 0
        # Of each shard: its slots (0 is empty, n is the n-th row put), and how many rows it takes before it grows.
        self._slots = [_NO_SLOTS] * _SHARDS
        self._room = [int(_SLOTS_FIRST * _LOAD_MAX)] * _SHARDS
        self._slots_count = 0  # of all shards with slots of their own

    def __len__(self) -> int:
        return self._count

    @property
    def size_bytes(self) -> int:
        """Memory that rows and slots take, about."""
        return sum(map(len, self._pages)) + 4 * self._slots_count

    def __contains__(self, key: bytes) -> bool:
        return self._find(key) != 0

    def get(self, key: bytes) -> bytes | None:
        """The value of `key`, or None."""
        number = self._find(key)
        if number == 0:
            return None
        start = (number & _PAGE_MASK) * self._row_bytes
        return bytes(self._pages[number >> _PAGE_BITS][start + self._key_bytes : start + self._row_bytes])

    def add(self, key: bytes, value: bytes) -> bool:
        """Put a row unless its key is here; says whether it was put. Key and value have the table's lengths."""
        shard, pages, row_bytes = key[0], self._pages, self._row_bytes
        slots = self._slots[shard]
        mask = len(slots) - 1
        place = _HASH.unpack_from(key)[0] & mask
        while number := slots[place]:
            if pages[number >> _PAGE_BITS].startswith(key, (number & _PAGE_MASK) * row_bytes):
                return False
            place = (place + 1) & mask
        if slots is _NO_SLOTS:
            slots = self._slots[shard] = array("I", _NO_SLOTS)
            self._slots_count += _SLOTS_FIRST
        self._count = number = self._count + 1
        if number >> _PAGE_BITS == len(pages):
            pages.append(bytearray(row_bytes << _PAGE_BITS if pages else row_bytes))  # the first row is never used
        start = (number & _PAGE_MASK) * row_bytes
        pages[number >> _PAGE_BITS][start : start + row_bytes] = key + value
        slots[place] = number
        self._room[shard] -= 1
        if not self._room[shard]:
            self._grow(shard)
        return True

    def rows(self) -> Iterator[tuple[bytes, bytes]]:
        """Every row put so far, in order; more may be put meanwhile."""
        for number in range(1, self._count + 1):
            start = (number & _PAGE_MASK) * self._row_bytes
            row = bytes(self._pages[number >> _PAGE_BITS][start : start + self._row_bytes])
            yield row[: self._key_bytes], row[self._key_bytes :]

    def _find(self, key: bytes) -> int:
        """The number of the row, from 1; 0 when there is none."""
        slots, pages, row_bytes = self._slots[key[0]], self._pages, self._row_bytes
        mask = len(slots) - 1
        place: int = _HASH.unpack_from(key)[0] & mask
        while number := slots[place]:
            if pages[number >> _PAGE_BITS].startswith(key, (number & _PAGE_MASK) * row_bytes):
                return int(number)
            place = (place + 1) & mask
        return 0

    def _grow(self, shard: int) -> None:
        old, pages, row_bytes, unpack = self._slots[shard], self._pages, self._row_bytes, _HASH.unpack_from
        size = 2 * len(old)
        mask = size - 1
        slots = array("I", bytes(4 * size))
        for number in old:
            if number:
                place = unpack(pages[number >> _PAGE_BITS], (number & _PAGE_MASK) * row_bytes)[0] & mask
                while slots[place]:
                    place = (place + 1) & mask
                slots[place] = number
        self._room[shard] = int(size * _LOAD_MAX) - int(len(old) * _LOAD_MAX)
        self._slots[shard] = slots
        self._slots_count += len(old)

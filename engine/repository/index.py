"""The index in memory: chunk id → where it lies, at most 64 bytes a chunk (docs/format.md, section 6.4).

Only for weddings at work. A flat table of the first 24 bytes of each id and five u32: pack number, offset,
stored length with the codec in its top bits, inner offset, length. What data and metadata packs hold is kept apart,
so that neither is ever found in a pack of the other type. Any thread; one lock, taken once a unit.
"""

from __future__ import annotations

import struct
import threading
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from engine.base.invariants import check
from engine.repository.crypto import DATA_PACK, METADATA_PACK
from engine.repository.pack import PackEntry, split_records
from engine.repository.table import Table

KEY_BYTES = 24
_VALUE = struct.Struct("<5I")
_CODEC_SHIFT = 30
_PACK_BYTES = 500  # of memory, for what is known of a pack
_STORED_MASK = (1 << _CODEC_SHIFT) - 1


@dataclass(frozen=True, slots=True)
class Location:
    """Where a chunk lies."""

    pack: PackEntry  # its `records` are empty here
    offset: int
    stored_bytes: int
    inner_offset: int
    length: int
    codec_used: int


class Index:
    """One wedding's chunks."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._tables = {
            pack_type: Table(key_bytes=KEY_BYTES, value_bytes=_VALUE.size) for pack_type in (DATA_PACK, METADATA_PACK)
        }
        self._packs: list[PackEntry] = []
        self._numbers: dict[bytes, int] = {}

    def __len__(self) -> int:
        return sum(map(len, self._tables.values()))

    @property
    def size_bytes(self) -> int:
        """Memory that it takes, about."""
        with self._lock:
            rows_bytes = sum(table.size_bytes for table in self._tables.values())
            return rows_bytes + len(self._packs) * _PACK_BYTES

    def packs(self) -> list[PackEntry]:
        """Every pack known, records left out."""
        with self._lock:
            return list(self._packs)

    def knows_pack(self, name: bytes) -> bool:
        """Whether a pack's records are here."""
        with self._lock:
            return name in self._numbers

    def add(self, packs: Iterable[PackEntry]) -> None:
        """Add packs with their records; a chunk known already keeps its place. Raises IntegrityError."""
        for entry in packs:
            rows = [
                (record.chunk_id[:KEY_BYTES], record.offset, record.stored_bytes | record.codec_used << _CODEC_SHIFT,
                 record.inner_offset, record.length)
                for record in split_records(entry)
            ]  # fmt: skip
            with self._lock:
                if entry.name in self._numbers:
                    continue
                number = len(self._packs)
                self._packs.append(PackEntry(entry.name, entry.salt, entry.epoch, entry.pack_type, entry.size, b""))
                self._numbers[entry.name] = number
                table = self._tables[entry.pack_type]
                for key, offset, stored, inner, length in rows:
                    table.add(key, _VALUE.pack(number, offset, stored, inner, length))

    def missing(self, ids: Sequence[bytes], pack_type: int = DATA_PACK) -> list[bool]:
        """For each id, whether no pack of this type is known to hold it. One lock for the whole unit."""
        with self._lock:
            table = self._tables[pack_type]
            return [chunk_id[:KEY_BYTES] not in table for chunk_id in ids]

    def locate(self, ids: Sequence[bytes], pack_type: int = DATA_PACK) -> list[Location | None]:
        """Where each id lies in packs of this type; None for what is not there."""
        with self._lock:
            table = self._tables[pack_type]
            values = [table.get(chunk_id[:KEY_BYTES]) for chunk_id in ids]
            packs = self._packs
        return [None if value is None else self._location(packs, value) for value in values]

    @staticmethod
    def _location(packs: list[PackEntry], value: bytes) -> Location:
        number, offset, stored, inner, length = _VALUE.unpack(value)
        check(number < len(packs), "an index value names a pack it has")
        return Location(packs[number], offset, stored & _STORED_MASK, inner, length, stored >> _CODEC_SHIFT)

"""The index in memory: chunk id → where it lies, at most 64 bytes a chunk (docs/format.md, section 6.4).

Only for weddings at work. A flat table of the first 24 bytes of each id and five u32: pack number, offset,
stored length with the codec in its top bits, inner offset, length. What data and metadata packs hold is kept apart,
so that neither is ever found in a pack of the other type. The few chunks that lie in several packs have their second
place in a second table, and so on; packs that are known to be damaged come last. Any thread; one lock, taken once a
unit.
"""

from __future__ import annotations

import struct
import threading
from collections.abc import Iterable, Mapping, Sequence

import msgspec

from engine.base.invariants import check
from engine.repository.crypto import DATA_PACK, METADATA_PACK
from engine.repository.pack import PackEntry, split_records
from engine.repository.table import Table

KEY_BYTES = 24
_VALUE = struct.Struct("<5I")
_CODEC_SHIFT = 30
_PACK_BYTES = 500  # of memory, for what is known of a pack
_STORED_MASK = (1 << _CODEC_SHIFT) - 1


class Location(msgspec.Struct, frozen=True, gc=False):
    """Where a chunk lies."""

    pack: PackEntry  # its `records` are empty here
    offset: int
    stored_bytes: int
    inner_offset: int
    length: int
    codec_used: int


class Held(msgspec.Struct):
    """What a pack holds. Bytes are those of chunks, before compression."""

    total_bytes: int = 0
    wanted_bytes: int = 0
    wanted_chunks: int = 0


class Index:
    """One wedding's chunks."""

    def __init__(self, damaged: Iterable[bytes] = (), marked: Iterable[bytes] = ()) -> None:
        """`damaged`, `marked`: names of packs that are known to be, also of those that are added later."""
        self._lock = threading.Lock()
        self._tables = {pack_type: [_new_table()] for pack_type in (DATA_PACK, METADATA_PACK)}
        self._packs: list[PackEntry] = []
        self._numbers: dict[bytes, int] = {}
        self._damaged = set(damaged)
        self._marked = frozenset(marked)
        self._poor: dict[int, int] = {}  # of those that are here: number → rank

    def __len__(self) -> int:
        return sum(len(tables[0]) for tables in self._tables.values())

    @property
    def size_bytes(self) -> int:
        """Memory that it takes, about."""
        with self._lock:
            rows_bytes = sum(table.size_bytes for tables in self._tables.values() for table in tables)
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
        """Add packs with their records; a chunk known already gets one more place. Raises IntegrityError."""
        for entry in packs:
            records = list(split_records(entry))
            with self._lock:
                if entry.name in self._numbers:
                    continue
                number = len(self._packs)
                self._packs.append(PackEntry(entry.name, entry.salt, entry.epoch, entry.pack_type, entry.size, b""))
                self._numbers[entry.name] = number
                self._judge(entry.name)
                tables = self._tables[entry.pack_type]
                first, pack_value = tables[0], _VALUE.pack
                for record in records:
                    key, stored = record.chunk_id[:KEY_BYTES], record.stored_bytes | record.codec_used << _CODEC_SHIFT
                    value = pack_value(number, record.offset, stored, record.inner_offset, record.length)
                    if not first.add(key, value) and not any(table.add(key, value) for table in tables[1:]):
                        tables.append(_new_table())
                        tables[-1].add(key, value)

    def mark_damaged(self, name: bytes) -> None:
        """From now on a pack comes last, and what only it holds is not sound."""
        with self._lock:
            self._damaged.add(name)
            self._judge(name)

    def mark_sound(self, name: bytes) -> None:
        """A pack is not damaged."""
        with self._lock:
            self._damaged.discard(name)
            self._judge(name)

    def set_marked(self, names: frozenset[bytes]) -> None:
        """From now on these packs, and no others, are marked for deletion: what only they hold is not sound."""
        with self._lock:
            changed, self._marked = names ^ self._marked, names
            for name in changed:
                self._judge(name)

    def _judge(self, name: bytes) -> None:
        """Note whether a pack is a poor one. Called under the lock."""
        number = self._numbers.get(name)
        if number is None:
            return
        rank = 2 * (name in self._damaged) + (name in self._marked)
        if rank:
            self._poor[number] = rank
        else:
            self._poor.pop(number, None)

    def missing(self, ids: Sequence[bytes], pack_type: int = DATA_PACK) -> list[bool]:
        """For each id, whether no pack of this type is known to hold it. One lock for the whole unit."""
        with self._lock:
            table = self._tables[pack_type][0]
            return [chunk_id[:KEY_BYTES] not in table for chunk_id in ids]

    def unsound(self, ids: Sequence[bytes], pack_type: int = DATA_PACK) -> list[bool]:
        """For each id, whether it has to be stored: no pack of this type that is not a poor one holds it."""
        with self._lock:
            if self._poor:
                firsts = [self._first(chunk_id, pack_type) for chunk_id in ids]
                return [first is None or _number(first) in self._poor for first in firsts]
        return self.missing(ids, pack_type)

    def locate(self, ids: Sequence[bytes], pack_type: int = DATA_PACK) -> list[Location | None]:
        """Where each id lies in packs of this type, in a sound one if there is one; None for what is not there."""
        with self._lock:
            if self._poor:
                values = [self._first(chunk_id, pack_type) for chunk_id in ids]
            else:
                table = self._tables[pack_type][0]
                values = [table.get(chunk_id[:KEY_BYTES]) for chunk_id in ids]
            packs = self._packs
        return [None if value is None else self._location(packs, value) for value in values]

    def places(self, chunk_id: bytes, pack_type: int = DATA_PACK) -> list[Location]:
        """Everywhere a chunk lies in packs of this type, sound ones first."""
        with self._lock:
            return [self._location(self._packs, value) for value in self._values(chunk_id, pack_type)]

    def _values(self, chunk_id: bytes, pack_type: int) -> list[bytes]:
        """The rows of a chunk, those in poor packs last. Called under the lock."""
        found = (table.get(chunk_id[:KEY_BYTES]) for table in self._tables[pack_type])
        values = [value for value in found if value is not None]
        return sorted(values, key=lambda value: self._poor.get(_number(value), 0))

    def _first(self, chunk_id: bytes, pack_type: int) -> bytes | None:
        return next(iter(self._values(chunk_id, pack_type)), None)

    def held(self, wanted: Mapping[int, Table]) -> dict[bytes, Held]:
        """What each pack holds, and what of it is wanted: the keys in `wanted`, by pack type.

        A chunk that lies in several packs is wanted of one only, where it would be read. Others may add meanwhile.
        """
        with self._lock:
            packs = list(self._packs)
            tables = {pack_type: list(each) for pack_type, each in self._tables.items()}
        found = [Held() for _ in packs]
        for pack_type, keys in wanted.items():
            first, *more = tables[pack_type]
            for table in tables[pack_type]:
                for key, value in table.rows():
                    number, length = _number_and_length(value)
                    if number < len(packs):
                        found[number].total_bytes += length
                    if table is not first or key not in keys:
                        continue
                    if more:
                        with self._lock:
                            number = _number(self._values(key, pack_type)[0])
                    if number < len(packs):
                        found[number].wanted_bytes += length
                        found[number].wanted_chunks += 1
        return {pack.name: each for pack, each in zip(packs, found, strict=True)}

    @staticmethod
    def _location(packs: list[PackEntry], value: bytes) -> Location:
        number, offset, stored, inner, length = _VALUE.unpack(value)
        check(number < len(packs), "an index value names a pack it has")
        return Location(packs[number], offset, stored & _STORED_MASK, inner, length, stored >> _CODEC_SHIFT)


def _new_table() -> Table:
    return Table(key_bytes=KEY_BYTES, value_bytes=_VALUE.size)


def _number(value: bytes) -> int:
    return int(_VALUE.unpack(value)[0])


def _number_and_length(value: bytes) -> tuple[int, int]:
    number, _, _, _, length = _VALUE.unpack(value)
    return number, length

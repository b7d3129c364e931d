"""Packs: units, padding, names, footers, and that no offset is sealed twice."""

from __future__ import annotations

import dataclasses
from collections import defaultdict

import pytest
from blake3 import blake3
from hypothesis import given, settings
from hypothesis import strategies as st
from msgspec.structs import replace

from engine.base.errors import IntegrityError
from engine.base.invariants import BrokenInvariant
from engine.repository import codec, crypto, layout
from engine.repository.pack import (
    ALIGNMENT_BYTES,
    HEADER_BYTES,
    PACK_BYTES_MAX,
    PACK_RECORDS_MAX,
    PACK_TARGET_BYTES,
    RECORD,
    PackEntry,
    PackWriter,
    check_entry,
    pack_cipher,
    parse_header,
    read_footer,
    split_records,
)
from engine.storage.stores.memory import MemoryStore
from tests.engine.repository.parts import ENTROPY, buffer
from tests.golden import world

FOLDER = layout.packs(world.WEDDING)
Unit = list[bytes]


def _writer(store: MemoryStore, pack_type: int = crypto.DATA_PACK) -> PackWriter:
    return PackWriter(store.stage(), pack_type=pack_type, keys=world.KEYS, entropy=ENTROPY)


def _write(writer: PackWriter, unit: Unit) -> int:
    writer.open_unit(buffer())
    for content in unit:
        place = writer.seal(content, codec.RAW)
        writer.record(crypto.chunk_id(content, world.KEYS.chunk_key), place, (0, len(content)), codec.RAW)
    return writer.close_unit()


def _pack(store: MemoryStore, units: list[Unit]) -> tuple[PackEntry, bytes]:
    writer = _writer(store)
    for unit in units:
        _write(writer, unit)
    entry, published = writer.publish(FOLDER, buffer())
    published.result()
    return entry, store.get(FOLDER + entry.name.hex(), limit_bytes=PACK_BYTES_MAX)


UNITS = st.lists(
    st.lists(st.integers(0, 9000).map(lambda size: bytes([size % 251]) * size), min_size=1, max_size=4),
    min_size=1,
    max_size=4,
)


@given(UNITS)
@settings(max_examples=30)
def test_any_units_come_back(units: list[Unit]) -> None:
    """Blob by blob, from the footer's records; aligned; no two blobs overlap or share an offset."""
    store = MemoryStore()
    entry, data = _pack(store, units)
    contents = [content for unit in units for content in unit]
    records = list(split_records(entry))
    assert read_footer(store, world.KEYS, entry.name) == entry
    assert entry.name == blake3(data).digest()
    assert entry.size == len(data)
    assert len(data) % ALIGNMENT_BYTES == 0
    cipher = pack_cipher(world.KEYS, entry)
    end = HEADER_BYTES
    for record, content in zip(records, contents, strict=True):
        assert record.offset >= end
        end = record.offset + record.stored_bytes
        into = memoryview(bytearray(len(content)))
        stored = memoryview(bytearray(data[record.offset : end]))
        assert cipher.open_into(stored, offset=record.offset, codec_used=codec.RAW, into=into) == len(content)
        assert into == content


def test_units_end_on_a_boundary_filled_with_noise() -> None:
    """So their ends do not show, and no two packs have the same filling: it is never keystream either."""
    first, second = (_pack(MemoryStore(), [[b"a"], [b"b"]])[1] for _ in range(2))
    used = HEADER_BYTES + 1 + crypto.TAG_BYTES
    for begin, end in ((used, 4096), (4096 + 1 + crypto.TAG_BYTES, 8192), (8192, 8192 + 3000)):
        paddings = [first[begin:end], second[begin:end]]
        assert paddings[0] != paddings[1]
        assert all(len(set(padding)) > 200 for padding in paddings)


def test_a_header_says_what_the_index_says() -> None:
    """Type, epoch and salt; the epoch is the newest."""
    entry, data = _pack(MemoryStore(), [[b"a"]])
    assert parse_header(data[:HEADER_BYTES], entry.name) == (crypto.DATA_PACK, 2, entry.salt)
    assert (entry.pack_type, entry.epoch) == (crypto.DATA_PACK, 2)


def test_no_changed_header_goes_with_the_footer() -> None:
    """No bit of it; also of the epoch, though every epoch has the same secret."""
    entry, data = _pack(MemoryStore(), [[b"a"]])
    keys = dataclasses.replace(world.KEYS, secrets=defaultdict(lambda: world.KEYS.secret))
    store = MemoryStore()
    name = FOLDER + entry.name.hex()
    store.put(name, data)
    assert read_footer(store, keys, entry.name) == entry
    for number in range(8 * HEADER_BYTES):
        store.delete(name)
        store.put(name, world.flip(data, number // 8, number % 8))
        with pytest.raises(IntegrityError):
            read_footer(store, keys, entry.name)


def test_packs_of_the_same_contents_are_different_packs() -> None:
    """Each has a salt, hence keys, of its own: their names tell nothing of what is in them."""
    packs = [_pack(MemoryStore(), [[b"the same"]])[0] for _ in range(2)]
    assert packs[0].name != packs[1].name
    assert packs[0].salt != packs[1].salt
    assert packs[0].records[:32] == packs[1].records[:32]


def test_a_unit_without_blobs_writes_nothing() -> None:
    """Not even the header, which the next unit begins with."""
    store = MemoryStore()
    writer = _writer(store)
    assert _write(writer, []) == 0
    assert writer.size_bytes == 0
    assert _write(writer, [b"a"]) == 4096
    assert _write(writer, []) == 0
    entry, published = writer.publish(FOLDER, buffer())
    published.result()
    assert len(list(split_records(read_footer(store, world.KEYS, entry.name)))) == 1


def test_a_pack_without_units_is_not_published() -> None:
    """There would be nothing in it."""
    with pytest.raises(BrokenInvariant):
        _writer(MemoryStore()).publish(FOLDER, buffer())


def test_a_blob_can_be_compared_before_its_pack_leaves() -> None:
    """Opened from the unit's own buffer."""
    writer = _writer(MemoryStore())
    _write(writer, [b"earlier"])
    writer.open_unit(buffer())
    place = writer.seal(b"content", codec.ZSTD)
    into = memoryview(bytearray(99))
    assert bytes(into[: writer.reopen(*place, codec.ZSTD, into)]) == b"content"
    with pytest.raises(IntegrityError):
        writer.reopen(*place, codec.RAW, into)


def test_a_pack_is_full_at_its_target_or_with_very_many_chunks() -> None:
    """The footer of a pack of empty files would outgrow a buffer."""
    writer = _writer(MemoryStore())
    assert not writer.is_full
    for _ in range(PACK_TARGET_BYTES >> 19):
        assert not writer.is_full
        _write(writer, [bytes(1 << 19)])
    assert writer.is_full
    many = _writer(MemoryStore())
    _write(many, [b"a"])
    for _ in range(PACK_RECORDS_MAX - 1):
        many.record(bytes(32), (44, 17), (0, 1), codec.RAW)
    assert many.is_full


def test_a_discarded_pack_leaves_nothing() -> None:
    """Twice is allowed."""
    store = MemoryStore()
    writer = _writer(store)
    _write(writer, [b"a"])
    writer.discard()
    writer.discard()
    assert list(store.list("")) == []


# --- what is believed of a pack ----------------------------------------------------------------------

SIZE = 3 * ALIGNMENT_BYTES


def _entry(**changes: object) -> PackEntry:
    return replace(PackEntry(bytes(32), bytes(32), 1, crypto.DATA_PACK, SIZE, b""), **changes)


@given(st.tuples(*[st.integers(0, 2**32 - 1) | st.integers(0, SIZE)] * 4, st.integers(0, 255) | st.integers(0, 1)))
def test_a_record_is_believed_only_inside_its_pack_and_blob(fields: tuple[int, int, int, int, int]) -> None:
    """Between header and trailer, not over the largest content, with a codec that is one."""
    offset, stored, inner, length, codec_used = fields
    inside = (
        offset >= 44 and stored >= 16 and offset + stored <= SIZE - 40 and inner + length <= 8 << 20 and codec_used < 2
    )
    entry = _entry(records=RECORD.pack(bytes(32), *fields))
    if inside:
        (record,) = split_records(entry)
        assert (record.offset, record.stored_bytes, record.inner_offset, record.length) == fields[:4]
    else:
        with pytest.raises(IntegrityError):
            list(split_records(entry))


@pytest.mark.parametrize(
    "changes",
    [
        {"name": bytes(31)},
        {"salt": bytes(33)},
        {"epoch": 0},
        {"epoch": 1 << 32},
        {"pack_type": 9},
        {"size": 4096},
        {"size": SIZE + 1},
        {"size": PACK_BYTES_MAX + 4096},
        {"size": -4096},
        {"records": bytes(48)},
    ],
)
def test_what_no_pack_can_be_is_an_integrity_error(changes: dict[str, object]) -> None:
    """Before a key is made of it, or memory taken for it."""
    check_entry(_entry())
    with pytest.raises(IntegrityError):
        check_entry(_entry(**changes))

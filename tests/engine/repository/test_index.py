"""The index in memory and its fragments: where chunks lie, whoever wrote it and in whatever order it is read."""

from __future__ import annotations

import random

import pytest
from blake3 import blake3
from hypothesis import given
from hypothesis import strategies as st
from msgspec.structs import replace

from engine.base.errors import IntegrityError
from engine.repository import codec, crypto, fragment, layout
from engine.repository.fragment import FragmentObject
from engine.repository.index import KEY_BYTES, Index
from engine.repository.pack import PACK_BYTES_MAX, RECORD, PackEntry
from engine.storage.stores.memory import MemoryStore
from tests.engine.repository.parts import ENTROPY, damage
from tests.golden import world

IDS = [blake3(bytes([number])).digest() for number in range(40)]


def _pack(number: int, ids: list[bytes], *, codec_used: int = codec.RAW) -> PackEntry:
    records = b"".join(RECORD.pack(each, 44 + 20 * at, 20, at, 4, codec_used) for at, each in enumerate(ids))
    name = blake3(b"pack %d" % number).digest()
    return PackEntry(name, world.salt(f"pack {number}"), 1, crypto.DATA_PACK, PACK_BYTES_MAX, records)


PACKS = st.lists(st.lists(st.sampled_from(IDS), max_size=8), max_size=6)


@given(PACKS, st.randoms(use_true_random=False))
def test_the_index_is_the_union_of_its_packs(lists: list[list[bytes]], chance: random.Random) -> None:
    """In any order, and with packs twice: every chunk has one of its places."""
    packs = [_pack(number, ids) for number, ids in enumerate(lists)]
    shuffled = [*packs, *packs[:2]]
    chance.shuffle(shuffled)
    index = Index()
    index.add(shuffled)
    holding = {
        chunk_id: {pack.name for pack, ids in zip(packs, lists, strict=True) if chunk_id in ids} for chunk_id in IDS
    }
    assert index.missing(IDS) == [not holding[chunk_id] for chunk_id in IDS]
    assert len(index) == sum(bool(names) for names in holding.values())
    assert sorted(pack.name for pack in index.packs()) == sorted({pack.name for pack in packs})
    for chunk_id, location in zip(IDS, index.locate(IDS), strict=True):
        assert (location is None) == (not holding[chunk_id])
        if location is not None:
            assert location.pack.name in holding[chunk_id]
            ids = lists[[pack.name for pack in packs].index(location.pack.name)]
            assert ids[location.inner_offset] == chunk_id
            assert (location.offset, location.stored_bytes) == (44 + 20 * location.inner_offset, 20)


def test_a_chunk_keeps_its_first_place() -> None:
    """A later pack with the same chunk changes nothing that was told before."""
    index = Index()
    index.add([_pack(1, IDS[:1])])
    index.add([_pack(2, IDS[:2])])
    first, second = (location for location in index.locate(IDS[:2]) if location is not None)
    assert (first.pack.name, second.pack.name) == (_pack(1, []).name, _pack(2, []).name)
    assert first.pack.records == b""


@given(PACKS, st.sets(st.integers(0, 5)), st.booleans())
def test_what_only_damaged_packs_hold_is_not_sound(lists: list[list[bytes]], bad: set[int], told_before: bool) -> None:
    """It is still found, last; and everything is as before once the packs are sound again."""
    packs = [_pack(number, list(dict.fromkeys(ids))) for number, ids in enumerate(lists)]
    damaged = [_pack(number, []).name for number in bad]
    index = Index(damaged if told_before else ())
    index.add(packs)
    for name in damaged:
        index.mark_damaged(name)
    for chunk_id, is_unsound, location in zip(IDS, index.unsound(IDS), index.locate(IDS), strict=True):
        holding = {number for number, ids in enumerate(lists) if chunk_id in ids}
        assert is_unsound == (holding <= bad)
        places = index.places(chunk_id)
        assert places[:1] == ([] if location is None else [location])
        assert sorted(place.pack.name for place in places) == sorted(packs[number].name for number in holding)
        are_damaged = [place.pack.name in damaged for place in places]
        assert are_damaged == sorted(are_damaged)
    for name in damaged:
        index.mark_sound(name)
    assert index.unsound(IDS) == index.missing(IDS)


def test_data_and_metadata_are_found_apart() -> None:
    """A chunk in a pack of the other type is none: neither found nor taken for stored."""
    index = Index()
    index.add([replace(_pack(1, IDS[:2]), pack_type=crypto.METADATA_PACK)])
    assert index.missing(IDS[:1]) == [True]
    assert index.locate(IDS[:1]) == [None]
    index.add([_pack(2, IDS[:1])])
    for pack_type, number in ((crypto.DATA_PACK, 2), (crypto.METADATA_PACK, 1)):
        assert index.missing(IDS[:1], pack_type) == [False]
        (location,) = index.locate(IDS[:1], pack_type)
        assert location is not None
        assert location.pack.name == _pack(number, []).name
    assert len(index) == 3


@pytest.mark.parametrize("codec_used", [codec.RAW, codec.ZSTD])
def test_a_place_comes_back_to_its_bounds(codec_used: int) -> None:
    """The largest offset, length and inner offset that a record may have, and its codec."""
    record = (PACK_BYTES_MAX - 40 - (8 << 20), 8 << 20, (8 << 20) - 5, 5)
    entry = replace(_pack(1, []), records=RECORD.pack(IDS[0], *record, codec_used))
    index = Index()
    index.add([entry])
    (location,) = index.locate(IDS[:1])
    assert location is not None
    assert (location.offset, location.stored_bytes, location.inner_offset, location.length) == record
    assert location.codec_used == codec_used
    assert location.pack == replace(entry, records=b"")


def test_ids_are_told_apart_by_their_first_24_bytes() -> None:
    """The rest is checked when the chunk is read: its id is the hash of its bytes."""
    index = Index()
    index.add([_pack(1, IDS[:1])])
    assert index.missing([IDS[0][:KEY_BYTES] + bytes(8)]) == [False]
    assert index.missing([bytes(KEY_BYTES) + IDS[0][KEY_BYTES:]]) == [True]


def test_a_bad_pack_adds_nothing() -> None:
    """Neither itself nor the records before the bad one."""
    index = Index()
    good = _pack(1, IDS[:3])
    bad = replace(good, records=good.records[:-1] + b"\x07")
    with pytest.raises(IntegrityError):
        index.add([bad])
    assert len(index) == 0
    assert not index.knows_pack(bad.name)
    index.add([good])
    assert len(index) == 3


# --- fragments ---------------------------------------------------------------------------------------


@given(st.lists(st.integers(0, 7), max_size=30))
def test_packs_are_grouped_in_order(sizes: list[int]) -> None:
    """Nothing is lost, no group of more than one pack goes over the limit, and none ends before it has to."""
    packs = [replace(_pack(number, []), records=bytes(RECORD.size) * size) for number, size in enumerate(sizes)]
    assert fragment.FRAGMENT_RECORDS_MAX == 100_000
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(fragment, "FRAGMENT_RECORDS_MAX", 5)
        groups = list(fragment.group(packs))
    totals = [sum(len(pack.records) for pack in group) // RECORD.size for group in groups]
    assert [pack for group in groups for pack in group] == packs
    assert all(total <= 5 or len(group) == 1 for total, group in zip(totals, groups, strict=True))
    for total, after in zip(totals, groups[1:], strict=False):
        assert total + len(after[0].records) // RECORD.size > 5


def test_fragments_come_back() -> None:
    """Under the hash of their bytes."""
    store = MemoryStore()
    packs = [_pack(number, IDS[number : number + 4]) for number in range(9)]
    (name,) = fragment.write(store, world.KEYS, packs, ENTROPY)
    assert name.startswith(layout.fragments(world.WEDDING))
    assert name.rpartition("/")[2] == blake3(store.get(name, limit_bytes=1 << 20)).hexdigest()
    assert fragment.read(store, world.KEYS, name) == FragmentObject(tuple(packs))


def test_no_packs_are_no_fragment() -> None:
    """Nothing is written."""
    store = MemoryStore()
    assert fragment.write(store, world.KEYS, [], ENTROPY) == []
    assert list(store.list("")) == []


@pytest.mark.parametrize("at", [0, 20, 60, -1])
def test_a_damaged_fragment_is_an_integrity_error(at: int) -> None:
    """Its name alone tells."""
    store = MemoryStore()
    (name,) = fragment.write(store, world.KEYS, [_pack(1, IDS[:2])], ENTROPY)
    damage(store, name, at=at)
    with pytest.raises(IntegrityError):
        fragment.read(store, world.KEYS, name)


def test_a_fragment_under_another_name_is_an_integrity_error() -> None:
    """Or one copy more would look like one fragment more."""
    store = MemoryStore()
    (name,) = fragment.write(store, world.KEYS, [_pack(1, IDS[:2])], ENTROPY)
    other = layout.fragments(world.WEDDING) + "0" * 64
    store.put(other, store.get(name, limit_bytes=1 << 20))
    with pytest.raises(IntegrityError):
        fragment.read(store, world.KEYS, other)

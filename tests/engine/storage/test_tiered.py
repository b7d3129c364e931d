"""A store over tiers against the shared suite; packs are read wherever a good copy lies, and deleted everywhere."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from engine.base.clock import FakeClock
from engine.base.errors import IntegrityError, NotFound, Unavailable
from engine.contract.tiers import Tier
from engine.storage.locations import Copy, Locations, pack_name
from engine.storage.placed import PlacedStore
from engine.storage.stores.memory import MemoryObjects, MemoryStore
from engine.storage.tiered import TieredStore
from tests.suites.object_store import ObjectStoreSuite, OpenEngine, names_in, pattern, publish

WEDDING = "0a" * 16
PACK = pack_name(WEDDING, b"\x01" * 32)
OTHER = pack_name(WEDDING, b"\x02" * 32)
MANIFEST = f"weddings/{WEDDING}/index/{'0f' * 32}"
DATA = pattern(8192)


class TestTieredStore(ObjectStoreSuite):
    """The promises every store makes."""

    @pytest.fixture
    def open_engine(self) -> Iterator[OpenEngine]:
        objects: dict[Tier, MemoryObjects] = {"hot": MemoryObjects(), "warm": MemoryObjects(), "cold": MemoryObjects()}
        opened: list[tuple[TieredStore, Locations]] = []

        def open_one() -> TieredStore:
            locations = Locations(None)
            places = {tier: MemoryStore(medium) for tier, medium in objects.items()}
            opened.append((_over(places, locations), locations))
            return opened[-1][0]

        yield open_one
        for store, locations in opened:
            store.close()
            locations.close()


def _over(stores: dict[Tier, MemoryStore], locations: Locations) -> TieredStore:
    clock = FakeClock()
    return TieredStore(
        {tier: PlacedStore(store, f"{tier}/home", locations, clock) for tier, store in stores.items()}, locations
    )


class Room:
    """Three tiers in memory, the store over them, and their catalog."""

    def __init__(self) -> None:
        self.locations = Locations(None)
        self.media: dict[Tier, MemoryObjects] = {tier: MemoryObjects() for tier in ("hot", "warm", "cold")}
        self.tiers: dict[Tier, MemoryStore] = {tier: MemoryStore(medium) for tier, medium in self.media.items()}
        self.store = _over(self.tiers, self.locations)

    def read(self, name: str = PACK) -> bytes:
        buffer = bytearray(len(DATA))
        self.store.read_into(name, 0, memoryview(buffer))
        return bytes(buffer)

    def states(self, name: str = PACK) -> dict[str, str]:
        return {copy.place: copy.state for copy in self.locations.copies(name)}

    def lay(self, tier: Tier, data: bytes = DATA, name: str = PACK) -> None:
        publish(self.tiers[tier], name, data)
        self.locations.record(name, Copy(f"{tier}/home", len(data)))


@pytest.fixture
def room() -> Iterator[Room]:
    found = Room()
    yield found
    found.store.close()
    found.locations.close()


def test_what_is_written_is_hot_and_the_catalog_knows_packs_only(room: Room) -> None:
    publish(room.store, PACK, DATA)
    room.store.put(MANIFEST, b"x")
    assert names_in(room.tiers["hot"]) == [MANIFEST, PACK]
    assert room.states() == {"hot/home": "good"}
    assert list(room.locations.of_wedding(WEDDING)) == [(PACK, room.locations.copies(PACK))]


def test_a_pack_is_read_from_the_fastest_tier_that_has_it(room: Room) -> None:
    room.lay("cold")
    assert room.read() == DATA
    room.lay("warm", pattern(8192, seed=5))
    assert room.read() == pattern(8192, seed=5)
    room.lay("hot", pattern(8192, seed=6))
    assert room.read() == pattern(8192, seed=6)


def test_a_missing_and_a_cut_copy_give_way_to_the_next_and_are_noted(room: Room) -> None:
    room.lay("cold")
    room.lay("warm", DATA[:4096])
    room.locations.record(PACK, Copy("hot/home", len(DATA)))
    assert room.read() == DATA
    assert room.states() == {"hot/home": "missing", "warm/home": "bad", "cold/home": "good"}


def test_a_tier_that_does_not_answer_gives_way_and_nothing_bad_is_said_of_its_copy(room: Room) -> None:
    room.lay("cold")
    room.lay("warm")
    room.tiers["warm"].close()
    assert room.read() == DATA
    assert room.states() == {"warm/home": "good", "cold/home": "good"}
    room.tiers["cold"].close()
    with pytest.raises(Unavailable):
        room.read()


def test_a_pack_that_the_catalog_lost_is_found_where_it_lies(room: Room) -> None:
    publish(room.tiers["cold"], PACK, DATA)
    assert room.read() == DATA
    assert room.store.stat(PACK).size_bytes == len(DATA)
    assert room.store.get(PACK, limit_bytes=len(DATA)) == DATA


def test_why_none_has_it_is_said_by_the_gravest(room: Room) -> None:
    room.lay("warm", DATA[:4096])
    with pytest.raises(IntegrityError):
        room.read()
    with pytest.raises(NotFound):
        room.read(OTHER)


def test_packs_are_listed_once_wherever_they_lie_and_nothing_else_of_the_slower_tiers(room: Room) -> None:
    for tier in ("hot", "cold"):
        room.lay(tier)
    room.lay("warm", name=OTHER)
    room.tiers["warm"].put("config/1", b"foreign")
    room.store.put(MANIFEST, b"x")
    for prefix in ("", "weddings/", f"weddings/{WEDDING}/"):
        assert names_in(room.store, prefix) == [MANIFEST, PACK, OTHER]
    assert names_in(room.store, f"weddings/{WEDDING}/packs/") == [PACK, OTHER]
    assert names_in(room.store, "config/") == []


def test_a_delete_takes_every_copy_and_what_the_catalog_says(room: Room) -> None:
    for tier in ("hot", "warm", "cold"):
        room.lay(tier)
    room.store.delete(PACK)
    assert [names_in(store) for store in room.tiers.values()] == [[], [], []]
    assert room.states() == {}
    with pytest.raises(NotFound):
        room.store.delete(PACK)


def test_a_delete_that_a_tier_refuses_leaves_the_fastest_copy(room: Room) -> None:
    for tier in ("hot", "warm", "cold"):
        room.lay(tier)
    room.tiers["warm"].close()
    with pytest.raises(Unavailable):
        room.store.delete(PACK)
    assert room.read() == DATA
    assert room.states() == {"hot/home": "good", "warm/home": "good"}

"""The stack: one place costs nothing more than its meter; several are tiers over one catalog."""

from __future__ import annotations

from pathlib import Path

import msgspec
import pytest
from blake3 import blake3

from engine.base.clock import FakeClock
from engine.base.errors import NotFound, UsageError
from engine.contract.caching import CacheSettings
from engine.contract.regions import RegionSettings, ReplicationSettings
from engine.contract.tiers import TIERS, TierSettings, TiersSettings
from engine.storage.distance import Whereabouts
from engine.storage.healqueue import HealQueue
from engine.storage.locations import Copy, Locations, pack_name
from engine.storage.stack import Regions, Wanted, build_stack
from engine.storage.stores.metered import Meter, MeteredStore
from engine.storage.tiered import TieredStore
from tests.suites.object_store import publish

PACK = pack_name("0a" * 16, b"\x01" * 32)


def _wanted(tmp_path: Path, tiers: TiersSettings, locations: Locations | None = None) -> Wanted:
    def opened() -> Locations:
        assert locations is not None, "no catalog is opened for one place"
        return locations

    clock = FakeClock()
    return Wanted(f"file://{tmp_path}/hot", tiers, {tier: Meter(clock) for tier in TIERS}, opened, clock)


def test_one_place_is_its_metered_store_and_no_catalog_is_opened(tmp_path: Path) -> None:
    stack = build_stack(_wanted(tmp_path, TiersSettings()), create=True)
    assert isinstance(stack.store, MeteredStore)
    assert list(stack.tiers) == ["hot"]
    assert list(stack.places) == ["hot/home"]
    stack.store.close()


def test_several_tiers_have_a_meter_each_and_one_catalog(tmp_path: Path) -> None:
    locations = Locations(None)
    wanted = _wanted(tmp_path, TiersSettings(cold=TierSettings(url=f"file://{tmp_path}/cold")), locations)
    stack = build_stack(wanted, create=True)
    assert isinstance(stack.store, TieredStore)
    assert list(stack.places) == ["hot/home", "cold/home"]
    publish(stack.tiers["cold"], PACK, b"x" * 4096)
    assert stack.store.get(PACK, limit_bytes=4096) == b"x" * 4096
    assert [copy.place for copy in locations.copies(PACK)] == ["cold/home"]
    assert (wanted.meters["cold"].bytes_written, wanted.meters["cold"].bytes_read) == (4096, 4096)
    assert wanted.meters["hot"].bytes_written == 0
    stack.store.close()
    locations.close()


def test_warm_and_cold_are_read_through_one_cache_whose_hits_no_meter_counts(tmp_path: Path) -> None:
    locations = Locations(None)
    tiers = TiersSettings(warm=TierSettings(url=f"file://{tmp_path}/warm"), cold=TierSettings(url="memory://"))
    wanted = msgspec.structs.replace(_wanted(tmp_path, tiers, locations), cache_folder=tmp_path / "cache")
    stack = build_stack(wanted, create=True)
    publish(stack.tiers["warm"], PACK, b"x" * 8192)
    for _ in range(3):
        buffer = bytearray(4096)
        stack.store.read_into(PACK, 0, memoryview(buffer))
        assert buffer == b"x" * 4096
    assert wanted.meters["warm"].bytes_read == 4096
    assert (stack.cached["warm"].figures().memory_hits, stack.cached["cold"].figures().misses) == (2, 0)
    assert sorted(path.name for path in (tmp_path / "cache").iterdir()) == ["blocks", "records"]
    stack.store.delete(PACK)
    with pytest.raises(NotFound):
        stack.store.read_into(PACK, 0, memoryview(bytearray(1)))
    stack.close()
    locations.close()


@pytest.mark.parametrize(("bound_to", "kept"), [((), True), (("eu-west",), True), (("us-east",), False)])
def test_a_wedding_that_is_bound_to_other_regions_is_not_cached_here(
    tmp_path: Path, bound_to: tuple[str, ...], kept: bool
) -> None:
    locations = Locations(None)
    regions = tuple(
        RegionSettings(name=name, hot=f"memory://hot-{name}-{tmp_path}", warm=f"memory://warm-{name}-{tmp_path}")
        for name in ("eu-west", "us-east")
    )
    wanted = msgspec.structs.replace(
        _wanted(tmp_path, TiersSettings(), locations),
        cache=CacheSettings(region="eu-west"),
        regional=Regions(
            regions, ReplicationSettings(), lambda _: Whereabouts(regions=bound_to), lambda _: HealQueue(None)
        ),
    )
    stack = build_stack(wanted, create=True)
    publish(stack.tiers["warm"], PACK, b"x" * 4096)
    stack.cached["warm"].read_into(PACK, 0, memoryview(bytearray(4096)))
    assert stack.cache is not None
    assert (stack.cache.peek((PACK, 0)) is not None) == kept
    stack.close()
    locations.close()


def test_what_another_engine_has_moved_is_read_on_and_the_rest_of_its_wedding_is_learned(tmp_path: Path) -> None:
    catalogs = Locations(None), Locations(None)
    tiers = TiersSettings(warm=TierSettings(url=f"file://{tmp_path}/warm"))
    mine, other = (build_stack(_wanted(tmp_path, tiers, each), create=True) for each in catalogs)
    packs = [pack_name("0a" * 16, bytes([number]) * 32) for number in range(2)]
    for name in packs:
        publish(mine.store, name, b"x" * 4096)
        catalogs[0].record(name, Copy("hot/home", 4096))  # written long ago
        publish(other.tiers["warm"], name, b"x" * 4096)
        other.tiers["hot"].delete(name)
    assert mine.store.get(packs[0], limit_bytes=4096) == b"x" * 4096
    assert [[(copy.place, copy.state) for copy in catalogs[0].copies(name)] for name in packs] == [
        [("hot/home", "missing"), ("warm/home", "good")]
    ] * 2
    for stack, catalog in zip((mine, other), catalogs, strict=True):
        stack.close()
        catalog.close()


def test_what_a_region_that_only_adds_keeps_of_the_deleted_is_not_listed_as_a_copy(tmp_path: Path) -> None:
    locations = Locations(None)
    regions = tuple(
        RegionSettings(name=name, hot=f"memory://{name}-{tmp_path}", append_only=name == "gamma")
        for name in ("alpha", "beta", "gamma")
    )
    named = Regions(regions, ReplicationSettings(), lambda _: Whereabouts(), lambda _: HealQueue(None))
    wanted = msgspec.structs.replace(_wanted(tmp_path, TiersSettings(), locations), regional=named)
    stack = build_stack(wanted, create=True)
    kept, gone = (pack_name("0a" * 16, blake3(bytes([number]) * 4096).digest()) for number in range(2))
    for number, name in enumerate((kept, gone)):
        publish(stack.store, name, bytes([number]) * 4096)
    assert stack.replicated["hot"].shared.queue.is_quiet(30.0)
    stack.store.delete(gone)
    assert {info.name for info in stack.places["hot/gamma"].list("weddings/")} == {kept, gone}
    assert [info.name for info in stack.listed("hot/gamma", "weddings/")] == [kept]
    stack.close()
    locations.close()


@pytest.mark.parametrize(("memory", "disk"), [("0", "0"), ("0", "1KiB")])
def test_a_cache_without_room_is_none(tmp_path: Path, memory: str, disk: str) -> None:
    locations = Locations(None)
    tiers = TiersSettings(warm=TierSettings(url="memory://"))
    wanted = msgspec.structs.replace(
        _wanted(tmp_path, tiers, locations), cache=CacheSettings(memory=memory, disk=disk), cache_folder=tmp_path
    )
    stack = build_stack(wanted, create=True)
    assert stack.cache is None
    stack.close()
    locations.close()


def test_a_tier_that_cannot_be_opened_leaves_nothing_open(tmp_path: Path) -> None:
    locations = Locations(None)
    with pytest.raises(UsageError):
        build_stack(_wanted(tmp_path, TiersSettings(warm=TierSettings(url="ftp://x")), locations), create=True)
    locations.close()

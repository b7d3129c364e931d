"""The stack: one place costs nothing more than its meter; several are tiers over one catalog."""

from __future__ import annotations

from pathlib import Path

import pytest

from engine.base.clock import FakeClock
from engine.base.errors import UsageError
from engine.contract.tiers import TIERS, TierSettings, TiersSettings
from engine.storage.locations import Locations, pack_name
from engine.storage.stack import Wanted, build_stack
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


def test_a_tier_that_cannot_be_opened_leaves_nothing_open(tmp_path: Path) -> None:
    locations = Locations(None)
    with pytest.raises(UsageError):
        build_stack(_wanted(tmp_path, TiersSettings(warm=TierSettings(url="ftp://x")), locations), create=True)
    locations.close()

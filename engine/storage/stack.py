"""The stack of stores that settings ask for. The one place that knows how the layers stand on each other.

From the outside in: tiers; in each tier its meter; below that the store of each place. With one place there is just its
metered store, and no catalog is asked for anything.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping

import msgspec

from engine.base.clock import Clock
from engine.contract.tiers import TIERS, Tier, TiersSettings, place_of
from engine.storage.locations import Locations
from engine.storage.placed import PlacedStore
from engine.storage.stores.metered import Meter, MeteredStore
from engine.storage.stores.open import open_store
from engine.storage.stores.store import ObjectStore
from engine.storage.tiered import TieredStore


class Stack(msgspec.Struct, frozen=True):
    """The stores of a repository. `store` is what the repository stands on; closing it closes all of them."""

    store: ObjectStore
    tiers: Mapping[Tier, ObjectStore]  # those that are there, hot first; bytes are counted by tier
    places: Mapping[str, ObjectStore]  # place → its own store: for who looks at one copy


class Wanted(msgspec.Struct, frozen=True):
    """What a stack is built from."""

    hot_url: str
    tiers: TiersSettings
    meters: Mapping[Tier, Meter]
    locations: Callable[[], Locations]  # opened when there are several places; the home's
    clock: Clock


def build_stack(wanted: Wanted, *, create: bool) -> Stack:
    """Open every store. `create`: make what is missing of hot; warm and cold are made wherever hot is.

    Raises UsageError, NotFound, NotPermitted, LimitReached, Unavailable; then nothing stays open.
    """
    hot = open_store(wanted.hot_url, create=create)
    urls = {tier: wanted.tiers.of(tier).url for tier in TIERS if tier != "hot" and wanted.tiers.of(tier).url}
    if not urls:
        metered = MeteredStore(hot, wanted.meters["hot"])
        return Stack(metered, {"hot": metered}, {place_of("hot"): hot})
    opened: dict[Tier, ObjectStore] = {"hot": hot}
    try:
        locations = wanted.locations()
        for tier, url in urls.items():
            opened[tier] = open_store(url, create=True)
    except BaseException:
        for store in opened.values():
            store.close()
        raise
    placed = {tier: PlacedStore(store, place_of(tier), locations, wanted.clock) for tier, store in opened.items()}
    tiers = {tier: MeteredStore(store, wanted.meters[tier]) for tier, store in placed.items()}
    return Stack(TieredStore(tiers, locations), tiers, {store.place: store for store in placed.values()})

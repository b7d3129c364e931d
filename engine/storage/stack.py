"""The stack of stores that settings ask for. The one place that knows how the layers stand on each other.

From the outside in: tiers; in warm and cold the read cache; in each tier its meter, which counts what the cache did not
spare; below that the store of each place, or, where regions are named, the replicated store over those of the tier.
With one place there is just its metered store, and no catalog is asked for anything.
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterator, Mapping
from contextlib import suppress
from functools import partial
from pathlib import Path

import msgspec

from engine.base.clock import Clock
from engine.base.errors import NotFound, Unavailable, WedSyncError
from engine.base.units import parse_bytes
from engine.contract.caching import CacheSettings
from engine.contract.regions import RegionSettings, ReplicationSettings
from engine.contract.tiers import TIERS, Tier, TiersSettings, place_of, tier_of
from engine.storage.cache.blocks import MemoryBlocks
from engine.storage.cache.slots import open_disk_blocks
from engine.storage.cached import BlockCache, CachedStore
from engine.storage.distance import WhereaboutsOf, placing, wedding_of
from engine.storage.healqueue import HealQueue
from engine.storage.known import KnownStores
from engine.storage.locations import Locations, packs_of
from engine.storage.placed import PlacedStore
from engine.storage.recheck import Rechecker
from engine.storage.region import Region
from engine.storage.regional import RegionalStore, noting_in
from engine.storage.replicas import ReplicatedStore
from engine.storage.replication import Policy, Replication
from engine.storage.stores.metered import Meter, MeteredStore
from engine.storage.stores.open import check_url, folder_of, open_store
from engine.storage.stores.store import ObjectInfo, ObjectStore
from engine.storage.tiered import Learn, TieredStore, ignore_moved

_LOG = logging.getLogger(__name__)
_BAD_MAX = 100_000  # copies that are known to be damaged


class Stack(msgspec.Struct, frozen=True):
    """The stores of a repository. `store` is what the repository stands on; closing it closes all of them."""

    store: ObjectStore
    tiers: Mapping[Tier, ObjectStore]  # those that are there, hot first; bytes are counted by tier
    places: Mapping[str, ObjectStore]  # place → its own store: for who looks at one copy
    cache: BlockCache | None = None  # in front of warm and cold, for what the repository reads
    cached: Mapping[Tier, CachedStore] = {}
    replicated: Mapping[Tier, ReplicatedStore] = {}  # where regions are named
    recheck: Callable[[str], bool] | None = None  # see `Rechecker.recheck`; None: there is one copy of everything
    verified: Callable[[str], None] | None = None  # a pack was read whole, and is good: the catalog remembers
    learn: Learn = ignore_moved  # take in where a wedding's packs lie by now, whoever moved them; blocks

    def listed(self, place: str, prefix: str) -> Iterator[ObjectInfo]:
        """What lies in a place below a folder, but for what its tier knows to be deleted. Raises Unavailable."""
        return _shown(self.tiers[tier_of(place)], self.places[place], prefix)

    def close(self) -> None:
        """Close every store, and the cache."""
        self.store.close()
        if self.cache is not None:
            self.cache.close()


class Regions(msgspec.Struct, frozen=True):
    """The regions that are named, and what their stores are built from."""

    regions: tuple[RegionSettings, ...]
    replication: ReplicationSettings
    whereabouts: WhereaboutsOf
    queue: Callable[[Tier], HealQueue]


class Wanted(msgspec.Struct, frozen=True):
    """What a stack is built from."""

    hot_url: str
    tiers: TiersSettings
    meters: Mapping[Tier, Meter]
    locations: Callable[[], Locations]  # opened when there are several places; the home's
    clock: Clock
    known: KnownStores = msgspec.field(default_factory=lambda: KnownStores(None))
    cache: CacheSettings = CacheSettings()
    cache_folder: Path | None = None  # None: the home cannot be written
    regional: Regions | None = None


def build_stack(wanted: Wanted, *, create: bool) -> Stack:
    """Open every store. `create`: make what is missing of hot; warm and cold are made wherever hot is.

    Raises UsageError, NotFound, NotPermitted, LimitReached, Unavailable; then nothing stays open.
    """
    if wanted.regional is not None:
        return _regional_stack(wanted, wanted.regional, create=create)
    hot = open_store(wanted.hot_url, create=create)
    urls = {tier: wanted.tiers.of(tier).url for tier in TIERS if tier != "hot" and wanted.tiers.of(tier).url}
    if not urls:
        metered = MeteredStore(hot, wanted.meters["hot"])
        return Stack(metered, {"hot": metered}, {place_of("hot"): hot})
    opened: dict[Tier, ObjectStore] = {"hot": hot}
    try:
        locations = wanted.locations()
        for tier, url in urls.items():
            opened[tier] = _opened_tier(wanted, tier, url)
    except BaseException:
        for store in opened.values():
            store.close()
        raise
    placed = {tier: PlacedStore(store, place_of(tier), locations, wanted.clock) for tier, store in opened.items()}
    tiers = {tier: MeteredStore(store, wanted.meters[tier]) for tier, store in placed.items()}
    places = {store.place: store for store in placed.values()}
    return _cached_stack(wanted, tiers, places, locations)


def _cached_stack(
    wanted: Wanted, tiers: Mapping[Tier, ObjectStore], places: Mapping[str, ObjectStore], locations: Locations
) -> Stack:
    """Several tiers, with the cache in front of the slow ones."""
    cache = _open_cache(wanted)
    cached: dict[Tier, CachedStore] = {}
    if cache is not None:
        cached = {
            tier: CachedStore(store, cache, wanted.clock, may_keep=_keeping(wanted))
            for tier, store in tiers.items()
            if tier != "hot"
        }
    rechecker = Rechecker(places, locations, wanted.clock)
    learn = partial(_learn, tiers, places, locations, wanted.clock)
    store = TieredStore({**tiers, **cached}, locations, learn)
    return Stack(
        store, tiers, places, cache, cached, recheck=rechecker.recheck, verified=rechecker.verified, learn=learn
    )


def _learn(
    tiers: Mapping[Tier, ObjectStore],
    places: Mapping[str, ObjectStore],
    locations: Locations,
    clock: Clock,
    wedding_id: str,
) -> None:
    """Take in what each place that answers holds of a wedding, but for what its tier knows to be deleted."""
    folder = packs_of(wedding_id)
    for place, store in places.items():
        begun_ns = clock.now_ns()
        try:
            listing = list(_shown(tiers[tier_of(place)], store, folder))
            locations.rebuild_wedding(place, wedding_id, listing, begun_ns=begun_ns)
        except WedSyncError as error:  # what is known of it stays
            _LOG.info("the packs in %s could not be listed: %s", place, error.line(), extra={"wedding": wedding_id})


def _shown(tier: ObjectStore, place: ObjectStore, prefix: str) -> Iterator[ObjectInfo]:
    """A region that only adds keeps what is deleted: its listing, without what its tier does not show."""
    shown = (info.name for info in tier.list(prefix))
    ahead = next(shown, None)
    for info in place.list(prefix):
        while ahead is not None and ahead < info.name:
            ahead = next(shown, None)
        if ahead == info.name:
            yield info


def _regional_stack(wanted: Wanted, named: Regions, *, create: bool) -> Stack:
    """Each tier over its regions, whose stores are opened when they are first used: one that is away stops nobody."""
    if not create and not any(_may_stand(each.url("hot"), wanted.known) for each in named.regions):
        raise NotFound("there is no store in any region", "run init to make them")
    for each in named.regions:
        for url in filter(None, map(each.url, TIERS)):
            check_url(url)
    locations = wanted.locations()
    bad = locations.in_state("bad", _BAD_MAX)
    replicated: dict[Tier, ReplicatedStore] = {}
    places: dict[str, ObjectStore] = {}
    for tier in TIERS:
        here = [each for each in named.regions if each.url(tier)]
        if not here:
            continue
        regions = [
            Region(
                each.name,
                _opener(wanted, place_of(tier, each.name), each.url(tier), create=create or tier != "hot"),
                wanted.clock,
                append_only=each.append_only,
            )
            for each in here
        ]
        policy = Policy(named.replication.copies, named.replication.quorum)
        place = placing(here, named.whereabouts)
        shared = Replication(regions, place, named.queue(tier), wanted.clock, policy=policy)
        by_place = {place_of(tier, region.name): region.name for region in regions}
        shared.note = noting_in(locations, {region: place for place, region in by_place.items()}, wanted.clock)
        for name, copy in bad:
            if copy.place in by_place:
                shared.remember_bad(name, by_place[copy.place])
        replicated[tier] = ReplicatedStore(shared)
        places |= {place_of(tier, region.name): RegionalStore(region) for region in regions}
    tiers = {tier: MeteredStore(store, wanted.meters[tier]) for tier, store in replicated.items()}
    stores = list(replicated.values())

    def recheck(name: str) -> bool:
        return any(store.recheck(name) for store in stores)

    def verified(name: str) -> None:
        for store in stores:
            store.verified(name)

    alone = Stack(tiers["hot"], tiers, places)
    stack = alone if list(tiers) == ["hot"] else _cached_stack(wanted, tiers, places, locations)
    return msgspec.structs.replace(stack, replicated=replicated, recheck=recheck, verified=verified)


def _may_stand(url: str, known: KnownStores) -> bool:
    """Whether there is a store; one that does not answer, or is not mounted, may be."""
    if known.is_known(url):
        return True
    try:
        open_store(url, create=False).close()
    except NotFound:
        return False
    except WedSyncError:
        return True
    return True


def _opened_tier(wanted: Wanted, tier: Tier, url: str) -> ObjectStore:
    """The store of warm or cold: opened when it is first used, so that one that is away stops no backup.

    What is wrong with its URL is told at the start, and a folder is looked for then.
    """
    check_url(url)
    if not url.startswith("s3://") and folder_of(url) is None:
        return open_store(url, create=True)
    store = RegionalStore(Region(tier, _opener(wanted, place_of(tier), url, create=True), wanted.clock), owns=True)
    if not url.startswith("s3://"):
        with suppress(Unavailable):
            store.folders("")
    return store


def _opener(wanted: Wanted, place: str, url: str, *, create: bool) -> Callable[[], ObjectStore]:
    def holds() -> bool:
        return place in wanted.locations().totals()

    return lambda: wanted.known.open(url, create=create, holds=holds)


def _keeping(wanted: Wanted) -> Callable[[str], bool] | None:
    """Whether parts of an object may be cached here; None: of every object. A wedding may be bound to regions."""
    if wanted.regional is None:
        return None
    whereabouts = wanted.regional.whereabouts

    def may_keep(name: str) -> bool:
        wedding_id = wedding_of(name)
        bound = whereabouts(wedding_id).regions if wedding_id is not None else ()
        return not bound or wanted.cache.region in bound

    return may_keep


def _open_cache(wanted: Wanted) -> BlockCache | None:
    """The cache that settings ask for; None where they ask for none."""
    memory_bytes, disk_bytes = parse_bytes(wanted.cache.memory), parse_bytes(wanted.cache.disk)
    disk = open_disk_blocks(wanted.cache_folder, disk_bytes) if wanted.cache_folder and disk_bytes else None
    if not memory_bytes and disk is None:
        return None
    return BlockCache(MemoryBlocks(memory_bytes), disk)

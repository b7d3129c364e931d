"""The read cache and the ways to the stores, as they are shown. Engine loop only."""

from __future__ import annotations

import msgspec

from engine.contract.status import CachedTierRow, CacheStatus, EndpointRow
from engine.contract.tiers import Tier
from engine.operations.streams import percentiles_of
from engine.storage.cached import CachedStore
from engine.storage.stack import Stack


def cache_of(stack: Stack | None) -> CacheStatus | None:
    """The cache in front of the slow tiers; None where there is none."""
    if stack is None or stack.cache is None:
        return None
    memory, disk = stack.cache.memory, stack.cache.disk
    return CacheStatus(
        memory_bytes=memory.used_bytes,
        memory_capacity_bytes=memory.capacity_bytes,
        disk_bytes=disk.used_bytes if disk is not None else 0,
        disk_capacity_bytes=disk.capacity_bytes if disk is not None else 0,
        tiers=tuple(_row(tier, store) for tier, store in stack.cached.items()),
    )


def endpoints_of(stack: Stack | None) -> tuple[EndpointRow, ...]:
    """The ways to every store that lies in a bucket."""
    found: list[EndpointRow] = []
    for place, store in stack.places.items() if stack is not None else ():
        ways: tuple[EndpointRow, ...] = getattr(store, "endpoints", tuple)()
        found += [msgspec.structs.replace(way, place=place) for way in ways]
    return tuple(found)


def _row(tier: Tier, store: CachedStore) -> CachedTierRow:
    figures = store.figures()
    hits = figures.memory_hits + figures.disk_hits
    return CachedTierRow(
        tier=tier,
        memory_hits=figures.memory_hits,
        disk_hits=figures.disk_hits,
        misses=figures.misses,
        hit_rate=hits / (hits + figures.misses) if hits else 0.0,
        memory=percentiles_of(figures.memory),
        disk=percentiles_of(figures.disk),
        store=percentiles_of(figures.store),
    )

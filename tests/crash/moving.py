"""A move of packs between two stores on disks, killed at every change to either, with and without a power cut.

Runs in the child and in the test. In: a folder with `stores/hot`, `stores/warm` and the copy catalog of a home. Out:
the same, wherever the child died; what is found must be readable, and the move must go on from there.
"""

from __future__ import annotations

import mmap
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from blake3 import blake3

from engine.base.clock import SystemClock
from engine.contract.tiers import Tier, place_of
from engine.storage.locations import Locations, pack_name
from engine.storage.moving import Mover, move_of
from engine.storage.placed import PlacedStore
from engine.storage.placement import Goal
from engine.storage.stack import Stack
from engine.storage.stores.local import LocalStore
from engine.storage.stores.metered import Meter
from engine.storage.stores.store import ObjectStore
from engine.storage.tiered import TieredStore
from tests.crash.seam import Cut, Seam
from tests.suites.object_store import pattern, publish

TIERS: tuple[Tier, ...] = ("hot", "warm")
PACKS = {pack_name("0a" * 16, blake3(data).digest()): data for data in (pattern(8192),)}


@dataclass(frozen=True)
class Ground:
    """Where one trial lies."""

    folder: Path

    @property
    def stores(self) -> Path:
        """Both stores."""
        return self.folder / "stores"

    @property
    def logs(self) -> Path:
        """What the seam has seen."""
        return self.folder / "logs"


@contextmanager
def opened(ground: Ground, *, catalog: bool = True) -> Iterator[tuple[Stack, Locations]]:
    """The tiers of a trial and their catalog; or (`catalog` False) a new one that listings have told."""
    locations = Locations(ground.folder / "copies.db" if catalog else None)
    clock = SystemClock()
    local = {tier: LocalStore(ground.stores / tier, create=True, direct_io=False) for tier in TIERS}
    placed: dict[Tier, ObjectStore] = {
        tier: PlacedStore(store, place_of(tier), locations, clock) for tier, store in local.items()
    }
    store = TieredStore(placed, locations)
    places = {place_of(tier): each for tier, each in placed.items()}
    try:
        for place, each in places.items() if not catalog else ():
            locations.rebuild(place, each.list("weddings/"), begun_ns=clock.now_ns())
        yield Stack(store, placed, places), locations
    finally:
        store.close()
        locations.close()


def prepare(ground: Ground) -> None:
    """Packs in hot, none in warm."""
    with opened(ground) as (stack, _):
        for name, data in PACKS.items():
            publish(stack.store, name, data)


def move_all(ground: Ground, *, catalog: bool = True) -> None:
    """Every pack from hot to warm."""
    with opened(ground, catalog=catalog) as (stack, locations):
        clock = SystemClock()
        mover = Mover(stack, locations, meters={tier: Meter(clock) for tier in TIERS}, clock=clock)
        buffer = memoryview(mmap.mmap(-1, 1 << 20))
        for name, data in PACKS.items():
            move = move_of(name, len(data), locations.copies(name), Goal("warm", "it is time"))
            if move is not None:
                mover.copy(move, buffer)
                assert mover.drop(move)


def carry_out(ground: Ground, cut: Cut) -> None:
    """Child: the moves behind the seam, dying at `cut`."""
    ground.logs.mkdir(exist_ok=True)
    Seam(ground.stores, ground.logs, cut)
    move_all(ground)


def examine(ground: Ground, *, catalog: bool) -> None:
    """Every pack is readable, and the moves come to their end."""
    with opened(ground, catalog=catalog) as (stack, _):
        for name, data in PACKS.items():
            assert stack.store.get(name, limit_bytes=len(data)) == data
    move_all(ground, catalog=catalog)
    for name, data in PACKS.items():
        assert (ground.stores / "warm" / name).read_bytes() == data
        assert not (ground.stores / "hot" / name).exists()

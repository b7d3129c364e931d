"""A house for packs on their way: tiers in memory that outlive each process in it, and what can befall them.

Processes die before any deed, media rot and lose copies, an archive is read only once it was recalled.
"""

from __future__ import annotations

import mmap
from collections.abc import Callable
from concurrent.futures import Future

from blake3 import blake3

from engine.base.clock import FakeClock
from engine.base.errors import Unavailable
from engine.contract.tiers import TIERS, Tier, place_of
from engine.storage.locations import Locations, pack_name
from engine.storage.moving import Move, Mover, move_of
from engine.storage.placed import PlacedStore
from engine.storage.placement import Goal
from engine.storage.recheck import Rechecker
from engine.storage.stack import Stack
from engine.storage.stores.forwarding import ForwardingStage, ForwardingStore
from engine.storage.stores.memory import MemoryObjects, MemoryStore
from engine.storage.stores.metered import Meter, MeteredStore
from engine.storage.stores.store import ObjectInfo, ObjectStore, StagedObject
from engine.storage.tiered import TieredStore
from tests.suites.object_store import publish

WEDDING = "0a" * 16


class Killed(BaseException):
    """The process is gone, just before something would have been done."""


class Frail(ForwardingStore):
    """A memory store that dies before its n-th deed from now, and reads nothing that is archived and not recalled."""

    def __init__(self, objects: MemoryObjects, fuse: list[int], archived: set[str], rot: list[MemoryObjects]) -> None:
        super().__init__(MemoryStore(objects))
        self._objects = objects
        self._rot = rot
        self._fuse = fuse
        self._archived = archived

    def _burn(self) -> None:
        if self._fuse:
            self._fuse[0] -= 1
            if self._fuse[0] < 0:
                raise Killed

    def _refuse_archived(self, name: str) -> None:
        if name in self._archived:
            raise Unavailable(f"{name} lies in an archive class")

    def put(self, name: str, data: bytes) -> None:
        self._burn()
        super().put(name, data)

    def stage(self) -> StagedObject:
        self._burn()
        return _FrailStage(super().stage(), self._burn, self._rotten)

    def _rotten(self, name: str) -> None:
        """What was just published is no longer what it was, if this medium is to rot."""
        if self._objects in self._rot:
            self._rot.clear()
            spoil(self._objects, name)

    def get(self, name: str, *, limit_bytes: int) -> bytes:
        self._burn()
        self._refuse_archived(name)
        return super().get(name, limit_bytes=limit_bytes)

    def read_into(self, name: str, offset: int, buffer: memoryview) -> None:
        self._burn()
        self._refuse_archived(name)
        super().read_into(name, offset, buffer)

    def stat(self, name: str) -> ObjectInfo:
        self._burn()
        return super().stat(name)

    def delete(self, name: str) -> None:
        self._burn()
        super().delete(name)
        self._archived.discard(name)


class _FrailStage(ForwardingStage):
    def __init__(self, staged: StagedObject, burn: Callable[[], None], rotten: Callable[[str], None]) -> None:
        super().__init__(staged)
        self._burn = burn
        self._rotten = rotten

    def append(self, data: memoryview) -> None:
        self._burn()
        super().append(data)

    def publish(self, name: str) -> Future[None]:
        self._burn()
        published = super().publish(name)
        self._rotten(name)
        return published


def spoil(objects: MemoryObjects, name: str) -> None:
    """Turn one bit of an object."""
    data = bytearray(objects.find(name)[0])
    data[len(data) // 2] ^= 1
    objects.remove(name)
    objects.add(name, bytes(data), 1)


class Archive:
    """Takes packs into the archive class of a frail store."""

    def __init__(self, archived: set[str]) -> None:
        self._archived = archived

    def archive(self, name: str) -> None:
        self._archived.add(name)


class House:
    """Media that outlive every process, and the parts of one process over them."""

    def __init__(self) -> None:
        self.media: dict[Tier, MemoryObjects] = {tier: MemoryObjects() for tier in TIERS}
        self.archived: set[str] = set()
        self.locations = Locations(None)
        self.fuse: list[int] = []
        self.rot: list[MemoryObjects] = []
        self.buffer = memoryview(mmap.mmap(-1, 1 << 20))
        self.clock = FakeClock()
        self.clock.advance(5)
        self.start()

    def start(self) -> None:
        """A new process: what it had in memory is gone, the catalog's file is not."""
        self.fuse.clear()
        stores = {tier: Frail(self.media[tier], self.fuse, self._archived_in(tier), self.rot) for tier in TIERS}
        placed = {tier: PlacedStore(stores[tier], place_of(tier), self.locations, self.clock) for tier in TIERS}
        meters = {tier: Meter(self.clock) for tier in TIERS}
        tiers: dict[Tier, ObjectStore] = {tier: MeteredStore(placed[tier], meters[tier]) for tier in TIERS}
        places: dict[str, ObjectStore] = {each.place: each for each in placed.values()}
        self.store = TieredStore(tiers, self.locations)
        self.rechecker = Rechecker(places, self.locations, self.clock)
        archives: dict[Tier, Archive] = {"cold": Archive(self.archived)}
        stack = Stack(self.store, tiers, places, recheck=self.rechecker.recheck)
        self.mover = Mover(stack, self.locations, meters=meters, clock=self.clock, archives=archives)

    def _archived_in(self, tier: Tier) -> set[str]:
        return self.archived if tier == "cold" else set()

    def put(self, data: bytes) -> str:
        name = pack_name(WEDDING, blake3(data).digest())
        publish(self.store, name, data)
        return name

    def move(self, name: str, size_bytes: int, target: Tier) -> Move | None:
        return move_of(name, size_bytes, self.locations.copies(name), Goal(target, "it is time"))

    def migrate(self, name: str, size_bytes: int, target: Tier) -> None:
        move = self.move(name, size_bytes, target)
        if move is not None:
            self.mover.copy(move, self.buffer)
            self.mover.drop(move)

    def read(self, name: str, size_bytes: int) -> bytes:
        """As a restore reads: what is wrong is found above the store, which is then told to look at its copies."""
        buffer = bytearray(size_bytes)
        self.store.read_into(name, 0, memoryview(buffer))
        if not is_right(name, bytes(buffer)) and self.rechecker.recheck(name):
            self.store.read_into(name, 0, memoryview(buffer))
        return bytes(buffer)

    def standing(self, name: str) -> dict[Tier, bytes]:
        """The copies that stand, whatever anybody says of them."""
        found: dict[Tier, bytes] = {}
        for tier, medium in self.media.items():
            if name in medium.names():
                found[tier] = medium.find(name)[0]
        return found

    def lose(self, name: str, tier: Tier) -> None:
        self.media[tier].remove(name)

    def spoil(self, name: str, tier: Tier) -> None:
        spoil(self.media[tier], name)

    def rebuild(self) -> None:
        """The catalog is lost; listings tell it again."""
        self.locations = Locations(None)
        self.start()
        for tier, medium in self.media.items():
            listing = list(MemoryStore(medium).list("weddings/"))
            self.locations.rebuild(place_of(tier), listing, begun_ns=self.clock.now_ns())


def is_right(name: str, data: bytes) -> bool:
    """Whether a pack is what its name says."""
    return blake3(data).hexdigest() == name.rpartition("/")[2]

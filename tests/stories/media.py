"""What outlives every process of a story: the media of its regions and tiers, and what befalls them.

A process reaches its media through `Frail` stores: a region may be away, one that only adds refuses to delete, what is
archived is read only once it was recalled, and a process that is killed does nothing more from some call on. The
threads of regions are done without (`Inline`), so that a story is told in the same way each time.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures import Future
from typing import TypeVar

from blake3 import blake3

from engine.base.clock import FakeClock
from engine.base.errors import NotFound, NotPermitted, Unavailable
from engine.contract.tiers import Tier, place_of
from engine.storage.recall.driver import Offer, RecallState, Standing
from engine.storage.replication import is_pack_name
from engine.storage.stores.forwarding import ForwardingStage, ForwardingStore
from engine.storage.stores.memory import MemoryObjects, MemoryStore
from engine.storage.stores.store import ObjectInfo, Space, StagedObject
from tests.engine.pipeline.prune_world import Killed

RECALL_S = 60.0
RECALLED_S = 3 * 86_400.0
T = TypeVar("T")


class Fuse:
    """How many calls of its stores a process lives on; None: as long as it likes."""

    def __init__(self) -> None:
        self.left: int | None = None
        self.is_blown = False

    def burn(self) -> None:
        """One call. Raises Killed when there are no more."""
        if self.left is not None and not self.is_blown:
            self.left -= 1
            self.is_blown = self.left < 0
        if self.is_blown:
            raise Killed


class Media:
    """The media of a house by their places, as hot/alpha."""

    def __init__(self, clock: FakeClock, places: Sequence[str], append_only: str = "") -> None:
        self.clock = clock
        self.objects = {place: MemoryObjects() for place in places}
        self.append_only = append_only
        self.away = ""  # a region
        self.fuses: dict[int, Fuse] = {}  # by process
        self.archived: dict[str, float] = {}  # pack → until when it can be read all the same, having been recalled
        self.coming: dict[str, float] = {}  # pack → when it will have been recalled

    def open_store(self, url: str, *, create: bool) -> Frail:
        """The store at `memory://PROCESS/TIER/REGION`: what the stack of a process opens."""
        number, _, place = url.removeprefix("memory://").partition("/")
        return Frail(self, place, self.fuses[int(number)])

    def good(self, name: str) -> list[str]:
        """The places that hold a pack as its name says."""
        return [
            place
            for place, objects in self.objects.items()
            if holds(objects, name) and blake3(objects.find(name)[0]).hexdigest() == name.rpartition("/")[2]
        ]

    def packs(self) -> list[str]:
        """All packs that lie anywhere."""
        return sorted({name for objects in self.objects.values() for name in objects.names() if is_pack_name(name)})

    def is_readable(self, name: str) -> bool:
        """Whether a pack in cold can be read now."""
        until_s = self.archived.get(name)
        return until_s is None or self.clock.monotonic_s() < until_s

    def damage(self, name: str, place: str, *, rots: bool) -> None:
        """A copy is lost, or one bit of it turns over."""
        data = bytearray(self.objects[place].find(name)[0])
        self.objects[place].remove(name)
        if rots:
            data[len(data) // 2] ^= 1
            self.objects[place].add(name, bytes(data), self.clock.now_ns())


class Robot:
    """The recall driver of cold: what is archived comes a minute after it was asked for, and stays for three days."""

    offers = (Offer("", RECALL_S),)

    def __init__(self, media: Media) -> None:
        self._media = media

    def request(self, names: Sequence[str], *, speed: str, days: int) -> None:
        """See `RecallDriver.request`."""
        for name in names:
            if not self._media.is_readable(name):
                self._media.coming.setdefault(name, self._media.clock.monotonic_s() + RECALL_S)

    def standing(self, names: Sequence[str]) -> Mapping[str, Standing]:
        """See `RecallDriver.standing`."""
        media, now_s = self._media, self._media.clock.monotonic_s()
        for name, when_s in list(media.coming.items()):
            if now_s >= when_s:
                del media.coming[name]
                media.archived[name] = now_s + RECALLED_S
        cold = [objects for place, objects in media.objects.items() if place.startswith("cold/")]
        return {name: Standing(self._state(name)) for name in names if any(holds(objects, name) for objects in cold)}

    def _state(self, name: str) -> RecallState:
        if self._media.is_readable(name):
            return "readable"
        return "coming" if name in self._media.coming else "archived"

    def archive(self, name: str) -> None:
        """See `RecallDriver.archive`."""
        self._media.archived.setdefault(name, 0.0)

    def close(self) -> None:
        """See `RecallDriver.close`."""


class Frail(ForwardingStore):
    """One process's way to one medium."""

    def __init__(self, media: Media, place: str, fuse: Fuse) -> None:
        super().__init__(MemoryStore(media.objects[place], clock=media.clock, url=f"memory://{place}"))
        self._media = media
        self._place = place
        self._region = place.partition("/")[2]
        self._fuse = fuse

    def pass_door(self) -> None:
        """One call. Raises Killed, Unavailable."""
        self._fuse.burn()
        if self._media.away == self._region:
            raise Unavailable(f"{self._region} is gone")

    def _unlock(self, name: str) -> None:
        self.pass_door()
        if self._place.startswith("cold/") and not self._media.is_readable(name):
            raise Unavailable(f"{name} lies in an archive class")

    def put(self, name: str, data: bytes) -> None:
        """See `ObjectStore.put`."""
        self.pass_door()
        super().put(name, data)

    def stage(self) -> StagedObject:
        """See `ObjectStore.stage`."""
        self.pass_door()
        return _FrailStage(super().stage(), self.pass_door)

    def get(self, name: str, *, limit_bytes: int) -> bytes:
        """See `ObjectStore.get`."""
        self._unlock(name)
        return super().get(name, limit_bytes=limit_bytes)

    def read_into(self, name: str, offset: int, buffer: memoryview) -> None:
        """See `ObjectStore.read_into`."""
        self._unlock(name)
        super().read_into(name, offset, buffer)

    def list(self, prefix: str) -> Iterator[ObjectInfo]:
        """See `ObjectStore.list`."""
        self.pass_door()
        return super().list(prefix)

    def folders(self, prefix: str) -> tuple[str, ...]:
        """See `ObjectStore.folders`."""
        self.pass_door()
        return super().folders(prefix)

    def stat(self, name: str) -> ObjectInfo:
        """See `ObjectStore.stat`."""
        self.pass_door()
        return super().stat(name)

    def delete(self, name: str) -> None:
        """See `ObjectStore.delete`."""
        self.pass_door()
        if self._media.append_only and self._region == self._media.append_only:
            raise NotPermitted(f"{self._region} only takes additions")
        super().delete(name)
        cold = [place for place in self._media.objects if place.startswith("cold/")]
        if not any(holds(self._media.objects[place], name) for place in cold):
            self._media.archived.pop(name, None)
            self._media.coming.pop(name, None)

    def space(self) -> Space:
        """See `ObjectStore.space`."""
        self.pass_door()
        return super().space()


class _FrailStage(ForwardingStage):
    def __init__(self, staged: StagedObject, pass_door: Callable[[], None]) -> None:
        super().__init__(staged)
        self._pass_door = pass_door

    def append(self, data: memoryview) -> None:
        self._pass_door()
        super().append(data)

    def publish(self, name: str) -> Future[None]:
        self._pass_door()
        return super().publish(name)


class Inline:
    """Takes the place of a region's threads: what is submitted is done at once."""

    def __init__(self, *_: object, **__: object) -> None:
        self._is_shut = False

    def submit(self, run: Callable[[], T]) -> Future[T]:
        """See `Executor.submit`."""
        if self._is_shut:
            raise RuntimeError("shut down")
        done: Future[T] = Future()
        try:
            result = run()
        except BaseException as error:
            done.set_exception(error)
        else:
            done.set_result(result)
        return done

    def shutdown(self, **_: object) -> None:
        """See `Executor.shutdown`."""
        self._is_shut = True


def places_of(tiers: Sequence[Tier], regions: Sequence[str]) -> list[str]:
    """Every place of a house; without regions one a tier."""
    return [place_of(tier, region) for tier in tiers for region in regions] if regions else [*map(place_of, tiers)]


def holds(objects: MemoryObjects, name: str) -> bool:
    """Whether an object lies in a medium."""
    try:
        objects.find(name)
    except NotFound:
        return False
    return True

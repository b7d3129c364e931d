"""Packs on their way: copied, read back, recorded, let go; killed, damaged or lost at any step, none is lost."""

from __future__ import annotations

import mmap
from collections.abc import Callable, Iterator
from concurrent.futures import Future

import msgspec
import pytest
from blake3 import blake3
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import Bundle, RuleBasedStateMachine, consumes, invariant, rule

from engine.base.clock import FakeClock
from engine.base.errors import IntegrityError, NotFound, Unavailable, WedSyncError
from engine.contract.tiers import TIERS, Tier, place_of
from engine.storage.locations import Copy, Locations, pack_name
from engine.storage.moving import Move, Mover, move_of
from engine.storage.placed import PlacedStore
from engine.storage.placement import Goal
from engine.storage.recheck import Rechecker
from engine.storage.stack import Stack
from engine.storage.stores.memory import MemoryObjects, MemoryStore
from engine.storage.stores.metered import Meter, MeteredStore
from engine.storage.stores.store import ObjectInfo, ObjectStore, Space, StagedObject
from engine.storage.tiered import TieredStore
from tests.suites.object_store import pattern, publish

WEDDING = "0a" * 16


class Killed(BaseException):
    """The process is gone, just before something would have been done."""


class Frail:
    """A memory store that dies before its n-th deed from now, and reads nothing that is archived and not recalled."""

    def __init__(self, objects: MemoryObjects, fuse: list[int], archived: set[str], rot: list[MemoryObjects]) -> None:
        self._store = MemoryStore(objects)
        self._objects = objects
        self._rot = rot
        self._fuse = fuse
        self._archived = archived

    @property
    def url(self) -> str:
        return self._store.url

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
        self._store.put(name, data)

    def stage(self) -> StagedObject:
        self._burn()
        return _FrailStage(self._store.stage(), self._burn, self._rotten)

    def _rotten(self, name: str) -> None:
        """What was just published is no longer what it was, if this medium is to rot."""
        if self._objects in self._rot:
            self._rot.clear()
            spoil(self._objects, name)

    def get(self, name: str, *, limit_bytes: int) -> bytes:
        self._burn()
        self._refuse_archived(name)
        return self._store.get(name, limit_bytes=limit_bytes)

    def read_into(self, name: str, offset: int, buffer: memoryview) -> None:
        self._burn()
        self._refuse_archived(name)
        self._store.read_into(name, offset, buffer)

    def list(self, prefix: str) -> Iterator[ObjectInfo]:
        return self._store.list(prefix)

    def folders(self, prefix: str) -> tuple[str, ...]:
        return self._store.folders(prefix)

    def stat(self, name: str) -> ObjectInfo:
        self._burn()
        return self._store.stat(name)

    def delete(self, name: str) -> None:
        self._burn()
        self._store.delete(name)
        self._archived.discard(name)

    def space(self) -> Space:
        return self._store.space()

    def close(self) -> None:
        self._store.close()


class _FrailStage:
    def __init__(self, staged: StagedObject, burn: Callable[[], None], rotten: Callable[[str], None]) -> None:
        self._staged = staged
        self._burn = burn
        self._rotten = rotten

    @property
    def size_bytes(self) -> int:
        return self._staged.size_bytes

    def append(self, data: memoryview) -> None:
        self._burn()
        self._staged.append(data)

    def publish(self, name: str) -> Future[None]:
        self._burn()
        published = self._staged.publish(name)
        self._rotten(name)
        return published

    def discard(self) -> None:
        self._staged.discard()


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
        stack = Stack(self.store, tiers, places)
        self.mover = Mover(stack, self.locations, meters=meters, clock=self.clock, archives=archives)

    def _archived_in(self, tier: Tier) -> set[str]:
        return self.archived if tier == "cold" else set()

    def put(self, data: bytes) -> str:
        name = pack_name(WEDDING, blake3(data).digest())
        publish(self.store, name, data)
        return name

    def move(self, name: str, size_bytes: int, target: Tier) -> Move | None:
        return move_of(name, size_bytes, self.locations.copies(name), Goal(target, frozenset(), "it is time"))

    def migrate(self, name: str, size_bytes: int, target: Tier) -> None:
        move = self.move(name, size_bytes, target)
        if move is not None:
            self.mover.copy(move, self.buffer)
            self.mover.drop(move)

    def read(self, name: str, size_bytes: int) -> bytes:
        """As a restore reads: what is wrong is found above the store, which is then told to look at its copies."""
        buffer = bytearray(size_bytes)
        self.store.read_into(name, 0, memoryview(buffer))
        if not _is_right(name, bytes(buffer)) and self.rechecker.recheck(name):
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


def _is_right(name: str, data: bytes) -> bool:
    return blake3(data).hexdigest() == name.rpartition("/")[2]


@pytest.fixture
def house() -> Iterator[House]:
    found = House()
    yield found
    found.locations.close()


DATA = pattern(3 * 4096)


def test_a_pack_moves_down_is_read_back_and_leaves_where_it_was(house: House) -> None:
    name = house.put(DATA)
    house.migrate(name, len(DATA), "warm")
    assert list(house.standing(name)) == ["warm"]
    (copy,) = house.locations.copies(name)
    assert (copy.place, copy.state, copy.verified_ns) == ("warm/home", "good", house.clock.now_ns())
    assert house.read(name, len(DATA)) == DATA
    assert house.move(name, len(DATA), "warm") is None


def test_a_move_up_keeps_the_copy_below_and_the_way_down_costs_nothing_again(house: House) -> None:
    name = house.put(DATA)
    house.migrate(name, len(DATA), "cold")
    house.archived.clear()  # it was recalled
    house.migrate(name, len(DATA), "warm")
    assert list(house.standing(name)) == ["warm", "cold"]
    move = house.move(name, len(DATA), "cold")
    assert move is not None
    assert (move.source, move.drops) == (None, ("warm",))
    house.archived.add(name)
    house.mover.copy(move, house.buffer)
    assert house.mover.drop(move)
    assert list(house.standing(name)) == ["cold"]


def test_a_damaged_source_is_noted_and_nothing_of_it_is_kept(house: House) -> None:
    name = house.put(DATA)
    house.spoil(name, "hot")
    with pytest.raises(IntegrityError, match="in hot is damaged"):
        house.migrate(name, len(DATA), "warm")
    assert list(house.standing(name)) == ["hot"]
    assert [copy.state for copy in house.locations.copies(name)] == ["bad"]


def test_a_target_that_did_not_keep_what_was_written_gets_nothing_dropped(house: House) -> None:
    name = house.put(DATA)
    move = house.move(name, len(DATA), "warm")
    assert move is not None
    publish(MemoryStore(house.media["warm"]), name, DATA)
    house.spoil(name, "warm")  # as if the medium had changed it between the write and the reading back
    with pytest.raises(IntegrityError, match="warm did not keep"):
        house.mover.copy(move, house.buffer)
    assert not house.mover.drop(move)
    assert list(house.standing(name)) == ["hot"]
    house.migrate(name, len(DATA), "warm")  # and the next attempt is a new one
    assert list(house.standing(name)) == ["warm"]


def test_nothing_is_dropped_when_the_target_lost_its_copy_meanwhile(house: House) -> None:
    name = house.put(DATA)
    move = house.move(name, len(DATA), "warm")
    assert move is not None
    house.mover.copy(move, house.buffer)
    house.lose(name, "warm")
    assert not house.mover.drop(move)
    assert house.read(name, len(DATA)) == DATA


def test_a_copy_that_nobody_read_back_lets_nothing_go(house: House) -> None:
    """What lies at the target by somebody's word alone is read before the source is dropped."""
    name = house.put(DATA)
    publish(MemoryStore(house.media["warm"]), name, DATA)
    house.locations.record(name, Copy("warm/home", len(DATA)))
    move = house.move(name, len(DATA), "warm")
    assert move is not None
    assert move.source == "hot"
    house.spoil(name, "warm")
    with pytest.raises(IntegrityError):
        house.mover.copy(move, house.buffer)
    assert list(house.standing(name)) == ["hot"]


def test_what_is_no_multiple_of_a_page_is_moved_too(house: House) -> None:
    data = pattern(4096 + 17)
    name = pack_name(WEDDING, blake3(data).digest())
    house.store.put(name, data)
    house.migrate(name, len(data), "warm")
    assert house.standing(name) == {"warm": data}


def test_no_copy_is_let_go_before_there_are_as_many_at_the_target(house: House) -> None:
    """Two copies are kept: the second one in warm is yet to be made, then its region is away, then it is there."""
    name = pack_name(WEDDING, blake3(DATA).digest())
    media = {place: MemoryObjects() for place in ("hot/a", "hot/b", "warm/a", "warm/b")}
    stores = {place: MemoryStore(medium) for place, medium in media.items()}
    for place in ("hot/a", "hot/b", "warm/a"):
        publish(stores[place], name, DATA)
        house.locations.record(name, Copy(place, len(DATA)))
    tiers: dict[Tier, ObjectStore] = {"hot": stores["hot/a"], "warm": stores["warm/a"]}
    meters = {tier: Meter(house.clock) for tier in TIERS}
    mover = Mover(Stack(house.store, tiers, stores), house.locations, meters=meters, clock=house.clock)

    def attempt() -> bool:
        move = move_of(name, len(DATA), house.locations.copies(name), Goal("warm", frozenset(), "it is time"))
        assert move is not None
        move = msgspec.structs.replace(move, copies_min=2)
        mover.copy(move, house.buffer)
        return mover.drop(move)

    assert not attempt()
    publish(stores["warm/b"], name, DATA)
    stores["warm/b"].close()
    assert not attempt()
    reopened: dict[str, ObjectStore] = {**stores, "warm/b": MemoryStore(media["warm/b"])}
    mover = Mover(Stack(house.store, tiers, reopened), house.locations, meters=meters, clock=house.clock)
    assert attempt()
    assert media["hot/a"].names() == []


@pytest.mark.parametrize("deeds", range(9))
def test_killed_before_any_deed_the_next_process_ends_the_move(house: House, deeds: int) -> None:
    name = house.put(DATA)
    house.fuse.append(deeds)
    try:
        house.migrate(name, len(DATA), "warm")
        killed = False
    except Killed:
        killed = True
    assert killed == (deeds < 8), "the boundaries of a move are the ones this test counts"
    house.start()
    assert house.read(name, len(DATA)) == DATA
    house.migrate(name, len(DATA), "warm")
    assert house.standing(name) == {"warm": DATA}


class Packs(RuleBasedStateMachine):
    """Put, migrate, kill, recall, lose and spoil copies, lose the catalog, delete: what has a good copy is readable."""

    names = Bundle("names")

    def __init__(self) -> None:
        super().__init__()
        self.house = House()
        self.truth: dict[str, bytes] = {}
        self.seed = 0

    @rule(target=names, pages=st.integers(1, 3))
    def put(self, pages: int) -> str:
        self.seed += 1
        data = pattern(pages * 4096, seed=self.seed)
        name = self.house.put(data)
        self.truth[name] = data
        return name

    @rule(name=names, to=st.sampled_from(TIERS), lost=st.booleans(), rots=st.booleans())
    def migrate(self, name: str, to: Tier, lost: bool = False, rots: bool = False) -> None:
        """`lost`: the target loses its copy after it was read back; `rots`: what is written there turns bad at once."""
        move = self.house.move(name, len(self.truth[name]), to) if name in self.truth else None
        if move is None:
            return
        good = self.good(name)
        try:
            self.house.rot[:] = [self.house.media[to]] if rots else []
            self.house.mover.copy(move, self.house.buffer)
            if lost and len(good) > (to in good):
                self.house.lose(name, to)
            self.house.mover.drop(move)
        except (IntegrityError, NotFound, Unavailable):
            pass  # a damaged source, or one that is archived: told, and nothing was let go
        finally:
            self.house.rot.clear()
        assert self.good(name) or not good, "the last good copy was let go"

    @rule(name=names, to=st.sampled_from(TIERS), deeds=st.integers(0, 12))
    def migrate_and_die(self, name: str, to: Tier, deeds: int) -> None:
        self.house.fuse.append(deeds)
        try:
            self.migrate(name, to)
        except Killed:
            pass
        self.house.start()

    @rule()
    def recall_everything(self) -> None:
        self.house.archived.clear()

    @rule(name=names, tier=st.sampled_from(TIERS))
    def lose_a_copy(self, name: str, tier: Tier) -> None:
        if tier in self.house.standing(name):
            self.house.lose(name, tier)

    @rule(name=names, tier=st.sampled_from(TIERS))
    def spoil_a_copy(self, name: str, tier: Tier) -> None:
        is_archived = tier == "cold" and name in self.house.archived  # what cannot be read cannot be told to be bad
        if tier in self.house.standing(name) and not is_archived:
            self.house.spoil(name, tier)

    @rule()
    def lose_the_catalog(self) -> None:
        self.house.rebuild()

    @rule(name=consumes(names))
    def delete(self, name: str) -> None:
        if name in self.truth and self.house.standing(name):
            self.house.store.delete(name)
            assert not self.house.standing(name)
        self.truth.pop(name, None)

    def good(self, name: str) -> list[Tier]:
        """Where a good copy stands."""
        return [tier for tier, data in self.house.standing(name).items() if data == self.truth[name]]

    @invariant()
    def what_has_a_good_copy_that_is_not_archived_is_readable(self) -> None:
        for name, data in self.truth.items():
            readable = [tier for tier in self.good(name) if tier != "cold" or name not in self.house.archived]
            if readable:
                try:
                    found = self.house.read(name, len(data))
                except WedSyncError as error:
                    raise AssertionError(f"a good copy in {readable} was not read: {error.line()}") from error
                assert found == data

    def teardown(self) -> None:
        self.house.locations.close()


TestPacks = Packs.TestCase
TestPacks.settings = settings(max_examples=40, stateful_step_count=25, deadline=None)

"""Packs on their way: copied, read back, recorded, let go; killed, damaged or lost at any step, none is lost."""

from __future__ import annotations

from collections.abc import Iterator

import msgspec
import pytest
from blake3 import blake3
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import Bundle, RuleBasedStateMachine, consumes, invariant, rule

from engine.base.clock import FakeClock
from engine.base.errors import IntegrityError, NotFound, NotPermitted, Unavailable, WedSyncError
from engine.contract.regions import RegionSettings, ReplicationSettings
from engine.contract.tiers import TIERS, Tier, TiersSettings
from engine.storage.distance import nowhere
from engine.storage.healqueue import HealQueue
from engine.storage.locations import Copy, Locations, pack_name
from engine.storage.moving import Mover, move_of
from engine.storage.placement import Goal
from engine.storage.stack import Regions, Stack, Wanted, build_stack
from engine.storage.stores.memory import MemoryObjects, MemoryStore
from engine.storage.stores.metered import Meter
from engine.storage.stores.store import ObjectStore
from tests.engine.storage.house import WEDDING, House, Killed
from tests.suites.object_store import pattern, publish


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


def test_of_two_copies_at_the_source_the_good_one_is_moved_and_only_the_bad_one_is_noted() -> None:
    """The nearest region holds the bad one."""
    clock, locations = FakeClock(), Locations(None)
    regions = tuple(
        RegionSettings(name=name, hot=f"memory://moving-hot-{name}", warm=f"memory://moving-warm-{name}")
        for name in ("alpha", "beta")
    )
    named = Regions(regions, ReplicationSettings(copies=2), nowhere, lambda _: HealQueue(None))
    meters = {tier: Meter(clock) for tier in TIERS}
    wanted = Wanted("", TiersSettings(), meters, lambda: locations, clock, regional=named)
    stack = build_stack(wanted, create=True)
    name = pack_name(WEDDING, blake3(DATA).digest())
    publish(stack.store, name, DATA)
    alpha = stack.places["hot/alpha"]
    alpha.delete(name)
    publish(alpha, name, b"\xff" + DATA[1:])
    move = move_of(name, len(DATA), locations.copies(name), Goal("warm", "it is time"))
    assert move is not None
    mover = Mover(stack, locations, meters=meters, clock=clock)
    mover.copy(msgspec.structs.replace(move, copies_min=2), memoryview(bytearray(1 << 20)))
    states = {copy.place: copy.state for copy in locations.copies(name)}
    assert states["hot/beta"] == states["warm/alpha"] == states["warm/beta"] == "good"
    assert stack.replicated["hot"].shared.queue.of(name) == {"alpha": "copy"}
    stack.close()
    locations.close()


def test_a_bad_copy_that_a_region_must_keep_does_not_end_the_move(monkeypatch: pytest.MonkeyPatch) -> None:
    """It is noted, and the other regions' copies are read back."""
    clock, locations = FakeClock(), Locations(None)
    regions = tuple(
        RegionSettings(name=name, hot=f"memory://kept-hot-{name}", warm=f"memory://kept-warm-{name}", append_only=kept)
        for name, kept in (("alpha", True), ("beta", False))
    )
    named = Regions(regions, ReplicationSettings(copies=2), nowhere, lambda _: HealQueue(None))
    meters = {tier: Meter(clock) for tier in TIERS}
    wanted = Wanted("", TiersSettings(), meters, lambda: locations, clock, regional=named)
    stack = build_stack(wanted, create=True)
    name = pack_name(WEDDING, blake3(DATA).digest())
    publish(stack.store, name, DATA)
    publish(stack.places["warm/alpha"], name, b"\xff" + DATA[1:])
    publish(stack.places["warm/beta"], name, DATA)

    def refuse(_: str) -> None:
        raise NotPermitted("alpha only takes additions")

    monkeypatch.setattr(stack.places["warm/alpha"], "delete", refuse)
    move = move_of(name, len(DATA), locations.copies(name), Goal("warm", "it is time"))
    assert move is not None
    mover = Mover(stack, locations, meters=meters, clock=clock)
    mover.copy(msgspec.structs.replace(move, copies_min=2), memoryview(bytearray(1 << 20)))
    states = {copy.place: copy.state for copy in locations.copies(name)}
    assert (states["warm/alpha"], states["warm/beta"]) == ("bad", "good")
    assert not mover.drop(msgspec.structs.replace(move, copies_min=2))
    stack.close()
    locations.close()


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


def test_a_copy_that_was_found_bad_goes_once_another_tier_has_a_good_one(house: House) -> None:
    name = house.put(DATA)
    house.migrate(name, len(DATA), "cold")
    house.archived.clear()
    house.migrate(name, len(DATA), "warm")
    house.spoil(name, "warm")
    assert house.read(name, len(DATA)) == DATA
    move = house.move(name, len(DATA), "cold")
    assert move is not None
    assert (move.source, move.drops, move.reason) == (None, ("warm",), "its copy in warm is damaged")
    house.migrate(name, len(DATA), "cold")
    assert house.standing(name) == {"cold": DATA}
    assert house.move(name, len(DATA), "cold") is None


def test_a_bad_copy_at_the_target_is_written_anew(house: House) -> None:
    name = house.put(DATA)
    house.migrate(name, len(DATA), "cold")
    house.archived.clear()
    house.migrate(name, len(DATA), "warm")
    house.spoil(name, "warm")
    assert house.read(name, len(DATA)) == DATA
    house.migrate(name, len(DATA), "warm")
    assert house.standing(name) == {"warm": DATA, "cold": DATA}


def test_the_only_copy_stays_however_bad_it_is(house: House) -> None:
    name = house.put(DATA)
    house.spoil(name, "hot")
    assert not house.rechecker.recheck(name)
    assert house.move(name, len(DATA), "hot") is None
    with pytest.raises(IntegrityError):
        house.migrate(name, len(DATA), "warm")
    assert list(house.standing(name)) == ["hot"]


def test_what_is_no_multiple_of_a_page_is_moved_too(house: House) -> None:
    data = pattern(4096 + 17)
    name = pack_name(WEDDING, blake3(data).digest())
    house.store.put(name, data)
    house.migrate(name, len(data), "warm")
    assert house.standing(name) == {"warm": data}


def test_a_copy_in_a_place_that_was_given_up_counts_for_nothing(house: House) -> None:
    name = house.put(DATA)
    house.locations.record(name, Copy("warm/given-up", len(DATA), verified_ns=house.clock.now_ns()))
    move = house.move(name, len(DATA), "warm")
    assert move is not None
    assert not house.mover.drop(move)
    assert list(house.standing(name)) == ["hot"]


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
        move = move_of(name, len(DATA), house.locations.copies(name), Goal("warm", "it is time"))
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

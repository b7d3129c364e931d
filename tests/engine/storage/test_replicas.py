"""`ReplicatedStore` against the shared suite, and what regions add to it."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from blake3 import blake3

from engine.base.errors import Conflict, IntegrityError, NotFound, Unavailable
from engine.storage import replicas
from engine.storage.healing import Healer
from engine.storage.replicas import ReplicatedStore
from engine.storage.replication import Policy
from tests.engine.storage.regions import World, heal_all, world
from tests.faults import Fail, FlipBit, Lie, Rule
from tests.suites.object_store import ObjectStoreSuite, OpenEngine, names_in, pattern, publish

FOLDER = "weddings/" + "0f" * 16 + "/packs/"


class TestThreeRegions(ObjectStoreSuite):
    """The promises every store makes."""

    count = 3

    @pytest.fixture
    def open_engine(self) -> Iterator[OpenEngine]:
        with world(self.count) as made:
            yield made.open


class TestTwoRegions(TestThreeRegions):
    """With two the first alone decides who created a name."""

    count = 2


class TestFourRegionsOneOfThemGone(TestThreeRegions):
    """Nothing that is promised depends on the region that is gone."""

    @pytest.fixture
    def open_engine(self) -> Iterator[OpenEngine]:
        with world(4) as made:

            def open_one() -> ReplicatedStore:
                store = made.open()
                made.come_back("beta")
                made.fail("beta")
                return store

            yield open_one


def hashed(size_bytes: int, seed: int = 1) -> tuple[str, bytes]:
    """A pack's name, and its bytes."""
    data = pattern(size_bytes, seed=seed)
    return FOLDER + blake3(data).hexdigest(), data


@pytest.fixture
def three() -> Iterator[World]:
    with world(3) as made:
        yield made


# --- a region that is gone ---


@pytest.mark.parametrize("gone", ["alpha", "beta", "gamma"])
def test_what_a_region_missed_it_has_once_it_is_back(three: World, gone: str) -> None:
    store = three.open()
    store.put("config/1", b"before")
    three.fail(gone)
    name, data = hashed(3 * 4096)
    store.put("register/1", b"while it was gone")
    publish(store, name, data)
    assert store.get("register/1", limit_bytes=99) == b"while it was gone"
    assert store.get(name, limit_bytes=len(data)) == data
    assert store.shared.queue.backlog()[gone].count == 2
    three.come_back(gone)
    heal_all(store)
    assert three.held(gone) == {"config/1": b"before", "register/1": b"while it was gone", name: data}
    assert store.shared.queue.backlog() == {}


def test_a_part_of_an_index_is_healed_as_a_pack_is(three: World) -> None:
    """It is named by its hash, too, and has any length."""
    store = three.open()
    three.fail("beta")
    data = b"a fragment"
    name = "weddings/" + "0f" * 16 + f"/index/{blake3(data).hexdigest()}"
    store.put(name, data)
    three.come_back("beta")
    heal_all(store)
    assert three.held("beta") == {name: data}
    three.media["beta"].remove(name)
    three.media["beta"].add(name, b"a fragmenT", 0)
    store.shared.queue.owe(name, ["beta"], "copy", 0, on_the_way=False)
    heal_all(store)
    assert three.held("beta") == {name: data}


def test_what_is_owed_outlives_the_engine(three: World, tmp_path_factory: pytest.TempPathFactory) -> None:
    three.queue_path = tmp_path_factory.mktemp("home") / "healing.db"
    first = three.open()
    three.fail("beta")
    first.put("register/1", b"x")
    first.close()
    second = three.open()
    assert second.shared.queue.backlog()["beta"].count == 1
    heal_all(second)
    assert three.held("beta") == {"register/1": b"x"}


def test_two_of_three_regions_that_are_gone_stop_writing_and_not_reading(three: World) -> None:
    store = three.open()
    store.put("config/1", b"x")
    three.fail("alpha")
    three.fail("gamma")
    with pytest.raises(Unavailable, match="too few regions"):
        store.put("config/2", b"y")
    assert store.get("config/1", limit_bytes=1) == b"x"
    with pytest.raises(Unavailable):
        names_in(store, "config/")  # what two regions know might be more
    with pytest.raises(Unavailable):
        store.get("config/3", limit_bytes=1)  # not "not found": nobody can tell


def test_an_answer_that_was_lost_is_no_conflict(three: World) -> None:
    store = three.open()
    three.fail("alpha", after=True)
    store.put("snapshots/1", b"mine")
    three.come_back("alpha")
    heal_all(store)
    assert [three.held(name) for name in three.names] == [{"snapshots/1": b"mine"}] * 3


def test_a_pack_goes_to_another_region_where_one_fails() -> None:
    with world(4) as four:
        store = four.open()
        four.fail("beta")
        name, data = hashed(8192)
        data = b"WSPK\x01\x0a" + data[6:]
        name = FOLDER + blake3(data).hexdigest()
        publish(store, name, data)
        store.close()
        assert [four.held(each, FOLDER) for each in ("alpha", "gamma", "delta")] == [{name: data}] * 3
        assert four.held("beta") == {}


@pytest.mark.parametrize(("count", "quorum", "gone"), [(2, 1, 2), (3, 2, 2), (3, 2, 3), (4, 2, 3)])
def test_a_pack_that_too_few_regions_take_fails_however_fast_they_refuse(count: int, quorum: int, gone: int) -> None:
    """Also when they have all refused before it is written down what they are owed."""
    with world(count, policy=Policy(count, quorum)) as made:
        store = made.open()
        for name in made.names[-gone:]:
            made.fail(name)
        owe = store.shared.queue.owe

        def owe_late(*arguments: object, **options: object) -> None:
            for region in store.shared.regions.values():
                region._uploads.submit(bool).result(5)
                region._uploads.shutdown()  # what was submitted has ended
            owe(*arguments, **options)  # type: ignore[arg-type]

        store.shared.queue.owe = owe_late  # type: ignore[method-assign]
        staged = store.stage()
        staged.append(memoryview(pattern(4096)))
        done = staged.publish(FOLDER + blake3(pattern(4096)).hexdigest())
        with pytest.raises(Unavailable):
            done.result(5)


def test_a_region_whose_listing_lags_hides_nothing(three: World) -> None:
    store = three.open()
    for number in range(5):
        store.put(f"snapshots/{number}", b"")
    three.doors[0]["alpha"].add(Rule("list", Lie(), times=None))
    assert names_in(store, "snapshots/") == [f"snapshots/{number}" for number in range(5)]


def test_a_listing_that_takes_long_everywhere_is_waited_for(three: World, monkeypatch: pytest.MonkeyPatch) -> None:
    """A bucket of a hundred thousand objects needs more time than a region is waited for otherwise."""
    monkeypatch.setattr(replicas, "STUCK_S", 0.0)
    store = three.open()
    for number in range(5):
        store.put(f"snapshots/{number}", b"")
    assert names_in(store, "snapshots/") == [f"snapshots/{number}" for number in range(5)]


# --- deleting ---


@pytest.mark.parametrize("gone", ["alpha", "beta", "gamma"])
def test_what_was_deleted_does_not_come_back_with_a_region(three: World, gone: str) -> None:
    mine, other = three.open(), three.open()
    name, data = hashed(8192)
    mine.put("marks/1", b"x")
    publish(mine, name, data)
    heal_all(mine)
    three.fail(gone)
    mine.delete("marks/1")
    mine.delete(name)
    three.come_back(gone)
    for store in (mine, other):
        assert names_in(store) == []
        with pytest.raises(NotFound):
            store.get("marks/1", limit_bytes=1)
    with pytest.raises(NotFound):
        mine.stat(name)
    other.shared.queue.owe(name, ["alpha", "beta", "gamma"], "copy", 0, on_the_way=False)
    heal_all(other)  # whoever still believes that regions lack it
    heal_all(mine)
    assert [three.held(each) for each in three.names] == [{}] * 3


def test_a_name_that_was_deleted_while_a_region_was_gone_can_be_used_again(three: World) -> None:
    store = three.open()
    store.put("marks/1", b"old")
    three.fail("beta")
    store.delete("marks/1")
    store.put("marks/1", b"new")
    three.come_back("beta")
    heal_all(store)
    assert store.get("marks/1", limit_bytes=3) == b"new"
    assert [three.held(each) for each in three.names] == [{"marks/1": b"new"}] * 3


def test_a_region_that_only_adds_keeps_what_is_deleted_and_shows_it_no_more() -> None:
    with world(3, append_only=frozenset({"gamma"})) as made:
        store = made.open()
        store.put("marks/1", b"x")
        store.delete("marks/1")
        with pytest.raises(NotFound):
            store.delete("marks/1")
        assert names_in(store) == names_in(made.open()) == []
        assert made.held("gamma") == {"marks/1": b"x", "deleted/marks/1": b""}
        with pytest.raises(NotFound):
            store.get("marks/1", limit_bytes=1)


# --- bytes that are wrong ---


def test_a_flipped_bit_in_what_is_named_by_its_hash_is_read_from_another_region_and_healed(three: World) -> None:
    store = three.open()
    name, data = hashed(8192)
    publish(store, name, data)
    heal_all(store)
    three.media["alpha"].remove(name)
    three.media["alpha"].add(name, b"\1" + data[1:], 0)
    assert store.get(name, limit_bytes=8192) == data
    heal_all(store)
    assert three.held("alpha") == {name: data}


def test_a_part_that_does_not_open_is_read_from_another_region(three: World) -> None:
    store = three.open()
    name, data = hashed(8192)
    publish(store, name, data)
    heal_all(store)
    three.media["alpha"].remove(name)
    three.media["alpha"].add(name, b"\1" + data[1:], 0)
    buffer = bytearray(4096)
    store.read_into(name, 0, memoryview(buffer))
    assert buffer != data[:4096]
    assert store.recheck(name)
    store.read_into(name, 0, memoryview(buffer))
    assert buffer == data[:4096]
    heal_all(store)
    assert three.held("alpha") == {name: data}
    assert store.shared.bad(name) == frozenset()


def test_a_copy_that_was_deleted_and_had_to_stay_is_no_other_good_copy() -> None:
    """As where a pack has moved to another tier, whose good copies nobody would look for then."""
    with world(3, append_only=frozenset({"gamma"})) as made:
        store, told = made.open(), []
        name, data = hashed(8192)
        publish(store, name, data)
        heal_all(store)
        store.delete(name)
        assert name in made.held("gamma")
        store.shared.note = lambda *event: told.append(event)
        assert not store.recheck(name)
        assert told == []


def test_looking_at_good_copies_again_marks_none(three: World) -> None:
    store = three.open()
    name, data = hashed(8192)
    publish(store, name, data)
    assert store.recheck(name)
    assert store.shared.bad(name) == frozenset()
    assert store.shared.queue.is_quiet(30.0)
    assert store.shared.queue.backlog() == {}


def test_what_was_read_whole_counts_as_verified_where_one_region_gave_all_of_it(three: World) -> None:
    store, told = three.open(), []
    name, data = hashed(8192)
    publish(store, name, data)
    store.shared.note = lambda *event: told.append(event) if event[2] == "verified" else None
    for offset in (0, 4096):
        store.read_into(name, offset, memoryview(bytearray(4096)))
    store.verified(name)
    assert told == [(name, "alpha", "verified", 0)]
    store.read_into(name, 0, memoryview(bytearray(4096)))
    three.doors[0]["alpha"].add(Rule("read_into", Fail(Unavailable("gone"))))
    store.read_into(name, 4096, memoryview(bytearray(4096)))
    store.verified(name)
    assert len(told) == 1


def test_bytes_that_are_wrong_in_one_region_are_outvoted(three: World) -> None:
    store = three.open()
    store.put("snapshots/1", b"right")
    three.doors[0]["alpha"].add(Rule("get", FlipBit(), times=None))
    assert store.get("snapshots/1", limit_bytes=5) == b"right"


def test_a_pack_that_is_bad_everywhere_stays_owed_and_is_told(three: World) -> None:
    store = three.open()
    name, data = hashed(8192)
    publish(store, name, data)
    heal_all(store)
    for region in three.names:
        three.media[region].remove(name)
        three.media[region].add(name, b"\1" + data[1:], 0)
    assert not store.recheck(name)
    with pytest.raises((NotFound, IntegrityError)):
        store.read_into(name, 0, memoryview(bytearray(8)))
    heal_all(store)
    assert store.shared.queue.backlog()["alpha"].count == 1


# --- two writers ---


def test_what_lost_in_one_region_is_replaced_by_what_the_others_agreed_on(three: World) -> None:
    mine, other = three.open(), three.open()
    three.media["alpha"].add("register/7", b"left behind", 0)  # by a writer that died before a second region had it
    three.doors[0]["alpha"].add(Rule("put", FlipBit(), times=None))
    three.fail("alpha")
    mine.put("register/7", b"agreed")
    three.come_back("alpha")
    with pytest.raises(Conflict):
        other.put("register/7", b"too late")
    assert mine.get("register/7", limit_bytes=99) == other.get("register/7", limit_bytes=99) == b"agreed"
    heal_all(mine)
    assert three.held("alpha") == {"register/7": b"agreed"}


def test_who_finds_a_name_taken_helps_it_to_a_second_region(three: World) -> None:
    store = three.open()
    three.media["alpha"].add("register/7", b"first", 0)
    with pytest.raises(Conflict):
        store.put("register/7", b"second")
    three.fail("alpha")
    assert store.get("register/7", limit_bytes=9) == b"first"


# --- comparing ---


def test_a_region_that_is_new_or_lost_its_disk_is_filled(three: World) -> None:
    first = three.open()
    name, data = hashed(8192)
    first.put("config/1", b"x")
    publish(first, name, data)
    heal_all(first)
    first.close()
    for each in list(three.held("beta")):
        three.media["beta"].remove(each)
    store = three.open()
    healer = Healer(store)
    assert healer.compare("") == 2
    assert healer.compare("") == 0  # it is owed already
    heal_all(store)
    assert three.held("beta") == {"config/1": b"x", name: data}


@pytest.mark.parametrize("name", ["config/1", "weddings/" + "0f" * 16 + "/index/" + blake3(b"right").hexdigest()])
def test_small_objects_that_differ_between_regions_are_found_and_healed(three: World, name: str) -> None:
    first = three.open()
    first.put(name, b"right")
    heal_all(first)
    first.close()
    three.media["alpha"].remove(name)
    three.media["alpha"].add(name, b"wrong", 0)
    store = three.open()
    healer = Healer(store)
    assert healer.compare("") == 0  # by its size it is the same
    assert healer.compare("", contents=True) == 3
    heal_all(store)
    assert [three.held(each) for each in three.names] == [{name: b"right"}] * 3
    assert healer.compare("", contents=True) == 0

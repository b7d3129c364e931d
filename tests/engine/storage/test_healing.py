"""Healing: as many good copies as are wanted, wherever they can be."""

from __future__ import annotations

import contextlib

import pytest
from blake3 import blake3

from engine.base.clock import FakeClock
from engine.base.errors import NotFound
from engine.storage.distance import Allowed
from engine.storage.healing import Healer
from engine.storage.publishing import is_data_pack
from engine.storage.replicas import ReplicatedStore
from engine.storage.replication import Policy
from engine.storage.stores.metered import Meter
from tests.engine.storage.regions import World, heal_all, world
from tests.suites.object_store import pattern, publish

DATA = b"WSPK\x01\x0a" + pattern(4096, seed=3)[6:]
NAME = "weddings/" + "0f" * 16 + "/packs/" + blake3(DATA).hexdigest()


def spoil(made: World, *regions: str) -> None:
    """The copies in these regions rot."""
    for region in regions:
        with contextlib.suppress(NotFound):
            made.media[region].remove(NAME)
        made.media[region].add(NAME, b"\xff" + DATA[1:], 0)


@pytest.mark.parametrize("is_compared", [False, True])
def test_a_bad_copy_that_cannot_be_replaced_is_made_up_for_elsewhere(is_compared: bool) -> None:
    """Four regions, three copies; the one in a region that only adds rots, and a fourth region is free."""
    assert is_data_pack(DATA)
    with world(4, append_only=frozenset({"gamma"})) as made:
        store = made.open()
        publish(store, NAME, DATA)
        heal_all(store)
        assert made.held("delta") == {}
        spoil(made, "gamma")
        if is_compared:
            store.shared.remember_bad(NAME, "gamma")
            Healer(store).compare("")
        else:
            store.shared.mark_bad(NAME, "gamma")
        heal_all(store)
        assert [made.held(each).get(NAME) == DATA for each in made.names] == [True, True, False, True]
        assert Healer(store).compare("") == 0
        assert not store.shared.queue.of(NAME)


def test_a_region_that_is_away_holds_up_no_copy_that_is_made_up_for() -> None:
    """Of four regions, one is away and one holds a bad copy for good: two good ones are wanted beside the absent."""
    with world(4, append_only=frozenset({"gamma"})) as made:
        store = made.open()
        publish(store, NAME, DATA)
        heal_all(store)
        spoil(made, "gamma")
        made.fail("alpha")
        store.shared.mark_bad(NAME, "gamma")
        heal_all(store)
        assert made.held("delta") == {NAME: DATA}


@pytest.mark.parametrize("lacks", [False, True])
@pytest.mark.parametrize("append_only", [frozenset[str](), frozenset({"gamma"})])
def test_nothing_is_struck_out_while_no_good_copy_is_left(append_only: frozenset[str], lacks: bool) -> None:
    """All copies rot; or two, and the third is gone: that is a loss, and no deletion."""
    with world(3, append_only=append_only) as made:
        store = made.open()
        publish(store, NAME, DATA)
        heal_all(store)
        spoil(made, *made.names)
        if lacks:
            made.media["alpha"].remove(NAME)
        assert not store.recheck(NAME)
        store.shared.queue.owe(NAME, made.names, "copy", made.clock.now_ns(), on_the_way=False)
        heal_all(store)
        assert set(store.shared.queue.of(NAME)) == set(made.names)


def test_what_is_bad_and_then_deleted_is_owed_no_more() -> None:
    with world(3) as made:
        store = made.open()
        publish(store, NAME, DATA)
        heal_all(store)
        spoil(made, *made.names)
        assert not store.recheck(NAME)
        store.delete(NAME)
        heal_all(store)
        assert not store.shared.queue.of(NAME)


def test_a_loss_is_known_only_once_every_region_has_told_and_until_a_good_copy_is_back() -> None:
    with world(3) as made:
        store = made.open()
        publish(store, NAME, DATA)
        heal_all(store)
        spoil(made, *made.names)
        store.shared.queue.owe(NAME, made.names, "copy", made.clock.now_ns(), on_the_way=False)
        healer = Healer(store)
        made.fail("gamma")
        healer.heal(10)
        assert not healer.lost
        made.come_back("gamma")
        healer.begin_again()
        healer.heal(10)
        assert set(healer.lost) == {NAME}
        made.media["beta"].remove(NAME)
        made.media["beta"].add(NAME, DATA, 0)
        while store.shared.queue.of(NAME):
            healer.begin_again()
            healer.heal(10)
        assert not healer.lost
        assert all(made.held(each) == {NAME: DATA} for each in made.names)


def test_a_limit_holds_what_is_healed() -> None:
    """What a copy read and wrote counts, and the next waits until that is paid."""
    with world(3) as made:
        store, clock = made.open(), FakeClock()
        meter = Meter(clock)
        meter.set_limit(len(DATA))
        other = "weddings/" + "0f" * 16 + "/packs/" + blake3(DATA[::-1]).hexdigest()
        publish(store, NAME, DATA)
        publish(store, other, DATA[::-1])
        heal_all(store)
        for name in (NAME, other):
            made.media["gamma"].remove(name)
            store.shared.queue.owe(name, ["gamma"], "copy", 1, on_the_way=False)
        healer = Healer(store, meter)
        clock.advance(1)
        assert healer.heal(10) == 1
        assert (meter.bytes_read, meter.bytes_written) == (len(DATA), len(DATA))
        assert healer.heal(10) == 0
        clock.advance(3)
        assert healer.heal(10) == 1


def test_the_only_good_copy_is_not_taken_away_from_where_a_wedding_may_no_longer_lie() -> None:
    """Two regions, and the wedding is bound to the one whose copy has rotted, which nobody knows yet."""
    with world(2) as made:
        store = made.open()
        publish(store, NAME, DATA)
        heal_all(store)
        spoil(made, "beta")
        bind(store, "beta")
        Healer(store).compare("")
        heal_all(store)
        assert made.held("beta") == {NAME: DATA}
        Healer(store).compare("")
        heal_all(store)
        assert made.held("alpha") == {}
        assert made.held("beta") == {NAME: DATA}


def test_what_a_wedding_is_newly_bound_to_is_filled_from_where_it_lay() -> None:
    """A pack and a key of regions that have nothing in common with those it may lie in now."""
    key = NAME.partition("/packs/")[0] + "/key/1"
    with world(3, policy=Policy(copies=2, quorum=1)) as made:
        store = made.open()
        bind(store, "alpha")
        publish(store, NAME, DATA)
        store.put(key, b"the key")
        heal_all(store)
        bind(store, "gamma")
        for _ in range(2):
            Healer(store).compare("")
            heal_all(store)
        assert [made.held(each) for each in made.names] == [{}, {}, {NAME: DATA, key: b"the key"}]


def test_a_key_is_not_taken_away_where_another_stands_in_its_place() -> None:
    key = NAME.partition("/packs/")[0] + "/key/1"
    with world(2) as made:
        store = made.open()
        bind(store, "alpha")
        store.put(key, b"the key")
        heal_all(store)
        made.media["beta"].add(key, b"one of another home", 0)
        bind(store, "beta")
        Healer(store).compare("")
        heal_all(store)
        assert made.held("alpha") == {key: b"the key"}


def bind(store: ReplicatedStore, *regions: str) -> None:
    """From now on everything may lie in these regions only."""
    only = Allowed(regions, regions)
    store.shared.placing = lambda name: only

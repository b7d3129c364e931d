"""What a lease says of an engine: that it lives, and of which marks nobody in it relies on a pack."""

from __future__ import annotations

import pytest

from engine.base.clock import FakeClock
from engine.base.errors import LimitReached
from engine.contract.settings import LEASE_DEATH_S
from engine.repository import layout, marks
from engine.repository.leases import LeaseWatch
from engine.repository.numbered import MasterSealed
from engine.repository.presence import Presence
from engine.storage.stores.memory import MemoryObjects, MemoryStore
from tests.engine.repository.parts import damage, sealed_store
from tests.golden import world

PACKS = [bytes(32)]


def _presence(sealed: MasterSealed, process: int = 1) -> Presence:
    return Presence(sealed, host="ops-1", process=process, started_ns=1)


def test_an_idle_engine_names_each_mark_that_it_has_read() -> None:
    """At its next renewal."""
    sealed = sealed_store()
    presence = _presence(sealed)
    presence.begin()
    assert presence.lease.named == 0
    marks.create(sealed, world.WEDDING, PACKS)
    presence.renew()
    assert presence.lease.named == 1
    assert presence.marked(world.WEDDING) == set(PACKS)
    assert presence.marked(world.OTHER_WEDDING) == frozenset()


def test_a_user_holds_back_the_marks_of_its_wedding_only() -> None:
    """Those made after it began, until it ends; who begins later relies on none of them."""
    sealed = sealed_store()
    presence = _presence(sealed)
    presence.begin()
    with presence.using(world.WEDDING):
        marks.create(sealed, world.OTHER_WEDDING, PACKS)
        presence.renew()
        assert presence.lease.named == 1
        marks.create(sealed, world.WEDDING, PACKS)
        marks.create(sealed, world.OTHER_WEDDING, PACKS)
        presence.renew()
        assert presence.lease.named == 1
        with presence.using(world.WEDDING) as later:
            assert later.number == 3
    presence.renew()
    assert presence.lease.named == 3


def test_what_was_marked_before_the_start_is_named_at_once() -> None:
    """A new engine relies on nothing yet."""
    sealed = sealed_store()
    marks.create(sealed, world.WEDDING, PACKS)
    presence = _presence(sealed)
    presence.begin()
    assert presence.lease.named == 1


def test_a_damaged_mark_is_never_named_nor_any_after_it() -> None:
    """What it names nobody can avoid."""
    sealed = sealed_store()
    for _ in range(3):
        marks.create(sealed, world.WEDDING, PACKS)
    damage(sealed.store, f"{layout.MARKS}2")
    presence = _presence(sealed)
    presence.begin()
    assert presence.lease.named == 1


def test_a_mark_that_is_gone_is_forgotten() -> None:
    """Its packs count again, or are dropped."""
    sealed = sealed_store()
    presence = _presence(sealed)
    presence.begin()
    with presence.using(world.WEDDING):
        number = presence.mark(world.WEDDING, PACKS)
        presence.lift(number)
        assert presence.marked(world.WEDDING) == frozenset()
    presence.renew()
    assert presence.lease.named == number + 1


class _Full(MemoryStore):
    """A store whose disk is full."""

    is_full = True

    def put(self, name: str, data: bytes) -> None:
        if self.is_full:
            raise LimitReached("no room")
        super().put(name, data)


def test_what_began_before_the_lease_could_be_shown_is_not_protected() -> None:
    """Nobody has waited for it."""
    store = _Full(MemoryObjects())
    presence = _presence(sealed_store(store))
    with pytest.raises(LimitReached):
        presence.begin()
    assert not presence.is_protected_since(0)
    store.is_full = False
    presence.renew()
    assert not presence.is_protected_since(0)
    assert presence.is_protected_since(1)


# --- whoever waits ------------------------------------------------------------------------------------


def test_a_pruner_waits_until_a_lease_names_its_mark_or_is_released() -> None:
    """It tells for whom; leases that begin later are not waited for."""
    sealed, clock = sealed_store(), FakeClock()
    own, first, second = (_presence(sealed, process) for process in (1, 2, 3))
    for presence in (own, first, second):
        presence.begin()
    with own.using(world.WEDDING):
        watch = own.watch(own.mark(world.WEDDING, PACKS), clock)
        _presence(sealed, 4).begin()
        assert [line.partition(",")[0] for line in sorted(watch.look())] == [
            "the engine on ops-1 (process 2)",
            "the engine on ops-1 (process 3)",
        ]
        first.renew()
        second.lease.release()
        assert watch.look() == []
        assert own.named == 0


def test_a_lease_that_does_not_grow_is_fenced_and_one_that_grows_is_not() -> None:
    """By the pruner's own clock, from when it first looked."""
    sealed, clock = sealed_store(), FakeClock()
    own, stopped, slow = (_presence(sealed, process) for process in (1, 2, 3))
    for presence in (own, stopped, slow):
        presence.begin()
    with slow.using(world.WEDDING):
        watch = LeaseWatch(sealed, mark=own.mark(world.WEDDING, PACKS), own=own.lease.folder, clock=clock)
        assert len(watch.look()) == 2
        clock.advance(LEASE_DEATH_S - 1)
        slow.renew()
        assert len(watch.look()) == 2
        clock.advance(2)
        (left,) = watch.look()
        assert "process 3" in left
        assert stopped.is_protected_since(0) is False
        assert slow.is_protected_since(0) is True

"""Leases: proof of life without clocks."""

from __future__ import annotations

from typing import Any

import pytest
from msgspec.structs import replace

from engine.base.errors import Conflict, Unavailable
from engine.repository import codec, crypto
from engine.repository.leases import ENGINE, FENCED, Lease, LeaseObject
from engine.repository.numbered import MasterSealed
from engine.storage.stores.memory import MemoryStore
from tests.engine.repository.parts import sealed_store


def _lease(sealed: MasterSealed) -> Lease:
    return Lease(sealed, host="ops-1", process=42, started_ns=7)


def _read(sealed: MasterSealed, lease: Lease, number: int) -> LeaseObject:
    return codec.decode(sealed.read(lease.folder, number, crypto.LEASE), LeaseObject, "it")


def _fence(sealed: MasterSealed, lease: Lease, number: int) -> None:
    """What a pruner does to a lease that has not grown."""
    _write(sealed, f"{lease.folder}{number}", LeaseObject(FENCED, "pruner", 1, 0, 0))


def _write(sealed: MasterSealed, name: str, lease: LeaseObject) -> None:
    binding = crypto.Binding.named(crypto.LEASE, name)
    data = crypto.seal_object(codec.encode(lease), binding, secret=sealed.master, epoch=0, entropy=sealed.entropy)
    sealed.store.put(name, data)


def test_a_lease_grows_by_one_and_leaves_one() -> None:
    """Each renewal is the next number; the one before goes."""
    sealed = sealed_store()
    lease = _lease(sealed)
    for number in (1, 2, 3):
        lease.renew()
        assert sealed.numbers(lease.folder) == [number]
        assert _read(sealed, lease, number) == LeaseObject(ENGINE, "ops-1", 42, 7, 0)
        lease.check()


def test_a_lease_names_a_mark() -> None:
    """So a pruner knows that its mark was read."""
    sealed = sealed_store()
    lease = _lease(sealed)
    lease.renew()
    lease.renew(12)
    assert _read(sealed, lease, 2).mark == 12
    assert lease.named == 12


def test_two_leases_do_not_know_each_other() -> None:
    """Every engine has its own folder."""
    sealed = sealed_store()
    first, second = _lease(sealed), _lease(sealed)
    first.renew()
    second.renew()
    assert first.folder != second.folder
    second.release()
    first.check()


def test_a_fenced_lease_is_told_at_renewal() -> None:
    """The number it would take is taken."""
    sealed = sealed_store()
    lease = _lease(sealed)
    lease.renew()
    _fence(sealed, lease, 2)
    with pytest.raises(Conflict):
        lease.renew()


class _Ambiguous(MemoryStore):
    """A store that may keep an object and yet report that it did not."""

    fails = False

    def put(self, name: str, data: bytes) -> None:
        super().put(name, data)
        if self.fails:
            raise Unavailable("the answer was lost")


def _reported_as_failed(sealed: MasterSealed, lease: Lease) -> None:
    assert isinstance(sealed.store, _Ambiguous)
    sealed.store.fails = True
    with pytest.raises(Unavailable):
        lease.renew()
    sealed.store.fails = False


@pytest.mark.parametrize("renewals", [0, 2])
def test_a_renewal_that_was_stored_but_reported_as_failed_does_not_fence(renewals: int) -> None:
    """Its number is its own; the next renewal goes on behind it, with the newest mark."""
    sealed = sealed_store(_Ambiguous())
    lease = _lease(sealed)
    for _ in range(renewals):
        lease.renew()
    _reported_as_failed(sealed, lease)
    lease.check()
    lease.renew(3)
    lease.check()
    assert sealed.numbers(lease.folder) == [renewals + 2]
    assert _read(sealed, lease, renewals + 2).mark == 3


def test_a_lease_that_was_fenced_behind_such_a_renewal_is_told() -> None:
    """At the next renewal, and when it asks."""
    sealed = sealed_store(_Ambiguous())
    lease = _lease(sealed)
    lease.renew()
    _reported_as_failed(sealed, lease)
    _fence(sealed, lease, 3)
    with pytest.raises(Conflict):
        lease.check()
    with pytest.raises(Conflict):
        lease.renew()


@pytest.mark.parametrize("changes", [{"role": FENCED}, {"host": "ops-2"}, {"process": 43}, {"started_ns": 8}])
def test_what_another_process_wrote_is_not_taken_for_its_own(changes: dict[str, Any]) -> None:
    """Nor its own words under the role of a fence."""
    sealed = sealed_store()
    lease = _lease(sealed)
    lease.renew()
    _write(sealed, f"{lease.folder}2", replace(_read(sealed, lease, 1), **changes))
    with pytest.raises(Conflict):
        lease.check()
    with pytest.raises(Conflict):
        lease.renew()


def test_a_fenced_lease_is_told_when_it_asks() -> None:
    """As a writer does after its commit, before it acknowledges."""
    sealed = sealed_store()
    lease = _lease(sealed)
    lease.renew()
    lease.check()
    _fence(sealed, lease, 2)
    with pytest.raises(Conflict):
        lease.check()


def test_a_lease_that_was_deleted_no_longer_counts() -> None:
    """Somebody has cleared it away: its owner was taken for dead."""
    sealed = sealed_store()
    lease = _lease(sealed)
    lease.renew()
    sealed.store.delete(f"{lease.folder}1")
    with pytest.raises(Conflict):
        lease.check()


def test_a_released_lease_leaves_nothing() -> None:
    """Also one that was never renewed, and twice."""
    sealed = sealed_store()
    lease = _lease(sealed)
    lease.release()
    lease.renew()
    lease.renew()
    lease.release()
    lease.release()
    assert list(sealed.store.list("leases/")) == []

"""Leases: proof of life without clocks."""

from __future__ import annotations

import pytest

from engine.base.errors import Conflict
from engine.repository import codec, crypto
from engine.repository.leases import ENGINE, FENCED, Lease, LeaseObject
from engine.repository.numbered import MasterSealed
from tests.engine.repository.parts import sealed_store


def _lease(sealed: MasterSealed) -> Lease:
    return Lease(sealed, host="ops-1", process=42, started_ns=7)


def _read(sealed: MasterSealed, lease: Lease, number: int) -> LeaseObject:
    return codec.decode(sealed.read(lease.folder, number, crypto.LEASE), LeaseObject, "it")


def _fence(sealed: MasterSealed, lease: Lease, number: int) -> None:
    """What a pruner does to a lease that has not grown."""
    payload = codec.encode(LeaseObject(FENCED, "pruner", 1, 0, 0))
    name = f"{lease.folder}{number}"
    binding = crypto.Binding.named(crypto.LEASE, name)
    data = crypto.seal_object(payload, binding, secret=sealed.master, epoch=0, entropy=sealed.entropy)
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


def test_a_lease_names_the_newest_mark() -> None:
    """So a pruner knows that its mark was read."""
    sealed = sealed_store()
    lease = _lease(sealed)
    lease.renew()
    sealed.store.put("marks/3", b"mark")
    sealed.store.put("marks/12", b"mark")
    lease.renew()
    assert _read(sealed, lease, 2).mark == 12


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

"""Snapshots: written once, read strictly, and put in order by parent."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st
from msgspec.structs import replace

from engine.base.errors import Conflict, IntegrityError
from engine.base.ids import SnapshotId
from engine.repository import layout, snapshot
from engine.repository.snapshot import Snapshot, in_order
from engine.storage.stores.memory import MemoryStore
from tests.engine.repository.parts import ENTROPY, body_of, damage, job_id
from tests.golden import world


def test_a_snapshot_comes_back_whole() -> None:
    """Under its name; and a checkpoint under its own."""
    store = MemoryStore()
    job = job_id()
    for name, partial in ((job, False), (f"{job}-3", True)):
        committed = Snapshot(SnapshotId(name), replace(body_of(), partial=partial, tags=("a",)))
        snapshot.write(store, world.KEYS, committed, ENTROPY)
        assert snapshot.read(store, world.KEYS, name) == committed
        assert committed.partial == partial


def test_a_job_commits_once() -> None:
    """The second is told, and the first stands."""
    store = MemoryStore()
    job = SnapshotId(job_id())
    snapshot.write(store, world.KEYS, Snapshot(job, body_of(time_ns=1)), ENTROPY)
    with pytest.raises(Conflict):
        snapshot.write(store, world.KEYS, Snapshot(job, body_of(time_ns=2)), ENTROPY)
    assert snapshot.read(store, world.KEYS, job).body.time_ns == 1


@pytest.mark.parametrize("at", [0, 5, 6, 20, 60, -1])
def test_a_damaged_snapshot_is_an_integrity_error(at: int) -> None:
    """Wherever the bit lies."""
    store = MemoryStore()
    job = SnapshotId(job_id())
    snapshot.write(store, world.KEYS, Snapshot(job, body_of()), ENTROPY)
    damage(store, layout.snapshots(world.WEDDING) + job, at=at)
    with pytest.raises(IntegrityError):
        snapshot.read(store, world.KEYS, job)


# --- order -------------------------------------------------------------------------------------------


def _snapshots(parents: list[tuple[int, int]]) -> list[Snapshot]:
    """Snapshot n with a parent (a number, perhaps of none) and a time."""
    return [
        Snapshot(SnapshotId(f"{number:032x}"), body_of(parent=f"{parent:032x}" if parent >= 0 else "", time_ns=time_ns))
        for number, (parent, time_ns) in enumerate(parents)
    ]


def test_a_parent_comes_before_its_child_whatever_the_clocks_said() -> None:
    """An ops box whose clock was an hour ahead."""
    ordered = in_order(_snapshots([(-1, 3600), (0, 10), (1, 20)]))
    assert [item.body.time_ns for item in ordered] == [3600, 10, 20]


def test_without_parents_the_order_is_by_time() -> None:
    """Also where the parent is no longer kept."""
    ordered = in_order(_snapshots([(-1, 30), (99, 10), (-1, 20)]))
    assert [item.body.time_ns for item in ordered] == [10, 20, 30]


def test_the_commits_of_a_job_are_in_the_order_of_their_numbers() -> None:
    """They share the time of its start: 10 comes after 9, the snapshot after all."""
    job = "0" * 32
    names = [f"{job}-1", f"{job}-9", f"{job}-10", job]
    found = [Snapshot(SnapshotId(name), body_of()) for name in reversed(names)]
    assert [item.id for item in in_order(found)] == names


@given(st.lists(st.tuples(st.integers(-1, 12), st.integers(0, 9)), max_size=12))
def test_nothing_is_lost_in_ordering(parents: list[tuple[int, int]]) -> None:
    """Rings, missing parents, and snapshots that are their own parent too; true parents come first."""
    found = _snapshots(parents)
    ordered = in_order(found)
    assert sorted(item.id for item in ordered) == sorted(item.id for item in found)
    assert ordered == in_order(reversed(found))
    place = {item.id: at for at, item in enumerate(ordered)}
    for number, (parent, _) in enumerate(parents):
        chain = _ancestors(parents, number)
        if parent != number and 0 <= parent < len(parents) and number not in chain and not _in_ring(parents, chain):
            assert place[found[parent].id] < place[found[number].id]


def _ancestors(parents: list[tuple[int, int]], number: int) -> list[int]:
    chain: list[int] = []
    at = parents[number][0]
    while 0 <= at < len(parents) and at not in chain:
        chain.append(at)
        at = parents[at][0]
    return chain


def _in_ring(parents: list[tuple[int, int]], chain: list[int]) -> bool:
    return any(number in _ancestors(parents, number) for number in chain)

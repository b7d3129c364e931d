"""`tests.faults.FaultyStore`: unseen while nothing goes wrong, and wrong in just the way it is told."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from engine.base.errors import LimitReached, NotFound, Unavailable
from engine.base.invariants import BrokenInvariant
from engine.storage.stores.memory import MemoryObjects, MemoryStore
from tests.faults import Call, Fail, FaultyStore, FlipBit, Lie, Method, Rule, Truncate, faults
from tests.suites.object_store import ObjectStoreSuite, OpenEngine, names_in, paged, pattern, publish

LOST = Unavailable("the store does not answer", "try again")


class TestFaultyStoreWithoutFaults(ObjectStoreSuite):
    """A wrapper that changes nothing keeps every promise."""

    @pytest.fixture
    def open_engine(self) -> Iterator[OpenEngine]:
        objects = MemoryObjects()
        opened: list[FaultyStore] = []

        def open_one() -> FaultyStore:
            opened.append(FaultyStore(MemoryStore(objects)))
            return opened[-1]

        yield open_one
        for store in opened:
            store.close()


def test_a_failure_comes_at_the_call_it_was_set_for() -> None:
    store = FaultyStore(MemoryStore(), Rule("put", Fail(LOST), prefix="packs/", skip=1, times=2))
    store.put("packs/1", b"")
    store.put("config/1", b"")
    for _ in range(2):
        with pytest.raises(Unavailable):
            store.put("packs/2", b"")
    store.put("packs/2", b"")
    assert names_in(store) == ["config/1", "packs/1", "packs/2"]
    assert [call.name for call in faults(store.calls)] == ["packs/2", "packs/2"]


def test_a_lost_answer_leaves_the_work_done() -> None:
    store = FaultyStore(MemoryStore(), Rule("put", Fail(LOST, after=True)), Rule("publish", Fail(LOST, after=True)))
    with pytest.raises(Unavailable):
        store.put("snapshots/1", b"x")
    with pytest.raises(Unavailable):
        publish(store, "packs/1", pattern(4096))
    assert names_in(store) == ["packs/1", "snapshots/1"]


def test_a_lie_does_nothing_and_says_it_did() -> None:
    store = FaultyStore(MemoryStore(), *(Rule(method, Lie()) for method in ("put", "publish", "delete", "list")))
    store.put("a", b"x")
    publish(store, "b", pattern(4096))
    assert names_in(store.inner) == []
    store.put("a", b"x")
    store.delete("a")
    assert names_in(store) == []
    assert names_in(store) == ["a"]


def test_a_lie_about_an_append_loses_its_bytes() -> None:
    store = FaultyStore(MemoryStore(), Rule("append", Lie(), skip=1))
    staged = store.stage()
    staged.append(paged(pattern(4096)))
    staged.append(paged(pattern(8192)))
    assert staged.size_bytes == 12288
    staged.publish("packs/1").result()
    assert store.stat("packs/1").size_bytes == 4096


def test_bytes_can_be_cut_off_on_either_way() -> None:
    store = FaultyStore(
        MemoryStore(), Rule("put", Truncate(3)), Rule("get", Truncate(2)), Rule("read_into", Truncate(1))
    )
    store.put("a", b"12345")
    assert store.get("a", limit_bytes=9) == b"12"
    assert store.get("a", limit_bytes=9) == b"123"
    buffer = bytearray(3)
    store.read_into("a", 0, memoryview(buffer))
    assert buffer == b"1\0\0"


def test_a_list_can_lag_behind() -> None:
    store = FaultyStore(MemoryStore(), Rule("list", Truncate(1)))
    store.put("a", b"")
    store.put("b", b"")
    assert names_in(store) == ["a"]
    assert names_in(store) == ["a", "b"]


def test_a_bit_can_be_flipped_on_either_way() -> None:
    store = FaultyStore(MemoryStore(), Rule("get", FlipBit(9)), Rule("append", FlipBit(0)))
    store.put("a", b"\0\0")
    assert store.get("a", limit_bytes=2) == b"\0\x02"
    assert store.get("a", limit_bytes=2) == b"\0\0"
    publish(store, "packs/1", bytes(4096))
    assert store.get("packs/1", limit_bytes=4096) == b"\x01" + bytes(4095)


def test_a_failed_append_or_publish_ends_the_staged_object() -> None:
    full = LimitReached("full")
    store = FaultyStore(MemoryStore(), Rule("append", Fail(full)), Rule("publish", Fail(full)))
    staged = store.stage()
    with pytest.raises(LimitReached):
        staged.append(paged(pattern(4096)))
    with pytest.raises(BrokenInvariant):
        staged.append(paged(pattern(4096)))
    with pytest.raises(LimitReached):
        publish(store, "packs/1", pattern(4096))
    assert names_in(store) == []


def test_the_same_seed_brings_the_same_faults() -> None:
    def run(seed: int) -> list[Call]:
        rules = (Rule("put", Lie(), times=None, share=0.3), Rule("get", FlipBit(), times=None, share=0.5))
        store = FaultyStore(MemoryStore(), *rules, seed=seed)
        seen = []
        for number in range(40):
            store.put(f"a/{number}", b"12345678")
            try:
                seen.append(store.get(f"a/{number}", limit_bytes=8))
            except NotFound:
                seen.append(b"")
        assert 5 < len(faults(store.calls)) < 60
        return [*store.calls, *(Call("get", data.hex(), None) for data in seen)]

    assert run(1) == run(1)
    assert run(1) != run(2)


def test_a_healed_store_works_and_a_rule_can_come_late() -> None:
    store = FaultyStore(MemoryStore(), Rule("put", Fail(LOST), times=None))
    with pytest.raises(Unavailable):
        store.put("a", b"")
    store.heal()
    store.put("a", b"")
    store.add(Rule("stat", Fail(LOST)))
    with pytest.raises(Unavailable):
        store.stat("a")
    assert store.names("put") == ["a", "a"]


@pytest.mark.parametrize(
    ("method", "fault"), [("get", Lie()), ("delete", Truncate(1)), ("publish", FlipBit()), ("space", Lie())]
)
def test_a_fault_that_means_nothing_is_refused(method: Method, fault: Lie | Truncate | FlipBit) -> None:
    with pytest.raises(BrokenInvariant):
        Rule(method, fault)

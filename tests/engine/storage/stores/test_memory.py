"""`MemoryStore` against the shared suite, and what is its own."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from engine.base.clock import FakeClock
from engine.storage.stores.memory import MemoryObjects, MemoryStore
from tests.suites.object_store import ObjectStoreSuite, OpenEngine


class TestMemoryStore(ObjectStoreSuite):
    """The promises every store makes."""

    @pytest.fixture
    def open_engine(self) -> Iterator[OpenEngine]:
        objects = MemoryObjects()
        opened: list[MemoryStore] = []

        def open_one() -> MemoryStore:
            opened.append(MemoryStore(objects))
            return opened[-1]

        yield open_one
        for store in opened:
            store.close()


def test_objects_carry_the_time_of_the_clock() -> None:
    clock = FakeClock(1_000_000_000)
    store = MemoryStore(clock=clock)
    store.put("a", b"")
    clock.advance(2)
    store.put("b", b"")
    assert [info.modified_ns for info in store.list("")] == [1_000_000_000, 3_000_000_000]


def test_a_memory_store_counts_its_bytes() -> None:
    store = MemoryStore()
    store.put("a", b"12")
    store.put("b", b"345")
    assert store.space().used_bytes == 5

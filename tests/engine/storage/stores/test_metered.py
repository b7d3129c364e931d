"""A metered store against the shared suite; what it counts, and when its meter lets more be begun."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from engine.base.bucket import BURST_S
from engine.base.clock import FakeClock
from engine.storage.stores.memory import MemoryObjects, MemoryStore
from engine.storage.stores.metered import Meter, MeteredStore
from tests.suites.object_store import ObjectStoreSuite, OpenEngine, paged, publish


class TestMeteredStore(ObjectStoreSuite):
    """The promises every store makes."""

    @pytest.fixture
    def open_engine(self) -> Iterator[OpenEngine]:
        objects = MemoryObjects()
        opened: list[MeteredStore] = []

        def open_one() -> MeteredStore:
            opened.append(MeteredStore(MemoryStore(objects), Meter(FakeClock())))
            return opened[-1]

        yield open_one
        for store in opened:
            store.close()


def test_what_goes_to_a_store_and_comes_from_it_is_counted() -> None:
    meter = Meter(FakeClock())
    store = MeteredStore(MemoryStore(), meter)
    store.put("a", b"x" * 100)
    publish(store, "b", b"y" * 8192)
    assert (meter.bytes_written, meter.bytes_read) == (8292, 0)
    assert store.get("a", limit_bytes=1000) == b"x" * 100
    store.read_into("b", 0, paged(b"\0" * 4096))
    assert (meter.bytes_written, meter.bytes_read) == (8292, 4196)


def test_over_a_long_time_no_more_than_the_rate_is_let_through() -> None:
    """Work of 16 MiB each, begun as soon as the meter lets it: 100 s at 10 MB/s."""
    clock = FakeClock()
    meter = Meter(clock)
    meter.set_limit(10e6)
    while clock.monotonic_s() < 100:
        wait_s = meter.wait_s()
        if wait_s:
            clock.advance(wait_s)
            continue
        meter.reserve(16 << 20)
        meter.written(16 << 20)
        meter.release(16 << 20)
    assert 985e6 <= meter.bytes_written <= 1000e6 + BURST_S * 10e6 + (16 << 20)


def test_work_that_is_out_holds_back_more_and_what_it_did_not_move_is_given_back() -> None:
    """A unit of duplicates moves nothing: the next may begin when it has ended."""
    clock = FakeClock()
    meter = Meter(clock)
    meter.set_limit(1e6)
    clock.advance(1)
    assert meter.wait_s() == 0
    meter.reserve(16 << 20)
    assert meter.wait_s() > 15
    meter.release(16 << 20)
    assert meter.wait_s() == 0


def test_a_limit_changes_at_once_and_what_is_owed_stays_owed() -> None:
    clock = FakeClock()
    meter = Meter(clock)
    assert (meter.limit_bytes_per_s, meter.wait_s()) == (None, 0)
    meter.set_limit(1e6)
    meter.read(10_000_000)
    assert meter.wait_s() == pytest.approx(10, abs=0.01)
    meter.set_limit(10e6)
    assert meter.limit_bytes_per_s == 10e6
    assert meter.wait_s() == pytest.approx(1, abs=0.01)
    clock.advance(1.1)
    assert meter.wait_s() == 0
    meter.set_limit(None)
    meter.written(10**12)
    assert meter.wait_s() == 0

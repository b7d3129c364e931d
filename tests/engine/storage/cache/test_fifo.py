"""S3-FIFO: its bound, what it keeps through a scan, and its hit rate beside that of LRU."""

from __future__ import annotations

import random

import pytest
from hypothesis import given
from hypothesis import strategies as st

from engine.base.invariants import BrokenInvariant
from engine.storage.cache.fifo import S3Fifo
from tests.caches import lru_hits, zipf_trace

_keys = st.tuples(st.sampled_from(["a/1", "a/2", "b/1"]), st.integers(0, 3))
_steps = st.one_of(
    st.tuples(st.just("add"), _keys, st.integers(1, 40)),
    st.tuples(st.just("get"), _keys, st.just(0)),
    st.tuples(st.just("remove"), _keys, st.just(0)),
    st.tuples(st.just("forget"), _keys, st.just(0)),
    st.tuples(st.just("folder"), _keys, st.just(0)),
)


@given(steps=st.lists(_steps, max_size=60), capacity=st.integers(40, 120))
def test_a_cache_never_passes_its_bound_and_gives_what_it_was_given(
    steps: list[tuple[str, tuple[str, int], int]], capacity: int
) -> None:
    cache = S3Fifo[object](capacity)
    given_values: dict[tuple[str, int], object] = {}
    for what, key, size_bytes in steps:
        if what == "add":
            given_values[key] = object()
            cache.add(key, given_values[key], size_bytes)
            assert cache.peek(key) is given_values[key]
        elif what == "get":
            assert cache.get(key) in (None, given_values.get(key))
        elif what == "remove":
            cache.remove(key)
            assert cache.peek(key) is None
        else:
            name = key[0] if what == "forget" else key[0][:2]
            cache.forget(name)
            gone = [each for each in given_values if each[0] == name or (each[0].startswith(name) and name[-1] == "/")]
            assert all(cache.peek(each) is None for each in gone)
        cache.validate()


def test_what_is_asked_for_often_stays_through_a_scan_of_ten_times_the_room() -> None:
    cache = S3Fifo[int](100)
    hot = [("hot", number) for number in range(50)]
    for key in hot:
        cache.add(key, 1, 1)
    for key in hot * 2:
        assert cache.get(key) == 1
    for number in range(1000):
        cache.add(("scan", number), 0, 1)
    assert sum(cache.peek(key) is not None for key in hot) == 50


def test_what_comes_back_soon_after_it_left_is_taken_in_for_long() -> None:
    cache = S3Fifo[int](10)
    cache.add(("a", 0), 0, 1)
    for number in range(10):
        cache.add(("scan", number), 0, 1)
    assert cache.peek(("a", 0)) is None
    cache.add(("a", 0), 0, 1)
    for number in range(100, 200):
        cache.add(("scan", number), 0, 1)
    assert cache.peek(("a", 0)) is not None


def test_blocks_of_an_earlier_life_outlast_new_ones_that_are_used_once() -> None:
    cache = S3Fifo[int](100)
    for number in range(90):
        cache.add_proven(("old", number), 0, 1)
    for number in range(1000):
        cache.add(("scan", number), 0, 1)
    assert sum(cache.peek(("old", number)) is not None for number in range(90)) == 90


@pytest.mark.parametrize("exponent", [0.7, 0.9, 1.1])
@pytest.mark.parametrize("room", [20, 100, 500, 2000])
def test_a_zipf_trace_is_never_served_worse_than_by_lru(exponent: float, room: int) -> None:
    trace = zipf_trace(2000, exponent, 10_000, chance=random.Random(room))
    cache = S3Fifo[int](room)
    hits = 0
    for number in trace:
        if cache.get(("x", number)) is not None:
            hits += 1
        else:
            cache.add(("x", number), 1, 1)
    assert hits >= lru_hits(trace, room)


def test_an_empty_cache_lets_nothing_go_and_a_block_that_is_too_large_is_refused() -> None:
    cache = S3Fifo[int](10)
    with pytest.raises(BrokenInvariant):
        cache.evict()
    with pytest.raises(BrokenInvariant):
        cache.add(("a", 0), 0, 11)

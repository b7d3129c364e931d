"""Histograms: as exact as they say, whatever is recorded, and a window that forgets by slices."""

from __future__ import annotations

import math

import pytest
from hypothesis import given
from hypothesis import strategies as some

from engine.base.metrics import NO_SPREAD, Histogram, RollingHistogram, bucket_of, value_of

LATENCIES = some.floats(min_value=1e-5, max_value=3_600.0)


@given(LATENCIES)
def test_a_bucket_is_within_a_hundredth_of_its_values(seconds: float) -> None:
    assert value_of(bucket_of(seconds)) == pytest.approx(seconds, rel=0.008, abs=1e-6)


@given(LATENCIES, LATENCIES)
def test_buckets_keep_the_order(one: float, other: float) -> None:
    assert (bucket_of(one) <= bucket_of(other)) == (one <= other) or bucket_of(one) == bucket_of(other)


@given(some.lists(LATENCIES, min_size=1, max_size=200))
def test_quantiles_are_those_of_the_sorted_values(values: list[float]) -> None:
    histogram = Histogram()
    for value in values:
        histogram.record(value)
    ordered = sorted(values)
    shares = (0.5, 0.95, 0.99)
    exact = [ordered[max(1, math.ceil(share * len(values))) - 1] for share in shares]
    assert histogram.quantiles(shares) == pytest.approx(exact, rel=0.008, abs=1e-6)


def test_what_is_longer_than_an_hour_counts_as_an_hour_and_its_maximum_stays() -> None:
    histogram = Histogram()
    histogram.record(90_000.0)
    assert histogram.quantiles((0.5,)) == pytest.approx([3_600.0], rel=0.008)
    assert histogram.max_s == 90_000.0


def test_nothing_recorded_is_no_spread() -> None:
    assert RollingHistogram(window_s=600.0).spread(time_s=5.0) == NO_SPREAD
    assert Histogram().quantiles((0.5, 0.99)) == [0.0, 0.0]


def test_a_window_forgets_slice_by_slice() -> None:
    window = RollingHistogram(window_s=100.0, slices=10)
    for time_s in range(0, 100, 5):
        window.record(1.0 if time_s < 50 else 2.0, time_s=float(time_s))
    whole = window.spread(time_s=99.0)
    assert (whole.count, whole.window_s) == (20, 99.0)
    assert whole.p50_s == pytest.approx(1.0, rel=0.01)
    later = window.spread(time_s=149.0)
    assert later.count == 10
    assert later.p50_s == pytest.approx(2.0, rel=0.01)
    assert window.spread(time_s=1_000.0) == NO_SPREAD

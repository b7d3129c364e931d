"""Rates, remaining time and percentiles, from samples."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from engine.jobs.measure import LATENCIES_KEPT, LatencyWindow, Rate, remaining_s


def test_a_steady_counter_has_its_rate_from_the_first_sample_on() -> None:
    rate = Rate(count=0, time_s=10.0)
    for second in range(1, 6):
        rate.sample(1000 * second, 10.0 + second)
        assert rate.per_s == pytest.approx(1000)


def test_a_change_shows_gradually() -> None:
    rate = Rate(count=0, time_s=0.0)
    for second in range(1, 21):
        rate.sample(1000 * second, float(second))
    rate.sample(20_000, 21.0)
    assert 700 < rate.per_s < 900
    for second in range(22, 60):
        rate.sample(20_000, float(second))
    assert rate.per_s < 1


def test_two_samples_of_one_moment_and_a_counter_that_goes_back_do_no_harm() -> None:
    rate = Rate(count=0, time_s=0.0)
    rate.sample(100, 1.0)
    rate.sample(900, 1.0)
    assert rate.per_s == pytest.approx(100)
    rate.sample(0, 2.0)
    assert rate.per_s >= 0


@given(st.lists(st.tuples(st.floats(0.01, 100), st.integers(0, 10**9)), min_size=1, max_size=30))
def test_a_rate_lies_between_the_slowest_and_the_fastest_step(steps: list[tuple[float, int]]) -> None:
    rate, time_s, count, speeds = Rate(count=0, time_s=0.0), 0.0, 0, []
    for span_s, step in steps:
        before_s = time_s
        time_s, count = time_s + span_s, count + step
        speeds.append(step / (time_s - before_s))
        rate.sample(count, time_s)
    assert min(speeds) * 0.999 - 1e-6 <= rate.per_s <= max(speeds) * 1.001 + 1e-6


def test_remaining_time_is_unknown_without_a_total_or_a_rate() -> None:
    assert remaining_s(10, None, 5.0) is None
    assert remaining_s(10, 100, 0.0) is None
    assert remaining_s(10, 100, 9.0) == 10.0
    assert remaining_s(120, 100, 9.0) == 0.0


def test_percentiles_state_their_count_and_window() -> None:
    window = LatencyWindow()
    assert window.percentiles(5.0).count == 0
    for number in range(1, 101):
        window.add(number / 100, time_s=float(number))
    found = window.percentiles(150.0)
    assert (found.count, found.window_s) == (100, 149.0)
    assert (found.p50_s, found.p95_s, found.p99_s, found.max_s) == (0.5, 0.95, 0.99, 1.0)


def test_only_the_last_latencies_are_kept() -> None:
    window = LatencyWindow()
    for number in range(LATENCIES_KEPT + 10):
        window.add(9.0 if number < 10 else 1.0, time_s=float(number))
    found = window.percentiles(float(LATENCIES_KEPT + 10))
    assert (found.count, found.max_s, found.window_s) == (LATENCIES_KEPT, 1.0, float(LATENCIES_KEPT))

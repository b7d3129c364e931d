"""Samples over time, put into equal steps."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from screens import trail
from tests import samples

SECOND = samples.SECOND_NS
NOW = samples.NOW_NS


def test_each_step_is_the_mean_of_its_samples() -> None:
    times = [NOW - 2 * SECOND, NOW - SECOND - 1, NOW - SECOND, NOW]
    assert trail.steps(times, [4.0, 8.0, 1.0, 3.0], now=NOW, window_s=3, count=3) == [6.0, 1.0, 3.0]


def test_a_step_between_samples_shows_the_last_one() -> None:
    assert trail.steps([NOW - SECOND, NOW], [2.0, 4.0], now=NOW, window_s=2, count=4) == [None, 2.0, 2.0, 4.0]


def test_a_long_silence_is_a_gap() -> None:
    values = trail.steps([NOW - 9 * SECOND, NOW], [5.0, 7.0], now=NOW, window_s=10, count=10)
    assert values == [5.0, 5.0, 5.0, None, None, None, None, None, None, 7.0]


def test_what_was_before_the_window_is_carried_into_it_while_fresh() -> None:
    assert trail.steps([NOW - 3 * SECOND], [5.0], now=NOW, window_s=2, count=2) == [5.0, None]


@given(st.integers(0, 10**10), st.integers(1, 200))
def test_a_curve_moves_as_a_whole(later: int, count: int) -> None:
    """The same samples seen later fall into the same steps, only further left."""
    times = [NOW - i * SECOND for i in range(30, -1, -1)]
    numbers = [float(i) for i in range(31)]
    before = trail.steps(times, numbers, now=NOW, window_s=60, count=count)
    after = trail.steps(times, numbers, now=NOW + later, window_s=60, count=count)
    step_ns = round(60 * SECOND / count)
    moved = (NOW + later) // step_ns - NOW // step_ns
    kept = before[moved:] if moved < count else []
    assert after[: len(kept)] == kept or moved == 0


def test_throughput_tells_stored_read_and_restored_apart() -> None:
    series = trail.throughput(samples.performance(), now=NOW, window_s=60, count=60)
    assert [(one.name, one.shape) for one in series] == [("stored", "area"), ("read", "line"), ("restored", "dots")]
    assert all(value is not None for value in series[0].values[2:])


def test_initiation_keeps_three_percentiles() -> None:
    points = [trail.Spread(NOW - SECOND, 0.1, 0.2, 0.3), trail.Spread(NOW, 0.2, 0.4, 0.6)]
    series = trail.initiation(points, now=NOW, window_s=2, count=2)
    assert {one.name: one.values for one in series} == {"p50": [0.1, 0.2], "p95": [0.2, 0.4], "p99": [0.3, 0.6]}

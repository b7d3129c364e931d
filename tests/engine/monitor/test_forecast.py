"""When a tier will be full: a straight line through its past."""

from __future__ import annotations

import pytest

from engine.monitor.forecast import AHEAD_NS_MAX, full_ns

HOUR = 3600 * 10**9
GB = 10**9


def grown(*used_gb: float) -> list[tuple[int, int]]:
    """A sample an hour."""
    return [(hour * HOUR, round(used * GB)) for hour, used in enumerate(used_gb)]


def test_steady_growth_ends_where_it_meets_the_capacity() -> None:
    assert full_ns(grown(10, 11, 12, 13), 20 * GB) == 10 * HOUR


def test_a_day_that_was_odd_does_not_bend_it_much() -> None:
    found = full_ns(grown(10, 11, 12.3, 12.7, 14, 15), 20 * GB)
    assert found == pytest.approx(10 * HOUR, rel=0.05)


@pytest.mark.parametrize(
    "samples",
    [[], grown(10), [(0, 0), (HOUR // 2, GB)], grown(12, 11, 10), grown(5, 5, 5)],
    ids=["none", "one", "half an hour", "shrinking", "standing"],
)
def test_what_does_not_grow_or_was_not_watched_long_has_no_date(samples: list[tuple[int, int]]) -> None:
    assert full_ns(samples, 20 * GB) is None


def test_what_is_full_is_full_now_and_what_is_far_has_no_date() -> None:
    assert full_ns(grown(19, 20), 20 * GB) == HOUR
    slow = [(0, 0), (HOUR, 1)]
    assert full_ns(slow, 20 * GB) is None
    assert AHEAD_NS_MAX > 365 * 24 * HOUR

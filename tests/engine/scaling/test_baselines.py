"""The baselines do what their documentation says."""

from __future__ import annotations

import numpy as np

from engine.scaling.baselines import Hpa, hour_of_week, saturday_rule


def settled(hpa: Hpa, current: int, jobs: int, syncs: int) -> list[int]:
    """What one lane asks for, sync by sync, where all that is asked for counts at once."""
    found = []
    for _ in range(syncs):
        current = int(hpa.sync(np.array([current]), np.array([jobs]))[0])
        found.append(current)
    return found


def test_up_goes_by_the_larger_of_double_and_four() -> None:
    assert settled(Hpa(1), 1, 80, 6) == [5, 10, 20, 40, 80, 100]


def test_nothing_happens_within_a_tenth() -> None:
    assert settled(Hpa(1), 100, 87, 3) == [100, 100, 100]
    assert settled(Hpa(1), 100, 73, 3) == [100, 100, 100]


def test_down_waits_for_the_largest_wish_of_five_minutes() -> None:
    hpa = Hpa(1)
    assert settled(hpa, 100, 80, 1) == [100]
    assert settled(hpa, 100, 8, 20) == [100] * 19 + [10]


def test_lanes_do_not_know_each_other() -> None:
    assert Hpa(2).sync(np.array([10, 10]), np.array([80, 8])).tolist() == [20, 10]


def test_two_weeks_are_all_that_the_predictor_remembers() -> None:
    by_hour = np.zeros((35, 24))
    by_hour[7], by_hour[14], by_hour[21] = 900.0, 10.0, 30.0
    assert hour_of_week(by_hour, 28, 0, hours=24).tolist() == [20.0] * 24


def test_the_schedule_knows_weekends_only() -> None:
    by_hour = np.arange(35 * 24, dtype=np.float64).reshape(35, 24)
    assert saturday_rule(by_hour, 28, 4).sum() == 0
    assert saturday_rule(by_hour, 28, 5).tolist() == by_hour[21].tolist()

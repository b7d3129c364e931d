"""Elasticity by the published definitions, checked on stretches that a hand can work out."""

from __future__ import annotations

import numpy as np
import pytest

from engine.base.invariants import BrokenInvariant
from engine.scaling.elasticity import Elasticity, demanded, elasticity, paired, speedup, waits

DEMAND = np.array([10, 10, 20, 20])


def test_supply_that_follows_at_once_misses_nothing() -> None:
    found = elasticity(DEMAND, DEMAND)
    assert found == Elasticity(0.0, 0.0, 0.0, 0.0, 0.0, adaptations=1)


def test_supply_that_comes_late_is_too_little_and_then_moves_differently() -> None:
    found = elasticity(DEMAND, np.array([10, 10, 10, 25]))
    assert found.under == pytest.approx(100 * (10 / 20) / 4)
    assert found.over == pytest.approx(100 * (5 / 20) / 4)
    assert (found.under_time, found.over_time) == (25.0, 25.0)
    assert found.instability == pytest.approx(100 * 2 / 3)
    assert found.adaptations == 1


def test_speedup_is_the_geometric_mean_of_four_ratios() -> None:
    ours = Elasticity(1.0, 10.0, 2.0, 20.0, 0.0, 1)
    baseline = Elasticity(4.0, 10.0, 8.0, 20.0, 0.0, 1)
    assert speedup(baseline, ours) == pytest.approx((4 * 1 * 4 * 1) ** 0.25)
    assert speedup(ours, baseline) == pytest.approx(1 / speedup(baseline, ours))


def test_a_metric_of_nothing_leaves_the_speedup_finite() -> None:
    nothing = Elasticity(0.0, 10.0, 0.0, 10.0, 0.0, 1)
    assert speedup(Elasticity(1.0, 10.0, 1.0, 10.0, 0.0, 1), nothing) == pytest.approx(10.0)


def test_demand_is_the_work_of_the_tolerated_wait_over_its_length() -> None:
    arrivals = np.array([3, 0, 0, 0, 6])
    assert demanded(arrivals, busy_ticks=4, wait_ticks=2).tolist() == [6, 6, 0, 0, 12]


def test_waits_are_counted_first_come_first_served() -> None:
    found = waits(np.array([2, 1, 0, 0]), np.array([1, 0, 1, 0]), tolerated=1)
    assert (found.jobs, found.late, found.longest) == (3, 2, 3.0)  # 0, 2, and one that never began: 4 - 1
    assert found.p50 == 2.0
    assert found.late_share == pytest.approx(2 / 3)


def test_a_job_that_begins_and_never_came_is_a_bug() -> None:
    with pytest.raises(BrokenInvariant):
        waits(np.array([1]), np.array([2]), tolerated=1)


def test_a_bootstrap_tells_a_difference_from_chance() -> None:
    theirs = [10.0, 12.0, 9.0, 14.0, 11.0, 10.0, 13.0, 12.0]
    better = paired([x - 1.0 - 0.1 * (i % 3) for i, x in enumerate(theirs)], theirs)
    assert better.high < 0
    assert better.excludes_zero
    assert not paired([x + (-1) ** i for i, x in enumerate(theirs)], theirs).excludes_zero
    assert paired([1.0, 2.0], [0.0, 5.0], seed=3) == paired([1.0, 2.0], [0.0, 5.0], seed=3)

"""simulate: what an operator is told of a weekend that was only played."""

from __future__ import annotations

import functools

from engine.contract.scaling import ScalingSettings
from engine.contract.simulations import Simulate, SimulationReport
from engine.operations.simulating import simulated

SMALL = Simulate(weddings=20, floor=3, ceiling=32)


@functools.cache
def played(**changes: object) -> SimulationReport:
    arguments = {name: getattr(SMALL, name) for name in SMALL.__struct_fields__} | changes
    return simulated(Simulate(**arguments), ScalingSettings())


def test_a_played_weekend_says_simulated_and_loses_no_job() -> None:
    report = played()
    assert report.simulated == "SIMULATED"
    assert report.failed == 0
    assert sum(hour.jobs for hour in report.hours) == report.jobs > 500
    assert len(report.hours) == 72
    assert report.nodes_most <= 32
    assert report.ready_p95_s < 60


def test_the_same_question_is_answered_the_same() -> None:
    assert played.__wrapped__() == played()


def test_the_autoscaler_costs_less_than_the_ceiling_all_the_time() -> None:
    ours, fixed, reactive = (played(rule=rule) for rule in ("autoscaler", "fixed", "reactive"))
    assert ours.cost < 0.65 * fixed.cost
    assert ours.jobs == fixed.jobs == reactive.jobs
    assert fixed.late == reactive.failed == 0


def test_three_times_the_weddings_are_three_times_the_work_that_day() -> None:
    usual, burst = played(), played(times=3)
    assert burst.jobs > 1.5 * usual.jobs
    assert burst.failed == 0

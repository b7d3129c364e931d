"""The rate of a worker and the time of a start-up, as measured."""

from __future__ import annotations

import pytest

from engine.contract.cluster import NodeRow
from engine.scaling.rates import RateMeter, StartupMeter


def test_the_rate_is_of_the_work_that_was_done_lately_and_outlives_an_idle_night() -> None:
    meter = RateMeter()
    assert meter.bytes_per_s == 0
    meter.sample(1_000, 10.0)
    meter.sample(1_000, 10.0)
    assert meter.bytes_per_s == pytest.approx(100)
    meter.sample(1_000 + 1_200_000, 10.0 + 1_200.0)
    assert meter.bytes_per_s == pytest.approx(1_000, rel=0.01)
    again = RateMeter(meter.bytes_per_s)
    again.sample(15_000, 10.0)
    assert again.bytes_per_s == pytest.approx(1_125, rel=0.05)  # 30 s at 1,000 and 10 s at 1,500


def test_a_start_takes_from_the_first_sight_until_ready() -> None:
    meter = StartupMeter()
    meter.see([NodeRow(name="a", state="starting"), NodeRow(name="b"), NodeRow(name="c", state="starting")], 100.0)
    meter.see([NodeRow(name="a", state="starting"), NodeRow(name="b")], 130.0)
    assert meter.p95_s == 0
    meter.see([NodeRow(name="a"), NodeRow(name="b"), NodeRow(name="c")], 160.0)
    assert meter.p95_s == 60.0


def test_a_machine_starts_from_the_moment_it_was_asked_for_also_when_it_is_not_seen_until_it_is_ready() -> None:
    meter = StartupMeter()
    here = NodeRow(name="here")
    meter.see([here], 0.0)
    meter.asked(2, 10.0)
    meter.see([here, NodeRow(name="a")], 100.0)
    assert meter.p95_s == 90.0
    meter.asked(-1, 110.0)
    meter.see([here, NodeRow(name="a"), NodeRow(name="by-hand")], 900.0)
    assert meter.p95_s == 90.0

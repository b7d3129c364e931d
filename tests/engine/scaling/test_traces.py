"""Drawn demand follows its seed and its shapes."""

from __future__ import annotations

import datetime as dt

import numpy as np
import pytest

from engine.scaling.traces import MIDDLE, arrival_curve, drawn

MAY = dt.date(2025, 5, 5)  # a Monday
DAYS = 56


def test_one_seed_gives_one_demand() -> None:
    one, other = (drawn(MIDDLE, MAY, DAYS, seed=3) for _ in range(2))
    assert one.minutes.tobytes() == other.minutes.tobytes()
    assert one.calendar.tobytes() == other.calendar.tobytes()
    assert drawn(MIDDLE, MAY, DAYS, seed=4).minutes.tobytes() != one.minutes.tobytes()


def test_minutes_hours_and_weddings_count_the_same_jobs() -> None:
    demand = drawn(MIDDLE, MAY, DAYS, seed=3)
    assert demand.by_hour().sum() == len(demand.minutes) == len(demand.weddings)
    week = demand.by_minute(7, 7)
    assert week.sum() == demand.by_hour()[7:14].sum()
    assert (np.diff(demand.minutes) >= 0).all()


def test_saturdays_carry_the_week_and_the_calendar_knows_six_tenths() -> None:
    demand = drawn(MIDDLE, MAY, DAYS, seed=3)
    by_weekday = demand.held.reshape(-1, 7).sum(axis=0)
    assert by_weekday.argmax() == 5
    assert demand.calendar.sum() / demand.held.sum() == pytest.approx(0.6, abs=0.05)


def test_a_day_that_is_three_times_as_busy_has_three_times_the_weddings() -> None:
    factors = np.ones(DAYS)
    factors[12] = 3.0
    usual, burst = (drawn(MIDDLE, MAY, DAYS, seed=3, factors=each) for each in (None, factors))
    assert burst.held[12] / usual.held[12] == pytest.approx(3.0, rel=0.2)
    assert burst.held[:12].tolist() == usual.held[:12].tolist()


def test_the_jobs_of_a_wedding_all_come_within_its_days() -> None:
    assert arrival_curve().sum() == pytest.approx(1.0)

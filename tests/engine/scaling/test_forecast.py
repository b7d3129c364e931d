"""Forecasts see the past alone, find weekday, season, holiday, hours and bookings, and know how sure they are."""

from __future__ import annotations

import dataclasses
import datetime as dt
import functools

import numpy as np
import pytest

from engine.base.invariants import BrokenInvariant
from engine.scaling.dates import HOLIDAY, Days
from engine.scaling.forecast import History, Model, booked_and_pickup, same_slot

BEGIN = dt.date(2022, 1, 1)
MODELS = [booked_and_pickup, same_slot]


@functools.cache
def platform(days: int = 800, *, hours: int = 24, weddings: float = 40.0) -> tuple[History, np.ndarray]:
    """Weddings a day: Saturdays, summer, a holiday that stops all; twenty jobs each, in the evening. And who booked."""
    chance = np.random.default_rng(5)
    kinds, part = Days(BEGIN, days, "US").type, Days(BEGIN, days, "").year_part
    mean = (
        weddings * np.where(kinds == 5, 8.0, np.where(kinds == HOLIDAY, 0.1, 1.0)) * np.exp(-np.cos(2 * np.pi * part))
    )
    held = chance.poisson(mean * chance.gamma(16, 1 / 16, days))
    profile = np.exp(-((np.arange(hours) - 0.8 * hours) ** 2) / hours)
    values = chance.poisson(20.0 * held[:, None] * profile / profile.sum()).astype(float)
    return History(BEGIN, values, "US"), chance.binomial(held, 0.6).astype(float)[:, None]


def accuracy(history: History, model: Model, *, at: int = 760, ahead: int = 7) -> float:
    actual = history.values[at : at + ahead]
    return 1 - float(np.abs(model(history.until(at, ahead), ahead).mean - actual).sum() / actual.sum())


@pytest.mark.parametrize("model", MODELS)
def test_what_comes_after_the_origin_changes_nothing(model: Model) -> None:
    history, booked = platform(200, hours=2)
    changed = history.values.copy()
    changed[150:] = 1e6
    later = booked.copy()
    later[157:] = 1e6
    one = dataclasses.replace(history, booked=booked)
    other = dataclasses.replace(history, values=changed, booked=later)
    assert np.array_equal(model(one.until(150, 7), 7).mean, model(other.until(150, 7), 7).mean)


def test_what_it_reads_of_a_past_day_was_known_so_long_before() -> None:
    """Bands are honest only if the past was as far away as the future is."""
    history, _ = platform(300, hours=1)
    moved = history.values.copy()
    moved[-3:] *= 1.5
    for model in MODELS:
        said = [model(dataclasses.replace(history, values=v), 7) for v in (history.values, moved)]
        assert said[0].mean[0] == pytest.approx(said[1].mean[0], rel=0.3)  # seen, and not at once believed


def test_season_weekday_and_holiday_are_found() -> None:
    history, _ = platform()
    days = Days(BEGIN, 800, "US")
    july = next(day for day in range(700, 790) if days.type[day] == HOLIDAY)
    said = booked_and_pickup(history.until(july - 3, 7), 7).mean.sum(axis=1)
    assert said[3] < 0.4 * said[4]
    saturday = next(day for day in range(7) if days.type[july - 3 + day] == 5)
    assert said[saturday] > 4 * np.median(said)


def test_hours_follow_the_profile_of_their_day() -> None:
    history, _ = platform()
    said = booked_and_pickup(history.until(760, 2), 2).mean
    actual = history.values[600:760].sum(axis=0)
    assert said[0] / said[0].sum() == pytest.approx(actual / actual.sum(), abs=0.02)


@pytest.mark.parametrize("model", MODELS)
def test_bookings_make_it_better_and_say_how_much_stands_on_them(model: Model) -> None:
    history, booked = platform()
    with_bookings = dataclasses.replace(history, booked=booked)
    origins = range(620, 790, 14)
    plain = np.mean([accuracy(history, model, at=at) for at in origins])
    better = np.mean([accuracy(with_bookings, model, at=at) for at in origins])
    assert better > plain + 0.04
    assert 0.3 < model(with_bookings.until(760, 7), 7).booked_share < 1.0
    assert model(history.until(760, 7), 7).booked_share == 0.0


def test_half_a_year_ahead_stands_on_the_season_alone() -> None:
    history, _ = platform(hours=1)
    assert accuracy(history, booked_and_pickup, at=600, ahead=182) > 0.75


@pytest.mark.parametrize("model", MODELS)
@pytest.mark.parametrize("value", [0.0, 3.0])
def test_a_history_that_never_changes_is_gone_on_with(model: Model, value: float) -> None:
    history = History(BEGIN, np.full((60, 24), value))
    said = model(history, 2)
    assert said.mean == pytest.approx(np.full((2, 24), value), abs=0.05)
    assert np.isfinite(said.quantile(0.975)).all()


def test_less_than_eight_weeks_is_no_history() -> None:
    with pytest.raises(BrokenInvariant):
        booked_and_pickup(History(BEGIN, np.ones((55, 1))), 7)


def test_rows_of_months_begin_on_their_first_days() -> None:
    months = History(dt.date(2022, 11, 1), np.ones((30, 1)), row="month")
    assert [months.begin_of(row) for row in (0, 1, 2, 14)] == [
        dt.date(2022, 11, 1), dt.date(2022, 12, 1), dt.date(2023, 1, 1), dt.date(2024, 1, 1),
    ]  # fmt: skip

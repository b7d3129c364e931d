"""SIMULATED demand: the weddings of a platform and the jobs they cause, drawn by chance from one seed. Pure.

In: how large the platform is, its first day, a seed. Out: what its calendar knew of each day, and when each job came.
Shapes are assumptions, stated here as constants: no daily series of weddings was to be had. Any thread.
"""

from __future__ import annotations

import datetime as dt
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from engine.base.invariants import check

Counts = NDArray[np.int64]
Floats = NDArray[np.float64]

DAY_MINUTES = 1_440
SEASON_MONTHS, SEASON_FACTOR = (5, 6, 7, 8, 9), 5.0  # northern
WEEKDAY_FACTORS = (1.0, 1.0, 1.0, 1.0, 3.0, 10.0, 4.0)  # Monday first
LIKED = {(2, 14): 6.0, (12, 31): 6.0}  # Valentine's Day, New Year's Eve
DAY_SPREAD = 0.25  # of the logarithm of a factor that moves a whole day: weather, fashion
JOBS_A_WEDDING, JOBS_SPREAD = 8.0, 0.6  # mean, and spread of the logarithm: a heavy tail
CANCELLED_SHARE = 0.03  # of what the calendar knows; it still stands there
MOVED_SHARE = 0.02  # held a week after the date in the calendar
CURVE_DAYS = 6
# When the jobs of a wedding come, from midnight of its day: hours, and how many of a hundred.
CURVE = ((15, 19, 16.0), (19, 24, 24.0), (24, 30, 25.0), (33, 45, 10.0), (57, 69, 10.0), (105, 117, 15.0))


@dataclass(frozen=True, slots=True)
class Platform:
    """How large a platform is, and how much of its days it knows ahead."""

    name: str
    weddings_a_day: float  # in the mean over a year
    booked_share: float = 0.6  # of the weddings, what stands in the calendar two days ahead


LARGE = Platform("large", 495.0)
MIDDLE = Platform("middle", 48.0)
SMALL = Platform("small", 5.0)


@dataclass(frozen=True, slots=True)
class Demand:
    """What came, job by job, and what was known of it."""

    begin: dt.date
    days: int
    held: Counts  # weddings by day
    calendar: Floats  # by day: weddings whose jobs the calendar lets expect on it
    minutes: Counts  # from midnight of `begin`, of each job, rising
    weddings: Counts  # whose each job is

    def by_hour(self) -> Floats:
        """Jobs, a row a day, a column an hour of it."""
        counts = np.bincount(self.minutes // 60, minlength=self.days * 24)
        return counts[: self.days * 24].reshape(self.days, 24).astype(np.float64)

    def by_minute(self, first_day: int, days: int) -> Counts:
        """Jobs of each minute of some days."""
        begin, end = first_day * DAY_MINUTES, (first_day + days) * DAY_MINUTES
        chosen = self.minutes[np.searchsorted(self.minutes, begin) : np.searchsorted(self.minutes, end)]
        return np.bincount(chosen - begin, minlength=end - begin).astype(np.int64)


def arrival_curve() -> Floats:
    """The share of a wedding's jobs that comes in each hour from midnight of its day on."""
    curve = np.zeros(CURVE_DAYS * 24)
    for first, end, percent in CURVE:
        curve[first:end] = percent / 100 / (end - first)
    return curve


def season_factors(begin: dt.date, days: int) -> Floats:
    """How many weddings each day draws, relative to a weekday out of season."""
    factors = np.empty(days)
    for place in range(days):
        day = begin + dt.timedelta(days=place)
        liked = LIKED.get((day.month, day.day), 1.0)
        season = SEASON_FACTOR if day.month in SEASON_MONTHS else 1.0
        factors[place] = season * max(WEEKDAY_FACTORS[day.weekday()], liked)
    return factors


def drawn(platform: Platform, begin: dt.date, days: int, *, seed: int, factors: Floats | None = None) -> Demand:
    """The demand of a platform. `factors` multiply what single days draw: 3 is three times the weddings."""
    check(days >= CURVE_DAYS, "a platform is drawn for longer than a wedding lasts")
    chance = np.random.Generator(np.random.PCG64(seed))
    shape = season_factors(begin, days)
    usual = season_factors(dt.date(2023, 1, 1), 365).mean()
    moved_by = np.exp(chance.normal(-(DAY_SPREAD**2) / 2, DAY_SPREAD, size=days))
    expected = platform.weddings_a_day * shape / usual * moved_by * (1.0 if factors is None else factors)
    held = chance.poisson(expected).astype(np.int64)
    calendar = spread_over_days(_calendar(held, platform.booked_share, chance))
    return _jobs(begin, held, calendar, chance)


def _calendar(held: Counts, booked_share: float, chance: np.random.Generator) -> Floats:
    """Weddings that stand in the calendar at each day: those known, at the day that was known, and some cancelled."""
    known = chance.binomial(held, booked_share)
    moved = chance.binomial(known, MOVED_SHARE)
    cancelled = chance.binomial(known, CANCELLED_SHARE)
    earlier = np.concatenate([moved[7:], np.zeros(7, dtype=moved.dtype)])
    return np.asarray(known - moved + earlier + cancelled, dtype=np.float64)


def spread_over_days(weddings: Floats) -> Floats:
    """Weddings by their day → the share of them that each day feels, by the arrival curve."""
    shares = arrival_curve().reshape(CURVE_DAYS, 24).sum(axis=1)
    return np.asarray(np.convolve(weddings, shares)[: len(weddings)], dtype=np.float64)


def _jobs(begin: dt.date, held: Counts, calendar: Floats, chance: np.random.Generator) -> Demand:
    total, days = int(held.sum()), len(held)
    centre = np.log(JOBS_A_WEDDING) - JOBS_SPREAD**2 / 2
    counts = np.maximum(1, np.rint(chance.lognormal(centre, JOBS_SPREAD, size=total))).astype(np.int64)
    weddings = np.repeat(np.arange(total), counts)
    day = np.repeat(np.repeat(np.arange(days), held), counts)
    hours = np.searchsorted(np.cumsum(arrival_curve()), chance.random(len(day)) * (1 - 1e-9), side="right")
    minutes = day * DAY_MINUTES + hours * 60 + chance.integers(0, 60, size=len(day))
    within = minutes < days * DAY_MINUTES
    order = np.argsort(minutes[within], kind="stable")
    return Demand(begin, days, held, calendar, minutes[within][order], weddings[within][order])

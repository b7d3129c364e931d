"""SIMULATED platforms: weddings of three years by season, Saturday and special date, and the backup jobs they cause.

In: a size and a seed. Out: hourly jobs, the calendar as it was known beforehand, and the best that anyone could expect.
What makes it hard is in it: sizes with a heavy tail, bookings that are cancelled, weddings that move, days that are
liked for reasons nobody wrote down.
"""

from __future__ import annotations

import datetime as dt
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from engine.scaling.bookings import Traits
from engine.scaling.profiles import Profile, asked_for

Floats = NDArray[np.float64]

BEGIN = dt.date(2022, 1, 1)
DAYS = 1096
SIZES = {"XL": 495.0, "L": 48.0, "S": 5.0}  # weddings a day, in the mean
JOBS = 8.0  # of a wedding, in the mean
TAIL = 0.8  # sigma of the lognormal size of a wedding
LIKING = 0.3  # sigma of what makes one day better liked than its neighbours
CURVE = (0.60, 0.20, 0.0, 0.07, 0.06, 0.04, 0.03)  # of its jobs: the day, the night after, the photographer's upload
CANCELLED = 0.06  # bookings that are known and come to nothing, for each that is known and held
MOVED = 0.03  # of the known: still under their old date


@dataclass(frozen=True, slots=True)
class Platform:
    """One simulated platform."""

    jobs: Floats  # by day and hour
    expected: Floats  # the same, as one would who knew every wedding, but not how large it becomes
    held: NDArray[np.int64]  # weddings by day

    def booked(self, known: float, seed: int, profile: Profile) -> Floats:
        """Jobs that the calendar lets expect of each hour, where a share of the weddings is `known`."""
        chance = np.random.default_rng(seed)
        right = chance.binomial(self.held, known)
        gone = chance.poisson(right * CANCELLED)
        moved = chance.binomial(right, MOVED)
        shown = right + gone - moved
        offsets = 7 * chance.integers(1, 9, moved.shape) * chance.choice([-1, 1], moved.shape)
        days = np.clip(np.arange(len(moved)) + offsets, 0, len(moved) - 1)
        np.add.at(shown, days, moved)
        midnights = np.zeros(24 * DAYS)
        midnights[::24] = profile.expected(Traits()) * np.maximum(shown, 0)
        return asked_for(midnights, profile.curve).reshape(DAYS, 24)


def learned_profile(weddings: int = 5000, seed: int = 3) -> Profile:
    """What the engine learns from so many weddings that are over, each of its own size."""
    chance = np.random.default_rng(seed)
    own = np.concatenate([CURVE[0] * _evening(), *(share * _morning() for share in CURVE[1:])])
    held = []
    for _ in range(weddings):
        jobs = chance.poisson(_jobs(1, chance) * own)
        held.append((Traits(), dict(enumerate(jobs.tolist()))))
    return Profile(held, JOBS)


def spread(weddings: Floats) -> Floats:
    """Weddings by day → what they ask for by day, of one job each."""
    return np.convolve(weddings, CURVE)[: len(weddings)]


def platform(size: str, seed: int = 1) -> Platform:
    """A platform of one of `SIZES`."""
    chance = np.random.default_rng(seed)
    days = [BEGIN + dt.timedelta(days=day) for day in range(DAYS)]
    wanted = np.array([_season(day) * _liked(day) for day in days])
    wanted *= chance.lognormal(-(LIKING**2) / 2, LIKING, DAYS)
    held = chance.poisson(wanted * SIZES[size] / wanted.mean())
    wanted_jobs = np.array([_jobs(count, chance) for count in held.tolist()])
    expected = _by_hour(JOBS * held.astype(float))
    jobs = chance.poisson(_by_hour(wanted_jobs)).astype(float)
    return Platform(jobs, expected, held)


def _by_hour(weddings: Floats) -> Floats:
    own = CURVE[0] * weddings
    return own[:, None] * _evening() + (spread(weddings) - own)[:, None] * _morning()


def _jobs(weddings: int, chance: np.random.Generator) -> float:
    """What the weddings of a day will ask for: each of its own size."""
    return float(JOBS * chance.lognormal(-(TAIL**2) / 2, TAIL, weddings).sum())


def _season(day: dt.date) -> float:
    peak = 5.0 if 5 <= day.month <= 9 else 2.0 if day.month in (4, 10) else 1.0
    return peak * (1.0 + 0.1 * (day.year - BEGIN.year))


def _liked(day: dt.date) -> float:
    if (day.month, day.day) in ((2, 14), (12, 31)):
        return 6.0
    repeated = 3.0 if day.month == day.day else 1.0
    return repeated * {5: 10.0, 4: 3.0, 6: 2.5}.get(day.weekday(), 1.0)


def _evening() -> Floats:
    return _profile(20.0, 3.0)


def _morning() -> Floats:
    return _profile(11.0, 4.0)


def _profile(peak_h: float, width_h: float) -> Floats:
    hours = np.arange(24.0)
    away = np.minimum(np.abs(hours - peak_h), 24 - np.abs(hours - peak_h))
    bell = np.exp(-0.5 * (away / width_h) ** 2) + 0.02
    return np.asarray(bell / bell.sum())

"""SIMULATED: what the forecaster would have said on the days of a drawn demand, and the jobs of these days. Pure.

In: a demand with its calendar. Out: one `Outlook` a day, made by the engine's forecaster from what was known that
morning, and jobs for a fleet. Any thread.
"""

from __future__ import annotations

import datetime as dt
from collections.abc import Iterator, Sequence
from typing import Literal

import numpy as np

from engine.contract.weddings import JobClass
from engine.scaling.elasticity import demanded
from engine.scaling.forecast import HISTORY_DAYS_MIN, History, booked_and_pickup
from engine.scaling.outlook import Outlook
from engine.scaling.traces import DAY_MINUTES, Counts, Demand, Floats, Platform, drawn
from engine.scaling.world import FleetRecord, World

HOUR_NS = 3_600 * 10**9
LEVELS = (0.1, 0.25, 0.5, 0.75, 0.9, 0.95, 0.975)
AHEAD_DAYS = 3
WAIT_MINUTES = 15  # over which demand is measured
SIZE_SPREAD = 0.8  # of the logarithm of a job's bytes: a heavy tail


def begin_ns(day: dt.date) -> int:
    """Nanoseconds since 1970 at midnight UTC."""
    return (day - dt.date(1970, 1, 1)).days * 24 * HOUR_NS


def weekend(day: dt.date, history_days: int, *, weddings_a_day: float, times: float, seed: int) -> Demand:
    """A demand with so many days before `day`, in which that day has `times` as many weddings, and a week more."""
    days = history_days + 7
    factors = np.ones(days)
    factors[history_days] = times
    begin = day - dt.timedelta(days=history_days)
    return drawn(Platform("asked for", weddings_a_day), begin, days, seed=seed, factors=factors)


def outlook_on(history: History, row: int, job_bytes: float) -> Outlook:
    """What is forecast in the morning of the day in row `row` of a history that goes on after it."""
    begin = begin_ns(history.begin_of(row))
    if row < HISTORY_DAYS_MIN:
        return Outlook(begin, HOUR_NS, LEVELS, (), (), 0.0, "history too short", f"{row} days of history")
    predicted = booked_and_pickup(history.until(row, AHEAD_DAYS), AHEAD_DAYS)
    rows = np.stack([predicted.quantile(level).ravel() for level in LEVELS], axis=1)
    basis: Literal["calendar", "no-calendar"] = "no-calendar" if history.booked is None else "calendar"
    return Outlook(
        begin, HOUR_NS, LEVELS, rows.tolist(), (rows * job_bytes).tolist(), min(1.0, predicted.booked_share), basis
    )


def outlooks_of(demand: Demand, days: Sequence[int], *, job_bytes: float, calendar: bool) -> list[Outlook]:
    """What is forecast in the morning of each of some days; without the calendar, as if its feed were dead."""
    history = History(demand.begin, demand.by_hour(), "", demand.calendar if calendar else None)
    return [outlook_on(history, day, job_bytes) for day in days]


def jobs_of(
    demand: Demand, days: Sequence[int], *, job_bytes: float, seed: int
) -> Iterator[tuple[float, str, JobClass, float]]:
    """The jobs of some days that follow each other: seconds from the first midnight, wedding, class, bytes."""
    chance = np.random.Generator(np.random.PCG64(seed))
    first, end = np.searchsorted(demand.minutes, (days[0] * DAY_MINUTES, (days[-1] + 1) * DAY_MINUTES))
    minutes, weddings = demand.minutes[first:end], demand.weddings[first:end]
    held_on = np.repeat(np.arange(demand.days), demand.held)[weddings]
    after = (minutes - held_on * DAY_MINUTES) // 60
    sizes = chance.lognormal(np.log(job_bytes) - SIZE_SPREAD**2 / 2, SIZE_SPREAD, size=len(minutes))
    seconds = (minutes - days[0] * DAY_MINUTES) * 60.0 + chance.random(len(minutes)) * 60.0
    for place in np.argsort(seconds, kind="stable").tolist():
        name: JobClass = "same-day" if after[place] < 30 else "next-day" if after[place] < 48 else "standard"
        yield float(seconds[place]), f"{weddings[place]:032x}", name, float(sizes[place])


def minutely(record: FleetRecord, world: World) -> tuple[Counts, Floats]:
    """Demanded and ready nodes of a simulated fleet, minute by minute."""
    minutes = world.hours * 60
    came = np.bincount([int(job.at_s // 60) for job in record.jobs], minlength=minutes)[:minutes]
    demand = demanded(came.astype(np.int64), busy_ticks=round(world.job_s / 60), wait_ticks=WAIT_MINUTES)
    ready = np.array([sample.ready for sample in record.samples], dtype=np.float64)
    return demand, ready[:: round(60 / world.tick_s)][:minutes]


def at_percentile(values: Sequence[float], percent: float) -> float:
    """A percentile; 0 of nothing."""
    return float(np.percentile(values, percent)) if values else 0.0

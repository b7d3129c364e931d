"""The weeks that are replayed: drawn platforms, and public series where a folder of them is at hand.

A series of hours is spread over its minutes by chance, one of days by a shape of the day first. Of each trace the
busiest eight weeks of its last year, four quiet ones, and busy ones in which something goes wrong. Forecasts are made
once a day, from what was known then.
"""

from __future__ import annotations

import csv
import datetime as dt
import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np

from benchmarks.replay import BUSY_MINUTES, JOB_BYTES, MINUTES, TOLERATED_MINUTES, WARM_UP, WORKERS_MAX, Week
from engine.scaling import traces
from engine.scaling.baselines import (
    AWS_REFRESH_HOURS,
    UTILISATION,
    Counts,
    Floats,
    hour_of_week,
    saturday_rule,
)
from engine.scaling.elasticity import demanded
from engine.scaling.facts import Policy
from engine.scaling.forecast import History
from engine.scaling.outlook import Outlook
from engine.scaling.rehearsal import AHEAD_DAYS, HOUR_NS, LEVELS, begin_ns, outlook_on

EVENT_TRIPS = 20  # trips that one booking stands for
KNOWN_SHARE = 0.6
KEPT_HOURS = 28  # of a forecast that is renewed each day: as far as anything looks that decides within it
THIN = 10  # requests to a job
PEAK_WEEKS, QUIET_WEEKS, BAD_WEEKS = 8, 4, 3
# Births by hour of the day, in ‰: an assumption of the shape that hospitals report, morning and noon highest.
DAY_SHAPE = (28, 26, 25, 25, 26, 28, 33, 44, 62, 58, 54, 53, 60, 56, 50, 48, 48, 50, 46, 40, 37, 36, 34, 33)


@dataclass(frozen=True, slots=True)
class Trace:
    """A series with what was known of it."""

    name: str
    begin: dt.date
    by_hour: Floats  # a row a day
    by_minute: Counts
    booked: Floats | None = None
    country: str = ""


def platforms(seed: int = 1) -> Iterator[Trace]:
    """The drawn platforms: large, middle, small."""
    begin = dt.date(2023, 1, 2)
    for platform in (traces.LARGE, traces.MIDDLE, traces.SMALL):
        demand = traces.drawn(platform, begin, 1_095, seed=seed)
        minutes = demand.by_minute(0, demand.days)
        yield Trace(f"{platform.name} platform", begin, demand.by_hour(), minutes, demand.calendar)


def public(folder: Path, seed: int = 1) -> Iterator[Trace]:
    """The public series of `folder`: bicycle trips, births, web requests."""
    chance = np.random.Generator(np.random.PCG64(seed))
    trips = np.array([float(row["count"]) for row in _rows(folder / "dc_bikeshare_hourly_2015_2019.csv")])
    by_hour = trips.reshape(-1, 24)[: 4 * 365]
    booked = chance.binomial(np.rint(by_hour.sum(axis=1) / EVENT_TRIPS).astype(np.int64), KNOWN_SHARE)
    begin = dt.date(2015, 1, 1)
    yield Trace("bike share", begin, by_hour, _spread(by_hour, chance), booked.astype(np.float64), "US")
    births = np.array([float(row["births"]) for row in _rows(folder / "us_births_daily_2000_2014.csv")])[-1_095:]
    shape = np.array(DAY_SHAPE) / sum(DAY_SHAPE)
    by_hour = np.stack([chance.multinomial(round(day), shape) for day in births]).astype(np.float64)
    yield Trace("births", dt.date(2012, 1, 2), by_hour, _spread(by_hour, chance), None, "US")
    requests = np.zeros(62 * 1_440, dtype=np.int64)
    for row in _rows(folder / "nasa_http_1min_1995.csv"):
        since = dt.datetime.fromisoformat(row["ts"]) - dt.datetime(1995, 7, 1)  # noqa: DTZ001 - as published
        requests[round(since.total_seconds()) // 60] = int(row["requests"])
    jobs = chance.binomial(requests, 1 / THIN).astype(np.int64)
    yield Trace("web requests", dt.date(1995, 7, 1), jobs.reshape(62, 24, 60).sum(axis=2).astype(np.float64), jobs)


def _rows(path: Path) -> Iterator[dict[str, str]]:
    with path.open(newline="", encoding="utf-8") as file:
        yield from csv.DictReader(file)


def _spread(by_hour: Floats, chance: np.random.Generator) -> Counts:
    """Hours over their minutes: each job at any minute of its hour."""
    even = np.full(60, 1 / 60)
    return chance.multinomial(np.rint(by_hour.ravel()).astype(np.int64), even).ravel().astype(np.int64)


def weeks_of(trace: Trace, *, short: bool = False) -> list[Week]:
    """The busiest and some quiet weeks of a trace's last year. Weeks begin after a day of warm-up."""
    first = max(14, len(trace.by_hour) - 365)
    starts = list(range(first, len(trace.by_hour) - 8, 7))
    ordered = sorted(starts, key=lambda day: -trace.by_hour[day : day + 7].sum())
    peak, quiet = ordered[:PEAK_WEEKS], ordered[-QUIET_WEEKS:] if len(ordered) > PEAK_WEEKS else []
    if short:
        peak, quiet = peak[:2], quiet[:1]
    found = [week_at(trace, day, "peak") for day in sorted(peak)]
    return found + [week_at(trace, day, "quiet") for day in sorted(quiet)]


def bad_weeks(good: Sequence[Week], *, short: bool = False) -> list[Week]:
    """Some busy weeks, each in five forms in which something goes wrong on its Saturday."""
    found = []
    for week in good[: 1 if short else BAD_WEEKS]:
        saturday = WARM_UP + 1_440 * ((5 - _weekday(week)) % 7)
        half, burst = week.arrivals.copy(), week.arrivals.copy()
        chance = np.random.Generator(np.random.PCG64(saturday))
        half[saturday : saturday + 1_440] = chance.binomial(half[saturday : saturday + 1_440], 0.5)
        wedding = half * 0
        wedding[saturday + 960 : saturday + 1_260] = chance.poisson(
            0.5 * week.arrivals[saturday : saturday + 1_440].sum() / 300, size=300
        )
        burst[saturday + 960 : saturday + 1_200] *= 3
        dead = dict.fromkeys(week.outlooks, week.outlooks["without"]) | {"perfect": week.outlooks["perfect"]}
        found += [
            _changed(week, "cancelled", half),
            _changed(week, "nobody booked", week.arrivals + wedding),
            _changed(week, "burst × 3", burst),
            _changed(week, "calendar dead", week.arrivals, outlooks=dead),
            _changed(week, "spot wave", week.arrivals, losses={saturday + 1_080: 0.5}),
        ]
    return found


def _weekday(week: Week) -> int:
    """Of the first day that is judged; Monday 0."""
    return (week.begin_ns // (24 * HOUR_NS) + 1 + 3) % 7


def _changed(
    week: Week,
    label: str,
    arrivals: Counts,
    *,
    outlooks: dict[str, list[Outlook]] | None = None,
    losses: dict[int, float] | None = None,
) -> Week:
    return Week(
        week.trace, label, week.begin_ns, arrivals, week.peak_workers, week.mean_workers, week.policy,
        week.floors, outlooks or week.outlooks, losses or {},
    )  # fmt: skip


def week_at(trace: Trace, day: int, label: str) -> Week:
    """The week whose first judged day is `day`, with what each rule knew."""
    begin_day = day - 1
    arrivals = trace.by_minute[begin_day * 1_440 : begin_day * 1_440 + MINUTES]
    year = trace.by_minute[max(0, len(trace.by_minute) - 365 * 1_440) :]
    demand = demanded(year, busy_ticks=BUSY_MINUTES, wait_ticks=TOLERATED_MINUTES)
    peak = int(demand.max())
    days = WARM_UP // 1_440 + 7 + 1
    outlooks = {
        "without": _outlooks(trace, begin_day, days, None),
        "with": _outlooks(trace, begin_day, days, trace.booked),
        "perfect": [_perfect(trace, begin_day + ahead) for ahead in range(days)],
    }
    # Ten times the base is the most there may be: room for twice the peak, but where the base is held for want of
    # history.
    base = max(1, math.ceil(peak / (5 if len(trace.by_hour) > 365 else 10)))
    return Week(
        trace.name, label, begin_ns(trace.begin + dt.timedelta(days=begin_day)), arrivals, peak, float(demand.mean()),
        Policy(base=base, floor=1, off_season_floor=1, ceiling=WORKERS_MAX),
        {"aws": _aws_floor(trace, begin_day), "saturday": _saturday_floor(trace, begin_day)}, outlooks,
    )  # fmt: skip


def _workers(by_hour: Floats) -> Floats:
    """Jobs of each hour → workers at the usual utilisation, by minute."""
    return np.repeat(by_hour * BUSY_MINUTES / 60 / UTILISATION, 60)[:MINUTES]


def _aws_floor(trace: Trace, begin_day: int) -> Floats:
    hours = MINUTES // 60
    found = np.empty(hours)
    for hour in range(0, hours, AWS_REFRESH_HOURS):
        ahead = hour_of_week(trace.by_hour, begin_day, hour, hours=48)
        found[hour : hour + AWS_REFRESH_HOURS] = ahead[: min(AWS_REFRESH_HOURS, hours - hour)]
    return _workers(found)


def _saturday_floor(trace: Trace, begin_day: int) -> Floats:
    days = -(-MINUTES // 1_440)
    rows = [
        saturday_rule(trace.by_hour, day, (trace.begin + dt.timedelta(days=day)).weekday())
        for day in range(begin_day, begin_day + days)
    ]
    return _workers(np.concatenate(rows))


def _outlooks(trace: Trace, begin_day: int, days: int, booked: Floats | None) -> list[Outlook]:
    history = History(trace.begin, trace.by_hour, trace.country, booked)
    made = [outlook_on(history, day, JOB_BYTES) for day in range(begin_day, begin_day + days)]
    return [replace(each, jobs=each.jobs[:KEPT_HOURS], size_bytes=each.size_bytes[:KEPT_HOURS]) for each in made]


def _perfect(trace: Trace, day: int) -> Outlook:
    truth = [[float(jobs)] * len(LEVELS) for jobs in trace.by_hour[day : day + AHEAD_DAYS].ravel()[:KEPT_HOURS]]
    sizes = [[jobs * JOB_BYTES for jobs in row] for row in truth]
    return Outlook(begin_ns(trace.begin + dt.timedelta(days=day)), HOUR_NS, LEVELS, truth, sizes, 1.0, "calendar")

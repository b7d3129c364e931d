"""History and calendar → what is to come: 48 hours by the hour, 26 weeks by the day, 12 months. Pure.

In: hours of demand, bookings, the profiles of weddings. Out: an `Outlook` for the scaler, and rows for people. The
newest whole day is the last that is learned from. Any thread; a tenth of a second.
"""

from __future__ import annotations

import datetime as dt
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from zoneinfo import ZoneInfo

import numpy as np

from engine.base.units import format_count
from engine.contract.forecasts import AheadRow, Grain
from engine.scaling.bookings import Amount, Booking
from engine.scaling.forecast import HISTORY_DAYS_MIN, History, Model
from engine.scaling.months import FIT_MONTHS_MIN, by_month
from engine.scaling.outlook import Outlook
from engine.scaling.profiles import Profile, Profiles, asked_for
from engine.scaling.regression import Floats, Prediction

HOURS_AHEAD = 48
DAYS_AHEAD = 182
MONTHS_AHEAD = 12
LEVELS = (0.025, 0.1, 0.25, 0.5, 0.75, 0.9, 0.95, 0.975, 0.99)
HOUR_S = 3600
_LEADS = (7, 28, 91, DAYS_AHEAD)  # days ahead up to which one fit serves: the nearer, the more is booked and known
_SHOWN = (0.025, 0.1, 0.5, 0.9, 0.975)
_SPARE_DAYS = 3  # today, and so many more that 48 hours from now are among them


@dataclass(frozen=True, slots=True)
class Known:
    """Everything that a forecast stands on. `bookings` None: there is no calendar that can be relied on."""

    now_ns: int
    zone: str
    country: str
    hours: Mapping[int, Amount]  # by hour since 1970
    bookings: Sequence[Booking] | None
    profiles: Profiles
    note: str = ""  # why there is no calendar

    @property
    def today(self) -> dt.date:
        """The day it is, in the platform's zone."""
        return dt.datetime.fromtimestamp(self.now_ns // 10**9, ZoneInfo(self.zone)).date()


@dataclass(frozen=True, slots=True)
class Ahead:
    """What is to come."""

    outlook: Outlook
    rows: Mapping[Grain, tuple[AheadRow, ...]]


@dataclass(frozen=True, slots=True)
class Tables:
    """Whole days of history, jobs and bytes by hour of the platform's clock."""

    begin: dt.date
    jobs: Floats
    size_bytes: Floats


def look_ahead(known: Known, model: Model) -> Ahead:
    """What is to come, as `model` says it."""
    tables = tables_of(known)
    if tables is None:
        need = format_count(HISTORY_DAYS_MIN, "day")
        short = Outlook(
            begin_ns=known.now_ns, step_ns=HOUR_S * 10**9, levels=LEVELS, jobs=(), size_bytes=(), booked_share=0.0,
            basis="history too short", note=f"a forecast stands on {need} of history",
        )  # fmt: skip
        return Ahead(short, {"hour": (), "day": (), "month": ()})
    hourly = [
        model(histories(known, tables, values, profile, _SPARE_DAYS), _SPARE_DAYS)
        for values, profile in ((tables.jobs, known.profiles.jobs), (tables.size_bytes, known.profiles.size_bytes))
    ]
    outlook = _outlook(known, *hourly)
    return Ahead(
        outlook,
        {"hour": _hour_rows(outlook), "day": _day_rows(known, tables, model), "month": _month_rows(known, tables)},
    )


def tables_of(known: Known) -> Tables | None:
    """The whole days there are before today; None where they are too few."""
    if not known.hours:
        return None
    zone, today = ZoneInfo(known.zone), known.today
    begin = dt.datetime.fromtimestamp(min(known.hours) * HOUR_S, zone).date() + dt.timedelta(days=1)
    count = (today - begin).days
    if count < HISTORY_DAYS_MIN:
        return None
    first = begin.toordinal()
    jobs, size = np.zeros((count, 24)), np.zeros((count, 24))
    for hour, amount in known.hours.items():
        local = dt.datetime.fromtimestamp(hour * HOUR_S, zone)
        row = local.toordinal() - first
        if 0 <= row < count:
            jobs[row, local.hour] += amount.jobs
            size[row, local.hour] += amount.size_bytes
    return Tables(begin, jobs, size)


def histories(known: Known, tables: Tables, values: Floats, profile: Profile, lead: int) -> History:
    """Hours of history with what was booked of them, and of `lead` days more, so long before."""
    plain = History(tables.begin, values, known.country)
    if known.bookings is None:
        return plain
    window = Window(tables.begin, len(values) + lead, known.zone)
    return replace(plain, booked=booked_by_hour(known.bookings, profile, window, today=known.today, lead=lead))


def _outlook(known: Known, jobs: Prediction, size: Prediction) -> Outlook:
    zone, today = ZoneInfo(known.zone), known.today
    first_s = known.now_ns // 10**9 // HOUR_S * HOUR_S
    local = [dt.datetime.fromtimestamp(first_s + step * HOUR_S, zone) for step in range(HOURS_AHEAD)]
    places = [((moment.date() - today).days, moment.hour) for moment in local]

    def steps(said: Prediction) -> tuple[tuple[float, ...], ...]:
        bands = [said.quantile(level) for level in LEVELS]
        return tuple(tuple(float(band[place]) for band in bands) for place in places)

    return Outlook(
        begin_ns=first_s * 10**9,
        step_ns=HOUR_S * 10**9,
        levels=LEVELS,
        jobs=steps(jobs),
        size_bytes=steps(size),
        booked_share=min(1.0, jobs.booked_share),
        basis="calendar" if known.bookings is not None else "no-calendar",
        note=known.note,
    )


def _hour_rows(outlook: Outlook) -> tuple[AheadRow, ...]:
    rows = []
    for step in range(HOURS_AHEAD):
        when_ns = outlook.begin_ns + step * outlook.step_ns
        begin = dt.datetime.fromtimestamp(when_ns // 10**9, dt.UTC).strftime("%Y-%m-%dT%H:%MZ")
        jobs = [outlook.jobs_at(when_ns, level) for level in _SHOWN]
        rows.append(_row(begin, jobs, outlook.bytes_at(when_ns, 0.5)))
    return tuple(rows)


def _day_rows(known: Known, tables: Tables, model: Model) -> tuple[AheadRow, ...]:
    rows: list[AheadRow] = []
    for lead in _LEADS:
        said = []
        for values, profile in (
            (tables.jobs, known.profiles.jobs),
            (tables.size_bytes, known.profiles.size_bytes),
        ):
            history = histories(known, tables, values, profile, lead)
            booked = None if history.booked is None else history.booked.sum(axis=1, keepdims=True)
            daily = replace(history, values=values.sum(axis=1, keepdims=True), booked=booked)
            said.append(model(daily, lead))
        rows += _rows(said[0], said[1], [known.today + dt.timedelta(days=day) for day in range(lead)])[len(rows) :]
    return tuple(rows)


def _month_rows(known: Known, tables: Tables) -> tuple[AheadRow, ...]:
    """Whole months of history to months ahead, this one first; none where there are too few."""
    begin = (tables.begin + dt.timedelta(days=30)).replace(day=1) if tables.begin.day > 1 else tables.begin
    months = History(begin, np.zeros((1, 1)), row="month")
    count = (known.today.year - begin.year) * 12 + known.today.month - begin.month
    if count < FIT_MONTHS_MIN:
        return ()
    edges = [(months.begin_of(row) - tables.begin).days for row in range(count + 1)]
    said = [
        by_month(
            replace(months, values=np.add.reduceat(each.sum(axis=1)[: edges[-1]], edges[:-1])[:, None]), MONTHS_AHEAD
        )
        for each in (tables.jobs, tables.size_bytes)
    ]
    return tuple(_rows(said[0], said[1], [months.begin_of(count + row) for row in range(MONTHS_AHEAD)]))


def _rows(jobs: Prediction, size: Prediction, begins: Sequence[dt.date]) -> list[AheadRow]:
    bands = np.column_stack([jobs.quantile(level)[:, 0] for level in _SHOWN]).tolist()
    middle = size.quantile(0.5)[:, 0].tolist()
    return [_row(begin.isoformat(), *rest) for begin, *rest in zip(begins, bands, middle, strict=True)]


def _row(begin: str, jobs: Sequence[float], size_bytes: float) -> AheadRow:
    low_95, low_80, middle, high_80, high_95 = (round(each, 1) for each in jobs)
    return AheadRow(
        begin=begin,
        jobs=middle,
        low_80=low_80,
        high_80=high_80,
        low_95=low_95,
        high_95=high_95,
        bytes=round(size_bytes),
    )


@dataclass(frozen=True, slots=True)
class Window:
    """Whole days in the platform's time zone."""

    begin: dt.date
    days: int
    zone: str


def booked_by_hour(
    bookings: Iterable[Booking], profile: Profile, window: Window, *, today: dt.date, lead: int
) -> Floats:
    """By day and hour of the window: what is expected of the bookings that were known `lead` days before their day.

    Of days to come: of those that are known today.
    """
    before = -(-len(profile.curve) // 24)  # weddings of days before the window still reach into it
    begin = window.begin - dt.timedelta(days=before)
    midnights = np.zeros(24 * (window.days + before))
    zone = ZoneInfo(window.zone)
    for booking in bookings:
        if not booking.is_known(min(today, booking.date - dt.timedelta(days=lead))):
            continue
        hour = (booking.date - begin).days * 24
        if booking.timezone and booking.timezone != window.zone:
            hour += _hours_later(booking.date, booking.timezone, zone)
        if 0 <= hour < len(midnights):
            midnights[hour] += profile.expected(booking.traits)
    return np.asarray(asked_for(midnights, profile.curve).reshape(-1, 24)[before:])


def _hours_later(day: dt.date, there: str, here: ZoneInfo) -> int:
    """How many hours after our own midnight theirs comes, on our clock."""
    midnight = dt.datetime(day.year, day.month, day.day, tzinfo=ZoneInfo(there))
    ours = midnight.astimezone(here).replace(tzinfo=None)
    return round((ours - midnight.replace(tzinfo=None)).total_seconds() / 3600)

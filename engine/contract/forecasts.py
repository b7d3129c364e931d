"""Forecasts: the operation `backtest`, what it measures, and the settings of the calendar."""

from __future__ import annotations

from typing import Annotated, Literal

import msgspec

from engine.contract.operations import Operation, Result, _words

Grain = Literal["hour", "day", "month"]


class Backtest(Operation, frozen=True, kw_only=True):
    """How well a series could have been forecast, again and again over its past, beside plain rules."""

    file: Annotated[str, _words("a CSV file with a heading", title="FILE", positional=True, path=True)]
    time: Annotated[str, _words("the column of times, as 2026-06-20T14:00, 2026-06-20 or 2026-06", title="COLUMN")]
    value: Annotated[str, _words("the column of amounts", title="COLUMN")]
    known: Annotated[str, _words("the column of what was booked of it beforehand", title="COLUMN")] = ""
    country: Annotated[str, _words("whose holidays count, as US or GB-SCT", title="CODE")] = ""
    ahead: Annotated[int | None, _words("days or months ahead (default: 2 by the hour, 7 by the day, 12)")] = None
    origins: Annotated[int, _words("how many moments of the past to forecast from")] = 100


class ForecastScore(msgspec.Struct, frozen=True, kw_only=True, rename="camel"):
    """How one way to forecast did at one grain. All but the points are percent.

    `accuracy` is 100 (1 - Σ|error| / Σ actual); `skill` the part of seasonal naive's error that it avoids; a peak is a
    step of the highest tenth. `ours_more`: points of accuracy that the model used has over this one, and the 95 %
    interval of a paired bootstrap over the origins.
    """

    grain: Grain
    way: str
    accuracy: float
    skill: float
    share_of_ceiling: float | None  # None where the ceiling is so low that it says nothing
    peaks_within_20: float
    peak_recall: float
    peak_precision: float
    ours_more: float
    ours_more_low: float
    ours_more_high: float
    band_80: float | None = None  # share of the actual values inside
    band_95: float | None = None


class CeilingRow(msgspec.Struct, frozen=True, kw_only=True, rename="camel"):
    """What can be forecast at all: with the true mean known, counts that fall out by chance are missed by this much."""

    grain: Grain
    mean: float  # of a step
    ceiling: float  # percent: the accuracy of a perfect mean, were every unit to come by itself


class SeasonScore(msgspec.Struct, frozen=True, kw_only=True, rename="camel"):
    """The accuracy of the model used in one part of the year, and of seasonal naive, in percent."""

    season: str
    accuracy: float
    naive: float


class BacktestReport(Result, frozen=True, kw_only=True):
    """What a backtest measured. `model` is the one that a forecast of this series would use."""

    scores: tuple[ForecastScore, ...]
    ceilings: tuple[CeilingRow, ...]
    seasons: tuple[SeasonScore, ...]
    model: str
    grain: str
    ahead: str  # in words, as 48 hours
    origins: int
    first: str
    last: str
    booked_share: float  # of the forecast demand, 0 … 1: what stood on bookings
    refit_ms: float = 0.0  # one fit and forecast, the median of a few


class Forecast(Operation, frozen=True, kw_only=True):
    """What is to come, how sure that is, and how good such forecasts have been."""

    grain: Annotated[Grain, _words("hours of two days, days of half a year, or months of a year")] = "day"
    limit: Annotated[int, _words("so many rows of it")] = 28


class AheadRow(msgspec.Struct, frozen=True, kw_only=True, rename="camel"):
    """One hour, day or month to come. `jobs` and `bytes` are as likely exceeded as not; bands are of jobs."""

    begin: str
    jobs: float
    low_80: float
    high_80: float
    low_95: float
    high_95: float
    bytes: int


class ForecastReport(Result, frozen=True, kw_only=True):
    """What is to come. `quality` is how this model did on the history here, by the hour, 48 hours ahead."""

    rows: tuple[AheadRow, ...]
    grain: Grain
    basis: str  # calendar, no-calendar, or history too short
    model: str
    booked_share: float  # of the next two days' jobs, 0 … 1: what stands on bookings
    bookings: int  # of weddings to come
    weddings_over: int  # that the profile of a wedding was learned from
    history_days: int
    note: str = ""
    sources: tuple[str, ...] = ()  # files of history and bookings that were taken in, and the feed
    scores: tuple[ForecastScore, ...] = ()
    ceilings: tuple[CeilingRow, ...] = ()


class ImportCalendar(Operation, frozen=True, kw_only=True):
    """Take in bookings, iCalendar or CSV; those that an earlier file of that name had and this lacks are cancelled."""

    file: Annotated[str, _words("the calendar", title="FILE", positional=True, path=True)]


class CalendarTaken(Result, frozen=True, kw_only=True):
    """What a calendar had."""

    bookings: int
    to_come: int
    cancelled: int


class ImportDemand(Operation, frozen=True, kw_only=True):
    """Take in a history of jobs, by the hour, in place of what stands for these hours."""

    file: Annotated[str, _words("a CSV file with a heading", title="FILE", positional=True, path=True)]
    time: Annotated[str, _words("the column of times, UTC or with an offset", title="COLUMN")] = "hour"
    jobs: Annotated[str, _words("the column of jobs", title="COLUMN")] = "jobs"
    bytes: Annotated[str, _words("the column of their bytes", title="COLUMN")] = "bytes"


class DemandTaken(Result, frozen=True, kw_only=True):
    """What a history had."""

    hours: int
    jobs: int
    bytes: int


class CalendarSettings(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """What is known of the days ahead."""

    country: Annotated[str, msgspec.Meta(description="whose holidays count, as US or GB-SCT; empty: none")] = ""
    feed: Annotated[
        str, msgspec.Meta(description="a calendar that is read again and again, iCalendar or CSV, as /srv/weddings.ics")
    ] = ""
    stale_after: Annotated[
        str, msgspec.Meta(description="a feed that has not changed for so long is not relied on, as 14d")
    ] = "14d"

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
    share_of_ceiling: float
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
    booked_share: float  # percent of the forecast demand that stood on bookings
    refit_ms: float = 0.0  # one fit and forecast, the median of a few


class CalendarSettings(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """What is known of the days ahead."""

    country: Annotated[str, msgspec.Meta(description="whose holidays count, as US or GB-SCT; empty: none")] = ""

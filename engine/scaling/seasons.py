"""What kind of day it is: season, special date, Saturday, and whether upkeep is frozen. Pure.

In: a local moment and the settings. Out: a `Season`, whose factor stands for a forecast where there is none, and whose
words stand in the reason of each decision.
"""

from __future__ import annotations

import datetime as dt
import functools
from collections.abc import Sequence
from dataclasses import dataclass

from engine.contract.scaling import FACTOR_MAX, Hemisphere, ScalingSettings, YearlyDays, weekdays, yearly_days

_SATURDAY = 5
_WEEK = 7


@dataclass(frozen=True, slots=True)
class Season:
    """What a day is like. `factor` is how many times the base it wants, at most ten."""

    name: str = "off season"
    factor: float = 1.0
    is_peak: bool = False  # within a season window; else the off-season floor holds
    is_frozen: bool = False  # no migration, scrub or prune by itself

    def __str__(self) -> str:
        factor = f" × {self.factor:g}" if self.factor != 1 else ""
        return f"{self.name}{factor}" + (", upkeep frozen" if self.is_frozen else "")


OFF_SEASON = Season()


def season_at(local: dt.datetime, settings: ScalingSettings) -> Season:
    """The season at a local moment."""
    frozen = weekdays(settings.freeze)
    return _season_of(local.date(), settings, local.weekday() in frozen)


@functools.lru_cache(maxsize=64)
def _season_of(day: dt.date, settings: ScalingSettings, is_frozen: bool) -> Season:
    windows = [each for each in yearly_days(settings.seasons) if _is_in(each, _season_day(day, settings.hemisphere))]
    dates = [each for each in yearly_days(settings.special_dates) if _is_in(each, day)]
    names = [each.name for each in _highest(windows)] or ["off season"]
    factor = max((each.factor for each in windows), default=1.0)
    for each in _highest(dates):
        names.append(each.name)
        factor *= each.factor
    if day.weekday() == _SATURDAY and settings.saturday > 1:
        names.append("Saturday")
        factor *= settings.saturday
    return Season(", ".join(names), min(FACTOR_MAX, factor), bool(windows), is_frozen)


def _highest(found: Sequence[YearlyDays]) -> list[YearlyDays]:
    """The one with the highest factor: two windows over one day do not add up."""
    return sorted(found, key=lambda each: -each.factor)[:1]


def _season_day(day: dt.date, hemisphere: Hemisphere) -> dt.date:
    """The day of the northern year that `day` is like."""
    if hemisphere == "north":
        return day
    month = (day.month + 5) % 12 + 1
    return dt.date(2000, month, min(day.day, 29 if month == 2 else 30))  # 2000 had every day; a 31st is like a 30th


def _is_in(days: YearlyDays, day: dt.date) -> bool:
    if days.order is not None:
        return any(_reaches(_nth_weekday(year, days), day) for year in (day.year - 1, day.year, day.year + 1))
    at = day.month, day.day
    if days.begin <= days.end:
        return days.begin <= at <= days.end
    return at >= days.begin or at <= days.end  # over New Year


def _reaches(holiday: dt.date, day: dt.date) -> bool:
    """Whether `day` is the holiday, or lies on the long weekend that it makes."""
    first, last = holiday, holiday
    if holiday.weekday() <= 1:  # a Monday or Tuesday joins the weekend before
        first = holiday - dt.timedelta(days=holiday.weekday() + 2)
    elif holiday.weekday() in (3, 4):  # a Thursday or Friday the one after
        last = holiday + dt.timedelta(days=6 - holiday.weekday())
    return first <= day <= last


def _nth_weekday(year: int, days: YearlyDays) -> dt.date:
    month = days.begin[0]
    if days.order == -1:
        last = dt.date(year + month // 12, month % 12 + 1, 1) - dt.timedelta(days=1)
        return last - dt.timedelta(days=(last.weekday() - days.weekday) % _WEEK)
    first = dt.date(year, month, 1)
    return first + dt.timedelta(days=(days.weekday - first.weekday()) % _WEEK + _WEEK * (days.order or 0))

"""What kind of day each day is: weekday, public holiday, a date that couples like. The door of `holidays`. Pure.

In: days and a country. Out: arrays by day, for the forecaster. Any thread.
"""

from __future__ import annotations

import datetime as dt
import functools

import holidays
import numpy as np
from numpy.typing import NDArray

from engine.base.errors import UsageError

HOLIDAY = 7  # the day type after Monday 0 … Sunday 6
DAY_TYPES = 8

Kinds = NDArray[np.int64]


class Days:
    """Consecutive days from `begin` on, and what is known of them without looking at any demand."""

    def __init__(self, begin: dt.date, count: int, country: str) -> None:
        """`country` is a code of ISO 3166, as US or GB, or one and a part of it, as GB-SCT; empty: no holidays.

        Raises UsageError for a country that is not known.
        """
        self.count = count
        end = begin + dt.timedelta(days=count)
        weekday = (np.arange(count) + begin.weekday()) % 7
        free = _holidays(country, begin.year - 1, end.year + 1)
        closed = np.zeros(count + 2, dtype=bool)  # with the day before and the day after
        for day in free:
            if -1 <= (place := (day - begin).days) <= count:
                closed[place + 1] = True
        self.type: Kinds = np.where(closed[1:-1], HOLIDAY, weekday)  # Monday 0 … Sunday 6, holiday 7
        self.is_eve: NDArray[np.bool_] = closed[2:]
        self.is_morrow: NDArray[np.bool_] = closed[:-2]
        self.year_part = _year_parts(begin, count)
        self.named = _columns(_named(begin, end, free), begin, count)  # one a name: 1 on its days


def _year_parts(begin: dt.date, count: int) -> NDArray[np.float64]:
    """How much of its year has gone by, at each day: 0 … 1, so that leap days move nothing."""
    parts = np.empty(count)
    day, filled = begin, 0
    while filled < count:
        january, length = dt.date(day.year, 1, 1), 366 if _is_leap(day.year) else 365
        taken = min(count - filled, length - (day - january).days)
        parts[filled : filled + taken] = ((day - january).days + np.arange(taken)) / length
        filled += taken
        day = dt.date(day.year + 1, 1, 1)
    return parts


def _is_leap(year: int) -> bool:
    return year % 4 == 0 and (year % 100 != 0 or year % 400 == 0)


# Dates that are no holidays and yet chosen: for weddings more, for the rest of the world less.
_LIKED: dict[str, tuple[tuple[int, int], ...]] = {
    "Valentine's Day": ((2, 14),),
    "New Year's Eve": ((12, 31),),
    "Christmas Eve": ((12, 24),),
    "day as month": tuple((number, number) for number in range(1, 13)),  # 07-07, 12-12
}


def _named(begin: dt.date, end: dt.date, free: dict[dt.date, str]) -> dict[str, list[dt.date]]:
    """The holidays and the liked dates from `begin` to before `end`, by name."""
    found: dict[str, list[dt.date]] = {}
    for day, name in free.items():
        found.setdefault(name, []).append(day)
    for name, dates in _LIKED.items():
        for year in range(begin.year, end.year + 1):
            found.setdefault(name, []).extend(dt.date(year, month, day) for month, day in dates)
    return {name: [day for day in days if begin <= day < end] for name, days in found.items()}


def _columns(named: dict[str, list[dt.date]], begin: dt.date, count: int) -> list[NDArray[np.float64]]:
    columns = []
    for days in named.values():
        column = np.zeros(count)
        column[[(day - begin).days for day in days]] = 1.0
        columns.append(column)
    return columns


@functools.lru_cache(maxsize=16)
def _holidays(country: str, first_year: int, last_year: int) -> dict[dt.date, str]:
    """Public holidays of these years by their day; one moved to a working day counts under its own name."""
    if not country:
        return {}
    code, _, part = country.upper().partition("-")
    try:
        table = holidays.country_holidays(code, subdiv=part or None, years=range(first_year, last_year + 1))
    except NotImplementedError:
        raise UsageError(f"no holidays are known of the country {country!r}", "write it as US, or GB-SCT") from None
    return {day: name.partition("; ")[0] for day, name in sorted(table.items())}

"""A series of counts that a user brings as CSV: read, laid out by hour, day or month, and what was odd in it. Pure.

In: lines of the file. Out: a `History`, and words about gaps. Reads no file and no clock; any thread.
"""

from __future__ import annotations

import csv
import datetime as dt
import statistics
from collections.abc import Iterable
from dataclasses import dataclass
from itertools import pairwise
from typing import Literal

import numpy as np

from engine.base.errors import LimitReached, NotFound, UsageError
from engine.base.units import format_count
from engine.scaling.forecast import History

Grain = Literal["hourly", "daily", "monthly"]
ROWS_MAX = 5_000_000
SPAN_YEARS_MAX = 100
_HOUR_S, _DAY_S = 3600.0, 86_400.0


@dataclass(frozen=True, slots=True)
class Columns:
    """Which columns of the file mean what; `known` may be empty."""

    time: str
    value: str
    known: str = ""


@dataclass(frozen=True, slots=True)
class Series:
    """What was read. `notes` are for whoever brought the file."""

    grain: Grain
    history: History
    notes: tuple[str, ...] = ()


def read_series(lines: Iterable[str], columns: Columns, *, country: str = "") -> Series:
    """The series of a CSV file with a heading. What comes more often than hourly is summed to hours.

    Times are as written (2026-06-20, 2026-06-20T14:00, 2026-06); those with an offset become UTC. Times that are
    missing count as 0 and are told. Raises UsageError for what cannot be read, with its line, and LimitReached.
    """
    times, values, known = _rows(lines, columns)
    grain = _grain(times)
    return _laid_out(grain, times, values, known, country=country)


def _rows(lines: Iterable[str], columns: Columns) -> tuple[list[dt.datetime], list[float], list[float]]:
    reader = csv.DictReader(lines)
    heading = reader.fieldnames or []
    for column in (columns.time, columns.value, *filter(None, [columns.known])):
        if column not in heading:
            raise NotFound(f"the file has no column {column!r}", f"it has: {', '.join(heading) or 'nothing'}")
    times: list[dt.datetime] = []
    values: list[float] = []
    known: list[float] = []
    try:
        for row in reader:
            if len(times) >= ROWS_MAX:
                raise LimitReached(f"the file has more than {ROWS_MAX:,} rows", "sum it up to hours first")
            try:
                times.append(_time(row[columns.time]))
                values.append(_number(row[columns.value]))
                known.append(_number(row[columns.known]) if columns.known else 0.0)
            except (TypeError, ValueError) as error:
                raise UsageError(
                    f"line {reader.line_num}: {error}", "times as 2026-06-20T14:00, values from 0 on"
                ) from None
    except csv.Error as error:
        raise UsageError(f"line {reader.line_num}: {error}", "the file has to be CSV with a heading") from None
    if len(times) < 2:
        raise UsageError("the file has no series: fewer than two rows")
    return times, values, known


def _time(text: str) -> dt.datetime:
    text = text.strip()
    moment = dt.datetime.fromisoformat(text if len(text) != 7 else f"{text}-01")
    return moment.astimezone(dt.UTC).replace(tzinfo=None) if moment.tzinfo else moment


def _number(text: str) -> float:
    number = float(text)
    if not 0.0 <= number < 1e18:
        raise ValueError(f"{text} is no amount")
    return number


def _grain(times: list[dt.datetime]) -> Grain:
    steps = [(b - a).total_seconds() for a, b in pairwise(sorted(set(times)))]
    usual = statistics.median_low(steps) if steps else 0.0
    if usual <= _HOUR_S:
        return "hourly"
    if usual == _DAY_S:
        return "daily"
    if 28 * _DAY_S <= usual <= 31 * _DAY_S and all(time.day == 1 for time in times):
        return "monthly"
    raise UsageError(
        f"the rows of the file are {dt.timedelta(seconds=usual)} apart",
        "a row an hour, a day or a month can be forecast",
    )


def _laid_out(
    grain: Grain, times: list[dt.datetime], values: list[float], known: list[float], *, country: str
) -> Series:
    first, last = min(times).date(), max(times).date()
    if last.year - first.year > SPAN_YEARS_MAX:
        raise UsageError(f"the file goes from {first} to {last}", f"bring at most {SPAN_YEARS_MAX} years")
    steps = 24 if grain == "hourly" else 1
    rows = (last.year - first.year) * 12 + last.month - first.month if grain == "monthly" else (last - first).days
    table, booked = np.zeros((rows + 1, steps)), np.zeros((rows + 1, 1))
    seen = np.zeros((rows + 1, steps), dtype=bool)
    twice = 0
    for time, value, count in zip(times, values, known, strict=True):
        if grain == "monthly":
            row, step = (time.year - first.year) * 12 + time.month - first.month, 0
        else:
            row, step = (time.date() - first).days, time.hour if steps == 24 else 0
        twice += bool(seen[row, step])
        seen[row, step] = True
        table[row, step] += value
        booked[row, 0] += count
    begin, cut = first, slice(0, rows + 1)
    if grain == "hourly":  # the first and the last day, where the file begins or ends in the middle of them
        cut = slice(0 if seen[0, 0] else 1, rows + 1 if seen[-1, -1] else rows)
        begin = first + dt.timedelta(days=cut.start)
    notes = _notes(grain, int((~seen[cut]).sum()), twice)
    return Series(
        grain,
        History(
            begin, table[cut], country, booked[cut] if any(known) else None, "month" if grain == "monthly" else "day"
        ),
        notes,
    )


def _notes(grain: Grain, missing: int, twice: int) -> tuple[str, ...]:
    unit = {"hourly": "hour", "daily": "day", "monthly": "month"}[grain]
    notes = []
    if missing:
        notes.append(f"{format_count(missing, unit)} missing in the file; they count as 0")
    if twice:
        notes.append(f"{format_count(twice, 'row')} came more than once for the same {unit}; they were summed")
    return tuple(notes)

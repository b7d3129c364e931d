"""What the days ahead will ask for: a regression of days, lifted by what is booked, spread over hours. Pure.

In: whole days of history, the days ahead, what was booked of each as long before as now of those to come. Out: mean and
quantiles of every step. docs/forecasting.md says why this form, and how good it is. Any thread.
"""

from __future__ import annotations

import datetime as dt
from collections.abc import Callable
from dataclasses import dataclass
from typing import Literal

import numpy as np

from engine.base.invariants import check
from engine.scaling.dates import DAY_TYPES, HOLIDAY, Days, Kinds
from engine.scaling.regression import TINY, Floats, Prediction, banded, non_negative_pair, poisson

HISTORY_DAYS_MIN = 56
TRAIN_DAYS = 730
TRAIN_MONTHS = 120
PAIR_DAYS = 365  # rows: what weighs bookings against the baseline, and what the bands are measured on
LAGGED_DAYS = 35  # further ahead, what was lately says less than the season
TREND_DAYS = 400  # with less history, a trend and a season are the same
YEAR_DAYS = 550  # with less, only the coarse shape of the year
_FRIDAY = 4
_PROFILE_HALF_LIFE = 4.0  # occurrences of a day's type
_CORRECTION_HALF_LIFE = 8.0
_CORRECTION_SPREAD = 0.2  # how wrong a step of the day is thought to be before anything is seen
_PROFILE_SHRINK = 0.1  # towards the profile of all days
_SLOT_HALF_LIFE = 3.0  # weeks


@dataclass(frozen=True, slots=True)
class History:
    """Demand from `begin` on: a row a whole day (or month, from its first day), a column a step of it."""

    begin: dt.date
    values: Floats  # 24 columns, or 1
    country: str = ""  # whose holidays count
    booked: Floats | None = None  # by row and step (or by row alone), those ahead too: what was known, so long before
    row: Literal["day", "month"] = "day"

    @property
    def row_count(self) -> int:
        """Days or months of history."""
        return int(self.values.shape[0])

    def begin_of(self, row: int) -> dt.date:
        """The first day of a row; of those ahead too."""
        if self.row == "day":
            return self.begin + dt.timedelta(days=row)
        years, month = divmod(self.begin.month - 1 + row, 12)
        return self.begin.replace(year=self.begin.year + years, month=month + 1)

    def until(self, row_count: int, ahead: int) -> History:
        """The same, as it was after its first rows, with what was booked of `ahead` more; no longer than is of use."""
        first = max(0, row_count - (TRAIN_DAYS if self.row == "day" else TRAIN_MONTHS))
        booked = None if self.booked is None else self.booked[first : row_count + ahead]
        return History(self.begin_of(first), self.values[first:row_count], self.country, booked, self.row)


Model = Callable[[History, int], Prediction]  # history with its bookings, rows ahead


def booked_and_pickup(history: History, ahead: int) -> Prediction:
    """The champion: days by regression and bookings, hours by the profile of their type of day.

    Needs `HISTORY_DAYS_MIN`. What it reads of a past day lies at least `ahead` days before that day.
    """
    count, steps = history.values.shape
    check(count >= HISTORY_DAYS_MIN, "a forecast stands on eight weeks")
    days = Days(history.begin, count + ahead, history.country)
    totals = history.values.sum(axis=1)
    features, first = _features(days, totals, ahead)
    fit = poisson(features[first:count], totals[first:])
    expected = np.concatenate([np.full(first, totals.mean()), fit.without_itself, fit.mean(features[count:])])[:, None]
    if steps > 1:
        before, profiles = _profiles(history.values, days.type)
        expected = expected * np.concatenate([before, profiles[days.type[count:]]])
    return lifted(expected, history, days.type, first=first)


def _features(days: Days, totals: Floats, ahead: int) -> tuple[Floats, int]:
    """A row a day, and the first row that is whole."""
    count, known, kinds = days.count, len(totals), days.type
    columns = [np.ones(count), *((kinds == kind).astype(float) for kind in range(DAY_TYPES))]
    columns += [(beside & (kinds != HOLIDAY)).astype(float) for beside in (days.is_eve, days.is_morrow)]
    columns += [column for column in days.named if column[:known].any()]
    if known > TREND_DAYS:
        columns.append((np.arange(count) - known) / 365.0)
        harmonics, turn = 5 if known > YEAR_DAYS else 2, 2 * np.pi * days.year_part
        waves = [wave(turn * k) for k in range(1, harmonics + 1) for wave in (np.sin, np.cos)]
        columns += waves
        columns += [wave * (kinds == kind) for kind in (_FRIDAY, 5, 6) for wave in waves[:4]]
    lagged, first = _lagged(totals, count, ahead)
    return np.column_stack([*columns, *lagged]), first


def _lagged(totals: Floats, count: int, ahead: int) -> tuple[list[Floats], int]:
    """Logarithms of what was lately, as it was known `ahead` days before each day; and the first day that has them."""
    known, weeks = len(totals), -(-ahead // 7)
    first = max(ahead + 28, 7 * (weeks + 3))
    if ahead > LAGGED_DAYS or known < first + HISTORY_DAYS_MIN:
        return [], 0
    check(count - known <= ahead, "no day ahead needs what is not there yet")
    usual = max(float(totals.mean()), TINY)
    padded = np.concatenate([totals, np.zeros(count - known)])
    sums = np.concatenate([[0.0], np.cumsum(padded)])
    rows = np.arange(first, count)
    end = rows - ahead + 1
    week, month = (sums[end] - sums[end - 7]) / 7, (sums[end] - sums[end - 28]) / 28
    same = np.mean([padded[rows - 7 * (weeks + back)] for back in range(4)], axis=0)
    head = np.zeros(first)
    return [np.concatenate([head, np.log(np.maximum(x / usual, 1e-3))]) for x in (week, month, same)], first


def lifted(expected: Floats, history: History, kinds: Kinds, *, first: int) -> Prediction:
    """`a · booked + b · expected`, with bands: `a` is what a booked unit asks for, `b` the share nobody has booked yet.

    `expected` has the rows of the history, which count from `first` on, and those ahead. Without bookings it stays.
    """
    count = history.row_count
    share = 0.0
    recent = max(first, count - PAIR_DAYS)
    if history.booked is not None:
        booked = history.booked.reshape(len(expected), -1)
        if booked.shape[1] < expected.shape[1]:
            booked = booked * expected / np.maximum(expected.sum(axis=1, keepdims=True), TINY)
        of_days = [each[recent:count].sum(axis=1) for each in (booked, expected, history.values)]
        a, b = non_negative_pair(*of_days, weights=1.0 / np.maximum(of_days[1], TINY))
        expected = a * booked + b * expected
        if expected.shape[1] > 1:
            expected = expected * _corrections(expected, history.values, kinds)
        share = a * float(booked[count:].sum()) / max(float(expected[count:].sum()), TINY)
    return banded(expected[count:], expected=expected[recent:count], actual=history.values[recent:], booked_share=share)


def _profiles(values: Floats, kinds: Kinds) -> tuple[Floats, Floats]:
    """The share of each step in its day: as it was known before each day; and, by type of day, as it is known now.

    A weighted mean over the days of the same type, the newest counting most.
    """
    totals = values.sum(axis=1)
    overall = values.sum(axis=0) / max(float(totals.sum()), TINY)
    shares = values / np.maximum(totals, TINY)[:, None]
    keep = 0.5 ** (1 / _PROFILE_HALF_LIFE)
    newest = np.tile(overall, (DAY_TYPES, 1))
    weight = np.ones(DAY_TYPES)
    before = np.empty_like(values)
    for day, kind in enumerate(kinds[: len(values)]):
        before[day] = newest[kind]
        if totals[day] > 0:
            weight[kind] = weight[kind] * keep + 1.0
            newest[kind] += (shares[day] - newest[kind]) / weight[kind]
    shrunk = _PROFILE_SHRINK * overall
    return before * (1 - _PROFILE_SHRINK) + shrunk, newest * (1 - _PROFILE_SHRINK) + shrunk


def _corrections(expected: Floats, actual: Floats, kinds: Kinds) -> Floats:
    """By how much each step of each type of day was expected wrongly of late, as it was known before each day."""
    keep = 0.5 ** (1 / _CORRECTION_HALF_LIFE)
    known = expected[: len(actual)]
    noise = float(((actual - known) ** 2).sum()) / max(float(known.sum()), TINY)  # variance ÷ mean
    doubt = max(noise / _CORRECTION_SPREAD**2, TINY)
    came, said = np.full((DAY_TYPES, expected.shape[1]), doubt), np.full((DAY_TYPES, expected.shape[1]), doubt)
    factors = np.empty_like(expected)
    for day, kind in enumerate(kinds):
        factors[day] = came[kind] / said[kind]
        if day < len(actual):
            came[kind] = came[kind] * keep + actual[day] + (1 - keep) * doubt
            said[kind] = said[kind] * keep + expected[day] + (1 - keep) * doubt
    return factors


def same_slot(history: History, ahead: int) -> Prediction:
    """The challenger: what the same hours of the same weekdays were, the newest weeks counting most; and bookings.

    Knows no season and no holiday, but learns a new level within weeks. Needs `HISTORY_DAYS_MIN`.
    """
    count, steps = history.values.shape
    back = 7 * -(-ahead // 7)
    keep = 0.5 ** (1 / _SLOT_HALF_LIFE)
    newest = np.tile(history.values[: min(count, 28)].mean(axis=0), (7, 1))
    weight = np.zeros(7)
    known = np.empty((count + ahead, steps))
    for day in range(count + ahead):
        slot = day % 7
        if 0 <= day - back < count:
            weight[slot] = weight[slot] * keep + 1.0
            newest[slot] += (history.values[day - back] - newest[slot]) / weight[slot]
        known[day] = newest[slot]
    weekdays = (np.arange(count + ahead) + history.begin.weekday()) % 7
    return lifted(known, history, weekdays, first=min(back + 28, count - 7))

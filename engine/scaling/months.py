"""What the months ahead will ask for: twelve months, a trend, and how many weekend days each has. Pure.

In: whole months of history. Out: mean and quantiles of each month ahead. docs/forecasting.md says how good it is.
"""

from __future__ import annotations

import calendar
import datetime as dt

import numpy as np

from engine.base.invariants import check
from engine.scaling.forecast import History, lifted
from engine.scaling.regression import TINY, Floats, Prediction, poisson

HISTORY_MONTHS_MIN = 24  # for a backtest
FIT_MONTHS_MIN = 18  # with less, a month and the trend are the same


def by_month(history: History, ahead: int) -> Prediction:
    """Poisson regression of each month's ratio to the year that was known `ahead` months before it.

    On month, and the month's Fridays, Saturdays and days; the constant is the usual growth over that span. With less
    than three years and a half the ratio is to the month's own year, counted back from now, and there is no growth.
    Needs `FIT_MONTHS_MIN`.
    """
    check(history.row == "month" and history.row_count >= FIT_MONTHS_MIN, "a forecast by month stands on 18 months")
    count, totals = history.row_count, history.values.sum(axis=1)
    sums = np.concatenate([[0.0], np.cumsum(totals)])
    first = ahead + 11
    level = np.full(count + ahead, max(float(totals[-12:].mean()), TINY))
    if count >= first + FIT_MONTHS_MIN:
        end = np.arange(first, count + ahead) - ahead + 1
        level[first:] = np.maximum((sums[end] - sums[end - 12]) / 12, TINY)
    else:
        first = 0
        for begin in range(count - 12, -12, -12):
            level[max(begin, 0) : begin + 12] = max(float(totals[max(begin, 0) : max(begin, 0) + 12].mean()), TINY)
    features = _features([history.begin_of(row) for row in range(count + ahead)])
    fit = poisson(features[first:count], totals[first:] / level[first:count])
    ratios = np.concatenate([np.ones(first), fit.without_itself, fit.mean(features[count:])])
    return lifted((ratios * level)[:, None], history, np.zeros(count + ahead, dtype=np.int64), first=first)


def _features(months: list[dt.date]) -> Floats:
    rows = []
    for first in months:
        weekday, length = calendar.monthrange(first.year, first.month)
        fridays, saturdays = (sum((weekday + day) % 7 == kind for day in range(length)) for kind in (4, 5))
        month = [float(first.month == number) for number in range(1, 13)]
        rows.append([1.0, *month, fridays - 4.35, saturdays - 4.35, length - 30.4])
    return np.array(rows)


def same_month(history: History, ahead: int) -> Prediction:
    """The challenger: the same month a year before, moved half as much as the last year was.

    Growth damped, as series that were taken to grow on disappoint (Gardner & McKenzie, Management Science 31, 1985).
    """
    totals, count = history.values.sum(axis=1), history.row_count
    check(count >= HISTORY_MONTHS_MIN, "a forecast by month stands on two years")
    years = -(-ahead // 12)
    back = np.arange(count + ahead) - 12 * years
    level = np.ones(count + ahead)
    for row in range(24 + 12 * (years - 1), count + ahead):
        newest = min(row - ahead, count - 1) + 1  # as it was known `ahead` months before
        if newest >= 24:
            level[row] = (totals[newest - 12 : newest].sum() / max(totals[newest - 24 : newest - 12].sum(), 1e-9)) ** (
                years / 2
            )
    known = np.where(back >= 0, totals[np.clip(back, 0, count - 1)], totals.mean()) * np.clip(level, 0.5, 2.0)
    return lifted(known[:, None], history, np.zeros(count + ahead, dtype=np.int64), first=min(12 * years, count - 6))

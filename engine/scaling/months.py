"""What the months ahead will ask for: twelve months, a trend, and how many weekend days each has. Pure.

In: whole months of history. Out: mean and quantiles of each month ahead. docs/forecasting.md says how good it is.
"""

from __future__ import annotations

import calendar
import datetime as dt

import numpy as np

from engine.base.invariants import check
from engine.scaling.forecast import History, lifted
from engine.scaling.regression import Floats, Prediction, poisson

HISTORY_MONTHS_MIN = 24  # for a backtest
FIT_MONTHS_MIN = 18  # with less, a month and the trend are the same


def by_month(history: History, ahead: int) -> Prediction:
    """Poisson regression on month, trend, and the month's Fridays, Saturdays and days. Needs `FIT_MONTHS_MIN`."""
    check(history.row == "month" and history.row_count >= FIT_MONTHS_MIN, "a forecast by month stands on 18 months")
    count = history.row_count
    totals = history.values.sum(axis=1)
    features = _features([history.begin_of(row) for row in range(count + ahead)], count)
    fit = poisson(features[:count], totals)
    expected = np.concatenate([fit.without_itself, fit.mean(features[count:])])
    return lifted(expected[:, None], history, np.zeros(count + ahead, dtype=np.int64), first=0)


def _features(months: list[dt.date], known: int) -> Floats:
    rows = []
    for row, first in enumerate(months):
        weekday, length = calendar.monthrange(first.year, first.month)
        fridays, saturdays = (sum((weekday + day) % 7 == kind for day in range(length)) for kind in (4, 5))
        month = [float(first.month == number) for number in range(1, 13)]
        rows.append([1.0, *month, (row - known) / 12.0, fridays - 4.35, saturdays - 4.35, length - 30.4])
    return np.array(rows)


def same_month(history: History, ahead: int) -> Prediction:
    """The challenger: the same month a year before, moved by how the last year compares with the one before it."""
    totals, count = history.values.sum(axis=1), history.row_count
    check(count >= HISTORY_MONTHS_MIN, "a forecast by month stands on two years")
    years = -(-ahead // 12)
    back = np.arange(count + ahead) - 12 * years
    level = np.ones(count + ahead)
    for row in range(24 + 12 * (years - 1), count + ahead):
        newest = min(row - ahead, count - 1) + 1  # as it was known `ahead` months before
        if newest >= 24:
            level[row] = (
                totals[newest - 12 : newest].sum() / max(totals[newest - 24 : newest - 12].sum(), 1e-9)
            ) ** years
    known = np.where(back >= 0, totals[np.clip(back, 0, count - 1)], totals.mean()) * np.clip(level, 0.5, 2.0)
    return lifted(known[:, None], history, np.zeros(count + ahead, dtype=np.int64), first=min(12 * years, count - 6))

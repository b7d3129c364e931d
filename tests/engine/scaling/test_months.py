"""Months are forecast a year ahead."""

from __future__ import annotations

import datetime as dt

import numpy as np
import pytest

from engine.scaling.forecast import History, Model
from engine.scaling.months import by_month, same_month


def months(count: int = 96) -> History:
    """A season, growth of a tenth a year, and more where a month has more Saturdays."""
    begin = dt.date(2015, 1, 1)
    values = []
    for row in range(count):
        first = dt.date(begin.year + row // 12, row % 12 + 1, 1)
        length = ((first + dt.timedelta(days=31)).replace(day=1) - first).days
        saturdays = sum((first + dt.timedelta(days=day)).weekday() == 5 for day in range(length))
        values.append(1000 * 1.1 ** (row / 12) * (1.5 - np.cos(2 * np.pi * row / 12)) * (0.2 + 0.2 * saturdays))
    return History(begin, np.array(values)[:, None], row="month")


@pytest.mark.parametrize(("model", "least"), [(by_month, 0.97), (same_month, 0.9)])
def test_a_year_ahead_is_forecast_from_years_before(model: Model, least: float) -> None:
    history = months()
    said = model(history.until(84, 12), 12)
    actual = history.values[84:]
    assert 1 - float(np.abs(said.mean - actual).sum() / actual.sum()) > least
    assert (said.quantile(0.9) >= said.mean * 0.99).all()


@pytest.mark.parametrize("model", [by_month, same_month])
def test_what_comes_after_the_origin_changes_nothing(model: Model) -> None:
    history = months()
    changed = history.values.copy()
    changed[60:] = 1e6
    other = History(history.begin, changed, row="month")
    assert np.array_equal(model(history.until(60, 12), 12).mean, model(other.until(60, 12), 12).mean)

"""A file of times and amounts becomes whole hours, days or months; what is odd in it is told with its line."""

from __future__ import annotations

import datetime as dt

import pytest

from engine.base.errors import NotFound, UsageError
from engine.scaling.series import Columns, read_series

HEAD = "when,count,booked"


def read(*rows: str, known: str = "") -> tuple[str, dt.date, list[list[float]], tuple[str, ...]]:
    series = read_series([HEAD, *rows], Columns("when", "count", known))
    return series.grain, series.history.begin, series.history.values.tolist(), series.notes


def test_days_are_laid_out_and_gaps_are_zero_and_told() -> None:
    grain, begin, values, notes = read("2024-02-28,5,", "2024-03-01,7,", "2024-03-02,8,", "2024-03-03,9,")
    assert (grain, begin, values) == ("daily", dt.date(2024, 2, 28), [[5], [0], [7], [8], [9]])
    assert notes == ("1 day missing in the file; they count as 0",)


def test_minutes_are_summed_to_hours_and_days_cut_short_left_out() -> None:
    rows = [f"2024-01-0{1 + (720 + m) // 1440}T{(720 + m) // 60 % 24:02}:{m % 60:02},1," for m in range(0, 2160, 30)]
    grain, begin, values, _ = read(*rows)  # from noon of the first to the end of the second
    assert (grain, begin) == ("hourly", dt.date(2024, 1, 2))
    assert values == [[2.0] * 24]


def test_times_with_an_offset_become_utc() -> None:
    rows = [f"2024-01-01T{hour:02}:00-05:00,{hour}," for hour in range(24)]
    rows += [f"2024-01-02T{hour:02}:00-05:00,{24 + hour}," for hour in range(24)]
    grain, begin, values, _ = read(*rows)
    assert (grain, begin, values[0][:2]) == ("hourly", dt.date(2024, 1, 2), [19.0, 20.0])


def test_months_are_months() -> None:
    grain, begin, values, notes = read("2024-01,5,1", "2024-02,6,2", "2024-04,8,3", known="booked")
    assert (grain, begin, values) == ("monthly", dt.date(2024, 1, 1), [[5], [6], [0], [8]])
    assert "1 month missing" in notes[0]


def test_what_was_booked_stands_by_day() -> None:
    rows = [f"2024-01-0{1 + hour // 24}T{hour % 24:02}:00,9,{hour % 3}" for hour in range(48)]
    series = read_series([HEAD, *rows], Columns("when", "count", "booked"))
    assert series.history.booked is not None
    assert series.history.booked.tolist() == [[24.0], [24.0]]


@pytest.mark.parametrize(
    ("rows", "says"),
    [
        (["2024-01-01,five,"], "line 2"),
        (["2024-01-01,1,", "yesterday,1,"], "line 3"),
        (["2024-01-01,-1,", "2024-01-02,1,"], "no amount"),
        (["2024-01-01,nan,", "2024-01-02,1,"], "no amount"),
        (["2024-01-01,1,"], "fewer than two rows"),
        (["2024-01-01,1,", "2024-01-15,1,", "2024-01-29,1,"], "14 days"),
        (["1700-01-01,1,", "1700-01-02,1,", "1700-01-03,1,", "2024-01-03,1,"], "goes from 1700"),
        (["2024-01-01"], "line 2"),
    ],
)
def test_what_cannot_be_read_is_told_with_its_line(rows: list[str], says: str) -> None:
    with pytest.raises(UsageError, match=says):
        read(*rows)


def test_a_column_that_is_not_there_is_told_with_those_that_are() -> None:
    with pytest.raises(NotFound, match="no column 'rides'") as caught:
        read_series([HEAD], Columns("when", "rides"))
    assert "when, count, booked" in caught.value.hint

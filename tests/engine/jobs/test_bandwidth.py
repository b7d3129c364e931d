"""Limits with times of the week."""

from __future__ import annotations

import datetime as dt
import zoneinfo

import pytest
from hypothesis import given
from hypothesis import strategies as st

from engine.jobs.bandwidth import DAYS, limit_at, parse_windows

MB = 1_000_000.0


def at(text: str, moment: str) -> float | None:
    return limit_at(parse_windows(text), dt.datetime.fromisoformat(moment))


def test_without_a_text_there_is_no_limit() -> None:
    assert parse_windows("") == () == parse_windows(" ; ")
    assert at("", "2026-06-20 12:00") is None


@pytest.mark.parametrize(
    ("moment", "limit"),
    [
        ("2026-06-19 07:59", None),  # a Friday
        ("2026-06-19 08:00", 50 * MB),
        ("2026-06-19 17:59", 50 * MB),
        ("2026-06-19 18:00", None),
        ("2026-06-20 12:00", None),
    ],
)
def test_a_window_holds_from_its_first_minute_until_its_end(moment: str, limit: float | None) -> None:
    assert at("mon..fri 08:00-18:00 50MB/s", moment) == limit


def test_of_several_that_fit_the_smallest_holds() -> None:
    text = "100MB/s; sat,sun 20MB/s; 08:00-18:00 50 MB/s"
    assert at(text, "2026-06-19 12:00") == 50 * MB
    assert at(text, "2026-06-19 19:00") == 100 * MB
    assert at(text, "2026-06-20 12:00") == 20 * MB


def test_a_window_over_midnight_belongs_to_the_day_it_begins_on() -> None:
    text = "fri 22:00-06:00 10MB/s"
    assert at(text, "2026-06-19 23:00") == 10 * MB
    assert at(text, "2026-06-20 05:59") == 10 * MB
    assert at(text, "2026-06-20 06:00") is None
    assert at(text, "2026-06-19 05:00") is None


def test_unlimited_takes_away_what_names_no_time_and_nothing_else() -> None:
    text = "50MB/s; 22:00-06:00 unlimited; sun 20MB/s"
    assert at(text, "2026-06-19 23:00") is None
    assert at(text, "2026-06-19 21:00") == 50 * MB
    assert at(text, "2026-06-21 23:00") == 20 * MB


def test_days_may_wrap_around_the_week_and_the_day_may_end_at_24() -> None:
    assert at("sat..mon 1MB/s", "2026-06-22 09:00") == MB
    assert at("sat..mon 1MB/s", "2026-06-23 09:00") is None
    assert at("20:00-24:00 1MiB/s", "2026-06-23 23:59") == 1_048_576


def test_where_clocks_are_put_back_the_repeated_hour_is_limited_twice() -> None:
    windows = parse_windows("01:00-02:00 1MB/s")
    zone = zoneinfo.ZoneInfo("Europe/London")
    first = dt.datetime(2026, 10, 25, 1, 30, tzinfo=zone)
    assert limit_at(windows, first) == limit_at(windows, first.replace(fold=1)) == MB


@pytest.mark.parametrize(
    "text",
    ["50MB", "fast", "mon..fri", "08:00-18:00", "0MB/s", "funday 1MB/s", "25:00-26:00 1MB/s", "08:00-08:00 1MB/s",
     "x/s", "24:00-02:00 1MB/s", "mon..noday 1MB/s", "-5MB/s"],
)  # fmt: skip
def test_what_means_nothing_is_refused_with_a_sentence(text: str) -> None:
    with pytest.raises(ValueError, match=r"; write it like|pause the jobs"):
        parse_windows(text)


@given(
    st.lists(
        st.tuples(st.sampled_from(DAYS), st.integers(0, 1439), st.integers(0, 1439), st.integers(1, 999)), max_size=6
    ),
    st.datetimes(dt.datetime.fromisoformat("2026-01-01"), dt.datetime.fromisoformat("2027-01-01")),
)
def test_the_limit_is_the_smallest_of_the_windows_that_a_plain_reading_finds(
    windows: list[tuple[str, int, int, int]], moment: dt.datetime
) -> None:
    windows = [window for window in windows if window[1] != window[2]]
    text = ";".join(
        f"{day} {begin // 60:02}:{begin % 60:02}-{end // 60:02}:{end % 60:02} {rate}MB/s"
        for day, begin, end, rate in windows
    )
    fitting = []
    for day, begin, end, rate in windows:
        for week in (-7, 0, 7):
            first = moment.replace(hour=0, minute=0, second=0, microsecond=0) - dt.timedelta(days=moment.weekday())
            start = first + dt.timedelta(days=DAYS.index(day) + week, minutes=begin)
            stop = start + dt.timedelta(minutes=(end - begin) % 1440)
            if start <= moment < stop:
                fitting.append(rate * MB)
    assert limit_at(parse_windows(text), moment) == min(fitting, default=None)

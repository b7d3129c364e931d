"""When schedules run: time zones, changes of the clocks, intervals."""

from __future__ import annotations

import datetime as dt
import zoneinfo
from collections import Counter

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from engine.jobs.schedules import is_caught_up, next_ns, parse_when

HOUR_NS = 3600 * 10**9
ZONES = ("UTC", "Europe/London", "America/New_York", "Australia/Lord_Howe", "Asia/Kathmandu", "America/Santiago")


def ns(text: str) -> int:
    return int(dt.datetime.fromisoformat(text).timestamp()) * 10**9


def runs(text: str, zone: str, begin: str, count: int) -> list[str]:
    """Local times of the next runs."""
    when, at = parse_when(text), ns(begin)
    found = []
    for _ in range(count):
        following = next_ns(when, zone, after_ns=at, anchor_ns=0)
        assert following is not None
        at = following
        found.append(f"{dt.datetime.fromtimestamp(at // 10**9, tz=zoneinfo.ZoneInfo(zone)):%m-%d %H:%M%z}")
    return found


def test_a_daily_time_is_of_the_schedules_time_zone() -> None:
    assert runs("0 3 * * *", "Europe/London", "2026-06-20T00:00+00:00", 2) == ["06-20 03:00+0100", "06-21 03:00+0100"]
    assert runs("30 6 * * mon", "Asia/Kathmandu", "2026-06-20T00:00+00:00", 1) == ["06-22 06:30+0545"]


def test_a_time_that_clocks_repeat_runs_once() -> None:
    assert runs("30 1 * * *", "Europe/London", "2026-10-24T12:00+00:00", 2) == ["10-25 01:30+0100", "10-26 01:30+0000"]
    found = runs("*/30 1 * * *", "Europe/London", "2026-10-24T12:00+00:00", 3)
    assert found == ["10-25 01:00+0100", "10-25 01:30+0100", "10-26 01:00+0000"]


def test_asked_in_the_repeated_hour_a_time_has_run_already() -> None:
    assert runs("30 1 * * *", "Europe/London", "2026-10-25T01:10+00:00", 1) == ["10-26 01:30+0000"]


def test_a_time_that_clocks_leave_out_runs_right_after_the_gap() -> None:
    assert runs("30 1 * * *", "Europe/London", "2026-03-28T12:00+00:00", 2) == ["03-29 02:00+0100", "03-30 01:30+0100"]


def test_each_hour_runs_each_hour_that_passes() -> None:
    assert runs("0 * * * *", "Europe/London", "2026-10-25T00:00+00:00", 3) == [
        "10-25 01:00+0000", "10-25 02:00+0000", "10-25 03:00+0000",
    ]  # fmt: skip


@pytest.mark.parametrize("zone", ZONES)
@settings(max_examples=8)
@given(hour=st.integers(0, 23), minute=st.integers(0, 59))
def test_over_a_year_a_time_of_day_runs_once_on_each_day(zone: str, hour: int, minute: int) -> None:
    when, at = parse_when(f"{minute} {hour} * * *"), ns("2026-01-01T12:00+00:00")
    end = ns("2027-01-01T12:00+00:00")
    days: Counter[dt.date] = Counter()
    while (following := next_ns(when, zone, after_ns=at, anchor_ns=0)) is not None and following < end:
        assert following > at
        at = following
        days[dt.datetime.fromtimestamp(at // 10**9, tz=zoneinfo.ZoneInfo(zone)).date()] += 1
    assert set(days.values()) == {1}
    assert 364 <= len(days) <= 366


@given(every_min=st.integers(1, 10_000), after_s=st.integers(0, 10**9))
def test_intervals_keep_their_phase_however_many_were_missed(every_min: int, after_s: int) -> None:
    anchor_ns = ns("2026-01-01T00:00+00:00")
    following = next_ns(
        parse_when(f"every {every_min}m"), "UTC", after_ns=anchor_ns + after_s * 10**9, anchor_ns=anchor_ns
    )
    assert following is not None
    since = following - anchor_ns
    assert since % (every_min * 60 * 10**9) == 0
    assert 0 < since - after_s * 10**9 <= every_min * 60 * 10**9


def test_what_was_due_long_before_is_caught_up() -> None:
    assert is_caught_up(0, HOUR_NS)
    assert not is_caught_up(0, 10**9)


@pytest.mark.parametrize(
    "text", ["", "every", "every 5s", "every day", "0 3 * *", "61 3 * * *", "0 3 31 2 *", "@daily", "0 0 3 * * *"]
)
def test_what_is_no_schedule_is_refused_with_a_sentence(text: str) -> None:
    with pytest.raises(ValueError, match=r"no schedule|too often|span of time"):
        parse_when(text)

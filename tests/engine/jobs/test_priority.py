"""The class of a wedding, around midnight, the clocks going forward, and both sides of the date line."""

from __future__ import annotations

import datetime as dt
import zoneinfo

import pytest
from hypothesis import given
from hypothesis import strategies as st

from engine.contract.weddings import Wedding
from engine.jobs.priority import class_of, class_on, local_day, zone_problem


def ns(text: str, zone: str) -> int:
    """A local wall time as nanoseconds since 1970."""
    return round(dt.datetime.fromisoformat(text).replace(tzinfo=zoneinfo.ZoneInfo(zone)).timestamp()) * 10**9


def wedding(date: str, zone: str = "Europe/London") -> Wedding:
    return Wedding(id="0" * 32, name="smith-jones", date=dt.date.fromisoformat(date), timezone=zone)


@pytest.mark.parametrize(
    ("now", "expected"),
    [
        ("2026-06-20T06:00:00", "same-day"),
        ("2026-06-20T23:59:59", "same-day"),
        ("2026-06-21T05:59:59", "same-day"),  # what the last dance gives is still today's
        ("2026-06-21T06:00:00", "standard"),
        ("2026-06-20T05:59:59", "next-day"),  # the day before lasts until six, too
        ("2026-06-19T12:00:00", "next-day"),
        ("2026-06-19T05:59:59", "standard"),
        ("2026-06-25T12:00:00", "standard"),
    ],
)
def test_class_follows_the_local_day_that_ends_at_six(now: str, expected: str) -> None:
    assert class_of(wedding("2026-06-20"), ns(now, "Europe/London")) == expected


def test_same_moment_is_another_day_elsewhere() -> None:
    now = ns("2026-06-20T12:00:00", "Europe/London")
    assert class_of(wedding("2026-06-20", "Pacific/Auckland"), now) == "same-day"  # 23:00 there
    assert class_of(wedding("2026-06-20", "America/Los_Angeles"), now) == "next-day"  # 04:00: still the 19th


def test_the_night_the_clocks_go_forward_has_its_day() -> None:
    assert local_day("Europe/London", ns("2026-03-29T05:30:00", "Europe/London")) == dt.date(2026, 3, 28)
    assert local_day("Europe/London", ns("2026-03-29T06:00:00", "Europe/London")) == dt.date(2026, 3, 29)


def test_zones_are_known_where_the_system_has_none() -> None:
    """As in a small container image."""
    zoneinfo.reset_tzpath(to=())
    try:
        assert zoneinfo.ZoneInfo.no_cache("Europe/London").key == "Europe/London"
    finally:
        zoneinfo.reset_tzpath()


def test_an_unknown_zone_counts_as_utc_and_is_called_a_problem() -> None:
    now = ns("2026-06-20T12:00:00", "UTC")
    assert local_day("Middle-earth/Bree", now) == dt.date(2026, 6, 20)
    assert "Middle-earth/Bree" in zone_problem("Middle-earth/Bree")
    assert zone_problem("Europe/London") == ""
    assert zone_problem("../etc/passwd")


@given(st.dates(dt.date(1950, 1, 1), dt.date(2150, 1, 1)), st.integers(-400, 400))
def test_only_today_and_tomorrow_are_urgent(today: dt.date, ahead: int) -> None:
    expected = {0: "same-day", 1: "next-day"}.get(ahead, "standard")
    assert class_on(today + dt.timedelta(days=ahead), today) == expected

"""History and calendar become an outlook of hours, days and months, in the platform's own time."""

from __future__ import annotations

import dataclasses
import datetime as dt
from zoneinfo import ZoneInfo

import numpy as np
import pytest

from engine.scaling.ahead import HOURS_AHEAD, Known, Window, booked_by_hour, look_ahead
from engine.scaling.bookings import Amount, Booking, Held, Traits
from engine.scaling.forecast import booked_and_pickup
from engine.scaling.profiles import learned

ZONE = "America/New_York"
NOW = dt.datetime(2026, 3, 6, 15, 20, tzinfo=ZoneInfo(ZONE))  # clocks go forward on Sunday, 8 March
PROFILES = learned([])


def known(days: int = 760, *, quiet: frozenset[dt.date] = frozenset()) -> Known:
    """Demand from 18 to 22 o'clock there, on Saturdays ten times; 2 GB a job."""
    hours = {}
    first = int(NOW.timestamp()) // 3600 - 24 * days
    for hour in range(first, int(NOW.timestamp()) // 3600 + 1):
        local = dt.datetime.fromtimestamp(hour * 3600, ZoneInfo(ZONE))
        jobs = (20.0 if local.weekday() == 5 and local.date() not in quiet else 2.0) * (18 <= local.hour < 22)
        hours[hour] = Amount(jobs, jobs * 2e9)
    return Known(
        now_ns=int(NOW.timestamp()) * 10**9, zone=ZONE, country="US", hours=hours, bookings=None, profiles=PROFILES
    )


def test_hours_are_those_of_the_platforms_clock_also_when_it_changes() -> None:
    outlook = look_ahead(known(), booked_and_pickup).outlook
    assert len(outlook.jobs) == HOURS_AHEAD
    assert outlook.begin_ns <= int(NOW.timestamp()) * 10**9 < outlook.begin_ns + outlook.step_ns
    jobs = {}
    for step in range(HOURS_AHEAD):
        when_ns = outlook.begin_ns + step * outlook.step_ns
        jobs[dt.datetime.fromtimestamp(when_ns // 10**9, ZoneInfo(ZONE)).strftime("%a %H")] = outlook.jobs_at(
            when_ns, 0.5
        )
    assert jobs["Sat 19"] == pytest.approx(20, rel=0.15)
    assert jobs["Fri 19"] == pytest.approx(2, rel=0.3)
    assert jobs["Sat 12"] < 1
    assert outlook.bytes_at(outlook.begin_ns + 5 * outlook.step_ns, 0.5) > 1e9
    assert (outlook.basis, outlook.note) == ("no-calendar", "")


def test_half_a_year_of_days_and_a_year_of_months_follow() -> None:
    rows = look_ahead(known(), booked_and_pickup).rows
    assert len(rows["day"]) == 182
    assert (rows["day"][0].begin, rows["day"][181].begin) == ("2026-03-06", "2026-09-03")
    assert rows["day"][1].jobs == pytest.approx(80, rel=0.15)  # a Saturday
    assert all(row.low_95 <= row.low_80 <= row.jobs <= row.high_80 <= row.high_95 for row in rows["day"])
    assert [row.begin for row in rows["month"]][:2] == ["2026-03-01", "2026-04-01"]
    assert rows["month"][1].jobs == pytest.approx(4 * 80 + 26 * 8, rel=0.15)


def test_a_short_history_says_so_and_forecasts_nothing() -> None:
    ahead = look_ahead(known(50), booked_and_pickup)
    assert (ahead.outlook.basis, len(ahead.outlook.jobs)) == ("history too short", 0)
    assert "56 days" in ahead.outlook.note


def test_bookings_count_by_what_was_known_so_long_before() -> None:
    day = dt.date(2026, 6, 20)
    early = Booking(uid="a", name="a", date=day, booked_on=day - dt.timedelta(days=30))
    late = Booking(uid="b", name="b", date=day, booked_on=day - dt.timedelta(days=3))
    window = Window(day, 16, "UTC")
    for lead, weddings in ((2, 2), (7, 1), (60, 0)):
        asked = booked_by_hour([early, late], PROFILES.jobs, window, today=day + dt.timedelta(days=99), lead=lead)
        assert asked.sum() == pytest.approx(weddings * PROFILES.jobs.expected(early.traits))
    assert booked_by_hour([late], PROFILES.jobs, window, today=day - dt.timedelta(days=5), lead=2).sum() == 0.0


def test_a_wedding_far_away_asks_in_its_own_evening() -> None:
    day = dt.date(2026, 6, 20)
    home = Booking(uid="a", name="a", date=day, booked_on=day)
    away = Booking(uid="b", name="b", date=day, booked_on=day, timezone="Asia/Tokyo")
    window = Window(day, 16, "Europe/London")
    asked = [booked_by_hour([each], PROFILES.jobs, window, today=day, lead=0).ravel() for each in (home, away)]
    assert np.array_equal(asked[0][8:], asked[1][:-8])  # nine hours before ours, and an hour of summer time


def test_the_calendar_moves_the_outlook() -> None:
    """Saturdays with a wedding are busy, those without are not, and nothing else tells which is which."""
    saturdays = [dt.date(2026, 3, 7) - dt.timedelta(weeks=week) for week in range(106)]
    chance = np.random.default_rng(4)
    held = [day for day in saturdays[1:] if chance.random() < 0.5]
    profiles = learned([Held(Traits(), dict.fromkeys(range(18, 22), 20.0), {})] * 200)
    plain = dataclasses.replace(known(quiet=frozenset(saturdays) - frozenset(held)), profiles=profiles)
    weddings = [Booking(uid=str(day), name=str(day), date=day, booked_on=dt.date(2020, 1, 1)) for day in held]
    tomorrow = Booking(uid="t", name="t", date=saturdays[0], booked_on=dt.date(2026, 1, 1))
    said = [
        look_ahead(dataclasses.replace(plain, bookings=bookings), booked_and_pickup)
        for bookings in (weddings, [*weddings, tomorrow])
    ]
    assert [each.outlook.basis for each in said] == ["calendar", "calendar"]
    free, booked = (each.rows["day"][1].jobs for each in said)
    assert booked > free + 10
    assert 0.0 < said[1].outlook.booked_share <= 1.0

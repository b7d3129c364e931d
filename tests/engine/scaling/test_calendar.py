"""Calendars are read as iCalendar and as CSV; what cannot be read is told, entry by entry."""

from __future__ import annotations

import datetime as dt

import pytest

from engine.base.errors import UsageError
from engine.scaling.bookings import Booking, merged
from engine.scaling.calendar import read_calendar

ICS = """BEGIN:VCALENDAR
VERSION:2.0
BEGIN:VEVENT
UID:1@x
SUMMARY:Smith\\, Jones
DTSTART;TZID="Europe/London":20260620T140000
CREATED:20250901T080000Z
X-GUESTS:120
DESCRIPTION:The \\nPhotographers: 2\\nPackage: gold and a very
  long line
BEGIN:VALARM
DESCRIPTION:Guests: 7
END:VALARM
END:VEVENT
BEGIN:VEVENT
UID:2@x
SUMMARY:Lee
DTSTART;VALUE=DATE:20260704
STATUS:CANCELLED
LAST-MODIFIED:20260301T000000Z
END:VEVENT
BEGIN:VEVENT
SUMMARY:Nobody
END:VEVENT
BEGIN:VEVENT
SUMMARY:Odd
DTSTART:2026
END:VEVENT
END:VCALENDAR
"""


@pytest.mark.parametrize("line_end", ["\n", "\r\n"])
def test_icalendar_gives_day_zone_traits_and_since_when(line_end: str) -> None:
    bookings, problems = read_calendar(ICS.replace("\n", line_end))
    assert bookings == [
        Booking(
            uid="1@x", name="Smith, Jones", date=dt.date(2026, 6, 20), timezone="Europe/London", guests=120,
            photographers=2, package="gold and a very long line", booked_on=dt.date(2025, 9, 1),
        ),
        Booking(uid="2@x", name="Lee", date=dt.date(2026, 7, 4), cancelled_on=dt.date(2026, 3, 1)),
    ]  # fmt: skip
    assert problems == ["entry 3 'Nobody': it has no DTSTART", "entry 4 'Odd': '2026' is no date"]


def test_csv_needs_name_and_date_and_takes_the_rest() -> None:
    bookings, problems = read_calendar(
        "Name,date,guests,booked_on,extra\na,2026-06-20,80,2026-01-02,x\nb,20th of June,,,\nc,2026-06-21,many,,\n"
    )
    assert bookings == [
        Booking(uid="a/2026-06-20", name="a", date=dt.date(2026, 6, 20), guests=80, booked_on=dt.date(2026, 1, 2))
    ]
    assert [problem.partition(":")[0] for problem in problems] == ["line 3", "line 4"]
    with pytest.raises(UsageError, match="lacks a column"):
        read_calendar("couple,day\na,2026-06-20\n")


@pytest.mark.parametrize(
    ("booked", "cancelled", "on", "is_known"),
    [
        ("2026-01-01", None, "2025-12-31", False),
        ("2026-01-01", None, "2026-01-01", True),
        ("2026-01-01", "2026-03-01", "2026-03-01", False),
        (None, None, "2026-06-05", False),  # not said: two weeks before its day
        (None, None, "2026-06-06", True),
    ],
)
def test_a_booking_is_known_from_when_it_stands_until_it_is_cancelled(
    booked: str | None, cancelled: str | None, on: str, *, is_known: bool
) -> None:
    booking = Booking(
        uid="a", name="a", date=dt.date(2026, 6, 20),
        booked_on=dt.date.fromisoformat(booked) if booked else None,
        cancelled_on=dt.date.fromisoformat(cancelled) if cancelled else None,
    )  # fmt: skip
    assert booking.is_known(dt.date.fromisoformat(on)) is is_known


def test_of_two_calendars_one_wedding_counts_once_and_stands_since_the_earlier() -> None:
    one = Booking(uid="1", name="Lee", date=dt.date(2026, 7, 4), booked_on=dt.date(2026, 2, 1))
    other = Booking(uid="2", name="lee", date=dt.date(2026, 7, 4), booked_on=dt.date(2026, 1, 1))
    assert merged([[one], [other]]) == [other]

"""Demand is kept by hour and class, and by wedding; bookings with since when they stand."""

from __future__ import annotations

import datetime as dt
from collections.abc import Iterator
from pathlib import Path

import pytest

from engine.base.errors import LimitReached
from engine.scaling.bookings import Amount, Booking
from engine.scaling.demand import KEPT_HOURS, Demand
from engine.scaling.gathered import HOUR_NS, Gathered

TODAY = dt.date(2026, 6, 1)


@pytest.fixture
def demand(tmp_path: Path) -> Iterator[Demand]:
    opened = Demand(tmp_path / "demand.db")
    yield opened
    opened.close()


def gathered(*jobs: tuple[int, str, int]) -> Gathered:
    found = Gathered()
    for hour, wedding, size in jobs:
        found.add(hour * HOUR_NS + 7, "standard", wedding, size)
    return found


def booking(name: str, day: str, booked: dt.date | None = None) -> Booking:
    return Booking(uid=name, name=name, date=dt.date.fromisoformat(day), booked_on=booked)


def test_jobs_add_up_by_hour_over_restarts(tmp_path: Path) -> None:
    for _ in range(2):
        opened = Demand(tmp_path / "demand.db")
        opened.add(gathered((500_000, "a", 10), (500_000, "b", 20), (500_001, "a", 5)))
        opened.close()
    opened = Demand(tmp_path / "demand.db")
    assert opened.hours() == {500_000: Amount(4, 60), 500_001: Amount(2, 10)}
    opened.close()


def test_hours_older_than_two_years_go(demand: Demand) -> None:
    demand.add(gathered((500_000, "a", 10)))
    demand.add(gathered((500_000 + KEPT_HOURS + 1, "a", 10)))
    assert list(demand.hours()) == [500_000 + KEPT_HOURS + 1]


def test_history_from_elsewhere_takes_the_place_of_what_stood(demand: Demand) -> None:
    for amount in (Amount(3, 30), Amount(4, 40)):
        demand.replace_hours({500_000: amount}, "standard")
    assert demand.hours() == {500_000: Amount(4, 40)}


def test_weddings_that_are_over_tell_their_hours(demand: Demand) -> None:
    demand.add(gathered((1020, "w1", 10), (1068, "w1", 5), (1500, "w2", 7)))
    known = {"w1": (1008, booking("a", "2026-05-01")), "w2": (1490, booking("b", "2026-05-20"))}
    held = demand.held(known, before_hour=1600)
    assert [(each.jobs, each.size_bytes) for each in held] == [({12: 1.0, 60: 1.0}, {12: 10.0, 60: 5.0})]


def test_a_feed_remembers_since_when_each_booking_stands(demand: Demand) -> None:
    demand.take_bookings("feed", [booking("a", "2026-07-04")], TODAY)
    assert demand.bookings("feed")[0].booked_on is None  # the feed itself is new: nobody knows
    later = TODAY + dt.timedelta(days=3)
    demand.take_bookings("feed", [booking("a", "2026-07-04"), booking("b", "2026-07-11")], later)
    assert {each.name: each.booked_on for each in demand.bookings("feed")} == {"a": None, "b": later}


def test_what_is_gone_from_a_feed_is_cancelled_unless_it_was_held(demand: Demand) -> None:
    demand.take_bookings("feed", [booking("a", "2026-07-04"), booking("b", "2026-05-01")], TODAY)
    demand.take_bookings("feed", [booking("c", "2026-08-01")], TODAY)
    cancelled = {each.name: each.cancelled_on for each in demand.bookings("feed")}
    assert cancelled == {"a": TODAY, "b": None, "c": None}
    assert demand.bookings("other") == []


def test_a_damaged_file_is_set_aside_and_begun_anew(tmp_path: Path) -> None:
    (tmp_path / "demand.db").write_bytes(b"no database, but long enough to be looked at" * 100)
    opened = Demand(tmp_path / "demand.db")
    assert opened.hours() == {}
    opened.close()
    assert (tmp_path / "demand.db.damaged").exists()


def test_a_place_that_is_none_is_told(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    with pytest.raises(LimitReached, match="demand history"):
        Demand(tmp_path / "file" / "demand.db")

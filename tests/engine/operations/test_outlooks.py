"""What the engine knows of days to come: demand of ended jobs, the calendar's feed, and when it is not relied on."""

from __future__ import annotations

import datetime as dt
import os
from collections.abc import Iterator
from pathlib import Path

import msgspec
import pytest

from engine.base.clock import FakeClock
from engine.base.errors import UsageError
from engine.contract.forecasts import CalendarSettings
from engine.contract.settings import Settings
from engine.contract.weddings import Wedding
from engine.jobs.job import Counts, Job
from engine.operations import outlooks
from engine.operations.outlooks import HISTORY_DAYS_MIN, Forecasting
from engine.scaling import forecast
from engine.scaling.bookings import Amount
from engine.scaling.demand import Demand
from engine.scaling.gathered import HOUR_NS

CLOCK = FakeClock()
TODAY = dt.datetime.fromtimestamp(CLOCK.now_ns() // 10**9, dt.UTC).date()
DAYS = 130


class Place:
    """A home's forecasts with half a year of history, and a feed."""

    def __init__(self, folder: Path) -> None:
        self.feed = folder / "weddings.csv"
        self.settings = Settings(calendar=CalendarSettings(feed=str(self.feed)))
        self.forecasting = Forecasting(folder / "demand.db", CLOCK, lambda: self.settings)
        now = CLOCK.now_ns() // HOUR_NS
        self.forecasting.take_history({now - hour: Amount(5.0, 1e9) for hour in range(24 * DAYS)}, "SAMPLE.csv")
        self.write("lee,30")

    def write(self, *rows: str, days_ago: int = 0) -> None:
        """The feed with weddings in so many days, changed so long ago."""
        pairs = (row.split(",") for row in rows)
        lines = (f"{name},{TODAY + dt.timedelta(days=int(days))}\n" for name, days in pairs)
        self.feed.write_text("name,date\n" + "".join(lines))
        changed = CLOCK.now_ns() // 10**9 - days_ago * 86_400
        os.utime(self.feed, (changed, changed))

    def refreshed(self, *weddings: Wedding) -> tuple[str, str]:
        """What the outlook stands on, and why not on more."""
        self.forecasting.refresh(weddings)
        assert self.forecasting.ahead is not None
        return self.forecasting.ahead.outlook.basis, self.forecasting.ahead.outlook.note


@pytest.fixture
def place(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Place]:
    monkeypatch.setattr(outlooks, "STUDY_ORIGINS", 5)
    made = Place(tmp_path)
    yield made
    made.forecasting.close()


def test_a_calendar_that_is_fresh_is_relied_on(place: Place) -> None:
    assert place.refreshed() == ("calendar", "")
    assert place.forecasting.sources == ("SAMPLE.csv",)
    assert place.forecasting.bookings == 1
    place.write("lee,10", "kim,3", days_ago=1)
    assert place.refreshed()[0] == "calendar"
    assert place.forecasting.bookings == 2


@pytest.mark.parametrize(
    ("spoil", "says"),
    [
        (lambda place: place.write("lee,10", days_ago=20), "has not changed for 20d"),
        (lambda place: place.feed.unlink(), "cannot be read"),
        (lambda place: place.feed.write_text("<html>Sign in</html>"), "lacks a column"),
        (lambda place: place.feed.write_text("name,date\n"), "no booking in it"),
        (lambda place: place.feed.write_bytes(b"\xff\xfe"), "no text in UTF-8"),
    ],
    ids=["stale", "gone", "a page in its place", "empty", "no text"],
)
def test_a_calendar_that_is_stale_or_dead_is_left_out_and_that_is_said(place: Place, spoil, says: str) -> None:  # type: ignore[no-untyped-def]
    place.write("lee,10")
    assert place.refreshed()[0] == "calendar"
    spoil(place)
    basis, note = place.refreshed()
    assert basis == "no-calendar"
    assert says in note
    assert "forecast without it" in note
    place.write("lee,10")
    assert place.refreshed()[0] == "calendar"  # as soon as it is back


def test_without_a_feed_the_register_is_the_calendar(place: Place) -> None:
    place.settings = Settings()
    assert place.refreshed() == (
        "no-calendar",
        "no wedding to come is known: set calendar.feed, or take one in with calendar import",
    )
    wedding = Wedding(id="0" * 32, name="lee", date=TODAY + dt.timedelta(days=9), created_ns=CLOCK.now_ns() - 1)
    assert place.refreshed(wedding) == ("calendar", "")


def test_a_calendar_taken_in_counts_until_it_is_stale(place: Place, tmp_path: Path) -> None:
    place.settings = Settings()
    taken = place.forecasting.take_calendar(place.feed)
    assert (taken.bookings, taken.to_come, taken.cancelled) == (1, 1, 0)
    place.write("kim,5")
    place.forecasting.take_calendar(place.feed)
    assert place.refreshed()[0] == "calendar"
    assert place.forecasting.bookings == 1  # lee was cancelled
    place.settings = msgspec.structs.replace(place.settings, calendar=CalendarSettings(stale_after="1ms"))
    CLOCK.advance(60)
    assert place.refreshed()[0] == "no-calendar"
    (tmp_path / "page.html").write_text("<html>")
    with pytest.raises(UsageError, match="lacks a column"):
        place.forecasting.take_calendar(tmp_path / "page.html")


def ended(kind: str, *, state: str = "done", hour: int = 500_000) -> Job:
    job = Job("1", kind, "w", "lee", "same-day", False, hour * HOUR_NS, 0.0)  # type: ignore[arg-type]
    job.state = state  # type: ignore[assignment]
    job.counts = Counts(bytes_read=7)
    return job


def test_jobs_that_ended_count_for_the_hour_they_were_asked_in(tmp_path: Path) -> None:
    forecasting = Forecasting(tmp_path / "demand.db", CLOCK, Settings)
    forecasting.refresh(())
    assert not (tmp_path / "demand.db").exists()  # nothing to keep: nothing is made, and no library loaded
    for job in (ended("backup"), ended("store"), ended("verify"), ended("backup", state="failed")):
        forecasting.take(job)
    forecasting.write_down(forecasting.gathered())
    forecasting.take(ended("retrieve", hour=500_001))
    forecasting.close()  # what is left is written down
    demand = Demand(tmp_path / "demand.db")
    assert demand.hours() == {500_000: Amount(2, 14), 500_001: Amount(1, 7)}
    demand.close()


def test_how_the_models_did_is_worked_out_once_a_week(place: Place) -> None:
    place.refreshed()
    study = place.forecasting.study
    assert study is not None
    assert study.grain == "hour"
    place.refreshed()
    assert place.forecasting.study == study
    assert place.forecasting.model == study.model


def test_weddings_that_are_over_teach_what_one_asks_for(place: Place) -> None:
    """By the id that jobs carry, and the traits that the calendar has for the same name and day."""
    day = TODAY - dt.timedelta(days=40)
    wedding = Wedding(id="w", name="lee", date=day, created_ns=1)
    midnight = int(dt.datetime.combine(day, dt.time(), tzinfo=dt.UTC).timestamp()) // 3600
    for hour in (14, 15, 30):
        place.forecasting.take(ended("backup", hour=midnight + hour))
    place.forecasting.write_down(place.forecasting.gathered())
    place.refreshed(wedding)
    assert place.forecasting.weddings_over == 1
    place.refreshed(msgspec.structs.replace(wedding, date=TODAY - dt.timedelta(days=10)))
    assert place.forecasting.weddings_over == 0  # its uploads may still come


def test_with_less_than_eight_weeks_there_is_no_forecast(tmp_path: Path) -> None:
    forecasting = Forecasting(tmp_path / "demand.db", CLOCK, Settings)
    now = CLOCK.now_ns() // HOUR_NS
    forecasting.take_history({now - hour: Amount(1.0, 1.0) for hour in range(24 * 30)}, "a")
    forecasting.refresh(())
    assert forecasting.ahead is None
    assert forecasting.history_days == 29
    assert forecast.HISTORY_DAYS_MIN == HISTORY_DAYS_MIN
    forecasting.close()


def test_what_was_kept_by_another_version_is_worked_out_anew(place: Place, tmp_path: Path) -> None:
    place.refreshed()
    demand = Demand(tmp_path / "demand.db")
    demand.remember("study", f"{CLOCK.now_ns()} calendar {{}}")
    demand.close()
    place.refreshed()
    assert place.forecasting.study is not None

"""forecast, imports, backtest: what an operator is told of days to come, and of a series of their own."""

from __future__ import annotations

import datetime as dt
from pathlib import Path

import pytest

from engine.base.errors import NotFound, UsageError
from engine.contract.forecasts import (
    Backtest,
    BacktestReport,
    CalendarTaken,
    DemandTaken,
    Forecast,
    ForecastReport,
    ImportCalendar,
    ImportDemand,
)
from tests.engine.operations.conftest import Asking


@pytest.fixture(scope="module")
def days(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A year of days that follow their weekday, one of them missing."""
    file = tmp_path_factory.mktemp("series") / "days.csv"
    rows = [dt.date(2024, 1, 1) + dt.timedelta(days=day) for day in range(365) if day != 30]
    file.write_text("day,jobs\n" + "".join(f"{day},{100 + 400 * (day.weekday() == 5)}\n" for day in rows))
    return file


def test_a_series_is_scored_and_what_is_missing_is_told(asking: Asking, days: Path) -> None:
    report = asking.ask(Backtest(file=str(days), time="day", value="jobs", origins=10), BacktestReport)
    assert (report.grain, report.ahead, report.origins) == ("day", "7 days", 10)
    assert report.scores[0].accuracy > 97
    assert report.warnings == ("1 day missing in the file; they count as 0",)
    assert report.refit_ms > 0


@pytest.mark.parametrize(
    ("change", "error", "says"),
    [
        ({"ahead": 0}, UsageError, "1 to 182 days ahead"),
        ({"ahead": 182}, UsageError, "too short a history"),
        ({"origins": 1}, UsageError, "2 to 1000 origins"),
        ({"country": "Atlantis"}, UsageError, "no holidays are known"),
        ({"value": "rides"}, NotFound, "no column 'rides'"),
    ],
)
def test_what_cannot_be_done_is_told(
    asking: Asking, days: Path, change: dict[str, object], error: type[Exception], says: str
) -> None:
    arguments = {"file": str(days), "time": "day", "value": "jobs", **change}
    with pytest.raises(error, match=says):
        asking.ask(Backtest(**arguments), BacktestReport)  # type: ignore[arg-type]


def test_a_file_that_is_no_text_is_told(asking: Asking, tmp_path: Path) -> None:
    (tmp_path / "odd.csv").write_bytes(b"day,jobs\n\xff\xfe,1\n")
    with pytest.raises(UsageError, match="no text in UTF-8"):
        asking.ask(Backtest(file=str(tmp_path / "odd.csv"), time="day", value="jobs"), BacktestReport)
    with pytest.raises(UsageError, match="no text in UTF-8"):
        asking.ask(ImportDemand(file=str(tmp_path / "odd.csv"), time="day"), DemandTaken)


def test_a_calendar_out_of_a_spreadsheet_is_taken_in_with_its_mark(asking: Asking, tmp_path: Path) -> None:
    tomorrow = dt.datetime.now(dt.UTC).date() + dt.timedelta(days=1)
    (tmp_path / "sheet.csv").write_text(f"name,date\nlee,{tomorrow}\n", encoding="utf-8-sig")
    assert asking.ask(ImportCalendar(file=str(tmp_path / "sheet.csv")), CalendarTaken).to_come == 1
    (tmp_path / "sheet.csv").write_text("name,date\n")  # and away again
    asking.ask(ImportCalendar(file=str(tmp_path / "sheet.csv")), CalendarTaken)


def test_history_and_calendar_become_a_forecast_that_the_autoscaler_sees(asking: Asking, tmp_path: Path) -> None:
    now = dt.datetime.now(dt.UTC).replace(minute=0, second=0, microsecond=0)
    hours = [now - dt.timedelta(hours=hour) for hour in range(24 * 130)]
    rows = (f"{hour.isoformat()},{4 + 20 * (hour.weekday() == 5)},9000000000\n" for hour in hours)
    (tmp_path / "history.csv").write_text("hour,jobs,bytes\n" + "".join(rows))
    wedding = now.date() + dt.timedelta(days=5)
    (tmp_path / "weddings.csv").write_text(f"name,date,booked_on\nlee,{wedding},{now.date()}\n")
    taken = asking.ask(ImportDemand(file=str(tmp_path / "history.csv")), DemandTaken)
    assert taken.hours >= 24 * 129
    assert asking.ask(ImportCalendar(file=str(tmp_path / "weddings.csv")), CalendarTaken).to_come == 1
    report = asking.ask(Forecast(limit=7), ForecastReport)
    assert (report.basis, report.grain, len(report.rows)) == ("calendar", "day", 7)
    saturday = next(row for row in report.rows if dt.date.fromisoformat(row.begin).weekday() == 5)
    assert saturday.jobs > 400
    assert saturday.low_95 <= saturday.jobs <= saturday.high_95
    assert {score.grain for score in report.scores} == {"hour", "day"}
    assert asking.ask(Forecast(grain="hour", limit=48), ForecastReport).rows[0].begin[:13] in {
        hour.isoformat()[:13] for hour in (now, now + dt.timedelta(hours=1))
    }
    with pytest.raises(NotFound, match="18 whole months"):
        asking.ask(Forecast(grain="month"), ForecastReport)

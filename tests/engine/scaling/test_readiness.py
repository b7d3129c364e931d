"""Go or no-go, check by check; and the days on which nothing is deleted or moved."""

from __future__ import annotations

import dataclasses
import datetime as dt
from zoneinfo import ZoneInfo

import pytest

from engine.scaling.readiness import Facts, frozen_until, readiness

SATURDAY = dt.date(2026, 6, 20)
READY = Facts(
    day=SATURDAY,
    weddings=["smith-jones", "doe-roe"],
    without_source=[],
    expected_bytes=1e12,
    need_workers=8,
    ceiling_workers=30,
    hot_free_bytes=2 * 10**12,
    copies_owed=0,
    copies_bad=0,
    drill_age_s=86_400.0,
    drill_every_s=30 * 86_400.0,
    critical_alerts=[],
)


def test_everything_ready_is_a_go() -> None:
    found = readiness(READY)
    assert (found.go, found.line) == (True, "GO. Saturday 20 June: 2 weddings, everything is ready")
    assert {check.verdict for check in found.checks} == {"ok"}


@pytest.mark.parametrize(
    ("change", "what", "verdict"),
    [
        ({"need_workers": 31}, "capacity", "stop"),
        ({"need_workers": None}, "capacity", "warning"),
        ({"expected_bytes": 3e12}, "space", "stop"),
        ({"expected_bytes": 1.9e12}, "space", "warning"),
        ({"expected_bytes": None}, "space", "warning"),
        ({"hot_free_bytes": None}, "space", "warning"),
        ({"copies_owed": 1}, "copies", "warning"),
        ({"copies_bad": 1}, "copies", "stop"),
        ({"drill_age_s": None}, "drill", "warning"),
        ({"drill_age_s": 40 * 86_400.0}, "drill", "warning"),
        ({"without_source": ["doe-roe"]}, "sources", "stop"),
        ({"critical_alerts": ["lost-doe"]}, "alerts", "stop"),
        ({"calendar_note": "the calendar is 9 days old"}, "calendar", "warning"),
    ],
)
def test_what_is_not_ready_is_named_and_what_would_lose_data_stops(
    change: dict[str, object], what: str, verdict: str
) -> None:
    found = readiness(dataclasses.replace(READY, **change))  # type: ignore[arg-type]
    assert [(check.what, check.verdict) for check in found.checks if check.verdict != "ok"] == [(what, verdict)]
    assert found.go == (verdict == "warning")
    assert found.line.startswith("GO." if found.go else "NO-GO.")
    assert found.go or what in found.line


@pytest.mark.parametrize(
    ("now", "is_frozen"),
    [
        ("2026-06-17T23:59", False),
        ("2026-06-18T00:00", True),  # 48 hours before Saturday begins
        ("2026-06-20T23:00", True),
        ("2026-06-21T05:59", True),
        ("2026-06-21T06:00", False),  # its day has ended
    ],
)
def test_the_freeze_goes_from_two_days_before_until_the_day_has_ended(now: str, is_frozen: bool) -> None:
    london = ZoneInfo("Europe/London")
    end = frozen_until(dt.datetime.fromisoformat(now).replace(tzinfo=london), {SATURDAY})
    assert end == (dt.datetime(2026, 6, 21, 6, tzinfo=london) if is_frozen else None)

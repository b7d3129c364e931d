"""Is everything ready for the weddings ahead? Checks 48 hours before, and one line: go, or no-go and why. Pure."""

from __future__ import annotations

import datetime as dt
from collections.abc import Collection, Sequence
from dataclasses import dataclass
from typing import Literal

from engine.base.units import format_bytes, format_count, format_span

AHEAD_S = 48 * 3600.0
HEADROOM = 1.2  # of what is expected, free in the hot tier
Verdict = Literal["ok", "warning", "stop"]


@dataclass(frozen=True, slots=True)
class Facts:
    """What is known of a day of weddings and of the machine."""

    day: dt.date
    weddings: Sequence[str]
    without_source: Sequence[str]  # of them, those that have no source, watch or snapshot
    expected_bytes: (
        float | None
    )  # of that day and the night after, at the quantile that is scaled for; None: no forecast
    need_workers: int | None  # at the worst hour; None: no forecast, or no rate was measured
    ceiling_workers: int
    hot_free_bytes: int | None
    copies_owed: int
    copies_bad: int  # damaged, and not healed yet
    drill_age_s: float | None  # None: never
    drill_every_s: float
    critical_alerts: Sequence[str]
    calendar_note: str = ""  # why the calendar is not to be trusted; empty when it is


@dataclass(frozen=True, slots=True)
class Check:
    """One thing looked at."""

    what: str
    verdict: Verdict
    words: str


@dataclass(frozen=True, slots=True)
class Readiness:
    """The checks and what they come to."""

    go: bool
    line: str
    checks: tuple[Check, ...]


def readiness(facts: Facts) -> Readiness:
    """Every check, and the one line."""
    checks = (
        _capacity(facts),
        _space(facts),
        _copies(facts),
        _drill(facts),
        _sources(facts),
        _alerts(facts),
        _calendar(facts),
    )
    stops = [check for check in checks if check.verdict == "stop"]
    warnings = sum(check.verdict == "warning" for check in checks)
    who = f"{facts.day:%A %d %B}: {format_count(len(facts.weddings), 'wedding')}"
    if stops:
        line = f"NO-GO. {who}. " + "; ".join(f"{check.what}: {check.words}" for check in stops)
    else:
        line = f"GO. {who}" + (f", {format_count(warnings, 'warning')}" if warnings else ", everything is ready")
    return Readiness(not stops, line, checks)


def frozen_until(local: dt.datetime, days: Collection[dt.date]) -> dt.datetime | None:
    """When the freeze that `local` lies in ends: it goes from 48 hours before one of `days` begins until it has ended,
    at 06:00 the morning after. None outside of any."""
    for ahead in range(-1, 3):
        day = local.date() + dt.timedelta(days=ahead)
        begin = dt.datetime.combine(day, dt.time(), tzinfo=local.tzinfo)
        end = begin + dt.timedelta(hours=30)
        if day in days and begin - dt.timedelta(seconds=AHEAD_S) <= local < end:
            return end
    return None


def _capacity(facts: Facts) -> Check:
    if facts.need_workers is None:
        return Check("capacity", "warning", "nothing is forecast yet, or no rate was measured")
    words = f"{format_count(facts.need_workers, 'worker')} at the worst hour, {facts.ceiling_workers} at most"
    return Check("capacity", "ok" if facts.need_workers <= facts.ceiling_workers else "stop", words)


def _space(facts: Facts) -> Check:
    if facts.expected_bytes is None:
        return Check("space", "warning", "nothing is forecast yet")
    expected = format_bytes(facts.expected_bytes)
    if facts.hot_free_bytes is None:
        return Check("space", "warning", f"{expected} are expected; what is free was not measured")
    words = f"{expected} are expected, {format_bytes(facts.hot_free_bytes)} free in hot"
    if facts.hot_free_bytes < facts.expected_bytes:
        return Check("space", "stop", words)
    return Check("space", "ok" if facts.hot_free_bytes >= facts.expected_bytes * HEADROOM else "warning", words)


def _copies(facts: Facts) -> Check:
    if facts.copies_bad:
        return Check("copies", "stop", f"{format_count(facts.copies_bad, 'damaged copy')} not healed yet")
    if facts.copies_owed:
        return Check("copies", "warning", f"{format_count(facts.copies_owed, 'copy')} on the way to a region")
    return Check("copies", "ok", "every copy is there")


def _drill(facts: Facts) -> Check:
    if facts.drill_age_s is None:
        return Check("drill", "warning", "nothing was ever restored to prove it: run drill")
    words = f"the newest is {format_span(facts.drill_age_s)} old"
    return Check("drill", "ok" if facts.drill_age_s <= facts.drill_every_s else "warning", words)


def _sources(facts: Facts) -> Check:
    if facts.without_source:
        names = ", ".join(facts.without_source[:5]) + (" and more" if len(facts.without_source) > 5 else "")
        return Check("sources", "stop", f"nothing is set to be backed up of {names}")
    return Check("sources", "ok", "each wedding has a source, a watch or a snapshot")


def _alerts(facts: Facts) -> Check:
    if facts.critical_alerts:
        return Check("alerts", "stop", f"{format_count(len(facts.critical_alerts), 'critical alert')} stand")
    return Check("alerts", "ok", "no critical alert stands")


def _calendar(facts: Facts) -> Check:
    if facts.calendar_note:
        return Check("calendar", "warning", facts.calendar_note)
    return Check("calendar", "ok", "up to date")

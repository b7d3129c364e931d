"""When a schedule runs next: cron expressions in a time zone, and plain intervals. Pure.

`0 3 * * *` is minute, hour, day of the month, month, weekday, as in Debian's cron, by the clocks of the schedule's
time zone; `every 6h` counts from when it was made. Where clocks are put forward, a time that does not exist runs
right after the gap; where they are put back, a time of day runs once, and an expression with `*` for the hour each
hour that passes. What was due while no engine ran is caught up once, however often it was due.
"""

from __future__ import annotations

import datetime as dt

import cronsim
import msgspec

from engine.base.units import parse_span
from engine.jobs.priority import zone_of

INTERVAL_S_MIN = 60.0
LATE_NS = 90 * 10**9  # a run that begins later than this after its time is one that was caught up
_EXAMPLE = 'write "0 3 * * *" (minute hour day month weekday) or "every 6h"'


class When(msgspec.Struct, frozen=True):
    """A parsed time: a cron expression, or an interval in nanoseconds."""

    expression: str = ""
    every_ns: int = 0


def parse_when(text: str) -> When:
    """What a person wrote. Raises ValueError with a sentence."""
    words = text.lower().split()
    if words[:1] == ["every"]:
        seconds = parse_span(" ".join(words[1:]))
        if seconds < INTERVAL_S_MIN:
            raise ValueError(f"{text!r} is too often; every 1m is the most")
        return When(every_ns=round(seconds * 1e9))
    expression = " ".join(words)
    if len(words) != 5:
        raise ValueError(f"{text!r} is no schedule; {_EXAMPLE}")
    try:
        next(cronsim.CronSim(expression, dt.datetime(2026, 1, 1, tzinfo=dt.UTC)))
    except cronsim.CronSimError as error:
        raise ValueError(f"{text!r} is no schedule: {str(error).lower()}; {_EXAMPLE}") from None
    except StopIteration:
        raise ValueError(f"{text!r} never comes; {_EXAMPLE}") from None
    return When(expression)


def next_ns(when: When, timezone: str, *, after_ns: int, anchor_ns: int) -> int | None:
    """The first time after `after_ns`; an interval counts from `anchor_ns`. None: it never comes (again)."""
    if when.every_ns:
        passed = max(0, after_ns - anchor_ns) // when.every_ns
        return anchor_ns + (passed + 1) * when.every_ns
    every_hour = when.expression.split()[1].startswith("*")
    start = dt.datetime.fromtimestamp(after_ns // 10**9, tz=zone_of(timezone))
    # By the wall clock the search may begin in the second pass of a repeated hour: what it finds before is skipped.
    for found in cronsim.CronSim(when.expression, start):
        moment_ns = int(found.timestamp()) * 10**9
        if moment_ns > after_ns and (every_hour or not found.fold):
            return moment_ns
    return None


def is_caught_up(due_ns: int, now_ns: int) -> bool:
    """Whether a run that begins now was due while nothing could run it."""
    return now_ns - due_ns > LATE_NS

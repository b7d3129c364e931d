"""The class of a wedding, from its date and the venue's time zone. Pure.

A wedding's day ends at 06:00 the morning after, local time: what the last dance gives is still today's.
Nothing is stored; the class is worked out from the register each time, so a moved date counts at once.
"""

from __future__ import annotations

import datetime as dt
import functools
import zoneinfo

from engine.contract.weddings import PriorityClass, Wedding

DAY_ENDS_HOUR = 6


def zone_problem(name: str) -> str:
    """Why `name` is no time zone, as a sentence; empty when it is one."""
    try:
        _zone(name)
    except (zoneinfo.ZoneInfoNotFoundError, ValueError, OSError):
        return f"{name!r} is not a time zone"
    return ""


def zone_of(name: str) -> dt.tzinfo:
    """A time zone; one that this machine does not know counts as UTC."""
    try:
        return _zone(name)
    except (zoneinfo.ZoneInfoNotFoundError, ValueError, OSError):
        return dt.UTC


def local_time(timezone: str, now_ns: int) -> dt.datetime:
    """What clocks show in a time zone at `now_ns`."""
    return dt.datetime.fromtimestamp(now_ns // 10**9, tz=zone_of(timezone))


def local_day(timezone: str, now_ns: int) -> dt.date:
    """The day it is at a venue, which ends at 06:00. A zone this machine does not know counts as UTC."""
    moment = local_time(timezone, now_ns)
    return moment.date() - dt.timedelta(days=1) if moment.hour < DAY_ENDS_HOUR else moment.date()


def class_on(date: dt.date, today: dt.date) -> PriorityClass:
    """same-day for a wedding of today, next-day for one of the day after, standard for every other."""
    ahead_days = (date - today).days
    if ahead_days == 0:
        return "same-day"
    return "next-day" if ahead_days == 1 else "standard"


def class_of(wedding: Wedding, now_ns: int) -> PriorityClass:
    """The class of `wedding` at `now_ns` (nanoseconds since 1970)."""
    return class_on(wedding.date, local_day(wedding.timezone, now_ns))


@functools.lru_cache(maxsize=1024)
def _zone(name: str) -> zoneinfo.ZoneInfo:
    return zoneinfo.ZoneInfo(name)

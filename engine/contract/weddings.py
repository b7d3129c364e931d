"""A wedding as people know it: the unit of isolation, of placement and of rights; and the classes of work for it."""

from __future__ import annotations

import datetime as dt
import re
from typing import Literal

import msgspec

PriorityClass = Literal["same-day", "next-day", "standard"]
PRIORITY_CLASSES: tuple[PriorityClass, ...] = ("same-day", "next-day", "standard")
JobClass = Literal["same-day", "retrieval", "next-day", "standard"]  # a retrieval's is its own, whatever the date
JOB_CLASSES: tuple[JobClass, ...] = ("same-day", "retrieval", "next-day", "standard")  # the highest first

_NAME = re.compile(r"[a-z0-9][a-z0-9._-]{0,62}")


class Hold(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True, rename="camel"):
    """Why something may not be deleted: one snapshot of a wedding, or, without one, all of them."""

    snapshot: str = ""  # its whole id
    reason: str
    since_ns: int


class Wedding(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True, rename="camel"):
    """One wedding of the register. `id` is what stores see; `name` and the rest are sealed."""

    id: str  # 32 hex digits
    name: str
    date: dt.date
    timezone: str = "UTC"
    venue: str = ""
    latitude: float | None = None
    longitude: float | None = None
    archived: bool = False
    regions: tuple[str, ...] = ()  # that it may lie in; none: any
    created_ns: int = 0
    holds: tuple[Hold, ...] = ()  # by snapshot, the one of the whole wedding first

    def held(self, snapshot: str = "") -> str:
        """Why this snapshot, or else the wedding, is held; empty when it is not."""
        return next((hold.reason for hold in self.holds if hold.snapshot in ("", snapshot)), "")


def wedding_name_problem(name: str) -> str:
    """Why `name` cannot name a wedding, as a sentence; empty when it can."""
    if _NAME.fullmatch(name):
        return ""
    return f"{name!r} cannot name a wedding; use up to 63 of a-z, 0-9, dot, dash and underscore, as smith-jones"

"""A wedding that is booked, and one that is over: what calendar, demand and profiles know of them. Pure."""

from __future__ import annotations

import datetime as dt
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import NamedTuple

import msgspec

DEMAND_HOURS = 15 * 24  # of a wedding's demand: its day and two weeks; what comes later is no part of a curve
UNKNOWN_LEAD_DAYS = 14  # a booking that does not say since when it stands counts only so long before its day


class Amount(NamedTuple):
    """Jobs and bytes."""

    jobs: float
    size_bytes: float


@dataclass(frozen=True, slots=True)
class Traits:
    """What is known of a wedding beforehand; 0 and empty where it is not."""

    guests: int = 0
    photographers: int = 0
    package: str = ""


class Booking(msgspec.Struct, frozen=True, kw_only=True):
    """A wedding that the calendar knows. `booked_on` None: not said."""

    uid: str
    name: str
    date: dt.date
    timezone: str = ""  # empty: that of the platform
    guests: int = 0
    photographers: int = 0
    package: str = ""
    booked_on: dt.date | None = None
    cancelled_on: dt.date | None = None

    @property
    def traits(self) -> Traits:
        """What its profile is chosen by."""
        return Traits(self.guests, self.photographers, self.package)

    def is_known(self, on: dt.date) -> bool:
        """Whether the calendar of that day had it."""
        since = self.booked_on or self.date - dt.timedelta(days=UNKNOWN_LEAD_DAYS)
        return since <= on and (self.cancelled_on is None or on < self.cancelled_on)


@dataclass(frozen=True, slots=True)
class Held:
    """A wedding that is over: what it asked for in each hour since its day began."""

    traits: Traits
    jobs: Mapping[int, float] = field(default_factory=dict)
    size_bytes: Mapping[int, float] = field(default_factory=dict)


def merged(sources: Iterable[Sequence[Booking]]) -> list[Booking]:
    """Bookings of several sources, one a name and day: the one that stands the longest, with the traits that it has."""
    found: dict[tuple[str, dt.date], Booking] = {}
    for booking in (each for source in sources for each in source):
        key = booking.name.casefold(), booking.date
        other = found.get(key)
        if other is None or (booking.booked_on or dt.date.max) < (other.booked_on or dt.date.max):
            found[key] = booking
    return list(found.values())

"""Rate limits with times of the week: what a person wrote, and what it means at a moment. Pure.

`50MB/s`, `mon..fri 08:00-18:00 50MB/s`, `sat,sun 20MB/s`, `22:00-06:00 unlimited`; several stand in one text
with `;` between them. At any moment, of those that fit the smallest rate holds; without one there is no limit.
`unlimited` takes away what fits the same moment without naming a time. Times are those of one time zone, by its
wall clock: in the hour that a change of the clocks repeats, the limit of that hour holds twice.
"""

from __future__ import annotations

import datetime as dt
import re

import msgspec

from engine.base.units import parse_bytes

DAYS = ("mon", "tue", "wed", "thu", "fri", "sat", "sun")
_ALL_DAYS = frozenset(range(7))
_DAY_MINUTES = 24 * 60
_SPAN = re.compile(r"([0-2]?[0-9]):([0-5][0-9])-([0-2]?[0-9]):([0-5][0-9])")
_EXAMPLE = "write it like mon..fri 08:00-18:00 50MB/s"


class Window(msgspec.Struct, frozen=True):
    """One limit. Minutes are of the local day; `end` before `begin` reaches into the day after."""

    days: frozenset[int]  # 0 is Monday; the day on which it begins
    begin_minute: int
    end_minute: int
    bytes_per_s: float | None  # None: unlimited
    is_timed: bool

    def holds(self, local: dt.datetime) -> bool:
        """Whether it holds at a local moment."""
        minute = local.hour * 60 + local.minute
        today = local.weekday()
        if self.begin_minute < self.end_minute:
            return today in self.days and self.begin_minute <= minute < self.end_minute
        if minute >= self.begin_minute:
            return today in self.days
        return minute < self.end_minute and (today - 1) % 7 in self.days


def parse_windows(text: str) -> tuple[Window, ...]:
    """The limits written in `text`; none for an empty one. Raises ValueError with a sentence."""
    parts = [part.strip() for part in text.split(";")]
    return tuple(_window(part) for part in parts if part)


def limit_at(windows: tuple[Window, ...], local: dt.datetime) -> float | None:
    """Bytes a second that hold at a local moment; None: no limit."""
    fitting = [window for window in windows if window.holds(local)]
    if any(window.bytes_per_s is None for window in fitting):
        fitting = [window for window in fitting if window.is_timed]
    return min((window.bytes_per_s for window in fitting if window.bytes_per_s is not None), default=None)


def _window(text: str) -> Window:
    words = text.lower().split()
    rate = words.pop() if words else ""
    if words and rate in ("/s", "mb/s", "kb/s", "gb/s", "mib/s", "gib/s", "kib/s"):
        rate = words.pop() + rate  # "50 MB/s"
    bytes_per_s = _rate(rate, text)
    days, span = _ALL_DAYS, (0, _DAY_MINUTES)
    is_timed = bool(words)
    for word in words:
        match = _SPAN.fullmatch(word)
        if match:
            span = _minutes(match, text)
        else:
            days = _days(word, text)
    return Window(days, span[0], span[1], bytes_per_s, is_timed)


def _rate(word: str, text: str) -> float | None:
    if word == "unlimited":
        return None
    if not word.endswith("/s"):
        raise ValueError(f"{text!r} has no rate at its end; {_EXAMPLE}")
    try:
        rate = parse_bytes(word.removesuffix("/s"))
    except ValueError:
        raise ValueError(f"{word!r} is not a rate; {_EXAMPLE}") from None
    if rate <= 0:
        raise ValueError(f"{word!r} would stop everything; pause the jobs instead")
    return float(rate)


def _minutes(match: re.Match[str], text: str) -> tuple[int, int]:
    begin = int(match.group(1)) * 60 + int(match.group(2))
    end = int(match.group(3)) * 60 + int(match.group(4))
    if max(begin, end) > _DAY_MINUTES or begin in (end, _DAY_MINUTES):
        raise ValueError(f"{match.group()!r} is not a span of a day; {_EXAMPLE}")
    return begin, end


def _days(word: str, text: str) -> frozenset[int]:
    found: set[int] = set()
    for part in word.split(","):
        first, dots, last = part.partition("..")
        if first not in DAYS or (dots and last not in DAYS):
            raise ValueError(f"{part!r} in {text!r} is no day of the week; {_EXAMPLE}")
        begin = DAYS.index(first)
        length = (DAYS.index(last) - begin) % 7 if dots else 0
        found.update((begin + step) % 7 for step in range(length + 1))
    return frozenset(found)

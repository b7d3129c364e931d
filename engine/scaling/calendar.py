"""The wedding calendar: iCalendar and CSV → bookings. Pure.

In: the text of a feed. Out: bookings, and words about what could not be read. Of RFC 5545 it reads what a calendar of
weddings uses: folded lines, VEVENT, UID, SUMMARY, DTSTART, STATUS, CREATED, LAST-MODIFIED; guests, photographers and
package from X-GUESTS, X-PHOTOGRAPHERS, X-PACKAGE, or from lines as `Guests: 120` in the DESCRIPTION. Any thread.
"""

from __future__ import annotations

import csv
import datetime as dt
import re
from collections.abc import Iterator, Sequence
from zoneinfo import ZoneInfo

from engine.base.errors import UsageError
from engine.scaling.bookings import Booking

BOOKINGS_MAX = 200_000
_GUESTS_MAX = 100_000
_TRAIT = re.compile(r"^\s*(guests|photographers|package)\s*[:=]\s*(.+?)\s*$", re.IGNORECASE | re.MULTILINE)
_CANCELLED = frozenset({"cancelled", "canceled"})


def read_calendar(text: str) -> tuple[list[Booking], list[str]]:
    """The bookings of a feed, iCalendar or CSV, and what of it could not be read. Raises UsageError."""
    is_calendar = text.lstrip("\ufeff \r\n\t")[:15].upper() == "BEGIN:VCALENDAR"
    return _from_ics(text) if is_calendar else _from_csv(text.lstrip("\ufeff").splitlines())


# --- iCalendar ----------------------------------------------------------------------------------------


def _from_ics(text: str) -> tuple[list[Booking], list[str]]:
    bookings: list[Booking] = []
    problems: list[str] = []
    for number, event in enumerate(_events(text), 1):
        if number > BOOKINGS_MAX:
            raise UsageError(f"the calendar has more than {BOOKINGS_MAX:,} entries")
        try:
            bookings.append(_of_event(event))
        except (KeyError, ValueError) as error:
            name = event.get("SUMMARY", ("", ""))[1] or event.get("UID", ("", ""))[1]
            problems.append(f"entry {number} {name!r}: {_words_of(error)}")
    return bookings, problems


def _events(text: str) -> Iterator[dict[str, tuple[str, str]]]:
    """Of each VEVENT its properties: name → parameters and value; of several with one name the first."""
    event: dict[str, tuple[str, str]] | None = None
    depth = 0  # of what lies in the event: an alarm has a description of its own
    for line in re.sub(r"\r?\n[ \t]", "", text).splitlines():
        head, _, value = line.partition(":")
        while head.count('"') % 2:  # a colon within quotes is part of a parameter
            more, _, value = value.partition(":")
            head += f":{more}"
        name, _, parameters = head.upper().partition(";")
        if name == "BEGIN":
            if value.strip().upper() == "VEVENT" and event is None:
                event, depth = {}, 0
            else:
                depth += 1
        elif name == "END":
            if event is not None and depth == 0:
                yield event
                event = None
            depth = max(0, depth - 1)
        elif event is not None and depth == 0:
            event.setdefault(name, (head.partition(";")[2] if parameters else "", value))


def _of_event(event: dict[str, tuple[str, str]]) -> Booking:
    parameters, start = event["DTSTART"]
    day, zone = _start(parameters, start.strip())
    described = {key.lower(): value for key, value in _TRAIT.findall(_unescaped(event.get("DESCRIPTION", ("", ""))[1]))}
    own = {
        key: _unescaped(event.get(f"X-{key.upper()}", ("", ""))[1]) for key in ("guests", "photographers", "package")
    }
    traits = {key: value or described.get(key, "") for key, value in own.items()}
    name = _unescaped(event.get("SUMMARY", ("", ""))[1]).strip()
    is_off = event.get("STATUS", ("", ""))[1].strip().lower() in _CANCELLED
    changed = event.get("LAST-MODIFIED", event.get("DTSTAMP", ("", "")))[1]
    booked = _day(event["CREATED"][1]) if "CREATED" in event else None
    return Booking(
        uid=event.get("UID", ("", ""))[1].strip() or f"{name}/{day}",
        name=name,
        date=day,
        timezone=zone,
        guests=_count(traits["guests"]),
        photographers=_count(traits["photographers"]),
        package=traits["package"].strip()[:60],
        booked_on=booked,
        cancelled_on=(_day(changed) if changed else booked or day) if is_off else None,
    )


def _start(parameters: str, value: str) -> tuple[dt.date, str]:
    """The day, and the zone it is told in; a moment in UTC is of the day it is there."""
    zone = next((each[5:].strip('"') for each in parameters.split(";") if each.upper().startswith("TZID=")), "")
    if value.endswith("Z"):
        zone = "UTC"
    return _day(value), zone if zone and _is_zone(zone) else ""


def _day(value: str) -> dt.date:
    digits = value.strip()[:8]
    if not (len(digits) == 8 and digits.isdecimal()):
        raise ValueError(f"{value.strip()!r} is no date")
    return dt.date(int(digits[:4]), int(digits[4:6]), int(digits[6:]))


def _unescaped(value: str) -> str:
    return re.sub(r"\\(.)", lambda match: "\n" if match[1] in "nN" else match[1], value)


# --- CSV ----------------------------------------------------------------------------------------------


def _from_csv(lines: Sequence[str]) -> tuple[list[Booking], list[str]]:
    """Columns `name` and `date`; where they are there, all others of `Booking` by their names."""
    reader = csv.DictReader(lines)
    heading = [each.strip().lower() for each in reader.fieldnames or []]
    if not {"name", "date"} <= set(heading):
        raise UsageError(
            "it is no iCalendar, and as CSV it lacks a column",
            "columns: name, date; optional: uid, timezone, guests, photographers, package, booked_on, cancelled_on",
        )
    reader.fieldnames = heading
    bookings: list[Booking] = []
    problems: list[str] = []
    try:
        for row in reader:
            if len(bookings) >= BOOKINGS_MAX:
                raise UsageError(f"the calendar has more than {BOOKINGS_MAX:,} entries")
            try:
                bookings.append(_of_row({key: (row.get(key) or "").strip() for key in heading}))
            except ValueError as error:
                problems.append(f"line {reader.line_num}: {error}")
    except csv.Error as error:
        raise UsageError(
            f"line {reader.line_num}: {error}", "the file has to be iCalendar, or CSV with a heading"
        ) from None
    return bookings, problems


def _of_row(row: dict[str, str]) -> Booking:
    day = dt.date.fromisoformat(row["date"])
    zone = row.get("timezone", "")
    if zone and not _is_zone(zone):
        raise ValueError(f"{zone!r} is no time zone")
    booked, cancelled = (row.get(key, "") for key in ("booked_on", "cancelled_on"))
    return Booking(
        uid=row.get("uid") or f"{row['name']}/{day}",
        name=row["name"],
        date=day,
        timezone=zone,
        guests=_count(row.get("guests", "")),
        photographers=_count(row.get("photographers", "")),
        package=row.get("package", "")[:60],
        booked_on=dt.date.fromisoformat(booked) if booked else None,
        cancelled_on=dt.date.fromisoformat(cancelled) if cancelled else None,
    )


def _count(text: str) -> int:
    text = text.strip()
    if not text:
        return 0
    if not text.isdecimal() or int(text) > _GUESTS_MAX:
        raise ValueError(f"{text!r} is no number of people")
    return int(text)


def _is_zone(name: str) -> bool:
    try:
        ZoneInfo(name)
    except (ValueError, OSError, ModuleNotFoundError):
        return False
    return True


def _words_of(error: Exception) -> str:
    return "it has no DTSTART" if isinstance(error, KeyError) else str(error)

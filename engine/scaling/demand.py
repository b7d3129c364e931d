"""What was asked for: jobs and bytes by hour and class, by wedding, and the bookings, in SQLite in the home.

In: jobs that ended, rows of a file, bookings of a feed. Out: two years of hours, weddings that are over, the calendar.
Bounded: hours older than two years go, and of weddings the newest are kept. One thread at a time.
"""

from __future__ import annotations

import datetime as dt
import os
import sqlite3
from collections.abc import Mapping, Sequence
from contextlib import suppress
from pathlib import Path

import msgspec

from engine.base.errors import LimitReached, NotPermitted, Unavailable, WedSyncError
from engine.base.shapes import from_json
from engine.contract.weddings import JobClass
from engine.scaling.bookings import DEMAND_HOURS, Amount, Booking, Held
from engine.scaling.gathered import Gathered

KEPT_HOURS = 800 * 24  # two years and what makes 24 whole months of them
WEDDINGS_KEPT = 5_000
BOOKINGS_KEPT_DAYS = 800

_SCHEMA = """
CREATE TABLE IF NOT EXISTS hours (
    hour INTEGER, class TEXT, jobs REAL NOT NULL, bytes REAL NOT NULL, PRIMARY KEY (hour, class)) WITHOUT ROWID;
CREATE TABLE IF NOT EXISTS weddings (
    wedding TEXT, hour INTEGER, jobs REAL NOT NULL, bytes REAL NOT NULL, PRIMARY KEY (wedding, hour)) WITHOUT ROWID;
CREATE TABLE IF NOT EXISTS bookings (
    uid TEXT PRIMARY KEY, source TEXT NOT NULL, day TEXT NOT NULL, body BLOB NOT NULL) WITHOUT ROWID;
CREATE TABLE IF NOT EXISTS facts (name TEXT PRIMARY KEY, value TEXT NOT NULL) WITHOUT ROWID;
"""
_ADD_HOUR = """
INSERT INTO hours VALUES (?, ?, ?, ?)
ON CONFLICT DO UPDATE SET jobs = jobs + excluded.jobs, bytes = bytes + excluded.bytes
"""
_ADD_WEDDING = """
INSERT INTO weddings VALUES (?, ?, ?, ?)
ON CONFLICT DO UPDATE SET jobs = jobs + excluded.jobs, bytes = bytes + excluded.bytes
"""
_TRIM_WEDDINGS = """
DELETE FROM weddings WHERE wedding IN
(SELECT wedding FROM weddings GROUP BY wedding ORDER BY max(hour) DESC LIMIT -1 OFFSET ?)
"""


class Demand:
    """The database. Blocks; one thread at a time."""

    def __init__(self, path: Path | None) -> None:
        """Open or make it; None: in memory. One that is damaged is set aside. Raises NotPermitted, LimitReached,
        Unavailable."""
        self._path = path
        self._connection = _opened(path)

    def add(self, gathered: Gathered) -> None:
        """Write down what ended, and let go of what is too old."""
        with self._writing() as connection:
            connection.executemany(_ADD_HOUR, ((*key, *amount) for key, amount in gathered.hours.items()))
            connection.executemany(_ADD_WEDDING, ((*key, *amount) for key, amount in gathered.weddings.items()))
            (newest,) = connection.execute("SELECT max(hour) FROM hours").fetchone()
            connection.execute("DELETE FROM hours WHERE hour < ?", ((newest or 0) - KEPT_HOURS,))
            connection.execute(_TRIM_WEDDINGS, (WEDDINGS_KEPT,))

    def replace_hours(self, hours: Mapping[int, Amount], priority: JobClass) -> None:
        """History from elsewhere: in place of what stands for these hours since 1970 in this class."""
        with self._writing() as connection:
            rows = ((hour, priority, *amount) for hour, amount in hours.items())
            connection.executemany("INSERT OR REPLACE INTO hours VALUES (?, ?, ?, ?)", rows)

    def hours(self) -> dict[int, Amount]:
        """Jobs and bytes of all classes by hour since 1970."""
        rows = self._connection.execute("SELECT hour, sum(jobs), sum(bytes) FROM hours GROUP BY hour ORDER BY hour")
        return {hour: Amount(jobs, size) for hour, jobs, size in rows}

    def held(self, known: Mapping[str, tuple[int, Booking]], before_hour: int) -> list[Held]:
        """Of the weddings in `known` (id → hour since 1970 its day began with, its booking): those that are over."""
        by_wedding: dict[str, tuple[dict[int, float], dict[int, float]]] = {}
        for wedding, hour, jobs, size in self._connection.execute("SELECT * FROM weddings"):
            if wedding in known and known[wedding][0] + DEMAND_HOURS <= before_hour:
                found = by_wedding.setdefault(wedding, ({}, {}))
                found[0][hour - known[wedding][0]] = jobs
                found[1][hour - known[wedding][0]] = size
        return [Held(known[wedding][1].traits, *found) for wedding, found in by_wedding.items()]

    def take_bookings(self, source: str, bookings: Sequence[Booking], today: dt.date) -> None:
        """What a feed says now. One that is new and does not say since when is booked today, unless the feed is new
        too; one that is gone, and whose day has not come, was cancelled today."""
        before = {booking.uid: booking for booking in self.bookings(source)}
        is_new = not before
        rows = []
        for booking in bookings:
            was = before.pop(booking.uid, None)
            if booking.booked_on is None and not is_new:
                since = was.booked_on if was is not None else min(today, booking.date)
                booking = msgspec.structs.replace(booking, booked_on=since)
            rows.append(booking)
        gone = (each for each in before.values() if each.cancelled_on is None and each.date >= today)
        rows += [msgspec.structs.replace(each, cancelled_on=today) for each in gone]
        oldest = (today - dt.timedelta(days=BOOKINGS_KEPT_DAYS)).isoformat()
        with self._writing() as connection:
            connection.executemany(
                "INSERT OR REPLACE INTO bookings VALUES (?, ?, ?, ?)",
                ((f"{source}\n{each.uid}", source, each.date.isoformat(), msgspec.json.encode(each)) for each in rows),
            )
            connection.execute("DELETE FROM bookings WHERE day < ?", (oldest,))

    def bookings(self, source: str) -> list[Booking]:
        """What a feed has said, with what is gone from it."""
        rows = self._connection.execute("SELECT body FROM bookings WHERE source = ? ORDER BY day, uid", (source,))
        return [from_json(body, Booking) for (body,) in rows]

    def fact(self, name: str) -> str:
        """A remembered word; empty if there is none."""
        row = self._connection.execute("SELECT value FROM facts WHERE name = ?", (name,)).fetchone()
        return str(row[0]) if row else ""

    def facts(self, prefix: str) -> dict[str, str]:
        """Remembered words whose names begin so."""
        rows = self._connection.execute(
            "SELECT name, value FROM facts WHERE substr(name, 1, ?) = ?", (len(prefix), prefix)
        )
        return dict(rows.fetchall())

    def remember(self, name: str, value: str) -> None:
        """Remember a word."""
        with self._writing() as connection:
            connection.execute("INSERT OR REPLACE INTO facts VALUES (?, ?)", (name, value))

    def close(self) -> None:
        """Let go; also twice."""
        self._connection.close()

    def _writing(self) -> _Transaction:
        return _Transaction(self._connection, self._path)


class _Transaction:
    """All of it or nothing; what SQLite refuses becomes a line for people."""

    def __init__(self, connection: sqlite3.Connection, path: Path | None) -> None:
        self._connection, self._path = connection, path

    def __enter__(self) -> sqlite3.Connection:
        try:
            self._connection.execute("BEGIN IMMEDIATE")
        except sqlite3.Error as error:
            raise _explained(error, self._path) from None
        return self._connection

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, _: object) -> None:
        try:
            self._connection.execute("COMMIT" if error is None else "ROLLBACK")
        except sqlite3.Error as again:
            with suppress(sqlite3.Error):
                self._connection.execute("ROLLBACK")
            error = error or again
        if isinstance(error, sqlite3.Error):
            raise _explained(error, self._path) from None


def _opened(path: Path | None) -> sqlite3.Connection:
    try:
        return _connected(path)
    except sqlite3.DatabaseError as error:
        if path is None or not any(words in str(error) for words in ("malformed", "not a database")):
            raise _explained(error, path) from None
    os.replace(path, path.with_name(f"{path.name}.damaged"))  # statistics: begun anew, the old ones are kept aside
    for suffix in ("-wal", "-shm"):
        path.with_name(path.name + suffix).unlink(missing_ok=True)
    try:
        return _connected(path)
    except sqlite3.Error as error:
        raise _explained(error, path) from None


def _connected(path: Path | None) -> sqlite3.Connection:
    """Raises sqlite3.Error, NotPermitted, LimitReached."""
    try:
        if path is not None:
            os.close(os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600))
    except PermissionError as error:
        raise NotPermitted(f"the demand history {path} cannot be used: {error.strerror}") from None
    except OSError as error:
        raise LimitReached(f"the demand history {path} cannot be made: {error.strerror}") from None
    connection = sqlite3.connect(path or ":memory:", isolation_level=None, check_same_thread=False)
    try:
        for pragma in ("busy_timeout = 2000", "journal_mode = WAL", "synchronous = NORMAL"):  # a minute may be lost
            connection.execute(f"PRAGMA {pragma}")
        connection.executescript(_SCHEMA)
    except BaseException:
        connection.close()
        raise
    return connection


def _explained(error: sqlite3.Error, path: Path | None) -> WedSyncError:
    words = str(error)
    if "disk is full" in words:
        return LimitReached(f"there is no room for the demand history {path}", "make room there")
    if "readonly" in words:
        return NotPermitted(f"the demand history {path} cannot be written")
    return Unavailable(f"the demand history {path} cannot be used: {words}")

"""What regions are owed: the copies and deletions that they missed, in SQLite in the home (`healing.db`).

What is about to be written to several regions is written down before it is acknowledged, and struck out as each of them
has it; so a region that failed, or a process that died halfway, leaves behind exactly what is still to be done. Adding
is durable when it returns, in groups (WAL, synchronous=FULL); striking out is not waited for, since doing a thing twice
does no harm. Any thread but an event loop's.
"""

from __future__ import annotations

import sqlite3
import threading
from collections.abc import Collection, Iterable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Literal

import msgspec

from engine.base.errors import WedSyncError
from engine.storage.database import Database

Debt = Literal["copy", "delete"]
STRUCK_OUT_MAX = 512  # gathered before they are written
_SCHEMA = """
CREATE TABLE IF NOT EXISTS owed (
    region TEXT NOT NULL, name TEXT NOT NULL, debt TEXT NOT NULL, since INTEGER NOT NULL, PRIMARY KEY (region, name)
) WITHOUT ROWID;
CREATE INDEX IF NOT EXISTS owed_oldest ON owed (region, since);
CREATE INDEX IF NOT EXISTS owed_names ON owed (name);
"""
_QUEUE = Database(
    "healing queue", "it is begun anew, and the regions are compared", _SCHEMA, "FULL", cache_bytes=2 * 1024 * 1024
)
_ADD = (
    "INSERT INTO owed VALUES (?, ?, ?, ?) "
    "ON CONFLICT (region, name) DO UPDATE SET debt = excluded.debt, since = min(since, excluded.since)"
)
_STRIKE = "DELETE FROM owed WHERE region = ? AND name = ? AND debt = ?"


class Owed(msgspec.Struct, frozen=True):
    """One thing that one region is owed."""

    region: str
    name: str
    debt: Debt
    since_ns: int


class Backlog(msgspec.Struct, frozen=True):
    """How much a region is owed, and since when."""

    count: int = 0
    oldest_ns: int = 0


class HealQueue:
    """The list of debts. What is on its way in this process counts as none yet."""

    def __init__(self, path: Path | None) -> None:
        """Open or make it; a damaged one is put aside: comparing the regions finds again what stood in it.

        None: in memory. Raises NotPermitted, LimitReached, Unavailable.
        """
        self._path = path
        self._connection = _QUEUE.opened(path)
        self._use = threading.Lock()  # of the connection
        self._changed = threading.Condition()
        self._batch = _Batch()  # with all below, guarded by `_changed`
        self._is_writing = False
        self._on_the_way: set[tuple[str, str]] = set()

    def owe(self, name: str, regions: Iterable[str], debt: Debt, now_ns: int, *, on_the_way: bool = True) -> None:
        """Write down that `regions` are owed; durable when this returns. A later debt takes the place of an earlier.

        `on_the_way`: the caller is about to do it, and says `paid` or `missed` of each. Raises LimitReached,
        Unavailable.
        """
        rows = [(_ADD, (region, name, debt, now_ns)) for region in regions]
        with self._changed:
            if on_the_way:
                self._on_the_way.update((str(values[0]), name) for _, values in rows)
            batch = self._batch
            batch.statements += rows
        self._await(batch)
        if batch.error is not None:
            with self._changed:
                self._on_the_way.difference_update((str(values[0]), name) for _, values in rows)
            raise type(batch.error)(batch.error.message, batch.error.hint)

    def paid(self, name: str, region: str, debt: Debt) -> None:
        """A region has what it was owed; what it came to be owed meanwhile stays."""
        with self._changed:
            self._on_the_way.discard((region, name))
            self._changed.notify_all()
            batch = self._batch
            batch.statements.append((_STRIKE, (region, name, debt)))
        if len(batch.statements) >= STRUCK_OUT_MAX:
            self._await(batch)

    def missed(self, name: str, region: str) -> None:
        """A region did not get it: it is to be healed."""
        with self._changed:
            self._on_the_way.discard((region, name))
            self._changed.notify_all()

    def still_on_the_way(self, name: str, regions: Collection[str], wait_s: float) -> set[str]:
        """Those of `regions` that an object is still being written to, after waiting so long for the last."""

        def left() -> set[str]:
            return {region for region in regions if (region, name) in self._on_the_way}

        with self._changed:
            self._changed.wait_for(lambda: not left(), wait_s)
            return left()

    def is_quiet(self, wait_s: float) -> bool:
        """Whether nothing is on its way any more, after waiting so long for that."""
        with self._changed:
            return self._changed.wait_for(lambda: not self._on_the_way, wait_s)

    def next(self, region: str, n: int, *, skip: Collection[str] = ()) -> list[Owed]:
        """Up to `n` debts to a region, the oldest first, without those that are on their way or to be skipped."""
        self._strike_out()
        with self._changed:
            passed = {name for at, name in self._on_the_way if at == region}.union(skip)
        with self._reading() as connection:
            sql = "SELECT name, debt, since FROM owed WHERE region = ? ORDER BY since, name LIMIT ?"
            rows = connection.execute(sql, (region, n + len(passed))).fetchall()
        return [Owed(region, name, debt, since) for name, debt, since in rows if name not in passed][:n]

    def of(self, name: str) -> dict[str, Debt]:
        """What regions are owed of one object, also what is on its way."""
        self._strike_out()
        with self._reading() as connection:
            return dict(connection.execute("SELECT region, debt FROM owed WHERE name = ?", (name,)).fetchall())

    def owes_deletion(self, name: str) -> bool:
        """Whether any region is owed a deletion of an object; what was paid just now may still count."""
        with self._reading() as connection:
            sql = "SELECT 1 FROM owed WHERE name = ? AND debt = 'delete'"
            return connection.execute(sql, (name,)).fetchone() is not None

    def backlog(self) -> dict[str, Backlog]:
        """By region, those that are owed something."""
        self._strike_out()
        with self._changed:
            busy = set(self._on_the_way)
        with self._reading() as connection:
            rows = connection.execute("SELECT region, count(*), min(since) FROM owed GROUP BY region").fetchall()
            for region, name in busy:
                found = connection.execute(
                    "SELECT 1 FROM owed WHERE region = ? AND name = ?", (region, name)
                ).fetchone()
                rows += [(region, -1, 0)] if found else []
        counts: dict[str, int] = {}
        oldest: dict[str, int] = {}
        for region, count, since in rows:
            counts[region] = counts.get(region, 0) + count
            oldest[region] = max(oldest.get(region, 0), since)
        return {region: Backlog(count, oldest[region]) for region, count in counts.items() if count > 0}

    def of_weddings(self) -> dict[str, Backlog]:
        """What is owed of the objects of each wedding, in whatever region, also what is on its way."""
        self._strike_out()
        sql = (
            "SELECT substr(name, 10, 32), count(*), min(since) FROM owed "
            "WHERE name >= 'weddings/' AND name < 'weddings0' GROUP BY substr(name, 1, 41)"
        )
        with self._reading() as connection:
            return {wedding: Backlog(count, since) for wedding, count, since in connection.execute(sql).fetchall()}

    def of_wedding(self, wedding_id: str) -> dict[str, int]:
        """How many objects of a wedding each region is owed, also what is on its way."""
        self._strike_out()
        sql = "SELECT region, count(*) FROM owed WHERE name >= ? AND name < ? GROUP BY region"
        prefix = f"weddings/{wedding_id}"
        with self._reading() as connection:
            return dict(connection.execute(sql, (f"{prefix}/", f"{prefix}0")).fetchall())

    def close(self) -> None:
        """Write what was struck out, then let go; also twice."""
        with suppress(WedSyncError, sqlite3.Error):
            self._strike_out()
        with self._use:
            self._connection.close()

    def _strike_out(self) -> None:
        with self._changed:
            batch = self._batch
        if batch.statements:
            self._await(batch)

    def _await(self, batch: _Batch) -> None:
        """Come back when a batch is written: by another thread, or, when it is its turn, by this one."""
        with self._changed:
            self._changed.wait_for(lambda: batch.done or not self._is_writing)
            if batch.done:
                return
            self._batch, self._is_writing = _Batch(), True
        try:
            with self._reading() as connection:
                connection.execute("BEGIN IMMEDIATE")
                try:
                    for sql, values in batch.statements:
                        connection.execute(sql, values)
                    connection.execute("COMMIT")
                except sqlite3.Error:
                    with suppress(sqlite3.Error):
                        connection.execute("ROLLBACK")
                    raise
        except WedSyncError as error:
            batch.error = error
        finally:
            with self._changed:
                batch.done = True
                self._is_writing = False
                self._changed.notify_all()

    @contextmanager
    def _reading(self) -> Iterator[sqlite3.Connection]:
        with self._use:
            try:
                yield self._connection
            except sqlite3.Error as error:
                raise _QUEUE.explained(error, self._path) from None


class _Batch:
    """Statements that become durable together, in order: what is struck out after it was added is gone."""

    __slots__ = ("done", "error", "statements")

    def __init__(self) -> None:
        self.statements: list[tuple[str, tuple[str | int, ...]]] = []
        self.done = False
        self.error: WedSyncError | None = None

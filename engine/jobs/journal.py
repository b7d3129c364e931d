"""The journal: what must not be forgotten, in SQLite in the home.

In: statements, from any thread. Out: a future each, done once the statement is on the medium. One thread writes;
what arrives while it waits for the disk becomes the next group, one transaction with one fsync (WAL,
synchronous=FULL), so a hundred acceptances a second cost a few waits. Killed at any moment it holds every
statement whose future was done, and whole groups only.
"""

from __future__ import annotations

import logging
import os
import sqlite3
import threading
from collections import deque
from collections.abc import Sequence
from concurrent.futures import Future, wait
from contextlib import suppress
from pathlib import Path

from engine.base.errors import IntegrityError, LimitReached, NotPermitted, Unavailable, WedSyncError
from engine.base.invariants import check

VERSION = 3  # of the schema, in `user_version`
GROUP_MAX = 512  # statements made durable together
QUEUE_MAX = 50_000  # statements waiting; more than every job there may be
WAL_BYTES_MAX = 16 * 1024 * 1024  # what the file beside the database is cut back to
CACHE_KIB = 8 * 1024
BUSY_MS = 2000

_SCHEMA = (
    """
    CREATE TABLE jobs (
        id TEXT PRIMARY KEY, operation TEXT NOT NULL, arguments TEXT NOT NULL, kind TEXT NOT NULL,
        wedding_id TEXT NOT NULL, wedding TEXT NOT NULL, priority TEXT NOT NULL, priority_given INTEGER NOT NULL,
        state TEXT NOT NULL, attempts INTEGER NOT NULL, queued_ns INTEGER NOT NULL, started_ns INTEGER NOT NULL,
        ended_ns INTEGER NOT NULL, message TEXT NOT NULL, code TEXT NOT NULL, snapshot TEXT NOT NULL,
        counts TEXT NOT NULL, history TEXT NOT NULL DEFAULT ''
    ) WITHOUT ROWID
    """,
    "CREATE INDEX jobs_open ON jobs (queued_ns) WHERE ended_ns = 0",
    "CREATE INDEX jobs_ended ON jobs (ended_ns) WHERE ended_ns > 0",
    "CREATE TABLE documents (kind TEXT, id TEXT, body BLOB NOT NULL, PRIMARY KEY (kind, id)) WITHOUT ROWID",
)
_FROM: dict[int, str] = {  # version → what makes the next one of it
    1: "ALTER TABLE jobs ADD COLUMN history TEXT NOT NULL DEFAULT ''",
    2: """
    UPDATE jobs SET priority = 'retrieval', priority_given = 1
    WHERE kind = 'retrieve' AND (priority = 'same-day' OR priority_given = 0)
    """,
}

Value = str | int | bytes
Row = tuple[Value, ...]
_LOG = logging.getLogger(__name__)


class Journal:
    """One database and its thread. Any thread."""

    def __init__(self, path: Path | None) -> None:
        """Open or make it; blocks. A file that is no journal is set aside, and `warnings` says so.

        None: in memory only, so that nothing outlives the engine. Raises NotPermitted, LimitReached, Unavailable;
        IntegrityError for one of a newer WedSync.
        """
        self.path = path or Path("(in memory)")
        self.warnings: list[str] = []
        self._connection = _in_memory() if path is None else _opened_or_set_aside(path, self.warnings)
        self._use = threading.Lock()  # of the connection
        self._changed = threading.Condition()
        self._queue: deque[_Statement] = deque()  # with the next, guarded by `_changed`
        self._is_closing = False
        self.groups_total = 0  # written by the journal's thread alone
        self._thread = threading.Thread(target=self._run, name="wedsync-journal", daemon=True)
        self._thread.start()

    def write(self, sql: str, values: Sequence[Value] = ()) -> Future[None]:
        """Carry out a statement; the future is done when it is durable, and tells what went wrong.

        Statements take effect in the order they are given. The future cannot be cancelled.
        """
        statement = _Statement(sql, tuple(values))
        with self._changed:
            if self._is_closing or len(self._queue) >= QUEUE_MAX:
                refusal = _closed(self.path) if self._is_closing else LimitReached("the journal cannot keep up")
                statement.future.set_exception(refusal)
                return statement.future
            self._queue.append(statement)
            self._changed.notify_all()
        return statement.future

    def read(self, sql: str, values: Sequence[Value] = ()) -> list[Row]:
        """Rows of a query, which sees every statement given before; blocks. Raises Unavailable, IntegrityError."""
        wait([self.write("SELECT 1")])
        with self._use:
            try:
                return self._connection.execute(sql, tuple(values)).fetchall()
            except sqlite3.Error as error:
                raise _explained(error, self.path) from None

    def close(self) -> None:
        """Make durable what was given, then let go; blocks. Also twice."""
        with self._changed:
            self._is_closing = True
            self._changed.notify_all()
        self._thread.join()
        with self._use:
            self._connection.close()

    # --- the journal's thread ---

    def _run(self) -> None:
        while group := self._next_group():
            error = self._committed(group)
            self.groups_total += 1
            for statement in group:
                if error is None:
                    statement.future.set_result(None)
                else:
                    statement.future.set_exception(error)

    def _next_group(self) -> list[_Statement]:
        """What waits, up to a group; nothing once the journal closes and all is written."""
        with self._changed:
            self._changed.wait_for(lambda: self._is_closing or bool(self._queue))
            return [self._queue.popleft() for _ in range(min(len(self._queue), GROUP_MAX))]

    def _committed(self, group: Sequence[_Statement]) -> WedSyncError | None:
        """Write a group; why none of it was written, if so."""
        with self._use:
            try:
                self._connection.execute("BEGIN IMMEDIATE")
                for statement in group:
                    self._connection.execute(statement.sql, statement.values)
                self._connection.execute("COMMIT")
            except sqlite3.Error as error:
                _LOG.error("the journal could not be written: %s", error)
                with suppress(sqlite3.Error):
                    if self._connection.in_transaction:
                        self._connection.execute("ROLLBACK")
                return _explained(error, self.path)
        return None


def open_journal(path: Path) -> Journal:
    """The journal at `path`; where it cannot be used (a full disk), one in memory, which says so in `warnings`.

    So that an engine can always start and give back what it has. Raises IntegrityError, as `Journal`.
    """
    try:
        return Journal(path)
    except (LimitReached, NotPermitted, Unavailable) as error:
        _LOG.error("%s", error.line())
        journal = Journal(None)
        journal.warnings.append(f"{error.message}: jobs that are accepted now do not outlive this engine")
        return journal


class _Statement:
    """One statement on its way, and its future."""

    __slots__ = ("future", "sql", "values")

    def __init__(self, sql: str, values: Row) -> None:
        self.sql = sql
        self.values = values
        self.future: Future[None] = Future()
        self.future.set_running_or_notify_cancel()


def _opened_or_set_aside(path: Path, warnings: list[str]) -> sqlite3.Connection:
    try:
        return _opened(path)
    except IntegrityError as error:
        if path.stat().st_size and _is_newer(path):
            raise
        aside = _set_aside(path)
        warnings.append(f"{error.message}; it was set aside as {aside.name}, and a new journal begun")
        _LOG.error("%s", warnings[-1])
        return _opened(path)


def _opened(path: Path) -> sqlite3.Connection:
    try:
        os.close(os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600))
    except PermissionError as error:
        raise NotPermitted(f"the journal {path} cannot be used: {error.strerror}") from None
    except OSError as error:
        raise LimitReached(f"the journal {path} cannot be made: {error.strerror}") from None
    connection = sqlite3.connect(path, isolation_level=None, check_same_thread=False)
    try:
        connection.execute(f"PRAGMA busy_timeout = {BUSY_MS}")
        (mode,) = connection.execute("PRAGMA journal_mode = WAL").fetchone()
        check(mode == "wal", "the journal is a write-ahead log")
        connection.execute("PRAGMA synchronous = FULL")
        connection.execute(f"PRAGMA journal_size_limit = {WAL_BYTES_MAX}")
        connection.execute(f"PRAGMA cache_size = -{CACHE_KIB}")
        _set_up(connection, path)
        if connection.execute("PRAGMA quick_check(1)").fetchone()[0] != "ok":
            raise IntegrityError(f"the journal {path} is damaged")
    except sqlite3.Error as error:
        connection.close()
        raise _explained(error, path) from None
    except BaseException:
        connection.close()
        raise
    return connection


def _in_memory() -> sqlite3.Connection:
    connection = sqlite3.connect(":memory:", isolation_level=None, check_same_thread=False)
    _set_up(connection, Path("(in memory)"))
    return connection


def _set_up(connection: sqlite3.Connection, path: Path) -> None:
    """Make the tables of a new journal, or bring an older one up. Raises IntegrityError for one of a newer program."""
    (version,) = connection.execute("PRAGMA user_version").fetchone()
    if version == VERSION:
        return
    if version not in (0, *_FROM):
        raise IntegrityError(f"the journal {path} is of version {version}, this WedSync knows {VERSION}")
    connection.execute("BEGIN IMMEDIATE")
    for statement in [_FROM[each] for each in range(version, VERSION)] if version else _SCHEMA:
        connection.execute(statement)
    connection.execute(f"PRAGMA user_version = {VERSION}")
    connection.execute("COMMIT")


def _is_newer(path: Path) -> bool:
    """Whether this is a journal of a newer program: that one is never set aside."""
    with suppress(sqlite3.Error):
        connection = sqlite3.connect(path)
        try:
            return int(connection.execute("PRAGMA user_version").fetchone()[0]) > VERSION
        finally:
            connection.close()
    return False


def _set_aside(path: Path) -> Path:
    """Rename a damaged journal and what belongs to it; the first free number."""
    number = 1
    while (aside := path.with_name(f"{path.name}.damaged-{number}")).exists():
        number += 1
    os.rename(path, aside)
    for suffix in ("-wal", "-shm"):
        with suppress(FileNotFoundError):
            os.rename(f"{path}{suffix}", f"{aside}{suffix}")
    return aside


def _explained(error: sqlite3.Error, path: Path) -> WedSyncError:
    words = str(error)
    if "disk is full" in words:
        return LimitReached(f"there is no room for the journal {path}", "make room there")
    if "readonly" in words:
        return NotPermitted(f"the journal {path} cannot be written")
    if isinstance(error, sqlite3.DatabaseError) and ("malformed" in words or "not a database" in words):
        return IntegrityError(f"the journal {path} is damaged")
    return Unavailable(f"the journal {path} cannot be used: {words}")


def _closed(path: Path) -> Unavailable:
    return Unavailable(f"the journal {path} is closed", "start the engine again")

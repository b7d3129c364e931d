"""The file of the copy catalog: its schema, opened or made, and what SQLite's refusals mean. See `locations`."""

from __future__ import annotations

import logging
import os
import sqlite3
from pathlib import Path

from engine.base.errors import IntegrityError, LimitReached, NotPermitted, Unavailable, WedSyncError

WAL_BYTES_MAX = 64 * 1024 * 1024
VERSION = 1
_LOG = logging.getLogger(__name__)

_SCHEMA = """
CREATE TABLE places (id INTEGER PRIMARY KEY, name TEXT NOT NULL UNIQUE, listed INTEGER NOT NULL DEFAULT 0);
CREATE TABLE weddings (id INTEGER PRIMARY KEY, token BLOB NOT NULL UNIQUE);
CREATE TABLE copies (
    wedding INTEGER NOT NULL, pack BLOB NOT NULL, place INTEGER NOT NULL, size INTEGER NOT NULL,
    state INTEGER NOT NULL, written INTEGER NOT NULL, verified INTEGER NOT NULL,
    PRIMARY KEY (wedding, pack, place)
) WITHOUT ROWID;
CREATE INDEX copies_ailing ON copies (state, wedding, pack, place) WHERE state <> 0;
CREATE TABLE totals (
    place INTEGER NOT NULL, wedding INTEGER NOT NULL, packs INTEGER NOT NULL, bytes INTEGER NOT NULL,
    oldest INTEGER NOT NULL, PRIMARY KEY (place, wedding)
) WITHOUT ROWID;
CREATE TRIGGER copy_added AFTER INSERT ON copies BEGIN
    INSERT INTO totals VALUES (new.place, new.wedding, new.state = 0, (new.state = 0) * new.size, new.verified)
    ON CONFLICT (place, wedding) DO UPDATE SET packs = packs + excluded.packs, bytes = bytes + excluded.bytes,
        oldest = min(oldest, excluded.oldest);
END;
CREATE TRIGGER copy_changed AFTER UPDATE ON copies BEGIN
    UPDATE totals SET packs = packs + (new.state = 0) - (old.state = 0),
        bytes = bytes + (new.state = 0) * new.size - (old.state = 0) * old.size, oldest = min(oldest, new.verified)
    WHERE place = new.place AND wedding = new.wedding;
END;
CREATE TRIGGER copy_gone AFTER DELETE ON copies BEGIN
    UPDATE totals SET packs = packs - (old.state = 0), bytes = bytes - (old.state = 0) * old.size
    WHERE place = old.place AND wedding = old.wedding;
END;
"""


class _Newer(IntegrityError):
    """A whole catalog that this version cannot read: it is not put aside."""


def opened(path: Path | None, cache_bytes: int) -> sqlite3.Connection:
    """One that is damaged is put aside, and a new one made."""
    try:
        return _connected(path, cache_bytes)
    except IntegrityError as error:
        if path is None or isinstance(error, _Newer):
            raise
        _LOG.warning("%s; it is made anew from listings", error.message)
        os.replace(path, path.with_name(f"{path.name}.damaged"))
        for suffix in ("-wal", "-shm"):
            path.with_name(path.name + suffix).unlink(missing_ok=True)
        return _connected(path, cache_bytes)


def _connected(path: Path | None, cache_bytes: int) -> sqlite3.Connection:
    try:
        if path is not None:
            os.close(os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600))
        connection = sqlite3.connect(path or ":memory:", isolation_level=None, check_same_thread=False)
    except PermissionError as error:
        raise NotPermitted(f"the copy catalog {path} cannot be used: {error.strerror}") from None
    except OSError as error:
        raise LimitReached(f"the copy catalog {path} cannot be made: {error.strerror}") from None
    try:
        for pragma in (
            "busy_timeout = 2000", "journal_mode = WAL", "synchronous = NORMAL", "mmap_size = 0",
            f"journal_size_limit = {WAL_BYTES_MAX}", f"cache_size = -{max(1, cache_bytes // 1024)}",
        ):  # fmt: skip
            connection.execute(f"PRAGMA {pragma}")
        (version,) = connection.execute("PRAGMA user_version").fetchone()
        if version > VERSION:
            raise _Newer(f"the copy catalog {path} is of a newer WedSync")
        if version == 0:
            connection.executescript(f"BEGIN IMMEDIATE; {_SCHEMA} PRAGMA user_version = {VERSION}; COMMIT")
        return connection
    except sqlite3.Error as error:
        connection.close()
        raise explained(error, path) from None
    except BaseException:
        connection.close()
        raise


def explained(error: sqlite3.Error, path: Path | None) -> WedSyncError:
    """The error that a caller of the catalog sees for `error`."""
    words = str(error)
    if "disk is full" in words:
        return LimitReached(f"there is no room for the copy catalog {path}", "make room there")
    if "readonly" in words:
        return NotPermitted(f"the copy catalog {path} cannot be written")
    if "malformed" in words or "not a database" in words:
        return IntegrityError(f"the copy catalog {path} is damaged")
    return Unavailable(f"the copy catalog {path} cannot be used: {words}")

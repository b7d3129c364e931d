"""SQLite files in the home that can be made anew: opened or made, damaged ones put aside, refusals as our errors.

One connection a file, shared by threads that lock for themselves, and no transaction that SQLite begins by itself.
"""

from __future__ import annotations

import logging
import os
import sqlite3
from pathlib import Path
from typing import Literal

import msgspec

from engine.base.errors import IntegrityError, LimitReached, NotPermitted, Unavailable, WedSyncError

WAL_BYTES_MAX = 64 * 1024 * 1024
_LOG = logging.getLogger(__name__)


class Database(msgspec.Struct, frozen=True):
    """What one kind of file is."""

    called: str  # as "copy catalog"
    anew: str  # what becomes of a damaged one, as the end of a sentence
    schema: str
    synchronous: Literal["NORMAL", "FULL"]  # whether a commit waits for the disk
    cache_bytes: int
    version: int = 0  # of the schema, in `user_version`; 0: the schema may be carried out again

    def opened(self, path: Path | None) -> sqlite3.Connection:
        """The file, made if it is missing; None: in memory. One that is damaged is put aside, and a new one made.

        Raises NotPermitted, LimitReached, Unavailable; IntegrityError for one of a newer program.
        """
        try:
            return self._connected(path)
        except IntegrityError as error:
            if path is None or isinstance(error, _Newer):
                raise
            _LOG.warning("%s; %s", error.message, self.anew)
            os.replace(path, path.with_name(f"{path.name}.damaged"))
            for suffix in ("-wal", "-shm"):
                path.with_name(path.name + suffix).unlink(missing_ok=True)
            return self._connected(path)

    def _connected(self, path: Path | None) -> sqlite3.Connection:
        try:
            if path is not None:
                os.close(os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600))
            connection = sqlite3.connect(path or ":memory:", isolation_level=None, check_same_thread=False)
        except PermissionError as error:
            raise NotPermitted(f"the {self.called} {path} cannot be used: {error.strerror}") from None
        except OSError as error:
            raise LimitReached(f"the {self.called} {path} cannot be made: {error.strerror}") from None
        try:
            self._prepare(connection, path)
        except sqlite3.Error as error:
            connection.close()
            raise self.explained(error, path) from None
        except BaseException:
            connection.close()
            raise
        return connection

    def _prepare(self, connection: sqlite3.Connection, path: Path | None) -> None:
        for pragma in (
            "busy_timeout = 2000", "journal_mode = WAL", f"synchronous = {self.synchronous}", "mmap_size = 0",
            f"journal_size_limit = {WAL_BYTES_MAX}", f"cache_size = -{max(1, self.cache_bytes // 1024)}",
        ):  # fmt: skip
            connection.execute(f"PRAGMA {pragma}")
        (version,) = connection.execute("PRAGMA user_version").fetchone()
        if version > self.version:
            raise _Newer(f"the {self.called} {path} is of a newer WedSync")
        if version == 0:
            connection.executescript(f"BEGIN IMMEDIATE; {self.schema} PRAGMA user_version = {self.version}; COMMIT")

    def explained(self, error: sqlite3.Error, path: Path | None) -> WedSyncError:
        """The error that a caller sees for `error`."""
        words = str(error)
        if "disk is full" in words:
            return LimitReached(f"there is no room for the {self.called} {path}", "make room there")
        if "readonly" in words:
            return NotPermitted(f"the {self.called} {path} cannot be written")
        if "malformed" in words or "not a database" in words:
            return IntegrityError(f"the {self.called} {path} is damaged")
        return Unavailable(f"the {self.called} {path} cannot be used: {words}")


class _Newer(IntegrityError):
    """A whole file that this version cannot read: it is not put aside."""

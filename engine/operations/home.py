"""The home folder of one engine: who may see it, what stands where, and that only one engine runs on it.

```
config.toml   settings            engine.lock   held while an engine runs; its process id
seen.json     highest numbers     logs/         engine.jsonl and its five predecessors
damaged.json  packs found damaged, if any
journal.db    jobs that were accepted, watches, sources, schedules (and journal.db-wal, journal.db-shm)
repository/   the hot store, unless `storage.hot` says another
```
"""

from __future__ import annotations

import contextlib
import fcntl
import os
from pathlib import Path
from urllib.parse import quote

from engine.base.errors import Conflict, LimitReached, NotPermitted
from engine.contract.settings import Settings
from engine.contract.wire import SOCKET_NAME
from engine.jobs.journal import open_journal
from engine.repository.damaged import DamagedPacks
from engine.repository.seen import SeenNumbers


class Home:
    """A home, made if missing and locked. Any thread."""

    def __init__(self, path: Path) -> None:
        """Blocks for a moment. Raises Conflict when an engine runs on it, NotPermitted, LimitReached."""
        self.path = path.expanduser().absolute()
        try:
            self.path.mkdir(mode=0o700, parents=True, exist_ok=True)
            self.logs.mkdir(mode=0o700, exist_ok=True)
            self._fd = os.open(self.path / "engine.lock", os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
        except PermissionError as error:
            raise NotPermitted(f"the home {self.path} cannot be used: {error.strerror}", "choose another one") from None
        except OSError as error:
            raise LimitReached(f"the home {self.path} cannot be made: {error.strerror}", "choose another one") from None
        try:
            fcntl.flock(self._fd, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError:
            owner = os.pread(self._fd, 32, 0).decode("ascii", "replace").strip() or "unknown"
            os.close(self._fd)
            raise Conflict(
                f"an engine already runs on this home (pid {owner})", f"stop it, or use another home than {self.path}"
            ) from None
        with contextlib.suppress(OSError):  # a full disk keeps the lock all the same
            os.ftruncate(self._fd, 0)
            os.pwrite(self._fd, f"{os.getpid()}\n".encode(), 0)
        try:
            self.journal = open_journal(self.path / "journal.db")
        except BaseException:
            os.close(self._fd)
            raise

    @property
    def settings(self) -> Path:
        """Where the settings stand."""
        return self.path / "config.toml"

    def known(self) -> tuple[SeenNumbers, DamagedPacks]:
        """What this home knows of repositories. Blocks. Raises IntegrityError, NotPermitted for the numbers."""
        return SeenNumbers(self.path / "seen.json"), DamagedPacks(self.path / "damaged.json")

    @property
    def logs(self) -> Path:
        """Where the logs stand."""
        return self.path / "logs"

    @property
    def restless(self) -> tuple[bytes, ...]:
        """What changes here while an engine runs: no backup of a folder around the home reads it."""
        journal = [f"journal.db{ending}" for ending in ("", "-wal", "-shm")]
        return tuple(os.fsencode(self.path / name) for name in (*journal, "engine.lock", SOCKET_NAME, "logs"))

    def hot_url(self, settings: Settings) -> str:
        """The hot store: what the settings say, else `repository/` in here."""
        return settings.storage.hot or "file://" + quote(os.fsencode(self.path / "repository"))

    def release(self) -> None:
        """Write the journal's last words, then let another engine run here."""
        self.journal.close()
        os.close(self._fd)

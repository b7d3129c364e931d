"""The home folder of one engine: who may see it, what stands where, and that only one engine runs on it.

```
config.toml   settings            engine.lock   held while an engine runs; its process id
seen.json     highest numbers     logs/         engine.jsonl and its five predecessors
damaged.json  packs found damaged, if any
stores.json   the stores in folders of tiers and regions, if there are any: an empty mount point is not taken for one
copies.db     which copy of which pack lies where, once there are several places (and copies.db-wal, copies.db-shm)
journal.db    jobs that were accepted, watches, sources, schedules (and journal.db-wal, journal.db-shm)
healing.db    what regions are owed, if there are any (healing-warm.db, healing-cold.db; and their -wal, -shm)
cache/        what was read from warm and cold, if there are such tiers; may be deleted while no engine runs
repository/   the hot store, unless `storage.hot` says another
```

One that can only be read, as on the disk of a dead machine, is read: no log, no socket, a journal in memory.
"""

from __future__ import annotations

import contextlib
import errno
import fcntl
import os
import threading
from pathlib import Path
from urllib.parse import quote

from engine.base.errors import Conflict, LimitReached, NotPermitted
from engine.contract.settings import Settings
from engine.contract.tiers import TIERS, Tier
from engine.contract.wire import SOCKET_NAME
from engine.jobs.journal import Journal, open_journal
from engine.pipeline.folders import Identity, identities
from engine.repository.damaged import DamagedPacks
from engine.repository.seen import SeenNumbers
from engine.storage.healqueue import HealQueue
from engine.storage.known import KnownStores
from engine.storage.locations import Locations

_NO_LOCK = -1
_SETTLED_NS = 1_000_000_000  # a folder's time of change may stand still for a tick of the system's clock


class Home:
    """A home, made if missing and locked. Any thread."""

    def __init__(self, path: Path) -> None:
        """Blocks for a moment. Raises Conflict when an engine runs on it, NotPermitted, LimitReached."""
        self.path = path.expanduser().absolute()
        why = _why_only_read(self.path)
        self.read_only = f"the home {self.path} can only be read ({why})" if why else ""
        self._fd = self._shared_lock() if why else self._own_lock()
        self._locations: Locations | None = None
        self._stores: KnownStores | None = None
        self._mutex = threading.Lock()  # of the catalog being opened
        self._restless_paths = _restless_in(self.path)
        self._restless: tuple[int, frozenset[Identity]] = (-1, frozenset())  # when the home had changed last, and what
        try:
            self.journal = Journal(None) if why else open_journal(self.path / "journal.db")
        except BaseException:
            self._unlock()
            raise

    def _own_lock(self) -> int:
        """The lock of a home that nobody else uses meanwhile."""
        try:
            self.path.mkdir(mode=0o700, parents=True, exist_ok=True)
            self.logs.mkdir(mode=0o700, exist_ok=True)
            fd = os.open(self.path / "engine.lock", os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
        except OSError as error:
            if error.errno in (errno.EACCES, errno.EPERM, errno.EROFS):
                what = f"the home {self.path} cannot be used: {error.strerror}"
                raise NotPermitted(what, "choose another one") from None
            raise LimitReached(f"the home {self.path} cannot be made: {error.strerror}", "choose another one") from None
        self._lock(fd, fcntl.LOCK_EX)
        with contextlib.suppress(OSError):  # a full disk keeps the lock all the same
            os.ftruncate(fd, 0)
            os.pwrite(fd, f"{os.getpid()}\n".encode(), 0)
        return fd

    def _shared_lock(self) -> int:
        """A lock that others who only read may hold too; none where there is no file for it that can be opened."""
        try:
            fd = os.open(self.path / "engine.lock", os.O_RDONLY | os.O_CLOEXEC)
        except OSError:
            return _NO_LOCK
        self._lock(fd, fcntl.LOCK_SH)
        return fd

    def _lock(self, fd: int, how: int) -> None:
        try:
            fcntl.flock(fd, how | fcntl.LOCK_NB)
        except OSError:
            owner = os.pread(fd, 32, 0).decode("ascii", "replace").strip() or "unknown"
            os.close(fd)
            raise Conflict(
                f"an engine already runs on this home (pid {owner})", f"stop it, or use another home than {self.path}"
            ) from None

    def _unlock(self) -> None:
        if self._fd != _NO_LOCK:
            os.close(self._fd)

    @property
    def notice(self) -> str:
        """What a person should know of a home that can only be read; empty for any other."""
        if not self.read_only:
            return ""
        return f"{self.read_only}: list, browse, verify and retrieve from it; jobs are forgotten when the engine ends"

    @property
    def settings(self) -> Path:
        """Where the settings stand."""
        return self.path / "config.toml"

    def known(self) -> tuple[SeenNumbers, DamagedPacks]:
        """What this home knows of repositories. Blocks. Raises IntegrityError, NotPermitted for the numbers."""
        return SeenNumbers(self.path / "seen.json"), DamagedPacks(self.path / "damaged.json")

    @property
    def demand(self) -> Path | None:
        """Where the demand history stands; None where nothing may be written."""
        return None if self.read_only else self.path / "demand.db"

    @property
    def logs(self) -> Path:
        """Where the logs stand."""
        return self.path / "logs"

    def restless(self, now_ns: int) -> frozenset[Identity]:
        """What changes here while an engine runs: no backup of a folder around the home reads it. Blocks.

        Looked for anew when a name has come into the home or gone since; `now_ns` tells whether one may just be coming.
        """
        changed_ns = os.stat(self.path).st_mtime_ns
        if changed_ns != self._restless[0]:
            found = identities(self._restless_paths)
            if changed_ns > now_ns - _SETTLED_NS:
                return found
            self._restless = changed_ns, found
        return self._restless[1]

    def locations(self) -> Locations:
        """The copy catalog, opened at the first call; blocks. Raises NotPermitted, LimitReached, Unavailable."""
        with self._mutex:
            if self._locations is None:
                self._locations = Locations(None if self.read_only else self.path / "copies.db")
            return self._locations

    def heal_queue(self, tier: Tier) -> HealQueue:
        """What the regions of a tier are owed; blocks. Raises NotPermitted, LimitReached, Unavailable."""
        name = "healing.db" if tier == "hot" else f"healing-{tier}.db"
        return HealQueue(None if self.read_only else self.path / name)

    def known_stores(self) -> KnownStores:
        """The stores in folders that were opened from here; blocks."""
        if self._stores is None:
            self._stores = KnownStores(self.path / "stores.json", keep=not self.read_only)
        return self._stores

    def hot_url(self, settings: Settings) -> str:
        """The hot store: what the settings say, else `repository/` in here."""
        if settings.regions:
            return settings.regions[0].hot
        return (
            settings.storage.hot or settings.tiers.hot.url or "file://" + quote(os.fsencode(self.path / "repository"))
        )

    def release(self) -> None:
        """Write the journal's last words, then let another engine run here."""
        if self._locations is not None:
            self._locations.close()
        self.journal.close()
        self._unlock()


def _restless_in(home: Path) -> tuple[bytes, ...]:
    queues = ["healing.db", *(f"healing-{tier}.db" for tier in TIERS if tier != "hot")]
    databases = [
        f"{name}{end}" for name in ("journal.db", "copies.db", "demand.db", *queues) for end in ("", "-wal", "-shm")
    ]
    return tuple(os.fsencode(home / name) for name in (*databases, "engine.lock", SOCKET_NAME, "logs", "cache"))


def _why_only_read(path: Path) -> str:
    """Why a home that is there can be read and not written; empty for any other."""
    if not os.path.isdir(path) or os.access(path, os.W_OK, effective_ids=True):
        return ""
    if not os.access(path, os.R_OK | os.X_OK, effective_ids=True):
        return ""
    return os.strerror(errno.EROFS if os.statvfs(path).f_flag & os.ST_RDONLY else errno.EACCES).lower()

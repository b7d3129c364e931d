"""One region of a tier: its store, the threads that write to it, and how it has answered lately. Any thread.

A region that fails five times in a row is left alone for a while (`stores.breaker`), and one that keeps a call waiting
is asked last; so a region that is gone costs a few calls, not each.
"""

from __future__ import annotations

import itertools
import threading
from collections.abc import Callable
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import suppress
from typing import TypeVar

from engine.base.clock import Clock
from engine.base.errors import NotFound, Unavailable, WedSyncError
from engine.contract.status import EndpointRow
from engine.storage.stores.breaker import Breaker
from engine.storage.stores.store import ObjectStore

QUICK_CALLS = 16  # small calls at once: votes, lists, deletions
UPLOADS = 4  # packs at once
STUCK_S = 5.0  # a call that takes so long is not waited for where another region can answer
_T = TypeVar("_T")


class Region:
    """A region by its name."""

    def __init__(
        self, name: str, open_store: Callable[[], ObjectStore], clock: Clock, *, append_only: bool = False
    ) -> None:
        """`open_store` is called with the first use, and again after it failed: a region may be away at the start."""
        self.name = name
        self.append_only = append_only
        self.failure = ""  # what it said last, while it fails; one line
        self.failing_since_ns = 0
        self._open_store = open_store
        self._clock = clock
        self._breaker = Breaker(clock)
        self._lock = threading.Lock()
        self._store: ObjectStore | None = None  # with the next two, guarded by `_lock`
        self._calls: dict[int, float] = {}  # those under way → when each began
        self._numbers = itertools.count()
        self._quick = ThreadPoolExecutor(QUICK_CALLS, thread_name_prefix=f"wedsync-{name}")
        self._uploads = ThreadPoolExecutor(UPLOADS, thread_name_prefix=f"wedsync-{name}-upload")

    @property
    def is_usable(self) -> bool:
        """Whether it may be asked first: it does not rest after failures, and keeps nobody waiting."""
        with self._lock:
            oldest_s = min(self._calls.values(), default=None)
        if oldest_s is not None and self._clock.monotonic_s() - oldest_s > STUCK_S:
            return False
        return not self._breaker.is_open

    def call(self, use: Callable[[ObjectStore], _T]) -> _T:
        """Do something with the store, and note how it went. Raises what it raises, Unavailable while it rests."""
        self._breaker.check(self.name)
        number = next(self._numbers)
        with self._lock:
            self._calls[number] = self._clock.monotonic_s()
        try:
            result = use(self._opened())
        except Unavailable as error:
            self._note(error)
            raise
        except WedSyncError:
            self._note(None)
            raise
        finally:
            with self._lock:
                del self._calls[number]
        self._note(None)
        return result

    def begin(self, use: Callable[[ObjectStore], _T]) -> Future[_T]:
        """As `call`, on one of the region's threads for small calls."""
        return _submitted(self._quick, lambda: self.call(use))

    def begin_upload(self, use: Callable[[ObjectStore], _T]) -> Future[_T]:
        """As `call`, on one of its threads for packs."""
        return _submitted(self._uploads, lambda: self.call(use))

    def endpoints(self) -> tuple[EndpointRow, ...]:
        """The ways to its store, where that lies in a bucket and was opened; none for any other."""
        with self._lock:
            store = self._store
        ways: tuple[EndpointRow, ...] = getattr(store, "endpoints", tuple)()
        return ways

    @property
    def url(self) -> str:
        """Where it is; empty before it was opened."""
        with self._lock:
            return self._store.url if self._store is not None else ""

    def close(self) -> None:
        """End its threads, then its store; what has not begun is not begun any more."""
        self._quick.shutdown(cancel_futures=True)
        self._uploads.shutdown(cancel_futures=True)
        with self._lock:
            store = self._store
        if store is not None:
            store.close()

    def _opened(self) -> ObjectStore:
        with self._lock:
            if self._store is not None:
                return self._store
        try:
            store = self._open_store()
        except NotFound as error:
            raise Unavailable(
                f"region {self.name}: {error.message}", "mount it; if the region is new, make the folder"
            ) from error
        with self._lock:
            if self._store is None:
                self._store = store
                return store
            mine = self._store
        store.close()
        return mine

    def _note(self, error: Unavailable | None) -> None:
        self._breaker.note(failed=error is not None)
        if error is None:
            self.failure, self.failing_since_ns = "", 0
        else:
            self.failure = error.message
            self.failing_since_ns = self.failing_since_ns or self._clock.now_ns()


def _submitted(pool: ThreadPoolExecutor, run: Callable[[], _T]) -> Future[_T]:
    try:
        return pool.submit(run)
    except RuntimeError:  # closed meanwhile
        refused: Future[_T] = Future()
        with suppress(Exception):
            refused.set_exception(Unavailable("the store is closed", "open it again"))
        return refused

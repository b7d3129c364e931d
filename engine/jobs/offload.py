"""Blocking calls, off the loop: one executor, a few calls at a time for each key.

A key is what calls may queue up behind (a wedding, the register): a wedding whose store hangs ties up its few
threads and nobody else's. The awaiting side runs on the engine loop, the calls on the executor's threads. What
threads have for the loop is gathered: one wake-up brings all that came while the loop was at work, where the standard
library's executor wakes it for each, and makes two futures for it.

While calls are short, a few threads carry out all of them: more would only take the interpreter's lock from each other,
at every system call. What waits for `PATIENCE_S` is given threads of its own, as there are stores that take long.
"""

from __future__ import annotations

import asyncio
import logging
import random
import threading
from collections import deque
from collections.abc import Callable, Coroutine
from concurrent.futures import Future
from functools import partial
from queue import SimpleQueue
from typing import Any, Generic, TypeVar

import msgspec

from engine.base.clock import Clock
from engine.base.entropy import Entropy

T = TypeVar("T")
Spawn = Callable[[Coroutine[None, None, None]], asyncio.Task[None]]  # the engine's TaskGroup

THREADS = 32
CALLS_PER_KEY = 3
AT_ONCE = 4
PATIENCE_S = 0.01
_LOG = logging.getLogger(__name__)


class _Call(Generic[T]):
    """One call on its way, and what came of it."""

    __slots__ = ("error", "function", "future", "key", "value")

    def __init__(self, key: str, function: Callable[[], T], future: asyncio.Future[T]) -> None:
        self.key = key
        self.function = function
        self.future = future
        self.value: T | None = None
        self.error: BaseException | None = None

    def carry_out(self) -> None:
        try:
            self.value = self.function()
        except BaseException as error:
            self.error = error

    def answer(self) -> None:
        """Tell who waits, if anybody still does."""
        if self.future.done():
            return
        if self.error is None:
            self.future.set_result(self.value)  # type: ignore[arg-type]  # it is there where there is no error
        elif isinstance(self.error, StopIteration):  # which no future takes
            self.future.set_exception(RuntimeError(repr(self.error)))
        else:
            self.future.set_exception(self.error)


class Offload:
    """Runs blocking calls. Engine loop only, but for `post`."""

    def __init__(self, *, threads: int = THREADS, calls_per_key: int = CALLS_PER_KEY) -> None:
        self._threads_max = threads
        self._calls_per_key = calls_per_key
        self._threads = 0
        self._at_work = 0  # calls handed to threads that have not come back
        self._running: dict[str, int] = {}  # key → calls of it among those
        self._behind: dict[str, deque[_Call[Any]]] = {}  # key → calls that wait for one of those to end
        self._patient: deque[_Call[Any]] = deque()  # calls that wait for one of the few threads to be free
        self._calls: SimpleQueue[_Call[Any] | None] = SimpleQueue()
        self._is_closed = False
        self._mutex = threading.Lock()
        self._outbox: list[Callable[[], None]] = []  # for the loop, with the next guarded by `_mutex`
        self._loop: asyncio.AbstractEventLoop | None = None

    async def run(self, key: str, function: Callable[[], T]) -> T:
        """The result of `function`, run on a thread. Cancelling stops the wait, not the call."""
        loop = asyncio.get_running_loop()
        if self._is_closed:
            raise RuntimeError("the executor is closed")
        self._loop = loop
        future: asyncio.Future[T] = loop.create_future()
        call: _Call[Any] = _Call(key, function, future)
        if self._running.get(key, 0) < self._calls_per_key:
            self._admit(call)
        else:
            self._behind.setdefault(key, deque()).append(call)
        return await future

    async def ended(self, future: Future[T]) -> T:
        """What comes of a future that another thread keeps. Cancelling stops the wait alone."""
        if not future.done():
            loop = self._loop = asyncio.get_running_loop()
            waiter: asyncio.Future[None] = loop.create_future()
            future.add_done_callback(lambda _: self.post(lambda: None if waiter.done() else waiter.set_result(None)))
            await waiter
        return future.result()

    def post(self, what: Callable[[], None]) -> None:
        """Have something done on the loop, soon, in order. Any thread. Nothing happens once the loop has ended."""
        with self._mutex:
            self._outbox.append(what)
            loop = self._loop if len(self._outbox) == 1 else None  # else it was woken, and has not looked yet
        if loop is not None:
            try:
                loop.call_soon_threadsafe(self._take_posts)
            except RuntimeError:  # it is closed: nobody waits any more
                _LOG.debug("a call ended after its loop")

    def close(self) -> None:
        """Take no more calls. Those that run are not waited for; those that wait are not begun."""
        self._is_closed = True
        for call in [*self._patient, *(call for waiting in self._behind.values() for call in waiting)]:
            call.future.cancel()
        self._patient.clear()
        self._behind.clear()
        for _ in range(self._threads):
            self._calls.put(None)

    def _admit(self, call: _Call[Any]) -> None:
        """A call of whose key not too many run: carry it out now, or soon."""
        self._running[call.key] = self._running.get(call.key, 0) + 1
        if self._at_work < AT_ONCE:
            self._hand_over(call)
            return
        if not self._patient:
            asyncio.get_running_loop().call_later(PATIENCE_S, self._lose_patience)
        self._patient.append(call)

    def _lose_patience(self) -> None:
        while self._patient and not self._is_closed:
            self._hand_over(self._patient.popleft())

    def _hand_over(self, call: _Call[Any]) -> None:
        self._at_work += 1
        if self._at_work > self._threads and self._threads < self._threads_max:
            self._threads += 1
            threading.Thread(target=self._work, name="wedsync-blocking", daemon=True).start()
        self._calls.put(call)

    def _work(self) -> None:
        """One thread."""
        while (call := self._calls.get()) is not None:
            call.carry_out()
            self.post(partial(self._ended, call))
            del call  # a thread that waits holds nothing of what it did

    def _take_posts(self) -> None:
        with self._mutex:
            posts, self._outbox = self._outbox, []
        for post in posts:
            try:
                post()
            except Exception:
                _LOG.exception("what a thread had for the loop met a bug")

    def _ended(self, call: _Call[Any]) -> None:
        key = call.key
        self._at_work -= 1
        self._running[key] -= 1
        waiting = self._behind.get(key)
        while waiting and not self._is_closed:
            following = waiting.popleft()
            if not following.future.done():  # else nobody waits for it any more
                self._admit(following)
                break
        if not waiting:
            self._behind.pop(key, None)
        if not self._running[key]:
            del self._running[key]
        if self._patient and self._at_work < AT_ONCE and not self._is_closed:
            self._hand_over(self._patient.popleft())
        call.answer()


class Means(msgspec.Struct, frozen=True):
    """What every part of the engine that lives on its loop works with."""

    clock: Clock
    entropy: Entropy
    offload: Offload
    spawn: Spawn
    chance: random.Random = msgspec.field(default_factory=lambda: random.Random(0))  # for jitter; never for secrets

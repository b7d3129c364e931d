"""Blocking calls, off the loop: one executor, a few calls at a time for each key.

A key is what calls may queue up behind (a wedding, the register): a wedding whose store hangs ties up its few
threads and nobody else's. The awaiting side runs on the engine loop, the calls on the executor's threads.
"""

from __future__ import annotations

import asyncio
import random
from collections.abc import Callable, Coroutine
from concurrent.futures import ThreadPoolExecutor
from typing import TypeVar

import msgspec

from engine.base.clock import Clock
from engine.base.entropy import Entropy

T = TypeVar("T")
Spawn = Callable[[Coroutine[None, None, None]], asyncio.Task[None]]  # the engine's TaskGroup

THREADS = 32
CALLS_PER_KEY = 3


class Offload:
    """Runs blocking calls. Engine loop only."""

    def __init__(self, *, threads: int = THREADS, calls_per_key: int = CALLS_PER_KEY) -> None:
        self._executor = ThreadPoolExecutor(threads, thread_name_prefix="wedsync-blocking")
        self._calls_per_key = calls_per_key
        self._gates: dict[str, asyncio.Semaphore] = {}
        self._users: dict[str, int] = {}

    async def run(self, key: str, function: Callable[[], T]) -> T:
        """The result of `function`, run on a thread. Cancelling stops the wait, not the call."""
        gate = self._gates.setdefault(key, asyncio.Semaphore(self._calls_per_key))
        self._users[key] = self._users.get(key, 0) + 1
        try:
            await gate.acquire()
        except BaseException:
            self._leave(key)
            raise

        def ended(call: asyncio.Future[T]) -> None:
            if not call.cancelled():
                call.exception()  # seen, also when nobody waits any more
            gate.release()
            self._leave(key)

        try:
            future = asyncio.get_running_loop().run_in_executor(self._executor, function)
        except RuntimeError:  # the executor is closed
            gate.release()
            self._leave(key)
            raise
        future.add_done_callback(ended)
        return await asyncio.shield(future)

    def close(self) -> None:
        """Take no more calls. Those that run are not waited for."""
        self._executor.shutdown(wait=False, cancel_futures=True)

    def _leave(self, key: str) -> None:
        self._users[key] -= 1
        if not self._users[key]:
            del self._users[key], self._gates[key]


class Means(msgspec.Struct, frozen=True):
    """What every part of the engine that lives on its loop works with."""

    clock: Clock
    entropy: Entropy
    offload: Offload
    spawn: Spawn
    chance: random.Random = msgspec.field(default_factory=lambda: random.Random(0))  # for jitter; never for secrets

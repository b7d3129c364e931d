"""Time, passed in. `SystemClock` is the machine's; `FakeClock` runs a year in a second in tests.

Three readings, never mixed: `now_ns` is the calendar (may jump), `monotonic_s` measures spans inside a
process, `boottime_s` also counts sleep of the machine and decides whether a lease of another engine died.
"""

from __future__ import annotations

import asyncio
import heapq
import itertools
import time
from typing import Protocol


class Clock(Protocol):
    """Where the program reads time and waits. Any thread may read; `sleep` is for an event loop."""

    def now_ns(self) -> int:
        """Nanoseconds since 1970-01-01 UTC, by the wall clock."""
        ...

    def monotonic_s(self) -> float:
        """Seconds since an unnamed moment, never going back."""
        ...

    def boottime_s(self) -> float:
        """Seconds since the machine started, time asleep included."""
        ...

    async def sleep(self, seconds: float) -> None:
        """Come back after `seconds` of this clock's time."""
        ...


class SystemClock:
    """The machine's own clocks."""

    def now_ns(self) -> int:
        """See `Clock.now_ns`."""
        return time.time_ns()

    def monotonic_s(self) -> float:
        """See `Clock.monotonic_s`."""
        return time.monotonic()

    def boottime_s(self) -> float:
        """See `Clock.boottime_s`."""
        return time.clock_gettime(time.CLOCK_BOOTTIME)

    async def sleep(self, seconds: float) -> None:
        """See `Clock.sleep`."""
        await asyncio.sleep(seconds)


class FakeClock:
    """A clock that stands still until `advance` is called. One thread only."""

    def __init__(self, now_ns: int = 1_780_000_000_000_000_000) -> None:
        self._now_ns = now_ns
        self._elapsed_s = 0.0
        self._order = itertools.count()
        self._sleepers: list[tuple[float, int, asyncio.Future[None]]] = []

    def now_ns(self) -> int:
        """See `Clock.now_ns`."""
        return self._now_ns + round(self._elapsed_s * 1e9)

    def monotonic_s(self) -> float:
        """See `Clock.monotonic_s`."""
        return self._elapsed_s

    def boottime_s(self) -> float:
        """See `Clock.boottime_s`."""
        return self._elapsed_s

    async def sleep(self, seconds: float) -> None:
        """See `Clock.sleep`; wakes when `advance` has passed the moment."""
        future: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        heapq.heappush(self._sleepers, (self._elapsed_s + max(0.0, seconds), next(self._order), future))
        await future

    def advance(self, seconds: float) -> None:
        """Move time on by `seconds` and wake whoever was to wake by then, in order."""
        self._elapsed_s += seconds
        while self._sleepers and self._sleepers[0][0] <= self._elapsed_s:
            future = heapq.heappop(self._sleepers)[2]
            if not future.done():
                future.set_result(None)

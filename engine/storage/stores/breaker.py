"""A circuit breaker: a store that keeps failing is left alone for a while, so that nobody waits for it in vain.

After `FAILURES` failures in a row every call is refused at once for `REST_S`; then one call may try, and its outcome
decides (Nygard, Release It!, "Circuit Breaker"). Any thread; decides on a clock that is handed in.
"""

from __future__ import annotations

import threading

from engine.base.clock import Clock
from engine.base.errors import Unavailable

FAILURES = 5
REST_S = 15.0


class Breaker:
    """Counts failures in a row, and says whether a call may be made."""

    def __init__(self, clock: Clock) -> None:
        self._clock = clock
        self._lock = threading.Lock()
        self._failures = 0  # in a row; with the next, guarded by `_lock`
        self._rests_until_s = 0.0

    @property
    def is_open(self) -> bool:
        """Whether calls are refused just now."""
        with self._lock:
            return self._failures >= FAILURES and self._clock.monotonic_s() < self._rests_until_s

    def check(self, url: str) -> None:
        """Let a call through, or raise Unavailable: the store at `url` rests."""
        with self._lock:
            if self._failures < FAILURES:
                return
            left_s = self._rests_until_s - self._clock.monotonic_s()
            if left_s > 0:
                raise Unavailable(
                    f"the store {url} failed {self._failures} times in a row",
                    f"it is tried again in {max(1, round(left_s))} s",
                )
            self._rests_until_s = self._clock.monotonic_s() + REST_S  # this caller tries; the others go on waiting

    def note(self, *, failed: bool) -> None:
        """How a call ended."""
        with self._lock:
            self._failures = self._failures + 1 if failed else 0
            if failed:
                self._rests_until_s = self._clock.monotonic_s() + REST_S

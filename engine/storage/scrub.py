"""The scrub: every copy of every pack is read again now and then, those verified longest ago first.

In: the copy catalog, which remembers when each copy was last read whole, and the stores of single places. Out: the
catalog, renewed; a copy that is not what its name says is marked bad, never read again and healed from a good one. It
reads below a rate. One thread a scrubber.
"""

from __future__ import annotations

from collections import deque

import msgspec

from engine.base.bucket import TokenBucket
from engine.base.clock import Clock
from engine.base.errors import WedSyncError
from engine.storage.copycheck import CopyChecker
from engine.storage.locations import Copy, Locations

BATCH = 64  # copies asked of the catalog at once
_NS = 10**9


class Figures(msgspec.Struct):
    """What was read since the start."""

    copies: int = 0
    bytes_read: int = 0
    bad: int = 0
    problem: str = ""  # why a copy could not be read, the last time


class Scrubber:
    """Reads the copies of some places."""

    def __init__(self, checker: CopyChecker, locations: Locations, clock: Clock) -> None:
        """The places of `checker` are read, in turns."""
        self.figures = Figures()
        self._checker = checker
        self._locations = locations
        self._clock = clock
        self._ahead: dict[str, deque[tuple[str, Copy]]] = {place: deque() for place in checker.places}
        self._turn = deque(checker.places)  # whose copy is read next
        self._rests_until_s: dict[str, float] = {}  # places with nothing due, or that do not answer
        self._bucket = TokenBucket()

    def scrub(self, *, bytes_per_s: float, every_s: float, rest_s: float) -> int:
        """Read what the rate allows by now; how many copies that was. A place with nothing due rests for `rest_s`."""
        now_s = self._clock.monotonic_s()
        self._bucket.set_rate(bytes_per_s, now_s)
        read = 0
        while self._bucket.wait_s(self._clock.monotonic_s()) == 0.0:
            place = next((each for each in self._turn if now_s >= self._rests_until_s.get(each, now_s)), None)
            if place is None:
                break
            self._turn.remove(place)
            self._turn.append(place)
            due = self._next_due(place, every_s)
            try:
                if due is not None:
                    self._bucket.take(due[1].size_bytes)
                    self._read(*due)
                    read += 1
                    continue
            except WedSyncError as error:
                self.figures.problem = error.line()
            self._rests_until_s[place] = now_s + rest_s
        return read

    def _next_due(self, place: str, every_s: float) -> tuple[str, Copy] | None:
        """The copy of a place that was verified longest ago, if that is long enough ago."""
        ahead = self._ahead[place]
        if not ahead:
            ahead.extend(self._locations.oldest_verified(place, BATCH))
        if not ahead:
            return None
        name, copy = ahead.popleft()
        if self._clock.now_ns() - copy.verified_ns < every_s * _NS:
            ahead.clear()  # and so are all that follow
            return None
        return name, copy

    def _read(self, name: str, copy: Copy) -> None:
        """Compare one copy with its name. Raises Unavailable and the like, when it cannot be read now."""
        self.figures.bad += self._checker.check(name, copy).state == "bad"
        self.figures.copies += 1
        self.figures.bytes_read += copy.size_bytes

"""What one worker does, and how long it takes to start, as measured. Pure."""

from __future__ import annotations

from collections import deque
from collections.abc import Iterable

from engine.contract.cluster import NodeRow

HALF_LIFE_S = 120.0  # of work, so that an idle night forgets nothing
KNOWN_S = 30.0
STARTS_KEPT = 200


class RateMeter:
    """Bytes a second of one worker at work: a mean in which the last two minutes of work count half."""

    def __init__(self, known: float = 0.0) -> None:
        """`known`: the rate that was measured in an earlier life; it counts as half a minute of work."""
        self._bytes = known * KNOWN_S
        self._worked_s = KNOWN_S if known else 0.0
        self._before = 0, 0.0

    @property
    def bytes_per_s(self) -> float:
        """The rate; 0 while none was measured."""
        return self._bytes / self._worked_s if self._worked_s > 0 else 0.0

    def sample(self, bytes_total: int, worked_total_s: float) -> None:
        """All workers have dealt with so many bytes since the start, and worked so long on them."""
        grown_bytes, worked_s = bytes_total - self._before[0], worked_total_s - self._before[1]
        if grown_bytes <= 0 or worked_s <= 0:
            return  # what is at work is counted with the next unit that ends
        self._before = bytes_total, worked_total_s
        kept = 0.5 ** (worked_s / HALF_LIFE_S)
        self._bytes = self._bytes * kept + grown_bytes
        self._worked_s = self._worked_s * kept + worked_s


class StartupMeter:
    """How long workers take from being asked for until they are ready."""

    def __init__(self, known: Iterable[float] = ()) -> None:
        """`known`: what those took that were measured in an earlier life, in seconds."""
        self._starting: dict[str, float] = {}  # since when, by name
        self._asked: deque[float] = deque(maxlen=STARTS_KEPT)  # when those that are not seen yet were asked for
        self._seen: set[str] = set()
        self._took_s: deque[float] = deque(known, maxlen=STARTS_KEPT)

    @property
    def p95_s(self) -> float:
        """Seconds that 19 of 20 starts did not exceed, of the last 200; 0 while none was seen."""
        ordered = sorted(self._took_s)
        return ordered[min(len(ordered) - 1, int(0.95 * len(ordered)))] if ordered else 0.0

    @property
    def took_s(self) -> tuple[float, ...]:
        """What the last 200 took, the oldest first."""
        return tuple(self._took_s)

    def asked(self, more: int, now_s: float) -> None:
        """So many more were asked for; fewer than none: none is on its way any more."""
        if more < 0:
            self._asked.clear()
        self._asked.extend([now_s] * more)

    def see(self, rows: Iterable[NodeRow], now_s: float) -> None:
        """The workers as they are now. One that goes before it was ready counts for nothing."""
        before, self._starting = self._starting, {}
        rows = tuple(rows)
        for row in rows:
            if row.name not in self._seen and self._asked and row.state != "draining":
                before[row.name] = self._asked.popleft()  # one that was asked for has come
            if row.state == "starting":
                self._starting[row.name] = before.get(row.name, now_s)
            elif row.state == "ready" and row.name in before:
                self._took_s.append(now_s - before[row.name])
        self._seen = {row.name for row in rows}

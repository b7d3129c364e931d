"""Rates, remaining time and latency, from samples. Pure; engine loop only."""

from __future__ import annotations

import math
from collections import deque

from engine.contract.status import Percentiles

SMOOTHING_S = 5.0  # the time constant: a change shows to 63 % after so long
LATENCIES_KEPT = 1024


class Rate:
    """How fast a counter grows: an exponentially weighted mean of its steps, `SMOOTHING_S` long."""

    __slots__ = ("_count", "_time_s", "_weight", "per_s")

    def __init__(self, *, count: int, time_s: float) -> None:
        self._count = count
        self._time_s = time_s
        self._weight = 0.0
        self.per_s = 0.0

    def sample(self, count: int, time_s: float) -> None:
        """Take in what the counter shows at `time_s`. A sample of the same moment changes nothing."""
        span_s = time_s - self._time_s
        if span_s <= 0:
            return
        decay = math.exp(-span_s / SMOOTHING_S)
        weight = self._weight * decay + (1 - decay)
        step = max(0, count - self._count) / span_s
        self.per_s = (self.per_s * self._weight * decay + step * (1 - decay)) / weight
        self._count, self._time_s, self._weight = count, time_s, weight


def remaining_s(done: int, total: int | None, per_s: float) -> float | None:
    """Seconds until `total` at this rate; None while the total is unknown or nothing moves."""
    if total is None or per_s <= 0:
        return None
    return max(0, total - done) / per_s


class LatencyWindow:
    """The last 1,024 latencies, with when they were taken."""

    def __init__(self) -> None:
        self._samples: deque[tuple[float, float]] = deque(maxlen=LATENCIES_KEPT)

    def add(self, latency_s: float, *, time_s: float) -> None:
        """Take in a latency that ended at `time_s`."""
        self._samples.append((time_s, max(0.0, latency_s)))

    def percentiles(self, time_s: float) -> Percentiles:
        """The distribution at `time_s`; the window reaches back to the oldest sample kept."""
        if not self._samples:
            return Percentiles(count=0, window_s=0.0)
        ordered = sorted(latency_s for _, latency_s in self._samples)

        def at(share: float) -> float:
            return ordered[max(0, math.ceil(share * len(ordered)) - 1)]

        return Percentiles(
            count=len(ordered),
            window_s=max(0.0, time_s - self._samples[0][0]),
            p50_s=at(0.50),
            p95_s=at(0.95),
            p99_s=at(0.99),
            max_s=ordered[-1],
        )

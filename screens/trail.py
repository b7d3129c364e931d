"""Samples over time, put into as many equal steps as a chart has columns. Pure; drawing thread.

Steps are aligned to the clock, not to the newest sample, so that a curve moves as a whole and does not
shimmer. A step without a sample of its own shows the last one, as long as that is fresh.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import NamedTuple

from engine.contract.status import Performance, RatePoint
from screens.widgets.plot import Series, Values

SECOND_NS = 10**9
FRESH_NS = 3 * SECOND_NS  # a sample a second is the rule; older than this, a gap is shown as one
WINDOWS_S = (60.0, 120.0, 300.0, 900.0, 3600.0)


class Spread(NamedTuple):
    """Percentiles of job initiation at one moment, as this screen saw them. Seconds."""

    time_ns: int
    p50_s: float
    p95_s: float
    p99_s: float


def steps(times: Sequence[int], values: Sequence[float], *, now: int, window_s: float, count: int) -> Values:
    """The mean of the samples in each of `count` steps of the window that ends at `now`. Times in ns, ascending."""
    step_ns = max(1, round(window_s * SECOND_NS / max(1, count)))
    end = (now // step_ns + 1) * step_ns
    start = end - count * step_ns
    sums = [0.0] * count
    counts = [0] * count
    last: list[int] = [0] * count  # time of the newest sample at or before each step
    carried = (0, 0.0)
    for time, value in zip(times, values, strict=True):
        if time < start:
            carried = (time, value)
        elif time < end:
            at = (time - start) // step_ns
            sums[at] += value
            counts[at] += 1
            last[at] = time
    out: list[float | None] = []
    seen_ns, seen = carried
    for at in range(count):
        if counts[at]:
            seen_ns, seen = last[at], sums[at] / counts[at]
            out.append(seen)
        else:
            fresh = seen_ns and start + at * step_ns - seen_ns < FRESH_NS
            out.append(seen if fresh else None)
    return out


def throughput(performance: Performance, *, now: int, window_s: float, count: int) -> tuple[Series, ...]:
    """Bytes stored (filled), source bytes read (line) and bytes restored (dots), per second: less lies under more."""
    points = performance.history
    times = [point.time_ns for point in points]

    def values(read: Callable[[RatePoint], float]) -> Values:
        return steps(times, [read(point) for point in points], now=now, window_s=window_s, count=count)

    return (
        Series("stored", "stored", "area", values(lambda point: point.stored_bytes_per_s)),
        Series("read", "read", "line", values(lambda point: point.read_bytes_per_s)),
        Series("restored", "restored", "dots", values(lambda point: point.restored_bytes_per_s)),
    )


def initiation(trail: Sequence[Spread], *, now: int, window_s: float, count: int) -> tuple[Series, ...]:
    """p50 (filled), p95 (line) and p99 (dots) of job initiation."""
    times = [point.time_ns for point in trail]

    def values(read: Callable[[Spread], float]) -> Values:
        return steps(times, [read(point) for point in trail], now=now, window_s=window_s, count=count)

    return (
        Series("p50", "p50", "area", values(lambda point: point.p50_s)),
        Series("p95", "p95", "line", values(lambda point: point.p95_s)),
        Series("p99", "p99", "dots", values(lambda point: point.p99_s)),
    )

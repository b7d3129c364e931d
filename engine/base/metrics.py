"""Latency as a distribution: HDR histograms, in which every value keeps two significant digits.

In: seconds. Out: quantiles over a stated window. The buckets are those of HdrHistogram: linear up to 256 µs, then 128
to each doubling, so a figure is at most 0.8 % off, from 1 µs to an hour, and recording costs an addition. A window
is made of slices, each its own histogram; the oldest goes whole. Not locked: the owner names its lock or thread.
"""

from __future__ import annotations

import math
from collections import deque

import msgspec

TICK_S = 1e-6
LINEAR_TICKS = 256
_HALF = LINEAR_TICKS // 2
_LONGEST_TICKS = 3_600_000_000


class Spread(msgspec.Struct, frozen=True):
    """A distribution: how many values, how far back the oldest may lie, and quantiles. Seconds."""

    count: int
    window_s: float
    p50_s: float
    p95_s: float
    p99_s: float
    max_s: float


NO_SPREAD = Spread(0, 0.0, 0.0, 0.0, 0.0, 0.0)


def bucket_of(seconds: float) -> int:
    """The bucket that holds a value; what is longer than an hour counts as an hour."""
    ticks = min(_LONGEST_TICKS, max(0, round(seconds / TICK_S)))
    shift = max(0, ticks.bit_length() - 8)
    return shift * _HALF + (ticks >> shift)


def value_of(bucket: int) -> float:
    """The middle of what a bucket holds, in seconds."""
    if bucket < LINEAR_TICKS:
        return bucket * TICK_S
    shift = bucket // _HALF - 1
    ticks = (bucket - shift * _HALF) << shift
    return (ticks + (1 << shift) / 2) * TICK_S


class Histogram:
    """Counts by bucket."""

    __slots__ = ("count", "counts", "max_s")

    def __init__(self) -> None:
        self.counts: dict[int, int] = {}
        self.count = 0
        self.max_s = 0.0

    def record(self, seconds: float) -> None:
        """Take in one value."""
        bucket = bucket_of(seconds)
        self.counts[bucket] = self.counts.get(bucket, 0) + 1
        self.count += 1
        self.max_s = max(self.max_s, seconds)

    def add(self, other: Histogram) -> None:
        """Take in all that another holds."""
        for bucket, count in other.counts.items():
            self.counts[bucket] = self.counts.get(bucket, 0) + count
        self.count += other.count
        self.max_s = max(self.max_s, other.max_s)

    def quantiles(self, shares: tuple[float, ...]) -> list[float]:
        """The value that each share of all values does not pass; `shares` ascend. Nothing recorded: zeros."""
        found: list[float] = []
        seen = 0
        buckets = iter(sorted(self.counts))
        bucket = -1
        for share in shares:
            wanted = max(1, math.ceil(share * self.count))
            while seen < min(wanted, self.count):
                bucket = next(buckets)
                seen += self.counts[bucket]
            found.append(min(value_of(bucket), self.max_s) if bucket >= 0 else 0.0)
        return found


class RollingHistogram:
    """The values of the last `window_s` seconds, to a slice exact."""

    def __init__(self, *, window_s: float, slices: int = 10) -> None:
        self._slice_s = window_s / slices
        self._slices: deque[tuple[int, Histogram]] = deque(maxlen=slices)

    def record(self, seconds: float, *, time_s: float) -> None:
        """Take in a value that was known at `time_s`, which never goes back."""
        at = int(time_s // self._slice_s)
        if not self._slices or self._slices[-1][0] < at:
            self._slices.append((at, Histogram()))
        self._slices[-1][1].record(seconds)

    def spread(self, *, time_s: float) -> Spread:
        """The distribution at `time_s`."""
        now = int(time_s // self._slice_s)
        limit = now - (self._slices.maxlen or 1)
        while self._slices and self._slices[0][0] <= limit:
            self._slices.popleft()
        if not self._slices:
            return NO_SPREAD
        whole = Histogram()
        for _, part in self._slices:
            whole.add(part)
        p50_s, p95_s, p99_s = whole.quantiles((0.50, 0.95, 0.99))
        window_s = time_s - self._slices[0][0] * self._slice_s
        return Spread(whole.count, window_s, p50_s, p95_s, p99_s, whole.max_s)

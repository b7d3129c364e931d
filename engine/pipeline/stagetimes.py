"""What the stages of the data plane cost: sums since the start, and how long a unit spends in each, as a distribution.

In: what one unit spent, handed over once a unit. Out: a figure a stage. Any thread; one lock, held for a few
microseconds a unit and outside the streams' own lock.
"""

from __future__ import annotations

import threading
from collections.abc import Mapping
from typing import Literal

import msgspec

from engine.base.metrics import NO_SPREAD, RollingHistogram, Spread

Stage = Literal["read", "chunk", "index", "compress", "seal", "compare", "write", "publish", "fetch", "open", "place"]

WINDOW_S = 600.0
SLICES = 20
FRESH_S = 1.0  # figures younger than this are shown again


class StageFigure(msgspec.Struct, frozen=True):
    """One stage: thread seconds and bytes since the start, and seconds of a unit."""

    thread_s: float
    size_bytes: int
    unit: Spread


class _Times(msgspec.Struct):
    thread_s: float = 0.0
    size_bytes: int = 0
    units: RollingHistogram = msgspec.field(default_factory=lambda: RollingHistogram(window_s=WINDOW_S, slices=SLICES))
    shown: Spread = NO_SPREAD


class StageTimes:
    """The stages of one pool of streams."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._times: dict[Stage, _Times] = {}
        self._shown_s = float("-inf")

    def add(self, spent: Mapping[Stage, tuple[float, int]], *, time_s: float) -> None:
        """Take in what one unit spent: stage → (seconds, bytes). `time_s` is the moment it ended."""
        with self._lock:
            for stage, (seconds, size_bytes) in spent.items():
                times = self._times.get(stage)
                if times is None:
                    times = self._times[stage] = _Times()
                times.thread_s += seconds
                times.size_bytes += size_bytes
                times.units.record(seconds, time_s=time_s)

    def figures(self, *, time_s: float) -> dict[Stage, StageFigure]:
        """Each stage as it stands; distributions are made anew once a second."""
        with self._lock:
            if time_s - self._shown_s >= FRESH_S:
                self._shown_s = time_s
                for times in self._times.values():
                    times.shown = times.units.spread(time_s=time_s)
            return {
                stage: StageFigure(times.thread_s, times.size_bytes, times.shown)
                for stage, times in self._times.items()
            }

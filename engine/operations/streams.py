"""How many streams work, and how it came to be that many. Engine loop only."""

from __future__ import annotations

import os
from collections import deque
from typing import Literal

from engine.base.clock import Clock
from engine.base.metrics import Spread
from engine.base.units import format_count
from engine.contract.settings import STREAMS_MAX, Settings
from engine.contract.status import AutoScaling, Percentiles, StageTime, StreamChange
from engine.pipeline.pool import StreamPool
from engine.scaling.pool import LocalPool

_CHANGES_KEPT = 50
Mode = Literal["default", "manual", "auto"]


def percentiles_of(spread: Spread) -> Percentiles:
    """A distribution as the status document has it."""
    return Percentiles(
        count=spread.count,
        window_s=spread.window_s,
        p50_s=spread.p50_s,
        p95_s=spread.p95_s,
        p99_s=spread.p99_s,
        max_s=spread.max_s,
    )


def default_streams() -> int:
    """What this machine suggests: its cores and one, so that a stream that waits for a disk leaves no core idle."""
    return min(STREAMS_MAX, len(os.sched_getaffinity(0)) + 1)


def mode_of(given: int | None, settings: Settings) -> Mode:
    """How the number begins: as a person gave it, as the setting says, or as this machine suggests until a decision."""
    return "manual" if given or (settings.engine.streams and settings.scaling.mode == "manual") else "default"


class Streams:
    """The size of the pool, with its history."""

    def __init__(self, pool: StreamPool, *, mode: Mode, clock: Clock) -> None:
        self._pool = pool
        self.nodes = LocalPool(pool)
        self._clock = clock
        self.mode: Mode = mode
        self._after: tuple[int, Mode] | None = None  # number and mode to go back to
        self._until_ns: int | None = None
        self._timeline: deque[StreamChange] = deque(maxlen=_CHANGES_KEPT)
        self._note("start")

    def __str__(self) -> str:
        return format_count(self.size, "stream")

    @property
    def size(self) -> int:
        """Streams there are."""
        return self._pool.size

    @property
    def until_ns(self) -> int | None:
        """When the number goes back to what it was."""
        return self._until_ns

    def resize(self, target: int, *, mode: Mode, reason: str, until_ns: int | None = None) -> int:
        """Set the number of streams, until a moment or for good; the number before."""
        before = self._pool.size
        if until_ns is None:
            self._after = None
        elif self._until_ns is None:  # else what was before stays what it goes back to
            self._after = (before, self.mode)
        self._until_ns = until_ns
        self.nodes.resize({"reserved": target})
        self.mode = mode
        if target != before or until_ns is not None:
            self._note(reason)
        return before

    def go_back_if_due(self) -> bool:
        """Return to the number before, if the time of this one is over. Whether it did."""
        if self._until_ns is None or self._after is None or self._clock.now_ns() < self._until_ns:
            return False
        target, mode = self._after
        self.resize(target, mode=mode, reason="the time of the number before is over")
        return True

    def shown(self) -> AutoScaling:
        """As the status document has it."""
        return AutoScaling(
            streams=self._pool.size,
            streams_busy=self._pool.busy,
            target=self._pool.size,
            mode=self.mode,
            until_ns=self._until_ns,
            timeline=tuple(self._timeline),
        )

    def stages(self) -> tuple[StageTime, ...]:
        """What each stage of the data plane has cost."""
        return tuple(
            StageTime(stage=stage, thread_s=each.thread_s, bytes=each.size_bytes, unit=percentiles_of(each.unit))
            for stage, each in self._pool.stages().items()
        )

    def _note(self, reason: str) -> None:
        self._timeline.append(StreamChange(time_ns=self._clock.now_ns(), streams=self._pool.size, reason=reason))

"""How many streams work, and how it came to be that many. Engine loop only."""

from __future__ import annotations

import os
from collections import deque
from typing import Literal

from engine.base.clock import Clock
from engine.contract.settings import STREAMS_MAX
from engine.contract.status import AutoScaling, StageTime, StreamChange
from engine.pipeline.pool import StreamPool

_CHANGES_KEPT = 50
Mode = Literal["default", "manual"]


def default_streams() -> int:
    """What this machine suggests: its cores and one, so that a stream that waits for a disk leaves no core idle."""
    return min(STREAMS_MAX, len(os.sched_getaffinity(0)) + 1)


class Streams:
    """The size of the pool, with its history."""

    def __init__(self, pool: StreamPool, *, mode: Mode, clock: Clock) -> None:
        self._pool = pool
        self._clock = clock
        self.mode: Mode = mode
        self._timeline: deque[StreamChange] = deque(maxlen=_CHANGES_KEPT)
        self._note("start")

    @property
    def size(self) -> int:
        """Streams there are."""
        return self._pool.size

    def resize(self, target: int, *, mode: Mode, reason: str) -> int:
        """Set the number of streams; the number before."""
        before = self._pool.size
        self._pool.resize(target)
        self.mode = mode
        if target != before:
            self._note(reason)
        return before

    def shown(self) -> AutoScaling:
        """As the status document has it."""
        return AutoScaling(
            streams=self._pool.size,
            streams_busy=self._pool.busy,
            target=self._pool.size,
            mode=self.mode,
            timeline=tuple(self._timeline),
        )

    def stages(self) -> tuple[StageTime, ...]:
        """What each stage of the data plane has cost since the start."""
        return tuple(
            StageTime(stage=stage, thread_s=seconds, bytes=size_bytes)
            for stage, (seconds, size_bytes) in self._pool.stages.items()
        )

    def _note(self, reason: str) -> None:
        self._timeline.append(StreamChange(time_ns=self._clock.now_ns(), streams=self._pool.size, reason=reason))

"""A run that counts its units, and pools to try it on."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from functools import partial

from engine.base.clock import SystemClock
from engine.pipeline.pool import Buffers, Run, StreamPool, Unit

ENDED_S = 60.0


class Counted(Run[int]):
    """Gives `units` units, up to `window` at once; each does `work`."""

    def __init__(
        self, units: int, work: Callable[[int], None] = lambda _: None, *, window: int = 1 << 30, parks: bool = False
    ) -> None:
        super().__init__()
        self.left = units
        self.work = work
        self.window = window
        self.parks = parks  # whether it has nothing to give while a unit is in flight
        self.carried_out: list[int] = []
        self.aborted = 0
        self.checkpoints = 0
        self.asking = 0
        self.unit_cost = 0

    def next_unit(self, *, idle: bool) -> Unit | None:
        """The next number."""
        self.asking += 1
        assert self.asking == 1, "one stream asks at a time"
        try:
            if not self.left or self.in_flight >= self.window or (self.parks and not idle):
                return None
            self.left -= 1
            number, self.cost = self.left, self.unit_cost
            return partial(self._carry_out, number)
        finally:
            self.asking -= 1

    def _carry_out(self, number: int, _: Buffers) -> None:
        self.work(number)
        self.carried_out.append(number)

    def conclude(self, buffers: Buffers) -> int:
        """How many units there were."""
        return len(self.carried_out)

    def checkpoint(self, buffers: Buffers) -> None:
        """Counted."""
        assert self.in_flight == 1  # this one
        self.checkpoints += 1

    def abort(self) -> None:
        """Counted."""
        self.aborted += 1


def new_pool(size: int) -> StreamPool:
    """So many streams, on the clock of the machine."""
    return StreamPool(size, clock=SystemClock())


def ended(run: Run[int]) -> BaseException | None:
    """What `run` ended with; None when it ended well."""
    return run.done.exception(ENDED_S)


def wait(event: threading.Event) -> None:
    """Come back when `event` is set."""
    assert event.wait(ENDED_S)


def close(pool: StreamPool, go_on: threading.Event) -> None:
    """Close it while units are in flight, which go on once it is closing."""
    closing = threading.Thread(target=pool.close)
    closing.start()
    while not pool._closed:
        time.sleep(0)
    go_on.set()
    closing.join(ENDED_S)

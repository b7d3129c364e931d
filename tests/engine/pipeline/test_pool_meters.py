"""Streams and what a tier may move."""

from __future__ import annotations

import pytest

from engine.base.clock import SystemClock
from engine.pipeline.pool import Buffers, Cancelled, Run, StreamPool, Unit
from engine.storage.stores.metered import Meter

ENDED_S = 60.0


class Counted(Run[int]):
    """So many units that do nothing but count."""

    def __init__(self, units: int) -> None:
        super().__init__()
        self.left = units
        self.carried_out = 0

    def next_unit(self, *, idle: bool) -> Unit | None:
        self.left -= 1
        return self._unit if self.left >= 0 else None

    def _unit(self, buffers: Buffers) -> None:
        self.carried_out += 1

    def conclude(self, buffers: Buffers) -> int:
        return self.carried_out


def test_no_unit_is_begun_while_a_tier_is_in_debt_but_what_is_to_stop_ends() -> None:
    """At ten bytes a second what was moved before takes years; a lifted limit is heard of at once."""
    meter = Meter(SystemClock())
    made = StreamPool(2, clock=SystemClock(), meters=(meter,))
    try:
        meter.set_limit(10.0)
        meter.written(10_000_000_000)
        stopped, run = Counted(100), Counted(5)
        made.submit(stopped)
        made.submit(run)
        stopped.cancel()
        with pytest.raises(Cancelled):
            stopped.done.result(ENDED_S)
        assert (stopped.carried_out, run.carried_out) == (0, 0)
        meter.set_limit(None)
        made.look_again()
        assert run.done.result(ENDED_S) == 5
    finally:
        made.close()

"""What stages cost: added up over streams, and a distribution over units that is made anew once a second."""

from __future__ import annotations

import pytest

from engine.pipeline.pool import Unit
from engine.pipeline.stagetimes import StageTimes
from tests.engine.pipeline.pooling import Counted, ended, new_pool


def test_stages_add_up_over_streams() -> None:
    """Each stream's times and bytes are handed over with its units."""

    class Timed(Counted):
        def next_unit(self, *, idle: bool) -> Unit | None:
            unit = super().next_unit(idle=idle)
            return None if unit is None else lambda buffers: buffers.spent("read", 0.5, 10)

    pool = new_pool(2)
    run = Timed(20)
    pool.submit(run)
    assert ended(run) is None
    (figure,) = pool.stages().values()
    assert (figure.thread_s, figure.size_bytes, figure.unit.count) == (10.0, 200, 20)
    assert figure.unit.p99_s == pytest.approx(0.5, rel=0.01)
    pool.close()


def test_distributions_are_made_anew_once_a_second() -> None:
    times = StageTimes()
    times.add({"seal": (0.25, 10)}, time_s=5.0)
    assert times.figures(time_s=5.0)["seal"].unit.count == 1
    times.add({"seal": (0.25, 10)}, time_s=5.1)
    figure = times.figures(time_s=5.2)["seal"]
    assert (figure.thread_s, figure.size_bytes, figure.unit.count) == (0.5, 20, 1)
    assert times.figures(time_s=6.1)["seal"].unit.count == 2

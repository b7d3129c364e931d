"""An outlook is read by moment and quantile."""

from __future__ import annotations

import pytest

from engine.base.invariants import BrokenInvariant
from engine.scaling.outlook import Outlook

HOUR_NS = 3600 * 10**9


def outlook() -> Outlook:
    return Outlook(
        begin_ns=10 * HOUR_NS,
        step_ns=HOUR_NS,
        levels=(0.5, 0.9),
        jobs=((10, 20), (0, 4)),
        size_bytes=((1000, 2000), (0, 400)),
        booked_share=0.6,
        basis="calendar",
    )


@pytest.mark.parametrize(
    ("when_ns", "level", "jobs"),
    [
        (10 * HOUR_NS, 0.5, 10),
        (11 * HOUR_NS - 1, 0.9, 20),
        (11 * HOUR_NS, 0.7, 2),
        (10 * HOUR_NS, 0.1, 10),
        (10 * HOUR_NS, 0.99, 20),
        (12 * HOUR_NS, 0.5, 0),
        (10 * HOUR_NS - 1, 0.5, 0),
    ],
)
def test_a_step_is_read_at_a_quantile(when_ns: int, level: float, jobs: float) -> None:
    assert outlook().jobs_at(when_ns, level) == pytest.approx(jobs)
    assert outlook().bytes_at(when_ns, level) == pytest.approx(jobs * 100)


def test_quantiles_that_do_not_rise_are_a_bug() -> None:
    with pytest.raises(BrokenInvariant):
        Outlook(begin_ns=0, step_ns=1, levels=(0.9, 0.5), jobs=(), size_bytes=(), booked_share=0.0, basis="no-calendar")

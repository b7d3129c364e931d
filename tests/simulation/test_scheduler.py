"""The scheduler as a whole: the real dispatcher, queue, retries and fair turns over SIMULATED streams and time.

`SIMULATIONS=5000` (`make simulate`) looks at more mixes; `SEED=n` begins with another one.
"""

from __future__ import annotations

import os

import pytest

from engine.jobs.figures import DEADLINES_S
from engine.jobs.job import Job
from tests.simulation.mixes import make_mix
from tests.simulation.run import Outcome, simulate

COUNT = int(os.environ.get("SIMULATIONS", "200"))
FIRST = int(os.environ.get("SEED", "1"))
AT_A_TIME = 100


def promised(outcome: Outcome) -> list[int]:
    """Jobs whose deadline capacity allows, by docs/jobs.md."""
    checks = outcome.checks
    return [n for n, job in enumerate(outcome.jobs) if checks.promised_s(n) <= DEADLINES_S[job.priority]]


def took_s(job: Job) -> float:
    """How long it took until what its deadline is for: its end, of a retrieval its first byte."""
    is_begun = job.kind == "retrieve" and job.initiation_s is not None
    return job.initiation_s or 0.0 if is_begun else (job.ended_ns - job.queued_ns) / 1e9


def late(outcome: Outcome) -> list[int]:
    """Those of them that came so far after it."""
    return [n for n in promised(outcome) if took_s(outcome.jobs[n]) > DEADLINES_S[outcome.jobs[n].priority]]


@pytest.mark.parametrize("first", range(FIRST, FIRST + COUNT, AT_A_TIME))
def test_in_random_mixes_the_scheduler_keeps_every_promise(first: int) -> None:
    """Shares, limits, order and room are checked at every step (`checks`); here: every job ends, and in time."""
    promises, share_error = 0, 0.0
    for seed in range(first, first + AT_A_TIME):
        mix = make_mix(seed)
        outcome = simulate(mix)
        for number, (job, order) in enumerate(zip(outcome.jobs, mix.orders, strict=True)):
            assert job.ended, f"seed {seed}: job {number} is left {job.state}"
            assert job.state == "cancelled" or (job.state == "failed") <= bool(order.errors), f"seed {seed}: {job}"
            assert job.state != "done" or outcome.works[number].remaining == 0, (
                f"seed {seed}: job {number} is cut short"
            )
        assert late(outcome) == [], f"seed {seed}: capacity allowed these deadlines"
        promises += len(promised(outcome))
        share_error = max(share_error, outcome.checks.share_error)
    assert promises > 3 * AT_A_TIME, "hardly anything was promised"
    assert 0.5 < share_error <= 1.0, "classes never came near the bound, or passed it"


def test_without_turns_by_deadline_some_would_be_missed() -> None:
    """The same promise, of a scheduler that shares evenly only: overrun classes end all their jobs late together."""
    assert any(late(simulate(make_mix(seed), deadlines=False)) for seed in range(85, 90))


def test_the_same_seed_gives_the_same_trace() -> None:
    """Nothing depends on chance but the seed: two runs do the same things at the same moments."""
    for seed in (3, 44, 175):
        assert simulate(make_mix(seed)).trace == simulate(make_mix(seed)).trace
    assert simulate(make_mix(1)).trace != simulate(make_mix(2)).trace

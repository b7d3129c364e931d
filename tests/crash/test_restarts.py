"""An engine that is killed while it takes on jobs forgets none that it has acknowledged.

`make kill-test` runs a hundred rounds; here are a few.
"""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from tests.crash.busy import Trial

ROUNDS = int(os.environ.get("KILL_ROUNDS", "3"))
ROUNDS_A_HOME = 10  # so that a test of many rounds stays within its time


@pytest.mark.parametrize("seed", range(-(-ROUNDS // ROUNDS_A_HOME)))
def test_no_acknowledged_job_is_lost_and_every_snapshot_can_be_read(tmp_path: Path, seed: int) -> None:
    trial = Trial(tmp_path, seed=seed)
    for _ in range(min(ROUNDS, ROUNDS_A_HOME)):
        trial.round()
    assert trial.acknowledged
    trial.check()


def test_a_paused_job_stays_paused_over_a_restart_and_then_goes_on(tmp_path: Path) -> None:
    trial = Trial(tmp_path, seed=8)
    trial.paused_stays_paused()
    trial.check()

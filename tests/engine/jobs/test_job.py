"""A job's states: what may follow what, and how a row shows it."""

from __future__ import annotations

import itertools
from typing import get_args

import pytest

from engine.base.errors import LimitReached
from engine.base.invariants import BrokenInvariant
from engine.contract.status import JOB_STATES_ENDED, JobState
from engine.jobs.job import HISTORY_MAX, TRANSITIONS, Counts, Job
from engine.jobs.measure import Rate

STATES: tuple[JobState, ...] = get_args(JobState)


def job(state: JobState = "queued") -> Job:
    return Job(
        id="ab" * 16, kind="backup", wedding_id="0" * 32, wedding="smith-jones", priority="standard",
        priority_given=False, queued_ns=1_000, queued_monotonic_s=0.0, state=state,
    )  # fmt: skip


def test_every_state_has_its_row_and_ended_ones_lead_nowhere() -> None:
    assert set(TRANSITIONS) == set(STATES)
    assert {state for state in STATES if not TRANSITIONS[state]} == JOB_STATES_ENDED


@pytest.mark.parametrize(("before", "after"), itertools.product(STATES, STATES))
def test_only_what_the_table_allows_may_happen(before: JobState, after: JobState) -> None:
    moved = job(before)
    if after in TRANSITIONS[before]:
        moved.move(after, now_ns=5)
        assert moved.state == after
    else:
        with pytest.raises(BrokenInvariant):
            moved.move(after, now_ns=5)
        assert moved.state == before


def test_a_failure_leaves_its_line_and_code() -> None:
    failed = job("running")
    failed.fail(LimitReached("the disk is full", "make room"), now_ns=7)
    row = failed.row()
    assert (row.state, row.message, row.code, row.ended_ns) == (
        "failed", "the disk is full; make room", "limit-reached", 7,
    )  # fmt: skip


def test_a_running_row_shows_counters_rate_and_remaining_time() -> None:
    rate = Rate(count=0, time_s=0.0)
    rate.sample(100, 1.0)
    row = job("running").row(Counts(bytes_read=100, bytes_total=300, current="srv/a.jpg"), rate)
    assert row.rate_bytes_per_s == pytest.approx(100)
    assert row.eta_s == pytest.approx(2)
    assert row.current == "srv/a.jpg"


def test_an_ended_row_shows_its_mean_rate_and_nothing_at_work() -> None:
    ended = job()
    ended.move("running", now_ns=10**9)
    ended.counts = Counts(bytes_read=500, bytes_total=500, current="srv/a.jpg")
    ended.move("done", now_ns=3 * 10**9)
    row = ended.row()
    assert (row.rate_bytes_per_s, row.eta_s, row.current) == (250.0, None, "")


def test_the_course_of_a_job_is_kept_turn_by_turn() -> None:
    kept = job()
    kept.move("running", now_ns=1)
    kept.move("queued", now_ns=2, message="the store does not answer; tried again in 2s")
    kept.move("running", now_ns=3)
    kept.move("paused", now_ns=4, message="resume lets it go on")
    kept.move("queued", now_ns=5)
    kept.move("running", now_ns=6)
    kept.move("done", now_ns=7)
    assert [tuple(turn) for turn in kept.history] == [
        (1, "started", ""),
        (2, "attempt-failed", "the store does not answer; tried again in 2s"),
        (3, "started", ""),
        (4, "paused", ""),
        (5, "resumed", ""),
        (6, "started", ""),
        (7, "done", ""),
    ]


def test_a_job_without_end_keeps_the_newest_turns() -> None:
    kept = job()
    for number in range(HISTORY_MAX):
        kept.move("paused", now_ns=2 * number)
        kept.move("queued", now_ns=2 * number + 1)
    assert len(kept.history) == HISTORY_MAX
    assert kept.history[-1].time_ns == 2 * HISTORY_MAX - 1


def test_a_reason_to_wait_goes_when_the_wait_is_over() -> None:
    kept = job("running")
    kept.move("queued", now_ns=2, message="tried again in 2s")
    kept.retry_ns = 9
    assert kept.row().retry_ns == 9
    kept.move("cancelled", now_ns=3)
    assert (kept.row().retry_ns, kept.message) == (None, "")

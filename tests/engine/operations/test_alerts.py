"""Jobs that want a person: told until a later one of their kind and wedding ends better, or until they are old."""

from __future__ import annotations

from typing import get_args

import pytest

from engine.contract.status import JobKind, JobState
from engine.jobs.job import Counts, Job
from engine.operations.alerts import FAILURE_STANDS_NS, WARNING_STANDS_NS, job_alerts

NOW_NS = 1_781_956_800 * 10**9
MINUTE_NS = 60 * 10**9


def _job(state: JobState, *, kind: JobKind = "backup", wedding: str = "smith-jones", warnings: int = 0) -> Job:
    return Job(
        id="5f0c" * 8, kind=kind, wedding_id=wedding, wedding=wedding, priority="standard", priority_given=False,
        queued_ns=NOW_NS - 2 * MINUTE_NS, queued_monotonic_s=0.0, state=state, ended_ns=NOW_NS - MINUTE_NS,
        message="the card cannot be read" if state == "failed" else "", counts=Counts(warnings=warnings),
    )  # fmt: skip


def test_a_failure_is_critical_and_says_why_and_what_to_do() -> None:
    (alert,) = job_alerts([_job("failed")], now_ns=NOW_NS)
    assert (alert.level, alert.subject, alert.since_ns) == ("critical", "smith-jones", NOW_NS - MINUTE_NS)
    assert alert.message == "backup failed: the card cannot be read; back it up again"


@pytest.mark.parametrize("kind", get_args(JobKind))
def test_a_failure_of_every_kind_says_what_to_do(kind: JobKind) -> None:
    (alert,) = job_alerts([_job("failed", kind=kind)], now_ns=NOW_NS)
    assert alert.message.startswith(f"{kind} failed: the card cannot be read; ")


def test_a_better_job_of_the_same_kind_and_wedding_ends_it() -> None:
    later = [_job("done"), _job("failed")]
    assert list(job_alerts(later, now_ns=NOW_NS)) == []
    others = [_job("done", kind="verify"), _job("done", wedding="lee-park"), _job("failed")]
    assert len(list(job_alerts(others, now_ns=NOW_NS))) == 1


def test_a_job_that_runs_or_was_stopped_changes_nothing() -> None:
    running = _job("running")
    assert len(list(job_alerts([running, _job("cancelled"), _job("failed")], now_ns=NOW_NS))) == 1


@pytest.mark.parametrize(("count", "words"), [(1, "1 file could"), (3, "3 files could"), (0, "some files could")])
def test_warnings_are_a_warning(count: int, words: str) -> None:
    (alert,) = job_alerts([_job("warnings", warnings=count)], now_ns=NOW_NS)
    assert alert.level == "warning"
    assert alert.message.startswith(f"{words} not be kept as they were")


def test_what_is_old_is_told_no_more() -> None:
    assert list(job_alerts([_job("failed")], now_ns=NOW_NS + FAILURE_STANDS_NS)) == []
    assert list(job_alerts([_job("warnings")], now_ns=NOW_NS + WARNING_STANDS_NS)) == []

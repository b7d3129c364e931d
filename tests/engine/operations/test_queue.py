"""jobs, wait, cancel, on a real engine."""

from __future__ import annotations

import pytest

from engine.base.errors import Conflict, NotFound, UsageError
from engine.contract import operations as ops
from tests.engine.operations.conftest import Asking, backup_of, fresh_wedding


def test_jobs_are_listed_newest_first_and_can_be_narrowed(asking: Asking) -> None:
    wedding = fresh_wedding(asking, "lists-jobs")
    first = asking.ask(backup_of(wedding, asking.folder / "source"), ops.JobResult).job
    second = asking.ask(ops.Verify(wedding=wedding), ops.VerifyReport).job
    found = asking.ask(ops.ListJobs(wedding=wedding), ops.JobList)
    assert [row.id for row in found.jobs] == [second.id, first.id]
    assert asking.ask(ops.ListJobs(wedding=wedding, kind="verify"), ops.JobList).total == 1
    assert asking.ask(ops.ListJobs(wedding=wedding, state="failed"), ops.JobList).total == 0
    cut = asking.ask(ops.ListJobs(limit=1), ops.JobList)
    assert len(cut.jobs) == 1
    assert cut.total >= 3


def test_wait_tells_once_of_each_job_that_nobody_waited_for(asking: Asking) -> None:
    wedding = fresh_wedding(asking, "waits")
    operation = ops.StartBackup(wedding=wedding, sources=(str(asking.folder / "source"),))
    asking.ask(ops.WaitForJobs(), ops.JobList)
    jobs = {asking.ask(operation, ops.JobResult).job.id for _ in range(3)}
    waited = asking.ask(ops.WaitForJobs(timeout="1m"), ops.JobList)
    assert {row.id for row in waited.jobs} == jobs
    assert {row.state for row in waited.jobs} == {"done"}
    assert asking.ask(ops.WaitForJobs(), ops.JobList).total == 0


def test_waiting_for_one_job_takes_its_first_digits(asking: Asking) -> None:
    wedding = fresh_wedding(asking, "waits-one")
    job = asking.ask(backup_of(wedding, asking.folder / "source"), ops.JobResult).job
    (row,) = asking.ask(ops.WaitForJobs(job=job.id[:12]), ops.JobList).jobs
    assert row.id == job.id
    with pytest.raises(NotFound):
        asking.ask(ops.WaitForJobs(job="zzzz"), ops.JobList)
    with pytest.raises(UsageError, match="span of time"):
        asking.ask(ops.WaitForJobs(timeout="soon"), ops.JobList)


def test_a_job_that_has_ended_cannot_be_cancelled(asking: Asking) -> None:
    wedding = fresh_wedding(asking, "cancels")
    job = asking.ask(backup_of(wedding, asking.folder / "source"), ops.JobResult).job
    with pytest.raises(Conflict, match="has ended already: done"):
        asking.ask(ops.CancelJob(job=job.id), ops.JobResult)

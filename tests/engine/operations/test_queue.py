"""jobs, wait, cancel, on a real engine."""

from __future__ import annotations

import os

import msgspec
import pytest

from engine.base.errors import Conflict, NotFound, UsageError
from engine.contract import operations as ops
from engine.contract.settings import WARNINGS_TOLD
from engine.contract.status import JobRow
from engine.operations.queue import warnings_told
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


def test_a_wait_tells_which_files_its_jobs_warned_of(asking: Asking) -> None:
    wedding = fresh_wedding(asking, "waits-warned")
    source = asking.folder / "long-paths"
    deep, shown = os.open(asking.folder, os.O_RDONLY), str(asking.folder)
    try:
        for name in ("long-paths", *(f"{number:0200}" for number in range(30))):  # over the 4,096 bytes of a path
            os.mkdir(name, dir_fd=deep)
            shown += f"/{name}"
            deep, above = os.open(name, os.O_RDONLY, dir_fd=deep), deep
            os.close(above)
    finally:
        os.close(deep)
    asking.ask(ops.WaitForJobs(), ops.JobList)
    asking.ask(ops.StartBackup(wedding=wedding, sources=(str(source),)), ops.JobResult)
    waited = asking.ask(ops.WaitForJobs(), ops.JobList)
    (told,) = waited.warnings
    assert told.partition(": ")[0] in shown
    assert waited.jobs[0].first_warnings == (told,)
    assert asking.ask(ops.ListJobs(wedding=wedding), ops.JobList).warnings == ()  # a list is no warning


def test_of_very_many_warnings_the_first_are_told_and_the_others_counted() -> None:
    lines = tuple(f"/{number}.jpg: gone" for number in range(WARNINGS_TOLD))
    row = JobRow(
        id="1", kind="backup", wedding="smith-jones", state="warnings", priority="standard", queued_ns=0,
        warnings=1_234, first_warnings=lines,
    )  # fmt: skip
    assert warnings_told((row,)) == (*lines, "and 1,214 more of the backup of smith-jones")
    assert warnings_told((msgspec.structs.replace(row, state="cancelled"),)) == ()

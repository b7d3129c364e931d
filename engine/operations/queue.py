"""wait, cancel, pause, resume, prioritise: one job, or all that run."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from typing import Literal

from engine.base.errors import NotFound, Unavailable, UsageError
from engine.base.units import format_count, parse_span
from engine.contract import operations as ops
from engine.contract import steering
from engine.contract.status import JobRow
from engine.contract.weddings import JobClass
from engine.jobs.job import Job
from engine.jobs.priority import class_of
from engine.jobs.roster import newest_first
from engine.operations.context import Engine, Handler


async def wait(engine: Engine, operation: ops.WaitForJobs) -> ops.JobList:
    """See `ops.WaitForJobs`. Without a job: also those that ended since, and whose end nobody was told yet.

    So a script that starts jobs and then waits learns how each of them ended, however fast it was. A job that is
    paused, or becomes it, is not waited for: only a person ends that.
    """
    timeout_s = span(operation.timeout) if operation.timeout else None
    if operation.job:
        jobs = [engine.dispatcher.find(operation.job)]
    else:
        wanted = (job for job in engine.dispatcher.jobs() if job.state != "paused" and not (job.ended and job.reported))
        jobs = newest_first(wanted)
    try:
        async with asyncio.timeout(timeout_s):
            for job in jobs:
                await engine.dispatcher.at_rest(job)
    except TimeoutError:
        left = sum(job.state in ("queued", "running") for job in jobs)
        raise Unavailable(
            f"{left} of {format_count(len(jobs), 'job')} had not ended after {operation.timeout}", "wait again"
        ) from None
    for job in jobs:
        job.reported = job.ended
    rows = tuple(engine.dispatcher.row(job) for job in jobs)
    return ops.JobList(jobs=rows, total=len(rows), warnings=warnings_told(rows))


async def cancel(engine: Engine, operation: ops.CancelJob) -> ops.JobResult:
    """See `ops.CancelJob`. Comes back when the job has ended. Raises NotFound, Conflict."""
    job = engine.dispatcher.find(operation.job)
    engine.dispatcher.cancel(job)
    return await ended(engine, job)


async def pause(engine: Engine, operation: steering.PauseJob) -> ops.JobResult:
    """See `steering.PauseJob`. Comes back when the job is off the streams. Raises NotFound, Conflict."""
    job = engine.dispatcher.find(operation.job)
    engine.dispatcher.pause(job)
    await engine.dispatcher.off_the_streams(job)
    return ops.JobResult(job=engine.dispatcher.row(job))


async def resume(engine: Engine, operation: steering.ResumeJob) -> ops.JobResult:
    """See `steering.ResumeJob`. Raises NotFound, Conflict."""
    job = engine.dispatcher.find(operation.job)
    engine.dispatcher.resume(job)
    return ops.JobResult(job=engine.dispatcher.row(job))


async def prioritise(engine: Engine, operation: steering.PrioritiseJob) -> ops.JobResult:
    """See `steering.PrioritiseJob`. Raises NotFound, Conflict."""
    job = engine.dispatcher.find(operation.job)
    give_class(engine, job, operation.priority)
    return ops.JobResult(job=engine.dispatcher.row(job))


def give_class(engine: Engine, job: Job, priority: JobClass | Literal["auto"]) -> None:
    """Move a job into a class; `auto`: into the one its wedding's date gives, of a retrieval its own.

    Raises NotFound, Conflict; UsageError when what is no retrieval shall be in their class.
    """
    if priority == "retrieval" and job.kind != "retrieve":
        raise UsageError(f"job {job.id[:8]} is no retrieval: {job.kind}", "give it same-day, next-day or standard")
    if job.kind == "retrieve" and priority == "auto":
        priority = "retrieval"
    if priority != "auto":
        engine.dispatcher.prioritise(job, priority, given=True)
        return
    wedding = engine.facts.by_id(job.wedding_id)
    if wedding is None:
        raise NotFound(f"the wedding {job.wedding} is not in the register any more")
    engine.dispatcher.prioritise(job, class_of(wedding, engine.clock.now_ns()), given=False)


async def ended(engine: Engine, job: Job) -> ops.JobResult:
    """The job as it ended; how is in its state and code. Cancelling the wait leaves the job alone."""
    await engine.dispatcher.ended(job)
    job.reported = True
    row = engine.dispatcher.row(job)
    return ops.JobResult(job=row, warnings=warnings_told((row,)))


def warnings_told(rows: Sequence[JobRow]) -> tuple[str, ...]:
    """What the jobs that ended with warnings warned of: the first of each as `path: what`, and how many more."""
    told: list[str] = []
    for row in rows:
        if row.state == "warnings":
            told += row.first_warnings
            more = row.warnings - len(row.first_warnings)
            if more > 0:
                told.append(f"and {format_count(more)} more of the {row.kind} of {row.wedding}")
    return tuple(told)


def span(text: str) -> float:
    """A span someone wrote, in seconds. Raises UsageError."""
    try:
        return parse_span(text)
    except ValueError as error:
        raise UsageError(str(error)) from None


HANDLERS: dict[str, Handler] = {
    "wait": wait,
    "job_cancel": cancel,
    "job_pause": pause,
    "job_resume": resume,
    "job_prioritise": prioritise,
}

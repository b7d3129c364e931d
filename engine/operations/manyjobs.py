"""job, retry, steer: one job as a whole, one begun again, one thing done with many of them.

Engine loop only; the journal is read on the executor.
"""

from __future__ import annotations

from collections import Counter

import msgspec

from engine.base.errors import Conflict, NotFound, UsageError, WedSyncError
from engine.contract import operations as ops
from engine.contract import steering
from engine.contract.status import JobState
from engine.jobs.job import Job, Turn
from engine.jobs.totals import DATED_KINDS
from engine.operations.accepting import accept
from engine.operations.context import Engine, Handler
from engine.operations.joblist import fitting, sliced
from engine.operations.queue import give_class
from engine.operations.resuming import spec_again

_AT_A_TIME = 50  # jobs changed between two turns of the loop
_TRIED_AGAIN: frozenset[JobState] = frozenset({"failed", "cancelled", "interrupted", "warnings"})
_READ_ONCE = "read a stream, which cannot be done twice"


async def read_job(engine: Engine, operation: steering.ReadJob) -> steering.JobDetail:
    """See `steering.ReadJob`. Raises NotFound, UsageError."""
    job = engine.dispatcher.find(operation.job)
    active = engine.dispatcher.roster.active.get(job.id)
    row = engine.dispatcher.row(job)
    run = active.run if active is not None else None
    lines = row.first_warnings if run is None else run.warning_lines()
    if job.ended and row.warnings > len(lines):
        lines = await engine.offload.run("journal", lambda: engine.kept.jobs.warnings_of(job.id)) or lines
    turns = [steering.JobMoment(time_ns=turn.time_ns, what=turn.what, words=turn.words) for turn in job.history]
    if not turns or turns[0].what != "accepted":
        turns.insert(0, steering.JobMoment(time_ns=job.queued_ns, what="accepted"))
    counts = job.counts if active is None else active.counts()
    return steering.JobDetail(
        job=row,
        deadline_s=engine.dispatcher.figures.deadlines_s[job.priority] if job.kind in DATED_KINDS else None,
        operation=job.operation,
        arguments=job.arguments,
        units_done=counts.units,
        units_at_work=run.in_flight if run is not None else 0,
        history=tuple(turns),
        offset=operation.offset,
        lines=lines[operation.offset : operation.offset + operation.limit],
        lines_total=len(lines),
    )


async def retry(engine: Engine, operation: steering.RetryJob) -> ops.JobResult:
    """See `steering.RetryJob`. Raises NotFound, Conflict, and what accepting a job raises."""
    job = await _begun_again(engine, engine.dispatcher.find(operation.job))
    return ops.JobResult(job=engine.dispatcher.row(job))


async def steer(engine: Engine, operation: steering.SteerJobs) -> steering.SteerResult:
    """See `steering.SteerJobs`. Comes back when what was stopped is off the streams. Raises NotFound, UsageError.

    What waits comes before what is at work: stopping that would begin what is to be stopped next.
    """
    is_narrowed = operation.wedding or operation.state or operation.kind or operation.match.strip()
    if bool(operation.jobs) == bool(is_narrowed):
        raise UsageError("steer needs to know which jobs", "name their ids, or say which with --state, --match …")
    jobs = await _named(engine, operation.jobs) if operation.jobs else await fitting(engine, operation)
    jobs.sort(key=lambda job: job.id in engine.dispatcher.roster.active)
    refused: Counter[str] = Counter()
    taken: list[Job] = []
    async for part in sliced(jobs, _AT_A_TIME):
        for job in part:
            reason = _refusal(job, operation.action)
            if not reason:
                try:
                    await _do(engine, job, operation.action)
                    taken.append(job)
                except WedSyncError as error:
                    reason = error.message
            if reason:
                refused[reason] += 1
    for job in taken:
        if operation.action == "cancel":
            await engine.dispatcher.ended(job)
        elif operation.action == "pause":
            await engine.dispatcher.off_the_streams(job)
    if operation.action == "cancel":
        done_well = [job for job in taken if job.state != "cancelled"]  # an end came before it could be stopped
        refused.update("had ended already" for _ in done_well)
        taken = [job for job in taken if job.state == "cancelled"]
    reasons = tuple(steering.Refusal(reason=reason, jobs=count) for reason, count in refused.most_common())
    return steering.SteerResult(action=operation.action, done=len(taken), refused=reasons)


async def _named(engine: Engine, names: tuple[str, ...]) -> list[Job]:
    """The jobs of these ids, each once. One that is not known any more is none. Raises UsageError."""
    found: dict[str, Job] = {}
    async for part in sliced(names):
        for name in part:
            try:
                job = engine.dispatcher.find(name)
            except NotFound:
                if len(names) == 1:
                    raise
                continue
            found[job.id] = job
    return list(found.values())


def _refusal(job: Job, action: steering.JobAction) -> str:
    """Why this cannot be done with a job as it stands; empty when it can be tried."""
    if action == "retry":
        if job.ended and job.state not in _TRIED_AGAIN:
            return "had ended well"
        if not job.ended and not job.retry_ns:
            return "had not failed"
        return "" if job.operation else _READ_ONCE
    if job.ended:
        return "had ended already"
    if action == "pause":
        return "were paused already" if job.state == "paused" else "" if job.operation else _READ_ONCE
    if action == "retrieval" and job.kind != "retrieve":
        return "were no retrievals"
    return "were not paused" if action == "resume" and job.state != "paused" else ""


async def _do(engine: Engine, job: Job, action: steering.JobAction) -> None:
    match action:
        case "cancel":
            engine.dispatcher.cancel(job)
        case "pause":
            engine.dispatcher.pause(job)
        case "resume":
            engine.dispatcher.resume(job)
        case "retry":
            await _begun_again(engine, job)
        case _:
            give_class(engine, job, action)


async def _begun_again(engine: Engine, job: Job) -> Job:
    """The job that tries again: itself while it waits to, else a new one of the same arguments."""
    if not job.ended:
        engine.dispatcher.try_now(job)
        return job
    if job.state not in _TRIED_AGAIN:
        raise Conflict(f"job {job.id[:8]} is {job.state}: there is nothing to try again")
    spec = spec_again(engine, job)
    if job.priority_given:
        spec = msgspec.structs.replace(spec, priority=job.priority, priority_given=True)
    begun = await accept(engine, spec)
    begun.history.insert(0, Turn(begun.queued_ns, "accepted", f"again, after {job.id[:12]} was {job.state}"))
    return begun


HANDLERS: dict[str, Handler] = {"job": read_job, "job_retry": retry, "jobs_steer": steer}

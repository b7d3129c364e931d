"""After a start: what an earlier engine on this home accepted and did not end goes on, under its own id.

In: the journal's jobs. Out: jobs in the dispatcher, or, for what nothing can go on with, ended ones that say why.
Engine loop only; the journal is read on the executor.
"""

from __future__ import annotations

import asyncio
import logging

from engine.base.errors import Unavailable, WedSyncError
from engine.contract.catalog import BY_NAME
from engine.jobs.job import Job
from engine.jobs.records import JobRecord, job_of, operation_of, record_of
from engine.jobs.roster import ENDED_KEPT, JobSpec
from engine.operations import backups, drills, migrating, photos, pruning, recalls, recovery, retrievals, upkeep
from engine.operations.context import Engine, Resumer
from engine.operations.hooks import with_hook

RESUMERS: dict[str, Resumer] = {
    **backups.RESUMERS, **retrievals.RESUMERS, **upkeep.RESUMERS, **drills.RESUMERS,
    **recovery.RESUMERS,
    **migrating.RESUMERS, **pruning.RESUMERS, **recalls.RESUMERS,
    **photos.RESUMERS,
}  # fmt: skip

_AT_A_TIME = 100  # jobs between two turns of the loop
_LOG = logging.getLogger(__name__)


async def remember_ended(engine: Engine) -> None:
    """Show what ended in earlier lives of this home."""
    records = await engine.offload.run("journal", lambda: engine.kept.jobs.ended_jobs(ENDED_KEPT))
    now_s = engine.clock.monotonic_s()
    for record in reversed(records):
        engine.dispatcher.remember(job_of(record, monotonic_s=now_s))


async def go_on(engine: Engine) -> None:
    """Go on with every job that has not ended; called once, when the repository is open and the register known."""
    records = await engine.offload.run("journal", engine.kept.jobs.open_jobs)
    known = {job.id for job in engine.dispatcher.jobs()}
    resumed = 0
    for number, record in enumerate(records, 1):
        if record.id not in known:  # a job of this engine's own may have been accepted meanwhile
            resumed += _go_on_with(engine, record)
        if number % _AT_A_TIME == 0:
            await asyncio.sleep(0)
    if resumed:
        _LOG.info("%s jobs of an earlier engine go on", resumed)


def spec_again(engine: Engine, job: Job) -> JobSpec:
    """What a job of the journal asks for, to be done again. Raises Unavailable, UsageError where nothing can do it."""
    if not job.operation:
        raise Unavailable("the engine stopped, and it cannot go on: it read or wrote a stream, or was another engine's")
    wedding = engine.facts.by_id(job.wedding_id)
    resumer, spec = RESUMERS.get(job.operation), BY_NAME.get(job.operation)
    if wedding is None:
        raise Unavailable(f"the wedding {job.wedding} is not in this repository any more")
    if resumer is None or spec is None:
        raise Unavailable(f"the engine stopped, and {job.operation} cannot be gone on with")
    return resumer(engine, operation_of(job.arguments, spec.arguments), wedding)


def _go_on_with(engine: Engine, record: JobRecord) -> bool:
    """Put a job back in line; False for one that had to be given up."""
    job = job_of(record, monotonic_s=engine.clock.monotonic_s())
    try:
        engine.dispatcher.resubmit(job, with_hook(spec_again(engine, job), engine.settings.hooks))
    except WedSyncError as error:
        job.fail(error, now_ns=engine.clock.now_ns())
        engine.kept.jobs.put(record_of(job))
        engine.dispatcher.remember(job)
        engine.events.announce_job("job-ended", job)
        _LOG.warning("a job cannot go on: %s", error.line(), extra={"job": job.id})
        return False
    return True

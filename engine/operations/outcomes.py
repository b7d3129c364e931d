"""Jobs that whoever waits is told more of than their row: a verification's report, a repair's, a drill's.

The run's outcome is kept in a list of the caller's before it is judged, so that it is told also when it fails the job.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, TypeVar

from engine.contract import operations as ops
from engine.jobs.roster import Conclusion, JobSpec, Prepared
from engine.operations.accepting import accept
from engine.operations.context import Engine
from engine.operations.queue import ended
from engine.pipeline.pool import Run

Outcome = TypeVar("Outcome")


async def carried_out(engine: Engine, spec: JobSpec, *, wait: bool) -> ops.JobResult:
    """Take a job on; it comes back as it ended, or as it was accepted. Raises what `accept` raises. Engine loop."""
    job = await accept(engine, spec)
    return await ended(engine, job) if wait else ops.JobResult(job=engine.dispatcher.row(job))


def judged(run: Run[Any], found: list[Outcome] | None, judge: Callable[[Outcome], Conclusion]) -> Prepared:
    """A run that is ready. `judge` says what came of it, or raises what makes the job one that failed."""

    def conclude() -> Conclusion:
        outcome = run.done.result()
        if found is not None:
            found.append(outcome)
        return judge(outcome)

    return Prepared(run, conclude)

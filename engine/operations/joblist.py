"""jobs: the ones that fit, in the order that is asked for, a page of them.

Ten thousand of them are looked at a slice at a time, so that the loop is never held up by somebody who looks.
Engine loop only.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable, Sequence
from typing import TypeVar

from engine.contract import operations as ops
from engine.contract import steering
from engine.contract.status import JobState
from engine.contract.weddings import JOB_CLASSES
from engine.jobs.job import Counts, Job, expected_of
from engine.jobs.measure import remaining_s
from engine.operations.context import Engine, Handler

_SLICE = 1_000  # jobs looked at between two turns of the loop
ROWS_A_TURN = 200  # rows made between two, of a list that is answered whole
_STATES: dict[JobState, int] = {"running": 0, "queued": 1, "paused": 2}  # the ended ones after these
_CLASSES = {name: rank for rank, name in enumerate(JOB_CLASSES)}
_UNKNOWN = (1, 0.0)  # a figure that is not there comes last, whichever way the list is sorted

Key = Callable[[Job], tuple[float | str, ...]]
T = TypeVar("T")


async def list_jobs(engine: Engine, operation: ops.ListJobs) -> ops.JobPage:
    """See `ops.ListJobs`. Raises NotFound for a wedding that is not there."""
    known = engine.dispatcher.total
    found = await sorted_jobs(engine, await fitting(engine, operation), operation.sort, reverse=operation.reverse)
    if operation.ids:
        return ops.JobPage(jobs=(), total=len(found), known=known, ids=tuple(job.id for job in found))
    position, offset = None, operation.offset
    if operation.around:
        position = next((at for at, job in enumerate(found) if job.id == operation.around), None)
    if position is not None:
        offset = max(0, min(position - operation.limit // 2, len(found) - operation.limit))
    page = found[offset : offset + operation.limit]
    return ops.JobPage(
        jobs=tuple(engine.dispatcher.row(job) for job in page),
        total=len(found),
        known=known,
        offset=offset,
        position=position,
    )


async def fitting(engine: Engine, narrow: ops.ListJobs | steering.SteerJobs) -> list[Job]:
    """The jobs that fit what is said of them: those at work first, then as `Roster` has them."""
    wedding_id = engine.facts.find(narrow.wedding).id if narrow.wedding else ""
    words = narrow.match.casefold().split()
    found: list[Job] = []
    async for part in sliced(list(engine.dispatcher.jobs())):
        found += [
            job
            for job in part
            if (not wedding_id or job.wedding_id == wedding_id)
            and (narrow.state is None or job.state == narrow.state)
            and (narrow.kind is None or job.kind == narrow.kind)
            and (not words or _has(job, words))
        ]
    return found


async def sorted_jobs(engine: Engine, jobs: list[Job], sort: ops.JobSort, *, reverse: bool = False) -> list[Job]:
    """Jobs by `sort`, each way beginning with what matters most; of equal ones those at work first."""
    key = _keys(engine)[sort]
    keys: list[tuple[float | str, ...]] = []
    async for part in sliced(jobs):
        keys += map(key, part)
    order = sorted(range(len(jobs)), key=keys.__getitem__)
    if reverse:  # what is not known stays at the end
        unknown = [index for index in order if keys[index] == _UNKNOWN]
        order = [index for index in reversed(order) if keys[index] != _UNKNOWN] + unknown
    return [jobs[index] for index in order]


async def sliced(items: Sequence[T], size: int = _SLICE) -> AsyncIterator[Sequence[T]]:
    """Parts of a list, with a turn of the loop after each."""
    for at in range(0, len(items), size):
        yield items[at : at + size]
        await asyncio.sleep(0)


def _has(job: Job, words: Sequence[str]) -> bool:
    """Whether every word stands somewhere in what a job is called; `!word`: whether it does not."""
    waits = " retry" if job.retry_ns else ""
    text = f"{job.id} {job.kind} {job.wedding} {job.priority} {job.state}{waits}".casefold()
    return all((word[1:] not in text) if word[0] == "!" and word != "!" else (word in text) for word in words)


def _keys(engine: Engine) -> dict[ops.JobSort, Key]:
    active = engine.dispatcher.roster.active

    def counts(job: Job) -> Counts:
        at_work = active.get(job.id)
        return job.counts if at_work is None else at_work.counts()

    def progress(job: Job) -> tuple[float, ...]:
        shown = counts(job)
        whole = shown.bytes_total or expected_of(shown)
        return (0, -shown.bytes_read / whole) if whole and not job.ended else _UNKNOWN

    def rate(job: Job) -> tuple[float, ...]:
        at_work = active.get(job.id)
        return _UNKNOWN if at_work is None else (0, -at_work.rate.per_s)

    def eta(job: Job) -> tuple[float, ...]:
        at_work = active.get(job.id)
        if at_work is None:
            return _UNKNOWN
        shown = at_work.counts()
        left_s = remaining_s(shown.bytes_read, shown.bytes_total or expected_of(shown), at_work.rate.per_s)
        return _UNKNOWN if left_s is None else (0, left_s)

    return {
        "age": lambda job: (-job.queued_ns,),
        "state": lambda job: (_STATES.get(job.state, 3), -job.ended_ns),
        "wedding": lambda job: (job.wedding, _STATES.get(job.state, 3)),
        "class": lambda job: (_CLASSES[job.priority], _STATES.get(job.state, 3)),
        "kind": lambda job: (job.kind, _STATES.get(job.state, 3)),
        "progress": progress,
        "rate": rate,
        "eta": eta,
    }


HANDLERS: dict[str, Handler] = {"jobs": list_jobs}

"""The jobs that an engine knows, by where they stand: at work, waiting, paused, ended. Engine loop only.

Every operation costs O(1) but those that look at all of them. Ended jobs are kept up to a bound.
"""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Callable, Iterable, Iterator
from contextlib import AbstractContextManager
from typing import Any, Literal

import msgspec

from engine.base.clock import Clock
from engine.base.errors import NotFound, UsageError
from engine.contract.cluster import Reach
from engine.contract.status import JobKind
from engine.contract.weddings import JOB_CLASSES, JobClass, Wedding
from engine.jobs.job import Counts, Job
from engine.jobs.measure import Rate
from engine.jobs.queue import FairQueue
from engine.jobs.totals import counts_of
from engine.pipeline.pool import Run

ENDED_KEPT = 1000

Stop = Literal["", "pause", "interrupt", "cancel"]


class Conclusion(msgspec.Struct, frozen=True):
    """What came of a run; `message` is what a person should know of it beside the counts."""

    snapshot: str = ""
    warnings: int = 0
    message: str = ""


class Prepared(msgspec.Struct, frozen=True):
    """A run that is ready for the streams, and how its outcome is read (on the loop; may raise WedSyncError)."""

    run: Run[Any]
    conclude: Callable[[], Conclusion]


Opener = Callable[[Job], AbstractContextManager[Prepared]]
Turn = tuple[str, ...]


class JobSpec(msgspec.Struct, frozen=True):
    """What a caller wants done. `open` is entered and left on the executor, once for each attempt.

    `operation` and `arguments` are what runs the job again after a restart; without them it can be neither paused
    nor tried again. `turn` names what it works on, from the whole to the part, empty if nobody minds: it is not at work
    beside a job whose turn is the same, or the beginning of its own, or begins with it. `reach` is what a node needs to
    run it in this engine's stead; None: none can.
    """

    kind: JobKind
    wedding: Wedding
    priority: JobClass
    priority_given: bool
    open: Opener
    operation: str = ""
    arguments: str = ""
    turn: Turn = ()
    reach: Reach | None = None

    def job(self, job_id: str, clock: Clock, *, was_held_up: bool = False) -> Job:
        """The job, as it is accepted now."""
        return Job(
            id=job_id,
            kind=self.kind,
            wedding_id=self.wedding.id,
            wedding=self.wedding.name,
            priority=self.priority,
            priority_given=self.priority_given,
            queued_ns=clock.now_ns(),
            queued_monotonic_s=clock.monotonic_s(),
            operation=self.operation,
            arguments=self.arguments,
            was_held_up=was_held_up,
        )


class Active(msgspec.Struct):
    """A job at work. `serves` is the job whose class and deadline it is served by: itself, or one that waits for it."""

    job: Job
    spec: JobSpec
    rate: Rate
    serves: Job
    run: Run[Any] | None = None
    stop: Stop = ""
    place: str = ""  # the node that it runs on; empty: this engine's streams

    def counts(self) -> Counts:
        """How far it is; before its run is there, how far an earlier attempt came."""
        return self.job.counts if self.run is None else counts_of(self.run.progress, units=self.run.units_ended)


class Idle(msgspec.Struct, frozen=True):
    """A job that waits or is paused."""

    job: Job
    spec: JobSpec


class ClassCounts(msgspec.Struct):
    """Jobs of one class by where they stand. `oldest_ns` is when the first of those that wait was accepted."""

    running: int = 0
    queued: int = 0
    paused: int = 0
    oldest_ns: int = 0


class Roster:
    """Jobs by where they stand."""

    def __init__(self) -> None:
        self.queue = FairQueue()  # of those that wait, the ones that may begin
        self.active: dict[str, Active] = {}
        self.queued: dict[str, Idle] = {}  # also those that wait for their next attempt
        self.paused: dict[str, Idle] = {}
        self._ended: OrderedDict[str, Job] = OrderedDict()

    def __len__(self) -> int:
        return self.unended + len(self._ended)

    def __iter__(self) -> Iterator[Job]:
        """Jobs at work, then those that wait, the paused ones, and the ended ones from the newest on."""
        yield from (active.job for active in self.active.values())
        yield from (idle.job for idle in self.queued.values())
        yield from (idle.job for idle in self.paused.values())
        yield from self.ended()

    def ended(self) -> Iterator[Job]:
        """Those that have ended, from the newest on."""
        return reversed(self._ended.values())

    @property
    def unended(self) -> int:
        """Jobs that have not ended."""
        return len(self.active) + len(self.queued) + len(self.paused)

    def get(self, job_id: str) -> Job | None:
        """The job with this id."""
        active = self.active.get(job_id)
        idle = self.queued.get(job_id) or self.paused.get(job_id)
        return active.job if active is not None else idle.job if idle is not None else self._ended.get(job_id)

    def find(self, text: str) -> Job:
        """The job with this id, or the only one whose id begins so. Raises NotFound, UsageError."""
        exact = self.get(text)
        if exact is not None:
            return exact
        found = [job for job in self if job.id.startswith(text.lower())] if text else []
        if not found:
            raise NotFound(f"no job has the id {text!r}", "jobs lists them")
        if len(found) > 1:
            raise UsageError(f"{len(found)} jobs have ids that begin with {text!r}", "write more digits")
        return found[0]

    def keep_ended(self, job: Job) -> None:
        """Remember how a job ended, as the newest."""
        self._ended[job.id] = job
        if len(self._ended) > ENDED_KEPT:
            self._ended.popitem(last=False)

    def running_by_wedding(self) -> dict[str, int]:
        """Wedding id → its jobs at work."""
        counts: dict[str, int] = {}
        for active in self.active.values():
            counts[active.job.wedding_id] = counts.get(active.job.wedding_id, 0) + 1
        return counts

    def by_class(self) -> dict[JobClass, ClassCounts]:
        """Jobs of each class."""
        counts = {name: ClassCounts() for name in JOB_CLASSES}
        for active in self.active.values():
            counts[active.job.priority].running += 1
        for idle in self.queued.values():  # ten thousand, perhaps, a few times a second
            job = idle.job
            each = counts[job.priority]
            each.queued += 1
            if not 0 < each.oldest_ns <= job.queued_ns:
                each.oldest_ns = job.queued_ns
        for idle in self.paused.values():
            counts[idle.job.priority].paused += 1
        return counts


def newest_first(jobs: Iterable[Job]) -> list[Job]:
    """Jobs by when they were accepted, the newest first."""
    return sorted(jobs, key=lambda job: job.queued_ns, reverse=True)

"""Jobs from acceptance to end: a bounded queue in front of the streams. Engine loop only.

A job comes with a way to open it (the wedding's vault, then the run), which blocks and therefore runs on the
executor; the run itself works on the streams. The loop only follows: it begins what may begin, reads
counters once a second, and writes down how each job ended. Ended jobs are kept up to a bound.
"""

from __future__ import annotations

import asyncio
import contextlib
import dataclasses
import functools
import itertools
import logging
from collections import OrderedDict
from collections.abc import Callable, Iterable, Iterator
from contextlib import AbstractContextManager
from dataclasses import dataclass
from typing import Any, Literal

from engine.base.errors import Conflict, LimitReached, NotFound, Unavailable, UsageError, WedSyncError
from engine.base.ids import JOB_ID_BYTES
from engine.base.units import format_count
from engine.contract.events import EventKind
from engine.contract.settings import EngineSettings
from engine.contract.status import JobKind, JobRow, Percentiles
from engine.contract.weddings import PriorityClass, Wedding
from engine.jobs.job import Counts, Job
from engine.jobs.measure import LatencyWindow, Rate
from engine.jobs.offload import Means
from engine.jobs.queue import FairQueue, Waiting
from engine.pipeline.pool import Cancelled, Progress, Run, StreamPool

ENDED_KEPT = 1000
OPENINGS_AT_ONCE = 8  # a burst of jobs is opened little by little: many threads at once only get in each other's way
_INTERRUPTED: dict[JobKind, str] = {
    "backup": "the engine stopped; the next backup of the same sources goes on from its checkpoint",
    "store": "the engine stopped; store it again",
    "retrieve": "the engine stopped; retrieve again, with --overwrite changed to go on",
    "verify": "the engine stopped; verify again",
}
_LOG = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class Conclusion:
    """What came of a run."""

    snapshot: str = ""
    warnings: int = 0


@dataclass(frozen=True, slots=True)
class Prepared:
    """A run that is ready for the streams, and how its outcome is read (on the loop; may raise WedSyncError)."""

    run: Run[Any]
    conclude: Callable[[], Conclusion]


Opener = Callable[[Job], AbstractContextManager[Prepared]]


@dataclass(frozen=True, slots=True)
class JobSpec:
    """What a caller wants done. `open` is entered and left on the executor."""

    kind: JobKind
    wedding: Wedding
    priority: PriorityClass
    priority_given: bool
    open: Opener


@dataclass(frozen=True, slots=True)
class Totals:
    """Bytes since the start, over all jobs, ended or not."""

    bytes_read: int = 0
    bytes_stored: int = 0
    bytes_reused: int = 0
    bytes_restored: int = 0


@dataclass(slots=True)
class _Active:
    job: Job
    spec: JobSpec
    rate: Rate
    run: Run[Any] | None = None
    stop: Literal["", "cancel", "interrupt"] = ""


class Dispatcher:
    """The jobs of one engine. Engine loop only."""

    def __init__(
        self,
        pool: StreamPool,
        means: Means,
        *,
        settings: Callable[[], EngineSettings],
        announce: Callable[[EventKind, Job], None],
    ) -> None:
        self._pool = pool
        self._offload = means.offload
        self._clock = means.clock
        self._entropy = means.entropy
        self._spawn = means.spawn
        self._announce = announce
        self._settings = settings
        self._openings = asyncio.Semaphore(OPENINGS_AT_ONCE)
        self._queue = FairQueue()
        self._queued: dict[str, tuple[Job, JobSpec]] = {}
        self._active: dict[str, _Active] = {}
        self._ended: OrderedDict[str, Job] = OrderedDict()
        self._waiters: dict[str, asyncio.Future[None]] = {}
        self._latencies = LatencyWindow()
        self._past = Totals()
        self._accepting = True
        self.done_total = 0
        self.failed_total = 0

    # --- what callers ask ---

    def accept(self, spec: JobSpec) -> Job:
        """Take a job on. Raises Unavailable while the engine stops, LimitReached when the queue is full."""
        if not self._accepting:
            raise Unavailable("the engine is stopping", "start it again and repeat this")
        limit = self._settings().jobs_queued_max
        if len(self._queued) + len(self._active) >= limit:
            raise LimitReached(
                f"{format_count(limit)} jobs are queued already",
                "wait for some to end, or raise engine.jobs_queued_max",
            )
        job = Job(
            id=self._entropy.token(JOB_ID_BYTES).hex(),
            kind=spec.kind,
            wedding_id=spec.wedding.id,
            wedding=spec.wedding.name,
            priority=spec.priority,
            priority_given=spec.priority_given,
            queued_ns=self._clock.now_ns(),
            queued_monotonic_s=self._clock.monotonic_s(),
        )
        self._queued[job.id] = (job, spec)
        self._queue.push(Waiting(job.id, job.wedding_id, job.priority))
        self._announce("job-queued", job)
        self._begin_what_may()
        return job

    def find(self, text: str) -> Job:
        """The job with this id, or the only one whose id begins so. Raises NotFound, UsageError."""
        found = [job for job in self._all() if job.id.startswith(text.lower())] if text else []
        if not found:
            raise NotFound(f"no job has the id {text!r}", "jobs lists them")
        if len(found) > 1:
            raise UsageError(f"{len(found)} jobs have ids that begin with {text!r}", "write more digits")
        return found[0]

    def cancel(self, job: Job) -> None:
        """Stop a job. One that waits ends at once, one that runs as soon as its streams notice. Raises Conflict."""
        if job.ended:
            raise Conflict(f"job {job.id[:8]} has ended already: {job.state}")
        self._stop(job, "cancel")

    def reclassify(self, wedding_id: str, priority: PriorityClass) -> None:
        """Give the jobs of a wedding, other than those whose class the caller chose, the class it has now."""
        waiting = ((job, None) for job, _ in self._queued.values())
        running = ((active.job, active.run) for active in self._active.values())
        for job, run in itertools.chain(waiting, running):
            if job.wedding_id == wedding_id and not job.priority_given:
                job.priority = priority
                self._queue.reclassify(job.id, priority)
                if run is not None:
                    run.priority = priority  # the streams' turns notice by themselves

    async def ended(self, job: Job) -> None:
        """Come back when `job` has ended."""
        if not job.ended:
            await asyncio.shield(self._waiter(job))

    # --- what is shown ---

    @property
    def running_count(self) -> int:
        """Jobs that are worked on."""
        return len(self._active)

    @property
    def queued_count(self) -> int:
        """Jobs that wait."""
        return len(self._queued)

    @property
    def total(self) -> int:
        """Jobs known: running, waiting, and the ended ones that are kept."""
        return len(self._active) + len(self._queued) + len(self._ended)

    def running_by_wedding(self) -> dict[str, int]:
        """Wedding id → its running jobs."""
        counts: dict[str, int] = {}
        for active in self._active.values():
            counts[active.job.wedding_id] = counts.get(active.job.wedding_id, 0) + 1
        return counts

    def jobs(self) -> Iterator[Job]:
        """Running jobs, then those that wait, then the ended ones from the newest on."""
        return self._all()

    def row(self, job: Job) -> JobRow:
        """A job as the status document has it."""
        active = self._active.get(job.id)
        if active is None:
            return job.row()
        return job.row(self._counts(active), active.rate)

    def totals(self) -> Totals:
        """Bytes since the start."""
        total = self._past
        for active in self._active.values():
            total = _added(total, active.job, self._counts(active))
        return total

    def initiation(self) -> Percentiles:
        """Request → first sealed byte, over the last 1,024 backups."""
        return self._latencies.percentiles(self._clock.monotonic_s())

    def sample(self) -> None:
        """Read the counters of what runs; called once a second."""
        now_s = self._clock.monotonic_s()
        for active in self._active.values():
            if active.run is not None:
                active.rate.sample(active.run.progress.bytes_read, now_s)
                self._note_initiation(active)

    # --- the end of the engine ---

    def stop_accepting(self) -> None:
        """Refuse new jobs from now on."""
        self._accepting = False

    def interrupt_all(self) -> None:
        """Checkpoint and end what runs; end what waits."""
        for job in [job for job in self._all() if not job.ended]:
            self._stop(job, "interrupt")

    async def idle(self, timeout_s: float) -> bool:
        """Come back when no job waits or runs, or when `timeout_s` of real time has passed; whether none is left."""
        unended = [job for job in self._all() if not job.ended]
        if unended and timeout_s > 0:
            await asyncio.wait([self._waiter(job) for job in unended], timeout=timeout_s)
        return not self._queued and not self._active

    # --- the life of one job ---

    def _begin_what_may(self) -> None:
        while self._queue and len(self._active) < self._settings().jobs_active_max:
            job_id = self._queue.pop()
            if job_id is None:
                return
            job, spec = self._queued.pop(job_id)
            active = _Active(job, spec, Rate(count=0, time_s=self._clock.monotonic_s()))
            self._active[job_id] = active
            job.move("running", now_ns=self._clock.now_ns())
            self._announce("job-started", job)
            self._spawn(self._carry(active))

    async def _carry(self, active: _Active) -> None:
        """Open, run, close, write down how it ended. Nothing is raised."""
        job = active.job
        try:
            context = active.spec.open(job)
            async with self._openings:
                prepared = await self._offload.run(job.wedding_id, context.__enter__)
            active.run = prepared.run
            try:
                conclusion = await self._worked(active, prepared)
            except BaseException as error:
                await self._offload.run(job.wedding_id, functools.partial(_leave, context, error))
                raise
            await self._offload.run(job.wedding_id, functools.partial(_leave, context, None))
        except Cancelled:
            self._end(active, "interrupted" if active.stop == "interrupt" else "cancelled")
        except WedSyncError as error:
            self._end(active, error)
        except asyncio.CancelledError:
            self._end(active, "interrupted")
            raise
        except Exception as error:
            _LOG.exception("a job met a bug", extra={"job": job.id})
            self._end(active, WedSyncError(f"internal error: {error!r}", "the log in the home has the details"))
        else:
            self._end(active, conclusion)

    async def _worked(self, active: _Active, prepared: Prepared) -> Conclusion:
        if active.stop:
            self._tell_to_stop(active)  # it was opened meanwhile; the pool lets go of it in its own way
        prepared.run.priority = active.job.priority
        self._pool.submit(prepared.run)
        try:
            await asyncio.shield(asyncio.wrap_future(prepared.run.done))
        finally:
            self._note_initiation(active)
        return prepared.conclude()

    def _stop(self, job: Job, how: Literal["cancel", "interrupt"]) -> None:
        active = self._active.get(job.id)
        if active is None:
            self._queue.remove(job.id)
            del self._queued[job.id]
            self._close(job, "cancelled" if how == "cancel" else "interrupted")
            return
        active.stop = active.stop or how
        self._tell_to_stop(active)

    def _tell_to_stop(self, active: _Active) -> None:
        if active.run is not None and active.stop == "cancel":
            active.run.cancel()
        elif active.run is not None:
            active.run.interrupt()

    def _end(self, active: _Active, how: Conclusion | WedSyncError | Literal["cancelled", "interrupted"]) -> None:
        job = active.job
        job.counts = self._counts(active)
        self._past = _added(self._past, job, job.counts)
        del self._active[job.id]
        if isinstance(how, WedSyncError):
            job.fail(how, now_ns=self._clock.now_ns())
            self._keep(job)
        elif isinstance(how, Conclusion):
            job.snapshot = how.snapshot
            self._close(job, "warnings" if how.warnings else "done")
        else:
            self._close(job, how)
        self._begin_what_may()

    def _close(self, job: Job, state: Literal["done", "warnings", "cancelled", "interrupted"]) -> None:
        job.move(state, now_ns=self._clock.now_ns())
        if state == "interrupted":
            job.message = _INTERRUPTED[job.kind] if job.started_ns else "the engine stopped before it began"
        self._keep(job)

    def _keep(self, job: Job) -> None:
        self._ended[job.id] = job
        if len(self._ended) > ENDED_KEPT:
            self._ended.popitem(last=False)
        self.done_total += job.state in ("done", "warnings")
        self.failed_total += job.state == "failed"
        waiter = self._waiters.pop(job.id, None)
        if waiter is not None and not waiter.done():
            waiter.set_result(None)
        self._announce("job-ended", job)

    def _waiter(self, job: Job) -> asyncio.Future[None]:
        if job.id not in self._waiters:
            self._waiters[job.id] = asyncio.get_running_loop().create_future()
        return self._waiters[job.id]

    def _note_initiation(self, active: _Active) -> None:
        job = active.job
        first_s = active.run.progress.first_sealed_monotonic if active.run is not None else None
        if job.initiation_s is None and first_s is not None:
            job.initiation_s = max(0.0, first_s - job.queued_monotonic_s)
            if job.kind in ("backup", "store"):
                self._latencies.add(job.initiation_s, time_s=first_s)

    def _counts(self, active: _Active) -> Counts:
        return active.job.counts if active.run is None else counts_of(active.run.progress)

    def _all(self) -> Iterator[Job]:
        yield from (active.job for active in self._active.values())
        yield from (job for job, _ in self._queued.values())
        yield from reversed(self._ended.values())


def counts_of(progress: Progress) -> Counts:
    """What the counters of a run show now; each may be a unit old."""
    return Counts(
        files_done=progress.files_done,
        files_total=progress.files_total,
        bytes_read=progress.bytes_read,
        bytes_total=progress.bytes_total,
        bytes_stored=progress.bytes_stored,
        bytes_reused=progress.bytes_reused,
        files_unchanged=progress.files_unchanged,
        warnings=progress.warnings,
        current=progress.current,
    )


def _added(total: Totals, job: Job, counts: Counts) -> Totals:
    if job.kind == "retrieve":
        return dataclasses.replace(total, bytes_restored=total.bytes_restored + counts.bytes_read)
    if job.kind == "verify":
        return total
    return Totals(
        total.bytes_read + counts.bytes_read,
        total.bytes_stored + counts.bytes_stored,
        total.bytes_reused + counts.bytes_reused,
        total.bytes_restored,
    )


def _leave(context: AbstractContextManager[Prepared], error: BaseException | None) -> None:
    """Leave what a job opened; a part of it may still fail (an archive that gets its name last)."""
    if error is None:
        context.__exit__(None, None, None)
    else:
        with contextlib.suppress(type(error)):
            context.__exit__(type(error), error, error.__traceback__)


def newest_first(jobs: Iterable[Job]) -> list[Job]:
    """Jobs by the moment they were accepted, the newest first."""
    return sorted(jobs, key=lambda job: job.queued_ns, reverse=True)

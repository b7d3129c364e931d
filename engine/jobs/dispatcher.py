"""Jobs from acceptance to end: a bounded queue in front of the streams. Engine loop only.

A job comes with a way to open it (the wedding's vault, then the run); `carrier` takes it over the streams. Here is
decided what may begin, what is paused, tried again or over, and the journal is told what must not be forgotten.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterator, Mapping
from concurrent.futures import Future
from typing import Literal

from engine.base.errors import Conflict, LimitReached, Unavailable, WedSyncError
from engine.base.ids import JOB_ID_BYTES
from engine.base.units import format_count, format_span
from engine.contract.events import EventKind
from engine.contract.settings import EngineSettings
from engine.contract.status import JobRow
from engine.contract.weddings import JOB_CLASSES, JobClass
from engine.jobs import retries
from engine.jobs.carrier import Came, Carrier, date
from engine.jobs.figures import Figures
from engine.jobs.job import Job, interruption
from engine.jobs.measure import Rate
from engine.jobs.offload import Means
from engine.jobs.places import HERE, Places
from engine.jobs.queue import Waiting
from engine.jobs.roster import Active, Conclusion, Idle, JobSpec, Roster, Stop
from engine.jobs.shares import blocked_classes
from engine.jobs.turns import Turns
from engine.pipeline.pool import StreamPool


class Dispatcher:
    """The jobs of one engine. Engine loop only."""

    def __init__(
        self,
        pool: StreamPool,
        means: Means,
        *,
        settings: Callable[[], EngineSettings],
        announce: Callable[[EventKind, Job], None],
        keep: Callable[[Job], Future[None]] | None = None,
    ) -> None:
        """`keep` writes a job into the journal as it stands, and is done when that is durable."""
        self._means = means
        self._clock = means.clock
        self._settings = settings
        self._announce = announce
        self._keep = keep
        self.roster = Roster()
        self.figures = Figures(self.roster, means.clock)
        self.places = Places(lambda: pool.size)
        left = self._left_the_streams
        self._carrier = Carrier(pool, means.offload, places=self.places, opened=self._opened, left=left)
        self._turns = Turns()
        self._opening = 0  # of those at work, the ones that are being opened
        self._acceptances: dict[str, Future[None]] = {}  # of jobs that are not acknowledged yet
        self._waiters: dict[str, asyncio.Future[None]] = {}
        self._accepting = True
        self._interrupted = False

    # --- what callers ask ---

    def accept(self, spec: JobSpec, *, job_id: str = "", is_again: bool = False) -> Job:
        """Take a job on and begin it; `accepted` tells when it may be acknowledged.

        `job_id` is its id where another engine drew it, and `is_again` whether that has tried the job before. Raises
        Unavailable while the engine stops, LimitReached when the queue is full.
        """
        if not self._accepting:
            raise Unavailable("the engine is stopping", "start it again and repeat this")
        limit = self._settings().jobs_queued_max
        if self.roster.unended >= limit:
            raise LimitReached(
                f"{format_count(limit, 'job')} {'is' if limit == 1 else 'are'} queued already",
                "wait for some to end, or raise engine.jobs_queued_max",
            )
        job = spec.job(job_id or self._means.entropy.token(JOB_ID_BYTES).hex(), self._clock, was_held_up=is_again)
        kept = self._write(job)
        if kept is not None:
            self._acceptances[job.id] = kept
        self._line_up(Idle(job, spec))
        self._announce("job-queued", job)
        self._begin_what_may()
        return job

    async def accepted(self, job: Job) -> None:
        """Come back when the journal has the acceptance of `job`. When it cannot have it, the job is cancelled.

        Raises what the journal raised: LimitReached, NotPermitted, Unavailable.
        """
        kept = self._acceptances.pop(job.id, None)
        if kept is None:
            return
        try:
            await self._means.offload.ended(kept)
        except WedSyncError:
            if not job.ended:
                self.cancel(job)
            raise

    def resubmit(self, job: Job, spec: JobSpec) -> None:
        """Go on with a job that an earlier engine accepted, under its own id. A paused one stays paused."""
        job.note("restarted", now_ns=self._clock.now_ns())
        if job.state == "paused":
            self.roster.paused[job.id] = Idle(job, spec)
            return
        job.message = ""  # that it is tried again in a while: it is now
        self._line_up(Idle(job, spec))
        self._begin_what_may()

    def remember(self, job: Job) -> None:
        """Know a job that ended in an earlier life of this home."""
        self.roster.keep_ended(job)

    def cancel(self, job: Job) -> None:
        """Stop a job. One that waits ends at once, one that runs as soon as its streams notice. Raises Conflict."""
        _refuse_ended(job)
        self._stop(job, "cancel")

    def interrupt(self, job: Job) -> None:
        """Checkpoint and end a job that is another engine's, which goes on with it in its own time. Raises Conflict."""
        _refuse_ended(job)
        self._stop(job, "interrupt")

    def pause(self, job: Job) -> None:
        """Take a job from the streams: checkpointed, then paused until it is resumed. Raises Conflict."""
        _refuse_ended(job)
        if not job.operation:
            raise Conflict(f"job {job.id[:8]} cannot be paused: a stream is read once", "cancel it, or let it end")
        if job.state != "paused":
            self._stop(job, "pause")

    def resume(self, job: Job) -> None:
        """Let a paused job go on. Raises Conflict for one that is not paused."""
        _refuse_ended(job)
        active, idle = self.roster.active.get(job.id), self.roster.paused.pop(job.id, None)
        if active is not None and active.stop == "pause":
            active.stop = ""  # it is being checkpointed, and goes straight back in line
            return
        if idle is None:
            raise Conflict(f"job {job.id[:8]} is not paused: it is {job.state}")
        self._queue_again(idle)

    def try_now(self, job: Job) -> None:
        """Begin the next attempt of a job that waits for it now. Raises Conflict for any other."""
        _refuse_ended(job)
        idle = self.roster.queued.get(job.id)
        if idle is None or not job.retry_ns:
            raise Conflict(f"job {job.id[:8]} does not wait for another attempt: it is {job.state}")
        job.retry_ns = 0
        self._line_up(idle)
        self._begin_what_may()

    def prioritise(self, job: Job, priority: JobClass, *, given: bool) -> None:
        """Give a job another class, at once. `given`: the wedding's date no longer changes it. Raises Conflict."""
        _refuse_ended(job)
        job.priority_given = given
        self._set_class(job, priority)
        self._write(job)
        self._begin_what_may()

    def reclassify(self, classes: Mapping[str, JobClass]) -> None:
        """Wedding id → class: its jobs take it on, other than those whose class a caller chose."""
        for job in self.roster:
            if job.ended:
                break
            priority = classes.get(job.wedding_id)
            if priority is not None and priority != job.priority and not job.priority_given:
                self._set_class(job, priority)
                self._write(job)
        self._begin_what_may()

    async def ended(self, job: Job) -> None:
        """Come back when `job` has ended."""
        while not job.ended:
            await asyncio.shield(self._waiter(job))

    async def at_rest(self, job: Job) -> None:
        """Come back when `job` has ended or is paused."""
        while job.state in ("queued", "running"):
            await asyncio.shield(self._waiter(job))

    async def off_the_streams(self, job: Job) -> None:
        """Come back when `job` is not at work any more."""
        while job.id in self.roster.active:
            await asyncio.shield(self._waiter(job))

    def look_again(self) -> None:
        """Nodes have come or gone: what waits for one may begin."""
        self.places.look_again()
        self._begin_what_may()

    # --- what is shown (`figures` and `roster` have the rest) ---

    @property
    def running_count(self) -> int:
        """Jobs that are worked on."""
        return len(self.roster.active)

    @property
    def queued_count(self) -> int:
        """Jobs that wait."""
        return len(self.roster.queued)

    @property
    def total(self) -> int:
        """Jobs known: running, waiting, paused, and the ended ones that are kept."""
        return len(self.roster)

    def find(self, text: str) -> Job:
        """The job with this id, or the only one whose id begins so. Raises NotFound, UsageError."""
        return self.roster.find(text)

    def jobs(self) -> Iterator[Job]:
        """Running jobs, then those that wait, the paused ones, then the ended ones from the newest on."""
        return iter(self.roster)

    def row(self, job: Job) -> JobRow:
        """A job as the status document has it."""
        active = self.roster.active.get(job.id)
        return job.row() if active is None else job.row(active.counts(), active.rate)

    # --- the end of the engine ---

    def stop_accepting(self) -> None:
        """Refuse new jobs from now on."""
        self._accepting = False

    def interrupt_all(self) -> None:
        """Checkpoint and end what runs; end what waits. What the journal can run again goes on at the next start."""
        self._accepting, self._interrupted = False, True
        for job in [job for job in self.roster if not job.ended]:
            self._stop(job, "interrupt")

    async def idle(self, timeout_s: float) -> bool:
        """Come back when no job waits or runs, or when `timeout_s` of real time has passed; whether none is left."""
        unended = [job for job in self.roster if job.state in ("queued", "running")]
        if unended and timeout_s > 0:
            await asyncio.wait([self._waiter(job) for job in unended], timeout=timeout_s)
        return not self.roster.queued and not self.roster.active

    # --- into the streams ---

    def _line_up(self, idle: Idle) -> None:
        job = idle.job
        self.roster.queued[job.id] = idle
        self.roster.queue.push(Waiting(job.id, job.wedding_id, job.priority))

    def _leave_turn(self, active: Active) -> None:
        """A job is not at work any more: those that would have worked on the same stand in line again."""
        for idle in self._turns.leave(active.job.id, active.spec.turn):
            job = idle.job
            if self.roster.queued.get(job.id) is idle and job.id not in self.roster.queue:
                job.message = ""
                self._line_up(idle)

    def _queue_again(self, idle: Idle) -> None:
        idle.job.move("queued", now_ns=self._clock.now_ns())
        self._line_up(idle)
        self._write(idle.job)
        self._tell_waiters(idle.job)
        self._announce("job-queued", idle.job)
        self._begin_what_may()

    def _begin_what_may(self) -> None:
        roster = self.roster
        while not self._interrupted and (job_id := self._next()) is not None:
            idle = roster.queued[job_id]
            place = self.places.choose(idle)
            if place is None:
                continue
            if first := self._turns.take(idle):
                self.places.leave(job_id)
                idle.job.message = f"waits for job {first[:8]}, which is at work on the same"
                idle.job.was_held_up = True
                self._lend_class(first)
                continue
            del roster.queued[job_id]
            rate = Rate(count=0, time_s=self._clock.monotonic_s())
            active = Active(idle.job, idle.spec, rate, serves=idle.job, place=place)
            roster.active[job_id] = active
            self._opening += place == HERE
            where = "" if place == HERE else f"on the node {place}"
            idle.job.move("running", now_ns=self._clock.now_ns(), message=where)
            self._announce("job-started", idle.job)
            self._means.spawn(self._carrier.carry(active))

    def _next(self) -> str | None:
        """The job to begin next, perhaps one that waited for a place."""
        limit, at_work = self._settings().jobs_active_max, len(self.roster.active)
        blocked = blocked_classes(at_work=at_work, limit=limit, opening=self._opening)
        return self.places.pop(blocked) or self.roster.queue.pop(blocked)

    def _opened(self, active: Active) -> None:
        self._opening -= 1
        self._begin_what_may()

    # --- out of the streams ---

    def _stop(self, job: Job, how: Stop) -> None:
        active = self.roster.active.get(job.id)
        if active is not None:
            if how == "cancel" or not active.stop:
                active.stop = how
            self._carrier.tell_to_stop(active)
            return
        idle = self.roster.queued.pop(job.id, None) or self.roster.paused.pop(job.id)
        self.roster.queue.remove(job.id)
        self.places.remove(job.id)
        self._lend_class(self._turns.in_the_way(job.id))
        if how == "pause":
            self._park(idle)
        else:
            self._close(idle, "cancelled" if how == "cancel" else "interrupted")

    def _left_the_streams(self, active: Active, came: Came) -> None:
        """A job is not at work any more: it ended, or goes back in line, or is paused."""
        job, idle = active.job, Idle(active.job, active.spec)
        self.figures.note_initiation(active)
        self.figures.note_left(active)
        del self.roster.active[job.id]
        self.places.leave(job.id)
        self._leave_turn(active)
        if isinstance(came, Conclusion):
            job.snapshot = came.snapshot
            self.figures.note_done(job)
            self._close(idle, "warnings" if came.warnings else "done", message=came.message)
        elif isinstance(came, WedSyncError):
            self._failed(idle, came, active.stop)
        elif active.stop == "pause":
            self._park(idle)
        elif active.stop == "" and not self._interrupted:
            self._queue_again(idle)  # it was resumed while it was being paused
        else:
            self._close(idle, "cancelled" if active.stop == "cancel" else "interrupted")
        self._begin_what_may()

    def _failed(self, idle: Idle, error: WedSyncError, stop: Stop) -> None:
        job = idle.job
        job.failures += 1
        limit = self._settings().job_attempts_max
        if stop == "cancel" or not job.operation or not retries.is_retried(error, failures=job.failures, limit=limit):
            job.fail(error, now_ns=self._clock.now_ns())
            self._end(idle)
        elif stop == "pause":
            self._park(idle)
        elif self._interrupted:
            self._close(idle, "interrupted")
        else:
            self._try_later(idle, error)

    def _try_later(self, idle: Idle, error: WedSyncError) -> None:
        job = idle.job
        wait_s = retries.wait_s(job.failures, self._means.chance.random())
        now_ns, due_s = self._clock.now_ns(), self._clock.monotonic_s() + wait_s
        job.move("queued", now_ns=now_ns, message=f"{error.line()}; tried again in {format_span(wait_s)}")
        job.retry_ns = now_ns + round(wait_s * 1e9)
        self.roster.queued[job.id] = idle
        self._write(job)
        self._tell_waiters(job)
        self._announce("job-queued", job)

        async def push() -> None:
            await self._clock.sleep(max(0.0, due_s - self._clock.monotonic_s()))
            if self.roster.queued.get(job.id) is idle and job.retry_ns:
                job.retry_ns = 0
                self._line_up(idle)
                self._begin_what_may()

        self._means.spawn(push())

    def _park(self, idle: Idle) -> None:
        job = idle.job
        job.move("paused", now_ns=self._clock.now_ns(), message="resume lets it go on")
        job.was_held_up = True
        self.roster.paused[job.id] = idle
        self._write(job)
        self._tell_waiters(job)
        self._announce("job-paused", job)

    def _close(
        self, idle: Idle, state: Literal["done", "warnings", "cancelled", "interrupted"], message: str = ""
    ) -> None:
        job = idle.job
        goes_on = state == "interrupted" and bool(job.operation) and self._keep is not None
        if state == "interrupted":
            message = interruption(job, goes_on=goes_on)
        job.move(state, now_ns=self._clock.now_ns(), message=message)
        self._end(idle, is_over=not goes_on)

    def _end(self, idle: Idle, *, is_over: bool = True) -> None:
        """Nothing more happens to a job in this life of the engine; `is_over`: nor in the next."""
        job = idle.job
        if is_over:
            self._write(job)
        job.warned = ()
        self.roster.keep_ended(job)
        self.figures.note_ended(job)
        self._tell_waiters(job)
        self._announce("job-ended", job)

    # --- small things ---

    def _write(self, job: Job) -> Future[None] | None:
        return None if self._keep is None else self._keep(job)

    def _tell_waiters(self, job: Job) -> None:
        waiter = self._waiters.pop(job.id, None)
        if waiter is not None and not waiter.done():
            waiter.set_result(None)

    def _waiter(self, job: Job) -> asyncio.Future[None]:
        if job.id not in self._waiters:
            self._waiters[job.id] = asyncio.get_running_loop().create_future()
        return self._waiters[job.id]

    def _set_class(self, job: Job, priority: JobClass) -> None:
        if priority != job.priority:
            job.note("class-changed", f"{job.priority} → {priority}", now_ns=self._clock.now_ns())
        job.priority = priority
        self.roster.queue.reclassify(job.id, priority)
        self.places.reclassify(job.id, priority)
        self._lend_class(job.id)
        self._lend_class(self._turns.in_the_way(job.id))

    def _lend_class(self, job_id: str) -> None:
        """Have a job that is at work served by the highest class of its own and of those that wait for it.

        Of these the one accepted first: its deadline is the one to keep. So nobody waits behind a lower class.
        """
        active = self.roster.active.get(job_id)
        if active is None:
            return
        waiting = [idle.job for idle in self._turns.behind(job_id) if self.roster.queued.get(idle.job.id) is idle]
        active.serves = min(
            [active.job, *waiting], key=lambda job: (JOB_CLASSES.index(job.priority), job.queued_monotonic_s)
        )
        if active.run is not None:
            date(active)
            active.run.reclassify(active.serves.priority)


def _refuse_ended(job: Job) -> None:
    if job.ended:
        raise Conflict(f"job {job.id[:8]} has ended already: {job.state}")

"""A dispatcher over a real pool of streams, for tests: its runs are small and do what a test says."""

from __future__ import annotations

import asyncio
import contextlib
import datetime as dt
import threading
from collections.abc import AsyncIterator, Callable, Iterator
from concurrent.futures import Future
from dataclasses import dataclass, field

from msgspec.structs import replace

from engine.base.clock import FakeClock, SystemClock
from engine.base.entropy import SystemEntropy
from engine.contract.events import EventKind
from engine.contract.settings import EngineSettings
from engine.contract.status import JobKind
from engine.contract.weddings import JobClass, Wedding
from engine.jobs.dispatcher import Dispatcher
from engine.jobs.job import Job
from engine.jobs.offload import Means, Offload
from engine.jobs.records import JobRecord, record_of
from engine.jobs.roster import Conclusion, JobSpec, Prepared
from engine.pipeline.pool import Buffers, Run, StreamPool, Unit

SMITHS = Wedding(id="1" * 32, name="smith-jones", date=dt.date(2026, 6, 20))


class SmallRun(Run[str]):
    """So many units of 100 bytes each; `gate` holds each of them up, `error` strikes in the last."""

    def __init__(self, units: int = 1, *, gate: threading.Event | None = None, error: Exception | None = None) -> None:
        super().__init__()
        self.left = units
        self.gate = gate
        self.error = error
        self.checkpoints = 0
        self.aborted = False
        self.begun = threading.Event()
        self.progress.bytes_total = units * 100

    def next_unit(self, *, idle: bool) -> Unit | None:
        if not self.left:
            return None
        self.left -= 1
        return self._unit

    def _unit(self, buffers: Buffers) -> None:
        self.begun.set()
        if self.gate is not None:
            self.gate.wait(10)
        self.progress.first_sealed_monotonic = self.progress.first_sealed_monotonic or buffers.now_s()
        self.progress.bytes_read += 100
        if self.error is not None and not self.left:
            raise self.error

    def conclude(self, buffers: Buffers) -> str:
        return "5f" * 16

    def checkpoint(self, buffers: Buffers) -> None:
        self.checkpoints += 1

    def abort(self) -> None:
        self.aborted = True


@dataclass
class World:
    """A dispatcher with its surroundings. What it wrote into the journal is in `written`."""

    group: asyncio.TaskGroup
    settings: EngineSettings = field(default_factory=lambda: EngineSettings(jobs_queued_max=50, jobs_active_max=5))
    clock: SystemClock | FakeClock = field(default_factory=SystemClock)
    events: list[tuple[EventKind, str, str]] = field(default_factory=list)
    opened: list[str] = field(default_factory=list)
    closed: list[tuple[str, str]] = field(default_factory=list)
    written: list[JobRecord] = field(default_factory=list)
    journal_error: Exception | None = None

    def __post_init__(self) -> None:
        self.offload = Offload(threads=4)
        self.pool = StreamPool(2, clock=self.clock)
        self.dispatcher = Dispatcher(
            self.pool,
            Means(self.clock, SystemEntropy(), self.offload, self.group.create_task),
            settings=lambda: self.settings,
            announce=lambda kind, job: self.events.append((kind, job.id, job.state)),
            keep=self.keep,
        )

    def keep(self, job: Job) -> Future[None]:
        self.written.append(record_of(job))
        future: Future[None] = Future()
        if self.journal_error is None:
            future.set_result(None)
        else:
            future.set_exception(self.journal_error)
        return future

    async def until(self, condition: Callable[[], bool]) -> None:
        """Come back when `condition` holds."""
        for _ in range(10_000):
            if condition():
                return
            await asyncio.sleep(0.001)
        raise AssertionError("it never came to it")

    def states(self, job: Job) -> list[str]:
        """What the journal was told of a job."""
        return [record.state for record in self.written if record.id == job.id]

    def spec(
        self, make: Callable[[], SmallRun] = SmallRun, *, warnings: int = 0, kind: JobKind = "backup",
        wedding: Wedding = SMITHS, priority: JobClass = "standard",
    ) -> JobSpec:  # fmt: skip
        """A job that the journal can run again."""

        @contextlib.contextmanager
        def opened(job: Job) -> Iterator[Prepared]:
            self.opened.append(job.id)
            run = make()
            try:
                yield Prepared(run, lambda: Conclusion(run.done.result(), warnings))
            except BaseException as error:
                self.closed.append((job.id, type(error).__name__))
                raise
            self.closed.append((job.id, ""))

        return JobSpec(kind, wedding, priority, False, opened, "start_backup", "{}")

    def passing(self, make: Callable[[], SmallRun] = SmallRun) -> JobSpec:
        """A job that nothing can run again: it reads a stream."""
        return replace(self.spec(make, kind="store"), operation="", arguments="")

    async def ended(self, spec: JobSpec) -> Job:
        """The job, once it has ended."""
        job = self.dispatcher.accept(spec)
        await self.dispatcher.ended(job)
        return job


@contextlib.asynccontextmanager
async def made_world(clock: SystemClock | FakeClock | None = None) -> AsyncIterator[World]:
    """A world that is wound down after the test."""
    async with asyncio.TaskGroup() as group:
        made = World(group, clock=clock or SystemClock())
        try:
            yield made
        finally:
            made.dispatcher.interrupt_all()
            assert await made.dispatcher.idle(10)
            if isinstance(made.clock, FakeClock):
                made.clock.advance(3600)  # wakes who waited for a next attempt
            made.pool.close()
            made.offload.close()

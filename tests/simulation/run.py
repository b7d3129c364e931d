"""One simulation: a mix is carried out by the real dispatcher over SIMULATED streams; what happens is recorded."""

from __future__ import annotations

import asyncio
import contextlib
import hashlib
import random
from collections.abc import Iterator
from dataclasses import dataclass
from functools import partial

from engine.base.errors import Conflict
from engine.contract.events import EventKind
from engine.contract.settings import EngineSettings
from engine.contract.weddings import JOB_CLASSES, Wedding
from engine.jobs.dispatcher import Dispatcher
from engine.jobs.figures import DEADLINES_S
from engine.jobs.job import Job
from engine.jobs.offload import Means
from engine.jobs.roster import Conclusion, JobSpec, Prepared
from engine.pipeline.fair import DEFAULT_WEIGHTS
from tests.samples import TODAY
from tests.simulation.checks import Checks
from tests.simulation.mixes import Mix, Order, Setting, Steering
from tests.simulation.world import (
    SimulatedClock,
    SimulatedEntropy,
    SimulatedOffload,
    SimulatedRun,
    SimulatedStreams,
    Work,
)

EVENTS_MAX = 200_000  # of one simulation; more are a scheduler that goes round in circles


@dataclass(slots=True)
class Outcome:
    """What came of a simulation."""

    trace: str  # a hash of all that happened, in order
    jobs: list[Job]
    works: list[Work]
    checks: Checks


class Simulation:
    """Carries out one mix."""

    def __init__(self, mix: Mix, *, deadlines: bool) -> None:
        chance = random.Random(mix.seed + 1)
        self.mix = mix
        self.clock = SimulatedClock()
        self.pool = SimulatedStreams(mix.streams, clock=self.clock, bytes_per_s=mix.bytes_per_s, chance=chance)
        self.works = [Work(list(order.costs), list(order.errors)) for order in mix.orders]
        self.jobs: dict[int, Job] = {}
        self.numbers: dict[str, int] = {}
        self._trace = hashlib.sha256()
        self._chance = chance
        self._deadlines = deadlines

    async def run(self) -> Outcome:
        """From the first order until nothing more happens."""
        async with asyncio.TaskGroup() as group:
            offload = SimulatedOffload(self.clock, self._chance)
            settings = EngineSettings(jobs_active_max=self.mix.jobs_active_max)
            means = Means(self.clock, SimulatedEntropy(self._chance), offload, group.create_task, self._chance)
            self.dispatcher = Dispatcher(self.pool, means, settings=lambda: settings, announce=self._announce)
            self.checks = Checks(self)
            self.pool.observer = self.checks
            for name in JOB_CLASSES:
                self.pool.set_weight(name, DEFAULT_WEIGHTS[name])
                if self._deadlines:
                    self.pool.set_deadline(name, DEADLINES_S[name])
            self._plan()
            try:
                await self._to_the_end()
            except BaseException:
                self.clock.is_over = self.dispatcher._interrupted = True
                raise
        jobs = [self.jobs[number] for number in range(len(self.jobs))]
        return Outcome(self._trace.hexdigest(), jobs, self.works, self.checks)

    async def _to_the_end(self) -> None:
        for _ in range(EVENTS_MAX):
            if not await self._step():
                return
        raise AssertionError("it does not come to an end")

    def note(self, *what: object) -> None:
        """Add something that happened to the trace."""
        self._trace.update(repr((self.clock.now_s, *what)).encode())

    def _plan(self) -> None:
        for number, order in enumerate(self.mix.orders):
            self.clock.after(order.at_s, partial(self._order, number, order))
        for steering in self.mix.steerings:
            self.clock.after(steering.at_s, partial(self._steer, steering))
        for setting in self.mix.settings:
            self.clock.after(setting.at_s, partial(self._set, setting))

    async def _step(self) -> bool:
        loop = asyncio.get_running_loop()
        has_more = self.clock.step()
        while loop._ready:  # type: ignore[attr-defined]  # noqa: ASYNC110 - no public way to ask whether all is done
            await asyncio.sleep(0)
        self.dispatcher.roster.queue.validate()
        self.pool.pump()
        return has_more

    # --- what the mix says ---

    def _order(self, number: int, order: Order) -> None:
        wedding = Wedding(id=f"{order.wedding:032x}", name=f"w{order.wedding}", date=TODAY)
        work = str(order.repeats if order.repeats >= 0 else number)
        spec = JobSpec(
            order.kind, wedding, order.priority, True, partial(self._opened, number), "start_backup", "{}",
            turn=(wedding.id, work),
        )  # fmt: skip
        self.checks.accepted(number, self.dispatcher.accept(spec))

    @contextlib.contextmanager
    def _opened(self, number: int, job: Job) -> Iterator[Prepared]:
        run = SimulatedRun(self.works[number], number, is_retrieval=job.kind == "retrieve")
        yield Prepared(run, lambda: Conclusion(run.done.result()))

    def _steer(self, steering: Steering) -> None:
        job = self.jobs[steering.order]
        with contextlib.suppress(Conflict):  # it has ended, or was not paused
            if steering.deed == "prioritise":
                before = job.priority
                self.dispatcher.prioritise(job, steering.priority, given=True)
                self.checks.prioritised(steering.order, before)
            else:
                getattr(self.dispatcher, steering.deed)(job)
            self.checks.steered(steering.order)

    def _set(self, setting: Setting) -> None:
        if setting.what == "streams":
            self.pool.resize(int(setting.value or 1))
        elif setting.what == "weight":
            self.pool.set_weight(setting.priority, int(setting.value or 1))
        else:
            self.pool.set_limit(setting.priority, setting.value)
        self.checks.set(setting)

    def _announce(self, kind: EventKind, job: Job) -> None:
        if job.id not in self.numbers:
            self.numbers[job.id] = len(self.numbers)  # orders are accepted in the order of their events
            self.jobs[self.numbers[job.id]] = job
        number = self.numbers[job.id]
        self.note(kind, number, job.state)
        if kind == "job-started":
            self.checks.started(number, job)


def simulate(mix: Mix, *, deadlines: bool = True) -> Outcome:
    """Carry out a mix; raises AssertionError where a promise is broken. Without `deadlines` no class has one."""
    return asyncio.run(Simulation(mix, deadlines=deadlines).run())

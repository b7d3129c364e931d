"""SIMULATED: time, streams and executor for the real dispatcher, queue, roster, retries, runs and fair turns.

Time stands still until the next event is due, so an hour takes as long as its events do. A stream is not a thread: it
asks a run for a unit after a moment of scanning and is done with it after cost ÷ rate; all that is decided between is
decided by the engine's own code. Everything random comes from one seed. One thread.
"""

from __future__ import annotations

import asyncio
import heapq
import itertools
import random
from collections.abc import Callable
from typing import Protocol, TypeVar, cast

from engine.contract.weddings import JobClass
from engine.jobs.offload import Offload
from engine.pipeline.fair import FairTurns
from engine.pipeline.pool import Buffers, Run, StreamPool, Unit
from engine.pipeline.stagetimes import Stage

T = TypeVar("T")
SCAN_S = 0.002  # at most, between a run being picked and its unit being known
OPEN_S = 0.02  # at most, to open or close a job
START_NS = 1_780_000_000_000_000_000


class SimulatedClock:
    """A clock that jumps from event to event."""

    def __init__(self) -> None:
        self.now_s = 0.0
        self.is_over = False  # a check has failed: nobody sleeps any more
        self._order = itertools.count()
        self._events: list[tuple[float, int, Callable[[], None]]] = []

    def now_ns(self) -> int:
        return START_NS + round(self.now_s * 1e9)

    def monotonic_s(self) -> float:
        return self.now_s

    def boottime_s(self) -> float:
        return self.now_s

    async def sleep(self, seconds: float) -> None:
        if self.is_over:
            return
        woken: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self.after(seconds, lambda: None if woken.done() else woken.set_result(None))
        await woken

    def after(self, seconds: float, event: Callable[[], None]) -> None:
        """Have something happen."""
        heapq.heappush(self._events, (self.now_s + max(0.0, seconds), next(self._order), event))

    def step(self) -> bool:
        """Go on to the next event; False when none is left."""
        if not self._events:
            return False
        self.now_s, _, event = heapq.heappop(self._events)
        event()
        return True


class SimulatedOffload(Offload):
    """Blocking calls take a moment of simulated time, and then happen on the loop."""

    def __init__(self, clock: SimulatedClock, chance: random.Random) -> None:
        self._clock = clock
        self._chance = chance

    async def run(self, key: str, function: Callable[[], T]) -> T:
        await self._clock.sleep(self._chance.random() * OPEN_S)
        return function()

    def post(self, what: Callable[[], None]) -> None:
        asyncio.get_running_loop().call_soon(what)

    def close(self) -> None:
        return


class SimulatedEntropy:
    """Ids that the seed gives."""

    def __init__(self, chance: random.Random) -> None:
        self._chance = chance

    def token(self, size_bytes: int) -> bytes:
        return self._chance.randbytes(size_bytes)


class Observer(Protocol):
    """Who is told what the streams do."""

    def before_pick(self, turns: FairTurns[Run[object]]) -> None: ...

    def left_the_line(self, turns: FairTurns[Run[object]]) -> object: ...

    def picked(self, run: Run[object]) -> None: ...

    def handed_out(self, run: Run[object], cost: int) -> None: ...


class _NoBuffers:
    """What a simulated unit needs of a stream."""

    def __init__(self, clock: SimulatedClock) -> None:
        self.stages: dict[Stage, tuple[float, int]] = {}
        self.now_s = clock.monotonic_s

    def compress_at(self, level: int) -> None:
        return


class SimulatedStreams(StreamPool):
    """The real pool without its threads: `pump` does what its streams would, when an event has happened."""

    def __init__(self, size: int, *, clock: SimulatedClock, bytes_per_s: float, chance: random.Random) -> None:
        self._time = clock
        self._bytes_per_s = bytes_per_s
        self._chance = chance
        self._taken = 0  # streams that ask or are at work
        self._wakes_s = float("inf")
        self._buffers = cast(Buffers, _NoBuffers(clock))
        self.observer: Observer
        super().__init__(size, clock=clock)

    def resize(self, size: int) -> None:
        self._target = size

    def _to_closer(self, run: Run[object]) -> None:
        self._turns.forget(run)
        self._time.after(0.0, lambda: run.end(self._buffers))

    def pump(self) -> None:
        """Let every stream that is free look for work."""
        while self._taken < self._target:
            run = self._choose()
            if run is None:
                return
            self._taken += 1
            self._time.after(self._chance.random() * SCAN_S, lambda run=run: self._asked(run))  # type: ignore[misc]

    def _choose(self) -> Run[object] | None:
        if self._stopping:
            return self._stopping.popleft()
        now_s = self._time.now_s
        self.observer.before_pick(self._turns)
        run = self._turns.pick(now_s)
        if run is not None:
            self.observer.picked(run)
            return run
        wait_s = self._turns.wait_s(now_s)
        if wait_s is not None and not now_s < self._wakes_s <= now_s + wait_s:
            self._wakes_s = now_s + wait_s
            self._time.after(wait_s, lambda: None)  # `pump` follows every event
        return None

    def _asked(self, run: Run[object]) -> None:
        found = self._ask(run)
        if found is None:
            self._taken -= 1
            return
        unit, cost = found
        self.observer.handed_out(run, cost)
        self._time.after(cost / self._bytes_per_s, lambda: self._done(run, unit, cost))

    def _done(self, run: Run[object], unit: Unit, cost: int) -> None:
        self._taken -= 1
        self._carry_out(run, unit, self._buffers)
        self._unit_ended(run, cost)
        if run.is_stopping:
            self.observer.left_the_line(self._turns)


class Work:
    """What one job has to do, over all its attempts: costs of units, and at which of them it fails with what."""

    def __init__(self, costs: list[int], errors: list[tuple[int, Exception]]) -> None:
        self.left = costs[::-1]
        self.first = costs[0]
        self.total = sum(costs)
        self.served = 0
        self._errors = errors[::-1]

    @property
    def remaining(self) -> int:
        """Cost that was not handed out yet."""
        return self.total - self.served

    def error(self) -> Exception | None:
        """What goes wrong with the unit that was handed out last, if anything."""
        if self._errors and self.served >= self._errors[-1][0]:
            return self._errors.pop()[1]
        return None


class SimulatedRun(Run[str]):
    """One attempt at some work."""

    def __init__(self, work: Work, number: int, *, is_retrieval: bool = False) -> None:
        super().__init__()
        self.work = work
        self.number = number
        self.is_due_by_first_unit = is_retrieval

    def next_unit(self, *, idle: bool) -> Unit | None:
        if not self.work.left:
            return None
        self.cost = self.work.left.pop()
        self.work.served += self.cost
        error = self.work.error()

        def unit(buffers: Buffers) -> None:
            self.progress.bytes_read += self.cost
            if error is not None:
                raise error
            self.progress.first_sealed_monotonic = self.progress.first_sealed_monotonic or buffers.now_s()

        return unit

    def conclude(self, buffers: Buffers) -> str:
        return f"{self.number:032x}"


def classes_ready(turns: FairTurns[Run[object]]) -> set[JobClass]:
    """The classes that have a run that waits for its turn, and no limit."""
    ready = {line for flow, (line, _) in turns._ready.items() if flow.priority == line}
    return {name for name in ready if turns._classes[name].limit.bytes_per_s is None}

"""Streams: the worker threads of the data plane, and the runs they take units from.

A `Run` is one job's work. A stream asks a run for a unit, carries it out wholly inside itself, and comes back;
runs take turns by the weights of their classes (see `fair`). A run is asked by one stream at a time, so what it
keeps for cutting units needs no lock. The number of streams may change at any moment: one too many ends after its
unit. Buffers belong to streams, so memory does not grow with the number of jobs.
"""

from __future__ import annotations

import logging
import math
import mmap
import threading
from collections import deque
from collections.abc import Callable, Sequence
from concurrent.futures import Future
from dataclasses import dataclass
from typing import Generic, Literal, TypeVar

import zstandard

from engine.base.clock import Clock
from engine.base.errors import Unavailable
from engine.base.invariants import check
from engine.base.units import KIB, MIB
from engine.contract.settings import STREAMS_MAX, UNIT_BYTES, EngineSettings
from engine.contract.weddings import PriorityClass
from engine.pipeline.fair import FILE_COST_BYTES, FairTurns
from engine.pipeline.stagetimes import Stage, StageFigure, StageTimes
from engine.storage.stores.metered import Meter

Outcome = TypeVar("Outcome")

UNIT_COST_MIN = FILE_COST_BYTES  # a unit that moves no bytes still takes a turn
_LOG = logging.getLogger(__name__)
_LEVEL = EngineSettings().compression_level
SCRATCH_BYTES = 8 * MIB + 64 * KIB
PACK_BUFFER_BYTES = UNIT_BYTES + 512 * KIB


class Cancelled(Exception):
    """A run ended because it was asked to."""


def _page_aligned(size_bytes: int) -> memoryview:
    """Anonymous memory: page-aligned for direct I/O, and no page of it counts before it is touched."""
    return memoryview(mmap.mmap(-1, size_bytes))


class Buffers:
    """What one stream owns: memory, compression contexts, and the time its stages took."""

    def __init__(self, clock: Clock, compression_level: int) -> None:
        self.source = _page_aligned(UNIT_BYTES)
        self.packs = (_page_aligned(PACK_BUFFER_BYTES), _page_aligned(PACK_BUFFER_BYTES))
        self.scratch = _page_aligned(SCRATCH_BYTES)
        self._level = 0
        self.compress_at(compression_level)
        self.prober = zstandard.ZstdCompressor(level=1)
        self.decompressor = zstandard.ZstdDecompressor()
        self.now_s = clock.monotonic_s
        self.stages: dict[Stage, tuple[float, int]] = {}

    def compress_at(self, level: int) -> None:
        """Use another level of zstd from now on; asked before each unit."""
        if level != self._level:
            self._level = level
            self.compressor = zstandard.ZstdCompressor(level=level)

    def spent(self, stage: Stage, seconds: float, size_bytes: int) -> None:
        """Note time and bytes of a stage; called a few times a unit."""
        before_s, before_bytes = self.stages.get(stage, (0.0, 0))
        self.stages[stage] = (before_s + seconds, before_bytes + size_bytes)


Unit = Callable[[Buffers], None]


@dataclass(slots=True)
class Progress:
    """How far a run is: plain numbers, written once a unit, read by anyone."""

    files_done: int = 0
    files_total: int | None = None
    bytes_read: int = 0
    bytes_total: int | None = None
    bytes_expected: int | None = None  # about how many, while the total is not known
    bytes_stored: int = 0
    bytes_reused: int = 0
    files_unchanged: int = 0
    warnings: int = 0
    first_warnings: tuple[str, ...] = ()  # up to WARNINGS_TOLD, as "path: what"
    first_sealed_monotonic: float | None = None
    current: str = ""


class Run(Generic[Outcome]):
    """One job's supply of units. Subclasses give `next_unit`, `conclude`, and perhaps `checkpoint` and `abort`."""

    def __init__(self) -> None:
        self.progress = Progress()
        self.done: Future[Outcome] = Future()
        self.in_flight = 0  # the pool's, under its lock
        self.units_ended = 0  # the pool's, under its lock
        self.priority: PriorityClass = "standard"  # may be changed at any moment, by any thread
        self.accepted_s = -math.inf  # of a clock's monotonic seconds; its deadline counts from there, if it has one
        self.cost = 0  # of the unit handed out last: bytes + 64 KiB a file; set by `next_unit`
        self._stop: Literal["", "cancel", "interrupt"] = ""
        self._error: BaseException | None = None
        self._ending = False
        self._pool: StreamPool | None = None

    # --- what subclasses give ---------------------------------------------------------------------------

    def next_unit(self, *, idle: bool) -> Unit | None:
        """The next unit; None when there is none now. `idle`: no unit is in flight, so None means the end."""
        raise NotImplementedError

    def conclude(self, buffers: Buffers) -> Outcome:
        """All units have ended well: finish the work."""
        raise NotImplementedError

    def checkpoint(self, buffers: Buffers) -> None:
        """Keep what was done so far, because the run is interrupted. No unit is in flight."""

    def abort(self) -> None:
        """Let go of everything; called once when the run ends without `conclude` having succeeded."""

    def warning_lines(self) -> tuple[str, ...]:
        """What it has warned of so far, as `/path: what`: all that is kept of it. Any thread."""
        return self.progress.first_warnings

    # --- what callers use -------------------------------------------------------------------------------

    def cancel(self) -> None:
        """End soon, keeping only what is checkpointed; `done` raises Cancelled."""
        self._stop = "cancel"
        self._wake()

    def interrupt(self) -> None:
        """Checkpoint and end soon; `done` raises Cancelled."""
        self._stop = self._stop or "interrupt"
        self._wake()

    def _wake(self) -> None:
        if self._pool is not None:
            self._pool.wake(self)

    # --- what the pool uses -----------------------------------------------------------------------------

    def attach(self, pool: StreamPool) -> None:
        """The pool that works on this run."""
        self._pool = pool

    def take(self, *, idle: bool) -> Unit | None:
        """The next unit, or the one that ends the run once nothing is in flight."""
        if self._ending:
            return None
        self.cost = 0
        if self._error is None and not self._stop:
            unit = self.next_unit(idle=idle)
            if unit is not None:
                return unit
        if not idle:
            return None
        self._ending = True
        return self._end

    @property
    def is_stopping(self) -> bool:
        """Whether it gives no further unit but the one that ends it."""
        return bool(self._stop) or self._error is not None

    def fail(self, error: BaseException) -> None:
        """A unit failed: the first reason counts."""
        self._error = self._error or error

    def give_up(self, error: BaseException) -> None:
        """Let go of everything and tell whoever waits, who is told even when that fails."""
        try:
            self.abort()
        except Exception:
            _LOG.exception("a run that ended could not let go of everything")
        self.done.set_exception(error)

    def _end(self, buffers: Buffers) -> None:
        try:
            if self._error is not None:
                raise self._error
            if self._stop == "interrupt":
                self.checkpoint(buffers)
            if self._stop:
                raise Cancelled
            outcome = self.conclude(buffers)
        except BaseException as error:
            self.give_up(error)
        else:
            self.done.set_result(outcome)


class StreamPool:
    """The streams. Any thread."""

    def __init__(
        self, size: int, *, clock: Clock, compression_level: int = _LEVEL, meters: Sequence[Meter] = ()
    ) -> None:
        """`meters`: of the tiers that units read from and write to; while one of them is in debt, no unit is begun."""
        self._clock = clock
        self._meters = meters
        self.compression_level = compression_level  # may be changed at any moment; in force at the next unit
        self._condition = threading.Condition()
        self._turns: FairTurns[Run[object]] = FairTurns()  # runs that may be asked
        self._stopping: deque[Run[object]] = deque()  # runs that are to end: asked first, whatever limits their class
        self._parked: set[Run[object]] = set()  # runs that wait for a unit of theirs to end
        self._target = 0
        self._threads: set[threading.Thread] = set()
        self._busy = 0
        self._closed = False
        self._times = StageTimes()
        self.resize(size)

    @property
    def size(self) -> int:
        """Streams wanted; those over it end after their unit."""
        return self._target

    @property
    def busy(self) -> int:
        """Streams at work on a unit."""
        return self._busy

    @property
    def served(self) -> dict[PriorityClass, int]:
        """Class → cost handed out to it since the start: bytes + 64 KiB a file."""
        with self._condition:
            return self._turns.served()

    def set_limit(self, priority: PriorityClass, bytes_per_s: float | None) -> None:
        """Limit what a class may read (or restore) a second; None lifts it. In force at once."""
        with self._condition:
            self._turns.set_limit(priority, bytes_per_s, self._clock.monotonic_s())
            self._condition.notify_all()

    def set_weight(self, priority: PriorityClass, weight: int) -> None:
        """Give a class another share of the streams. In force at once."""
        with self._condition:
            self._turns.set_weight(priority, weight)

    def set_deadline(self, priority: PriorityClass, deadline_s: float) -> None:
        """How long after its acceptance a run of a class is to have ended. In force at once."""
        with self._condition:
            self._turns.set_deadline(priority, deadline_s)

    def look_again(self) -> None:
        """The limit of a tier has changed."""
        with self._condition:
            self._condition.notify_all()

    def stages(self) -> dict[Stage, StageFigure]:
        """What each stage has cost."""
        return self._times.figures(time_s=self._clock.monotonic_s())

    def resize(self, size: int) -> None:
        """Change the number of streams; takes effect at the next unit."""
        check(1 <= size <= STREAMS_MAX, "a pool has between 1 and 256 streams")
        with self._condition:
            self._target = size
            while len(self._threads) < size and not self._closed:
                thread = threading.Thread(target=self._work, name="wedsync-stream", daemon=True)
                self._threads.add(thread)
                thread.start()
            self._condition.notify_all()

    def submit(self, run: Run[Outcome]) -> None:
        """Work on `run` until its `done` ends. Raises Unavailable after `close`."""
        with self._condition:
            if self._closed:
                raise Unavailable("the engine is stopping", "try again when it has started")
            run.attach(self)
            self._line_up(run)  # type: ignore[arg-type]

    def wake(self, run: Run[Outcome]) -> None:
        """A run that waits, parked or for its turn, is to be asked again because it is to stop."""
        with self._condition:
            self._hurry(run)  # type: ignore[arg-type]
            self._unpark(run)  # type: ignore[arg-type]

    def _hurry(self, run: Run[object]) -> None:
        if run.is_stopping and self._turns.remove(run):
            self._line_up(run)

    def _line_up(self, run: Run[object]) -> None:
        """`run` may be asked. The lock is held."""
        if run.is_stopping:
            self._stopping.append(run)
        else:
            self._turns.add(run)
        self._condition.notify()

    def _unpark(self, run: Run[object]) -> None:
        if run in self._parked:
            self._parked.discard(run)
            self._line_up(run)

    def close(self) -> None:
        """Stop after the units in flight; runs that have not ended raise Unavailable."""
        with self._condition:
            self._closed = True
            self._condition.notify_all()
            threads = list(self._threads)
        for thread in threads:
            thread.join()
        with self._condition:
            left = [*self._stopping, *self._turns.drain(), *self._parked]
            self._stopping.clear()
            self._parked.clear()
        for run in left:
            if not run.done.done():
                run.give_up(Unavailable("the engine stopped", "start it again; the job goes on from there"))

    # --- one stream -------------------------------------------------------------------------------------

    def _work(self) -> None:
        buffers = Buffers(self._clock, self.compression_level)
        while True:
            run = self._next_run()
            if run is None:
                return
            unit = self._ask(run)
            if unit is not None:
                self._carry_out(run, *unit, buffers)

    def _next_run(self) -> Run[object] | None:
        """The run whose turn it is; None when this stream is to end."""
        with self._condition:
            while True:
                if self._closed or len(self._threads) > self._target:
                    self._threads.discard(threading.current_thread())
                    self._condition.notify()  # the wake-up that this stream took may have been meant for work
                    return None
                if self._stopping:
                    return self._stopping.popleft()
                now_s = self._clock.monotonic_s()
                held_s = self._held_s()
                run = self._turns.pick(now_s) if held_s <= 0 else None
                if run is not None:
                    return run
                self._condition.wait(held_s or self._turns.wait_s(now_s))

    def _held_s(self) -> float:
        """How long no unit may be begun, because of what a tier may move."""
        return max((meter.wait_s() for meter in self._meters), default=0.0)

    def _ask(self, run: Run[object]) -> tuple[Unit, int] | None:
        """One unit of `run` and its cost; `run` then stands in line again, or waits when it has none now."""
        with self._condition:
            ended_before, idle = run.units_ended, run.in_flight == 0
        failed = False
        try:
            unit = run.take(idle=idle)
        except BaseException as error:
            run.fail(error)
            unit, failed = None, True
        with self._condition:
            if unit is not None:
                cost = max(run.cost, UNIT_COST_MIN)
                run.in_flight += 1
                self._busy += 1
                self._turns.charge(run, cost)
                for meter in self._meters:
                    meter.reserve(cost)
                self._line_up(run)
                return unit, cost
            if not run.done.done():
                if run.units_ended != ended_before or (failed and run.in_flight == 0):
                    self._line_up(run)  # something changed while it was asked: ask again
                else:
                    self._parked.add(run)
            else:
                self._turns.forget(run)
        return None

    def _carry_out(self, run: Run[object], unit: Unit, cost: int, buffers: Buffers) -> None:
        buffers.compress_at(self.compression_level)
        try:
            unit(buffers)
        except BaseException as error:
            run.fail(error)
        self._times.add(buffers.stages, time_s=buffers.now_s())
        buffers.stages.clear()
        with self._condition:
            self._busy -= 1
            run.in_flight -= 1
            run.units_ended += 1
            for meter in self._meters:
                meter.release(cost)
                if meter.limit_bytes_per_s is not None:
                    self._condition.notify_all()  # it may have moved less than it could
            self._hurry(run)
            self._unpark(run)

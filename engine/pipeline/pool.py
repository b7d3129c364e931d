"""Streams: the worker threads of the data plane, and the runs they take units from.

A stream asks a run for a unit, carries it out wholly inside itself, and comes back; runs take turns by the weights of
their classes (see `fair`). A run is asked by one stream at a time, so what it keeps for cutting units needs no lock.
The number of streams may change at any moment: one too many ends after its unit. Buffers belong to threads, so memory
does not grow with the number of jobs.

Two kinds of threads stand beside the streams. The *spare* ones serve a class only while every stream is at work and one
of them for a lower class: so a job of today never waits for the end of a long unit of others. They begin runs, also out
of turn (see `fair`), and one of them at a time carries out what else is its turn. The *closers* end runs: publishing
and committing is waiting for the disk, and no stream stands still for it.
"""

from __future__ import annotations

import threading
from collections import deque
from collections.abc import Callable, Sequence
from contextlib import closing

from engine.base.clock import Clock
from engine.base.errors import Unavailable
from engine.base.invariants import check
from engine.contract.settings import STREAMS_MAX, EngineSettings
from engine.contract.weddings import JOB_CLASSES, JobClass
from engine.pipeline.closers import Closers
from engine.pipeline.fair import FILE_COST_BYTES, FairTurns
from engine.pipeline.run import Buffers as Buffers
from engine.pipeline.run import Cancelled as Cancelled
from engine.pipeline.run import Outcome
from engine.pipeline.run import Progress as Progress
from engine.pipeline.run import Run as Run
from engine.pipeline.run import Unit as Unit
from engine.pipeline.stagetimes import Stage, StageFigure, StageTimes
from engine.storage.stores.metered import Meter

SPARES = 3  # to read and write a small unit is waiting for the disk and for a companion, mostly
UNIT_COST_MIN = FILE_COST_BYTES  # a unit that moves no bytes still takes a turn
_LEVEL = EngineSettings().compression_level


class StreamPool:
    """The streams. Any thread."""

    def __init__(
        self, size: int, *, clock: Clock, compression_level: int = _LEVEL, meters: Sequence[Meter] = ()
    ) -> None:
        """`meters`: of the tiers that units read from and write to; while one of them is in debt, no unit is begun."""
        self._clock = clock
        self._meters = meters
        self.compression_level = compression_level  # may be changed at any moment; in force at the next unit
        lock = threading.Lock()
        self._work_came = threading.Condition(lock)  # two of one lock, so that who is woken has something to do
        self._spare_work_came = threading.Condition(lock)
        self._turns: FairTurns[Run[object]] = FairTurns()  # runs that may be asked
        self._stopping: deque[Run[object]] = deque()  # runs that are to end: asked first, whatever limits their class
        self._parked: set[Run[object]] = set()  # runs that wait for a unit of theirs to end
        self._closers = Closers(self._end, lambda: Buffers(clock, self.compression_level))
        self._ending = 0  # runs that closers have, or will
        self._target = 0
        self._streams: set[threading.Thread] = set()
        self._spares: set[threading.Thread] = set()
        self._helper: threading.Thread | None = None  # the spare one that carries out a unit whose turn it is
        self._resting = 0  # streams that wait for work
        self._at_work: dict[threading.Thread, JobClass] = {}  # streams with a unit, and its class
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
        return len(self._at_work)

    @property
    def ending(self) -> int:
        """Runs that have nothing left to do but publish and commit."""
        return self._ending

    @property
    def served(self) -> dict[JobClass, int]:
        """Class → cost handed out to it since the start: bytes + 32 KiB a file."""
        with self._work_came:
            return self._turns.served()

    def set_limit(self, priority: JobClass, bytes_per_s: float | None) -> None:
        """Limit what a class may read (or restore) a second; None lifts it. In force at once."""
        with self._work_came:
            self._turns.set_limit(priority, bytes_per_s, self._clock.monotonic_s())
            self._work_came.notify_all()

    def set_weight(self, priority: JobClass, weight: int) -> None:
        """Give a class another share of the streams. In force at once."""
        with self._work_came:
            self._turns.set_weight(priority, weight)

    def set_deadline(self, priority: JobClass, deadline_s: float) -> None:
        """How long after its acceptance a run of a class is to be through. In force at once."""
        with self._work_came:
            self._turns.set_deadline(priority, deadline_s)

    def look_again(self) -> None:
        """The limit of a tier has changed."""
        with self._work_came:
            self._work_came.notify_all()
            self._spare_work_came.notify_all()

    def stages(self) -> dict[Stage, StageFigure]:
        """What each stage has cost."""
        return self._times.figures(time_s=self._clock.monotonic_s())

    def resize(self, size: int) -> None:
        """Change the number of streams; takes effect at the next unit."""
        check(1 <= size <= STREAMS_MAX, "a pool has between 1 and 256 streams")
        with self._work_came:
            self._target = size
            while len(self._streams) < size and not self._closed:
                self._streams.add(_started(self._work, "wedsync-stream"))
            while len(self._spares) < SPARES and not self._closed:
                self._spares.add(_started(self._work_as_spare, "wedsync-spare"))
            self._work_came.notify_all()

    def submit(self, run: Run[Outcome]) -> None:
        """Work on `run` until its `done` ends. Raises Unavailable after `close`."""
        with self._work_came:
            if self._closed:
                raise Unavailable("the engine is stopping", "try again when it has started")
            run.attach(self.wake)
            self._line_up(run)  # type: ignore[arg-type]

    def wake(self, run: Run[Outcome]) -> None:
        """A run that waits, parked or for its turn, is to stop and therefore asked again, or is of another class."""
        with self._work_came:
            self._turns.reclassify(run)  # type: ignore[arg-type]
            self._hurry(run)  # type: ignore[arg-type]
            self._unpark(run)  # type: ignore[arg-type]

    def close(self) -> None:
        """Stop after the units in flight; runs that have not ended raise Unavailable."""
        with self._work_came:
            self._closed = True
            self._work_came.notify_all()
            self._spare_work_came.notify_all()
            threads = [*self._streams, *self._spares]
        for thread in threads:
            thread.join()
        self._closers.close()
        with self._work_came:
            left = [*self._stopping, *self._turns.drain(), *self._parked]
            self._stopping.clear()
            self._parked.clear()
        for run in left:
            if not run.done.done():
                run.give_up(Unavailable("the engine stopped", "start it again; the job goes on from there"))

    # --- who waits; the lock is held --------------------------------------------------------------------

    def _line_up(self, run: Run[object]) -> None:
        """`run` may be asked."""
        if run.is_stopping:
            self._stopping.append(run)
        else:
            self._turns.add(run)
        if self._resting:
            self._work_came.notify()
        else:
            self._spare_work_came.notify()

    def _hurry(self, run: Run[object]) -> None:
        if run.is_stopping and self._turns.remove(run):
            self._line_up(run)

    def _unpark(self, run: Run[object]) -> None:
        if run in self._parked:
            self._parked.discard(run)
            self._line_up(run)

    def _hand_out(self, run: Run[object]) -> int:
        """Count the unit of `run` that this thread carries out next; its cost."""
        cost = max(run.cost, UNIT_COST_MIN)
        run.kept = None
        run.in_flight += 1
        if threading.current_thread() in self._streams:
            self._at_work[threading.current_thread()] = run.priority
        self._turns.charge(run, cost)
        for meter in self._meters:
            meter.reserve(cost)
        return cost

    def _to_closer(self, run: Run[object]) -> None:
        """Nothing is left to do of `run` but to end it."""
        self._turns.forget(run)
        run.in_flight += 1
        self._ending += 1
        self._closers.add(run)

    def _is_worth_asking(self, run: Run[object]) -> bool:
        """Whether `run`, of which a unit has just ended, may be at its end. Then it is taken out of the line."""
        if run.in_flight or run.kept is not None or not (run.is_stopping or run.may_be_over):
            return False
        if run in self._parked:
            self._parked.discard(run)
            return True
        return self._turns.remove(run)

    # --- one stream -------------------------------------------------------------------------------------

    def _work(self) -> None:
        with closing(Buffers(self._clock, self.compression_level)) as buffers:
            while self._serve(self._next_run(), buffers):
                pass

    def _next_run(self) -> Run[object] | None:
        """The run whose turn it is; None when this stream is to end."""
        with self._work_came:
            while True:
                if self._closed or len(self._streams) > self._target:
                    self._streams.discard(threading.current_thread())
                    self._work_came.notify()  # the wake-up that this stream took may have been meant for work
                    return None
                if self._stopping:
                    return self._stopping.popleft()
                now_s = self._clock.monotonic_s()
                held_s = self._held_s()
                run = self._turns.pick(now_s) if held_s <= 0 else None
                if run is not None:
                    return run
                self._resting += 1
                self._work_came.wait(held_s or self._turns.wait_s(now_s))
                self._resting -= 1

    def _held_s(self) -> float:
        """How long no unit may be begun, because of what a tier may move."""
        return max((meter.wait_s() for meter in self._meters), default=0.0)

    def _serve(self, run: Run[object] | None, buffers: Buffers) -> bool:
        """One unit of `run`; False without one. A thread that waits holds no run, nor what hangs on it."""
        if run is None:
            return False
        unit, cost = self._ask(run) or (None, 0)
        if unit is not None:
            self._carry_out(run, unit, buffers)
            del unit  # before it counts as ended: what it holds of a source is not to outlive the run
            self._unit_ended(run, cost)
        return True

    def _ask(self, run: Run[object], *, in_turn: bool = True) -> tuple[Unit, int] | None:
        """One unit of `run` and its cost; `run` then stands in line again, or is over, or waits when it has none now.

        Out of turn the unit is kept, to be handed out in turn.
        """
        with self._work_came:
            ended_before, idle = run.units_ended, run.in_flight == 0
        failed = False
        try:
            unit = run.take(idle=idle)
        except BaseException as error:
            run.fail(error)
            unit, failed = None, True
        with self._work_came:
            if unit is not None:
                run.kept = unit
                found = (unit, self._hand_out(run)) if in_turn else None
                self._line_up(run)
                return found
            if run.is_over:
                self._to_closer(run)
            elif run.units_ended != ended_before or (failed and run.in_flight == 0):
                self._line_up(run)  # something changed while it was asked: ask again
            else:
                self._parked.add(run)
        return None

    def _carry_out(self, run: Run[object], unit: Unit, buffers: Buffers) -> None:
        try:
            self._timed(unit, buffers)
        except BaseException as error:
            run.fail(error)

    def _unit_ended(self, run: Run[object], cost: int) -> None:
        """And if it may have been the last of `run`, see whether it was: no end waits for a turn."""
        with self._work_came:
            self._at_work.pop(threading.current_thread(), None)
            run.in_flight -= 1
            run.units_ended += 1
            for meter in self._meters:
                meter.release(cost)
                if meter.limit_bytes_per_s is not None:
                    self._work_came.notify_all()  # it may have moved less than it could
            is_asked = self._is_worth_asking(run)
            if not is_asked:
                self._hurry(run)
                self._unpark(run)
        if is_asked:
            self._ask(run, in_turn=False)

    def _timed(self, unit: Unit, buffers: Buffers) -> None:
        buffers.compress_at(self.compression_level)
        try:
            unit(buffers)
        finally:
            self._times.add(buffers.stages, time_s=buffers.now_s())
            buffers.stages.clear()

    # --- the spare threads, and the closers --------------------------------------------------------------

    def _work_as_spare(self) -> None:
        with closing(Buffers(self._clock, self.compression_level)) as buffers:
            while self._serve(self._next_urgent_run(), buffers):
                pass

    def _next_urgent_run(self) -> Run[object] | None:
        """A run to begin, or whose turn it is, once every stream is at work and one of them for a lower class."""
        with self._work_came:
            if self._helper is threading.current_thread():
                self._helper = None
            while not self._closed:
                lowest = max(self._at_work.values(), key=JOB_CLASSES.index, default=None)
                if lowest is not None and not self._resting and self._held_s() <= 0:
                    now_s = self._clock.monotonic_s()
                    run = self._turns.pick_new(now_s, above=lowest)
                    if run is None and self._helper is None:
                        run = self._turns.pick(now_s, above=lowest)
                        self._helper = threading.current_thread() if run is not None else None
                    if run is not None:
                        return run
                self._spare_work_came.wait()
        return None

    def _end(self, run: Run[object], buffers: Buffers) -> None:
        """What a closer does with a run."""
        self._timed(run.end, buffers)
        with self._work_came:
            run.in_flight -= 1
            self._ending -= 1


def _started(work: Callable[[], None], name: str) -> threading.Thread:
    thread = threading.Thread(target=work, name=name, daemon=True)
    thread.start()
    return thread

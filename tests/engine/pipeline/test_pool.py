"""Streams: runs take turns, streams come and go at any moment, a failure is its run's alone, none is forgotten."""

from __future__ import annotations

import gc
import random
import threading
import weakref
from collections import Counter
from functools import partial
from typing import Literal

import pytest

from engine.base.errors import LimitReached, Unavailable, WedSyncError
from engine.base.invariants import BrokenInvariant
from engine.pipeline.pool import Buffers, Cancelled, StreamPool, Unit
from tests.engine.pipeline.pooling import ENDED_S, Counted, close, ended, new_pool, wait

# --- turns ------------------------------------------------------------------------------------------------


def test_runs_take_turns(single: StreamPool) -> None:
    """Unit by unit: a short run is not kept waiting by long ones that came before it."""
    order: list[str] = []
    begin = threading.Event()
    gate = Counted(1, lambda _: wait(begin))
    single.submit(gate)

    def named(name: str) -> Counted:
        return Counted(3, lambda _: order.append(name))

    runs = [named(name) for name in "abc"]
    for run in runs:
        single.submit(run)
    begin.set()
    for run in runs:
        assert run.done.result(ENDED_S) == 3
    assert order == list("abc") * 3


def _meet(others: threading.Barrier) -> None:
    others.wait(ENDED_S)


def test_a_run_that_comes_late_gets_the_next_turn_but_one(single: StreamPool) -> None:
    """A run of a thousand units is overtaken at once."""
    order: list[str] = []
    began, go_on = threading.Event(), threading.Event()

    def long_unit(number: int) -> None:
        order.append("long")
        began.set()
        if len(order) == 1:
            wait(go_on)

    long = Counted(1000, long_unit)
    single.submit(long)
    wait(began)
    short = Counted(1, lambda _: order.append("short"))
    single.submit(short)
    go_on.set()
    assert short.done.result(ENDED_S) == 1
    assert long.done.result(ENDED_S) == 1000
    assert order.index("short") <= 2


def test_streams_work_on_one_run_together(pool: StreamPool) -> None:
    """Three units at once: each waits for the other two."""
    together = threading.Barrier(3)
    run = Counted(6, lambda _: _meet(together))
    pool.submit(run)
    assert run.done.result(ENDED_S) == 6


def test_a_run_with_nothing_now_is_asked_again_when_a_unit_ends(pool: StreamPool) -> None:
    """It waits parked, and other runs go on."""
    runs = [Counted(50, parks=True), Counted(50, window=2), Counted(50)]
    for run in runs:
        pool.submit(run)
    assert [run.done.result(ENDED_S) for run in runs] == [50, 50, 50]


def test_an_empty_run_ends(pool: StreamPool) -> None:
    """With its conclusion."""
    run = Counted(0)
    pool.submit(run)
    assert run.done.result(ENDED_S) == 0
    assert run.aborted == 0


# --- failures ---------------------------------------------------------------------------------------------


@pytest.mark.parametrize("error", [LimitReached("full"), OSError("disk"), BrokenInvariant("bug"), KeyboardInterrupt()])
def test_a_failing_unit_fails_its_run_only(pool: StreamPool, error: BaseException) -> None:
    """With its own error, once, after all units in flight; the streams live on."""

    def fails(number: int) -> None:
        if number == 7:
            raise error

    bad, good = Counted(20, fails), Counted(20)
    pool.submit(bad)
    pool.submit(good)
    assert ended(bad) is error
    assert bad.aborted == 1
    assert good.done.result(ENDED_S) == 20
    assert len(pool._streams) == 3


def test_the_first_of_several_failures_counts(single: StreamPool) -> None:
    """What comes after it may be its consequence."""
    errors = [WedSyncError("first"), WedSyncError("second")]
    run = Counted(2)
    run.fail(errors[0])
    run.fail(errors[1])
    single.submit(run)
    assert ended(run) is errors[0]
    assert run.carried_out == []


def test_a_run_that_cannot_say_its_next_unit_fails(pool: StreamPool) -> None:
    """Also while others of its units are in flight."""

    class Broken(Counted):
        def next_unit(self, *, idle: bool) -> Unit | None:
            if self.left == 5:
                raise LimitReached("no more")
            return super().next_unit(idle=idle)

    broken, good = Broken(20), Counted(20)
    pool.submit(broken)
    pool.submit(good)
    assert isinstance(ended(broken), LimitReached)
    assert (len(broken.carried_out), broken.aborted) == (15, 1)
    assert good.done.result(ENDED_S) == 20


@pytest.mark.parametrize("broken", ["conclude", "checkpoint", "abort"])
def test_a_run_that_fails_at_its_end_ends(pool: StreamPool, broken: str) -> None:
    """Whoever waits for it is never left waiting, even when letting go fails too."""
    run = Counted(3)

    def fails(*_: object) -> None:
        raise OSError(broken)

    setattr(run, broken, fails)
    if broken != "conclude":
        run.interrupt()
    pool.submit(run)
    error = ended(run)
    assert isinstance(error, Cancelled if broken == "abort" else OSError)
    after = Counted(2)
    pool.submit(after)
    assert after.done.result(ENDED_S) == 2


# --- stopping a run ---------------------------------------------------------------------------------------


@pytest.mark.parametrize("how", ["cancel", "interrupt"])
def test_a_stopped_run_ends_after_its_units_in_flight(pool: StreamPool, how: str) -> None:
    """No unit begins after it; an interrupt keeps what was done, a cancel does not."""
    began, go_on = threading.Event(), threading.Event()

    def unit(_: int) -> None:
        began.set()
        wait(go_on)

    run = Counted(100, unit)
    pool.submit(run)
    wait(began)
    getattr(run, how)()
    go_on.set()
    assert isinstance(ended(run), Cancelled)
    assert len(run.carried_out) <= 3
    assert (run.checkpoints, run.aborted) == (how == "interrupt", 1)


def test_a_cancel_outranks_an_interrupt(pool: StreamPool) -> None:
    """Whatever came first."""
    for first, second in (("cancel", "interrupt"), ("interrupt", "cancel")):
        run = Counted(1)
        getattr(run, first)()
        getattr(run, second)()
        pool.submit(run)
        assert isinstance(ended(run), Cancelled)
        assert run.checkpoints == 0


def test_an_interrupt_while_a_run_ends_takes_nothing_from_it(pool: StreamPool) -> None:
    """It comes between two looks at whether there is one: a run that goes on ends well, one that stops is kept."""

    class Interrupted(Counted):
        """Interrupted after the first look."""

        looks = 0

        @property
        def _stop(self) -> Literal["", "cancel", "interrupt"]:
            self.looks += self.is_over
            return "interrupt" if self.looks > 1 else ""

        @_stop.setter
        def _stop(self, _: Literal["", "cancel", "interrupt"]) -> None:
            """What it begins with."""

    run = Interrupted(1)
    pool.submit(run)
    assert ended(run) is None or run.checkpoints == 1


def test_stopping_a_run_that_has_ended_does_nothing(pool: StreamPool) -> None:
    """It may end while somebody presses the key."""
    run = Counted(1)
    pool.submit(run)
    assert run.done.result(ENDED_S) == 1
    run.cancel()
    run.interrupt()
    assert run.aborted == 0


@pytest.mark.parametrize("stop", ["cancel", "interrupt", "fail"])
def test_a_run_that_is_to_stop_does_not_wait_for_the_limit_of_its_class(single: StreamPool, stop: str) -> None:
    """At a byte a second the next unit would come in a day; the end comes at once."""
    single.set_limit("standard", 1.0)
    began = threading.Event()
    run = Counted(100, lambda _: began.set())
    single.set_limit("standard", 100_000.0)  # what was saved up is enough for one unit
    single.submit(run)
    wait(began)
    single.set_limit("standard", 1.0)
    if stop == "fail":
        run.fail(LimitReached("full"))
        run._wake()
    else:
        getattr(run, stop)()
    assert isinstance(ended(run), LimitReached if stop == "fail" else Cancelled)


# --- the number of streams --------------------------------------------------------------------------------


def test_more_streams_begin_at_once(single: StreamPool) -> None:
    """Units that wait for each other go on when there are enough streams."""
    together = threading.Barrier(4)
    run = Counted(4, lambda _: _meet(together))
    single.submit(run)
    single.resize(4)
    assert run.done.result(ENDED_S) == 4
    assert single.size == 4


def test_fewer_streams_end_after_their_units(pool: StreamPool) -> None:
    """What they work on is finished, and never more than the new number at work afterwards."""
    at_work: Counter[str] = Counter()
    most = 0
    lock = threading.Lock()
    shrunk = threading.Event()
    together = threading.Barrier(4)

    def unit(number: int) -> None:
        nonlocal most
        if number >= 97:
            together.wait(ENDED_S)
            wait(shrunk)
            return
        with lock:
            at_work["now"] += 1
            most = max(most, at_work["now"])
        with lock:
            at_work["now"] -= 1

    run = Counted(100, unit)
    pool.submit(run)
    together.wait(ENDED_S)
    pool.resize(1)
    shrunk.set()
    assert run.done.result(ENDED_S) == 100
    assert most == 1


def test_the_number_of_streams_is_bounded(pool: StreamPool) -> None:
    """From one to 256."""
    for size in (0, 257, -1):
        with pytest.raises(BrokenInvariant):
            pool.resize(size)
    assert pool.size == 3


# --- the end ----------------------------------------------------------------------------------------------


def test_closing_ends_every_run_that_is_left() -> None:
    """At work, waiting, parked: each is let go of and told once; nothing can be submitted afterwards."""
    pool = new_pool(2)
    began, go_on = threading.Event(), threading.Event()

    def unit(_: int) -> None:
        began.set()
        wait(go_on)

    runs = [Counted(10, unit), Counted(10, unit, parks=True), Counted(10, unit), Counted(10, unit)]
    for run in runs:
        pool.submit(run)
    wait(began)
    close(pool, go_on)
    assert [type(ended(run)) for run in runs] == [Unavailable] * 4
    assert [run.aborted for run in runs] == [1] * 4
    with pytest.raises(Unavailable):
        pool.submit(Counted(1))
    pool.close()


def test_a_run_whose_abort_fails_does_not_keep_the_pool_open() -> None:
    """The others are told all the same."""
    pool = new_pool(1)
    held, go_on = threading.Event(), threading.Event()

    def unit(_: int) -> None:
        held.set()
        wait(go_on)

    first = Counted(1, unit)
    bad, good = Counted(1), Counted(1)

    def fails() -> None:
        raise OSError("abort")

    bad.abort = fails  # type: ignore[method-assign]
    for run in (first, bad, good):
        pool.submit(run)
    wait(held)
    close(pool, go_on)
    assert [type(ended(run)) for run in (bad, good)] == [Unavailable] * 2


# --- nothing is forgotten ---------------------------------------------------------------------------------


@pytest.mark.parametrize("seed", range(6))
def test_no_run_is_forgotten_among_many(seed: int) -> None:
    """Hundreds of tiny runs of every temper, while streams come and go and some runs are stopped or fail."""
    chance = random.Random(seed)
    pool = new_pool(chance.randint(1, 8))
    runs: list[Counted] = []

    def fails(number: int) -> None:
        if not number:
            raise LimitReached("at its last unit")

    def submit(count: int, chance: random.Random) -> None:
        for _ in range(count):
            tempers = {"window": chance.randint(1, 3), "parks": chance.random() < 0.3}
            work = fails if chance.random() < 0.1 else lambda _: None
            run = Counted(chance.randint(0, 12), work, **tempers)  # type: ignore[arg-type]
            runs.append(run)
            pool.submit(run)
            if chance.random() < 0.1:
                run.cancel()
            if chance.random() < 0.05:
                pool.resize(chance.randint(1, 8))

    threads = [threading.Thread(target=submit, args=(80, random.Random(seed * 10 + at))) for at in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(ENDED_S)
    for run in runs:
        error = ended(run)
        assert error is None or isinstance(error, LimitReached | Cancelled)
        assert run.aborted == int(error is not None)
    assert len(runs) == 320
    pool.close()
    assert (pool.busy, pool._streams) == (0, set())
    assert all(run.in_flight == 0 for run in runs)


def test_a_run_that_commits_is_counted_until_it_has_ended(single: StreamPool) -> None:
    came, go_on = threading.Event(), threading.Event()

    class Slow(Counted):
        def conclude(self, buffers: Buffers) -> int:
            came.set()
            wait(go_on)
            return super().conclude(buffers)

    run = Slow(1)
    assert single.ending == 0
    single.submit(run)
    wait(came)
    assert (single.ending, single.busy) == (1, 0)
    go_on.set()
    assert ended(run) is None
    single.close()
    assert single.ending == 0


def test_what_a_unit_held_when_it_failed_is_let_go_before_its_run_ends(single: StreamPool) -> None:
    """Files and descriptors too, also those of an error that was met on the way; the error is told all the same."""
    held: list[weakref.ref[threading.Event]] = []

    def failing(_: int) -> None:
        thing = threading.Event()
        held.append(weakref.ref(thing))
        try:
            raise OSError("first")
        except OSError:
            raise LimitReached("the disk is full") from None

    gc.disable()
    try:
        run = Counted(1, failing)
        single.submit(run)
        assert isinstance(ended(run), LimitReached)
        assert held[0]() is None
    finally:
        gc.enable()


def test_what_a_unit_held_is_let_go_before_its_run_is_asked_for_its_end(single: StreamPool) -> None:
    """Whoever hears of the end may unmount the source."""
    seen: list[object] = []

    class Holding(Counted):
        held: weakref.ref[threading.Event] | None = None

        def next_unit(self, *, idle: bool) -> Unit | None:
            unit = super().next_unit(idle=idle)
            if unit is None:
                seen.append(self.held and self.held())
                return None
            thing = threading.Event()
            self.held = weakref.ref(thing)
            return partial(_carried_out, unit, thing)

    run = Holding(1)
    single.submit(run)
    assert ended(run) is None
    assert seen[-1] is None
    assert len(run.carried_out) == 1


def _carried_out(unit: Unit, _: threading.Event, buffers: Buffers) -> None:
    unit(buffers)

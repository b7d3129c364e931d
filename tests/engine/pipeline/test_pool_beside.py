"""Beside the streams: the spare thread for higher classes, and the closers, for which no stream stands still."""

from __future__ import annotations

import threading
import time
import weakref
from collections.abc import Iterator

import pytest

from engine.contract.settings import UNIT_BYTES
from engine.contract.weddings import PRIORITY_CLASSES, PriorityClass
from engine.pipeline.closers import CLOSERS, FIRST
from engine.pipeline.pool import SPARES, Buffers, StreamPool
from tests.engine.pipeline.pooling import ENDED_S, Counted, close, new_pool, wait


@pytest.fixture
def held(single: StreamPool) -> Iterator[tuple[StreamPool, Counted]]:
    """One stream in the middle of a long unit of a standard run, and that run."""
    began, go_on = threading.Event(), threading.Event()

    def unit(_: int) -> None:
        began.set()
        wait(go_on)

    run = Counted(1, unit)
    run.unit_cost = UNIT_BYTES
    single.submit(run)
    wait(began)
    yield single, run
    go_on.set()
    assert run.done.result(ENDED_S) == 1


def _of(priority: PriorityClass, units: int = 3) -> Counted:
    run = Counted(units)
    run.priority = priority
    return run


def test_a_higher_class_does_not_wait_for_the_units_of_lower_ones(held: tuple[StreamPool, Counted]) -> None:
    """Though every stream is in the middle of one."""
    pool, _ = held
    for priority in PRIORITY_CLASSES[:2]:
        run = _of(priority)
        pool.submit(run)
        assert run.done.result(ENDED_S) == 3


def test_the_spare_thread_is_for_higher_classes_alone(held: tuple[StreamPool, Counted]) -> None:
    """A class gets no more threads than there are streams, however many of its runs wait."""
    pool, _ = held
    beside = _of("standard")
    pool.submit(beside)
    urgent = _of("same-day")
    pool.submit(urgent)
    assert urgent.done.result(ENDED_S) == 3
    assert beside.carried_out == []


def test_runs_of_a_higher_class_begin_beside_each_other_and_out_of_turn(held: tuple[StreamPool, Counted]) -> None:
    """As many as there are spare threads, though none of their units ends and it is the turn of a lower class."""
    pool, _ = held
    began, go_on = threading.Semaphore(0), threading.Event()

    def unit(_: int) -> None:
        began.release()
        wait(go_on)

    pool.submit(_of("standard"))
    runs = [Counted(1, unit) for _ in range(SPARES)]
    for run in runs:
        run.priority, run.unit_cost = "same-day", 10 * UNIT_BYTES
        pool.submit(run)
    assert all(began.acquire(timeout=ENDED_S) for _ in runs)
    go_on.set()
    assert [run.done.result(ENDED_S) for run in runs] == [1] * SPARES


def test_one_spare_thread_at_a_time_goes_on_with_what_has_begun(held: tuple[StreamPool, Counted]) -> None:
    """A higher class gets one thread more than there are streams, and more for the beginning of runs alone."""
    pool, _ = held
    began, go_on = threading.Semaphore(0), threading.Event()

    def unit(number: int) -> None:
        if number < 2:  # the first is over: 2, 1, 0
            began.release()
            wait(go_on)

    runs = [Counted(3, unit) for _ in range(SPARES)]
    for run in runs:
        run.priority = "same-day"
        pool.submit(run)
    assert began.acquire(timeout=ENDED_S)
    beside = _of("same-day", 1)
    pool.submit(beside)
    assert beside.done.result(ENDED_S) == 1
    assert not began.acquire(blocking=False)
    go_on.set()
    assert [run.done.result(ENDED_S) for run in runs] == [3] * SPARES


def test_streams_at_work_for_the_highest_class_are_not_helped(single: StreamPool) -> None:
    """There is nothing lower to be faster than."""
    began, go_on = threading.Event(), threading.Event()

    def unit(_: int) -> None:
        began.set()
        wait(go_on)

    first, second = Counted(1, unit), _of("same-day")
    first.priority = "same-day"
    single.submit(first)
    wait(began)
    single.submit(second)
    single.submit(_of("standard"))
    assert second.carried_out == []
    go_on.set()
    assert second.done.result(ENDED_S) == 3
    assert first.done.result(ENDED_S) == 1


def test_a_run_that_ends_holds_up_no_stream(single: StreamPool) -> None:
    """What it waits for at its end is the disk; others are worked on meanwhile."""
    concluding, go_on = threading.Event(), threading.Event()
    ending = Counted(1)

    def conclude(_: Buffers) -> int:
        concluding.set()
        wait(go_on)
        return 7

    ending.conclude = conclude  # type: ignore[method-assign, assignment]
    single.submit(ending)
    wait(concluding)
    other = Counted(3)
    single.submit(other)
    assert other.done.result(ENDED_S) == 3
    go_on.set()
    assert ending.done.result(ENDED_S) == 7


@pytest.mark.parametrize("count", [FIRST, FIRST + 3, CLOSERS - 1])
def test_ends_that_hang_hold_up_no_other(single: StreamPool, count: int) -> None:
    """Of as many runs as take what comes, or of all closers but one."""
    concluding, go_on = threading.Semaphore(0), threading.Event()

    def conclude(_: Buffers) -> int:
        concluding.release()
        wait(go_on)
        return 7

    hanging = [Counted(1) for _ in range(count)]
    for run in hanging:
        run.conclude = conclude  # type: ignore[method-assign, assignment]
        single.submit(run)
    assert all(concluding.acquire(timeout=ENDED_S) for _ in hanging)
    others = [Counted(1) for _ in range(3)]
    for run in others:
        single.submit(run)
    assert [run.done.result(ENDED_S) for run in others] == [1] * 3
    go_on.set()
    assert [run.done.result(ENDED_S) for run in hanging] == [7] * count


def test_the_end_of_a_run_does_not_wait_for_a_turn(single: StreamPool) -> None:
    """Its last unit is done: it ends, though runs that were never served yet stand in line before it."""
    order: list[str] = []
    began, go_on = threading.Event(), threading.Event()

    def unit(_: int) -> None:
        began.set()
        wait(go_on)

    first = Counted(1, unit)
    first.done.add_done_callback(lambda _: order.append("first ended"))
    single.submit(first)
    wait(began)

    def waits_for_the_end(number: int) -> None:
        if number == 0:
            first.done.result(ENDED_S)
        order.append("other unit")

    others = [Counted(1, waits_for_the_end) for _ in range(5)]
    for run in others:
        single.submit(run)
    go_on.set()
    assert [run.done.result(ENDED_S) for run in others] == [1] * 5
    assert order[0] == "first ended"


def test_a_unit_asked_for_out_of_turn_waits_for_its_turn(single: StreamPool) -> None:
    """A run that gives one unit at a time is asked after each whether it is over, and gets no more than its share."""
    order: list[str] = []
    begin = threading.Event()
    gate = Counted(1, lambda _: wait(begin))
    single.submit(gate)
    runs = [Counted(4, lambda _, name=name: order.append(name), parks=True) for name in "ab"]  # type: ignore[misc]
    for run in runs:
        single.submit(run)
    begin.set()
    assert [run.done.result(ENDED_S) for run in runs] == [4, 4]
    assert order == list("abababab")


def test_closing_lets_runs_end_that_have_nothing_left_to_do() -> None:
    """All their units are done: what is left is the commit."""
    pool = new_pool(1)
    go_on = threading.Event()
    runs = [Counted(1) for _ in range(CLOSERS + 3)]

    def conclude(_: Buffers) -> int:
        wait(go_on)
        return 1

    for run in runs:
        run.conclude = conclude  # type: ignore[method-assign, assignment]
        pool.submit(run)
    while not all(run.is_over for run in runs):
        time.sleep(0)
    close(pool, go_on)
    assert [run.done.result(ENDED_S) for run in runs] == [1] * len(runs)


def test_threads_that_wait_hold_no_run(pool: StreamPool) -> None:
    """A run holds its wedding's keys, and descriptors: once it has ended nothing of the pool keeps it."""
    gone = []
    for _ in range(CLOSERS):
        run = Counted(3)
        gone.append(weakref.ref(run))
        pool.submit(run)
        assert run.done.result(ENDED_S) == 3
        del run
    for _ in range(600):
        if all(ref() is None for ref in gone):
            break
        time.sleep(0.01)
    assert [ref() for ref in gone if ref() is not None] == []

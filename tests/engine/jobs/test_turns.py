"""Jobs that work on the same thing are at work one after the other, and all others side by side."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import AsyncIterator

import pytest
from msgspec.structs import replace

from engine.base.errors import Unavailable
from engine.jobs.roster import Idle, JobSpec, Turn
from engine.jobs.turns import Turns
from tests.engine.jobs.dispatching import SmallRun, World, made_world


@pytest.fixture
async def world() -> AsyncIterator[World]:
    async with made_world() as made:
        yield made


def asking(world: World, run: SmallRun, *, turn: Turn = ("retrieve", "back")) -> JobSpec:
    """A job that takes turns."""
    return replace(world.spec(lambda: run), turn=turn)


async def begun(run: SmallRun) -> None:
    """Come back when a run is at work."""
    assert await asyncio.to_thread(run.begun.wait, 10)


async def test_what_is_asked_for_twice_is_done_one_after_the_other(world: World) -> None:
    """The second is accepted, waits, says for whom, and begins when the first has ended."""
    gate = threading.Event()
    first_run, second_run = SmallRun(gate=gate), SmallRun()
    first = world.dispatcher.accept(asking(world, first_run))
    second = world.dispatcher.accept(asking(world, second_run))
    await begun(first_run)
    assert (second.state, world.opened) == ("queued", [first.id])
    assert world.dispatcher.row(second).message == f"waits for job {first.id[:8]}, which is at work on the same"
    gate.set()
    await world.dispatcher.ended(second)
    assert (first.state, second.state, world.opened) == ("done", "done", [first.id, second.id])


async def test_a_job_that_a_restart_goes_on_with_is_the_first(world: World) -> None:
    """The person who repeats the command waits for what the journal goes on with."""
    gate = threading.Event()
    run = SmallRun(gate=gate)
    earlier = world.dispatcher.accept(world.passing())
    await world.dispatcher.ended(earlier)
    earlier.state = "queued"
    world.dispatcher.resubmit(earlier, asking(world, run))
    repeated = world.dispatcher.accept(asking(world, SmallRun()))
    await begun(run)
    assert repeated.state == "queued"
    gate.set()
    await world.dispatcher.ended(repeated)
    assert world.opened[-2:] == [earlier.id, repeated.id]


@pytest.mark.parametrize("other", [("retrieve", "other"), ("retrieve", "backup"), ("repair", "back"), ()])
async def test_what_differs_is_done_side_by_side(world: World, other: Turn) -> None:
    """Another place, another operation, and jobs that nobody minds (the changes that a watch tells of)."""
    gate = threading.Event()
    runs = [SmallRun(gate=gate) for _ in range(2)]
    first = world.dispatcher.accept(asking(world, runs[0]))
    second = world.dispatcher.accept(asking(world, runs[1], turn=other))
    for run in runs:
        await begun(run)
    gate.set()
    for job in (first, second):
        await world.dispatcher.ended(job)
    assert (first.state, second.state) == ("done", "done")


@pytest.mark.parametrize(("first", "second"), [("back", "back/a"), ("back/a", "back")])
async def test_a_place_inside_another_is_the_same(world: World, first: str, second: str) -> None:
    """Whichever comes first; what lies beside either goes on meanwhile."""
    gate = threading.Event()
    run, beside = SmallRun(gate=gate), SmallRun()
    jobs = [
        world.dispatcher.accept(asking(world, each, turn=("retrieve", *place.split("/"))))
        for each, place in ((run, first), (SmallRun(), second), (beside, "back.old"))
    ]
    await world.dispatcher.ended(jobs[2])
    await begun(run)
    assert jobs[1].state == "queued"
    gate.set()
    await world.dispatcher.ended(jobs[1])
    assert world.opened.index(jobs[0].id) < world.opened.index(jobs[1].id)


async def test_of_those_that_wait_the_higher_class_is_next(world: World) -> None:
    """Also when it was given that class while it waited."""
    gate = threading.Event()
    run = SmallRun(gate=gate)
    jobs = [world.dispatcher.accept(asking(world, each)) for each in (run, SmallRun(), SmallRun())]
    await begun(run)
    world.dispatcher.prioritise(jobs[2], "same-day", given=True)
    gate.set()
    for job in jobs:
        await world.dispatcher.ended(job)
    assert world.opened == [jobs[0].id, jobs[2].id, jobs[1].id]


async def test_one_that_is_to_be_tried_again_lets_the_next_begin(world: World) -> None:
    """It would hold everybody up for as long as it waits for its next attempt."""
    first = world.dispatcher.accept(asking(world, SmallRun(error=Unavailable("the store does not answer"))))
    second = world.dispatcher.accept(asking(world, SmallRun()))
    await world.dispatcher.ended(second)
    assert (first.state, second.state) == ("queued", "done")
    world.dispatcher.cancel(first)


async def test_one_that_is_paused_while_it_waits_stands_in_line_once(world: World) -> None:
    """Paused and resumed behind the same job, it begins once, when that has ended."""
    gate = threading.Event()
    run = SmallRun(gate=gate)
    first, second = (world.dispatcher.accept(asking(world, each)) for each in (run, SmallRun()))
    await begun(run)
    for _ in range(2):
        world.dispatcher.pause(second)
        world.dispatcher.resume(second)
    assert second.state == "queued"
    gate.set()
    await world.dispatcher.ended(second)
    assert world.opened == [first.id, second.id]


async def test_what_was_taken_is_forgotten_when_it_is_left(world: World) -> None:
    """Nothing is kept of jobs that are over."""
    turns = Turns()
    idle = Idle(await world.ended(world.spec()), asking(world, SmallRun()))
    assert turns.take(idle) == ""
    assert turns.leave(idle.job.id, idle.spec.turn) == []
    assert vars(turns) == vars(Turns())


@pytest.mark.parametrize("how", ["cancel", "pause"])
async def test_a_first_one_that_leaves_lets_the_next_begin(world: World, how: str) -> None:
    """Cancelled or paused at work; a paused one that is resumed waits its turn in line."""
    gate = threading.Event()
    run = SmallRun(1000, gate=gate)
    first = world.dispatcher.accept(asking(world, run))
    second = world.dispatcher.accept(asking(world, SmallRun()))
    await begun(run)
    (world.dispatcher.cancel if how == "cancel" else world.dispatcher.pause)(first)
    gate.set()
    await world.dispatcher.ended(second)
    await world.dispatcher.at_rest(first)
    assert (first.state, second.state) == ("cancelled" if how == "cancel" else "paused", "done")


async def test_one_that_is_cancelled_while_it_waits_is_passed_over(world: World) -> None:
    """The third begins though the second, which it stood behind, is gone."""
    gate = threading.Event()
    run = SmallRun(gate=gate)
    first, second, third = (world.dispatcher.accept(asking(world, each)) for each in (run, SmallRun(), SmallRun()))
    await begun(run)
    world.dispatcher.cancel(second)
    gate.set()
    await world.dispatcher.ended(third)
    assert (first.state, second.state, third.state) == ("done", "cancelled", "done")
    assert world.opened == [first.id, third.id]


async def test_stopping_ends_the_ones_that_wait_too(world: World) -> None:
    """They are in the journal and go on, one after the other again, at the next start."""
    gate = threading.Event()
    run = SmallRun(1000, gate=gate)
    jobs = [world.dispatcher.accept(asking(world, each)) for each in (run, SmallRun(), SmallRun())]
    await begun(run)
    world.dispatcher.interrupt_all()
    gate.set()
    assert await world.dispatcher.idle(10)
    assert {job.state for job in jobs} == {"interrupted"}
    assert world.opened == [jobs[0].id]


async def test_a_job_is_served_as_the_highest_that_waits_for_it(world: World) -> None:
    """From the moment that one is accepted; it keeps its own class in what is shown and written."""
    gate = threading.Event()
    run = SmallRun(gate=gate)
    first = world.dispatcher.accept(asking(world, run))
    await begun(run)
    second = world.dispatcher.accept(replace(asking(world, SmallRun()), priority="next-day"))
    assert (run.priority, run.accepted_s) == ("next-day", second.queued_monotonic_s)
    third = world.dispatcher.accept(replace(asking(world, SmallRun()), priority="same-day"))
    assert (run.priority, run.accepted_s) == ("same-day", third.queued_monotonic_s)
    assert (first.priority, second.priority) == ("standard", "next-day")
    gate.set()
    for job in (first, second, third):
        await world.dispatcher.ended(job)
    assert (first.state, second.state, third.state) == ("done",) * 3


async def test_it_is_served_by_its_own_class_when_nobody_higher_waits_any_more(world: World) -> None:
    """Because that one was cancelled, paused, or given another class."""
    gate = threading.Event()
    run = SmallRun(gate=gate)
    first = world.dispatcher.accept(asking(world, run))
    await begun(run)
    higher = replace(asking(world, SmallRun()), priority="same-day")
    cancelled, paused, moved = (world.dispatcher.accept(higher) for _ in range(3))
    seen = []
    world.dispatcher.cancel(cancelled)
    seen.append(run.priority)
    world.dispatcher.pause(paused)
    seen.append(run.priority)
    world.dispatcher.prioritise(moved, "standard", given=True)
    seen.append(run.priority)
    world.dispatcher.prioritise(moved, "next-day", given=True)
    seen.append(run.priority)
    assert seen == ["same-day", "same-day", "standard", "next-day"]
    world.dispatcher.prioritise(first, "same-day", given=True)
    assert (run.priority, run.accepted_s) == ("same-day", first.queued_monotonic_s)
    gate.set()
    await world.dispatcher.ended(moved)


async def test_a_job_that_is_still_being_opened_is_served_so_too(world: World) -> None:
    """What was lent to it while its run was made is not lost."""
    opening = threading.Event()
    run = SmallRun()

    def make() -> SmallRun:
        opening.wait(10)
        return run

    first = world.dispatcher.accept(replace(world.spec(make), turn=("retrieve", "back")))
    second = world.dispatcher.accept(replace(asking(world, SmallRun()), priority="same-day"))
    opening.set()
    await world.dispatcher.ended(second)
    assert (run.priority, first.priority) == ("same-day", "standard")

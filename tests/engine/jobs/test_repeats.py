"""Jobs that ask for the very same thing are at work one after the other, and all others side by side."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import AsyncIterator
from dataclasses import replace

import pytest

from engine.jobs.roster import JobSpec
from tests.engine.jobs.dispatching import SmallRun, World, made_world


@pytest.fixture
async def world() -> AsyncIterator[World]:
    async with made_world() as made:
        yield made


def asking(world: World, run: SmallRun, *, what: str = "{}") -> JobSpec:
    """A job that takes turns with those of equal arguments."""
    return replace(world.spec(lambda: run), arguments=what, takes_turns=True)


async def begun(run: SmallRun) -> None:
    """Come back when a run is at work."""
    assert await asyncio.to_thread(run.begun.wait, 10)


async def test_what_is_asked_for_twice_is_done_one_after_the_other(world: World) -> None:
    """The second is accepted, waits, and begins when the first has ended."""
    gate = threading.Event()
    first_run, second_run = SmallRun(gate=gate), SmallRun()
    first = world.dispatcher.accept(asking(world, first_run))
    second = world.dispatcher.accept(asking(world, second_run))
    await begun(first_run)
    assert (second.state, world.opened) == ("queued", [first.id])
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


async def test_what_differs_is_done_side_by_side(world: World) -> None:
    """Other arguments, and jobs that take no turns (the changes that a watch tells of)."""
    gate = threading.Event()
    runs = [SmallRun(gate=gate) for _ in range(2)]
    jobs = [world.dispatcher.accept(asking(world, run, what=what)) for run, what in zip(runs, "ab", strict=True)]
    for run in runs:
        await begun(run)
    free = SmallRun()
    jobs.append(world.dispatcher.accept(replace(asking(world, free, what="a"), takes_turns=False)))
    gate.set()
    await begun(free)
    for job in jobs:
        await world.dispatcher.ended(job)
    assert {job.state for job in jobs} == {"done"}


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

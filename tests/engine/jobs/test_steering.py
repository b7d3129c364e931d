"""Pausing, resuming, trying again, other classes, and what the journal is told of it all."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import AsyncIterator
from functools import partial

import pytest

from engine.base.clock import FakeClock
from engine.base.errors import Conflict, IntegrityError, LimitReached, Unavailable
from engine.contract.settings import EngineSettings
from engine.jobs.job import Job
from engine.jobs.records import job_of, record_of
from engine.jobs.shares import OPENING_MAX
from tests.engine.jobs.dispatching import SMITHS, SmallRun, World, made_world


@pytest.fixture
async def world() -> AsyncIterator[World]:
    async with made_world() as made:
        yield made


async def _at_work(world: World, run: SmallRun) -> Job:
    job = world.dispatcher.accept(world.spec(lambda: run))
    await asyncio.to_thread(run.begun.wait, 10)
    return job


async def test_a_paused_job_is_checkpointed_leaves_the_streams_and_goes_on_when_resumed(world: World) -> None:
    gate = threading.Event()
    runs = [SmallRun(1000, gate=gate), SmallRun(2)]
    first = runs[0]
    job = world.dispatcher.accept(world.spec(lambda: runs.pop(0)))
    await asyncio.to_thread(first.begun.wait, 10)
    world.dispatcher.pause(job)
    gate.set()
    await world.dispatcher.off_the_streams(job)
    assert (job.state, first.checkpoints, first.aborted) == ("paused", 1, True)
    assert world.dispatcher.running_count == world.dispatcher.queued_count == 0
    assert world.dispatcher.row(job).bytes_read in (100, 200)
    world.dispatcher.pause(job)  # again changes nothing
    world.dispatcher.resume(job)
    await world.dispatcher.ended(job)
    assert (job.state, job.attempts, job.message) == ("done", 2, "")
    assert world.opened == [job.id, job.id]
    assert world.states(job) == ["queued", "paused", "queued", "done"]
    kinds = [kind for kind, _, _ in world.events]
    assert kinds == ["job-queued", "job-started", "job-paused", "job-queued", "job-started", "job-ended"]


async def test_a_job_that_waits_is_paused_without_being_opened(world: World) -> None:
    world.settings = EngineSettings(jobs_queued_max=9, jobs_active_max=1)
    gate = threading.Event()
    first = world.dispatcher.accept(world.spec(lambda: SmallRun(gate=gate)))
    second = world.dispatcher.accept(world.spec())
    world.dispatcher.pause(second)
    gate.set()
    await world.dispatcher.ended(first)
    assert (second.state, world.opened) == ("paused", [first.id])
    world.dispatcher.resume(second)
    await world.dispatcher.ended(second)
    assert world.states(second)[-1] == "done"


async def test_resuming_at_once_takes_a_pause_back(world: World) -> None:
    gate = threading.Event()
    runs = [SmallRun(1000, gate=gate), SmallRun()]
    first = runs[0]
    job = world.dispatcher.accept(world.spec(lambda: runs.pop(0)))
    await asyncio.to_thread(first.begun.wait, 10)
    world.dispatcher.pause(job)
    world.dispatcher.resume(job)
    gate.set()
    await world.dispatcher.ended(job)
    assert (job.state, job.attempts) == ("done", 2)


async def test_cancelling_goes_before_pausing(world: World) -> None:
    gate = threading.Event()
    job = await _at_work(world, SmallRun(1000, gate=gate))
    world.dispatcher.pause(job)
    world.dispatcher.cancel(job)
    gate.set()
    await world.dispatcher.ended(job)
    assert job.state == "cancelled"
    assert world.states(job) == ["queued", "cancelled"]


async def test_a_paused_job_can_be_cancelled(world: World) -> None:
    world.settings = EngineSettings(jobs_queued_max=9, jobs_active_max=1)
    gate = threading.Event()
    first = world.dispatcher.accept(world.spec(lambda: SmallRun(gate=gate)))
    job = world.dispatcher.accept(world.spec())
    world.dispatcher.pause(job)
    world.dispatcher.cancel(job)
    assert job.state == "cancelled"
    with pytest.raises(Conflict, match="ended already"):
        world.dispatcher.resume(job)
    gate.set()
    await world.dispatcher.ended(first)


async def test_what_cannot_be_paused_or_resumed_says_why(world: World) -> None:
    gate = threading.Event()
    run = SmallRun(gate=gate)
    stream = world.dispatcher.accept(world.passing(lambda: run))
    await asyncio.to_thread(run.begun.wait, 10)
    with pytest.raises(Conflict, match="a stream is read once"):
        world.dispatcher.pause(stream)
    with pytest.raises(Conflict, match="is not paused: it is running"):
        world.dispatcher.resume(stream)
    gate.set()
    await world.dispatcher.ended(stream)
    with pytest.raises(Conflict, match="ended already"):
        world.dispatcher.pause(stream)


async def test_a_job_whose_store_does_not_answer_is_tried_again() -> None:
    async with made_world(FakeClock()) as later:
        assert isinstance(later.clock, FakeClock)
        errors: list[Exception | None] = [Unavailable("the store does not answer"), Unavailable("still not"), None]
        job = later.dispatcher.accept(later.spec(lambda: SmallRun(error=errors.pop(0))))
        for failures in (1, 2):
            await later.until(partial(lambda count: job.failures == count and job.state == "queued", failures))
            assert job.message.startswith(("the store does not answer; tried again in", "still not; tried again in"))
            assert later.dispatcher.queued_count == 1
            later.clock.advance(2.0**failures)
        await later.dispatcher.ended(job)
        assert (job.state, job.attempts, job.failures) == ("done", 3, 2)
        assert later.states(job) == ["queued", "queued", "queued", "done"]


async def test_after_the_last_attempt_a_job_has_failed_with_the_reason() -> None:
    async with made_world(FakeClock()) as world:
        assert isinstance(world.clock, FakeClock)
        world.settings = EngineSettings(job_attempts_max=3)
        job = world.dispatcher.accept(world.spec(lambda: SmallRun(error=Unavailable("the store does not answer"))))
        for failures in (1, 2):
            await world.until(partial(lambda count: job.failures == count and job.state == "queued", failures))
            world.clock.advance(10)
        await world.dispatcher.ended(job)
        assert (job.state, job.attempts, job.message) == ("failed", 3, "the store does not answer")


@pytest.mark.parametrize("error", [IntegrityError("damaged"), LimitReached("the disk is full")])
async def test_what_does_not_pass_by_itself_is_not_tried_again(world: World, error: Exception) -> None:
    job = await world.ended(world.spec(lambda: SmallRun(error=error)))
    assert (job.state, job.attempts) == ("failed", 1)


async def test_a_stream_that_failed_is_not_read_again(world: World) -> None:
    job = await world.ended(world.passing(lambda: SmallRun(error=Unavailable("no answer"))))
    assert (job.state, job.attempts) == ("failed", 1)


async def test_a_job_that_waits_for_its_next_attempt_can_be_cancelled_or_paused() -> None:
    async with made_world(FakeClock()) as world:
        assert isinstance(world.clock, FakeClock)
        jobs = [world.dispatcher.accept(world.spec(lambda: SmallRun(error=Unavailable("no answer")))) for _ in "ab"]
        await world.until(lambda: all(job.failures for job in jobs))
        world.dispatcher.cancel(jobs[0])
        world.dispatcher.pause(jobs[1])
        world.clock.advance(1000)
        await asyncio.sleep(0)
        assert [job.state for job in jobs] == ["cancelled", "paused"]
        assert len(world.opened) == 2


async def test_a_class_given_by_hand_holds_against_a_moved_date(world: World) -> None:
    gate = threading.Event()
    run = SmallRun(3, gate=gate)
    job = await _at_work(world, run)
    world.dispatcher.prioritise(job, "same-day", given=True)
    assert (job.priority, run.priority) == ("same-day", "same-day")
    world.dispatcher.reclassify({SMITHS.id: "next-day"})
    assert job.priority == "same-day"
    world.dispatcher.prioritise(job, "standard", given=False)
    world.dispatcher.reclassify({SMITHS.id: "next-day"})
    assert (job.priority, run.priority) == ("next-day", "next-day")
    gate.set()
    await world.dispatcher.ended(job)
    assert [record.priority for record in world.written][-1] == "next-day"


async def test_low_classes_leave_room_for_a_job_of_today(world: World) -> None:
    world.settings = EngineSettings(jobs_queued_max=99, jobs_active_max=5)
    gate = threading.Event()
    standard = [world.dispatcher.accept(world.spec(lambda: SmallRun(gate=gate))) for _ in range(9)]
    assert (world.dispatcher.running_count, world.dispatcher.queued_count) == (4, 5)
    urgent = world.dispatcher.accept(world.spec(lambda: SmallRun(gate=gate), priority="same-day"))
    assert urgent.state == "running"
    gate.set()
    for job in (*standard, urgent):
        await world.dispatcher.ended(job)


async def test_retrievals_however_many_leave_a_job_of_today_its_place(world: World) -> None:
    world.settings = EngineSettings(jobs_queued_max=99, jobs_active_max=16)
    gate = threading.Event()
    spec = world.spec(lambda: SmallRun(gate=gate), kind="retrieve", priority="retrieval")
    retrievals = [world.dispatcher.accept(spec) for _ in range(20)]
    assert (world.dispatcher.running_count, world.dispatcher.queued_count) == (15, 5)
    urgent = world.dispatcher.accept(world.spec(lambda: SmallRun(gate=gate), priority="same-day"))
    assert urgent.state == "running"
    gate.set()
    for job in (*retrievals, urgent):
        await world.dispatcher.ended(job)


async def test_few_jobs_are_opened_at_once_so_that_a_job_of_today_is_soon_among_them() -> None:
    async with made_world() as world:
        world.settings = EngineSettings(jobs_queued_max=500, jobs_active_max=400)
        gate = threading.Event()

        def held_up() -> SmallRun:
            gate.wait(10)
            return SmallRun()

        jobs = [world.dispatcher.accept(world.spec(held_up)) for _ in range(100)]
        assert world.dispatcher.running_count == 13  # four fifths of OPENING_MAX
        urgent = world.dispatcher.accept(world.spec(held_up, priority="same-day"))
        assert (urgent.state, world.dispatcher.running_count < OPENING_MAX) == ("running", True)
        gate.set()
        for job in (*jobs, urgent):
            await world.dispatcher.ended(job)


# --- the journal --------------------------------------------------------------------------------------


async def test_a_job_whose_acceptance_cannot_be_written_is_cancelled_and_not_acknowledged(world: World) -> None:
    world.journal_error = LimitReached("there is no room for the journal")
    gate = threading.Event()
    job = world.dispatcher.accept(world.spec(lambda: SmallRun(1000, gate=gate)))
    with pytest.raises(LimitReached, match="no room"):
        await world.dispatcher.accepted(job)
    gate.set()
    await world.dispatcher.ended(job)
    assert job.state == "cancelled"


async def test_what_the_end_of_the_engine_interrupts_is_left_open_in_the_journal(world: World) -> None:
    gate = threading.Event()
    job = await _at_work(world, SmallRun(gate=gate))
    run = SmallRun(gate=gate)
    stream = world.dispatcher.accept(world.passing(lambda: run))
    await asyncio.to_thread(run.begun.wait, 10)
    world.dispatcher.interrupt_all()
    gate.set()
    assert await world.dispatcher.idle(10)
    assert (job.state, world.states(job)) == ("interrupted", ["queued"])
    assert (stream.state, world.states(stream)) == ("interrupted", ["queued", "interrupted"])
    assert "store it again" in stream.message


async def test_a_job_of_an_earlier_engine_goes_on_under_its_own_id(world: World) -> None:
    before = await world.ended(world.spec())
    record = next(record for record in world.written if record.state == "queued")
    job = job_of(record, monotonic_s=world.clock.monotonic_s())
    world.dispatcher.resubmit(job, world.spec())
    await world.dispatcher.ended(job)
    assert (job.id, job.state, world.opened) == (before.id, "done", [before.id, before.id])
    assert world.dispatcher.figures.deadlines()["standard"].counted == 1  # its time says nothing of this engine


async def test_a_paused_job_of_an_earlier_engine_stays_paused(world: World) -> None:
    world.settings = EngineSettings(jobs_active_max=1)
    gate = threading.Event()
    first = world.dispatcher.accept(world.spec(lambda: SmallRun(gate=gate)))
    second = world.dispatcher.accept(world.spec())
    world.dispatcher.pause(second)
    gate.set()
    await world.dispatcher.ended(first)
    async with made_world() as later:
        job = job_of(record_of(second), monotonic_s=0.0)
        later.dispatcher.resubmit(job, later.spec())
        assert (job.state, later.opened) == ("paused", [])
        later.dispatcher.resume(job)
        await later.dispatcher.ended(job)
        assert job.state == "done"


async def test_a_job_that_waits_for_its_next_attempt_can_be_tried_at_once() -> None:
    async with made_world(FakeClock()) as world:
        runs = [SmallRun(error=Unavailable("the store does not answer")), SmallRun()]
        job = world.dispatcher.accept(world.spec(lambda: runs.pop(0)))
        await world.until(lambda: bool(job.retry_ns))
        assert job.retry_ns > world.clock.now_ns()
        assert [turn.what for turn in job.history] == ["started", "attempt-failed"]
        world.dispatcher.try_now(job)
        await world.dispatcher.ended(job)
        assert (job.state, job.attempts) == ("done", 2)
        with pytest.raises(Conflict):
            world.dispatcher.try_now(job)


async def test_only_what_waits_for_an_attempt_is_tried_at_once(world: World) -> None:
    world.settings = EngineSettings(jobs_queued_max=9, jobs_active_max=1)
    gate = threading.Event()
    first = world.dispatcher.accept(world.spec(lambda: SmallRun(gate=gate)))
    second = world.dispatcher.accept(world.spec())
    for job in (first, second):
        with pytest.raises(Conflict, match="does not wait for another attempt"):
            world.dispatcher.try_now(job)
    gate.set()


async def test_a_move_to_another_class_stands_in_the_course_of_a_job(world: World) -> None:
    world.settings = EngineSettings(jobs_queued_max=9, jobs_active_max=1)
    gate = threading.Event()
    world.dispatcher.accept(world.spec(lambda: SmallRun(gate=gate)))
    job = world.dispatcher.accept(world.spec())
    world.dispatcher.prioritise(job, "same-day", given=True)
    world.dispatcher.prioritise(job, "same-day", given=True)
    assert [tuple(turn)[1:] for turn in job.history] == [("class-changed", "standard → same-day")]
    gate.set()

"""The dispatcher over a real pool of streams; the runs are small and do what a test says."""

from __future__ import annotations

import asyncio
import contextlib
import threading
from collections.abc import AsyncIterator, Iterator

import pytest

from engine.base.errors import Conflict, IntegrityError, LimitReached, NotFound, Unavailable, UsageError
from engine.contract.settings import EngineSettings
from engine.jobs.job import Job
from engine.jobs.roster import ENDED_KEPT, Conclusion, JobSpec, Prepared, newest_first
from tests.engine.jobs.dispatching import SMITHS, SmallRun, World, made_world


@pytest.fixture
async def world() -> AsyncIterator[World]:
    async with made_world() as made:
        yield made


async def test_a_job_runs_to_its_end_and_tells_each_step(world: World) -> None:
    job = await world.ended(world.spec(lambda: SmallRun(3)))
    assert (job.state, job.snapshot, job.counts.bytes_read) == ("done", "5f" * 16, 300)
    assert [kind for kind, _, _ in world.events] == ["job-queued", "job-started", "job-ended"]
    assert world.closed == [(job.id, "")]
    assert len(bytes.fromhex(job.id)) == 16
    assert world.dispatcher.figures.totals().bytes_read == 300


async def test_warnings_are_a_state_of_their_own(world: World) -> None:
    assert (await world.ended(world.spec(warnings=2))).state == "warnings"
    assert world.dispatcher.figures.done_total == 1


async def test_a_failure_ends_the_job_with_its_line_and_closes_what_it_opened(world: World) -> None:
    error = IntegrityError("a pack is damaged", "run verify")
    job = await world.ended(world.spec(lambda: SmallRun(2, error=error)))
    assert (job.state, job.message, job.code) == ("failed", "a pack is damaged; run verify", "integrity")
    assert world.closed == [(job.id, "IntegrityError")]
    assert world.dispatcher.figures.failed_total == 1


async def test_a_bug_in_a_run_fails_that_job_only(world: World) -> None:
    job = await world.ended(world.spec(lambda: SmallRun(error=KeyError("oh"))))
    assert (job.state, job.code) == ("failed", "failed")
    assert "internal error" in job.message
    assert (await world.ended(world.spec())).state == "done"


async def test_what_cannot_be_opened_fails_the_job(world: World) -> None:
    def refuse() -> SmallRun:
        raise NotFound("the source is gone")

    job = await world.ended(world.spec(refuse))
    assert (job.state, job.code, job.message) == ("failed", "not-found", "the source is gone")


async def test_a_failure_at_the_very_end_fails_the_job(world: World) -> None:
    @contextlib.contextmanager
    def opened(job: Job) -> Iterator[Prepared]:
        yield Prepared(SmallRun(), Conclusion)
        raise LimitReached("no room for the archive's name")

    job = await world.ended(JobSpec("retrieve", SMITHS, "standard", False, opened))
    assert (job.state, job.code) == ("failed", "limit-reached")


async def test_cancelling_ends_a_running_job_soon(world: World) -> None:
    gate = threading.Event()
    run = SmallRun(1000, gate=gate)
    job = world.dispatcher.accept(world.spec(lambda: run))
    await asyncio.to_thread(run.begun.wait, 10)
    world.dispatcher.cancel(job)
    gate.set()
    await world.dispatcher.ended(job)
    assert (job.state, run.checkpoints, run.aborted) == ("cancelled", 0, True)
    with pytest.raises(Conflict):
        world.dispatcher.cancel(job)


async def test_interrupting_checkpoints_what_runs_and_ends_what_waits(world: World) -> None:
    gate = threading.Event()
    four_made = threading.Event()
    runs: list[SmallRun] = []

    def make() -> SmallRun:
        runs.append(SmallRun(1000, gate=gate))
        if len(runs) == 4:
            four_made.set()
        return runs[-1]

    jobs = [world.dispatcher.accept(world.spec(make)) for _ in range(6)]
    assert await asyncio.to_thread(four_made.wait, 10)
    world.dispatcher.stop_accepting()
    world.dispatcher.interrupt_all()
    gate.set()
    assert await world.dispatcher.idle(10)
    assert {job.state for job in jobs} == {"interrupted"}
    assert sum(run.checkpoints for run in runs) == len(runs) == 4
    assert {job.message for job in jobs} == {"the engine stopped; it goes on at the next start"}
    with pytest.raises(Unavailable):
        world.dispatcher.accept(world.spec())


async def test_a_full_queue_refuses_and_takes_again_when_there_is_room(world: World) -> None:
    world.settings = EngineSettings(jobs_queued_max=3, jobs_active_max=1)
    gate = threading.Event()
    jobs = [world.dispatcher.accept(world.spec(lambda: SmallRun(gate=gate))) for _ in range(3)]
    with pytest.raises(LimitReached, match="3 jobs"):
        world.dispatcher.accept(world.spec())
    assert (world.dispatcher.running_count, world.dispatcher.queued_count) == (1, 2)
    gate.set()
    for job in jobs:
        await world.dispatcher.ended(job)
    assert (await world.ended(world.spec())).state == "done"


async def test_a_queued_job_is_cancelled_without_being_opened(world: World) -> None:
    world.settings = EngineSettings(jobs_queued_max=3, jobs_active_max=1)
    gate = threading.Event()
    first = world.dispatcher.accept(world.spec(lambda: SmallRun(gate=gate)))
    second = world.dispatcher.accept(world.spec())
    world.dispatcher.cancel(second)
    assert second.state == "cancelled"
    gate.set()
    await world.dispatcher.ended(first)
    assert world.opened == [first.id]


async def test_jobs_are_found_by_the_first_digits_of_their_ids(world: World) -> None:
    job = await world.ended(world.spec())
    assert world.dispatcher.find(job.id[:6].upper()) is job
    with pytest.raises(NotFound):
        world.dispatcher.find("zz")
    with pytest.raises(NotFound):
        world.dispatcher.find("")
    for _ in range(17):
        await world.ended(world.spec())
    first_digits = [known.id[0] for known in world.dispatcher.jobs()]
    twice = next(digit for digit in first_digits if first_digits.count(digit) > 1)
    with pytest.raises(UsageError):
        world.dispatcher.find(twice)


async def test_ended_jobs_are_kept_up_to_a_bound(world: World) -> None:
    world.settings = EngineSettings(jobs_queued_max=ENDED_KEPT + 100, jobs_active_max=50)
    jobs = [world.dispatcher.accept(world.spec()) for _ in range(ENDED_KEPT + 20)]
    assert await world.dispatcher.idle(30)
    assert world.dispatcher.total == ENDED_KEPT
    assert world.dispatcher.figures.done_total == len(jobs)
    assert not world.dispatcher._waiters


async def test_a_moved_date_reclassifies_jobs_but_not_those_the_caller_chose(world: World) -> None:
    world.settings = EngineSettings(jobs_queued_max=9, jobs_active_max=1)
    gate = threading.Event()
    running = world.dispatcher.accept(world.spec(lambda: SmallRun(gate=gate)))
    waiting = world.dispatcher.accept(world.spec())
    spec = world.spec()
    chosen = world.dispatcher.accept(JobSpec(spec.kind, spec.wedding, "next-day", True, spec.open))
    world.dispatcher.reclassify({SMITHS.id: "same-day"})
    assert (running.priority, waiting.priority, chosen.priority) == ("same-day", "same-day", "next-day")
    gate.set()
    await world.dispatcher.ended(chosen)


async def test_progress_rate_and_latency_are_sampled_while_a_job_runs(world: World) -> None:
    gate = threading.Event()
    run = SmallRun(2, gate=gate)
    job = world.dispatcher.accept(world.spec(lambda: run))
    await asyncio.to_thread(run.begun.wait, 10)
    world.dispatcher.figures.sample()
    assert world.dispatcher.row(job).state == "running"
    assert world.dispatcher.row(job).bytes_total == 200
    gate.set()
    await world.dispatcher.ended(job)
    assert job.initiation_s is not None
    assert world.dispatcher.figures.initiation().count == 1
    assert world.dispatcher.roster.running_by_wedding() == {}


async def test_a_retrieval_is_in_time_with_its_first_byte_in_its_own_class_alone(world: World) -> None:
    """What it is moved to does not answer for it, and its end, whenever that is, counts only without a byte."""
    figures = world.dispatcher.figures
    gate, run = threading.Event(), SmallRun(2)
    second = SmallRun(1, gate=gate)
    job = world.dispatcher.accept(world.spec(lambda: run, kind="retrieve", priority="retrieval"))
    await world.dispatcher.ended(job)
    record = figures.deadlines()["retrieval"]
    assert (record.counted, record.in_time) == (1, 1)
    assert job.initiation_s is not None
    assert record.took.max_s == pytest.approx(job.initiation_s, rel=0.01, abs=1e-3)
    moved = world.dispatcher.accept(world.spec(lambda: second, kind="retrieve", priority="retrieval"))
    world.dispatcher.prioritise(moved, "standard", given=True)
    gate.set()
    await world.dispatcher.ended(moved)
    assert {name: each.counted for name, each in figures.deadlines().items()} == {
        "same-day": 0, "retrieval": 1, "next-day": 0, "standard": 0,
    }  # fmt: skip
    assert figures.initiation().count == 0  # of backups


async def test_a_retrieval_without_a_byte_is_in_time_with_its_end(world: World) -> None:
    await world.ended(world.spec(lambda: SmallRun(0), kind="retrieve", priority="retrieval"))
    assert world.dispatcher.figures.deadlines()["retrieval"].in_time == 1


async def test_running_jobs_come_first_then_those_that_wait_then_the_ended(world: World) -> None:
    world.settings = EngineSettings(jobs_queued_max=9, jobs_active_max=1)
    ended = await world.ended(world.spec())
    gate = threading.Event()
    running = world.dispatcher.accept(world.spec(lambda: SmallRun(gate=gate)))
    waiting = world.dispatcher.accept(world.spec())
    assert list(world.dispatcher.jobs()) == [running, waiting, ended]
    assert newest_first(world.dispatcher.jobs()) == [waiting, running, ended]
    assert world.dispatcher.roster.running_by_wedding() == {SMITHS.id: 1}
    gate.set()
    await world.dispatcher.ended(waiting)

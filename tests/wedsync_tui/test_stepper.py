"""A script inside the console: step by step, visibly, until one fails."""

from __future__ import annotations

from engine.contract import operations as ops
from tests import samples
from tests.consoles import opened, panel, toasts
from tests.fakes import FakeEngine
from wedsync_tui.script import read_script


async def test_a_script_runs_and_says_where_it_is() -> None:
    engine = FakeEngine()
    script = b"backup smith-jones --from /card\nlet JOB = last.job.id\nexpect jobs.done >= 1 within 1s\nwait $JOB\n"
    async with opened(engine, (120, 36)) as (app, pilot):
        assert await app.stepper.run(read_script(script, "tour.wed"))
        await pilot.pause()
        assert [type(one) for one in engine.operations] == [ops.StartBackup, ops.WaitForJobs]
        assert "the script is done" in panel(app, "log")


async def test_the_top_line_says_which_step_runs() -> None:
    engine = FakeEngine()
    seen: list[str] = []
    async with opened(engine, (120, 36)) as (app, pilot):

        def scaled(_: ops.Operation) -> ops.Result:
            seen.append(app.stepper.words)
            return ops.ScaleResult(before=3, streams=2, mode="manual")

        engine.answer(ops.ScaleInfrastructure, scaled)
        assert await app.stepper.run(read_script(b"status\nscale 2\n", "tour.wed"))
        await pilot.pause()
    assert seen == ["script 2/2: scale 2"]


async def test_a_step_that_fails_ends_it_with_its_line() -> None:
    engine = FakeEngine()
    script = b"snapshots nobody\nscale 3\n"
    async with opened(engine, (120, 36)) as (app, pilot):
        assert not await app.stepper.run(read_script(script, "tour.wed"))
        await pilot.pause()
        assert toasts(app) == ["tour.wed:1: no wedding is named nobody; weddings lists them"]
        assert [type(one) for one in engine.operations] == [ops.ListSnapshots]
        assert app.stepper.words == "script stopped at line 1"


async def test_an_expectation_that_does_not_hold_ends_it() -> None:
    engine = FakeEngine()
    engine.show(samples.status())
    async with opened(engine, (120, 36)) as (app, pilot):
        assert not await app.stepper.run(read_script(b"expect jobs.failed == 0", "tour.wed"))
        await pilot.pause()
        assert toasts(app)[0].startswith("tour.wed:1: expected jobs.failed == 0")


async def test_a_script_with_mistakes_is_not_begun() -> None:
    engine = FakeEngine()
    async with opened(engine) as (app, pilot):
        assert not await app.stepper.run(read_script(b"scale 3\nbakup x\n", "tour.wed"))
        await pilot.pause()
        assert engine.operations == []
        assert 'unknown verb "bakup"' in toasts(app)[0]

"""How a console ends: somebody quits, the engine stops, a screen fails."""

from __future__ import annotations

import pytest

from tests import samples
from tests.consoles import opened, panel, settled, shown
from tests.fakes import FakeEngine
from wedsync_tui.app import Outcome


@pytest.fixture
def engine() -> FakeEngine:
    """An engine that shows the sample document."""
    engine = FakeEngine()
    engine.show(samples.status())
    return engine


async def test_quitting_without_jobs_just_quits() -> None:
    async with opened(FakeEngine()) as (app, pilot):
        await pilot.press("q")
        await pilot.pause()
        assert app.outcome is Outcome.QUIT
        assert app.return_value is Outcome.QUIT


async def test_quitting_with_jobs_asks_and_enter_stays(engine: FakeEngine) -> None:
    async with opened(engine) as (app, pilot):
        await pilot.press("ctrl+q")
        await pilot.pause()
        assert "2 jobs are not finished." in shown(app)
        await app.action_quit()
        assert len(app.screen_stack) == 2  # asked once, however often the key is pressed
        await pilot.press("enter")
        await pilot.pause()
        assert app.return_value is None


async def test_quitting_can_wait_for_the_jobs(engine: FakeEngine) -> None:
    async with opened(engine) as (app, pilot):
        await pilot.press("q", "right", "right", "enter")
        app.pull()
        engine.show(samples.status(seq=2))
        app.pull()
        await pilot.pause()
        assert "quitting when 2 jobs have ended" in panel(app, "top")
        assert app.return_value is None
        engine.show(samples.status(seq=3, jobs=(samples.job_row(state="done"),)))
        app.pull()
        await pilot.pause()
        assert app.return_value is Outcome.QUIT


async def test_quitting_can_stop_the_jobs(engine: FakeEngine) -> None:
    async with opened(engine) as (app, pilot):
        await pilot.press("q", "right", "right", "right", "enter")
        await pilot.pause()
        assert app.return_value is Outcome.CHECKPOINT


async def test_an_engine_that_was_shut_down_ends_the_console(engine: FakeEngine) -> None:
    async with opened(engine) as (app, pilot):
        engine.show(samples.status(seq=2, status="stopped"))
        app.pull()
        await pilot.pause()
        assert app.return_value is Outcome.STOPPED


async def test_ctrl_z_never_stops_the_process(engine: FakeEngine) -> None:
    async with opened(engine) as (app, pilot):
        await pilot.press("ctrl+z")
        await pilot.pause()
        assert app.is_running


async def test_a_crash_in_a_screen_is_an_outcome_and_not_a_traceback(
    engine: FakeEngine, capsys: pytest.CaptureFixture[str], caplog: pytest.LogCaptureFixture
) -> None:
    with pytest.raises(ZeroDivisionError):
        async with opened(engine) as (app, pilot):
            app.call_later(lambda: 1 / 0)
            await settled(pilot)
    assert app.outcome is Outcome.CRASHED
    assert "Traceback" not in capsys.readouterr().err
    assert "the screen failed" in caplog.text

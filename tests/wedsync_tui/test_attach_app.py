"""Leaving a console whose engine others use, or that lives in another process."""

from __future__ import annotations

import msgspec

from tests import samples
from tests.consoles import opened, shown
from tests.fakes import FakeEngine
from wedsync_tui.app import Outcome


def showing(*, attached: int, jobs: int) -> FakeEngine:
    """An engine with so many other consoles attached, and so many jobs at work."""
    engine = FakeEngine()
    rows = tuple(samples.job_row(number, state="running") for number in range(1, jobs + 1))
    document = samples.status(jobs=rows)
    machine = msgspec.structs.replace(document.infrastructure, attached=attached)
    engine.show(msgspec.structs.replace(document, infrastructure=machine))
    return engine


def busy() -> FakeEngine:
    """One with work to do, and nobody else there."""
    return showing(attached=0, jobs=2)


async def test_quitting_can_leave_the_engine_running() -> None:
    async with opened(busy()) as (app, pilot):
        await pilot.press("q", "right", "enter")
        await pilot.pause()
        assert app.return_value is Outcome.LEFT


async def test_quitting_asks_while_others_are_attached() -> None:
    async with opened(showing(attached=2, jobs=0)) as (app, pilot):
        await pilot.press("q")
        await pilot.pause()
        assert "2 other consoles are attached." in shown(app)
        assert "the engine ends now, and the others lose it" in shown(app)


async def test_a_guest_on_somebody_elses_engine_just_quits() -> None:
    async with opened(busy()) as (app, pilot):
        app.is_guest = True
        await pilot.press("q")
        await pilot.pause()
        assert app.return_value is Outcome.QUIT

"""What a screen that shows jobs anyway is not covered with."""

from __future__ import annotations

import pytest

from screens.jobs import JobsScreen
from tests import samples
from tests.consoles import opened, settled, toasts, without_colours_of_ours
from tests.fakes import FakeEngine


async def test_the_list_of_jobs_is_not_covered_by_what_it_shows(monkeypatch: pytest.MonkeyPatch) -> None:
    without_colours_of_ours(monkeypatch)
    engine = FakeEngine()
    engine.show(samples.status())
    async with opened(engine) as (app, pilot):
        await pilot.press("J")
        await settled(pilot)
        assert isinstance(app.screen, JobsScreen)
        engine.emit("job-ended", "backup of smith-jones: done")
        app.pull()
        await settled(pilot)
        assert toasts(app) == []
        app.screen.dismiss()
        await settled(pilot)
        engine.emit("job-ended", "backup of okafor-lind: done")
        app.pull()
        await settled(pilot)
        assert toasts(app) == ["backup of okafor-lind: done"]

"""The Scaling screen, as a person drives it, on a real engine."""

from __future__ import annotations

from pathlib import Path

import pytest

from screens.dashboard import DashboardScreen
from screens.dialogs.scale import ScaleDialog
from screens.scaling import ScalingScreen
from tests.consoles import eventually, opened, panel, settled, without_colours_of_ours
from tests.engine.held import held_engine


async def test_it_opens_by_its_key_tells_what_is_missing_and_sets_the_number(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    without_colours_of_ours(monkeypatch)
    with held_engine(tmp_path, ("ash",), active=1) as engine:
        async with opened(engine) as (app, pilot):
            await pilot.press("C")
            await eventually(lambda: "asking" not in panel(app, "words"))
            assert isinstance(app.screen, ScalingScreen)
            words = panel(app, "words")
            assert "no rate of a stream yet" in words
            assert "worker_hour has no price" in words
            assert "Ready  for the next day with weddings" in words
            await pilot.press("c")
            await settled(pilot)
            assert isinstance(app.screen, ScaleDialog)
            await pilot.press("7")
            await eventually(lambda: "than now, at work within a second" in panel(app, "effect"))
            assert engine.status().auto_scaling.streams != 7  # nothing is sent yet
            await pilot.press("enter")
            await eventually(lambda: engine.status().auto_scaling.streams == 7)

            def is_told() -> bool:  # the number is another one: the screen asks anew
                app.pull()
                return "Now  7 streams, by hand" in panel(app, "words")

            await eventually(is_told)
            await pilot.press("escape")
            await settled(pilot)
            assert isinstance(app.screen, DashboardScreen)

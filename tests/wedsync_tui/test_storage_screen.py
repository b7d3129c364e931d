"""The Storage screen, as a person drives it, on a real engine."""

from __future__ import annotations

from pathlib import Path

import pytest

from screens.dashboard import DashboardScreen
from screens.results import ResultScreen
from screens.storage import StorageScreen
from tests.consoles import opened, panel, settled, without_colours_of_ours
from tests.engine.held import held_engine


async def test_it_opens_by_its_key_tells_of_the_one_store_and_leads_back(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    without_colours_of_ours(monkeypatch)
    with held_engine(tmp_path, ("ash",), active=1) as engine:
        async with opened(engine) as (app, pilot):
            await pilot.press("S")
            await settled(pilot)
            assert isinstance(app.screen, StorageScreen)
            words = panel(app, "places")
            assert "Tiers  1 tier" in words
            assert "each pack has one copy" in words
            assert "Nothing moves between tiers." in words
            await pilot.press("T")
            await settled(pilot)
            assert isinstance(app.screen, ResultScreen)
            await pilot.press("escape")
            await settled(pilot)
            await pilot.press("escape")
            await settled(pilot)
            assert isinstance(app.screen, DashboardScreen)

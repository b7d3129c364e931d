"""A real backup and retrieval through the dialogs, on a real engine: bytes are compared, panels watched."""

from __future__ import annotations

import datetime as dt
from collections.abc import Iterator
from pathlib import Path

import pytest
from textual.widgets import Input

from engine.contract import operations as ops
from engine.contract.status import Status
from engine.local import LocalEngine
from screens import view
from screens.dialogs.backup import BackupDialog
from screens.dialogs.retrieve import RetrieveDialog
from tests.consoles import Driver, eventually, opened, panel, settled, without_colours_of_ours
from tests.engine.homes import PASSPHRASE, home_with_repository
from tests.trees import describe
from wedsync_tui.app import ConsoleApp

ANSWER_S = 60.0


@pytest.fixture
def engine(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[LocalEngine]:
    """An engine with one wedding, and a card to back up."""
    without_colours_of_ours(monkeypatch)
    engine = LocalEngine.start(home_with_repository(tmp_path / "home"), PASSPHRASE, streams=2)
    engine.call(ops.AddWedding(name="smith-jones", date=dt.date(2026, 6, 20))).result(ANSWER_S)
    card = tmp_path / "card" / "DCIM"
    card.mkdir(parents=True)
    for number in range(24):
        (card / f"IMG_{number:04}.CR3").write_bytes(bytes([number]) * 400_000 + number.to_bytes(4, "big") * 100_000)
    (tmp_path / "card" / "notes one.txt").write_text("first dance at nine")
    try:
        yield engine
    finally:
        engine.close(drain_s=0.0).result(ANSWER_S)


async def _until(app: ConsoleApp, pilot: Driver, holds: str) -> None:
    """Pull until the panel of jobs says so."""

    def look() -> bool:
        app.pull()
        return holds in panel(app, "jobs")

    await eventually(look)
    await settled(pilot)


async def _back_up(app: ConsoleApp, pilot: Driver, source: Path) -> None:
    def is_listed() -> bool:
        app.pull()  # the document that shows the wedding is published up to a quarter of a second after it was added
        return bool(app.status().weddings)

    await eventually(is_listed)
    await settled(pilot)
    await pilot.press("b")
    await settled(pilot)
    assert isinstance(app.screen, BackupDialog)
    app.screen.query_one("#sources", Input).value = str(source)
    await settled(pilot)
    await pilot.press("enter")
    await eventually(lambda: "to read of" in panel(app, "estimate"))
    assert "25 files" in panel(app, "estimate")
    await pilot.press("enter")
    await eventually(lambda: not isinstance(app.screen, BackupDialog))
    await _until(app, pilot, "✓ backup")


async def test_what_goes_in_through_one_dialog_comes_back_through_the_other(
    engine: LocalEngine, tmp_path: Path
) -> None:
    async with opened(engine, (120, 36)) as (app, pilot):
        await _back_up(app, pilot, tmp_path / "card")
        await pilot.press("r")
        await settled(pilot)
        assert isinstance(app.screen, RetrieveDialog)
        await eventually(lambda: "25 files" in panel(app, "snapshots-list"))
        await pilot.press("enter")
        await eventually(lambda: panel(app, "tree") != "reading …")
        await pilot.press("ctrl+s")
        await settled(pilot)
        app.screen.query_one("#to", Input).value = str(tmp_path / "back")
        await settled(pilot)
        await pilot.press("enter")
        await eventually(lambda: "nothing stands in the way" in panel(app, "plan"))
        assert "25 files" in panel(app, "plan")
        await pilot.press("enter")
        await eventually(lambda: not isinstance(app.screen, RetrieveDialog))
        await _until(app, pilot, "✓ retrieve")
    card = tmp_path / "card"
    assert describe(tmp_path / "back" / str(card).lstrip("/")) == describe(card)


async def test_a_real_backup_changes_all_five_panels_by_what_was_measured(engine: LocalEngine, tmp_path: Path) -> None:
    async with opened(engine, (200, 50)) as (app, pilot):
        await eventually(lambda: engine.status().storage.tiers and engine.status().storage.tiers[0].used_bytes)
        app.pull()
        await settled(pilot)
        names = ("throughput", "stages", "initiation", "storage", "streams")
        before = {name: panel(app, name) for name in names}
        assert "Nothing has run yet." in before["stages"]
        assert "No job has started yet." in before["initiation"]
        engine.call(ops.ScaleInfrastructure(target="3", until="2h")).result(ANSWER_S)
        await _back_up(app, pilot, tmp_path / "card")
        await eventually(lambda: _is_measured(engine.status()))
        app.pull()
        await settled(pilot)
        status = engine.status()
        after = {name: panel(app, name) for name in names}
        heading = str(app.screen.query_one("#initiation").border_subtitle)
    assert [name for name in names if before[name] == after[name]] == []
    assert "reading" in after["stages"]  # a stage that costs next to nothing is left out
    seal = next(stage for stage in status.performance.stages if stage.stage == "seal")
    assert seal.unit.count >= 1
    assert seal.unit.p50_s > 0
    assert heading.startswith(f"{status.performance.initiation.count} job")
    assert "scale 3 until" in after["streams"]
    assert max(point.read_bytes_per_s for point in status.performance.history) > 0


def _is_measured(status: Status) -> bool:
    """Whether a point of the history and a fresh percentile have come."""
    read = any(point.read_bytes_per_s for point in status.performance.history)
    return read and any(stage.stage == "seal" and stage.unit.count for stage in status.performance.stages)


async def test_a_job_that_fails_is_an_alert_until_a_better_one(engine: LocalEngine, tmp_path: Path) -> None:
    async with opened(engine, (200, 50)) as (app, pilot):
        app.pull()
        await settled(pilot)
        await _back_up(app, pilot, tmp_path / "card")
        packs = {path: path.read_bytes() for path in (tmp_path / "home" / "repository").glob("weddings/*/packs/*")}
        for path, data in packs.items():
            path.write_bytes(bytes(len(data)))
        back = ops.RetrieveWeddingData(wedding="smith-jones", to=str(tmp_path / "back"), overwrite="always", wait=True)
        engine.call(back).exception(ANSWER_S)

        def on_screen() -> bool:
            app.pull()  # the screen shows the document it pulled, which may be older than the newest
            return "smith-jones: retrieve failed" in panel(app, "attention")

        await eventually(on_screen)
        assert view.overall(engine.status()).role == "critical"
        for path, data in packs.items():
            path.write_bytes(data)
        engine.call(back).result(ANSWER_S)
        await eventually(lambda: not on_screen())

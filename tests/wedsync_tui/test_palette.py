"""The palette: every operation of the catalog can be reached, and does what it says."""

from __future__ import annotations

from textual.widgets import Input

from engine.contract.catalog import CATALOG
from engine.contract.decisions import ReadScaling
from screens.dialogs.choice import ChoiceDialog
from screens.dialogs.form import FormDialog
from screens.dialogs.retrieve import RetrieveDialog
from screens.widgets.command_bar import CommandBar
from tests import samples
from tests.consoles import opened, panel, settled, shown
from tests.fakes import FakeEngine
from wedsync_tui.arguments import arguments_of
from wedsync_tui.desk import FORMS
from wedsync_tui.palette import OperationProvider, help_of, operation_commands


def test_the_palette_offers_every_operation_with_its_help() -> None:
    rows = operation_commands(lambda spec: None)
    assert [row.text.split(" ")[0] for row in rows] == [spec.verb.split(" ")[0] for spec in CATALOG]
    assert [row.help for row in rows] == [help_of(spec) for spec in CATALOG]
    assert all(row.help for row in rows)


async def test_choosing_an_operation_runs_it_or_begins_its_line() -> None:
    """Every row of the catalog, one after the other in one console."""
    engine = FakeEngine()
    engine.show(samples.status())
    async with opened(engine) as (app, pilot):
        for spec, row in zip(CATALOG, app.palette_commands(), strict=False):
            row.act()
            await settled(pilot)
            if spec.name in FORMS:
                assert isinstance(app.screen, FormDialog | RetrieveDialog), spec
                # what a change would cost is asked for as the form opens
                assert all(isinstance(each, ReadScaling) for each in engine.operations), spec
            elif any(argument.required for argument in arguments_of(spec)):
                assert app.screen.query_one(CommandBar).is_open, spec
                assert app.screen.query_one("#line", Input).value == f"{spec.verb} "
                assert panel(app, "words").startswith(spec.verb)
                assert engine.operations == [], spec
            else:
                if spec.confirm:
                    assert isinstance(app.screen, ChoiceDialog), spec
                    app.screen.dismiss("go")
                    await settled(pilot)
                looks = 1 + (spec.name == "prune")  # first a dry run, for what is asked about
                assert [type(operation) for operation in engine.operations] == looks * [spec.arguments]
            engine.operations.clear()
            for bar in app.screen.query(CommandBar):
                bar.close()
            while len(app.screen_stack) > 1:
                app.pop_screen()


async def test_the_palette_finds_by_letters_of_the_verb_and_by_words_of_the_help() -> None:
    async with opened(FakeEngine()) as (app, _):
        provider = OperationProvider(app.screen)
        by_verb = [hit.text async for hit in provider.search("snap")]
        by_help = [hit.text async for hit in provider.search("slots")]
        everything = [hit.text async for hit in provider.discover()]
    assert "snapshots WEDDING" in by_verb
    assert "keys" in by_help
    assert len(everything) > len(CATALOG)


async def test_a_palette_row_is_run_with_enter() -> None:
    engine = FakeEngine()
    async with opened(engine) as (app, pilot):
        await pilot.press("ctrl+p")
        await pilot.pause()
        app.screen.query_one(Input).value = "config get"
        await pilot.pause(0.1)
        await pilot.press("enter")
        await settled(pilot)
        assert "engine.streams" in shown(app)


async def test_a_prune_says_what_would_go_before_it_asks() -> None:
    """A dry run is not asked about; the real one only with what it told."""
    engine = FakeEngine()
    engine.show(samples.status())
    async with opened(engine) as (app, pilot):
        app.desk.submit("prune --dry-run")
        await settled(pilot)
        assert not isinstance(app.screen, ChoiceDialog)
        app.desk.submit("prune")
        await settled(pilot)
        assert isinstance(app.screen, ChoiceDialog)
        assert any("would go, " in line for line in app.screen._lines)
        app.screen.dismiss("")
        await settled(pilot)
        assert [getattr(operation, "dry_run", None) for operation in engine.operations] == [True, True]

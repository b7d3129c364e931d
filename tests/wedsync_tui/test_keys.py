"""Keys that come faster than they are answered, as a paste, a quick hand or a slow line send them."""

from __future__ import annotations

from textual.events import Key
from textual.widgets import Input

from engine.contract import operations as ops
from screens.dialogs.form import FormDialog
from screens.results import ResultScreen
from tests import samples
from tests.consoles import Driver, eventually, opened, settled
from tests.fakes import FakeEngine
from wedsync_tui.app import ConsoleApp

NAMES = {" ": "space", ":": "colon", "-": "minus", "/": "slash", "\r": "enter", "\x7f": "backspace", "\x1b": "escape"}


def burst(app: ConsoleApp, keys: str) -> None:
    """All of them at once, as a terminal's driver hands them over."""
    for letter in keys:
        app.post_message(Key(NAMES.get(letter, letter), letter))


async def drained(app: ConsoleApp, pilot: Driver) -> None:
    """Until each has had its turn."""
    await pilot.pause()
    await eventually(lambda: not app.keys.is_waiting)
    await settled(pilot)


async def test_a_line_that_is_pasted_runs_and_none_of_its_letters_is_a_key() -> None:
    engine = FakeEngine()
    engine.show(samples.status())
    async with opened(engine) as (app, pilot):
        burst(app, ":verify okafor-lind\r")
        await drained(app, pilot)
        assert engine.operations == [ops.Verify(wedding="okafor-lind")]
        assert isinstance(app.screen, ResultScreen)
        assert app.theme == "wedsync-dark"


async def test_letters_never_overtake_the_backspaces_before_them() -> None:
    async with opened(FakeEngine()) as (app, pilot):
        burst(app, "a")
        await drained(app, pilot)
        burst(app, "lee\x7f\x7f\x7f\x7fpark-hill\x7f\x7f\x7f\x7fend")
        await drained(app, pilot)
        assert app.screen.query_one("#name", Input).value == "park-end"


async def test_what_is_typed_ahead_of_a_dialog_goes_into_the_dialog() -> None:
    engine = FakeEngine()
    engine.show(samples.status())
    async with opened(engine) as (app, pilot):
        burst(app, "b/card")
        await drained(app, pilot)
        assert isinstance(app.screen, FormDialog)
        assert app.screen.query_one("#sources", Input).value == "/card"


async def test_a_key_whose_screen_goes_away_holds_none_after_it_up() -> None:
    engine = FakeEngine()
    engine.show(samples.status())
    async with opened(engine) as (app, pilot):
        burst(app, "a\x1bc\x1b:scale 2\r")
        await drained(app, pilot)
        assert [each for each in engine.operations if isinstance(each, ops.ScaleInfrastructure)] == [
            ops.ScaleInfrastructure(target="2")
        ]

"""Pictures of each screen and dialog at three sizes, in dark, colour-blind and without colours.

Made anew with `pytest --snapshot-update`. Dialogs stand over an empty board: a picture shows one thing, and is small.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import Protocol

import msgspec
import pytest
from textual.widgets import Input

from engine.contract import operations as ops
from tests import samples
from tests.consoles import Driver, console, settled, without_colours_of_ours
from tests.fakes import FakeEngine
from tests.screens.test_filetree import entry
from tests.screens.test_retrieving import PLAN, SNAPSHOT
from wedsync_tui.app import ConsoleApp

SIZES = ((80, 24), (120, 36), (200, 50))
MODES = ("dark", "colour-blind", "no-color")

# Each picture: the keys that lead to it; words in one go are written letter by letter.
DIALOGS: dict[str, tuple[str, ...]] = {
    "command-line": ("colon", *"scale 4 --"),
    "backup": ("b", *"/card", "enter"),
    "retrieve-snapshot": ("r",),
    "retrieve-files": ("r", "enter", "down", "space", "right"),
    "retrieve-plan": ("r", "enter", "down", "space", "ctrl+s", *"/back", "enter"),
    "scale": ("c", *"12"),
    "add-wedding": ("a", *"lee-park", "tab", *"June"),
    "confirm": ("2", "x"),
    "leave": ("q",),
    "palette": ("ctrl+p", *"wedding"),
}
SCREENS: dict[str, tuple[str, ...]] = {
    "dashboard": (),
    "help": ("question_mark",),
    "weddings": ("w",),
}


class Compare(Protocol):
    """The fixture of pytest-textual-snapshot."""

    def __call__(
        self, app: ConsoleApp, *, terminal_size: tuple[int, int], run_before: Callable[[Driver], Awaitable[None]]
    ) -> bool: ...


@pytest.fixture
def engine() -> FakeEngine:
    """The sample document, two snapshots and a small tree."""
    engine = FakeEngine()
    engine.show(samples.status())
    older = msgspec.structs.replace(SNAPSHOT, id="11" * 16, time="2026-06-19T09:00:00.000Z", warnings=0, tags=())
    engine.answer(ops.ListSnapshots, ops.SnapshotList(wedding="okafor-lind", snapshots=(older, SNAPSHOT)))
    engine.answer(ops.Browse, _browse)
    engine.answer(ops.RetrieveWeddingData, msgspec.structs.replace(PLAN, conflicts=3))
    return engine


def _browse(operation: ops.Operation) -> ops.Result:
    assert isinstance(operation, ops.Browse)
    if operation.path == "/":
        return ops.EntryList(entries=(entry("/card", "folder"),))
    if operation.path == "/card":
        return ops.EntryList(entries=(entry("/card/DCIM", "folder"), entry("/card/notes.txt", size=812)))
    return ops.EntryList(entries=tuple(entry(f"/card/DCIM/IMG_{n:04}.CR3", size=25_165_824 + n) for n in range(30)))


def _app(engine: FakeEngine, mode: str, patch: pytest.MonkeyPatch) -> ConsoleApp:
    without_colours_of_ours(patch)
    if mode == "no-color":
        patch.setenv("NO_COLOR", "1")
    return console(engine, theme="wedsync-colour-blind" if mode == "colour-blind" else "wedsync-dark")


def _led_by(keys: tuple[str, ...], *, bare: bool) -> Callable[[Driver], Awaitable[None]]:
    async def lead(pilot: Driver) -> None:
        await settled(pilot)
        for key in keys:
            await pilot.press(key)
            if len(key) > 1:
                await settled(pilot)
        if bare:
            for name in ("#board", "#foot"):
                pilot.app.screen_stack[0].query_one(name).display = False
        for line in pilot.app.screen.query(Input):
            line.cursor_blink = False  # or the picture is of one half of a second
        await settled(pilot)

    return lead


@pytest.mark.parametrize("mode", MODES)
@pytest.mark.parametrize("size", SIZES, ids=lambda size: f"{size[0]}x{size[1]}")
@pytest.mark.parametrize("name", SCREENS)
def test_screen(
    snap_compare: Compare, engine: FakeEngine, monkeypatch: pytest.MonkeyPatch,
    name: str, size: tuple[int, int], mode: str,
) -> None:  # fmt: skip
    app = _app(engine, mode, monkeypatch)
    assert snap_compare(app, terminal_size=size, run_before=_led_by(SCREENS[name], bare=False))


@pytest.mark.parametrize("mode", MODES)
@pytest.mark.parametrize("size", SIZES, ids=lambda size: f"{size[0]}x{size[1]}")
@pytest.mark.parametrize("name", DIALOGS)
def test_dialog(
    snap_compare: Compare, engine: FakeEngine, monkeypatch: pytest.MonkeyPatch,
    name: str, size: tuple[int, int], mode: str,
) -> None:  # fmt: skip
    app = _app(engine, mode, monkeypatch)
    assert snap_compare(app, terminal_size=size, run_before=_led_by(DIALOGS[name], bare=True))


@pytest.mark.parametrize("size", [(40, 10), (60, 16)], ids=lambda size: f"{size[0]}x{size[1]}")
def test_what_is_smaller_than_the_smallest_still_tells_the_main_thing(
    snap_compare: Compare, engine: FakeEngine, monkeypatch: pytest.MonkeyPatch, size: tuple[int, int]
) -> None:
    app = _app(engine, "dark", monkeypatch)
    assert snap_compare(app, terminal_size=size, run_before=_led_by((), bare=False))


def test_a_first_start_is_welcomed(snap_compare: Compare, monkeypatch: pytest.MonkeyPatch) -> None:
    app = _app(FakeEngine(initialised=False), "dark", monkeypatch)
    assert snap_compare(app, terminal_size=(80, 24), run_before=_led_by((), bare=True))

"""Pictures of each screen and dialog at three sizes, in dark, colour-blind and without colours.

Made anew with `pytest --snapshot-update`. Dialogs stand over an empty board: a picture shows one thing, and is small.
A console is led to what is to be seen once for each size, and pictured in one look after the other.
"""

from __future__ import annotations

from pathlib import Path

import msgspec
import pytest
from pytest_textual_snapshot import SVGImageExtension, normalize_svg  # type: ignore[import-untyped]
from syrupy.assertion import SnapshotAssertion
from textual.filter import Monochrome
from textual.widgets import Input

from engine.contract import costs, decisions, readying, steering
from engine.contract import operations as ops
from tests import samples, scaling_samples
from tests.consoles import Driver, console, settled, without_colours_of_ours
from tests.fakes import FakeEngine
from tests.screens.test_filetree import entry
from tests.screens.test_retrieving import PLAN, SNAPSHOT
from wedsync_tui.app import ConsoleApp

SIZES = ((80, 24), (120, 36), (200, 50))
LOOKS = ("dark", "colour-blind", "no-color")
NARROW, MIDDLE, WIDE = SIZES

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
    "notes": ("n",),
}

JOBS = ("J", "down", "space", "slash", *"backup", "enter")
# The screens of jobs: keys, size, and the looks in which they are pictured.
JOB_SCREENS: dict[str, tuple[tuple[str, ...], tuple[int, int], tuple[str, ...]]] = {
    "jobs-80x24": (JOBS, NARROW, ("dark", "no-color")),
    "jobs-120x36": (JOBS, MIDDLE, ("light",)),
    "jobs-200x50": (JOBS, WIDE, ("colour-blind",)),
    "none-80x24": (("J", "slash", *"nobody"), NARROW, ("dark",)),
    "cancel-80x24": (("J", "space", "space", "x"), NARROW, ("dark",)),
    "job-80x24": (("J", "enter"), NARROW, ("dark", "no-color")),
    "job-200x50": (("J", "enter"), WIDE, ("colour-blind",)),
}
STORAGE = (("80x24", "dark"), ("80x24", "no-color"), ("120x36", "light"), ("200x50", "colour-blind"))
# The Scaling screen: what the engine has to tell, size, look.
SCALING = (
    ("cluster", "80x24", "dark"), ("cluster", "80x24", "no-color"), ("cluster", "120x36", "light"),
    ("cluster", "200x50", "colour-blind"), ("nothing", "80x24", "dark"),
)  # fmt: skip
SMALLEST = ((40, 10), (60, 16))


def _size_words(size: tuple[int, int]) -> str:
    return f"{size[0]}x{size[1]}"


@pytest.fixture
def pictures(snapshot: SnapshotAssertion) -> SnapshotAssertion:
    """One file for each."""
    return snapshot.use_extension(SVGImageExtension)


@pytest.fixture
def engine() -> FakeEngine:
    """The sample document, two snapshots and a small tree."""
    engine = FakeEngine()
    engine.show(samples.status())
    older = msgspec.structs.replace(SNAPSHOT, id="11" * 16, time="2026-06-19T09:00:00.000Z", warnings=0, tags=())
    engine.answer(ops.ListSnapshots, ops.SnapshotList(wedding="okafor-lind", snapshots=(older, SNAPSHOT)))
    engine.answer(ops.Browse, _browse)
    engine.answer(steering.ReadJob, samples.job_detail())
    engine.answer(ops.RetrieveWeddingData, msgspec.structs.replace(PLAN, conflicts=3))
    return engine


def _browse(operation: ops.Operation) -> ops.Result:
    assert isinstance(operation, ops.Browse)
    if operation.path == "/":
        return ops.EntryList(entries=(entry("/card", "folder"),))
    if operation.path == "/card":
        return ops.EntryList(entries=(entry("/card/DCIM", "folder"), entry("/card/notes.txt", size=812)))
    return ops.EntryList(entries=tuple(entry(f"/card/DCIM/IMG_{n:04}.CR3", size=25_165_824 + n) for n in range(30)))


async def _led_by(pilot: Driver, keys: tuple[str, ...], *, bare: bool) -> None:
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


async def _seen(
    app: ConsoleApp, size: tuple[int, int], keys: tuple[str, ...] = (), *, bare: bool, looks: tuple[str, ...] = LOOKS
) -> dict[str, str]:
    """The picture in each look."""
    seen = {}
    async with app.run_test(size=size) as pilot:
        await _led_by(pilot, keys, bare=bare)
        for look in looks:
            _put_on(app, look)
            await settled(pilot)
            seen[look] = normalize_svg(app.export_screenshot(title=app.title, simplify=True))
    return seen


def _put_on(app: ConsoleApp, look: str) -> None:
    app.theme = "wedsync-dark" if look == "no-color" else f"wedsync-{look}"
    if look == "no-color":  # what the app does at its start where NO_COLOR is set
        app.no_color = True
        app._filters.append(Monochrome())
        app.refresh_css(animate=False)


@pytest.fixture(autouse=True)
def _plain(monkeypatch: pytest.MonkeyPatch) -> None:
    without_colours_of_ours(monkeypatch)


@pytest.mark.parametrize("size", SIZES, ids=_size_words)
@pytest.mark.parametrize("name", SCREENS)
async def test_screen(pictures: SnapshotAssertion, engine: FakeEngine, name: str, size: tuple[int, int]) -> None:
    for look, picture in (await _seen(console(engine), size, SCREENS[name], bare=False)).items():
        assert picture == pictures(name=look)


@pytest.mark.parametrize("size", SIZES, ids=_size_words)
@pytest.mark.parametrize("name", DIALOGS)
async def test_dialog(pictures: SnapshotAssertion, engine: FakeEngine, name: str, size: tuple[int, int]) -> None:
    for look, picture in (await _seen(console(engine), size, DIALOGS[name], bare=True)).items():
        assert picture == pictures(name=look)


@pytest.mark.parametrize("name", JOB_SCREENS)
async def test_jobs(pictures: SnapshotAssertion, engine: FakeEngine, name: str) -> None:
    keys, size, looks = JOB_SCREENS[name]
    engine.show(samples.status(jobs=samples.many_jobs()))
    for look, picture in (await _seen(console(engine), size, keys, bare=False, looks=looks)).items():
        assert picture == pictures(name=look)


@pytest.mark.parametrize(("name", "look"), STORAGE)
async def test_storage(pictures: SnapshotAssertion, engine: FakeEngine, name: str, look: str) -> None:
    engine.show(samples.status(storage=samples.storage()))
    size = {f"{width}x{height}": (width, height) for width, height in SIZES}[name]
    assert (await _seen(console(engine), size, ("S",), bare=False, looks=(look,)))[look] == pictures


@pytest.mark.parametrize(("told", "name", "look"), SCALING)
async def test_scaling(pictures: SnapshotAssertion, engine: FakeEngine, told: str, name: str, look: str) -> None:
    if told == "cluster":
        engine.answer(decisions.ReadScaling, scaling_samples.cluster_report())
        engine.answer(costs.ReadCost, scaling_samples.cost_report())
        engine.answer(readying.CheckReadiness, scaling_samples.readiness_report())
    size = {f"{width}x{height}": (width, height) for width, height in SIZES}[name]
    assert (await _seen(console(engine), size, ("C",), bare=False, looks=(look,)))[look] == pictures


@pytest.mark.parametrize("size", SMALLEST, ids=_size_words)
async def test_what_is_smaller_than_the_smallest_still_tells_the_main_thing(
    pictures: SnapshotAssertion, engine: FakeEngine, size: tuple[int, int]
) -> None:
    assert (await _seen(console(engine), size, bare=False))["dark"] == pictures


async def test_a_first_start_is_welcomed(pictures: SnapshotAssertion) -> None:
    assert (await _seen(console(FakeEngine(initialised=False)), (80, 24), bare=True))["dark"] == pictures


async def test_a_terminal_without_colours_gets_the_picture_without_colours(
    engine: FakeEngine, monkeypatch: pytest.MonkeyPatch
) -> None:
    without = (await _seen(console(engine), (80, 24), bare=False))["no-color"]
    monkeypatch.setenv("NO_COLOR", "1")
    assert (await _seen(console(engine), (80, 24), bare=False))["dark"] == without


def test_no_picture_is_kept_that_nothing_is_held_against() -> None:
    """Workers side by side each see a part of the pictures, so the plug-in cannot tell which of them are left over."""
    three = [(_size_words(size), look) for size in SIZES for look in LOOKS]
    taken = {f"test_screen[{name}-{size}][{look}]" for name in SCREENS for size, look in three}
    taken |= {f"test_dialog[{name}-{size}][{look}]" for name in DIALOGS for size, look in three}
    taken |= {f"test_jobs[{name}][{look}]" for name, (_, _, looks) in JOB_SCREENS.items() for look in looks}
    taken |= {f"test_storage[{size}-{look}]" for size, look in STORAGE}
    taken |= {f"test_scaling[{told}-{size}-{look}]" for told, size, look in SCALING}
    smallest = test_what_is_smaller_than_the_smallest_still_tells_the_main_thing.__name__
    taken |= {f"{smallest}[{_size_words(size)}]" for size in SMALLEST}
    taken.add(test_a_first_start_is_welcomed.__name__)
    assert taken == {path.stem for path in Path(__file__).parent.glob("__snapshots__/test_snapshots/*.svg")}

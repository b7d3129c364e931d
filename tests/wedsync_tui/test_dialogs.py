"""The dialogs as a person drives them: what is shown before anything starts, what is wrong said in place."""

from __future__ import annotations

import msgspec
import pytest
from textual.widgets import Input

from engine.base.errors import NotFound
from engine.contract import decisions
from engine.contract import operations as ops
from screens.dialogs.backup import BackupDialog
from screens.dialogs.choice import ChoiceDialog
from screens.dialogs.form import FormDialog
from screens.dialogs.retrieve import RetrieveDialog
from screens.widgets.command_bar import CommandBar
from screens.widgets.pick import Pick
from tests import samples, scaling_samples
from tests.consoles import Driver, eventually, opened, panel, settled, shown, toasts, without_colours_of_ours
from tests.fakes import FakeEngine
from tests.screens.test_filetree import entry
from tests.screens.test_retrieving import PLAN, SNAPSHOT


@pytest.fixture(autouse=True)
def _plain(monkeypatch: pytest.MonkeyPatch) -> None:
    without_colours_of_ours(monkeypatch)


@pytest.fixture
def engine() -> FakeEngine:
    """An engine with two snapshots of a card."""
    engine = FakeEngine()
    engine.show(samples.status())
    older = msgspec.structs.replace(SNAPSHOT, id="11" * 16, time="2026-06-19T09:00:00.000Z", warnings=0)
    engine.answer(ops.ListSnapshots, lambda asked: ops.SnapshotList(wedding=asked.wedding, snapshots=(older, SNAPSHOT)))  # type: ignore[attr-defined]
    engine.answer(ops.Browse, _browse)
    engine.answer(ops.RetrieveWeddingData, _retrieve)
    return engine


def _browse(operation: ops.Operation) -> ops.Result:
    assert isinstance(operation, ops.Browse)
    listed = {
        "/": (entry("/card", "folder"),),
        "/card": (entry("/card/DCIM", "folder"), entry("/card/notes.txt", size=812)),
        "/card/DCIM": tuple(entry(f"/card/DCIM/IMG_{number:04}.CR3", size=25_000_000) for number in range(3)),
    }
    return ops.EntryList(entries=listed[operation.path])


def _retrieve(operation: ops.Operation) -> ops.Result:
    assert isinstance(operation, ops.RetrieveWeddingData)
    if operation.dry_run:
        return msgspec.structs.replace(PLAN, conflicts=3 if operation.to == "/full" else 0)
    return ops.JobResult(job=samples.job_row(9, kind="retrieve"))


async def _pressed(pilot: Driver, *keys: str) -> None:
    for key in keys:
        await pilot.press(key)
        await settled(pilot)


# --- retrieving -----------------------------------------------------------------------------------------


async def test_a_retrieval_goes_from_snapshot_to_files_to_target_and_shows_its_plan(engine: FakeEngine) -> None:
    async with opened(engine) as (app, pilot):
        await _pressed(pilot, "down", "r")
        assert "2026-06-20 14:03" in panel(app, "snapshots-list").splitlines()[0]
        await _pressed(pilot, "enter")
        assert [line.split()[-1] for line in panel(app, "tree").splitlines()] == ["it", "DCIM/", "B"]
        await _pressed(pilot, "down", "right", "down", "space", "down", "space")
        assert panel(app, "tree").count("[x]") == 2
        assert "2 chosen" in panel(app, "trail")
        await _pressed(pilot, "ctrl+s")
        await pilot.press(*"/back", "enter")
        await settled(pilot)
        assert "28.4 GB in 1,204 files will be written" in panel(app, "plan")
        assert not any(isinstance(one, ops.RetrieveWeddingData) and not one.dry_run for one in engine.operations)
        await _pressed(pilot, "enter")
        assert engine.operations[-1] == ops.RetrieveWeddingData(
            wedding="smith-jones",
            to="/back",
            snapshot=SNAPSHOT.id,
            paths=("/card/DCIM/IMG_0000.CR3", "/card/DCIM/IMG_0001.CR3"),
            wait=False,
        )
        assert not isinstance(app.screen, RetrieveDialog)


async def test_files_that_stand_there_are_asked_about_and_kept_unless_somebody_says_otherwise(
    engine: FakeEngine,
) -> None:
    async with opened(engine) as (app, pilot):
        await _pressed(pilot, "r", "enter", "ctrl+s")
        await pilot.press(*"/full", "enter")
        await settled(pilot)
        assert "3 files stand there already" in panel(app, "plan")
        assert isinstance(app.focused, Pick)
        assert app.focused.value == "never"
        await _pressed(pilot, "right", "enter")
        last = engine.operations[-1]
        assert isinstance(last, ops.RetrieveWeddingData)
        assert (last.overwrite, last.paths, last.to) == ("changed", (), "/full")


async def test_another_target_is_planned_anew(engine: FakeEngine) -> None:
    async with opened(engine) as (app, pilot):
        await _pressed(pilot, "r", "enter", "ctrl+s")
        await pilot.press(*"/back", "enter")
        await settled(pilot)
        app.screen.query_one("#to", Input).value = "/other"
        await settled(pilot)
        assert panel(app, "plan") == ""
        await _pressed(pilot, "ctrl+s")
        plans = [one.to for one in engine.operations if isinstance(one, ops.RetrieveWeddingData)]
        assert plans == ["/back", "/other"]


async def test_a_chosen_folder_can_leave_the_folders_above_it_off(engine: FakeEngine) -> None:
    async with opened(engine) as (app, pilot):
        await _pressed(pilot, "r", "enter", "down", "space", "ctrl+s")
        assert "leave /card/ off the front" in shown(app)
        app.screen.query_one("#strip").value = True  # type: ignore[attr-defined]
        await pilot.press(*"/back", "enter")
        await _pressed(pilot, "enter")
        last = engine.operations[-1]
        assert isinstance(last, ops.RetrieveWeddingData)
        assert (last.paths, last.strip_prefix) == (("/card/DCIM",), "/card")


async def test_a_wedding_is_found_by_a_few_letters_where_none_is_given(engine: FakeEngine) -> None:
    async with opened(engine) as (app, pilot):
        app.desk.open_form("retrieve_wedding_data", {})
        await settled(pilot)
        await _pressed(pilot, "n", "v", "k")
        assert panel(app, "weddings-list").split()[0] == "novak-dvorak"
        await _pressed(pilot, "enter")
        assert engine.operations[0] == ops.ListSnapshots(wedding="novak-dvorak")
        await _pressed(pilot, "escape")
        assert app.focused is not None
        assert app.focused.id == "wedding-filter"
        await _pressed(pilot, "escape")
        assert not isinstance(app.screen, RetrieveDialog)


async def test_folders_that_hold_one_folder_are_opened_down_to_what_may_be_chosen(engine: FakeEngine) -> None:
    listed = {
        "/": (entry("/srv", "folder"),),
        "/srv": (entry("/srv/cards", "folder"),),
        "/srv/cards": (entry("/srv/cards/A", "folder"),),
        "/srv/cards/A": (entry("/srv/cards/A/DCIM", "folder"), entry("/srv/cards/A/notes.txt", size=812)),
    }

    def browse(operation: ops.Operation) -> ops.Result:
        assert isinstance(operation, ops.Browse)
        return ops.EntryList(entries=listed[operation.path])

    engine.answer(ops.Browse, browse)
    async with opened(engine) as (app, pilot):
        await _pressed(pilot, "r", "enter")
        await settled(pilot)
        assert "notes.txt" in panel(app, "tree")


async def test_a_wedding_without_a_snapshot_says_so(engine: FakeEngine) -> None:
    engine.answer(ops.ListSnapshots, ops.SnapshotList(wedding="okafor-lind", snapshots=()))
    async with opened(engine) as (app, pilot):
        await _pressed(pilot, "r")
        assert "okafor-lind has no snapshot yet" in panel(app, "words")
        await _pressed(pilot, "enter")
        assert app.screen.query_one("#page-snapshot").display


async def test_what_the_engine_refuses_is_said_in_the_dialog(engine: FakeEngine) -> None:
    engine.answer(ops.Browse, NotFound("a pack is not there", "run verify"))
    async with opened(engine) as (app, pilot):
        await _pressed(pilot, "r", "enter")
        assert "a pack is not there; run verify" in panel(app, "words")


async def test_a_name_that_is_not_utf_8_is_left_to_the_folder_around_it(engine: FakeEngine) -> None:
    odd = msgspec.structs.replace(entry("/card/caf\\xe9", "folder"), path_base64="L2NhcmQvY2Fm6Q==")
    engine.answer(ops.Browse, ops.EntryList(entries=(odd, entry("/card/b", size=1))))
    async with opened(engine) as (app, pilot):
        await _pressed(pilot, "r", "enter", "space")
        assert "choose the folder around it" in panel(app, "words")
        await _pressed(pilot, "enter")
        assert "cannot be opened here" in panel(app, "words")


# --- backing up ---------------------------------------------------------------------------------------


async def test_b_looks_first_and_then_starts_what_was_looked_at(engine: FakeEngine) -> None:
    async with opened(engine) as (app, pilot):
        await pilot.press("down", "b")
        await pilot.pause()
        assert isinstance(app.screen, BackupDialog)
        await pilot.press(*"/card")
        await pilot.pause()
        assert ": backup smith-jones --from /card" in panel(app, "words")
        await pilot.press("enter")
        await settled(pilot)
        wanted = ops.StartBackup(wedding="smith-jones", sources=("/card",))
        assert engine.operations == [msgspec.structs.replace(wanted, dry_run=True)]
        assert "to read of" in panel(app, "estimate")
        await pilot.press("enter")
        await settled(pilot)
        assert engine.operations[1:] == [wanted]
        assert not isinstance(app.screen, BackupDialog)


async def test_a_changed_backup_is_looked_at_again(engine: FakeEngine) -> None:
    async with opened(engine) as (app, pilot):
        await pilot.press("b", *"/card", "enter")
        await settled(pilot)
        app.screen.query_one("#sources", Input).value = "/other"
        await pilot.pause()
        assert "starts nothing yet" in panel(app, "estimate")
        await pilot.press("ctrl+s")
        await settled(pilot)
        assert [operation.dry_run for operation in engine.operations] == [True, True]  # type: ignore[attr-defined]


async def test_what_a_look_finds_wrong_is_said_in_place(engine: FakeEngine) -> None:
    engine.answer(ops.StartBackup, NotFound("/card: no such file", "give --from a folder that is there"))
    async with opened(engine) as (app, pilot):
        await pilot.press("b", *"/card", "enter")
        await settled(pilot)
        assert isinstance(app.screen, BackupDialog)
        assert "/card: no such file" in panel(app, "words")


# --- forms ----------------------------------------------------------------------------------------------


async def test_streams_are_changed_with_an_end_and_what_is_now_is_told(engine: FakeEngine) -> None:
    async with opened(engine) as (app, pilot):
        await _pressed(pilot, "c")
        assert isinstance(app.screen, FormDialog)
        assert "9 streams by default, 6 busy" in panel(app, "lead")
        await pilot.press("4", "tab", *"2h", "ctrl+s")
        await settled(pilot)
        assert engine.operations[1:] == [ops.ScaleInfrastructure(target="4", until="2h")]


async def test_what_another_number_costs_and_when_it_is_there_is_told_before_it_is_sent(engine: FakeEngine) -> None:
    engine.answer(decisions.ReadScaling, scaling_samples.cluster_report())
    async with opened(engine) as (app, pilot):
        await _pressed(pilot, "c")
        await pilot.press(*"12")
        await settled(pilot)
        assert "0.130 more an hour: 0.260 for all, at 0.022 each" in panel(app, "effect")
        assert "6 nodes more than now, ready in about 1m 34s" in panel(app, "effect")
        await _pressed(pilot, "escape")
        assert [type(one) for one in engine.operations] == [decisions.ReadScaling]


async def test_what_is_wrong_is_said_as_it_is_typed(engine: FakeEngine) -> None:
    async with opened(engine) as (app, pilot):
        await pilot.press("a", *"lee-park", "tab", *"2026")
        await settled(pilot)
        assert "'2026' is not a date; write it like 2026-06-20" in panel(app, "words")
        await pilot.press(*"-06-27")
        await settled(pilot)
        assert panel(app, "words").splitlines()[1] == ": wedding add lee-park --date 2026-06-27"
        assert engine.operations == []


async def test_a_folder_is_completed_and_one_with_a_blank_stays_one(engine: FakeEngine, tmp_path: object) -> None:
    from pathlib import Path

    folder = Path(str(tmp_path)) / "card A"
    folder.mkdir()
    async with opened(engine, (120, 36)) as (app, pilot):
        await _pressed(pilot, "b")
        box = app.screen.query_one("#sources", Input)
        box.value = f"{tmp_path}/"
        await eventually(lambda: "card A/" in panel(app, "suggestions"))
        await _pressed(pilot, "down")
        assert box.value == f"'{tmp_path}/card A/'"
        await _pressed(pilot, "enter")
        assert engine.operations == [
            ops.StartBackup(wedding="okafor-lind", sources=(f"{tmp_path}/card A/",), dry_run=True)
        ]


async def test_all_weddings_are_offered_where_the_document_holds_only_some(engine: FakeEngine) -> None:
    engine.show(samples.status(weddings=samples.sample_wedding_rows()[:1], weddings_total=6))
    async with opened(engine, (120, 36)) as (app, pilot):
        await pilot.press("colon", *"verify")
        await settled(pilot)
        assert engine.operations == []  # ten thousand are not asked for before the line wants one
        await pilot.press("space", *"wal")
        await eventually(lambda: "walker-hayes" in panel(app, "suggestions"))
        assert engine.operations == [ops.ListWeddings()]


# --- the line -------------------------------------------------------------------------------------------


async def test_the_history_is_searched_anywhere_in_its_lines(engine: FakeEngine) -> None:
    async with opened(engine) as (app, pilot):
        for line in ("scale 4", "jobs", "weddings --match bath"):
            app.desk.history.add(line)
        await _pressed(pilot, "colon", "ctrl+r")
        await pilot.press(*"atc")
        await settled(pilot)
        assert panel(app, "suggestions").split("  ")[1] == "weddings --match bath"
        await _pressed(pilot, "enter")
        assert engine.operations == [ops.ListWeddings(match="bath")]


async def test_the_line_works_on_a_result_too_and_gives_the_focus_back(engine: FakeEngine) -> None:
    async with opened(engine) as (app, pilot):
        await _pressed(pilot, "w", "colon")
        bar = app.screen.query_one(CommandBar)
        assert bar.is_open
        await _pressed(pilot, "escape")
        assert not bar.is_open
        assert app.focused is not None
        assert app.focused.id == "sheet"


async def test_a_click_on_a_key_presses_it(engine: FakeEngine) -> None:
    async with opened(engine) as (app, pilot):
        words = panel(app, "keys")
        await pilot.click("#keys", offset=(words.index("Add wedding") + 2, 0))
        await settled(pilot)
        assert isinstance(app.screen, FormDialog)


# --- first steps ----------------------------------------------------------------------------------------


async def test_an_empty_home_leads_to_the_first_backup() -> None:
    engine = FakeEngine(initialised=False, weddings=())
    async with opened(engine) as (app, pilot):
        assert isinstance(app.screen, ChoiceDialog)
        assert "Welcome. There is no repository yet." in shown(app)
        await _pressed(pilot, "enter")
        assert engine.operations == [ops.InitRepository()]
        app.pull()
        await settled(pilot)
        assert isinstance(app.screen, FormDialog)
        await pilot.press(*"lee-park", "tab", *"2026-06-20", "ctrl+s")
        await settled(pilot)
        app.pull()
        await settled(pilot)
        assert app.screen.query_one("#wedding", Input).value == "lee-park"
        assert "Look first" in shown(app)


async def test_whoever_says_later_is_left_alone_and_has_a_key() -> None:
    engine = FakeEngine(initialised=False)
    async with opened(engine) as (app, pilot):
        await _pressed(pilot, "escape")
        app.pull()
        await settled(pilot)
        assert "There is no repository yet." in panel(app, "weddings")
        assert "i Make repository" in panel(app, "keys")
        await _pressed(pilot, "i")
        assert engine.operations == [ops.InitRepository()]
        assert "the repository is made in file:///srv/wedsync/repository" in toasts(app)

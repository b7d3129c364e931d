"""The console as a person drives it: keys, command line, forms, results, quitting."""

from __future__ import annotations

import asyncio
from concurrent.futures import Future

import msgspec
import pytest

from engine.base.errors import NotFound, Unavailable
from engine.contract import operations as ops
from engine.contract.status import Status
from screens.dialogs.choice import ChoiceDialog
from screens.dialogs.form import FormDialog
from screens.help import HelpScreen
from screens.results import ResultScreen
from screens.widgets.command_bar import CommandBar
from screens.widgets.rows import Rows
from tests import samples
from tests.consoles import opened, panel, settled, shown, toasts, typed, without_colours_of_ours
from tests.fakes import FakeEngine


@pytest.fixture(autouse=True)
def _plain(monkeypatch: pytest.MonkeyPatch) -> None:
    without_colours_of_ours(monkeypatch)


@pytest.fixture
def engine() -> FakeEngine:
    """An engine that shows the sample document."""
    engine = FakeEngine()
    engine.show(samples.status())
    return engine


# --- what is seen -------------------------------------------------------------------------------------


async def test_the_first_screen_answers_what_is_safe_and_what_runs(engine: FakeEngine) -> None:
    async with opened(engine) as (app, _):
        assert "smith-jones       today       ● protected 1 min ago" in panel(app, "weddings")
        assert "50 %   240 MB/s" in panel(app, "jobs")
        assert "✗ critical" in shown(app)


async def test_a_new_document_changes_the_screen(engine: FakeEngine) -> None:
    async with opened(engine) as (app, pilot):
        row = msgspec.structs.replace(samples.job_row(), bytes_read=3_000_000_000)
        engine.show(samples.status(seq=2, jobs=(row,)))
        app.pull()
        await pilot.pause()
        assert "75 %" in panel(app, "jobs")


async def test_a_paused_screen_stands_still_and_says_so(engine: FakeEngine) -> None:
    async with opened(engine) as (app, pilot):
        await pilot.press("p")
        engine.show(samples.status(seq=2, jobs=()))
        app.pull()
        await pilot.pause()
        assert "50 %" in panel(app, "jobs")
        assert "PAUSED" in panel(app, "top")
        await pilot.press("p")
        app.pull()
        engine.show(samples.status(seq=3, jobs=()))
        app.pull()
        await pilot.pause()
        assert "No job has run." in panel(app, "jobs")


async def test_an_engine_that_publishes_nothing_is_said_to_be_silent(engine: FakeEngine) -> None:
    async with opened(engine) as (app, pilot):
        for _ in range(30):
            app.pull()
        await pilot.pause()
        assert "engine silent for" in panel(app, "top")


async def test_an_event_is_told_and_logged(engine: FakeEngine) -> None:
    async with opened(engine, (120, 36)) as (app, pilot):
        engine.emit("job-ended", "backup of smith-jones: done")
        app.pull()
        await pilot.pause()
        assert "backup of smith-jones: done" in panel(app, "log")
        assert toasts(app) == ["backup of smith-jones: done"]


@pytest.mark.parametrize("size", [(20, 4), (40, 10), (60, 16), (250, 80)])
async def test_every_size_is_drawn_without_a_crash(engine: FakeEngine, size: tuple[int, int]) -> None:
    async with opened(engine, size) as (app, pilot):
        await pilot.press("question_mark", "escape", "b", "escape", "colon", "escape", "q", "escape")
        assert "okafor-lind"[:8] in panel(app, "weddings")


async def test_forty_by_ten_still_tells_who_is_safe(engine: FakeEngine) -> None:
    async with opened(engine, (40, 10)) as (app, _):
        assert "okafor-lind" in shown(app)
        assert "● protected 1 min ago" in shown(app)


async def test_resizing_shows_what_there_is_room_for(engine: FakeEngine) -> None:
    async with opened(engine, (200, 50)) as (app, pilot):
        assert "This machine" in shown(app)
        await pilot.resize_terminal(40, 10)
        await pilot.resize_terminal(120, 40)
        await settled(pilot)
        assert [name in shown(app) for name in ("reading", "writing", "Streams")] == [True, True, True]
        await pilot.resize_terminal(80, 24)
        await settled(pilot)
        assert "This machine" not in shown(app)
        assert "slowest now writing" in shown(app)


async def test_a_small_screen_can_tell_all_that_needs_a_person_and_the_whole_log(engine: FakeEngine) -> None:
    async with opened(engine) as (app, pilot):
        for number in range(3):
            engine.emit("engine-started", f"event {number}, " + "with many words " * 8 + "and an end")
        app.pull()
        await pilot.press("n")
        await settled(pilot)
        told = " ".join(panel(app, "notes").split())
        status = engine.status()
        assert [alert.message for alert in status.alerts if alert.message not in told] == []
        assert told.index("event 2, with many words") < told.index("event 0, with many words")
        assert told.count("and an end") == 3
        await pilot.press("escape")
        assert len(app.screen_stack) == 1


async def test_one_panel_can_have_the_whole_screen(engine: FakeEngine) -> None:
    async with opened(engine) as (app, pilot):
        await pilot.press("2", "z")
        await pilot.pause()
        assert "Throughput" not in shown(app)
        await pilot.press("z")
        await pilot.pause()
        assert "Throughput" in shown(app)


# --- the command line -----------------------------------------------------------------------------------


async def test_a_line_runs_an_operation(engine: FakeEngine) -> None:
    async with opened(engine, (120, 36)) as (app, pilot):
        await typed(pilot, "scale 4")
        assert engine.operations == [ops.ScaleInfrastructure(target="4")]
        assert toasts(app) == ["streams: 9 → 4, set by hand"]
        assert ": scale 4" in panel(app, "log")


async def test_the_end_of_a_job_is_told_once(engine: FakeEngine) -> None:
    async with opened(engine) as (app, pilot):
        await typed(pilot, "backup smith-jones --from /card")
        app.pull()
        await settled(pilot)
        assert toasts(app) == ["job ended (smith-jones)"]


async def test_a_wrong_line_is_explained_in_place_and_nothing_runs(engine: FakeEngine) -> None:
    async with opened(engine) as (app, pilot):
        await typed(pilot, "bakup smith-jones")
        assert app.screen.query_one(CommandBar).is_open
        assert 'unknown verb "bakup"; did you mean backup?' in panel(app, "words")
        assert engine.operations == []


async def test_what_the_engine_refuses_is_one_line(engine: FakeEngine) -> None:
    engine.answer(ops.ListSnapshots, NotFound("no wedding is named smith", "weddings lists them"))
    async with opened(engine) as (app, pilot):
        await typed(pilot, "snapshots smith")
        assert toasts(app) == ["no wedding is named smith; weddings lists them"]


async def test_tab_completes_and_up_walks_the_history(engine: FakeEngine) -> None:
    async with opened(engine) as (app, pilot):
        await typed(pilot, "scale 4")
        await pilot.press("colon", *"snap", "tab")
        await pilot.pause()
        line = app.screen.query_one("#line")
        assert line.value == "snapshots "  # type: ignore[attr-defined]
        await pilot.press("escape", "colon", "up")
        assert app.screen.query_one("#line").value == "scale 4"  # type: ignore[attr-defined]


async def test_the_line_shows_how_its_verb_is_written(engine: FakeEngine) -> None:
    async with opened(engine, (120, 30)) as (app, pilot):
        await pilot.press("colon", *"backup ")
        await pilot.pause()
        assert panel(app, "words").startswith("backup WEDDING ")
        assert "smith-jones" in panel(app, "suggestions")


async def test_standard_output_is_the_screen_s_own(engine: FakeEngine) -> None:
    async with opened(engine) as (app, pilot):
        await typed(pilot, "retrieve smith-jones --to -")
        assert "standard output is the screen here" in panel(app, "words")
        assert engine.operations == []


async def test_help_for_a_verb_opens_its_page(engine: FakeEngine) -> None:
    async with opened(engine) as (app, pilot):
        await typed(pilot, "help backup")
        assert isinstance(app.screen, HelpScreen)
        assert "Queue a backup job." in panel(app, "help")


# --- results ----------------------------------------------------------------------------------------------


async def test_a_list_is_a_screen_and_rows_lead_inwards(engine: FakeEngine) -> None:
    async with opened(engine) as (app, pilot):
        await typed(pilot, "weddings")
        assert isinstance(app.screen, ResultScreen)
        assert "walker-hayes" in panel(app, "sheet")
        await pilot.press("enter")
        await settled(pilot)
        assert engine.operations[-1] == ops.ListSnapshots(wedding="walker-hayes")
        await pilot.press("escape", "escape")
        await pilot.pause()
        assert app.screen.query_one("#weddings")


async def test_a_filter_keeps_what_matches(engine: FakeEngine) -> None:
    async with opened(engine) as (app, pilot):
        await typed(pilot, "weddings")
        await pilot.press("slash", *"bath")
        await pilot.pause()
        assert panel(app, "sheet").count("\n") == 0
        assert "1 of 6 rows" in panel(app, "title")
        await pilot.press("escape")
        await pilot.pause()
        assert panel(app, "sheet").count("\n") == 5


async def test_ten_thousand_rows_open_and_scroll(engine: FakeEngine) -> None:
    entry = ops.EntryRow(path="/a", type="file", mode="0644", uid=0, gid=0, modified="2026-06-20T14:00:00Z")
    rows = tuple(msgspec.structs.replace(entry, path=f"/card/{i}") for i in range(10_000))
    engine.answer(ops.Browse, ops.EntryList(entries=rows, truncated=True))
    async with opened(engine) as (app, pilot):
        await typed(pilot, "browse smith-jones")
        await pilot.press("end")
        await pilot.pause()
        assert "/card/9999" in shown(app)


async def test_a_path_with_markup_is_shown_as_it_is(engine: FakeEngine) -> None:
    entry = ops.EntryRow(path="/[bold]a[/", type="file", mode="0644", uid=0, gid=0, modified="2026-06-20T14:00:00Z")
    engine.answer(ops.Browse, ops.EntryList(entries=(entry,)))
    async with opened(engine) as (app, pilot):
        await typed(pilot, "browse smith-jones")
        assert "/[bold]a[/" in shown(app)


async def test_an_answer_that_comes_while_somebody_types_waits_to_be_opened(engine: FakeEngine) -> None:
    async with opened(engine) as (app, pilot):
        waiting: Future[ops.Result] = Future()
        app.courier._handle = _Answering(engine, waiting)  # type: ignore[assignment]
        await typed(pilot, "verify smith-jones")
        await pilot.press("colon")
        await pilot.pause()
        report = ops.VerifyReport(
            job=samples.job_row(state="done", kind="verify"), snapshots=1, packs=1, blobs=1, files=1, bytes_checked=9
        )
        waiting.set_result(report)
        await settled(pilot)
        assert app.screen.query_one(CommandBar).is_open
        assert "verify smith-jones is ready; o opens it" in toasts(app)
        await pilot.press("escape", "o")
        await settled(pilot)
        assert isinstance(app.screen, ResultScreen)
        assert "blobs" in panel(app, "facts")


class _Answering:
    """A handle whose answer comes when the test says so."""

    def __init__(self, engine: FakeEngine, answer: Future[ops.Result]) -> None:
        self._engine = engine
        self._answer = answer

    def call(self, operation: ops.Operation) -> Future[ops.Result]:
        return self._answer

    def status(self) -> Status:
        return self._engine.status()


# --- danger and forms --------------------------------------------------------------------------------------


async def test_danger_asks_first_and_enter_is_harmless(engine: FakeEngine) -> None:
    async with opened(engine) as (app, pilot):
        await typed(pilot, "wedding archive smith-jones")
        assert isinstance(app.screen, ChoiceDialog)
        assert "wedding archive smith-jones" in shown(app)
        await pilot.press("enter")
        await settled(pilot)
        assert engine.operations == []
        await typed(pilot, "wedding archive smith-jones")
        await pilot.press("right", "enter")
        await settled(pilot)
        assert engine.operations == [ops.ArchiveWedding(name="smith-jones")]


async def test_whoever_cancels_a_job_is_told_which(engine: FakeEngine) -> None:
    async with opened(engine) as (app, pilot):
        await pilot.press("2", "x")
        await settled(pilot)
        assert isinstance(app.screen, ChoiceDialog)
        assert "backup of smith-jones, running, 50 %" in shown(app)


async def test_a_form_says_what_is_wrong_and_stays(engine: FakeEngine) -> None:
    async with opened(engine) as (app, pilot):
        await pilot.press("a", *"lee-park", "tab", *"June", "ctrl+s")
        await pilot.pause()
        assert isinstance(app.screen, FormDialog)
        assert "'June' is not a date; write it like 2026-06-20" in panel(app, "words")


async def test_keys_on_lists_act_on_what_is_marked(engine: FakeEngine) -> None:
    async with opened(engine) as (app, pilot):
        await pilot.press("s")
        await settled(pilot)
        assert engine.operations == [ops.ListSnapshots(wedding="okafor-lind")]
        await pilot.press("escape", "2", "x")
        await settled(pilot)
        assert isinstance(app.screen, ChoiceDialog)
        await pilot.press("right", "enter")
        await settled(pilot)
        assert engine.operations[1:] == [ops.CancelJob(job=samples.job_id(5))]


async def test_a_mark_nobody_set_stays_on_the_first_row_and_one_that_was_set_on_its_job(engine: FakeEngine) -> None:
    ended = samples.job_row(1, state="done")
    engine.show(samples.status(jobs=(ended,)))
    async with opened(engine) as (app, pilot):
        await pilot.press("2")
        engine.show(samples.status(seq=2, jobs=(samples.job_row(2), ended)))
        app.pull()
        jobs = app.screen.query_one("#jobs", Rows)
        assert jobs.cursor_key == samples.job_id(2)
        await pilot.press("down")
        engine.show(samples.status(seq=3, jobs=(samples.job_row(3), samples.job_row(2), ended)))
        app.pull()
        assert jobs.cursor_key == ended.id


async def test_a_failing_handle_is_told_and_the_screen_goes_on(engine: FakeEngine) -> None:
    async with opened(engine) as (app, pilot):

        def fail(_: FakeEngine) -> None:
            raise Unavailable("the engine does not answer")

        engine.at_poll(fail)
        app.pull()
        await pilot.pause()
        assert toasts(app) == ["the engine does not answer"]
        assert app.is_running


async def test_the_next_theme_is_one_key_away(engine: FakeEngine) -> None:
    async with opened(engine) as (app, pilot):
        seen = []
        for _ in range(3):
            await pilot.press("t")
            seen.append(app.theme)
        assert seen == ["wedsync-light", "wedsync-colour-blind", "wedsync-dark"]


async def test_slow_frames_make_the_screen_pull_less_often(engine: FakeEngine) -> None:
    async with opened(engine) as (app, _):
        loop = asyncio.get_running_loop()
        for _ in range(3):
            app._frame_took(loop.time() - 0.2)
        assert app._interval_s == 0.5
        for _ in range(40):
            app._frame_took(loop.time())
        assert app._interval_s == 0.25


async def test_a_toast_of_one_line_stands_over_the_newest_line_of_the_log_and_no_other_row() -> None:
    """On the smallest screen, where the log has the same words."""
    async with opened(FakeEngine(), (80, 24)) as (app, pilot):
        before = shown(app).splitlines()
        app.tell("backup of smith-jones has ended: 1,234 files, 20.1 GB in 41 s")
        await settled(pilot)
        after = shown(app).splitlines()
        (row,) = (row for row in range(24) if before[row] != after[row])
        assert "Nothing has happened" in before[row]
        assert "20.1 GB in 41 s" in after[row]

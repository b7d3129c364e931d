"""The Jobs screen and the screen of one job, as a person drives them, on a real engine whose jobs are held up."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from engine.contract import operations as ops
from engine.contract import steering
from engine.contract.status import JobRow
from engine.local import LocalEngine
from screens.dashboard import DashboardScreen
from screens.dialogs.choice import ChoiceDialog
from screens.job import JobScreen
from screens.jobs import JobsScreen
from screens.widgets.jobtable import JobTable
from tests.consoles import Driver, eventually, opened, panel, settled, shown, toasts, typed, without_colours_of_ours
from tests.engine.held import held_engine
from tests.suites.engine_handle import ANSWER_S
from wedsync_tui.app import ConsoleApp

WEDDINGS = tuple(f"{name}-{number:02}" for number in range(20) for name in ("ash", "birch"))


@pytest.fixture(scope="module")
def engine(tmp_path_factory: pytest.TempPathFactory) -> Iterator[LocalEngine]:
    """An engine that gets nowhere with its jobs."""
    with held_engine(tmp_path_factory.mktemp("jobs"), WEDDINGS, active=4) as engine:
        yield engine


@pytest.fixture(autouse=True)
def jobs(engine: LocalEngine, monkeypatch: pytest.MonkeyPatch) -> Iterator[list[JobRow]]:
    """Forty jobs, of which four are begun. None of them is left after the test."""
    without_colours_of_ours(monkeypatch)
    begun = [ask(engine, ops.StartBackup(wedding=name, sources=(str(card(engine)),))) for name in WEDDINGS]
    yield [result.job for result in begun if isinstance(result, ops.JobResult)]
    ask(engine, steering.SteerJobs(action="cancel", match="!done !cancelled"))


def card(engine: LocalEngine) -> str:
    """The folder with the pictures."""
    return f"{engine.status().storage.tiers[0].url.removeprefix('file://').rpartition('/home/')[0]}/card"


def ask(engine: LocalEngine, operation: ops.Operation) -> ops.Result:
    """The answer."""
    return engine.call(operation).result(ANSWER_S)


def states(engine: LocalEngine, match: str) -> list[str]:
    """The states of the jobs that fit."""
    page = ask(engine, ops.ListJobs(match=match))
    assert isinstance(page, ops.JobPage)
    return [job.state for job in page.jobs]


def table(app: ConsoleApp) -> JobTable:
    """The list."""
    return app.screen.query_one(JobTable)


def lines(app: ConsoleApp) -> list[str]:
    """The jobs of the page, line by line."""
    return [line for line in panel(app, "table").splitlines() if line.strip() != "…"]


async def until(app: ConsoleApp, pilot: Driver, words: str, name: str = "title") -> None:
    """Pull until a panel says it."""

    def says() -> bool:
        app.pull()
        return words in panel(app, name)

    await eventually(says)
    await settled(pilot)


async def at_the_jobs(app: ConsoleApp, pilot: Driver, narrowed: str = "!done !cancelled") -> None:
    """Open the list, narrowed to the jobs of this test."""
    app.desk.open_jobs(narrowed)
    await settled(pilot)
    await until(app, pilot, "Jobs 40 of")


async def test_the_list_opens_by_key_and_by_command_and_escape_leads_back(engine: LocalEngine) -> None:
    async with opened(engine) as (app, pilot):
        await pilot.press("J")
        await until(app, pilot, "by state, what runs first")
        assert isinstance(app.screen, JobsScreen)
        assert [line.split()[1] for line in lines(app)[:6]] == ["running"] * 4 + ["queued"] * 2
        await pilot.press("escape")
        await settled(pilot)
        assert isinstance(app.screen, DashboardScreen)
        await typed(pilot, "jobs --state queued --wedding ash-07")
        await until(app, pilot, "Jobs 1 of")
        assert "ash-07" in lines(app)[0]


async def test_words_narrow_the_list_as_they_are_typed_and_escape_shows_all(engine: LocalEngine) -> None:
    async with opened(engine) as (app, pilot):
        await at_the_jobs(app, pilot)
        await pilot.press("slash", *" birch-1")
        await until(app, pilot, "Jobs 10 of")
        await pilot.press("down")
        assert app.focused is table(app)
        assert all("birch-1" in line for line in lines(app))
        await pilot.press("slash", *"x")
        await until(app, pilot, "Jobs 0 of")
        assert "No job fits !done !cancelled birch-1x." in panel(app, "table")
        await pilot.press("escape")
        await until(app, pilot, f"Jobs {engine.status().jobs_total} ")


async def test_the_list_is_sorted_by_the_next_column_and_turned_round(engine: LocalEngine) -> None:
    async with opened(engine) as (app, pilot):
        await at_the_jobs(app, pilot)
        await pilot.press("s")
        await until(app, pilot, "by age, newest first")
        await eventually(lambda: "birch-19" in lines(app)[0])
        await pilot.press("s", "S")
        await until(app, pilot, "by wedding, Z to A")
        await eventually(lambda: "birch-19" in lines(app)[0])
        assert "wedding↓" in panel(app, "heading")


async def test_a_click_on_a_title_sorts_by_its_column(engine: LocalEngine) -> None:
    async with opened(engine) as (app, pilot):
        await at_the_jobs(app, pilot)
        at = panel(app, "heading").index("wedding")
        await pilot.click("#heading", offset=(at + 1, 0))
        await until(app, pilot, "by wedding, A to Z")
        await eventually(lambda: "ash-00" in lines(app)[0])
        await pilot.click("#heading", offset=(at + 1, 0))
        await until(app, pilot, "by wedding, Z to A")


async def test_the_mark_stays_on_its_job_and_on_its_line_while_rows_move(
    engine: LocalEngine, jobs: list[JobRow]
) -> None:
    async with opened(engine) as (app, pilot):
        await at_the_jobs(app, pilot)
        await pilot.press(*["down"] * 10)
        held, line = table(app).cursor_key, table(app).cursor_row - table(app).scroll_offset.y
        assert held == jobs[10].id
        await pilot.press("s")  # by age: it is now far down
        await until(app, pilot, "by age, newest first")
        await eventually(lambda: table(app).cursor_row == 29)
        assert (table(app).cursor_key, table(app).cursor_row - table(app).scroll_offset.y) == (held, line)
        ask(engine, ops.CancelJob(job=jobs[20].id))  # a row above is gone
        await until(app, pilot, "Jobs 39 of")
        assert (table(app).cursor_key, table(app).cursor_row - table(app).scroll_offset.y) == (held, line)


async def test_of_a_long_list_only_a_page_is_asked_for(engine: LocalEngine) -> None:
    async with opened(engine, (80, 14)) as (app, pilot):
        await pilot.press("J")
        await until(app, pilot, f"Jobs {engine.status().jobs_total} ")
        await pilot.press("end")
        await eventually(lambda: table(app).cursor_key)
        assert table(app).cursor_row == engine.status().jobs_total - 1
        page = ask(engine, ops.ListJobs(sort="state", offset=table(app).cursor_row, limit=1))
        assert isinstance(page, ops.JobPage)
        assert table(app).cursor_key == page.jobs[0].id


async def test_enter_looks_into_a_job_and_shows_what_made_it(engine: LocalEngine, jobs: list[JobRow]) -> None:
    async with opened(engine) as (app, pilot):
        await at_the_jobs(app, pilot)
        await pilot.press("down", "enter")
        await until(app, pilot, "made by", "job")
        assert isinstance(app.screen, JobScreen)
        assert ": backup birch-00 --from" in panel(app, "job")
        assert "standard, to be protected within 2m" in panel(app, "job")
        assert "○ accepted" in panel(app, "job")
        assert "▸ started" in panel(app, "job")
        await pilot.press("p")
        await until(app, pilot, "‖ paused", "job")
        assert toasts(app)[-1] == "1 paused"
        await pilot.press("escape")
        await settled(pilot)
        assert isinstance(app.screen, JobsScreen)
        assert states(engine, "birch-00 !cancelled") == ["paused"]


async def test_marked_jobs_are_cancelled_together_after_a_question_with_their_number(
    engine: LocalEngine, jobs: list[JobRow]
) -> None:
    async with opened(engine) as (app, pilot):
        await at_the_jobs(app, pilot)
        app.clear_notifications()  # a console that opens tells how the jobs before ended
        await pilot.press("space", "space", "end", "space")
        await until(app, pilot, "3 marked")
        await pilot.press("x")
        await eventually(lambda: isinstance(app.screen, ChoiceDialog))
        assert "Cancel 3 jobs?" in shown(app)
        assert "backup of birch-00, running" in shown(app)
        await pilot.press("enter")  # the harmless choice has the focus
        assert states(engine, "birch-19 !cancelled") == ["queued"]
        ask(engine, ops.CancelJob(job=jobs[0].id))
        await pilot.press("x")
        await eventually(lambda: isinstance(app.screen, ChoiceDialog))
        await pilot.press("right", "enter")
        await eventually(lambda: "2 cancelled, 1 had ended already" in toasts(app))
        await until(app, pilot, "Jobs 37 of")
        assert "marked" not in panel(app, "title")
        app.pull()
        assert [words for words in toasts(app) if "birch-19" in words or "birch-00" in words] == []


async def test_all_that_are_listed_are_marked_seen_or_not_and_moved_to_another_class(engine: LocalEngine) -> None:
    async with opened(engine) as (app, pilot):
        await at_the_jobs(app, pilot)
        await pilot.press("slash", *" birch", "enter")
        await until(app, pilot, "Jobs 20 of")
        await pilot.press("a")
        await until(app, pilot, "20 marked")
        await pilot.press("c")
        await eventually(lambda: isinstance(app.screen, ChoiceDialog))
        await pilot.press("right", "right", "enter")
        await eventually(lambda: "20 moved to next-day" in toasts(app))
        assert len(states(engine, "birch next-day !cancelled")) == 20
        ask(engine, steering.SteerJobs(action="auto", match="birch !done !cancelled"))


async def test_marks_that_the_filter_hides_are_told_before_anything_is_cancelled(engine: LocalEngine) -> None:
    async with opened(engine) as (app, pilot):
        await at_the_jobs(app, pilot)
        await pilot.press("space", "space", "slash", *" ash", "enter")
        await until(app, pilot, "Jobs 20 of")
        await pilot.press("x")
        await eventually(lambda: isinstance(app.screen, ChoiceDialog))
        assert "1 of them is not shown by the filter" in shown(app)
        await pilot.press("escape")  # the question
        await pilot.press("escape")  # the filter
        await until(app, pilot, f"Jobs {engine.status().jobs_total} ")
        assert "2 marked" in panel(app, "title")
        await pilot.press("escape")  # the marks
        await settled(pilot)
        assert "marked" not in panel(app, "title")


async def test_a_cancelled_job_is_begun_again_from_the_list(engine: LocalEngine, jobs: list[JobRow]) -> None:
    ask(engine, ops.CancelJob(job=jobs[5].id))
    async with opened(engine) as (app, pilot):
        await typed(pilot, f"jobs --match {jobs[5].id}")
        await until(app, pilot, "Jobs 1 of")
        assert "■ cancelled" in lines(app)[0]
        await pilot.press("r")
        await eventually(lambda: "1 had ended already" in toasts(app))
        await pilot.press("enter")
        await until(app, pilot, "■ cancelled", "job")
        keys = panel(app, "keys")
        assert [word in keys for word in ("Retry", "Cancel", "Pause", "Resume", "Class")] == [True] + [False] * 4
        await pilot.press("escape")
        await settled(pilot)
        await pilot.press("R")
        await eventually(lambda: "1 begun again" in toasts(app))
        assert len(states(engine, "birch-02 queued")) == 1


async def test_a_job_that_is_not_known_is_said_so(engine: LocalEngine) -> None:
    async with opened(engine) as (app, pilot):
        await typed(pilot, "job ffffffff")
        await until(app, pilot, "no job has the id 'ffffffff'")

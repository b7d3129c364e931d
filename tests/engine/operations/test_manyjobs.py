"""jobs as a list, job, retry and steer, on a real engine whose streams are held up by a limit."""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path

import pytest

from engine.base.errors import Conflict, NotFound, UsageError
from engine.contract import operations as ops
from engine.contract import steering
from engine.contract.status import JobRow
from engine.local import LocalEngine
from tests.engine.held import SPENT, held_engine
from tests.engine.homes import PASSPHRASE, home_with_repository
from tests.engine.operations.conftest import ANSWER_S, Asking, backup_of, fresh_wedding

HELD = ("ash-birch", "cole-drew", "east-ford", "gray-hill", "ivory-jade")


@pytest.fixture(scope="module")
def held(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Asking]:
    """An engine that works on two jobs at once, and that one limit keeps from getting anywhere with them."""
    folder = tmp_path_factory.mktemp("many")
    with held_engine(folder, HELD, active=2) as engine:
        yield Asking(engine, folder)


@pytest.fixture
def jobs(held: Asking) -> Iterator[dict[str, JobRow]]:
    """A job of each of the weddings, in this order: two of them begun, three that wait."""
    made = {
        name: held.ask(ops.StartBackup(wedding=name, sources=(str(held.folder / "card"),)), ops.JobResult).job
        for name in HELD
    }
    yield made
    held.ask(steering.SteerJobs(action="cancel", jobs=tuple(job.id for job in made.values())), steering.SteerResult)


def listed(asking: Asking, **asked: object) -> ops.JobPage:
    return asking.ask(ops.ListJobs(**asked), ops.JobPage)  # type: ignore[arg-type]


def names(found: ops.JobPage) -> list[str]:
    return [row.wedding for row in found.jobs]


def test_jobs_are_sorted_by_what_matters_and_turned_round(held: Asking, jobs: dict[str, JobRow]) -> None:
    assert names(listed(held, sort="wedding", match="!done !cancelled")) == sorted(HELD)
    assert names(listed(held, sort="wedding", match="!done !cancelled", reverse=True)) == sorted(HELD, reverse=True)
    assert names(listed(held, match="!done !cancelled")) == list(reversed(HELD))  # by age, the newest first
    by_state = listed(held, sort="state")
    assert [row.state for row in by_state.jobs[:6]] == ["running"] * 2 + ["queued"] * 3 + [by_state.jobs[5].state]
    assert names(by_state)[:5] == list(HELD)
    moved = steering.PrioritiseJob(job=jobs["gray-hill"].id, priority="next-day")
    held.ask(moved, ops.JobResult)
    assert names(listed(held, sort="class"))[0] == "gray-hill"


def test_what_is_not_known_is_last_whichever_way_a_list_is_sorted(held: Asking, jobs: dict[str, JobRow]) -> None:
    for sort in ("progress", "rate", "eta"):
        for reverse in (False, True):
            found = listed(held, sort=sort, reverse=reverse)
            at_work = [row.state == "running" for row in found.jobs]
            assert sorted(at_work, reverse=True) == at_work or sort != "rate"
            assert found.total == len(found.jobs) == found.known


def test_words_narrow_a_list_and_an_exclamation_mark_leaves_out(held: Asking, jobs: dict[str, JobRow]) -> None:
    assert names(listed(held, match="EAST queued")) == ["east-ford"]
    assert set(names(listed(held, match="queued !east"))) == {"gray-hill", "ivory-jade"}
    found = listed(held, match="nobody")
    assert (found.jobs, found.total) == ((), 0)
    assert found.known >= 6


def test_a_page_is_found_by_its_offset_or_around_a_job(held: Asking, jobs: dict[str, JobRow]) -> None:
    whole = listed(held, sort="state")
    page = listed(held, sort="state", offset=2, limit=2)
    assert (names(page), page.offset, page.total) == (names(whole)[2:4], 2, whole.total)
    around = listed(held, sort="state", around=jobs["gray-hill"].id, limit=3)
    assert (around.position, around.offset, names(around)) == (3, 2, names(whole)[2:5])
    gone = listed(held, sort="state", around="ffff", offset=1, limit=1)
    assert (gone.position, gone.offset) == (None, 1)
    only = listed(held, match="queued", ids=True)
    assert (len(only.ids), only.jobs) == (3, ())


def test_one_thing_is_done_with_many_jobs_and_told_at_once(held: Asking, jobs: dict[str, JobRow]) -> None:
    one = jobs["ash-birch"].id
    assert held.ask(ops.CancelJob(job=one), ops.JobResult).job.state == "cancelled"
    everyone = tuple(job.id for job in jobs.values())
    paused = held.ask(steering.SteerJobs(action="pause", jobs=everyone), steering.SteerResult)
    assert (paused.done, paused.refused) == (4, (steering.Refusal(reason="had ended already", jobs=1),))
    assert listed(held, state="paused").total == 4
    moved = held.ask(steering.SteerJobs(action="same-day", jobs=everyone[1:3]), steering.SteerResult)
    assert moved.done == 2
    assert {row.priority for row in listed(held, match="same-day paused").jobs} == {"same-day"}
    resumed = held.ask(steering.SteerJobs(action="resume", match="ivory"), steering.SteerResult)
    assert resumed.done == 1
    ended = held.ask(steering.SteerJobs(action="cancel", jobs=everyone), steering.SteerResult)
    assert (ended.done, ended.refused) == (4, (steering.Refusal(reason="had ended already", jobs=1),))
    assert {row.state for row in listed(held, match=" ".join(["!done", "!spent"])).jobs} == {"cancelled"}


def test_only_a_retrieval_goes_into_the_class_of_retrievals(held: Asking, jobs: dict[str, JobRow]) -> None:
    """It may give way to others, and is back in its own class when nobody chooses one for it."""
    backup = jobs["ash-birch"].id
    with pytest.raises(UsageError, match="is no retrieval"):
        held.ask(steering.PrioritiseJob(job=backup, priority="retrieval"), ops.JobResult)
    held.ask(ops.Configure(key="limits.retrieval", value="1KB/s"), ops.ConfigureResult)
    job = held.ask(ops.RetrieveWeddingData(wedding=SPENT, to=str(held.folder / "back"), wait=False), ops.JobResult).job
    assert job.priority == "retrieval"
    for asked, given in (("standard", "standard"), ("auto", "retrieval"), ("same-day", "same-day")):
        moved = steering.PrioritiseJob(job=job.id, priority=asked)  # type: ignore[arg-type]
        assert held.ask(moved, ops.JobResult).job.priority == given
    steered = held.ask(steering.SteerJobs(action="retrieval", jobs=(backup, job.id)), steering.SteerResult)
    assert (steered.done, steered.refused) == (1, (steering.Refusal(reason="were no retrievals", jobs=1),))
    assert {row.id for row in listed(held, match="retrieval").jobs} == {job.id}
    held.ask(ops.CancelJob(job=job.id), ops.JobResult)
    held.ask(ops.Configure(key="limits.retrieval", value=""), ops.ConfigureResult)


def test_cancelling_what_waits_and_what_works_begins_nothing(held: Asking, jobs: dict[str, JobRow]) -> None:
    everyone = tuple(job.id for job in jobs.values())
    held.ask(steering.SteerJobs(action="cancel", jobs=everyone), steering.SteerResult)
    begun = [row.wedding for row in listed(held, match="cancelled").jobs if row.id in everyone and row.started_ns]
    assert sorted(begun) == ["ash-birch", "cole-drew"]


def test_steer_wants_to_know_which_jobs_in_one_way(held: Asking) -> None:
    for wrong in (
        steering.SteerJobs(action="cancel"),
        steering.SteerJobs(action="pause", jobs=("5f",), state="queued"),
    ):
        with pytest.raises(UsageError, match="which jobs"):
            held.ask(wrong, steering.SteerResult)
    with pytest.raises(NotFound):
        held.ask(steering.SteerJobs(action="pause", jobs=("zz",)), steering.SteerResult)


def test_a_cancelled_job_is_begun_again_as_a_new_one_that_says_so(held: Asking, jobs: dict[str, JobRow]) -> None:
    before = jobs["ivory-jade"].id
    with pytest.raises(Conflict, match="does not wait for another attempt"):
        held.ask(steering.RetryJob(job=before), ops.JobResult)
    held.ask(ops.CancelJob(job=before), ops.JobResult)
    again = held.ask(steering.RetryJob(job=before), ops.JobResult).job
    assert again.id != before
    first, second = (held.ask(steering.ReadJob(job=job), steering.JobDetail) for job in (before, again.id))
    assert [turn.what for turn in first.history] == ["accepted", "cancelled"]
    assert second.history[0].words == f"again, after {before[:12]} was cancelled"
    assert second.arguments == first.arguments
    held.ask(ops.CancelJob(job=again.id), ops.JobResult)
    done = listed(held, wedding=SPENT, state="done").jobs[0].id
    with pytest.raises(Conflict, match="nothing to try again"):
        held.ask(steering.RetryJob(job=done), ops.JobResult)
    refused = held.ask(steering.SteerJobs(action="retry", jobs=(done,)), steering.SteerResult).refused
    assert refused == (steering.Refusal(reason="had ended well", jobs=1),)


def test_a_job_that_ended_tells_its_course_and_what_made_it(asking: Asking) -> None:
    wedding = fresh_wedding(asking, "tells-all")
    job = asking.ask(backup_of(wedding, asking.folder / "source"), ops.JobResult).job
    detail = asking.ask(steering.ReadJob(job=job.id[:12]), steering.JobDetail)
    assert [turn.what for turn in detail.history] == ["accepted", "started", "done"]
    assert detail.job == job
    assert (detail.operation, detail.deadline_s) == ("start_backup", 120.0)
    assert detail.units_done >= 1
    assert '"wedding":"tells-all"' in detail.arguments
    verified = asking.ask(ops.Verify(wedding=wedding), ops.VerifyReport).job
    assert asking.ask(steering.ReadJob(job=verified.id), steering.JobDetail).deadline_s is None


def test_every_warning_of_a_job_can_be_read_page_by_page_also_after_a_restart(tmp_path: Path) -> None:
    source = tmp_path / "card"
    deep = source
    source.mkdir()
    for number in range(19):  # so deep that every name below is over the 4,096 bytes of a path
        deep = deep / f"{number:0200}"
    os.makedirs(deep)
    at = os.open(deep, os.O_RDONLY)
    for number in range(45):
        os.mkdir(f"{number:0250}", dir_fd=at)
    os.close(at)
    home = home_with_repository(tmp_path / "home")
    engine = LocalEngine.start(home, PASSPHRASE, streams=1)
    asking = Asking(engine, tmp_path)
    fresh_wedding(asking, "warned")
    job = asking.ask(backup_of("warned", source), ops.JobResult).job
    assert (job.state, len(job.first_warnings)) == ("warnings", 20)
    whole = asking.ask(steering.ReadJob(job=job.id), steering.JobDetail)
    assert (whole.lines_total, whole.lines[:20]) == (job.warnings, job.first_warnings)
    engine.close(drain_s=0.0).result(ANSWER_S)
    engine = LocalEngine.start(home, PASSPHRASE, streams=1)
    asking = Asking(engine, tmp_path)
    page = asking.ask(steering.ReadJob(job=job.id, offset=40, limit=3), steering.JobDetail)
    assert (page.lines, page.offset, page.lines_total) == (whole.lines[40:43], 40, whole.lines_total)
    assert [turn.what for turn in page.history] == ["accepted", "started", "warnings"]
    engine.close(drain_s=0.0).result(ANSWER_S)

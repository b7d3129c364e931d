"""Cold packs: the plan first, then what can be read at once, then the rest as it comes; also over a restart."""

from __future__ import annotations

import datetime as dt
import filecmp
import json
import sys
import tarfile
from collections.abc import Iterator
from pathlib import Path

import pytest

from engine import local
from engine.contract import drills, placements, recovery
from engine.contract import operations as ops
from engine.contract.status import JobRow
from engine.operations import recalling
from tests import s3_servers
from tests.engine.operations.conftest import Asking, backup_of, fresh_wedding
from tests.engine.operations.tiered import packs_in, tiered_engine, until

LONG_AGO = dt.date(2020, 6, 20)
NAME = "smith-jones"
ROBOT = Path(__file__).with_name("robot.py")


@pytest.fixture(autouse=True)
def _looked_at_often(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(recalling, "POLL_S", 0.0)
    monkeypatch.setattr(local, "SAMPLE_S", 0.05)


def robot_of(folder: Path) -> str:
    """The settings of a cold tier behind a robot."""
    return f'recall = "command"\nrecall_command = {json.dumps([sys.executable, str(ROBOT), str(folder / "cold")])}\n'


def cold_and_hot(asking: Asking) -> Path:
    """A wedding with `old.jpg` in cold and `new.jpg`, backed up later, in hot; the folder of both."""
    source = asking.folder / "source"
    source.mkdir()
    (source / "old.jpg").write_bytes(b"dance" * 40_000)
    fresh_wedding(asking, NAME, LONG_AGO)
    asking.ask(backup_of(NAME, source), ops.JobResult)
    report = asking.ask(placements.Migrate(wedding=NAME, tier="cold"), placements.MigrationReport)
    assert report.packs == 1
    (source / "new.jpg").write_bytes(b"speech" * 40_000)
    asking.ask(backup_of(NAME, source), ops.JobResult)
    until(lambda: packs_in(asking, "cold", NAME) == [])  # the robot has put it on its shelf
    return source


def retrieval(asking: Asking, source: Path, **more: object) -> ops.RetrieveWeddingData:
    """Of everything, to `back/`, not waited for unless said so."""
    fields = {"wedding": NAME, "to": str(asking.folder / "back"), "strip_prefix": str(source), "wait": False} | more
    return ops.RetrieveWeddingData(**fields)  # type: ignore[arg-type]


def job_of(asking: Asking, job: str) -> JobRow:
    """A job as it stands."""
    return next(row for row in asking.ask(ops.ListJobs(), ops.JobPage).jobs if row.id == job)


@pytest.fixture
def shelved(tmp_path: Path) -> Iterator[Asking]:
    with tiered_engine(tmp_path, cold=robot_of(tmp_path)) as asking:
        yield asking


def test_the_plan_tells_what_has_to_be_recalled_and_what_it_costs(shelved: Asking) -> None:
    source = cold_and_hot(shelved)
    plan = shelved.ask(retrieval(shelved, source, dry_run=True), ops.RetrievalPlan)
    assert (plan.files, plan.packs, plan.packs_recalled, plan.eta_s) == (2, 2, 1, None)
    assert plan.cost > 0
    recall = shelved.ask(placements.Recall(wedding=NAME, dry_run=True), placements.RecallPlan)
    assert (recall.packs, recall.packs_readable) == (1, 0)


def test_what_can_be_read_comes_at_once_and_the_rest_when_it_is_there(shelved: Asking) -> None:
    source, back = cold_and_hot(shelved), shelved.folder / "back"
    job = shelved.ask(retrieval(shelved, source), ops.JobResult).job
    until((back / "new.jpg").exists)
    until(lambda: "to be recalled" in job_of(shelved, job.id).current)
    (row,) = shelved.ask(ops.ReadStatus(), ops.StatusResult).document.storage.recalls
    assert (row.wedding, row.packs_ready, row.packs_total) == (NAME, 0, 1)
    until(lambda: shelved.ask(placements.ListTiers(), placements.TierList).recalls[0].eta_ns is not None)
    assert not (back / "old.jpg").exists()
    (shelved.folder / "cold.go").touch()
    ended = shelved.ask(ops.WaitForJobs(job=job.id), ops.JobList).jobs[0]
    assert (ended.state, ended.files_done) == ("done", 2)
    assert filecmp.cmpfiles(source, back, ["old.jpg", "new.jpg"], shallow=False)[0] == ["old.jpg", "new.jpg"]
    assert shelved.ask(ops.ReadStatus(), ops.StatusResult).document.storage.recalls == ()


def test_a_retrieval_that_waits_goes_on_after_a_restart(tmp_path: Path) -> None:
    with tiered_engine(tmp_path, cold=robot_of(tmp_path)) as asking:
        source = cold_and_hot(asking)
        job = asking.ask(retrieval(asking, source, overwrite="changed"), ops.JobResult).job
        until(lambda: "to be recalled" in job_of(asking, job.id).current)
    (tmp_path / "cold.go").touch()
    with tiered_engine(tmp_path) as asking:
        until(lambda: job_of(asking, job.id).state in ("done", "warnings", "failed"))
        assert job_of(asking, job.id).state == "done"
        assert filecmp.cmp(source / "old.jpg", tmp_path / "back" / "old.jpg", shallow=False)


def test_an_archive_waits_for_what_is_next_and_is_whole_in_the_end(shelved: Asking) -> None:
    source = cold_and_hot(shelved)
    to = shelved.folder / "back.tar"
    job = shelved.ask(retrieval(shelved, source, to=str(to), format="tar"), ops.JobResult).job
    until(lambda: "to be recalled" in job_of(shelved, job.id).current)
    (shelved.folder / "cold.go").touch()
    assert shelved.ask(ops.WaitForJobs(job=job.id), ops.JobList).jobs[0].state == "done"
    with tarfile.open(to) as archive:
        assert sorted(name for name in archive.getnames() if name.endswith(".jpg")) == ["new.jpg", "old.jpg"]


def test_a_waiting_retrieval_can_be_cancelled_and_paused(shelved: Asking) -> None:
    source = cold_and_hot(shelved)
    job = shelved.ask(retrieval(shelved, source), ops.JobResult).job
    until(lambda: "to be recalled" in job_of(shelved, job.id).current)
    assert shelved.ask(ops.CancelJob(job=job.id), ops.JobResult).job.state == "cancelled"


def test_a_recall_is_a_job_that_ends_when_all_can_be_read(shelved: Asking) -> None:
    cold_and_hot(shelved)
    job = shelved.ask(placements.Recall(wedding=NAME, wait=False), placements.RecallReport).job
    until(lambda: "on their way" in job_of(shelved, job.id).current)
    (shelved.folder / "cold.go").touch()
    ended = shelved.ask(ops.WaitForJobs(job=job.id), ops.JobList).jobs[0]
    assert (ended.kind, ended.state, ended.message) == ("recall", "done", "1 pack can be read")
    assert len(packs_in(shelved, "cold", NAME)) == 1


def test_a_verification_leaves_out_what_is_archived_and_says_so_and_a_drill_asks_for_a_recall(shelved: Asking) -> None:
    cold_and_hot(shelved)
    report = shelved.ask(ops.Verify(wedding=NAME, all=True), ops.VerifyReport)
    assert (report.problems, report.job.state) == ((), "done")
    (told,) = report.warnings
    assert told == "not read: 1 archived pack and 1 file in them; recall brings them back"
    refused = shelved.ask(drills.Drill(wedding=NAME), ops.JobResult).job
    assert (refused.state, refused.code) == ("failed", "conflict")


def test_many_weddings_are_recalled_together(shelved: Asking) -> None:
    """A rebuilt house asks for all of them before the first is restored."""
    cold_and_hot(shelved)
    source = shelved.folder / "other-source"
    source.mkdir()
    (source / "old.jpg").write_bytes(b"other" * 40_000)
    fresh_wedding(shelved, "lee-kim", LONG_AGO)
    shelved.ask(backup_of("lee-kim", source), ops.JobResult)
    shelved.ask(placements.Migrate(wedding="lee-kim", tier="cold"), placements.MigrationReport)
    until(lambda: packs_in(shelved, "cold", "lee-kim") == [])
    recover = recovery.Recover(to=str(shelved.folder / "all"), wait=False)
    shelved.ask(recover, recovery.Recovery)
    recalls = shelved.ask(placements.ListTiers(), placements.TierList).recalls
    assert {row.wedding for row in recalls} == {NAME, "lee-kim"}
    (shelved.folder / "cold.go").touch()
    rows = shelved.ask(ops.WaitForJobs(), ops.JobList).jobs
    assert {row.state for row in rows} == {"done"}
    assert filecmp.cmp(source / "old.jpg", next((shelved.folder / "all" / "lee-kim").rglob("old.jpg")), shallow=False)


def test_a_move_up_recalls_first(shelved: Asking) -> None:
    cold_and_hot(shelved)
    (shelved.folder / "cold.go").touch()
    report = shelved.ask(placements.Migrate(wedding=NAME, tier="warm"), placements.MigrationReport)
    assert [job.state for job in report.jobs] == ["done"]
    assert packs_in(shelved, "warm", NAME)


@pytest.mark.usefixtures("s3_keys")
def test_an_archive_class_of_s3_is_read_back_before_and_recalled_after(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Against moto: 5 hours at the usual speed are more than the objective of 4, so the dearer one is chosen."""
    monkeypatch.setenv("AWS_DEFAULT_REGION", "us-east-1")
    with s3_servers.moto(tmp_path) as server:
        cold = f'recall = "s3-restore"\narchive_class = "GLACIER"\nurl = "{server.url("cold")}"\n'
        with tiered_engine(tmp_path / "engine", cold=cold) as asking:
            source = asking.folder / "source"
            source.mkdir()
            (source / "old.jpg").write_bytes(b"dance" * 40_000)
            fresh_wedding(asking, NAME, LONG_AGO)
            asking.ask(backup_of(NAME, source), ops.JobResult)
            asking.ask(placements.Migrate(wedding=NAME, tier="cold"), placements.MigrationReport)
            plan = asking.ask(retrieval(asking, source, dry_run=True), ops.RetrievalPlan)
            assert (plan.packs_recalled, plan.recall, plan.eta_s) == (1, "expedited", 300.0)
            assert plan.warnings == ()
            asking.ask(ops.Configure(key="tiers.cold.recall_objective", value="1m"), ops.ConfigureResult)
            (late,) = asking.ask(retrieval(asking, source, dry_run=True), ops.RetrievalPlan).warnings
            assert late == "the fastest recall takes up to 5m, longer than recall_objective asks for"
            job = asking.ask(retrieval(asking, source, wait=True), ops.JobResult).job
            assert job.state == "done"
            assert filecmp.cmp(source / "old.jpg", asking.folder / "back" / "old.jpg", shallow=False)
            plan = asking.ask(retrieval(asking, source, dry_run=True), ops.RetrievalPlan)
            assert (plan.packs_recalled, plan.cost) == (0, 0.0)


@pytest.mark.usefixtures("s3_keys")
def test_a_cold_tier_that_is_away_stops_no_backup_and_is_told(tmp_path: Path) -> None:
    (tmp_path / "source").mkdir()
    (tmp_path / "source" / "new.jpg").write_bytes(b"new")
    away = 'url = "s3://weddings/cold?endpoint=http://127.0.0.1:1&endpoint=http://127.0.0.1:2"\n'
    with tiered_engine(tmp_path / "engine", cold=away) as asking:
        fresh_wedding(asking, NAME, LONG_AGO)
        assert asking.ask(backup_of(NAME, tmp_path / "source"), ops.JobResult).job.state == "done"
        listed = asking.ask(placements.ListTiers(), placements.TierList)
        assert [row.tier for row in listed.tiers] == ["hot", "warm", "cold"]
        alerts = asking.ask(ops.ReadStatus(), ops.StatusResult).document.alerts
        assert ["cold" for row in alerts if row.id == "tier-cold"] == ["cold"]
        assert asking.ask(retrieval(asking, tmp_path / "source", wait=True), ops.JobResult).job.state == "done"

"""Schedules, sources, hooks and the alerts about them, on a real engine and on their own."""

from __future__ import annotations

import dataclasses
import datetime as dt
import json
import os
import sys
import threading
from collections.abc import Callable, Iterator
from pathlib import Path

import msgspec
import pytest

from engine.base.errors import Conflict, NotFound, NotPermitted, UsageError, WedSyncError
from engine.contract import operations as ops
from engine.contract import steering
from engine.contract.settings import ClassSettings, LimitSettings
from engine.contract.status import TierRow
from engine.jobs.job import Job
from engine.jobs.journal import Journal
from engine.local import LocalEngine
from engine.operations import coverage
from engine.operations.configuration import parse_settings
from engine.operations.hooks import environment_of, run_hook
from engine.operations.keeping import Kept
from engine.operations.rationing import deadlines_of, limits_at, tier_limits_at, weights_of
from tests.engine.homes import PASSPHRASE
from tests.engine.operations.conftest import ANSWER_S, Asking

NAME = "smith-jones"
_TICK = threading.Event()  # never set: waiting for it is a pause
TODAY = dt.datetime.now(tz=dt.UTC).date()


def eventually(condition: Callable[[], bool]) -> bool:
    """Whether `condition` holds within twenty seconds."""
    return any(condition() or _TICK.wait(0.02) for _ in range(1000))


def opened(folder: Path, config: str = "") -> Asking:
    """An engine on a home of its own, with a wedding of tomorrow."""
    (folder / "home").mkdir(mode=0o700)
    (folder / "home" / "config.toml").write_text(config)
    made = Asking(LocalEngine.start(folder / "home", PASSPHRASE, streams=2), folder)
    made.ask(ops.InitRepository(), ops.RepositoryInfo)
    made.ask(ops.AddWedding(name=NAME, date=TODAY + dt.timedelta(days=2)), ops.WeddingResult)
    return made


@pytest.fixture
def fresh(tmp_path: Path) -> Iterator[Asking]:
    made = opened(tmp_path)
    yield made
    made.engine.close(drain_s=0.0).result(ANSWER_S)


def source_of(asking: Asking) -> Path:
    source = asking.folder / "source"
    source.mkdir(exist_ok=True)
    (source / "a.jpg").write_bytes(b"a")
    return source


# --- sources ------------------------------------------------------------------------------------------


def test_a_backup_without_paths_is_of_the_weddings_own_sources(fresh: Asking) -> None:
    with pytest.raises(UsageError, match="nothing to back up"):
        fresh.ask(ops.StartBackup(wedding=NAME), ops.JobResult)
    source = source_of(fresh)
    fresh.ask(ops.EditWedding(name=NAME, sources=(str(source),)), ops.WeddingResult)
    result = fresh.ask(ops.StartBackup(wedding=NAME, wait=True), ops.JobResult)
    assert (result.job.state, result.job.files_done) == ("done", 1)
    (summary,) = fresh.ask(ops.ListWeddings(), ops.WeddingList).weddings
    assert (summary.sources, summary.watched) == ((str(source),), False)
    with pytest.raises(NotFound):
        fresh.ask(ops.EditWedding(name=NAME, sources=(str(source / "missing"),)), ops.WeddingResult)


def test_sources_outlive_the_engine(fresh: Asking) -> None:
    source = source_of(fresh)
    fresh.ask(ops.EditWedding(name=NAME, sources=(str(source),)), ops.WeddingResult)
    fresh.engine.close(drain_s=0.0).result(ANSWER_S)
    fresh.engine = LocalEngine.start(fresh.folder / "home", PASSPHRASE, streams=2)
    assert fresh.ask(ops.StartBackup(wedding=NAME, wait=True), ops.JobResult).job.state == "done"


def test_a_coming_wedding_that_nothing_protects_is_an_alert(fresh: Asking, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(coverage, "FRESH_S", 0.0)  # instead of looking each five seconds
    assert eventually(lambda: any(alert.subject == NAME for alert in fresh.engine.status().alerts))
    alert = next(alert for alert in fresh.engine.status().alerts if alert.subject == NAME)
    assert "no source, no watch and no snapshot" in alert.message


# --- schedules ----------------------------------------------------------------------------------------


def test_a_schedule_is_listed_replaced_and_removed(fresh: Asking) -> None:
    def add(when: str) -> steering.ScheduleRow:
        operation = steering.AddSchedule(
            name="nightly", when=when, timezone="Europe/London", operation="verify", arguments='{"wedding": "*"}'
        )
        (row,) = fresh.ask(operation, steering.ScheduleList).schedules
        return row

    assert add("0 3 * * *").next is not None
    assert add("every 6h").when == "every 6h"
    assert len(fresh.ask(steering.ListSchedules(), steering.ScheduleList).schedules) == 1
    fresh.ask(steering.RemoveSchedule(name="nightly"), steering.ScheduleList)
    with pytest.raises(NotFound):
        fresh.ask(steering.ListSchedules(name="nightly"), steering.ScheduleList)


@pytest.mark.parametrize(
    "changes",
    [
        {"when": "often"},
        {"timezone": "Mars/Olympus"},
        {"operation": "explode"},
        {"operation": ""},
        {"operation": "shutdown", "arguments": "{}"},
        {"arguments": "[]"},
        {"arguments": "{"},
        {"arguments": '{"wedding": 5}'},
        {"arguments": '{"wedding": "*", "sources": ["relative"]}', "operation": "start_backup"},
        {"name": ""},
    ],
)
def test_a_schedule_that_could_never_run_is_refused(fresh: Asking, changes: dict[str, str]) -> None:
    plain = steering.AddSchedule(name="x", when="every 1h", operation="verify", arguments='{"wedding": "*"}')
    with pytest.raises(UsageError):
        fresh.ask(msgspec.structs.replace(plain, **changes), steering.ScheduleList)


def test_what_was_due_while_no_engine_ran_runs_once_after_the_start(fresh: Asking) -> None:
    source = source_of(fresh)
    fresh.ask(ops.EditWedding(name=NAME, sources=(str(source),)), ops.WeddingResult)
    arguments = json.dumps({"wedding": "*"})
    fresh.ask(
        steering.AddSchedule(name="hourly", when="every 1h", operation="start_backup", arguments=arguments),
        steering.ScheduleList,
    )
    fresh.engine.close(drain_s=0.0).result(ANSWER_S)
    _put_off(fresh.folder / "home")
    fresh.engine = LocalEngine.start(fresh.folder / "home", PASSPHRASE, streams=2)

    def runs() -> tuple[steering.ScheduleRunRow, ...]:
        return fresh.ask(steering.ListSchedules(name="hourly"), steering.ScheduleList).runs

    assert eventually(lambda: len(runs()) == 1)
    _TICK.wait(1.2)
    (run,) = runs()
    assert (run.state, run.caught_up) == ("done", True)
    assert len(fresh.ask(ops.ListSnapshots(wedding=NAME), ops.SnapshotList).snapshots) == 1


def _put_off(home: Path, *, days: int = 3) -> None:
    """As if the schedules had been due so many days ago, and ever since."""
    journal = Journal(home / "journal.db")
    kept = Kept.of(journal)
    for name, state in kept.schedule_states.items():
        kept.schedule_states.put(name, msgspec.structs.replace(state, due_ns=state.due_ns - days * 86_400 * 10**9))
    journal.close()


def test_schedules_of_the_settings_are_listed_and_cannot_be_removed_here(tmp_path: Path) -> None:
    config = '[[schedules]]\nname = "daily"\nwhen = "0 3 * * *"\noperation = "verify"\narguments = { wedding = "*" }\n'
    made = opened(tmp_path, config)
    try:
        (row,) = made.ask(steering.ListSchedules(), steering.ScheduleList).schedules
        assert (row.name, row.is_configured) == ("daily", True)
        with pytest.raises(Conflict, match=r"config\.toml"):
            made.ask(steering.RemoveSchedule(name="daily"), steering.ScheduleList)
    finally:
        made.engine.close(drain_s=0.0).result(ANSWER_S)


def test_every_schedule_of_the_example_runs_and_its_result_is_kept(tmp_path: Path) -> None:
    """The whole calendar of the sample settings, all of it due at once, on a wedding that has a snapshot."""
    example = (Path(__file__).parents[3] / "fixtures" / "config.toml").read_text()
    example = example.replace("file:///srv/wedsync/", f"file://{tmp_path}/")
    made = opened(tmp_path, example)
    source = source_of(made)
    made.ask(ops.EditWedding(name=NAME, sources=(str(source),)), ops.WeddingResult)
    made.ask(ops.StartBackup(wedding=NAME, wait=True), ops.JobResult)
    made.ask(steering.ListSchedules(), steering.ScheduleList)
    made.engine.close(drain_s=0.0).result(ANSWER_S)
    _put_off(tmp_path / "home", days=400)
    made.engine = LocalEngine.start(tmp_path / "home", PASSPHRASE, streams=2)

    def states() -> dict[str, tuple[str, str]]:
        listed = made.ask(steering.ListSchedules(), steering.ScheduleList).schedules
        return {row.name: (row.last_state, row.last_message) for row in listed}

    try:
        assert eventually(lambda: all(state for state, _ in states().values()))
        assert {name: state for name, state in states().items() if state[0] != "done"} == {}
        periods = {name.partition("-")[0] for name in states()}
        assert periods >= {"hourly", "daily", "weekly", "monthly", "quarterly"}
        operations = {each.operation for each in parse_settings(example, "config.toml").schedules}
        assert operations >= {"start_backup", "verify", "drill"}
    finally:
        made.engine.close(drain_s=0.0).result(ANSWER_S)


@pytest.mark.parametrize(
    "text",
    [
        '[limits]\nstandard = "fast"',
        '[limits]\nhot = "slow"',
        '[limits]\ntimezone = "Mars/Olympus"',
        '[classes]\nsame_day_deadline = "soon"',
        '[watch]\nsettle = "0s"',
        '[[schedules]]\nname = "a"\nwhen = "never"\noperation = "verify"',
        '[[schedules]]\nname = "a"\nwhen = "every 1h"\noperation = "weddings"\n' * 2,
    ],
)
def test_settings_that_mean_nothing_are_refused(text: str) -> None:
    with pytest.raises(UsageError):
        parse_settings(text, "config.toml")


# --- classes ------------------------------------------------------------------------------------------


def test_weights_deadlines_and_limits_come_from_the_settings(fresh: Asking) -> None:
    assert weights_of(ClassSettings()) == {"same-day": 50, "retrieval": 50, "next-day": 30, "standard": 20}
    assert deadlines_of(ClassSettings()) == {"same-day": 5, "retrieval": 5, "next-day": 30, "standard": 120}
    limits = LimitSettings(standard="08:00-18:00 50MB/s", retrieval="sat 20MB/s; 7MB/s", timezone="Europe/London")
    noon = int(dt.datetime(2026, 6, 20, 7, 30, tzinfo=dt.UTC).timestamp()) * 10**9
    assert limits_at(limits, noon) == {"same-day": None, "retrieval": 7e6, "next-day": None, "standard": 50e6}
    fresh.ask(ops.Configure(key="limits.standard", value="10MB/s"), ops.ConfigureResult)
    fresh.ask(ops.Configure(key="classes.standard_deadline", value="1m"), ops.ConfigureResult)

    def standard() -> tuple[float | None, float]:
        (row,) = [row for row in fresh.engine.status().performance.classes if row.priority == "standard"]
        return row.limit_bytes_per_s, row.deadline_s

    assert eventually(lambda: standard() == (10_000_000.0, 60.0))


def test_a_limit_is_in_force_when_its_change_is_answered(fresh: Asking) -> None:
    """A job that begins in the same moment is held to it."""
    for text, limit in (("7MB/s", 7_000_000), ("", None)):
        fresh.ask(ops.Configure(key="limits.standard", value=text), ops.ConfigureResult)
        classes = fresh.ask(ops.ReadStatus(), ops.StatusResult).document.performance.classes
        assert {row.priority: row.limit_bytes_per_s for row in classes}["standard"] == limit


def test_a_limit_of_the_hot_store_holds_every_class_and_is_lifted_while_jobs_run(tmp_path: Path) -> None:
    assert tier_limits_at(LimitSettings(hot="sat 08:00-18:00 2MB/s; 9MB/s"), 0)["hot"] == 9_000_000.0
    made = opened(tmp_path, '[limits]\nhot = "1MB/s"\n')
    try:
        card = tmp_path / "card"
        card.mkdir()
        for number in range(4):
            (card / f"{number}.raw").write_bytes(os.urandom(12_000_000))
        operation = ops.StartBackup(wedding=NAME, sources=(str(card),), priority="same-day")
        job = made.ask(operation, ops.JobResult).job.id

        def tier() -> TierRow | None:
            return next(iter(made.engine.status().storage.tiers), None)

        def limit() -> float | None:
            shown = tier()
            return shown.limit_bytes_per_s if shown is not None else None

        assert eventually(lambda: (limit(), state_of(made, job, bytes_read=1)) == (1e6, "running"))  # 48 MB take 48 s
        made.ask(ops.Configure(key="limits.hot", value=""), ops.ConfigureResult)
        assert eventually(lambda: state_of(made, job) == "done")
        assert eventually(lambda: (shown := tier()) is not None and shown.moved_bytes_per_s > 0)
        assert limit() is None
    finally:
        made.engine.close(drain_s=0.0).result(ANSWER_S)


def state_of(asking: Asking, job: str, *, bytes_read: int = 0) -> str:
    rows = [row for row in asking.engine.status().jobs if row.id == job and row.bytes_read >= bytes_read]
    return rows[0].state if rows else ""


# --- hooks --------------------------------------------------------------------------------------------


def _job() -> Job:
    return Job(
        id="5f" * 16, kind="backup", wedding_id="1" * 32, wedding=NAME, priority="same-day", priority_given=False,
        queued_ns=1, queued_monotonic_s=0.0,
    )  # fmt: skip


def test_a_hook_is_told_of_the_job_and_not_of_secrets(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("WEDSYNC_PASSPHRASE", "secret")
    told = environment_of(_job(), "before")
    assert (told["WEDSYNC_JOB"], told["WEDSYNC_WEDDING"], told["WEDSYNC_HOOK"]) == ("5f" * 16, NAME, "before")
    assert "WEDSYNC_PASSPHRASE" not in told
    after = environment_of(dataclasses.replace(_job(), state="failed", message="no room"), "after")
    assert (after["WEDSYNC_STATE"], after["WEDSYNC_MESSAGE"]) == ("failed", "no room")


def test_a_hook_that_fails_hangs_or_is_not_there_says_so() -> None:
    run_hook((sys.executable, "-c", "pass"), {}, timeout_s=30)
    with pytest.raises(WedSyncError, match="ended with 3: oh no"):
        run_hook((sys.executable, "-c", "import sys; sys.stderr.write('oh no'); sys.exit(3)"), {}, timeout_s=30)
    with pytest.raises(WedSyncError, match="took over 0 s"):
        run_hook((sys.executable, "-c", "import time; time.sleep(60)"), {}, timeout_s=0.2)
    with pytest.raises(NotPermitted):
        run_hook(("/no/such/program",), {}, timeout_s=1)


def test_hooks_run_around_a_job_and_a_failing_one_ends_it(tmp_path: Path) -> None:
    told = tmp_path / "told"
    script = tmp_path / "hook"
    script.write_text(f'#!/bin/sh\necho "$1 $WEDSYNC_HOOK $WEDSYNC_STATE" >> {told}\n[ "$1" != stop ]\n')
    script.chmod(0o755)
    made = opened(tmp_path, f'[hooks]\nbefore = ["{script}", "$(id)"]\nafter = ["{script}", "end"]\n')
    try:
        source = str(source_of(made))
        job = made.ask(ops.StartBackup(wedding=NAME, sources=(source,), wait=True), ops.JobResult).job
        assert job.state == "done"
        assert eventually(lambda: told.exists() and told.read_text() == "$(id) before \nend after done\n")
        made.ask(ops.Configure(key="hooks.before", value=json.dumps([os.fspath(script), "stop"])), ops.ConfigureResult)
        job = made.ask(ops.StartBackup(wedding=NAME, sources=(source,), wait=True), ops.JobResult).job
        assert (job.state, job.message) == ("failed", "the hook hook ended with 1")
    finally:
        made.engine.close(drain_s=0.0).result(ANSWER_S)

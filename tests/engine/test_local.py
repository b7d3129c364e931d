"""The engine inside this process: how it starts, opens, and above all how it stops."""

from __future__ import annotations

import datetime as dt
import os
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from engine.base.errors import Conflict, NotPermitted, Unavailable, UsageError, WrongPassphrase
from engine.contract import operations as ops
from engine.contract.handle import EngineHandle
from engine.local import LocalEngine
from engine.operations.opening import Opening, Passphrase
from tests.engine.homes import PASSPHRASE, home_with_repository, memory_url
from tests.suites.engine_handle import ANSWER_S, EngineHandleSuite, eventually


@contextmanager
def engine_on(home: Path, passphrase: Passphrase = PASSPHRASE) -> Iterator[LocalEngine]:
    """An engine that is stopped at the end."""
    engine = LocalEngine.start(home, passphrase, streams=2)
    try:
        yield engine
    finally:
        engine.close(drain_s=0.0).result(ANSWER_S)


def furnish(engine: LocalEngine) -> None:
    engine.call(ops.AddWedding(name="smith-jones", date=dt.date(2026, 6, 20))).result(ANSWER_S)


class TestLocalEngine(EngineHandleSuite):
    """The suite of every handle."""

    @pytest.fixture
    def handle(self, tmp_path: Path) -> Iterator[EngineHandle]:
        """An engine on a store in memory."""
        with engine_on(home_with_repository(tmp_path / "home", url=memory_url())) as engine:
            furnish(engine)
            yield engine


# --- starting -----------------------------------------------------------------------------------------


def test_a_second_engine_on_a_home_is_refused_until_the_first_is_gone(tmp_path: Path) -> None:
    with engine_on(tmp_path), pytest.raises(Conflict, match="already runs on this home"):
        LocalEngine.start(tmp_path, PASSPHRASE)
    with engine_on(tmp_path):
        pass


def test_settings_with_a_mistake_are_told_and_leave_the_home_free(tmp_path: Path) -> None:
    (tmp_path / "config.toml").write_text("[engine]\nstreams = 0\n")
    with pytest.raises(UsageError, match=r"config\.toml"):
        LocalEngine.start(tmp_path, PASSPHRASE)
    (tmp_path / "config.toml").unlink()
    with engine_on(tmp_path):
        pass


def test_a_passphrase_is_asked_for_once_and_only_when_it_is_needed(tmp_path: Path) -> None:
    asked: list[str] = []

    def ask() -> str:
        asked.append(threading.current_thread().name)
        return PASSPHRASE

    with engine_on(tmp_path, ask) as engine:
        assert eventually(lambda: engine.status().status == "no-repository")
        assert asked == []
        engine.call(ops.InitRepository()).result(ANSWER_S)
        assert len(asked) == 1
    with engine_on(tmp_path, ask) as engine:
        engine.call(ops.ListWeddings()).result(ANSWER_S)
        engine.call(ops.ListWeddings()).result(ANSWER_S)
    assert len(asked) == 2
    assert threading.main_thread().name not in asked


def test_a_wrong_passphrase_is_told_by_status_alert_and_every_operation_that_needs_it(tmp_path: Path) -> None:
    with engine_on(home_with_repository(tmp_path), "wrong") as engine:
        for _ in range(2):
            with pytest.raises(WrongPassphrase):
                engine.call(ops.ListWeddings()).result(ANSWER_S)
        document = engine.status()
        assert (document.status, document.alerts[0].level) == ("failed", "critical")
        assert "opens no key slot" in document.alerts[0].message
        assert engine.call(ops.ReadStatus()).result(ANSWER_S)


def test_no_passphrase_at_all_says_how_to_give_one(tmp_path: Path) -> None:
    with engine_on(home_with_repository(tmp_path), None) as engine, pytest.raises(NotPermitted) as caught:
        engine.call(ops.ListWeddings()).result(ANSWER_S)
    assert "WEDSYNC_PASSPHRASE" in caught.value.hint


def test_how_safe_weddings_are_is_known_again_after_a_start(tmp_path: Path) -> None:
    (tmp_path / "a.txt").write_text("hello")
    with engine_on(home_with_repository(tmp_path / "home")) as engine:
        furnish(engine)
        backup = ops.StartBackup(wedding="smith-jones", sources=(str(tmp_path / "a.txt"),), wait=True)
        engine.call(backup).result(ANSWER_S)
        before = engine.call(ops.ReadStatus()).result(ANSWER_S)
    assert isinstance(before, ops.StatusResult)
    with engine_on(tmp_path / "home") as engine:
        assert eventually(lambda: bool(engine.status().weddings) and engine.status().weddings[0].snapshots == 1)
        row = engine.status().weddings[0]
    assert row.protected_since_ns == before.document.weddings[0].protected_since_ns is not None


def test_two_homes_see_each_others_weddings(tmp_path: Path) -> None:
    url = f"file://{tmp_path}/shared"
    (tmp_path / "two").mkdir()
    (tmp_path / "two" / "config.toml").write_text(f'[storage]\nhot = "{url}"\n')
    with engine_on(home_with_repository(tmp_path / "one", url=url)) as one:
        furnish(one)
        with engine_on(tmp_path / "two") as two:
            two.call(ops.AddWedding(name="lee-garcia", date=dt.date(2026, 7, 1))).result(ANSWER_S)
            found = one.call(ops.ListWeddings()).result(ANSWER_S)
    assert isinstance(found, ops.WeddingList)
    assert [row.wedding.name for row in found.weddings] == ["smith-jones", "lee-garcia"]


# --- stopping -----------------------------------------------------------------------------------------


@contextmanager
def a_job_that_runs(engine: LocalEngine, folder: Path) -> Iterator[int]:
    """A store job that reads from a FIFO; ends when the descriptor that is given is closed."""
    os.mkfifo(folder / "fifo")
    operation = ops.StoreWeddingData(wedding="smith-jones", name="speech.wav", file=str(folder / "fifo"))
    answer = engine.call(operation)
    writer = os.open(folder / "fifo", os.O_WRONLY)  # comes back when the job has opened the other end
    try:
        os.write(writer, b"music")
        yield writer
    finally:
        os.close(writer)
    result = answer.result(ANSWER_S)
    assert isinstance(result, ops.JobResult)
    _ended.append(result.job.state)


_ended: list[str] = []


def test_a_job_that_runs_is_interrupted_and_who_waits_for_it_is_told(tmp_path: Path) -> None:
    _ended.clear()
    with engine_on(home_with_repository(tmp_path / "home")) as engine:
        furnish(engine)
        with a_job_that_runs(engine, tmp_path):
            engine.close(drain_s=0.0).result(ANSWER_S)
    assert _ended == ["interrupted"]


def test_a_job_gets_its_time_to_end(tmp_path: Path) -> None:
    _ended.clear()
    with engine_on(home_with_repository(tmp_path / "home")) as engine:
        furnish(engine)
        with a_job_that_runs(engine, tmp_path):
            stopped = engine.close(drain_s=ANSWER_S)
            assert eventually(lambda: engine.status().status == "draining")
            with pytest.raises(Unavailable):
                engine.call(ops.StartBackup(wedding="smith-jones", sources=("/",))).result(ANSWER_S)
        stopped.result(ANSWER_S)
    assert _ended == ["done"]


def test_a_second_close_may_shorten_the_time(tmp_path: Path) -> None:
    _ended.clear()
    with engine_on(home_with_repository(tmp_path / "home")) as engine:
        furnish(engine)
        with a_job_that_runs(engine, tmp_path):
            engine.close(drain_s=3600.0)
            engine.close(drain_s=0.0).result(ANSWER_S)
    assert _ended == ["interrupted"]


def test_shutdown_answers_and_then_stops(tmp_path: Path) -> None:
    with engine_on(tmp_path) as engine:
        assert isinstance(engine.call(ops.Shutdown(drain="1s")).result(ANSWER_S), ops.Empty)
        assert eventually(lambda: engine.status().status == "stopped")
        with engine_on(tmp_path):
            pass


def test_a_call_in_the_engines_last_moment_is_told_that_it_has_stopped(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """When nothing new can be begun any more, though the loop still runs."""
    late: list[BaseException | None] = []
    let_go = Opening.close

    def call_now(opening: Opening) -> None:
        late.append(engine.call(ops.ListWeddings()).exception(ANSWER_S))
        let_go(opening)

    with engine_on(home_with_repository(tmp_path)) as engine:
        monkeypatch.setattr(Opening, "close", call_now)
        engine.close(drain_s=0.0).result(ANSWER_S)
    (error,) = late
    assert isinstance(error, Unavailable)


def test_nobody_can_cancel_the_end_for_the_others(tmp_path: Path) -> None:
    with engine_on(tmp_path) as engine:
        first = engine.close(drain_s=0.0)
        assert not first.cancel()
        first.result(ANSWER_S)


def test_an_engine_that_stopped_leaves_no_thread_and_no_log_handler(tmp_path: Path) -> None:
    import logging

    handlers, before = list(logging.getLogger().handlers), set(threading.enumerate())
    with engine_on(home_with_repository(tmp_path)) as engine:
        furnish(engine)
    assert logging.getLogger().handlers == handlers
    assert eventually(lambda: not [e for e in set(threading.enumerate()) - before if e.name.startswith("wedsync-")])


def test_a_repository_that_is_not_there_yet_is_no_reason_not_to_stop(tmp_path: Path) -> None:
    LocalEngine.start(tmp_path, PASSPHRASE).close(drain_s=0.0).result(ANSWER_S)
    assert not (tmp_path / "repository").exists()

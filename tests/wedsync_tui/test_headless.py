"""Running steps without a screen, against an engine in memory."""

from __future__ import annotations

import io
import json
import os
import signal
import sys
from collections.abc import Iterator
from concurrent.futures import Future
from pathlib import Path

import pytest

from engine.base.errors import Conflict, IntegrityError
from engine.contract import operations as ops
from tests import samples
from tests.fakes import FakeEngine
from wedsync_tui.headless import Headless
from wedsync_tui.mainthread import MainThread
from wedsync_tui.output import Output
from wedsync_tui.script import read_script


class Run:
    """One engine and what came of it."""

    def __init__(self, main: MainThread) -> None:
        self.engine = FakeEngine()
        self.stdout, self.stderr = io.BytesIO(), io.StringIO()
        self.headless = Headless(self.engine, Output(self.stdout, self.stderr), main, refresh_s=0.001)

    def __call__(self, text: str) -> int:
        return self.headless.run(read_script(text.encode(), "tour.wed"))

    @property
    def lines(self) -> list[dict[str, object]]:
        """The JSON lines."""
        return [json.loads(line) for line in self.stdout.getvalue().splitlines()]

    @property
    def words(self) -> str:
        """What people read."""
        return self.stderr.getvalue()

    @property
    def asked(self) -> list[str]:
        """Names of the operations, in order."""
        return [type(operation).__name__ for operation in self.engine.operations]


@pytest.fixture
def run() -> Iterator[Run]:
    with MainThread() as main:
        yield Run(main)


def test_commands_run_in_order_and_events_come_before_the_result(run: Run) -> None:
    assert run("weddings\nbackup smith-jones --from /card --wait\nsnapshots smith-jones") == 0
    assert run.asked == ["ListWeddings", "StartBackup", "ListSnapshots"]
    assert [line["type"] for line in run.lines] == ["result", "event", "event", "result", "result"]


def test_first_failure_ends_the_run_with_its_code_and_line(run: Run) -> None:
    assert run("weddings\nsnapshots nobody\nweddings") == 1
    assert run.asked == ["ListWeddings", "ListSnapshots"]
    assert run.words.splitlines()[-1] == "wedsync-tui: tour.wed:2: no wedding is named nobody; weddings lists them"


def test_warnings_let_a_run_go_on_and_end_it_with_3(run: Run) -> None:
    run.engine.answer(ops.StartBackup, ops.JobResult(job=samples.job_row(state="warnings")))
    assert run("backup smith-jones --from /card --wait\nweddings") == 3
    assert run.asked == ["StartBackup", "ListWeddings"]


def test_failed_job_ends_the_run_with_the_code_of_its_error(run: Run) -> None:
    run.engine.hold_jobs = True
    run.engine.at_poll(lambda engine: engine.finish_jobs("failed", code="integrity"))
    assert run("backup smith-jones --from /card --wait\nweddings") == 5
    assert "backup of smith-jones failed: the source cannot be read" in run.words


def test_jobs_begun_and_not_waited_for_are_waited_for_at_the_end(run: Run) -> None:
    run.engine.hold_jobs = True
    assert run("backup smith-jones --from /card\nweddings") == 0
    assert run.asked == ["StartBackup", "ListWeddings", "WaitForJobs"]
    assert "waiting for 1 job begun here" in run.words


def test_wait_for_all_leaves_nothing_to_wait_for(run: Run) -> None:
    run.engine.hold_jobs = True
    assert run("backup smith-jones --from /card\nwait") == 0
    assert run.asked == ["StartBackup", "WaitForJobs"]


def test_let_names_a_value_for_the_lines_below(run: Run) -> None:
    run.engine.hold_jobs = True
    assert run("backup smith-jones --from /card\nlet JOB = last.job.id\nwait $JOB") == 0
    assert run.engine.operations[1] == ops.WaitForJobs(job=samples.job_id(1))


def test_expectation_that_holds_lets_the_run_go_on(run: Run) -> None:
    assert run("weddings\nexpect last.weddings.count == 6 and jobs.failed == 0\nweddings") == 0
    assert [line["operation"] for line in run.lines] == ["weddings", "expect", "weddings"]


def test_expectation_that_does_not_hold_says_what_stands_there(run: Run) -> None:
    assert run("weddings\nexpect last.weddings.count == 7") == 1
    assert run.words.splitlines()[-1] == (
        "wedsync-tui: tour.wed:2: expected last.weddings.count == 7, but last.weddings.count is 6"
    )


def test_expectation_may_come_true_within_its_span(run: Run) -> None:
    run.engine.hold_jobs = True

    def third_look(engine: FakeEngine) -> None:
        if engine.polls > 3:
            engine.finish_jobs()

    run.engine.at_poll(third_look)
    assert run("backup smith-jones --from /card\nexpect last.job.state == done within 30s") == 0


def test_expectation_within_a_span_waits_for_what_is_not_there_yet(run: Run) -> None:
    run.engine.hold_jobs = True
    run.engine.at_poll(lambda engine: None)
    assert run("weddings\nexpect jobs[0].state == done within 60ms") == 1
    assert run.words.splitlines()[-1].startswith(
        "wedsync-tui: tour.wed:2: expected jobs[0].state == done within 60ms, but jobs has 0 rows"
    )


def test_question_for_help_is_a_page_on_standard_output(run: Run) -> None:
    assert run("help scale") == 0
    assert run.stdout.getvalue().startswith(b"Set how many streams work at once.")


def test_signal_closes_the_engine_and_the_result_says_how_far_it_came(run: Run) -> None:
    run.engine.hold_jobs = True
    run.engine.at_poll(lambda engine: os.kill(os.getpid(), signal.SIGTERM) if engine.polls == 2 else None)
    assert run("backup smith-jones --from /card --wait\nweddings") == 1
    assert run.engine.closed_with == 0.0
    assert run.asked == ["StartBackup"]
    assert [line["type"] for line in run.lines if line["type"] != "event"] == ["result", "error"]
    assert "backup of smith-jones was interrupted" in run.words


def test_signal_between_steps_ends_the_run(run: Run) -> None:
    def signalled(_: ops.Operation) -> ops.Result:
        os.kill(os.getpid(), signal.SIGINT)
        return ops.WeddingList(weddings=())

    run.engine.answer(ops.ListWeddings, signalled)
    assert run("weddings\nsnapshots smith-jones") == 1
    assert run.asked == ["ListWeddings"]
    assert run.words.splitlines()[-1] == "wedsync-tui: tour.wed:2: interrupted; what is checkpointed is kept"


def test_stopping_gives_jobs_the_time_that_was_said(run: Run) -> None:
    assert run.headless.stop(drain_s=12.0) == 0
    assert run.engine.closed_with == 12.0


def test_second_signal_hurries_and_the_third_ends_the_process(run: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    drains: list[float] = []
    never: Future[None] = Future()

    def close(*, drain_s: float) -> Future[None]:
        drains.append(drain_s)
        os.kill(os.getpid(), signal.SIGTERM)
        return never

    monkeypatch.setattr(run.engine, "close", close)
    monkeypatch.setattr(os, "_exit", sys.exit)
    with pytest.raises(SystemExit) as ended:
        run.headless.stop(drain_s=30.0)
    assert ended.value.code == 1
    assert drains == [30.0, 0.0, 0.0]
    assert run.words.splitlines()[-1].startswith("wedsync-tui: ended at once")


def test_service_tells_events_until_a_signal(run: Run) -> None:
    def happen(engine: FakeEngine) -> None:
        if engine.polls == 2:
            engine.emit("settings-changed", "engine.streams is 4")
        if engine.polls == 3:
            os.kill(os.getpid(), signal.SIGTERM)

    run.engine.at_poll(happen)
    assert run.headless.serve() == 0
    assert "engine.streams is 4" in run.words
    assert [line["type"] for line in run.lines] == ["event"]


def test_service_ends_when_the_engine_was_told_to_stop(run: Run) -> None:
    run.engine.show(samples.status(status="stopped"))
    assert run.headless.serve() == 0


def test_service_refuses_a_repository_it_cannot_open(run: Run) -> None:
    run.engine.answer(ops.ListWeddings, IntegrityError("the register is damaged"))
    assert run.headless.serve() == 5


def test_files_in_the_way_end_a_retrieval_where_nobody_can_be_asked(run: Run) -> None:
    run.engine.answer(ops.RetrieveWeddingData, Conflict("3 files stand in /back already", "say --overwrite"))
    assert run("retrieve smith-jones --to /back") == 1
    assert run.asked == ["RetrieveWeddingData"]


def test_person_is_asked_about_files_in_the_way(run: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    def retrieve(operation: ops.Operation) -> ops.Result:
        assert isinstance(operation, ops.RetrieveWeddingData)
        if operation.overwrite == "ask":
            raise Conflict("3 files stand in /back already")
        return ops.JobResult(job=samples.job_row(state="done", kind="retrieve"))

    class Keyboard(io.StringIO):
        def isatty(self) -> bool:
            return True

    run.engine.answer(ops.RetrieveWeddingData, retrieve)
    monkeypatch.setattr("sys.stdin", Keyboard("ch\n"))
    assert run("retrieve smith-jones --to /back") == 0
    assert run.words.startswith("3 files stand in /back already. Overwrite: never, changed, always")
    asked = run.engine.operations[-1]
    assert isinstance(asked, ops.RetrieveWeddingData)
    assert asked.overwrite == "changed"


def test_new_passphrase_typed_here_reaches_the_engine_by_a_descriptor(
    run: Run, monkeypatch: pytest.MonkeyPatch
) -> None:
    read: list[bytes] = []

    def add(operation: ops.Operation) -> ops.Result:
        assert isinstance(operation, ops.AddKey)
        read.append(Path(operation.passphrase_file).read_bytes())
        return ops.KeyList(keys=())

    run.engine.answer(ops.AddKey, add)
    monkeypatch.setattr("wedsync_tui.headless.ask_new_passphrase", lambda: "battery staple")
    assert run("key add --label Ada") == 0
    assert read == [b"battery staple\n"]
    assert "battery" not in run.words + run.stdout.getvalue().decode()


def test_new_passphrase_that_nobody_can_type_is_a_usage_error(run: Run) -> None:
    assert run("key add") == 2
    assert "give it with --passphrase-file" in run.words

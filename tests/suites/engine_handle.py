"""What every `EngineHandle` keeps, embedded or behind a socket: one suite, held against each of them.

A subclass gives `handle`: a running engine with a repository and the wedding `smith-jones`, without snapshots; and
`stop`, which ends that engine. What each operation answers stands in `engine_scenarios`.
"""

from __future__ import annotations

import datetime as dt
import os
import threading
from collections.abc import Callable
from concurrent.futures import Future
from pathlib import Path

import pytest

from engine.base.errors import NotFound, Unavailable, UsageError, WedSyncError
from engine.contract import operations as ops
from engine.contract.catalog import BY_ARGUMENTS
from engine.contract.handle import EngineHandle
from engine.contract.status import JOB_STATES_ENDED, STATUS_VERSION
from tests.suites.engine_scenarios import SCENARIOS, furnish, standard_streams

ANSWER_S = 60.0  # what no answer of a test takes


def eventually(holds: Callable[[], bool]) -> bool:
    """Whether something comes true, looked at often for as long as an answer may take."""
    turn = threading.Event()
    for _ in range(int(ANSWER_S / 0.005)):
        if holds():
            return True
        turn.wait(0.005)
    return False


class EngineHandleSuite:
    """The promises of `EngineHandle`."""

    @pytest.fixture
    def handle(self) -> EngineHandle:
        """A running engine; the subclass stops it."""
        raise NotImplementedError

    def stop(self, handle: EngineHandle) -> None:
        """End the engine, and come back when it has ended."""
        handle.close(drain_s=0.0).result(ANSWER_S)
        handle.close(drain_s=5.0).result(ANSWER_S)

    def test_every_operation_of_the_catalog_answers_as_it_should(self, handle: EngineHandle, tmp_path: Path) -> None:
        """Results of the kind its row says, and errors of the class and with the words that are ours."""
        (tmp_path / "files").mkdir()
        place = furnish(tmp_path / "files")
        asked: set[type[ops.Operation]] = set()
        for scenario in SCENARIOS:
            operation = scenario.ask(place)
            asked.add(type(operation))
            if issubclass(scenario.expect, WedSyncError):
                with pytest.raises(WedSyncError) as caught:
                    handle.call(operation).result(ANSWER_S)
                assert (scenario.name, type(caught.value)) == (scenario.name, scenario.expect)
                assert scenario.says in caught.value.line()
                continue
            with standard_streams(b"what was said", tmp_path / "standard-output"):
                answer = handle.call(operation).result(ANSWER_S)
            assert (scenario.name, type(answer)) == (scenario.name, scenario.expect)
            assert type(answer) in BY_ARGUMENTS[type(operation)].results
            assert getattr(getattr(answer, "job", None), "state", "done") == "done"
            place.answers[scenario.name] = answer
            if scenario.name == "retrieve a stream":
                assert (tmp_path / "standard-output").read_bytes() == b"what was said"
        assert asked == set(BY_ARGUMENTS), "tests/suites/engine_scenarios.py asks each operation once"
        assert os.listdir(os.fsencode(tmp_path / "files/back" / str(place.folder / "source").lstrip("/")))

    def test_status_is_there_at_once_and_moves_on(self, handle: EngineHandle) -> None:
        first = handle.status()
        assert first.version == STATUS_VERSION
        assert eventually(lambda: handle.status().seq > first.seq)

    def test_every_viewers_operation_answers_with_a_result_of_its_row(self, handle: EngineHandle) -> None:
        for operation, kind in (
            (ops.ReadStatus(), ops.StatusResult),
            (ops.ListWeddings(), ops.WeddingList),
            (ops.ListJobs(), ops.JobList),
            (ops.ListSnapshots(wedding="smith-jones"), ops.SnapshotList),
            (ops.Find(wedding="smith-jones", pattern="*"), ops.EntryList),
            (ops.ReadConfiguration(), ops.Configuration),
            (ops.WaitForJobs(), ops.JobList),
        ):
            assert isinstance(handle.call(operation).result(ANSWER_S), kind)

    def test_what_goes_wrong_comes_as_our_error_with_line_and_code(self, handle: EngineHandle) -> None:
        with pytest.raises(NotFound) as caught:
            handle.call(ops.ListSnapshots(wedding="nobody")).result(ANSWER_S)
        assert (caught.value.code, "\n" in caught.value.line()) == ("not-found", False)
        with pytest.raises(UsageError):
            handle.call(ops.StartBackup(wedding="smith-jones", sources=())).result(ANSWER_S)

    def test_a_wedding_goes_in_and_comes_back(self, handle: EngineHandle, tmp_path: Path) -> None:
        (tmp_path / "source").mkdir()
        (tmp_path / "source" / "a.txt").write_text("hello")
        backup = ops.StartBackup(wedding="smith-jones", sources=(str(tmp_path / "source"),), wait=True)
        stored = handle.call(backup).result(ANSWER_S)
        assert isinstance(stored, ops.JobResult)
        assert (stored.job.state, stored.job.snapshot) == ("done", stored.job.id)
        retrieval = ops.RetrieveWeddingData(
            wedding="smith-jones", to=str(tmp_path / "back"), strip_prefix=str(tmp_path / "source")
        )
        handle.call(retrieval).result(ANSWER_S)
        assert (tmp_path / "back" / "a.txt").read_text() == "hello"

    def test_events_are_numbered_and_given_once(self, handle: EngineHandle) -> None:
        first = handle.events(0)
        assert [event.seq for event in first.events] == list(range(1, len(first.events) + 1))
        handle.call(ops.AddWedding(name="lee-garcia", date=dt.date(2026, 7, 1))).result(ANSWER_S)
        later = handle.events(first.events[-1].seq)
        assert [event.kind for event in later.events] == ["wedding-changed"]
        assert later.events[0].wedding == "lee-garcia"

    def test_any_thread_may_call_at_once(self, handle: EngineHandle) -> None:
        answers: list[Future[ops.Result]] = []

        def ask() -> None:
            answers.extend(handle.call(ops.ListWeddings()) for _ in range(10))

        threads = [threading.Thread(target=ask) for _ in range(8)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        assert len(answers) == 80
        assert {type(answer.result(ANSWER_S)) for answer in answers} == {ops.WeddingList}

    def test_giving_up_the_wait_leaves_the_job_alone(self, handle: EngineHandle, tmp_path: Path) -> None:
        (tmp_path / "a.bin").write_bytes(b"x" * 3_000_000)
        backup = ops.StartBackup(wedding="smith-jones", sources=(str(tmp_path / "a.bin"),), wait=True)
        handle.call(backup).cancel()
        job = ops.ListJobs(wedding="smith-jones", kind="backup")

        def states() -> list[str]:
            found = handle.call(job).result(ANSWER_S)
            assert isinstance(found, ops.JobList)
            return [row.state for row in found.jobs]

        # Cancelled before it was begun there is no job; else it runs to its end.
        assert eventually(lambda: all(state in JOB_STATES_ENDED for state in states()))
        assert set(states()) <= {"done"}

    def test_when_it_is_over_status_says_so_and_calls_are_unavailable(self, handle: EngineHandle) -> None:
        waiting = handle.call(ops.WaitForJobs())
        self.stop(handle)
        assert waiting.done()
        assert handle.status().status == "stopped"
        with pytest.raises(Unavailable):
            handle.call(ops.ListWeddings()).result(ANSWER_S)
        assert "engine-stopping" in [event.kind for event in handle.events(0).events]

    def test_errors_are_of_our_tree(self, handle: EngineHandle) -> None:
        for operation in (
            ops.CancelJob(job="ffff"),
            ops.Diff(wedding="smith-jones", older="0000"),
            ops.RemoveKey(key="zz"),
            ops.Configure(key="no.such", value="1"),
        ):
            with pytest.raises(WedSyncError):
                handle.call(operation).result(ANSWER_S)

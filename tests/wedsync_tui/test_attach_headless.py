"""Leaving an engine without a screen: who goes on, who ends, and what a signal then means."""

from __future__ import annotations

import io
import os
import signal
from collections.abc import Iterator
from typing import cast

import msgspec
import pytest

from engine.contract import operations as ops
from tests import samples
from tests.fakes import FakeEngine
from wedsync_tui.background import Background
from wedsync_tui.headless import Headless
from wedsync_tui.mainthread import MainThread
from wedsync_tui.output import Output
from wedsync_tui.script import read_script


class Released:
    """A background that only remembers."""

    def __init__(self) -> None:
        self.codes: list[int] = []

    def let_go(self, code: int) -> None:
        """See `Background.let_go`."""
        self.codes.append(code)


class Run:
    """One engine, and what came of leaving it."""

    def __init__(self, main: MainThread) -> None:
        self.engine = FakeEngine()
        self.background = Released()
        self.words = io.StringIO()
        self.headless = Headless(self.engine, Output(io.BytesIO(), self.words), main, refresh_s=0.001)

    def with_others(self, count: int, *, state: str = "ready") -> None:
        """So many others are attached."""
        document = samples.status(jobs=(), status=state)
        machine = msgspec.structs.replace(document.infrastructure, attached=count)
        self.engine.show(msgspec.structs.replace(document, infrastructure=machine))

    def __call__(self, text: str) -> int:
        return self.headless.run(read_script(text.encode(), "tour.wed"))


@pytest.fixture
def run(monkeypatch: pytest.MonkeyPatch) -> Iterator[Run]:
    monkeypatch.setattr("wedsync_tui.headless.GOING_ON_LOOK_S", 0.001)
    with MainThread() as main:
        yield Run(main)


def test_an_engine_nobody_else_uses_ends_with_its_command(run: Run) -> None:
    run.headless.background = cast("Background", run.background)
    assert run.headless.leave(0, to_jobs=False, drain_s=9.0) == 0
    assert (run.engine.closed_with, run.background.codes, run.words.getvalue()) == (0.0, [], "")


def test_one_that_others_use_goes_on_in_the_background_until_it_stops(run: Run) -> None:
    run.headless.background = cast("Background", run.background)
    run.with_others(2)
    run.engine.at_poll(lambda engine: run.with_others(0, state="stopped") if engine.polls > 5 else None)
    assert run.headless.leave(3, to_jobs=False, drain_s=9.0) == 0
    assert run.background.codes == [3]
    assert (
        "goes on in the background for 2 other consoles and commands; the next start finds it" in run.words.getvalue()
    )


def test_a_signal_ends_one_that_goes_on_and_gives_jobs_their_time(run: Run) -> None:
    run.with_others(1)
    run.engine.at_poll(lambda engine: os.kill(os.getpid(), signal.SIGTERM) if engine.polls == 5 else None)
    assert run.headless.leave(0, to_jobs=True, drain_s=9.0) == 0
    assert run.engine.closed_with == 9.0
    assert "goes on here for 1 other console or command; Ctrl-C ends it" in run.words.getvalue()


def test_ctrl_c_beside_others_ends_the_command_and_leaves_the_engine(run: Run) -> None:
    run.engine.hold_jobs = True
    run.with_others(1)
    run.engine.at_poll(lambda engine: os.kill(os.getpid(), signal.SIGINT) if engine.polls == 2 else None)
    assert run("backup smith-jones --from /card --wait\nweddings") == 1
    assert run.engine.closed_with is None
    assert "interrupted; the engine goes on, and with it a job that was begun" in run.words.getvalue()


def test_sigterm_beside_others_stops_the_engine(run: Run) -> None:
    run.engine.hold_jobs = True
    run.with_others(1)
    run.engine.at_poll(lambda engine: os.kill(os.getpid(), signal.SIGTERM) if engine.polls == 2 else None)
    assert run("backup smith-jones --from /card --wait") == 1
    assert run.engine.closed_with == 0.0


def test_an_engine_elsewhere_is_let_go_and_nothing_is_said(run: Run) -> None:
    run.headless.is_attached = True
    run.headless.background = cast("Background", run.background)
    assert run.headless.leave(0, to_jobs=True, drain_s=9.0) == 0
    assert (run.engine.closed_with, run.background.codes, run.words.getvalue()) == (0.0, [], "")


def test_an_engine_elsewhere_that_we_shut_down_is_waited_for(run: Run) -> None:
    run.headless.is_attached = True
    run.engine.answer(ops.Shutdown, ops.Empty())
    assert run("shutdown") == 0
    looked = run.engine.polls
    run.engine.at_poll(
        lambda engine: run.engine.show(samples.status(status="stopped")) if engine.polls > looked + 3 else None
    )
    assert run.headless.stop(drain_s=0.0) == 0
    assert run.engine.polls > looked + 3


def test_a_hang_up_is_no_signal_to_end(run: Run) -> None:
    def hang_up(_: ops.Operation) -> ops.Result:
        os.kill(os.getpid(), signal.SIGHUP)
        return ops.WeddingList(weddings=())

    run.engine.answer(ops.ListWeddings, hang_up)
    assert run("weddings\njobs") == 0
    assert [type(one) for one in run.engine.operations] == [ops.ListWeddings, ops.ListJobs]

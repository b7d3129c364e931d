"""One place to wait: futures, signals, questions of other threads."""

from __future__ import annotations

import os
import signal
import threading
from concurrent.futures import Future

import pytest

from engine.base.errors import UsageError
from wedsync_tui.mainthread import SIGNALS, MainThread


def test_finished_future_wakes_the_wait() -> None:
    future: Future[int] = Future()
    ticks: list[int] = []

    def tick() -> None:
        ticks.append(1)
        if not future.done():
            future.set_result(3)

    with MainThread() as main:
        assert main.attend(future, tick, every_s=0.001)
    assert future.result() == 3
    assert ticks


def test_signal_ends_the_wait_and_raises_nothing() -> None:
    future: Future[int] = Future()
    with MainThread() as main:
        assert not main.attend(future, lambda: os.kill(os.getpid(), signal.SIGTERM), every_s=0.001)
        assert main.signals == 1


def test_signal_handlers_are_given_back() -> None:
    before = [signal.getsignal(number) for number in SIGNALS]
    with MainThread():
        assert [signal.getsignal(number) for number in SIGNALS] != before
    assert [signal.getsignal(number) for number in SIGNALS] == before


def test_question_of_another_thread_is_put_on_the_main_thread() -> None:
    asked_on: list[threading.Thread] = []
    answer: Future[str] = Future()

    def question() -> str:
        asked_on.append(threading.current_thread())
        return "horse"

    with MainThread() as main:
        asking = threading.Thread(target=lambda: answer.set_result(main.ask(question)))
        asking.start()
        assert main.attend(answer, lambda: None, every_s=0.01)
        asking.join()
    assert answer.result() == "horse"
    assert asked_on == [threading.main_thread()]


def test_interrupted_question_counts_as_a_signal_and_is_an_error_for_who_asked() -> None:
    answer: Future[str] = Future()

    def ask(main: MainThread) -> None:
        try:
            answer.set_result(main.ask(lambda: signal.raise_signal(signal.SIGINT) or ""))  # type: ignore[func-returns-value]
        except UsageError as error:
            answer.set_exception(error)

    with MainThread() as main:
        asking = threading.Thread(target=ask, args=(main,))
        asking.start()
        main.pause(10.0)
        asking.join()
        assert main.signals == 1
    with pytest.raises(UsageError, match="not answered"):
        answer.result()


def test_question_when_nobody_listens_is_refused() -> None:
    main = MainThread()
    with main:
        pass
    refused: list[str] = []

    def ask() -> None:
        with pytest.raises(UsageError) as caught:
            main.ask(lambda: "x")
        refused.append(caught.value.line())

    asking = threading.Thread(target=ask)
    asking.start()
    asking.join()
    assert refused == ["nobody is there to answer a question"]

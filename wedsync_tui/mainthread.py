"""The main thread when no screen is drawn: where it waits, hears signals, and answers other threads' questions.

All three come through one `SimpleQueue`, whose `put` is safe in a signal handler (an `Event` is not: its lock may
be held by the very thread the signal interrupts). Nothing is raised out of a handler, so no line of output and
no lock is ever cut in half; whoever waits here looks at `signals` when it wakes. A hang-up of the line is no signal to
end: the terminal is let go, and what was begun goes on without it.
"""

from __future__ import annotations

import queue
import signal
import threading
from collections.abc import Callable
from concurrent.futures import Future
from types import FrameType, TracebackType
from typing import Final, TypeVar

from engine.base.errors import UsageError
from wedsync_tui.background import leave_terminal

SIGNALS: Final = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)
_WAKE: Final = "wake"
Answer = TypeVar("Answer")


class MainThread:
    """Use as a context on the main thread; `ask` may be called from any thread while it is entered."""

    def __init__(self) -> None:
        self.signals = 0  # to end, how many have come; main thread only
        self.last_signal = 0  # its number
        self._queue: queue.SimpleQueue[str | tuple[Callable[[], str], Future[str]]] = queue.SimpleQueue()
        self._before: list[tuple[signal.Signals, object]] = []
        self._entered = False

    def __enter__(self) -> MainThread:
        """Take over SIGINT, SIGTERM and SIGHUP, but none that is ignored: by nohup, or since the line hung up."""
        heard = [number for number in SIGNALS if signal.getsignal(number) is not signal.SIG_IGN]
        self._before = [(number, signal.signal(number, self._handler_of(number))) for number in heard]
        self._entered = True
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None) -> None:
        """Give the signals back."""
        self._entered = False
        for number, handler in self._before:
            signal.signal(number, handler)  # type: ignore[arg-type]
        self._refuse_questions()

    def pause(self, seconds: float) -> None:
        """Wait `seconds`, or less when a signal or a finished future wakes it. Answers at most one question."""
        try:
            item = self._queue.get(timeout=seconds)
        except queue.Empty:
            return
        if isinstance(item, tuple):
            self._answer(*item)

    def attend(
        self, future: Future[Answer], tick: Callable[[], None], *, every_s: float, heard: int | None = None
    ) -> bool:
        """Wait for `future`, calling `tick` on every wake. False when a signal came first.

        A signal counts when it came after the first `heard` ones; without `heard`, after this call.
        """
        known = self.signals if heard is None else heard
        future.add_done_callback(lambda _: self._queue.put(_WAKE))
        while not future.done():
            if self.signals > known:
                return False
            self.pause(every_s)
            tick()
        return True

    def ask(self, question: Callable[[], str]) -> str:
        """Have the main thread put a question to the person at the terminal. Raises what `question` raises."""
        if threading.current_thread() is threading.main_thread():
            return self._undisturbed(question)
        answer: Future[str] = Future()
        self._queue.put((question, answer))
        if not self._entered:
            self._refuse_questions()
        return answer.result()

    # --- inside ---

    def _handler_of(self, number: signal.Signals) -> Callable[[int, FrameType | None], None]:
        return self._hung_up if number == signal.SIGHUP else self._heard

    def _heard(self, number: int, frame: FrameType | None) -> None:
        self.signals += 1
        self.last_signal = number
        self._queue.put(_WAKE)

    def _hung_up(self, number: int, frame: FrameType | None) -> None:
        leave_terminal(only_if_terminal=True)

    def _answer(self, question: Callable[[], str], answer: Future[str]) -> None:
        try:
            answer.set_result(self._undisturbed(question))
        except KeyboardInterrupt:
            self.signals += 1
            answer.set_exception(UsageError("the question was not answered"))
        except Exception as error:  # whoever asked deals with it
            answer.set_exception(error)

    def _undisturbed(self, question: Callable[[], str]) -> str:
        """While a person types, a signal ends the typing."""
        before = [(number, signal.signal(number, signal.default_int_handler)) for number in SIGNALS]
        try:
            return question()
        finally:
            for number, handler in before:
                signal.signal(number, handler)

    def _refuse_questions(self) -> None:
        while True:
            try:
                item = self._queue.get_nowait()
            except queue.Empty:
                return
            if isinstance(item, tuple):
                item[1].set_exception(UsageError("nobody is there to answer a question"))

"""`Courier`: takes operations to the engine and brings the answers back to the drawing loop.

An answer arrives on the engine's thread; it is put on the loop as a plain callback and never waited for. How many
may be under way is bounded. Drawing thread, but for `_arrived`.
"""

from __future__ import annotations

import asyncio
import contextlib
import contextvars
import logging
from collections.abc import Callable
from concurrent.futures import CancelledError, Future

from engine.base.errors import WedSyncError
from engine.contract.handle import EngineHandle
from engine.contract.operations import Operation, Result
from screens.desk import Problem

UNDER_WAY_MAX = 100

Then = Callable[[Result | Problem], None]


class Courier:
    """One per console. `start` once the loop runs."""

    def __init__(self, handle: EngineHandle) -> None:
        self._handle = handle
        self._loop: asyncio.AbstractEventLoop | None = None
        self._context = contextvars.copy_context()
        self._waiting: set[Future[Result]] = set()

    def start(self) -> None:
        """Answers come to the loop that runs now, in the context of the caller."""
        self._loop = asyncio.get_running_loop()
        self._context = contextvars.copy_context()

    @property
    def under_way(self) -> int:
        """Operations sent and not answered."""
        return len(self._waiting)

    def send(self, operation: Operation, then: Then) -> None:
        """Send; `then` gets the result or what went wrong, later, on the drawing loop."""
        if len(self._waiting) >= UNDER_WAY_MAX:
            then(Problem(f"{UNDER_WAY_MAX} commands are under way; wait for one to end"))
            return
        try:
            future = self._handle.call(operation)
        except WedSyncError as error:
            then(Problem(error.line()))
            return
        self._waiting.add(future)
        future.add_done_callback(lambda done: self._arrived(done, then))

    def _arrived(self, future: Future[Result], then: Then) -> None:
        if self._loop is None:
            return
        with contextlib.suppress(RuntimeError):  # the loop is closed: nobody looks any more
            self._loop.call_soon_threadsafe(self._hand_over, future, then, context=self._context)

    def _hand_over(self, future: Future[Result], then: Then) -> None:
        self._waiting.discard(future)
        try:
            answer: Result | Problem = future.result(timeout=0)
        except WedSyncError as error:
            answer = Problem(error.line())
        except CancelledError:
            answer = Problem("the engine ended before it answered")
        except Exception as error:  # a bug in the engine must not take the screen down with it
            logging.getLogger(__name__).exception("an operation failed in a way it should not")
            answer = Problem(f"internal error: {type(error).__name__}; the log has more")
        then(answer)

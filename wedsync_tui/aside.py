"""`Aside`: small blocking work off the drawing loop, on threads that nobody ever waits for.

Reading a folder on a mount that hangs must stop neither the screen nor its end, so the threads are daemons and not the
loop's own executor, and how many may hang at once is bounded. In: a function. Out: its result, on the loop.
"""

from __future__ import annotations

import asyncio
import contextlib
import contextvars
import threading
from collections.abc import Callable
from typing import TypeVar

HANGING_MAX = 4

T = TypeVar("T")


class Aside:
    """Used on one loop."""

    def __init__(self) -> None:
        self._running = 0

    def run(self, work: Callable[[], T], then: Callable[[T], None]) -> bool:
        """Do `work` on a thread; `then` gets its result on the loop, in this context. False when too many hang.

        `work` raises OSError at most, and then nothing comes.
        """
        if self._running >= HANGING_MAX:
            return False
        self._running += 1
        loop, context = asyncio.get_running_loop(), contextvars.copy_context()

        def carry_out() -> None:
            with contextlib.suppress(RuntimeError):  # the loop is closed: nobody looks any more
                try:
                    result = work()
                except OSError:
                    loop.call_soon_threadsafe(self._ended, context=context)
                    return
                loop.call_soon_threadsafe(self._ended, lambda: then(result), context=context)

        threading.Thread(target=carry_out, name="wedsync-aside", daemon=True).start()
        return True

    def _ended(self, then: Callable[[], None] | None = None) -> None:
        self._running -= 1
        if then is not None:
            then()

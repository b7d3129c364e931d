"""An asyncio loop that asks the kernel less often while it has something to do.

asyncio looks for ready sockets before each round, also when callbacks wait: a system call, for which the interpreter's
lock is given away and has to be won back from threads that compute. With streams at work that costs the loop more than
its callbacks do. Here it looks every eighth time, or when 2 ms have passed; a loop that has nothing to do waits in the
kernel as ever.
"""

from __future__ import annotations

import asyncio
import selectors
from collections.abc import Callable

ROUNDS_BETWEEN_LOOKS = 8
LOOKED_WITHIN_S = 0.002


class PatientSelector(selectors.DefaultSelector):
    """A selector that answers "nothing" without a look while it was not told to wait, for a few rounds."""

    def __init__(self, now_s: Callable[[], float]) -> None:
        """`now_s` gives monotonic seconds."""
        super().__init__()
        self._now_s = now_s
        self._looked_s = now_s()
        self._passed_over = 0

    def select(self, timeout: float | None = None) -> list[tuple[selectors.SelectorKey, int]]:
        """See `selectors.BaseSelector.select`."""
        may_wait = timeout is None or timeout > 0
        is_due = may_wait or self._passed_over == ROUNDS_BETWEEN_LOOKS - 1
        if not is_due and self._now_s() - self._looked_s < LOOKED_WITHIN_S:
            self._passed_over += 1
            return []
        found = super().select(timeout)
        self._passed_over, self._looked_s = 0, self._now_s()
        return found


def make_loop(now_s: Callable[[], float]) -> asyncio.AbstractEventLoop:
    """A new event loop with such a selector; `now_s` gives monotonic seconds."""
    return asyncio.SelectorEventLoop(PatientSelector(now_s))

"""An asyncio loop that asks the kernel less often while it has something to do.

asyncio looks for ready sockets before each round, also when callbacks wait: a system call, for which the interpreter's
lock is given away and has to be won back from threads that compute. With streams at work that costs the loop more than
its callbacks do. Here it looks every eighth time; a loop that has nothing to do waits in the kernel as ever.
"""

from __future__ import annotations

import asyncio
import selectors

ROUNDS_BETWEEN_LOOKS = 8


class PatientSelector(selectors.DefaultSelector):
    """A selector that answers "nothing" without a look while it was not told to wait, but for every eighth time."""

    _passed_over = 0

    def select(self, timeout: float | None = None) -> list[tuple[selectors.SelectorKey, int]]:
        """See `selectors.BaseSelector.select`."""
        if timeout is not None and timeout <= 0 and self._passed_over < ROUNDS_BETWEEN_LOOKS - 1:
            self._passed_over += 1
            return []
        self._passed_over = 0
        return super().select(timeout)


def make_loop() -> asyncio.AbstractEventLoop:
    """A new event loop with such a selector."""
    return asyncio.SelectorEventLoop(PatientSelector())

"""A caller's own standard input and output, borrowed by an operation that reads or writes them.

A caller in this process has the process's own; one behind the socket sends its descriptors along. A job takes a
duplicate for itself, so it goes on when the caller has gone. Any thread; one holder of a descriptor at a time.
"""

from __future__ import annotations

import contextlib
import os

from engine.base.errors import NotFound

_TAKEN = -1


class Descriptor:
    """A file descriptor that is closed by its holder, or at the latest with the last who holds this."""

    def __init__(self, fd: int) -> None:
        self._fd = fd

    def take(self) -> int:
        """The descriptor itself: whoever takes it closes it. Raises NotFound when it was taken before."""
        if self._fd == _TAKEN:
            raise NotFound("the caller's stream was used up already", "start again")
        fd, self._fd = self._fd, _TAKEN
        return fd

    def fileno(self) -> int:
        """The descriptor, which stays with this."""
        return self._fd

    def close(self) -> None:
        """Close it, if nobody took it. May be called again."""
        if self._fd != _TAKEN:
            with contextlib.suppress(OSError):
                os.close(self.take())

    def __del__(self) -> None:
        """A job that ended before it was opened never took it."""
        self.close()


class CallerStreams:
    """Standard input and output of one caller. `lent` gives them, `close` takes them back after the call."""

    def __init__(self, *descriptors: Descriptor) -> None:
        """Input and output that came with the call; without them it has none."""
        self._lent = descriptors

    @classmethod
    def of_process(cls) -> CallerStreams:
        """Those of this process, as they are now: a hang-up may point 0 and 1 elsewhere before a job begins."""
        with contextlib.suppress(OSError):
            return cls(Descriptor(os.dup(0)), Descriptor(os.dup(1)))
        return cls()

    def input(self) -> Descriptor:
        """A duplicate of standard input. Raises NotFound where the caller has none."""
        return self._duplicate(0, "input")

    def output(self) -> Descriptor:
        """A duplicate of standard output. Raises NotFound where the caller has none."""
        return self._duplicate(1, "output")

    def close(self) -> None:
        """Let go of what came with the call. Duplicates stay with the jobs that have them."""
        for descriptor in self._lent:
            descriptor.close()
        self._lent = ()

    def _duplicate(self, position: int, name: str) -> Descriptor:
        if position >= len(self._lent):
            raise NotFound(f"there is no standard {name}", "name a file instead of -")
        return Descriptor(os.dup(self._lent[position].fileno()))

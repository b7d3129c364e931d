"""The terminal's own dangers: a line that hangs up, a signal to end, a job-control stop.

`guarded` sets signal handlers for the life of the screen and puts the old ones back. `SteadyDriver` is Textual's
driver made to survive a terminal that is gone: writing to it is no error, reading from it ends quietly. Handlers
do nothing but point descriptors 0–2 at /dev/null and call `leave` on the drawing loop. Main thread.
"""

from __future__ import annotations

import contextlib
import os
import signal
import sys
from collections.abc import Callable, Iterator
from types import FrameType
from typing import IO, TYPE_CHECKING, Any

from textual.drivers.linux_driver import LinuxDriver

if TYPE_CHECKING:
    from textual.app import App


class _SteadyFile:
    """A terminal to write to that may vanish: what can no longer be written is dropped."""

    def __init__(self, file: IO[str]) -> None:
        self._file = file

    def write(self, text: str) -> int:
        """Write, or drop."""
        try:
            return self._file.write(text)
        except (OSError, ValueError):
            return len(text)

    def flush(self) -> None:
        """Flush, or drop."""
        with contextlib.suppress(OSError, ValueError):
            self._file.flush()

    def fileno(self) -> int:
        """Of the file behind it."""
        return self._file.fileno()

    def isatty(self) -> bool:
        """Of the file behind it."""
        return self._file.isatty()


class SteadyDriver(LinuxDriver):
    """Textual's driver without its ways to die or to stop the engine with the screen."""

    def __init__(self, app: App[Any], *, debug: bool = False, mouse: bool = True, size: tuple[int, int] | None = None):
        super().__init__(app, debug=debug, mouse=mouse, size=size)
        # Textual draws on standard error, which people redirect. And a writer thread that died of EIO would leave
        # the drawing loop waiting for it for ever.
        terminal = next((file for file in (sys.__stderr__, sys.__stdout__) if file is not None and file.isatty()), None)
        if terminal is not None:
            self._file = _SteadyFile(terminal)  # type: ignore[assignment]
        # Stopping the process would stop the engine's threads, too. And a hang-up sends SIGCONT, on which Textual
        # would start a second input thread.
        signal.signal(signal.SIGTSTP, lambda number, frame: None)
        signal.signal(signal.SIGCONT, lambda number, frame: None)

    def run_input_thread(self) -> None:
        """Read keys until the end, or until the terminal is gone."""
        with contextlib.suppress(OSError):
            super().run_input_thread()


def is_lost() -> bool:
    """Whether the terminal that keys come from is gone."""
    try:
        return not os.isatty(sys.__stdin__.fileno()) if sys.__stdin__ is not None else True
    except ValueError:
        return True


def let_go() -> None:
    """Point standard input, output and error at /dev/null, so that nothing waits for a terminal that is gone."""
    nowhere = os.open(os.devnull, os.O_RDWR | os.O_CLOEXEC)
    for descriptor in (0, 1, 2):
        os.dup2(nowhere, descriptor)
    os.close(nowhere)


@contextlib.contextmanager
def guarded(*, hung_up: Callable[[], None], ended: Callable[[], None]) -> Iterator[None]:
    """While inside: SIGHUP lets the terminal go and calls `hung_up`; SIGTERM and SIGINT call `ended`.

    Old handlers come back at the end, but a terminal that is gone leaves SIGHUP ignored.
    """

    lost = False

    def on_hangup(number: int, frame: FrameType | None) -> None:
        nonlocal lost
        lost = True
        let_go()
        hung_up()

    def on_end(number: int, frame: FrameType | None) -> None:
        ended()

    kept = (signal.SIGHUP, signal.SIGTERM, signal.SIGINT, signal.SIGTSTP, signal.SIGCONT, signal.SIGWINCH)
    before = [(number, signal.getsignal(number)) for number in kept]
    signal.signal(signal.SIGHUP, on_hangup)
    signal.signal(signal.SIGTERM, on_end)
    signal.signal(signal.SIGINT, on_end)
    try:
        yield
    finally:
        for number, handler in before:
            signal.signal(number, handler)
        if lost or is_lost():  # a shell that ends says it once more: nobody is there whom it could concern
            signal.signal(signal.SIGHUP, signal.SIG_IGN)

"""Going on after whoever started the program has been let go: how an engine outlives its console's terminal.

A shell waits for the process it started, and threads do not survive a fork. So a program that is going to carry an
engine for a person at a terminal divides first, while it has one thread: the parent only waits, hands on signals, and
ends as its child ends. When the child wants to go on alone, it leaves the terminal and its session, and has the parent
end with the exit code it names. Whoever kills the parent kills both. Main thread.
"""

from __future__ import annotations

import contextlib
import ctypes
import os
import signal
import sys
from typing import Final, NoReturn

_HANDED_ON: Final = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)
_WATCHED: Final = (*_HANDED_ON, signal.SIGCHLD, signal.SIGUSR1)
_PR_SET_PDEATHSIG: Final = 1
_LET_GO: Final = signal.SIGUSR1  # child to parent: read the exit code and end


class Background:
    """The child's side. `let_go` may be called once; nothing else of the process changes."""

    def __init__(self, parent: int, pipe: int) -> None:
        self._parent = parent
        self._pipe = pipe

    def let_go(self, code: int) -> None:
        """Leave terminal, session and folder, and have whoever waits see the program end with `code`."""
        if self._pipe < 0:
            return
        leave_terminal(only_if_terminal=False)
        with contextlib.suppress(OSError):
            os.setsid()
        os.chdir("/")
        _die_with_parent(0)
        if os.getppid() == self._parent:
            os.write(self._pipe, bytes([code]))
            os.kill(self._parent, _LET_GO)
        os.close(self._pipe)
        self._pipe = -1


def is_at_terminal() -> bool:
    """Whether a person waits at a terminal for this program to end."""
    return any(_is_terminal(descriptor) for descriptor in (0, 1, 2))


def leave_terminal(*, only_if_terminal: bool) -> None:
    """Point standard input, output and error at nothing; or only those of them that are a terminal."""
    for stream in (sys.stdout, sys.stderr):
        with contextlib.suppress(OSError, ValueError):
            stream.flush()
    nowhere = os.open(os.devnull, os.O_RDWR | os.O_CLOEXEC)
    for descriptor in (0, 1, 2):
        if not only_if_terminal or _is_terminal(descriptor):
            os.dup2(nowhere, descriptor)
    os.close(nowhere)


def divide() -> Background:
    """Divide into a parent that waits and a child that works. Comes back in the child only; before any thread runs."""
    sys.stdout.flush()
    sys.stderr.flush()
    reading, writing = os.pipe()
    parent = os.getpid()
    before = signal.pthread_sigmask(signal.SIG_BLOCK, _WATCHED)
    child = os.fork()
    if child:
        os.close(writing)
        _wait_for(child, reading)
    os.close(reading)
    _die_with_parent(signal.SIGKILL)
    if os.getppid() != parent:
        os._exit(1)
    signal.pthread_sigmask(signal.SIG_SETMASK, before)
    return Background(parent, writing)


# --- the parent ---------------------------------------------------------------------------------------


def _wait_for(child: int, pipe: int) -> NoReturn:
    """Hand signals on, and end as the child ends, or as it asks."""
    while True:
        heard = signal.sigwaitinfo(_WATCHED)
        if heard.si_signo == signal.SIGCHLD:
            ended, status = os.waitpid(child, os.WNOHANG)
            if ended:
                _end_as(os.waitstatus_to_exitcode(status))
        elif heard.si_signo == _LET_GO and heard.si_pid == child:
            os._exit(os.read(pipe, 1)[0])
        elif heard.si_signo in _HANDED_ON and heard.si_pid:
            # What the terminal itself sends comes from no process, and the child gets it as well.
            os.kill(child, heard.si_signo)


def _end_as(code: int) -> NoReturn:
    if code < 0:
        with contextlib.suppress(OSError):  # SIGKILL has no other way to act, and none can be set
            signal.signal(-code, signal.SIG_DFL)
        signal.pthread_sigmask(signal.SIG_UNBLOCK, (-code,))
        os.kill(os.getpid(), -code)
    os._exit(code if code >= 0 else 128 - code)


# --- the system ---------------------------------------------------------------------------------------


def _die_with_parent(number: int) -> None:
    """Have the kernel send signal `number` to this process when its parent ends; 0 for none."""
    ctypes.CDLL(None).prctl(_PR_SET_PDEATHSIG, number, 0, 0, 0)


def _is_terminal(descriptor: int) -> bool:
    try:
        return os.isatty(descriptor)
    except OSError:
        return False

"""A real pseudo-terminal: hang-up, end, stall. The engine behind it is the one in memory."""

from __future__ import annotations

import os
import pty
import select
import signal
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

ROOT = Path(__file__).parents[2]

PROGRAM = """
import os, signal, sys
from tests import samples
from tests.fakes import FakeEngine
from engine.contract.settings import ConsoleSettings
from wedsync_tui.app import run_console

engine = FakeEngine()
engine.show(samples.status())
outcome = run_console(engine, settings=ConsoleSettings())
if outcome.value == "detached":
    os.kill(os.getpid(), signal.SIGHUP)
with open(sys.argv[1], "w") as report:
    report.write(f"{outcome.value} {engine.closed_with}")
"""


class Terminal:
    """A console on a pseudo-terminal of its own."""

    def __init__(self, process: subprocess.Popen[bytes], master: int) -> None:
        self.process = process
        self.master = master
        self.seen = b""

    def read_until(self, wanted: bytes) -> None:
        """Read what is drawn until `wanted` has come."""
        while wanted not in self.seen:
            ready, _, _ = select.select([self.master], [], [], 20)
            assert ready, self.seen[-2000:]
            try:
                self.seen += os.read(self.master, 65_536)
            except OSError:
                raise AssertionError(self.seen[-2000:]) from None

    def rest(self) -> bytes:
        """What was drawn after that, until the end."""
        data = b""
        while select.select([self.master], [], [], 0.2)[0]:
            try:
                data += os.read(self.master, 65_536)
            except OSError:
                break
        return data


@contextmanager
def running(report: Path) -> Iterator[Terminal]:
    master, slave = pty.openpty()
    environment = {**os.environ, "TERM": "xterm-256color", "LANG": "C.UTF-8", "COLUMNS": "80", "LINES": "24"}
    command = [sys.executable, "-c", PROGRAM, str(report)]
    process = subprocess.Popen(
        command, cwd=ROOT, env=environment, stdin=slave, stdout=slave, stderr=slave, start_new_session=True
    )
    os.close(slave)
    terminal = Terminal(process, master)
    try:
        terminal.read_until(b"Weddings")
        terminal.read_until(b"protected")
        yield terminal
    finally:
        if process.poll() is None:
            process.kill()
        process.wait()
        if terminal.master >= 0:
            os.close(terminal.master)


def test_a_hang_up_detaches_the_screen_and_the_program_goes_on(tmp_path: Path) -> None:
    report = tmp_path / "report"
    with running(report) as terminal:
        os.close(terminal.master)
        terminal.master = -1
        terminal.process.send_signal(signal.SIGHUP)
        terminal.process.send_signal(signal.SIGCONT)
        assert terminal.process.wait(timeout=20) == 0
    assert report.read_text() == "detached None"


def test_a_terminal_that_vanishes_without_a_word_detaches_too(tmp_path: Path) -> None:
    report = tmp_path / "report"
    with running(report) as terminal:
        os.close(terminal.master)
        terminal.master = -1
        assert terminal.process.wait(timeout=20) == 0
    assert report.read_text() == "detached None"


def test_sigterm_gives_the_terminal_back_first(tmp_path: Path) -> None:
    report = tmp_path / "report"
    with running(report) as terminal:
        terminal.process.send_signal(signal.SIGTSTP)
        terminal.process.send_signal(signal.SIGTERM)
        terminal.read_until(b"\x1b[?1049l")
        tail = terminal.seen[terminal.seen.index(b"\x1b[?1049l") - 400 :] + terminal.rest()
        assert terminal.process.wait(timeout=20) == 0
        assert b"\x1b[?1000l" in tail  # no mouse reports any more
        assert b"\x1b[?25h" in tail  # and a cursor
    assert report.read_text() == "terminated None"

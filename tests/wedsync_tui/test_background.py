"""A program in two halves: one that waits and one that works, as a shell and other processes see them."""

from __future__ import annotations

import signal
import subprocess
import sys
from pathlib import Path

import pytest

from tests.wedsync_tui.processes import ROOT, WAIT_S, eventually, until_gone

_WAITS = "print(os.getpid(), os.getppid(), flush=True); signal.pause()"


def divided(body: str, *argv: str) -> subprocess.Popen[str]:
    """A process that divides, whose child then does `body`."""
    program = (
        "import os, signal, sys\n"
        "from wedsync_tui import background\n"
        "here = background.divide()\n"
        f"{body}\n"
    )  # fmt: skip
    return subprocess.Popen([sys.executable, "-c", program, *argv], cwd=ROOT, stdin=-1, stdout=-1, stderr=-1, text=True)


def ended(process: subprocess.Popen[str]) -> tuple[int, str]:
    """How it ended, and what it said."""
    out, err = process.communicate(timeout=WAIT_S)
    assert err == ""
    return process.returncode, out


@pytest.mark.parametrize("code", [0, 1, 5])
def test_the_program_ends_as_its_working_half_ends(code: int) -> None:
    assert ended(divided(f"print('done'); sys.exit({code})")) == (code, "done\n")


def test_a_death_by_signal_is_seen_as_one() -> None:
    assert ended(divided("os.kill(os.getpid(), signal.SIGKILL)")) == (-signal.SIGKILL, "")
    assert ended(divided("signal.signal(15, signal.SIG_DFL); signal.raise_signal(15)")) == (-signal.SIGTERM, "")


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM, signal.SIGHUP])
def test_signals_to_the_waiting_half_reach_the_working_one(number: signal.Signals) -> None:
    body = f"signal.signal({number.value}, lambda *_: sys.exit(3)); {_WAITS}"
    process = divided(body)
    assert process.stdout is not None
    working, waiting = map(int, process.stdout.readline().split())
    assert (waiting, working != waiting) == (process.pid, True)
    process.send_signal(number)
    assert ended(process)[0] == 3


def test_killing_the_waiting_half_kills_the_working_one() -> None:
    process = divided(_WAITS)
    assert process.stdout is not None
    working, _ = map(int, process.stdout.readline().split())
    process.kill()
    process.communicate(timeout=WAIT_S)
    until_gone(working)


def test_whoever_waits_is_let_go_and_the_rest_goes_on_by_itself(tmp_path: Path) -> None:
    body = (
        "print(os.getpid(), flush=True)\n"
        "here.let_go(3)\n"
        "here.let_go(4)\n"
        "print('nobody hears this')\n"
        "facts = os.getcwd(), os.getsid(0) == os.getpid(), [os.readlink(f'/proc/self/fd/{n}') for n in (0, 1, 2)]\n"
        "with open(sys.argv[1] + '/told', 'w') as told: told.write(repr(facts))\n"
        "os.rename(sys.argv[1] + '/told', sys.argv[1] + '/ready')\n"
    )
    process = divided(body, str(tmp_path))
    code, out = ended(process)
    assert code == 3
    assert eventually((tmp_path / "ready").exists)
    assert (tmp_path / "ready").read_text() == repr(("/", True, ["/dev/null"] * 3))
    until_gone(int(out))


def test_a_terminal_is_left_and_a_file_is_kept(tmp_path: Path) -> None:
    program = (
        "import os, pty\n"
        "from wedsync_tui.background import is_at_terminal, leave_terminal\n"
        "master, slave = pty.openpty()\n"
        "os.dup2(slave, 0)\n"
        "assert is_at_terminal()\n"
        "leave_terminal(only_if_terminal=True)\n"
        "assert not is_at_terminal()\n"
        "print(os.readlink('/proc/self/fd/0'))\n"
    )
    with (tmp_path / "out").open("w") as out:
        subprocess.run([sys.executable, "-c", program], cwd=ROOT, stdout=out, stderr=out, check=True, timeout=WAIT_S)
    assert (tmp_path / "out").read_text() == "/dev/null\n"

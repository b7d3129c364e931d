"""The Jobs screen beside very many jobs at work: from a key to what it changes on the screen, in a pseudo-terminal.

In: a folder, how many jobs, how many keys of each kind. A program of its own holds the engine, its bulk jobs and the
console; what is made in the folder stays for the caller to remove.
"""

from __future__ import annotations

import os
import sys
from pathlib import Path
from typing import NamedTuple

from benchmarks.console import READY, fork
from benchmarks.rig import Rig
from engine.contract.settings import ConsoleSettings

STARTS_WITHIN_S = 600.0  # the engine, its weddings and its jobs, before the first screen
WEDDINGS = 20


class Keys(NamedTuple):
    """Seconds to the screen: once for the screen itself, then for each key on it."""

    opened_s: float
    keys_s: list[float]


def keys(folder: Path, jobs: int, rounds: int) -> Keys:
    """Open the screen, then again and again the filter and the other way of sorting."""
    command = [sys.executable, "-m", "benchmarks.jobs_screen", str(folder), str(jobs)]
    terminal = fork(lambda: os.execv(sys.executable, command))
    try:
        terminal.until(READY, STARTS_WITHIN_S)
        terminal.drain(2.0)
        terminal.key("J")
        opened_s = terminal.until("what runs first")
        terminal.drain(1.0)
        spent: list[float] = []
        for number in range(rounds):
            terminal.key("/")
            spent.append(terminal.until("words that must stand there"))
            terminal.key("\x1b")
            terminal.drain(0.3)
            terminal.key("S")
            spent.append(terminal.until("what runs first" if number % 2 else "what ended first"))
            terminal.drain(0.1)
        return Keys(opened_s, spent)
    finally:
        terminal.end()


def main(folder: Path, jobs: int) -> None:
    """The program on the terminal."""
    from wedsync_tui.app import run_console

    rig = Rig(folder / "house", weddings=WEDDINGS)
    rig.begin_bulk(jobs)
    run_console(rig.engine, settings=ConsoleSettings())
    os._exit(0)  # the bulk jobs are nobody's any more


if __name__ == "__main__":
    main(Path(sys.argv[1]), int(sys.argv[2]))

"""The program as real processes: a home whose backups take a while, a service, commands beside it."""

from __future__ import annotations

import contextlib
import datetime as dt
import json
import os
import signal
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from engine.contract import operations as ops
from engine.contract.status import JobRow
from engine.local import LocalEngine
from engine.remote import RemoteEngine
from tests.engine.homes import PASSPHRASE, home_with_repository

ROOT = Path(__file__).parents[2]
PROGRAM = [sys.executable, "-m", "wedsync_tui"]
WAIT_S = 60.0  # what nothing in these tests takes
WEDDINGS = ("smith-jones", "lee-kim", "ng-roy", "day-fox")
SOURCE_BYTES = 48_000_000  # three units
LIMIT = "24MB/s"  # so that a backup takes one second and a half

_begun: list[subprocess.Popen[str]] = []
_LIMITS = "".join(f'{name} = "{LIMIT}"\n' for name in ("same_day", "retrieval", "next_day", "standard"))


def furnished(folder: Path) -> Path:
    """A home with a repository that is cheap to open and two weddings, and `source/` beside it, slow to back up."""
    home = home_with_repository(folder / "home")
    engine = LocalEngine.start(home, PASSPHRASE, streams=1)
    try:
        for name in WEDDINGS:
            engine.call(ops.AddWedding(name=name, date=dt.date(2026, 6, 20))).result(WAIT_S)
    finally:
        engine.close(drain_s=0.0).result(WAIT_S)
    (home / "config.toml").write_text(f"[limits]\n{_LIMITS}")
    (folder / "source").mkdir()
    for number in range(SOURCE_BYTES // 1_000_000):
        (folder / "source" / f"{number:02}.raw").write_bytes(bytes([number]) * 1_000_000)
    return home


def environment(home: Path, **more: str) -> dict[str, str]:
    """What a process of the program is given; without a passphrase, unless `more` has one."""
    inherited = {name: os.environ[name] for name in ("PATH", "TMPDIR") if name in os.environ}
    return inherited | {"WEDSYNC_HOME": str(home), "HOME": str(home), "LANG": "C.UTF-8", "PYTHONPATH": str(ROOT)} | more


def begun(home: Path, *argv: str, **more: str) -> subprocess.Popen[str]:
    """A run of the program that goes on beside the test, and ends with it at the latest."""
    process = _process(home, *argv, **more)
    _begun.append(process)
    return process


def _process(home: Path, *argv: str, **more: str) -> subprocess.Popen[str]:
    return subprocess.Popen(
        [*PROGRAM, *argv],
        cwd=home.parent,
        env=environment(home, **more),
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )


def end_what_is_left() -> None:
    """Kill what was begun and not waited for, as after a test that failed."""
    while _begun:
        with _begun.pop() as process:
            if process.poll() is None:
                process.kill()


@dataclass(frozen=True, slots=True)
class Done:
    """How a run ended, and what it said."""

    code: int
    lines: list[dict[str, Any]]
    words: str

    @property
    def results(self) -> list[dict[str, Any]]:
        """The results, in order."""
        return [line["result"] for line in self.lines if line["type"] == "result"]


def ended(process: subprocess.Popen[str]) -> Done:
    """Wait for a run."""
    out, err = process.communicate(timeout=WAIT_S)
    return Done(process.returncode, [json.loads(line) for line in out.splitlines()], err)


def run(home: Path, *argv: str, **more: str) -> Done:
    """A run from its beginning to its end."""
    return ended(begun(home, *argv, **more))


def eventually(holds: Callable[[], bool]) -> bool:
    """Whether something comes true, looked at often for as long as nothing takes."""
    turn = threading.Event()
    for _ in range(int(WAIT_S / 0.01)):
        if holds():
            return True
        turn.wait(0.01)
    return False


class Watch:
    """The engine of a home, looked at from the test. Attached like anybody else."""

    def __init__(self, home: Path) -> None:
        found: list[RemoteEngine] = []

        def is_there() -> bool:
            engine = RemoteEngine.attach(home)
            if engine is not None:
                found.append(engine)
            return engine is not None

        assert eventually(is_there), f"no engine answers on {home}"
        self.engine = found[0]

    def until_reading(self, wedding: str = WEDDINGS[0]) -> None:
        """Its backup is in the middle."""
        assert eventually(lambda: any(0 < row.bytes_read < SOURCE_BYTES for row in self.jobs_of(wedding)))

    def until_ended(self, wedding: str = WEDDINGS[0]) -> list[str]:
        """The states of its jobs, when all have ended."""
        assert eventually(lambda: all(row.ended_ns for row in self.jobs_of(wedding)))
        return self.states_of(wedding)

    def jobs_of(self, wedding: str = WEDDINGS[0]) -> tuple[JobRow, ...]:
        """As the engine shows them."""
        return tuple(row for row in self.engine.status().jobs if row.wedding == wedding)

    def states_of(self, wedding: str = WEDDINGS[0]) -> list[str]:
        """The states of its jobs."""
        return [row.state for row in self.jobs_of(wedding)]

    def close(self) -> None:
        """Leave."""
        self.engine.close(drain_s=0.0).result(WAIT_S)


@contextlib.contextmanager
def watching(home: Path) -> Iterator[Watch]:
    """Look at the engine that runs on `home`, or is about to."""
    watch = Watch(home)
    try:
        yield watch
    finally:
        watch.close()


@contextlib.contextmanager
def service(home: Path) -> Iterator[subprocess.Popen[str]]:
    """`--no-ui` on this home; ended at the end."""
    process = _process(home, "--no-ui", WEDSYNC_PASSPHRASE=PASSPHRASE)
    try:
        Watch(home).close()  # it answers
        yield process
    finally:
        if process.poll() is None:
            process.send_signal(signal.SIGTERM)
        process.communicate(timeout=WAIT_S)


def owner_of(home: Path) -> int:
    """The process whose engine has this home."""
    return int((home / "engine.lock").read_text())


def until_free(home: Path) -> None:
    """Wait until no engine runs on this home any more."""
    assert eventually(lambda: not (home / "engine.sock").exists())
    until_gone(owner_of(home))


def until_gone(pid: int) -> None:
    """Wait for the end of a process that may not be ours to wait for."""
    assert eventually(lambda: pid == os.getpid() or _is_zombie(pid))


def end_engine_of(home: Path) -> None:
    """Kill the engine of this home, wherever it has gone."""
    with contextlib.suppress(FileNotFoundError, ProcessLookupError):
        if (home / "engine.sock").exists() and owner_of(home) != os.getpid():
            os.kill(owner_of(home), signal.SIGKILL)
            until_gone(owner_of(home))


def _is_zombie(pid: int) -> bool:
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] == "Z"
    except OSError:
        return True

"""What the console costs, and how soon it answers, on a pseudo-terminal of its own with a real engine behind it.

`python -m benchmarks.console [--quick] [--json FILE]` measures: start to first paint; key to screen (opening the
command line, a letter in it, moving a mark) idle, beside threads that release the GIL, and beside a backup that
saturates the streams; the share of a core an idle console takes; what the chart takes (`console_chart`); and
how much a screen slows a backup down, in alternating runs. Medians and ratios: the machine is shared.
"""

from __future__ import annotations

import argparse
import datetime as dt
import fcntl
import json
import os
import pty
import re
import select
import shutil
import statistics
import struct
import sys
import tempfile
import termios
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import NamedTuple

import psutil
import zstandard

from benchmarks import console_chart
from engine.contract import operations as ops
from engine.contract.settings import ConsoleSettings
from engine.local import LocalEngine
from tests.engine.homes import PASSPHRASE, home_with_repository

SIZE = (120, 36)
WEDDING = "smith-jones"
READY = "Request to first"  # a panel's title: the screen is drawn
TARGETS = {"first_paint_s": 1.0, "key_p95_gil_free_ms": 50.0, "key_p95_backup_ms": 120.0, "idle_share": 0.03}


# --- the child: a console, or none -------------------------------------------------------------------


def _load(stop: threading.Event) -> None:
    data = os.urandom(1 << 20) * 4
    press = zstandard.ZstdCompressor(level=3)
    while not stop.is_set():
        press.compress(data)


def _child(home: Path, load: str, source: Path | None, report: Path) -> None:
    """An engine with a console on this terminal; beside it what `load` says."""
    from wedsync_tui.app import run_console

    engine = LocalEngine.start(home, PASSPHRASE)
    engine.call(ops.ListWeddings()).result(60)
    stop = threading.Event()
    if load == "gil-free":
        for _ in range(2):
            threading.Thread(target=_load, args=(stop,), daemon=True).start()
    if load == "backup" and source is not None:
        _back_up_again_and_again(engine, source, stop)
    run_console(engine, settings=ConsoleSettings())
    stop.set()
    engine.close(drain_s=0.0).result(60)
    report.write_text("done")


def _back_up_again_and_again(engine: LocalEngine, source: Path, stop: threading.Event) -> None:
    """Each time as another wedding, so that nothing is known already."""

    def work() -> None:
        for number in range(10_000):
            if stop.is_set():
                return
            name = f"load-{number}"
            engine.call(ops.AddWedding(name=name, date=dt.date(2026, 6, 20))).result(60)
            engine.call(ops.StartBackup(wedding=name, sources=(str(source),), wait=True)).result(600)

    threading.Thread(target=work, daemon=True).start()


# --- a terminal --------------------------------------------------------------------------------------


class Terminal:
    """The parent's side of a pseudo-terminal."""

    def __init__(self, child: int, master: int) -> None:
        self.child = child
        self.master = master

    def key(self, text: str) -> None:
        """Press."""
        os.write(self.master, text.encode())

    def until(self, wanted: str, seconds: float = 30.0) -> float:
        """Seconds until `wanted` is drawn."""
        begun = time.monotonic()
        seen = b""
        while time.monotonic() - begun < seconds:
            if not select.select([self.master], [], [], 0.5)[0]:
                continue
            try:
                data = os.read(self.master, 1 << 16)
            except OSError:
                break
            seen = (seen + data)[-(1 << 17) :]
            if wanted.encode() in re.sub(rb"\x1b\[[0-9;?]*[A-Za-z]", b"", seen):
                return time.monotonic() - begun
        raise TimeoutError(f"{wanted!r} was not drawn")

    def drain(self, seconds: float) -> None:
        """Read what comes for a while."""
        until = time.monotonic() + seconds
        while time.monotonic() < until:
            if select.select([self.master], [], [], 0.02)[0]:
                os.read(self.master, 1 << 16)

    def end(self) -> None:
        """Tell the program to end, and wait for that."""
        os.kill(self.child, 15)
        with suppress(OSError):
            self.drain(0.5)
        os.waitpid(self.child, 0)
        os.close(self.master)


def fork(work: Callable[[], None]) -> Terminal:
    """A program on a terminal of its own."""
    child, master = pty.fork()
    if child == 0:
        fcntl.ioctl(0, termios.TIOCSWINSZ, struct.pack("HHHH", SIZE[1], SIZE[0], 0, 0))
        os.environ.update(TERM="xterm-256color", COLORTERM="truecolor", LANG="C.UTF-8")
        os.environ.pop("NO_COLOR", None)
        try:
            work()
        finally:
            os._exit(0)
    return Terminal(child, master)


@contextmanager
def _console(home: Path, load: str = "", source: Path | None = None) -> Iterator[Terminal]:
    report = home.with_suffix(".report")
    terminal = fork(lambda: _child(home, load, source, report))
    try:
        terminal.until(READY)
        terminal.drain(1.5)
        yield terminal
    finally:
        terminal.end()


# --- what is measured --------------------------------------------------------------------------------


def first_paint(home: Path, rounds: int) -> list[float]:
    """The program as a person starts it, from the fork to the drawn screen."""
    times = []
    for _ in range(rounds):

        def work() -> None:
            os.environ.update(WEDSYNC_HOME=str(home), WEDSYNC_PASSPHRASE=PASSPHRASE)
            os.execv(sys.executable, [sys.executable, "-m", "wedsync_tui"])

        terminal = fork(work)
        times.append(terminal.until(READY))
        terminal.drain(0.3)
        terminal.key("q")
        try:
            terminal.drain(2.0)
        except OSError:
            pass
        os.waitpid(terminal.child, 0)
        os.close(terminal.master)
    return times


def keys(terminal: Terminal, rounds: int) -> dict[str, list[float]]:
    """Key to screen of three kinds, by the words or mark that must be drawn."""
    times: dict[str, list[float]] = {"open": [], "letter": [], "move": []}
    for number in range(rounds):
        for kind, key, wanted in (("open", ":", "Tab completes"), ("letter", "k", "key slots")):
            terminal.key(key)
            times[kind].append(terminal.until(wanted))
            terminal.drain(0.05)
        terminal.key("\x1b")
        terminal.until("Retrieve")  # the line of keys is back
        terminal.drain(0.1)
        terminal.key("j" if number % 2 == 0 else "k")
        times["move"].append(terminal.until("›"))
        terminal.drain(0.07)
    return times


def idle_share(terminal: Terminal, seconds: float) -> float:
    """Share of one core that engine and console take together while nothing happens."""
    process = psutil.Process(terminal.child)
    before = process.cpu_times()
    begun = time.monotonic()
    terminal.drain(seconds)
    after = process.cpu_times()
    return (after.user + after.system - before.user - before.system) / (time.monotonic() - begun)


class Backups(NamedTuple):
    """What backups took: seconds, CPU seconds of the program, and of them those of the thread that draws."""

    seconds: float
    cpu_s: float
    drawing_s: float


def backups(home: Path, source: Path, count: int, *, screen: bool) -> Backups:
    """So many backups, one after the other, each of data that is not known yet, with the console drawn or without."""
    home = Path(shutil.copytree(home, home.with_name(f"home-{time.monotonic_ns()}")))
    report = home.with_suffix(".report")

    def work() -> None:
        engine = LocalEngine.start(home, PASSPHRASE)
        engine.call(ops.ListWeddings()).result(60)

        def back_up(then: Callable[[], None]) -> None:
            spent, before = 0.0, (time.process_time(), _main_thread_s())
            for number in range(count):
                engine.call(ops.AddWedding(name=f"w-{number}", date=dt.date(2026, 6, 20))).result(60)
                asked = ops.StartBackup(wedding=f"w-{number}", sources=(str(source),), wait=True)
                result = engine.call(asked).result(600)
                assert isinstance(result, ops.JobResult)
                spent += (result.job.ended_ns - result.job.started_ns) / 1e9
            report.write_text(json.dumps([spent, time.process_time() - before[0], _main_thread_s() - before[1]]))
            then()

        if screen:
            from wedsync_tui.app import ConsoleApp, Outcome

            app = ConsoleApp(engine)
            threading.Timer(2.5, back_up, args=(lambda: app.leave_from_signal(Outcome.QUIT),)).start()
            app.run()
        else:
            back_up(lambda: None)
        engine.close(drain_s=0.0).result(60)

    terminal = fork(work)
    while True:
        try:
            if select.select([terminal.master], [], [], 60)[0] and not os.read(terminal.master, 1 << 16):
                break
        except OSError:
            break
    os.waitpid(terminal.child, 0)
    os.close(terminal.master)
    found = Backups(*json.loads(report.read_text()))
    shutil.rmtree(home)
    return found


def _main_thread_s() -> float:
    """CPU of the thread that draws. Without a screen it waits, or runs the backups' loop."""
    return next(one.user_time + one.system_time for one in psutil.Process().threads() if one.id == os.getpid())


def slowdown(home: Path, source: Path, pairs: int, count: int) -> dict[str, object]:
    """Backups with the screen against backups without, in alternating order, so that a drift favours neither."""
    runs = []
    for number in range(pairs):
        order = (False, True) if number % 2 == 0 else (True, False)
        by_screen = {screen: backups(home, source, count, screen=screen) for screen in order}
        runs.append((by_screen[False], by_screen[True]))
        print(json.dumps({"backups": [[round(part, 2) for part in one] for one in runs[-1]]}), file=sys.stderr)
    ratios = sorted(drawn.seconds / plain.seconds - 1 for plain, drawn in runs)
    return {
        "median": round(statistics.median(ratios), 3),
        "range": [round(ratios[0], 3), round(ratios[-1], 3)],
        "cpu_median": round(statistics.median(drawn.cpu_s / plain.cpu_s - 1 for plain, drawn in runs), 3),
        "drawing_share_of_a_core": round(statistics.median(drawn.drawing_s / drawn.seconds for _, drawn in runs), 4),
        "runs": [[round(plain.seconds, 2), round(drawn.seconds, 2)] for plain, drawn in runs],
    }


# --- figures -----------------------------------------------------------------------------------------


def _percentile(values: list[float], share: float) -> float:
    ordered = sorted(values)
    return ordered[min(len(ordered) - 1, int(share * len(ordered)))]


def _spread_ms(values: list[float]) -> dict[str, float]:
    return {f"p{round(share * 100)}": round(_percentile(values, share) * 1000, 1) for share in (0.5, 0.95, 0.99)}


def _make_source(folder: Path, size_mib: int) -> Path:
    folder.mkdir()
    for number in range(size_mib // 8):
        (folder / f"IMG_{number:05}.CR3").write_bytes(os.urandom(8 << 20))
    return folder


def measure(folder: Path, *, quick: bool) -> dict[str, object]:
    """Everything, once."""
    home = home_with_repository(folder / "home")
    source = _make_source(folder / "card", 256 if quick else 512)
    with_wedding = LocalEngine.start(home, PASSPHRASE)
    for number in range(6):
        with_wedding.call(ops.AddWedding(name=f"{WEDDING}-{number}", date=dt.date(2026, 6, 20 + number))).result(60)
    with_wedding.close(drain_s=0.0).result(60)
    rounds = 20 if quick else 60
    figures: dict[str, object] = {"cores": os.cpu_count(), "python": sys.version.split()[0]}
    paints = first_paint(home, 3 if quick else 7)
    figures["first_paint_s"] = {"median": round(statistics.median(paints), 2), "best": round(min(paints), 2)}
    for load in ("", "gil-free", "backup"):
        with _console(home, load, source) as terminal:
            if not load:
                figures["idle_share"] = round(idle_share(terminal, 5 if quick else 20), 4)
            times = keys(terminal, rounds)
        spread = {kind: _spread_ms(values) for kind, values in times.items()}
        spread["all"] = _spread_ms([one for values in times.values() for one in values])
        figures[f"keys_ms_{load or 'idle'}"] = spread
        print(json.dumps({load or "idle": spread}), file=sys.stderr)
    chart, _ = console_chart.measure("charts", (160, 50), 5 if quick else 15)
    figures["chart_share_160x50"] = round(chart, 4)
    figures["backup_slowdown"] = slowdown(home, source, *((2, 3) if quick else (6, 8)))
    return figures


def main() -> None:
    """Measure, print a table, write JSON."""
    options = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    options.add_argument("--quick", action="store_true", help="fewer rounds")
    options.add_argument("--json", type=Path, help="write the figures here")
    given = options.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        figures = measure(Path(folder), quick=given.quick)
    if given.json:
        given.json.write_text(json.dumps(figures, indent=2) + "\n")
    for name, value in figures.items():
        print(f"{name:22} {json.dumps(value)}")


if __name__ == "__main__":
    main()

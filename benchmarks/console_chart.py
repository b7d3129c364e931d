"""What drawing costs: share of one core, and bytes sent to the terminal, on a pseudo-terminal of its own.

`python -m benchmarks.console_chart [--seconds 20]` draws, at 160×50 and at 80×24, four times a second:
two charts of three series and nothing else; the whole dashboard while every figure moves; the dashboard of an
engine that is idle. Targets: two charts at 160×50 and the idle dashboard each take at most 3 % of a core.
"""

from __future__ import annotations

import argparse
import fcntl
import functools
import json
import math
import os
import pty
import resource
import select
import struct
import tempfile
import termios
import time
from pathlib import Path

import msgspec
from textual.app import App, ComposeResult

from engine.base.units import format_rate, format_time
from engine.contract import status as st
from screens import trail
from screens.widgets.chart import Chart
from screens.widgets.plot import Frame
from tests import samples
from tests.fakes import FakeEngine
from wedsync_tui.app import ConsoleApp
from wedsync_tui.theme import DARK

HZ = 4.0
SIZES = ((160, 50), (80, 24))
MODES = ("charts", "moving", "idle")
WARM_UP_S = 3.0


@functools.lru_cache(2)
def _history(newest: int) -> tuple[st.RatePoint, ...]:
    """A point a second up to `newest` (seconds since 1970), as the engine keeps it."""

    def point(time_ns: int) -> st.RatePoint:
        turn = time_ns / 1e9
        return st.RatePoint(
            time_ns=time_ns,
            read_bytes_per_s=240e6 + 90e6 * math.sin(turn / 7) + 40e6 * math.sin(turn * 3),
            stored_bytes_per_s=170e6 + 60e6 * math.sin(turn / 5),
            restored_bytes_per_s=max(0.0, 90e6 * math.sin(turn / 11)),
        )

    return tuple(point((newest - back) * 10**9) for back in range(300, -1, -1))


class _Charts(App[None]):
    """Two charts and nothing else."""

    CSS = "Chart { height: 1fr; width: 1fr; background: $background; }"

    def compose(self) -> ComposeResult:
        yield Chart()
        yield Chart()

    def get_theme_variable_defaults(self) -> dict[str, str]:
        return dict(DARK.variables)

    def on_mount(self) -> None:
        self.set_interval(1 / HZ, self._draw)

    def _draw(self) -> None:
        now = time.time_ns()
        performance = msgspec.structs.replace(samples.performance(), history=_history(now // 10**9))
        frame = Frame(format_rate, 300.0)
        for chart in self.query(Chart):
            chart.plot(
                lambda count: trail.throughput(performance, now=now, window_s=frame.window_s, count=count),
                frame,
                key=now // 10**9,
            )


def _moving(engine: FakeEngine) -> None:
    now = time.time_ns()
    turn = now / 1e9
    row = msgspec.structs.replace(
        samples.job_row(), bytes_read=int(turn * 1e8) % 4_000_000_000, rate_bytes_per_s=240e6 + 90e6 * math.sin(turn)
    )
    engine.show(
        samples.status(
            seq=int(turn * HZ),
            timestamp=format_time(now),
            jobs=(row, *samples.sample_jobs()[1:]),
            performance=msgspec.structs.replace(samples.performance(), history=_history(now // 10**9)),
        )
    )


def _idle(engine: FakeEngine) -> None:
    now = time.time_ns()
    engine.show(samples.status(seq=int(now / 1e9 * HZ), timestamp=format_time(now), jobs=(), alerts=()))


def _child(mode: str, seconds: float, report: Path) -> None:
    """Draw, and write down what it cost."""
    engine = FakeEngine()
    engine.at_poll(_moving if mode == "moving" else _idle)
    app: App[object] = _Charts() if mode == "charts" else ConsoleApp(engine)  # type: ignore[assignment]
    spent: list[float] = []

    def look() -> None:
        usage = resource.getrusage(resource.RUSAGE_SELF)
        spent.append(usage.ru_utime + usage.ru_stime)

    def plan() -> None:
        app.set_timer(WARM_UP_S, look)
        app.set_timer(WARM_UP_S + seconds, finish)

    def finish() -> None:
        look()
        app.exit()

    app.call_later(plan)
    app.run()
    report.write_text(json.dumps((spent[1] - spent[0]) / seconds))


def measure(mode: str, size: tuple[int, int], seconds: float) -> tuple[float, float]:
    """Share of a core, and bytes a frame."""
    with tempfile.TemporaryDirectory() as folder:
        report = Path(folder) / "report"
        child, master = pty.fork()
        if child == 0:
            fcntl.ioctl(0, termios.TIOCSWINSZ, struct.pack("HHHH", size[1], size[0], 0, 0))
            os.environ.update(TERM="xterm-256color", COLORTERM="truecolor", LANG="C.UTF-8")
            _child(mode, seconds, report)
            os._exit(0)
        sent, begun = 0, time.monotonic()
        while select.select([master], [], [], WARM_UP_S + seconds)[0]:
            try:
                data = os.read(master, 1 << 16)
            except OSError:
                break
            if not data:
                break
            if time.monotonic() - begun > WARM_UP_S:
                sent += len(data)
        os.waitpid(child, 0)
        os.close(master)
        return json.loads(report.read_text()), sent / (seconds * HZ)


def main() -> None:
    """Measure and print."""
    options = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    options.add_argument("--seconds", type=float, default=20.0)
    seconds = options.parse_args().seconds
    print(f"{'size':8} {'what':8} {'share of a core':>16} {'kB a frame':>11}")
    for size in SIZES:
        for mode in MODES:
            share, frame_bytes = measure(mode, size, seconds)
            print(f"{size[0]}x{size[1]:<4} {mode:8} {share:>15.1%} {frame_bytes / 1000:>11.1f}")


if __name__ == "__main__":
    main()

"""A full house: 10,000 weddings, each with a watch and an accepted job. What does it cost to show them, and to start?

    python -m benchmarks.full_house FOLDER [--short] [--json FILE]

In: a folder on a disk with some 2 GB. Out: a line a target with what was measured and the verdict; exit code 1 when
one was missed. A limit keeps the jobs from ending, so that all stand in line while the figures are taken. The status
document is built on the engine's own loop, and timed there in seconds of its thread, which other programs do not touch.
"""

from __future__ import annotations

import os
import statistics
import sys
import threading
import time
from collections.abc import Callable
from functools import partial
from pathlib import Path

import psutil

from benchmarks.houses import ANSWER_S, House, make_home
from benchmarks.report import Report, carry_out, parser_of
from engine.contract import operations as ops
from engine.contract import steering
from engine.operations import status

BUILDS = 50
LIMITS = '[limits]\nsame_day = "1KB/s"\nnext_day = "1KB/s"\nstandard = "1KB/s"\n'  # hardly a job ends meanwhile


class FullHouse(House):
    """One engine, and a folder for each wedding."""

    def __init__(self, folder: Path, weddings: int) -> None:
        self.folder = folder
        self.names = [f"w{number:05}" for number in range(weddings)]
        for name in self.names:
            card = folder / "cards" / name
            card.mkdir(parents=True)
            (card / "IMG_0001.jpg").write_bytes(os.urandom(20_000))
        make_home(folder / "home", self.names, LIMITS)
        self.process = psutil.Process()
        self.before_mb, begin_s = self.memory_mb(), time.monotonic()
        super().__init__(folder / "home")
        self.opened_s = time.monotonic() - begin_s

    def card(self, name: str) -> str:
        """Where the files of a wedding lie."""
        return str(self.folder / "cards" / name)

    def all_watch(self) -> bool:
        """Whether every wedding's watch hears of changes."""
        rows = self.watches()
        return len(rows) == len(self.names) and all(row.state == "watching" for row in rows)

    def unended(self) -> set[str]:
        """Ids of the jobs that are accepted and have not ended."""
        return {job.id for state in ("queued", "running") for job in self.jobs(state=state)}

    def builds_ms(self) -> list[float]:
        """Milliseconds of the loop's thread for each of many status documents."""
        spent: list[float] = []
        done = threading.Event()

        def build() -> None:
            begin_s = time.thread_time()
            status.build(self.engine._life._engine)
            spent.append((time.thread_time() - begin_s) * 1e3)
            if len(spent) < BUILDS:
                self.engine._loop.call_later(0.1, build)
            else:
                done.set()

        self.engine._loop.call_soon_threadsafe(build)
        if not done.wait(ANSWER_S):
            raise TimeoutError("the engine's loop does not answer")
        return spent

    def longest_hold_ms(self, work: Callable[[], object]) -> float:
        """The most that the loop did between two looks of a timer during `work`: ms of processor time."""
        loop, worst_s, last_s = self.engine._loop, 0.0, -1.0
        is_over, is_seen = threading.Event(), threading.Event()  # the second: the beat after the end has been

        def beat() -> None:
            nonlocal worst_s, last_s
            now_s = time.thread_time()
            worst_s, last_s = max(worst_s, now_s - last_s if last_s >= 0 else 0.0), now_s
            if is_over.is_set():
                is_seen.set()
            else:
                loop.call_later(0.001, beat)

        loop.call_soon_threadsafe(beat)
        try:
            work()
        finally:
            is_over.set()
        if not is_seen.wait(ANSWER_S):
            raise TimeoutError("the engine's loop does not answer")
        return worst_s * 1e3

    def memory_mb(self) -> float:
        """What this process holds."""
        return float(self.process.memory_info().rss) / 1e6

    def cpu_s(self) -> float:
        """CPU seconds of this process so far."""
        spent = self.process.cpu_times()
        return float(spent.user + spent.system)


def fill(house: FullHouse, report: Report) -> None:
    """Weddings, watches and jobs. The first figure is for an engine that has none."""
    count = len(house.names)
    report.add("start: repository open, nothing watched", None, house.opened_s, "s")
    spent_s = house.ask_all(steering.WatchWedding(wedding=name, paths=(house.card(name),)) for name in house.names)
    report.add("watch: a second", None, count / spent_s, "1/s")
    house.until(house.all_watch)
    free = count - len(house.unended()) - 300  # watches may begin some of their own meanwhile
    house.ask_all(ops.StartBackup(wedding=name, sources=(house.card(name),)) for name in house.names[:free])
    report.add("jobs accepted and not ended", None, len(house.unended()), "jobs")
    report.add(
        "memory: a wedding with its watch and job", 40, (house.memory_mb() - house.before_mb) * 1e3 / count, "kB"
    )


def show(house: FullHouse, report: Report) -> None:
    """What showing costs."""
    time.sleep(2)
    spent_ms = sorted(house.builds_ms())
    report.add("status document: median, CPU", 20, statistics.median(spent_ms), "ms")
    report.add("status document: slowest of 50, CPU", 20, spent_ms[-1], "ms")
    before_s, begin_s = house.cpu_s(), time.monotonic()
    time.sleep(5)
    share = (house.cpu_s() - before_s) / (time.monotonic() - begin_s)
    report.add("engine with nothing to do: share of a core", None, share * 100, "%")
    lags = []
    for _ in range(20):
        time.sleep(0.25)
        lags.append(house.engine.status().infrastructure.engine_lag_s * 1e3)
    report.add("how late the engine's loop is: worst", 100, max(lags), "ms")
    for words, operation in (
        ("weddings", ops.ListWeddings()), ("watches", steering.ListWatches()), ("jobs", ops.ListJobs(limit=100)),
    ):  # fmt: skip
        begin_s = time.monotonic()
        held_ms = house.longest_hold_ms(lambda operation=operation: house.ask(operation))  # type: ignore[misc]
        report.add(f"{words}: asked for → answered", None, (time.monotonic() - begin_s) * 1e3, "ms")
        report.add(f"{words}: the loop is held at most, CPU", 20, held_ms, "ms")


def start_again(house: FullHouse, report: Report) -> None:
    """Stop, and start on the same home: all of it is there again."""
    accepted = house.unended()
    begin_s = time.monotonic()
    house.close()
    report.add("stop: asked for → stopped", None, time.monotonic() - begin_s, "s")
    begin_s, before_s = time.monotonic(), house.cpu_s()
    house.start()
    report.add("start: repository open", 2, time.monotonic() - begin_s, "s")
    house.until(house.all_watch)
    report.add("start: every folder watched", None, time.monotonic() - begin_s, "s")
    report.add("start: CPU until then", None, house.cpu_s() - before_s, "s")
    report.add(
        "start: accepted jobs that are missing", 0, len(accepted.difference(job.id for job in house.jobs())), "jobs"
    )


def main(arguments: list[str]) -> int:
    """Measure, and print what was measured."""
    parser = parser_of("benchmarks.full_house", __doc__, short="a sample: 1,000 weddings")
    options = parser.parse_args(arguments)
    return carry_out(options, {"full-house": partial(full_house, 1_000 if options.short else 10_000)})


def full_house(weddings: int, folder: Path, report: Report) -> None:
    """All of it."""
    house = FullHouse(folder, weddings)
    try:
        fill(house, report)
        show(house, report)
        start_again(house, report)
        show(house, report)
    finally:
        house.close()


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))

"""How the engine bears a load: the start of small jobs beside bulk ones, many jobs at once, deadlines, memory.

    python -m benchmarks.load FOLDER [--short] [--minutes N] [--json FILE] [--only NAME…]

In: a folder on the disk to be measured, with room for some 30 GB (10 GB with --short); what is made in it is removed.
Out: one line a target with what was measured, the verdict and the machine's load at that moment, and exit code 1 when
one was missed; progress goes to standard error. The load comes from a thread of the same process, so the figures
include what the interpreter's lock costs. Where more would be written than there is room for, the part goes on in
another round, on a new home.

- `unsaturated`, `saturated`: from request to first sealed byte, alone and at 100 a second beside bulk jobs.
- `retrievals`: from request to first byte restored, beside bulk jobs. `console`: key to screen on the Jobs screen.
- `concurrent`: so many operations at once, of which none fails.
- `urgent`: a job of today, 50 MB, beside bulk jobs. `deadlines`: the other two classes, beside one of many files.
- `memory`: the peak with many jobs at work against ten. `sustained`: what many jobs move, for N minutes, against ten.
"""

from __future__ import annotations

import argparse
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from concurrent.futures import Future
from contextlib import contextmanager
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path

import psutil

from benchmarks import jobs_screen
from benchmarks.report import Report, at_share, carry_out, parser_of
from benchmarks.rig import ANSWER_S, Rig, job_of, make_files, say
from engine.base.errors import WedSyncError
from engine.contract import operations as ops
from engine.contract.weddings import PriorityClass

URGENT_BYTES = 50_000_000
TREE_FILE_BYTES = 4_000
ROUND_S = 60.0
WEDDINGS_MAX = 200


@dataclass(frozen=True, slots=True)
class Size:
    """How much of everything."""

    small_jobs: int = 10_000
    bulk_jobs: int = 1_000
    concurrent: int = 1_250
    urgent_jobs: int = 100
    retrievals: int = 100
    keys: int = 60  # of each kind
    unsaturated_jobs: int = 500
    dated_jobs: int = 100  # of each of two classes
    tree_files: int = 300_000
    per_s: float = 100.0
    minutes: float = 30.0
    round_bytes: int = 20_000_000_000  # written, then a new home


SHORT = Size(
    small_jobs=500,
    bulk_jobs=200,
    concurrent=200,
    urgent_jobs=8,
    retrievals=20,
    keys=15,
    unsaturated_jobs=60,
    dated_jobs=15,
    tree_files=30_000,
    minutes=2.0,
    round_bytes=6_000_000_000,
)


@contextmanager
def one_round(folder: Path, *, weddings: int, sources: int = 0) -> Iterator[Rig]:
    """A rig in a folder of its own, which is removed."""
    inner = Path(tempfile.mkdtemp(dir=folder))
    rig = Rig(inner, weddings=weddings, sources=sources)
    try:
        yield rig
    finally:
        rig.close()
        shutil.rmtree(inner)


def initiate(rig: Rig, count: int, *, per_s: float, budget: int = 1 << 62) -> tuple[list[float], int, int]:
    """Ask for small jobs at random moments: ms from request to first sealed byte, failures, and how many were asked.

    Fewer than `count` when `budget` bytes have been written.
    """
    calls: list[tuple[int, Future[ops.Result]]] = []
    due_s = time.monotonic()
    for number in range(count):
        if number % 500 == 499:
            say(f"{number + 1} of {count} asked for, {sum(call.done() for _, call in calls)} ended")
            if rig.moved("write") > budget:
                break
        due_s += rig.chance.expovariate(per_s)
        time.sleep(max(0.0, due_s - time.monotonic()))
        calls.append((time.time_ns(), rig.engine.call(rig.small(number))))
    latencies_ms, failed = [], 0
    for asked_ns, call in calls:
        try:
            job = job_of(call.result(ANSWER_S))
        except WedSyncError:
            failed += 1
            continue
        if job.initiation_s is None or job.state != "done":
            failed += 1
        else:
            latencies_ms.append((job.queued_ns - asked_ns) / 1e6 + job.initiation_s * 1e3)
    return latencies_ms, failed, len(calls)


# --- what is measured ---------------------------------------------------------------------------------


def unsaturated(folder: Path, size: Size, report: Report) -> None:
    """The start of small jobs when nothing else is done."""
    weddings = 20
    with one_round(folder, weddings=weddings, sources=-(-size.unsaturated_jobs // weddings)) as rig:
        found, failed, _ = initiate(rig, size.unsaturated_jobs, per_s=5.0)
        report.add("unsaturated: request → first sealed byte, p50", None, at_share(found, 0.5), "ms")
        report.add("unsaturated: request → first sealed byte, p99", 20, at_share(found, 0.99), "ms")
        report.add("unsaturated: failed", 0, failed, "jobs")


def saturated(folder: Path, size: Size, report: Report) -> None:
    """The start of small jobs at 100 a second beside bulk jobs of a lower class."""
    weddings = min(WEDDINGS_MAX, size.small_jobs)
    found: list[float] = []
    failed, asked, spent_s, cpu_s, bulk_bytes, at_work = 0, 0, 0.0, 0.0, 0, size.bulk_jobs
    while asked < size.small_jobs:
        with one_round(folder, weddings=weddings, sources=-(-(size.small_jobs - asked) // weddings)) as rig:
            rig.begin_bulk(size.bulk_jobs)
            begin_s, begin_cpu_s, begin_bytes = time.monotonic(), time.process_time(), rig.moved("read")
            latencies, bad, count = initiate(rig, size.small_jobs - asked, per_s=size.per_s, budget=size.round_bytes)
            spent_s, cpu_s = spent_s + time.monotonic() - begin_s, cpu_s + time.process_time() - begin_cpu_s
            bulk_bytes += rig.moved("read") - begin_bytes - count * 1_000_000
            at_work = min(at_work, rig.running)
            found, failed, asked = found + latencies, failed + bad, asked + count
            rig.end_bulk()
    report.add("saturated: bulk jobs at work at the end", None, at_work, "jobs")
    for share, target in ((0.5, 50), (0.99, 250), (0.999, 1000)):
        name = f"saturated: request → first sealed byte, p{share * 100:g}"
        report.add(name, target, at_share(found, share), "ms")
    report.add("saturated: request → first sealed byte, slowest", None, max(found), "ms")
    report.add("saturated: failed", 0, failed, "jobs")
    report.add("saturated: small jobs ended a second", None, asked / spent_s, "1/s")
    report.add("saturated: read by bulk jobs meanwhile", None, bulk_bytes / spent_s / 1e6, "MB/s")
    report.add("saturated: CPU a small job, bulk included", None, cpu_s / asked * 1e3, "ms")


def concurrent(folder: Path, size: Size, report: Report) -> None:
    """Many operations at once."""
    weddings = 50
    with one_round(folder, weddings=weddings, sources=-(-size.concurrent // weddings)) as rig:
        calls = [rig.engine.call(rig.small(number)) for number in range(size.concurrent)]
        failed = 0
        for number, call in enumerate(calls, 1):
            try:
                failed += job_of(call.result(ANSWER_S)).state != "done"
            except WedSyncError:
                failed += 1
            if number % 250 == 0:
                say(f"{number} of {size.concurrent} ended")
        report.add(f"{size.concurrent} operations at once: failed", 0, failed, "jobs")


def urgent(folder: Path, size: Size, report: Report) -> None:
    """A job of today, 50 MB, beside standard jobs that keep every stream busy: asked for → protected."""
    spent_s: list[float] = []
    tried = 0
    while tried < size.urgent_jobs:
        with one_round(folder, weddings=max(20, size.urgent_jobs - tried)) as rig:
            source = rig.folder / "urgent"
            make_files(source, 10, URGENT_BYTES // 10, rig.chance)
            rig.begin_bulk(size.bulk_jobs)
            for number in range(size.urgent_jobs - tried):
                begin_s = time.monotonic()
                if job_of(rig.ask(rig.backup(number, source, "same-day"))).state == "done":
                    spent_s.append(time.monotonic() - begin_s)
                tried += 1
                say(f"{tried} of {size.urgent_jobs}: {time.monotonic() - begin_s:.2f} s")
                if rig.moved("write") > size.round_bytes:
                    break
            rig.end_bulk()
    report.add("50 MB of today beside bulk: protected, p50", None, at_share(spent_s, 0.5), "s")
    report.add("50 MB of today beside bulk: protected, p99", 5, at_share(spent_s, 0.99), "s")
    report.add("50 MB of today beside bulk: failed", 0, tried - len(spent_s), "jobs")


def retrievals(folder: Path, size: Size, report: Report) -> None:
    """Retrievals of 10 MB at random moments, two a second, beside standard jobs that keep every stream busy."""
    weddings = 20
    first_s: list[float] = []
    tried = failed = 0
    while tried < size.retrievals:
        with one_round(folder, weddings=weddings) as rig:
            album = rig.folder / "album"
            make_files(album, 10, 1_000_000, rig.chance)
            for number in range(weddings):
                rig.ask(rig.backup(number, album, "same-day"))
            rig.begin_bulk(size.bulk_jobs)
            calls = []
            while tried < size.retrievals and rig.moved("write") < size.round_bytes:
                time.sleep(rig.chance.expovariate(2.0))
                back = ops.RetrieveWeddingData(wedding=f"w{tried % weddings}", to=str(rig.folder / f"back-{tried}"))
                calls.append((time.time_ns(), rig.engine.call(back)))
                tried += 1
            for asked_ns, call in calls:
                job = job_of(call.result(ANSWER_S))
                failed += job.state != "done"
                if job.initiation_s is not None:
                    first_s.append((job.queued_ns - asked_ns) / 1e9 + job.initiation_s)
            say(f"{tried} of {size.retrievals}")
            rig.end_bulk()
    report.add("retrievals beside bulk: request → first byte restored, p50", None, at_share(first_s, 0.5), "s")
    report.add("retrievals beside bulk: request → first byte restored, p99", 5, at_share(first_s, 0.99), "s")
    report.add("retrievals beside bulk: failed", 0, failed + tried - len(first_s), "jobs")


def console(folder: Path, size: Size, report: Report) -> None:
    """Key to screen on the Jobs screen while bulk jobs keep every stream busy, in a pseudo-terminal."""
    found = jobs_screen.keys(folder, size.bulk_jobs, size.keys)
    report.add(f"Jobs screen, {size.bulk_jobs} at work: opened", None, found.opened_s * 1e3, "ms")
    report.add(
        f"Jobs screen, {size.bulk_jobs} at work: key → screen, p50", None, at_share(found.keys_s, 0.5) * 1e3, "ms"
    )
    report.add(
        f"Jobs screen, {size.bulk_jobs} at work: key → screen, p95", 120, at_share(found.keys_s, 0.95) * 1e3, "ms"
    )
    report.add(
        f"Jobs screen, {size.bulk_jobs} at work: key → screen, p99", 200, at_share(found.keys_s, 0.99) * 1e3, "ms"
    )


def deadlines(folder: Path, size: Size, report: Report) -> None:
    """Jobs of 50 MB of the two lower classes, two a second, beside one standard job of very many files."""
    with one_round(folder, weddings=2 * size.dated_jobs + 1) as rig:
        say(f"making {size.tree_files} files")
        make_files(rig.folder / "tree", size.tree_files, TREE_FILE_BYTES, rig.chance)
        source = rig.folder / "set"
        make_files(source, 10, URGENT_BYTES // 10, rig.chance)
        tree = job_of(rig.ask(rig.backup(2 * size.dated_jobs, rig.folder / "tree", "standard", wait=False)))
        classes: tuple[PriorityClass, PriorityClass] = ("next-day", "standard")
        calls = []
        begin_s = time.monotonic()
        for number in range(2 * size.dated_jobs):
            time.sleep(rig.chance.expovariate(2.0))
            calls.append((classes[number % 2], rig.engine.call(rig.backup(number, source, classes[number % 2]))))
        offered = len(calls) * URGENT_BYTES / (time.monotonic() - begin_s) / 1e6
        spent: dict[str, list[float]] = {name: [] for name in classes}
        for name, call in calls:
            job = job_of(call.result(ANSWER_S))
            if job.state == "done":
                spent[name].append((job.ended_ns - job.queued_ns) / 1e9)
        found = rig.ask(ops.ListJobs(limit=10_000))
        assert isinstance(found, ops.JobList)
        row = next(job for job in found.jobs if job.id == tree.id)
        report.add("deadlines: offered", None, offered, "MB/s")
        report.add(f"deadlines: files done of the job of {size.tree_files}", None, row.files_done, "files")
        for name, target in zip(classes, (30, 120), strict=True):
            report.add(f"deadlines: {name}, accepted → protected, p99", target, at_share(spent[name], 0.99), "s")
        report.add("deadlines: failed", 0, len(calls) - sum(map(len, spent.values())), "jobs")


def memory(folder: Path, size: Size, report: Report) -> None:
    """Peak memory with many jobs at work, against ten; each in a process of its own."""
    peaks = {}
    for count in (10, size.bulk_jobs):
        command = [sys.executable, "-m", "benchmarks.load", str(folder), "--peak-of", str(count)]
        peaks[count] = float(subprocess.run(command, check=True, stdout=subprocess.PIPE, text=True).stdout)
        report.add(f"memory: peak with {count} jobs at work", None, peaks[count] / 1e6, "MB")
    report.add("memory: many jobs ÷ ten jobs", 1.5, peaks[size.bulk_jobs] / peaks[10], "")


def peak_of(folder: Path, count: int) -> float:
    """The most bytes this process held while `count` bulk jobs were at work for ten seconds."""
    process, peak = psutil.Process(), 0
    with one_round(folder, weddings=min(count, WEDDINGS_MAX)) as rig:
        rig.begin_bulk(count)
        end_s = time.monotonic() + 10
        while time.monotonic() < end_s:
            peak = max(peak, process.memory_info().rss)
            time.sleep(0.1)
        rig.end_bulk()
    return float(peak)


def sustained(folder: Path, size: Size, report: Report) -> None:
    """Bytes a second of many jobs for so many minutes, all of them at work all the time, against ten jobs."""
    rates: dict[int, list[tuple[float, float]]] = {10: [], size.bulk_jobs: []}  # seconds, MB; of each round
    peak = 0.0
    while (measured_s := sum(seconds for seconds, _ in rates[size.bulk_jobs])) < size.minutes * 60:
        for count, of_count in rates.items():
            say(f"{count} jobs: {measured_s:.0f} of {size.minutes * 60:.0f} s measured")
            with one_round(folder, weddings=min(count, WEDDINGS_MAX)) as rig:
                rig.begin_bulk(count)
                begin_s = now_s = time.monotonic()
                begin = before = rig.moved("read")
                room_bytes = rig.moved("write") + size.round_bytes
                while now_s - begin_s < ROUND_S and rig.waiting and rig.moved("write") < room_bytes:
                    time.sleep(1.0)
                    at = rig.moved("read")
                    peak = max(peak, (at - before) / 1e6 / (time.monotonic() - now_s))
                    before, now_s = at, time.monotonic()
                if now_s == begin_s:
                    raise RuntimeError(f"{count} jobs ended before they could be measured")
                of_count.append((now_s - begin_s, (before - begin) / 1e6))
                rig.end_bulk()
    means = {count: sum(mb for _, mb in rounds) / sum(s for s, _ in rounds) for count, rounds in rates.items()}
    mean = means[size.bulk_jobs]
    report.add(f"sustained: {size.bulk_jobs} jobs, measured for", None, measured_s / 60, "min")
    report.add(f"sustained: {size.bulk_jobs} jobs, on average", None, mean, "MB/s")
    report.add("sustained: the fastest second", None, peak, "MB/s")
    report.add(f"sustained: {size.bulk_jobs} jobs", None, mean * 3600 / 1e6, "TB/h")
    report.add("sustained: ten jobs", None, means[10], "MB/s")
    report.add("sustained: many jobs ÷ ten jobs", 95, mean / means[10] * 100, "%", at_least=True)


Measured = Callable[[Path, Size, Report], None]
MEASURES: dict[str, Measured] = {
    "unsaturated": unsaturated,
    "saturated": saturated,
    "concurrent": concurrent,
    "urgent": urgent,
    "deadlines": deadlines,
    "retrievals": retrievals,
    "console": console,
    "memory": memory,
    "sustained": sustained,
}


def main(arguments: list[str]) -> int:
    """Measure, and print what was measured."""
    parser = parser_of("benchmarks.load", __doc__, short="a sample: minutes instead of an hour", measures=MEASURES)
    parser.add_argument("--minutes", type=float, help="how long `sustained` measures")
    parser.add_argument("--peak-of", type=int, help=argparse.SUPPRESS)
    options = parser.parse_args(arguments)
    if options.peak_of:
        sys.stdout.write(f"{peak_of(options.folder, options.peak_of)}\n")
        return 0
    size = SHORT if options.short else Size()
    size = replace(size, minutes=options.minutes or size.minutes)
    return carry_out(options, {name: partial(sized, measure, size) for name, measure in MEASURES.items()})


def sized(measure: Measured, size: Size, folder: Path, report: Report) -> None:
    """One of the measures, of this size."""
    say(measure.__name__)
    measure(folder, size, report)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))

"""How the engine bears a load: the start of small jobs beside bulk ones, many jobs at once, a job of today, memory.

    python -m benchmarks.load FOLDER [--short] [--json FILE] [--only NAME…]

In: a folder on the disk to be measured, with room for some 40 GB (2 GB with --short); what is made in it is removed.
Out: one line a target with what was measured and the verdict, and exit code 1 when one was missed. The load comes
from a thread of the same process, so the figures include what the interpreter's lock costs.
"""

from __future__ import annotations

import argparse
import datetime as dt
import json
import math
import os
import random
import subprocess
import sys
import tempfile
import time
from concurrent.futures import Future
from dataclasses import dataclass, field
from pathlib import Path

import psutil

from engine.base.errors import WedSyncError
from engine.contract import operations as ops
from engine.contract import steering
from engine.contract.status import JobRow
from engine.local import LocalEngine

PASSPHRASE = "load-test"
ANSWER_S = 900.0
SMALL_FILES, SMALL_BYTES = 50, 20_000
BULK_FILE_BYTES, BULK_FILES = 32_000_000, 16
URGENT_BYTES = 50_000_000


@dataclass(frozen=True, slots=True)
class Size:
    """How much of everything."""

    small_jobs: int = 10_000
    bulk_jobs: int = 1_000
    concurrent: int = 1_250
    urgent_jobs: int = 100
    unsaturated_jobs: int = 500
    per_s: float = 100.0


SHORT = Size(small_jobs=300, bulk_jobs=50, concurrent=200, urgent_jobs=8, unsaturated_jobs=60)


@dataclass(slots=True)
class Report:
    """Targets, what was measured, and whether all were met."""

    rows: list[dict[str, object]] = field(default_factory=list)

    def add(self, name: str, target: float | None, measured: float, unit: str) -> None:
        """One figure; without a target it is only told."""
        met = target is None or measured <= target
        self.rows.append({"name": name, "target": target, "measured": measured, "unit": unit, "met": met})
        wanted = "" if target is None else f"≤ {target:g} {unit}"
        verdict = "" if target is None else "met" if met else "MISSED"
        sys.stdout.write(f"{name:<58} {wanted:>12} {measured:>12.1f} {unit:<6} {verdict}\n")
        sys.stdout.flush()

    @property
    def is_met(self) -> bool:
        """Whether no target was missed."""
        return all(row["met"] for row in self.rows)


class Rig:
    """One engine on a home of its own, with sources to back up."""

    def __init__(self, folder: Path, *, weddings: int, sources: int) -> None:
        self.folder = folder
        self.chance = random.Random(2026)
        for number in range(sources):
            make_files(folder / f"small-{number}", SMALL_FILES, SMALL_BYTES, self.chance)
        self.engine = LocalEngine.start(folder / "home", PASSPHRASE)
        self.ask(ops.InitRepository())
        today = dt.datetime.now(tz=dt.UTC).date()
        for number in range(weddings):
            self.ask(ops.AddWedding(name=f"w{number}", date=today))

    def ask(self, operation: ops.Operation) -> ops.Result:
        """The answer."""
        return self.engine.call(operation).result(ANSWER_S)

    def small(self, number: int, weddings: int) -> ops.StartBackup:
        """The backup of a small source into a wedding that has not seen it."""
        source = str(self.folder / f"small-{number // weddings}")
        return ops.StartBackup(wedding=f"w{number % weddings}", sources=(source,), priority="same-day", wait=True)

    def begin_bulk(self, count: int, weddings: int) -> list[str]:
        """Begin bulk jobs of the standard class, and come back when all are at work; their ids."""
        make_files(self.folder / "bulk", BULK_FILES, BULK_FILE_BYTES, self.chance)
        source = str(self.folder / "bulk")
        calls = [
            self.engine.call(ops.StartBackup(wedding=f"w{at % weddings}", sources=(source,), priority="standard"))
            for at in range(count)
        ]
        ids = [job_of(call.result(ANSWER_S)).id for call in calls]
        deadline_s = time.monotonic() + ANSWER_S
        while self.engine.status().dashboard.jobs_running < count and time.monotonic() < deadline_s:
            time.sleep(0.1)
        return ids

    def end(self, ids: list[str]) -> None:
        """Cancel what runs."""
        for call in [self.engine.call(ops.CancelJob(job=each)) for each in ids]:
            try:
                call.result(ANSWER_S)
            except WedSyncError:
                continue  # it had ended

    def close(self) -> None:
        """Stop the engine."""
        self.engine.close(drain_s=0.0).result(ANSWER_S)


def make_files(folder: Path, count: int, size_bytes: int, chance: random.Random) -> None:
    """Files of noise, each its own."""
    folder.mkdir(exist_ok=True)
    for number in range(count):
        (folder / f"IMG_{number:05}.CR3").write_bytes(chance.randbytes(size_bytes))


def job_of(result: ops.Result) -> JobRow:
    """The job that an answer is about."""
    assert isinstance(result, ops.JobResult)
    return result.job


def at_share(values: list[float], share: float) -> float:
    """A percentile of `values`."""
    return sorted(values)[max(0, math.ceil(share * len(values)) - 1)]


def initiate(rig: Rig, count: int, *, per_s: float, weddings: int) -> tuple[list[float], int]:
    """Ask for small jobs at random moments; milliseconds from each request to its first sealed byte, and failures."""
    calls: list[tuple[int, Future[ops.Result]]] = []
    due_s = time.monotonic()
    for number in range(count):
        due_s += rig.chance.expovariate(per_s)
        time.sleep(max(0.0, due_s - time.monotonic()))
        calls.append((time.time_ns(), rig.engine.call(rig.small(number, weddings))))
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
    return latencies_ms, failed


# --- what is measured ---------------------------------------------------------------------------------


def unsaturated(folder: Path, size: Size, report: Report) -> None:
    """The start of small jobs when nothing else is done."""
    weddings = 20
    rig = Rig(folder, weddings=weddings, sources=-(-size.unsaturated_jobs // weddings))
    try:
        found, failed = initiate(rig, size.unsaturated_jobs, per_s=5.0, weddings=weddings)
        report.add("unsaturated: request → first sealed byte, p50", None, at_share(found, 0.5), "ms")
        report.add("unsaturated: request → first sealed byte, p99", 20, at_share(found, 0.99), "ms")
        report.add("unsaturated: failed", 0, failed, "jobs")
    finally:
        rig.close()


def saturated(folder: Path, size: Size, report: Report) -> None:
    """The start of small jobs at 100 a second beside bulk jobs of a lower class."""
    weddings = min(200, size.small_jobs)
    rig = Rig(folder, weddings=weddings, sources=-(-size.small_jobs // weddings))
    try:
        bulk = rig.begin_bulk(size.bulk_jobs, weddings)
        report.add("saturated: bulk jobs at work", None, rig.engine.status().dashboard.jobs_running, "jobs")
        begin_s = time.monotonic()
        found, failed = initiate(rig, size.small_jobs, per_s=size.per_s, weddings=weddings)
        spent_s = time.monotonic() - begin_s
        for share, target in ((0.5, 50), (0.99, 250), (0.999, 1000)):
            name = f"saturated: request → first sealed byte, p{share * 100:g}"
            report.add(name, target, at_share(found, share), "ms")
        report.add("saturated: request → first sealed byte, slowest", None, max(found), "ms")
        report.add("saturated: failed", 0, failed, "jobs")
        report.add("saturated: small jobs ended a second", None, size.small_jobs / spent_s, "1/s")
        rig.end(bulk)
    finally:
        rig.close()


def concurrent(folder: Path, size: Size, report: Report) -> None:
    """Many operations at once."""
    weddings = 50
    rig = Rig(folder, weddings=weddings, sources=-(-size.concurrent // weddings))
    try:
        calls = [rig.engine.call(rig.small(number, weddings)) for number in range(size.concurrent)]
        failed = 0
        for call in calls:
            try:
                failed += job_of(call.result(ANSWER_S)).state != "done"
            except WedSyncError:
                failed += 1
        report.add(f"{size.concurrent} operations at once: failed", 0, failed, "jobs")
    finally:
        rig.close()


def urgent(folder: Path, size: Size, report: Report) -> None:
    """A job of today, 50 MB, beside standard jobs that keep every stream busy: asked for → protected."""
    weddings = max(20, size.urgent_jobs)
    rig = Rig(folder, weddings=weddings, sources=1)
    try:
        bulk = rig.begin_bulk(size.bulk_jobs, weddings)
        make_files(folder / "urgent", 10, URGENT_BYTES // 10, rig.chance)
        spent_s = []
        for number in range(size.urgent_jobs):
            begin_s = time.monotonic()
            operation = ops.StartBackup(
                wedding=f"w{number}", sources=(str(folder / "urgent"),), priority="same-day", wait=True
            )
            if job_of(rig.ask(operation)).state == "done":
                spent_s.append(time.monotonic() - begin_s)
        report.add("50 MB of today beside bulk: protected, p50", None, at_share(spent_s, 0.5), "s")
        report.add("50 MB of today beside bulk: protected, p99", 5, at_share(spent_s, 0.99), "s")
        report.add("50 MB of today beside bulk: failed", 0, size.urgent_jobs - len(spent_s), "jobs")
        rig.end(bulk)
    finally:
        rig.close()


def memory(folder: Path, size: Size, report: Report) -> None:
    """Peak memory with many jobs at work, against ten; each in a process of its own."""
    peaks = {}
    for count in (10, size.bulk_jobs):
        inner = folder / f"jobs-{count}"
        inner.mkdir()
        command = [sys.executable, "-m", "benchmarks.load", str(inner), "--peak-of", str(count)]
        peaks[count] = float(subprocess.run(command, check=True, capture_output=True, text=True).stdout)
        report.add(f"memory: peak with {count} jobs at work", None, peaks[count] / 1e6, "MB")
    report.add("memory: many jobs ÷ ten jobs", 1.5, peaks[size.bulk_jobs] / peaks[10], "")


def peak_of(folder: Path, count: int) -> float:
    """The most bytes this process held while `count` bulk jobs were at work for ten seconds."""
    weddings = min(count, 200)
    rig = Rig(folder, weddings=weddings, sources=0)
    ids = rig.begin_bulk(count, weddings)
    process, peak = psutil.Process(), 0
    end_s = time.monotonic() + 10
    while time.monotonic() < end_s:
        peak = max(peak, process.memory_info().rss)
        time.sleep(0.1)
    rig.end(ids)
    rig.close()
    return float(peak)


def watching(folder: Path, size: Size, report: Report) -> None:
    """Files closed at random in watched folders: closed → protected, as the watch sees it."""
    weddings = 100 if size == SHORT else 1_000
    files = 300 if size == SHORT else 10_000
    rig = Rig(folder, weddings=weddings, sources=0)
    try:
        for number in range(weddings):
            card = folder / f"card-{number}"
            card.mkdir()
            rig.ask(steering.WatchWedding(wedding=f"w{number}", paths=(str(card),)))
        settle(rig)
        closed: dict[int, list[int]] = {}
        for number in range(files):
            at = rig.chance.randrange(weddings)
            (folder / f"card-{at}" / f"{number}.jpg").write_bytes(rig.chance.randbytes(SMALL_BYTES))
            closed.setdefault(at, []).append(time.time_ns())
            time.sleep(rig.chance.expovariate(size.per_s / 2))
        settle(rig)
        lags_ms, lost = [], 0
        for at, times in closed.items():
            listed = rig.ask(ops.ListJobs(wedding=f"w{at}", limit=10_000))
            assert isinstance(listed, ops.JobList)
            ended = sorted((job.queued_ns, job.ended_ns) for job in listed.jobs if job.state == "done")
            for moment in times:
                first = next((end for begin, end in ended if begin >= moment), None)
                if first is not None:
                    lags_ms.append((first - moment) / 1e6)
            kept = rig.ask(ops.Browse(wedding=f"w{at}", path=str(folder / f"card-{at}"), recursive=True))
            assert isinstance(kept, ops.EntryList)
            lost += len(times) - len(kept.entries)
        report.add("watch: closed → protected, p50", None, at_share(lags_ms, 0.5), "ms")
        report.add("watch: closed → protected, p95", 1000, at_share(lags_ms, 0.95), "ms")
        report.add("watch: files lost", 0, lost, "files")
    finally:
        rig.close()


def settle(rig: Rig) -> None:
    """Come back when no watch has changes that wait."""
    deadline_s = time.monotonic() + ANSWER_S
    while time.monotonic() < deadline_s:
        listed = rig.ask(steering.ListWatches())
        assert isinstance(listed, steering.WatchList)
        if all(row.changes_waiting == 0 and row.state == "watching" for row in listed.watches):
            return
        time.sleep(0.2)


MEASURES = {
    "unsaturated": unsaturated,
    "saturated": saturated,
    "concurrent": concurrent,
    "urgent": urgent,
    "watching": watching,
    "memory": memory,
}


def main(arguments: list[str]) -> int:
    """Measure, and print what was measured."""
    parser = argparse.ArgumentParser(prog="benchmarks.load", description=(__doc__ or "").splitlines()[0])
    parser.add_argument("folder", type=Path)
    parser.add_argument("--short", action="store_true", help="a sample: minutes instead of an hour")
    parser.add_argument("--json", type=Path, help="write the figures here too")
    parser.add_argument("--only", nargs="+", choices=MEASURES, default=list(MEASURES))
    parser.add_argument("--peak-of", type=int, help=argparse.SUPPRESS)
    options = parser.parse_args(arguments)
    if options.peak_of:
        sys.stdout.write(f"{peak_of(options.folder, options.peak_of)}\n")
        return 0
    size, report = (SHORT if options.short else Size()), Report()
    load = os.getloadavg()[0]
    sys.stdout.write(f"{os.cpu_count()} cores, load {load:.1f} before the first measurement\n")
    for name in options.only:
        with tempfile.TemporaryDirectory(dir=options.folder, prefix=f"load-{name}-") as folder:
            MEASURES[name](Path(folder), size, report)
    if options.json:
        options.json.write_text(json.dumps({"load_before": load, "rows": report.rows}, indent=2) + "\n")
    return 0 if report.is_met else 1


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))

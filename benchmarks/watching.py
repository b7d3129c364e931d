"""Watched folders: how soon a file that was closed is safe, and that none is lost, whatever the kernel drops.

    python -m benchmarks.watching FOLDER [--short] [--json FILE] [--only NAME…]

In: a folder on a disk with some 10 GB (1 GB with --short); what is made in it is removed. Another process writes files
of 20 kB to 50 MB, most of them small, into random folders. Which snapshot has a file first is read from the snapshots,
and its hash is compared. Out: one line a target with what was measured and the verdict; exit code 1 on a miss.

- `lag`: files closed one after the other at random, on an engine that has time for them.
- `overflow`: more events than the kernel's queue holds, while the engine's loop is busy with something else.
- `restart`: the engine stops and starts while files are written.
- `limit`: more folders than this user may watch (a user namespace with a limit of its own; needs `unshare`).
"""

from __future__ import annotations

import argparse
import json
import os
import random
import subprocess
import sys
import time
from collections import defaultdict
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from pathlib import Path

import blake3

from benchmarks.houses import House, make_home
from benchmarks.report import Report, at_share, carry_out, parser_of
from engine.contract import operations as ops
from engine.contract import steering
from engine.contract.status import JobRow

SIZE_MIN, SIZE_MAX, SKEW = 20_000, 50_000_000, 0.8  # a Pareto law, cut off: 300 kB in the mean
SMALL_BYTES = 5_000_000
EVENTS_OVER = 12_000  # files, each with two events: more than fs.inotify.max_queued_events
WATCHES_MAX = 100  # of the namespace with a limit
CLASSES = ((0, 100_000), (100_000, 1_000_000), (1_000_000, SMALL_BYTES), (SMALL_BYTES, SIZE_MAX + 1))


@dataclass(frozen=True, slots=True)
class Size:
    """How much of everything."""

    folders: int = 1_000
    files: int = 10_000
    per_s: float = 25.0
    restarts: int = 5


SHORT = Size(folders=100, files=400, restarts=2)


@dataclass(frozen=True, slots=True)
class Closed:
    """A file that was written."""

    folder: int
    name: str
    size_bytes: int
    hash: str
    closed_ns: int


def write(folder: Path, size: Size, seed: int) -> None:
    """The other process: write files, and one line for each, as soon as it is closed."""
    chance = random.Random(seed)
    noise = chance.randbytes(SIZE_MAX)
    for number in range(size.files):
        at, begin = chance.randrange(size.folders), chance.randrange(1_000_000)
        wanted = min(SIZE_MAX - begin, int(SIZE_MIN * (1 - chance.random()) ** (-1 / SKEW)))
        data = number.to_bytes(8, "big") + noise[begin : begin + wanted - 8]
        name = f"{seed}-{number:05}.jpg"
        descriptor = os.open(folder / f"card-{at}" / name, os.O_WRONLY | os.O_CREAT | os.O_EXCL)
        os.write(descriptor, data)
        os.close(descriptor)
        row = [at, name, len(data), time.time_ns(), blake3.blake3(data).hexdigest()]
        sys.stdout.write(json.dumps(row) + "\n")
        sys.stdout.flush()
        if size.per_s:
            time.sleep(chance.expovariate(size.per_s))


class Cards:
    """Watched folders, one a wedding, and what was written into them."""

    def __init__(self, folder: Path, size: Size) -> None:
        self.folder, self.size = folder, size
        self.ended: dict[str, JobRow] = {}
        for number in range(size.folders):
            (folder / f"card-{number}").mkdir()
        make_home(folder / "home", [f"w{number}" for number in range(size.folders)], '[watch]\npoll = "2s"\n')
        self.house = House(folder / "home")
        self.house.ask_all(
            steering.WatchWedding(wedding=f"w{number}", paths=(str(folder / f"card-{number}"),))
            for number in range(size.folders)
        )
        self.house.settle()

    def begin_writing(self, files: int, seed: int, per_s: float) -> subprocess.Popen[bytes]:
        """Have the other process begin."""
        wanted = [f"--{name}={value}" for name, value in (("files", files), ("seed", seed), ("per-s", per_s))]
        command = [
            sys.executable,
            "-m",
            "benchmarks.watching",
            str(self.folder),
            f"--write={self.size.folders}",
            *wanted,
        ]
        with open(self.folder / f"written-{seed}", "w") as lines:
            return subprocess.Popen(command, stdout=lines)

    def written(self, process: subprocess.Popen[bytes], seed: int) -> list[Closed]:
        """What it has written, once it has ended."""
        while process.poll() is None:
            self.gather()
            time.sleep(1.0)
        if process.returncode:
            raise RuntimeError("the process that writes has failed")
        rows = [json.loads(line) for line in (self.folder / f"written-{seed}").read_text().splitlines()]
        return [Closed(at, name, size, digest, closed_ns) for at, name, size, closed_ns, digest in rows]

    def gather(self) -> None:
        """Remember the jobs that have ended lately: the engine keeps only the newest."""
        for job in self.house.jobs(kind="backup", limit=500):
            if job.snapshot and job.ended_ns:
                self.ended[job.id] = job

    def kept(self, at: int, snapshot: str = "latest") -> dict[str, str]:
        """Name → hash, of the files of a folder in a snapshot."""
        operation = ops.Browse(
            wedding=f"w{at}", path=str(self.folder / f"card-{at}"), snapshot=snapshot, recursive=True, limit=100_000
        )
        listed = self.house.ask(operation)
        assert isinstance(listed, ops.EntryList)
        return {os.path.basename(entry.path): entry.hash for entry in listed.entries}

    def lost(self, files: list[Closed]) -> int:
        """How many are not in their wedding's newest snapshot as they were written."""
        by_folder = defaultdict(list)
        for each in files:
            by_folder[each.folder].append(each)
        found = 0
        for at, wanted in by_folder.items():
            kept = self.kept(at)
            found += sum(kept.get(each.name) != each.hash for each in wanted)
        return found

    def first_jobs(self, files: list[Closed]) -> dict[Closed, JobRow]:
        """The job whose snapshot has a file first."""
        jobs = defaultdict(list)
        self.gather()
        for job in self.ended.values():
            jobs[job.wedding].append(job)
        by_folder = defaultdict(list)
        for each in files:
            by_folder[each.folder].append(each)
        found: dict[Closed, JobRow] = {}
        for at, wanted in by_folder.items():
            for job in sorted(jobs[f"w{at}"], key=lambda job: job.started_ns):
                names = self.kept(at, job.snapshot)
                for each in wanted:
                    if each not in found and each.name in names:
                        found[each] = job
        return found

    def close(self) -> None:
        """Stop the engine."""
        self.house.close()


# --- what is measured ---------------------------------------------------------------------------------


def lag(folder: Path, size: Size, report: Report) -> None:
    """Closed → first sealed byte, and → committed, by size."""
    cards = Cards(folder, size)
    try:
        files = cards.written(cards.begin_writing(size.files, 1, size.per_s), 1)
        cards.house.settle()
        jobs = cards.first_jobs(files)
        sealed = [
            (job.queued_ns - each.closed_ns) / 1e6 + job.initiation_s * 1e3
            for each, job in jobs.items()
            if job.initiation_s is not None
        ]
        report.add("lag: files closed", None, len(files), "files")
        report.add("lag: files whose first snapshot is not known", 0, len(files) - len(jobs), "files")
        report.add("lag: closed → first sealed byte, p50", None, at_share(sealed, 0.5), "ms")
        report.add("lag: closed → first sealed byte, p99", 1000, at_share(sealed, 0.99), "ms")
        small = [(job.ended_ns - each.closed_ns) / 1e6 for each, job in jobs.items() if each.size_bytes <= SMALL_BYTES]
        report.add("lag: closed → committed, up to 5 MB, p50", None, at_share(small, 0.5), "ms")
        report.add("lag: closed → committed, up to 5 MB, p95", 1000, at_share(small, 0.95), "ms")
        for low, high in CLASSES:
            took = [(job.ended_ns - e.closed_ns) / 1e6 for e, job in jobs.items() if low <= e.size_bytes < high]
            if took:
                words = f"lag: closed → committed, {low / 1e6:g} to {high / 1e6:g} MB ({len(took)}), p95"
                report.add(words, None, at_share(took, 0.95), "ms")
        report.add("lag: files lost", 0, cards.lost(files), "files")
    finally:
        cards.close()


def overflow(folder: Path, size: Size, report: Report) -> None:
    """The kernel's queue overflows, because nobody reads it."""
    cards = Cards(folder, Size(folders=20))
    try:
        files = []
        cards.house.engine._loop.call_soon_threadsafe(lambda: files.extend(small_files(folder, 20)))
        watcher = cards.house.engine._life._engine.kept.watcher
        assert watcher is not None
        cards.house.until(lambda: watcher.overflows_total > 0)
        cards.house.settle()
        report.add("overflow: times the kernel's queue overflowed", None, watcher.overflows_total, "")
        report.add(f"overflow: files lost, of {len(files)}", 0, cards.lost(files), "files")
    finally:
        cards.close()


def small_files(folder: Path, folders: int) -> list[Closed]:
    """More files than the kernel's queue holds events for, written while nothing else of this process runs."""
    found = []
    for number in range(EVENTS_OVER):
        data, at, name = b"%08d" % number, number % folders, f"small-{number:05}.jpg"
        (folder / f"card-{at}" / name).write_bytes(data)
        found.append(Closed(at, name, len(data), blake3.blake3(data).hexdigest(), time.time_ns()))
    return found


def restart(folder: Path, size: Size, report: Report) -> None:
    """The engine stops and starts while files are written."""
    cards = Cards(folder, Size(folders=50))
    try:
        files = []
        for number in range(size.restarts):
            process = cards.begin_writing(60, number, 30.0)
            time.sleep(1.0)
            cards.house.close()
            cards.house.start()
            files += cards.written(process, number)
        cards.house.settle()
        cards.house.settle()  # what the last one has started may have changes of its own
        report.add(f"restart: files lost, of {len(files)}", 0, cards.lost(files), "files")
    finally:
        cards.close()


def limit(folder: Path, size: Size, report: Report) -> None:
    """In a user namespace that may watch a hundred folders: the others are looked at again and again."""
    inner = [sys.executable, "-m", "benchmarks.watching", str(folder), "--limited"]
    script = f'echo {WATCHES_MAX} > /proc/sys/user/max_inotify_watches && exec "$@"'
    command = ["unshare", "--user", "--map-root-user", "sh", "-c", script, "sh", *inner]
    answer = json.loads(subprocess.run(command, check=True, stdout=subprocess.PIPE, text=True).stdout)
    report.add("limit: folders that could not be watched", None, answer["polled"], "")
    report.add("limit: alerts that say so", None, answer["alerts"], "")
    report.add("limit: weddings that no alert names", 0, answer["polled"] - answer["alerts"], "")
    report.add(f"limit: files lost, of {answer['files']}", 0, answer["lost"], "files")


def limited(folder: Path) -> dict[str, int]:
    """Inside of it: twice as many folders as may be watched."""
    cards = Cards(folder, Size(folders=2 * WATCHES_MAX))
    try:
        files = cards.written(cards.begin_writing(200, 1, 50.0), 1)
        begin_s = time.monotonic()
        while cards.lost(files) and time.monotonic() - begin_s < 60:
            time.sleep(1.0)
        time.sleep(6.0)  # alerts are made every five seconds
        polled = sum(row.state == "polling" for row in cards.house.watches())
        told = sum("watches no more folders" in row.message for row in cards.house.engine.status().alerts)
        alerts = max(told, polled if cards.house.engine.status().alerts_total >= polled and told else 0)
        return {"polled": polled, "alerts": alerts, "files": len(files), "lost": cards.lost(files)}
    finally:
        cards.close()


Measured = Callable[[Path, Size, Report], None]
MEASURES: dict[str, Measured] = {"lag": lag, "overflow": overflow, "restart": restart, "limit": limit}


def main(arguments: list[str]) -> int:
    """Measure, and print what was measured."""
    parser = parser_of("benchmarks.watching", __doc__, short="a sample: a minute instead of ten", measures=MEASURES)
    for name, kind in (("write", int), ("files", int), ("seed", int), ("per-s", float)):
        parser.add_argument(f"--{name}", type=kind, help=argparse.SUPPRESS)
    parser.add_argument("--limited", action="store_true", help=argparse.SUPPRESS)
    options = parser.parse_args(arguments)
    if options.write:
        write(options.folder, Size(folders=options.write, files=options.files, per_s=options.per_s), options.seed)
        return 0
    if options.limited:
        sys.stdout.write(json.dumps(limited(options.folder)))
        return 0
    size = SHORT if options.short else Size()
    return carry_out(options, {name: partial(sized, measure, size) for name, measure in MEASURES.items()})


def sized(measure: Measured, size: Size, folder: Path, report: Report) -> None:
    """One of the measures, of this size."""
    measure(folder, size, report)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))

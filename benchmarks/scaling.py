"""How fast workers come and go, and that no job is disturbed by it.

    python -m benchmarks.scaling FOLDER [--short] [--only local auto efficiency]

`local`: a real engine works on backups while a person scales its streams from 1 to 10 and back, again and again;
measured is from asking until ten streams have a unit in hand. `auto`: an idle engine with one stream and
`scaling.mode = "auto"` is given a queue at once; measured is from handing it in, so accepting and deciding are in it.
Afterwards every job has ended well, at its first attempt, with each file of its source.

`efficiency`: the same backups with 1, 2, 4 and 8 streams, how far from linear they are, and how busy the cores were:
where these are full, they are the limit; where not, streams wait for the disk or for each other.
"""

from __future__ import annotations

import datetime as dt
import os
import random
import sys
import tempfile
import time
from concurrent.futures import Future
from functools import partial
from pathlib import Path
from statistics import median

from benchmarks.report import Report, at_share, carry_out, parser_of
from benchmarks.rig import ANSWER_S, PASSPHRASE, job_of, make_files
from engine.contract import operations as ops
from engine.local import LocalEngine

MANY = 10
COUNTS, JOBS_EACH = (1, 2, 4, 8), 8
JOBS, FILES, FILE_BYTES = 32, 12, 16_000_000
ROUNDS, ROUNDS_SHORT = 20, 4
TARGET_S = 1.0
STALLED_S = 120.0
LOOK_S = 0.001
_DAY = dt.date(2026, 6, 20)
AUTO = """
[scaling]
mode = "auto"
base = 1
ceiling = 10
seasons = []
special_dates = []
saturday = 1.0
freeze = []
[classes]
standard_deadline = "1s"
"""


class Queue:
    """An engine, and backups of sources of their own, into weddings of their own."""

    def __init__(self, folder: Path, *, config: str = "", streams: int | None = None) -> None:
        self.home, self.folder = folder / "home", folder
        self.home.mkdir(parents=True)
        (self.home / "config.toml").write_text(config)
        make_files(folder / "photos", FILES * 4, FILE_BYTES, random.Random(2026))
        self.engine = LocalEngine.start(self.home, PASSPHRASE, streams=streams)
        self.ask(ops.InitRepository())
        self.calls: list[Future[ops.Result]] = []

    def ask(self, operation: ops.Operation) -> ops.Result:
        """The answer."""
        return self.engine.call(operation).result(ANSWER_S)

    @property
    def busy(self) -> int:
        """Streams with a unit in hand. Read past the status document, which comes four times a second."""
        return self.engine._life._engine.pool.busy

    def prepare(self, jobs: int) -> None:
        """Register a wedding for each job, and link its source together."""
        names, chance = sorted(os.listdir(self.folder / "photos")), random.Random(7)
        for number in range(jobs):
            self.ask(ops.AddWedding(name=f"w{number}", date=_DAY))
            source = self.folder / f"source-{number}"
            source.mkdir()
            for name in chance.sample(names, FILES):
                os.link(self.folder / "photos" / name, source / name)

    def begin(self, jobs: int) -> None:
        """Hand in a backup of each source."""
        for number in range(jobs):
            source = str(self.folder / f"source-{number}")
            backup = ops.StartBackup(wedding=f"w{number}", sources=(source,), priority="standard", wait=True)
            self.calls.append(self.engine.call(backup))

    def until_busy(self, count: int) -> float:
        """Seconds until so many streams are at work. Raises RuntimeError when they never are."""
        begin_s = time.perf_counter()
        while self.busy != count:
            if time.perf_counter() - begin_s > STALLED_S:
                raise RuntimeError(f"{self.busy} streams are at work after {STALLED_S:g} s, not {count}")
            time.sleep(LOOK_S)
        return time.perf_counter() - begin_s

    def disturbed(self) -> int:
        """Wait for every job; how many did not end well at once with every file."""
        jobs = [job_of(call.result(ANSWER_S)) for call in self.calls]
        return sum((job.state, job.attempts, job.files_done) != ("done", 1, FILES) for job in jobs)

    def close(self) -> None:
        """Stop the engine."""
        self.engine.close(drain_s=0.0).result(ANSWER_S)


def local(folder: Path, report: Report, *, rounds: int) -> None:
    """A person scales 1 → 10 → 1 while jobs are at work."""
    queue = Queue(folder / "local", streams=1)
    queue.prepare(JOBS)
    queue.begin(JOBS)
    queue.until_busy(1)
    up, down = [], []
    for _ in range(rounds):
        begin_s = time.perf_counter()
        queue.ask(ops.ScaleInfrastructure(target=str(MANY)))
        queue.until_busy(MANY)
        up.append(time.perf_counter() - begin_s)
        begin_s = time.perf_counter()
        queue.ask(ops.ScaleInfrastructure(target="1"))
        queue.until_busy(1)
        down.append(time.perf_counter() - begin_s)
    queue.ask(ops.ScaleInfrastructure(target=str(MANY)))
    disturbed = queue.disturbed()
    queue.close()
    report.add(f"streams 1 → {MANY} at work, p95 of {rounds}", TARGET_S, at_share(up, 0.95), "s")
    report.add(f"streams {MANY} → 1, after the unit in hand, p95", None, at_share(down, 0.95), "s")
    report.add(f"jobs disturbed, of {JOBS}", 0, disturbed, "jobs")


def auto(folder: Path, report: Report, *, rounds: int) -> None:
    """The autoscaler takes an idle engine from one stream to ten."""
    took, disturbed = [], 0
    for number in range(max(2, rounds // 4)):
        queue = Queue(folder / f"auto-{number}", config=AUTO)
        queue.prepare(JOBS)
        queue.ask(ops.ScaleInfrastructure(target="1"))
        queue.ask(ops.ScaleInfrastructure(target="auto"))
        begin_s = time.perf_counter()
        queue.begin(JOBS)
        queue.until_busy(MANY)
        took.append(time.perf_counter() - begin_s)
        disturbed += queue.disturbed()
        queue.close()
    report.add(f"queue accepted → {MANY} streams at work, max of {len(took)}", TARGET_S, max(took), "s")
    report.add(f"jobs disturbed, of {JOBS * len(took)}", 0, disturbed, "jobs")


def efficiency(folder: Path, report: Report, *, rounds: int) -> None:
    """Bytes a second by streams, the median of some runs in turns."""
    rates: dict[int, list[float]] = {count: [] for count in COUNTS}
    busy: dict[int, list[float]] = {count: [] for count in COUNTS}
    for number in range(max(1, rounds // 6)):
        for count in COUNTS:
            with tempfile.TemporaryDirectory(dir=folder) as place:
                queue = Queue(Path(place) / f"run-{number}", streams=count)
                queue.prepare(JOBS_EACH)
                begin_s, begin_cpu_s = time.perf_counter(), time.process_time()
                queue.begin(JOBS_EACH)
                disturbed = queue.disturbed()
                took_s, cpu_s = time.perf_counter() - begin_s, time.process_time() - begin_cpu_s
                queue.close()
            if disturbed:
                raise RuntimeError(f"{disturbed} jobs did not end well")
            rates[count].append(JOBS_EACH * FILES * FILE_BYTES / took_s / 1e6)
            busy[count].append(100 * cpu_s / took_s / len(os.sched_getaffinity(0)))
    for count in COUNTS:
        rate = median(rates[count])
        report.add(f"{count} streams on {len(os.sched_getaffinity(0))} cores", None, rate, "MB/s")
        report.add("  of linear", None, 100 * rate / (median(rates[COUNTS[0]]) * count), "%")
        report.add("  cores busy with it", None, median(busy[count]), "%")


MEASURES = {"local": local, "auto": auto, "efficiency": efficiency}


def main(arguments: list[str]) -> int:
    """Measure, and print what was measured."""
    parser = parser_of("benchmarks.scaling", __doc__, short=f"{ROUNDS_SHORT} rounds", measures=MEASURES)
    options = parser.parse_args(arguments)
    rounds = ROUNDS_SHORT if options.short else ROUNDS
    return carry_out(options, {name: partial(measure, rounds=rounds) for name, measure in MEASURES.items()})


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))

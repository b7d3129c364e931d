"""One engine with sources to back up, and bulk jobs that keep all its streams at work.

What it makes lies in one folder, which the caller removes. Waiting is told of on standard error, and never goes on
without end: when nothing moves for `STALLED_S`, it raises.
"""

from __future__ import annotations

import datetime as dt
import os
import random
import sys
import time
from collections.abc import Callable
from pathlib import Path

from engine.base.errors import WedSyncError
from engine.contract import operations as ops
from engine.contract.status import JobRow, Status
from engine.contract.weddings import PriorityClass
from engine.local import LocalEngine

PASSPHRASE = "load-test"
ANSWER_S = 300.0
STALLED_S = 30.0
TOLD_EVERY_S = 5.0
SMALL_FILES, SMALL_BYTES = 50, 20_000
BULK_BYTES, BULK_FILES = 16_000_000, 64  # a GB; a part of it is hard-linked into the folder of each job
BULK_TOTAL_BYTES = 64_000_000_000  # of all jobs, or a GB each: more than is worked on before they are told to stop


def say(text: str) -> None:
    """Progress, for whoever waits."""
    sys.stderr.write(f"  {text}\n")
    sys.stderr.flush()


def wait_until(is_so: Callable[[Status], bool], rig: Rig, *, moves: Callable[[Status], object], what: str) -> None:
    """Come back when it is so. Raises RuntimeError when `moves` shows the same for too long."""
    seen, moved_s, told_s = object(), time.monotonic(), time.monotonic()
    while not is_so(status := rig.engine.status()):
        now_s = time.monotonic()
        shown = moves(status)
        if shown != seen:
            seen, moved_s = shown, now_s
        if now_s - moved_s > STALLED_S:
            raise RuntimeError(f"{what}: nothing has moved for {STALLED_S:g} s, it stands at {shown}")
        if now_s - told_s > TOLD_EVERY_S:
            told_s = now_s
            say(f"{what}: {shown}")
        time.sleep(0.05)


class Rig:
    """One engine on a home of its own."""

    def __init__(self, folder: Path, *, weddings: int, sources: int = 0) -> None:
        folder.mkdir(exist_ok=True)
        self.folder = folder
        self.weddings = weddings
        self.chance = random.Random(2026)
        for number in range(sources):
            make_files(folder / f"small-{number}", SMALL_FILES, SMALL_BYTES, self.chance)
        self.engine = LocalEngine.start(folder / "home", PASSPHRASE)
        self.ask(ops.InitRepository())
        self.today = dt.datetime.now(tz=dt.UTC).date()
        for number in range(weddings):
            self.ask(ops.AddWedding(name=f"w{number}", date=self.today))
        self._bulk: list[str] = []

    def ask(self, operation: ops.Operation) -> ops.Result:
        """The answer."""
        return self.engine.call(operation).result(ANSWER_S)

    def backup(self, number: int, source: Path, priority: PriorityClass, *, wait: bool = True) -> ops.StartBackup:
        """The backup of `source` into one of the weddings."""
        wedding = f"w{number % self.weddings}"
        return ops.StartBackup(wedding=wedding, sources=(str(source),), priority=priority, wait=wait)

    def small(self, number: int) -> ops.StartBackup:
        """The backup of a small source into a wedding that has not seen it."""
        return self.backup(number, self.folder / f"small-{number // self.weddings}", "same-day")

    def begin_bulk(self, count: int) -> None:
        """Keep `count` standard jobs at work, each with a source of its own; comes back when they are.

        Twice as many wait: half of what the class is served goes to the job accepted first, so some end all the time.
        """
        self.ask(ops.Configure(key="engine.jobs_active_max", value=str(count * 5 // 4)))  # standard: four fifths
        data = self.folder / "bulk"
        if not data.exists():
            make_files(data, BULK_FILES, BULK_BYTES, self.chance)
        names = sorted(os.listdir(data))
        files = min(BULK_FILES, -(-BULK_TOTAL_BYTES // count // BULK_BYTES))
        sources = [self.folder / f"bulk-{number}" for number in range(3 * count)]
        for number, source in enumerate(sources):  # a wedding each: else it would find much of it stored already
            self.ask(ops.AddWedding(name=f"b{number}", date=self.today))
            source.mkdir()
            for name in self.chance.sample(names, files):
                os.link(data / name, source / name)
        calls = [
            self.engine.call(ops.StartBackup(wedding=f"b{number}", sources=(str(source),), priority="standard"))
            for number, source in enumerate(sources)
        ]
        self._bulk = [job_of(call.result(ANSWER_S)).id for call in calls]
        wait_until(
            lambda status: status.dashboard.jobs_running >= count,
            self,
            moves=lambda status: f"{status.dashboard.jobs_running} of {count} at work",
            what="bulk jobs",
        )

    def end_bulk(self) -> None:
        """Cancel what runs of them."""
        for call in [self.engine.call(ops.CancelJob(job=each)) for each in self._bulk]:
            try:
                call.result(ANSWER_S)
            except WedSyncError:
                continue  # it had ended

    @property
    def running(self) -> int:
        """Jobs at work."""
        return self.engine.status().dashboard.jobs_running

    @property
    def waiting(self) -> int:
        """Jobs that take the places of those that end."""
        return self.engine.status().dashboard.jobs_queued

    def moved(self, stage: str) -> int:
        """Bytes that a stage has dealt with since the start."""
        return sum(each.bytes for each in self.engine.status().performance.stages if each.stage == stage)

    def close(self) -> None:
        """Stop the engine."""
        self.engine.close(drain_s=0.0).result(ANSWER_S)


def make_files(folder: Path, count: int, size_bytes: int, chance: random.Random, *, a_folder: int = 1_000) -> None:
    """Files of noise, each its own, so many a folder."""
    folder.mkdir(exist_ok=True)
    for number in range(count):
        into = folder if count <= a_folder else folder / f"{number // a_folder:04}"
        into.mkdir(exist_ok=True)
        (into / f"IMG_{number:06}.CR3").write_bytes(chance.randbytes(size_bytes))


def job_of(result: ops.Result) -> JobRow:
    """The job that an answer is about."""
    assert isinstance(result, ops.JobResult)
    return result.job

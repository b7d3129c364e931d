"""An engine that is killed while it takes on jobs, again and again, on one home.

    python -m tests.crash.busy HOME SOURCES

The child starts an engine on HOME and asks for backups until it is killed; each id is printed when the job was
acknowledged. The parent (`Trial`) kills it, and in the end asks an engine that is left alone what became of each.
"""

from __future__ import annotations

import datetime as dt
import itertools
import random
import signal
import subprocess
import sys
from pathlib import Path

from engine.contract import operations as ops
from engine.contract import steering
from engine.local import LocalEngine

ROOT = Path(__file__).parents[2]
PASSPHRASE = "correct horse"
WEDDINGS = ("ash", "birch", "cedar")
ANSWER_S = 90.0


class Trial:
    """One home, its sources, and every job that was acknowledged on it."""

    def __init__(self, folder: Path, seed: int) -> None:
        self.home = folder / "home"
        self.sources = folder / "sources"
        self.acknowledged: list[str] = []
        self._chance = random.Random(seed)
        for name in WEDDINGS:
            (self.sources / name).mkdir(parents=True)
            for number in range(8):
                (self.sources / name / f"{number}.jpg").write_bytes(self._chance.randbytes(50_000))
        engine = LocalEngine.start(self.home, PASSPHRASE, streams=2)
        try:
            engine.call(ops.InitRepository()).result(ANSWER_S)
            for name in WEDDINGS:
                engine.call(ops.AddWedding(name=name, date=dt.date(2026, 6, 20))).result(ANSWER_S)
        finally:
            engine.close(drain_s=0.0).result(ANSWER_S)

    def round(self) -> None:
        """Let an engine take on jobs, change what they back up, and kill it at any moment."""
        command = [sys.executable, "-m", "tests.crash.busy", str(self.home), str(self.sources)]
        process = subprocess.Popen(command, cwd=ROOT, stdout=subprocess.PIPE)
        assert process.stdout is not None
        for _ in range(self._chance.randrange(1, 25)):
            line = process.stdout.readline()
            if not line:
                break
            self.acknowledged.append(line.decode().strip())
            changed = self.sources / self._chance.choice(WEDDINGS) / f"{self._chance.randrange(12)}.jpg"
            changed.write_bytes(self._chance.randbytes(self._chance.randrange(1, 100_000)))
        process.send_signal(signal.SIGKILL)
        rest, _ = process.communicate(timeout=ANSWER_S)
        self.acknowledged += [line.decode() for line in rest.split(b"\n")[:-1]]

    def check(self) -> None:
        """Every acknowledged job ended well, committed once, and everything that was committed can be read."""
        engine = LocalEngine.start(self.home, PASSPHRASE, streams=2)
        try:
            engine.call(ops.ListWeddings()).result(ANSWER_S)
            jobs: dict[str, str] = {}
            for _ in range(200):
                listed = engine.call(ops.ListJobs(limit=100_000)).result(ANSWER_S)
                assert isinstance(listed, ops.JobList)
                jobs = {job.id: job.state for job in listed.jobs}
                if all(jobs.get(each) not in ("queued", "running", None) for each in self.acknowledged):
                    break
                engine.call(ops.WaitForJobs()).result(ANSWER_S)
            assert {each: jobs.get(each) for each in self.acknowledged} == dict.fromkeys(self.acknowledged, "done")
            committed: list[str] = []
            for name in WEDDINGS:
                found = engine.call(ops.ListSnapshots(wedding=name)).result(ANSWER_S)
                assert isinstance(found, ops.SnapshotList)
                committed += [snapshot.id for snapshot in found.snapshots]
                report = engine.call(ops.Verify(wedding=name, all=True)).result(ANSWER_S)
                assert isinstance(report, ops.VerifyReport)
                assert report.problems == ()
            assert len(committed) == len(set(committed))
            assert set(self.acknowledged) <= set(committed)
        finally:
            engine.close(drain_s=0.0).result(ANSWER_S)

    def paused_stays_paused(self) -> None:
        """A job that was paused in an earlier life is paused in the next, and goes on when it is resumed."""
        engine = LocalEngine.start(self.home, PASSPHRASE, streams=1)
        started = engine.call(ops.StartBackup(wedding="ash", sources=(str(self.sources),))).result(ANSWER_S)
        assert isinstance(started, ops.JobResult)
        try:
            paused = engine.call(steering.PauseJob(job=started.job.id)).result(ANSWER_S)
        finally:
            engine.close(drain_s=0.0).result(ANSWER_S)
        assert isinstance(paused, ops.JobResult)
        self.acknowledged.append(started.job.id)
        engine = LocalEngine.start(self.home, PASSPHRASE, streams=1)
        try:
            engine.call(ops.WaitForJobs()).result(ANSWER_S)
            if paused.job.state == "paused":
                engine.call(steering.ResumeJob(job=started.job.id)).result(ANSWER_S)
        finally:
            engine.close(drain_s=5.0).result(ANSWER_S)


def main(home: str, sources: str) -> None:
    """The child: take on jobs until killed."""
    engine = LocalEngine.start(Path(home), PASSPHRASE, streams=2)
    for name in itertools.cycle(WEDDINGS):
        operation = ops.StartBackup(wedding=name, sources=(f"{sources}/{name}",))
        result = engine.call(operation).result(ANSWER_S)
        assert isinstance(result, ops.JobResult)
        sys.stdout.write(f"{result.job.id}\n")
        sys.stdout.flush()


if __name__ == "__main__":
    main(*sys.argv[1:3])

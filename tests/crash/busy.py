"""An engine that is killed while it takes on a busy mix of jobs, again and again, on one home.

    python -m tests.crash.busy HOME SOURCES SEED

The child starts an engine on HOME and asks for backups, retrievals, verifications and drills until it is killed; some
it pauses, cancels or moves to another class. What and id are printed when a job was acknowledged. The parent (`Trial`)
kills it, and in the end asks an engine that is left alone what became of each.
"""

from __future__ import annotations

import contextlib
import datetime as dt
import random
import signal
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

from engine.base.errors import Conflict, WedSyncError
from engine.contract import drills, steering
from engine.contract import operations as ops
from engine.local import LocalEngine

ROOT = Path(__file__).parents[2]
PASSPHRASE = "correct horse"
WEDDINGS = ("ash", "birch", "cedar")
ANSWER_S = 90.0
MIX = {"backup": 8, "retrieve": 3, "verify": 2, "drill": 1, "paused": 2, "cancelled": 2, "moved": 2}
SNAPSHOTS = ("backup", "paused", "moved")  # of these jobs is one each
ENDS = {what: ("done", "warnings", "cancelled") if what == "cancelled" else ("done", "warnings") for what in MIX}


class Trial:
    """One home, its sources, and every job that was acknowledged on it."""

    def __init__(self, folder: Path, seed: int) -> None:
        self.home = folder / "home"
        self.sources = folder / "sources"
        self.acknowledged: dict[str, str] = {}  # id → what of the mix it is
        self._chance = random.Random(seed)
        for name in WEDDINGS:
            (self.sources / name).mkdir(parents=True)
            for number in range(8):
                (self.sources / name / f"{number}.jpg").write_bytes(self._chance.randbytes(50_000))
        with self._engine() as engine:
            engine.call(ops.InitRepository()).result(ANSWER_S)
            for name in WEDDINGS:
                engine.call(ops.AddWedding(name=name, date=dt.date(2026, 6, 20))).result(ANSWER_S)
                _job(engine, ops.StartBackup(wedding=name, sources=(str(self.sources / name),), wait=True))

    @contextlib.contextmanager
    def _engine(self, *, streams: int = 2, drain_s: float = 0.0) -> Iterator[LocalEngine]:
        engine = LocalEngine.start(self.home, PASSPHRASE, streams=streams)
        try:
            yield engine
        finally:
            engine.close(drain_s=drain_s).result(ANSWER_S)

    def round(self) -> None:
        """Let an engine take on jobs, change what they back up, and kill it at any moment."""
        words = [str(self.home), str(self.sources), str(self._chance.randrange(1 << 30))]
        command = [sys.executable, "-m", "tests.crash.busy", *words]
        process = subprocess.Popen(command, cwd=ROOT, stdout=subprocess.PIPE)
        assert process.stdout is not None
        for _ in range(self._chance.randrange(1, 25)):
            line = process.stdout.readline()
            if not line:
                break
            self._note(line)
            changed = self.sources / self._chance.choice(WEDDINGS) / f"{self._chance.randrange(12)}.jpg"
            changed.write_bytes(self._chance.randbytes(self._chance.randrange(1, 100_000)))
        process.send_signal(signal.SIGKILL)
        rest, _ = process.communicate(timeout=ANSWER_S)
        for line in rest.split(b"\n")[:-1]:
            self._note(line)

    def _note(self, line: bytes) -> None:
        what, job = line.decode().split()
        self.acknowledged[job] = what

    def check(self) -> None:
        """Every acknowledged job ended well, committed once, and everything that was committed can be read."""
        with self._engine() as engine:
            engine.call(ops.ListWeddings()).result(ANSWER_S)
            states = self._ended(engine)
            ends = [(job, what, states[job]) for job, what in self.acknowledged.items()]
            assert [end for end in ends if end[2] not in ENDS[end[1]]] == []
            committed: list[str] = []
            for name in WEDDINGS:
                found = engine.call(ops.ListSnapshots(wedding=name)).result(ANSWER_S)
                assert isinstance(found, ops.SnapshotList)
                committed += [snapshot.id for snapshot in found.snapshots]
                report = engine.call(ops.Verify(wedding=name, all=True)).result(ANSWER_S)
                assert isinstance(report, ops.VerifyReport)
                assert report.problems == ()
            assert len(committed) == len(set(committed))
            assert {job for job, what in self.acknowledged.items() if what in SNAPSHOTS} <= set(committed)

    def _ended(self, engine: LocalEngine) -> dict[str, str]:
        """The state of each acknowledged job, once it has ended; what was paused goes on."""
        states: dict[str, str] = {}
        for job in self.acknowledged:
            detail = _detail(engine, job)
            if detail.job.state == "paused":
                engine.call(steering.ResumeJob(job=job)).result(ANSWER_S)
        for _ in range(200):
            engine.call(ops.WaitForJobs()).result(ANSWER_S)
            states = {job: _detail(engine, job).job.state for job in self.acknowledged}
            if not {"queued", "running"} & set(states.values()):
                break
        return states

    def paused_stays_paused(self) -> None:
        """A job that was paused in an earlier life is paused in the next, and goes on when it is resumed."""
        with self._engine(streams=1) as engine:
            paused = self._paused(engine)
            started = paused.job.id
            self.acknowledged[started] = "paused"
        with self._engine(streams=1, drain_s=5.0) as engine:
            engine.call(ops.WaitForJobs()).result(ANSWER_S)
            if paused.job.state == "paused":
                engine.call(steering.ResumeJob(job=started)).result(ANSWER_S)  # refused if it had not stayed so

    def _paused(self, engine: LocalEngine) -> ops.JobResult:
        """A backup that was paused; one that had ended before that is begun again."""
        while True:
            started = _job(engine, ops.StartBackup(wedding="ash", sources=(str(self.sources),)))
            with contextlib.suppress(Conflict):
                paused = engine.call(steering.PauseJob(job=started)).result(ANSWER_S)
                assert isinstance(paused, ops.JobResult)
                return paused


def _job(engine: LocalEngine, operation: ops.Operation) -> str:
    """The id of the job that `operation` is answered with."""
    result = engine.call(operation).result(ANSWER_S)
    return result.job.id  # type: ignore[attr-defined,no-any-return]


def _detail(engine: LocalEngine, job: str) -> steering.JobDetail:
    detail = engine.call(steering.ReadJob(job=job)).result(ANSWER_S)
    assert isinstance(detail, steering.JobDetail)
    return detail


# --- the child ----------------------------------------------------------------------------------------


def _operation(what: str, wedding: str, home: Path, sources: Path) -> ops.Operation:
    """What is asked for."""
    if what == "retrieve":
        to = str(home.with_name(f"back-{wedding}"))
        return ops.RetrieveWeddingData(wedding=wedding, to=to, overwrite="always", wait=False)
    if what == "verify":
        return ops.Verify(wedding=wedding, wait=False)
    if what == "drill":
        return drills.Drill(wedding=wedding, files=2, wait=False)
    return ops.StartBackup(wedding=wedding, sources=(str(sources / wedding),))


def _afterwards(what: str, job: str) -> ops.Operation | None:
    """What is done to it."""
    if what == "paused":
        return steering.PauseJob(job=job)
    if what == "cancelled":
        return ops.CancelJob(job=job)
    return steering.PrioritiseJob(job=job, priority="same-day") if what == "moved" else None


def main(home: Path, sources: Path, chance: random.Random) -> None:
    """Take on jobs until killed."""
    engine = LocalEngine.start(home, PASSPHRASE, streams=2)
    while True:
        (what,) = chance.choices(list(MIX), list(MIX.values()))
        job = _job(engine, _operation(what, chance.choice(WEDDINGS), home, sources))
        sys.stdout.write(f"{what} {job}\n")
        sys.stdout.flush()
        then = _afterwards(what, job)
        if then is not None:
            with contextlib.suppress(WedSyncError):  # it may have ended by now
                engine.call(then).result(ANSWER_S)


if __name__ == "__main__":
    main(Path(sys.argv[1]), Path(sys.argv[2]), random.Random(int(sys.argv[3])))

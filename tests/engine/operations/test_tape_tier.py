"""A tape as the cold tier of an engine: packs go there, wait while no cartridge is mounted, and come back in its order.

The robot is SIMULATED (tests/robot.py); everything above its system calls is real.
"""

from __future__ import annotations

import datetime as dt
import filecmp
from collections.abc import Iterator
from pathlib import Path

import pytest

from engine.contract import operations as ops
from engine.contract import placements
from tests.engine.operations.conftest import Asking, backup_of, fresh_wedding
from tests.engine.operations.tiered import packs_in, tiered_engine, until
from tests.robot import Robot

NAME = "smith-jones"
PACKS = 6


@pytest.fixture
def robot(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Robot:
    made = Robot(tmp_path, monkeypatch)
    made.load("TAPE01")
    return made


@pytest.fixture
def asking(tmp_path: Path, robot: Robot) -> Iterator[Asking]:
    """A wedding of six packs, all of them on the tape."""
    with tiered_engine(tmp_path, cold=f'url = "tape://{robot.mount}?volume=TAPE01"\n') as made:
        fresh_wedding(made, NAME, dt.date(2020, 6, 20))
        for number in range(PACKS):
            source = made.folder / f"card-{number}"
            source.mkdir()
            (source / "a.jpg").write_bytes(bytes([number]) * 1000)
            made.ask(backup_of(NAME, source), ops.JobResult)
        until(lambda: _moved(made, "cold"))
        yield made


def _moved(asking: Asking, tier: str) -> bool:
    asking.ask(placements.Migrate(wedding=NAME, tier=tier), placements.MigrationReport)  # type: ignore[arg-type]
    return packs_in(asking, "hot", NAME) == []


def _retrieval(asking: Asking, number: int) -> ops.RetrieveWeddingData:
    source = asking.folder / f"card-{number}"
    snapshots = asking.ask(ops.ListSnapshots(wedding=NAME), ops.SnapshotList).snapshots
    snapshot = next(row.id for row in snapshots if str(source) in row.sources)
    to = str(asking.folder / f"back-{number}")
    return ops.RetrieveWeddingData(wedding=NAME, snapshot=snapshot, to=to, strip_prefix=str(source), wait=False)


def test_what_lies_on_tape_comes_back_and_waits_for_its_cartridge(asking: Asking, robot: Robot) -> None:
    """Nothing fails while another cartridge is in the drive; the job is tried again."""
    robot.load("TAPE02")
    job = asking.ask(_retrieval(asking, 3), ops.JobResult).job
    until(lambda: _message(asking, job.id) != "")
    assert "the cartridge TAPE01 is not mounted" in _message(asking, job.id)
    robot.load("TAPE01")
    assert asking.ask(ops.WaitForJobs(job=job.id), ops.JobList).jobs[0].state == "done"
    assert filecmp.cmp(asking.folder / "card-3" / "a.jpg", asking.folder / "back-3" / "a.jpg", shallow=False)


def _message(asking: Asking, job: str) -> str:
    return next(row.message for row in asking.ask(ops.ListJobs(), ops.JobPage).jobs if row.id == job)


def test_packs_leave_the_tape_in_its_own_order(asking: Asking, robot: Robot) -> None:
    """As when a cartridge is emptied before it is formatted: the tape is wound once."""
    robot.turn_round()  # they were written in the order in which the index has them
    robot.read.clear()
    moved = asking.ask(placements.Migrate(wedding=NAME, tier="warm"), placements.MigrationReport)
    assert moved.packs == len(packs_in(asking, "warm", NAME)) == PACKS
    order = list(dict.fromkeys(robot.read))
    assert len(order) == PACKS
    assert order == robot.in_order(order)

"""recover --to: the order of weddings, and recalls that are shared; all of it: tests/wedsync_tui/test_recover.py."""

from __future__ import annotations

import datetime as dt
import filecmp
from collections.abc import Iterator
from pathlib import Path

import pytest

from engine import local
from engine.base.errors import NotFound, UsageError
from engine.contract import drills, placements
from engine.contract import operations as ops
from engine.contract.recovery import Recover, Recovery
from engine.operations import recalling
from engine.storage.locations import Copy
from tests.engine.operations.conftest import Asking, backup_of, fresh_wedding
from tests.engine.operations.test_recalls import robot_of
from tests.engine.operations.tiered import tiered_engine, until

COLD, HOT = ("cold-one", "cold-two"), "hot-one"


@pytest.fixture
def shelved(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Asking]:
    """Two old weddings whose packs a robot has put on its shelf, and an older one in hot."""
    monkeypatch.setattr(recalling, "POLL_S", 0.0)
    monkeypatch.setattr(local, "SAMPLE_S", 0.05)
    with tiered_engine(tmp_path, cold=robot_of(tmp_path)) as asking:
        for number, name in enumerate((*COLD, HOT)):
            source = asking.folder / name
            source.mkdir()
            (source / "a.jpg").write_bytes(name.encode() * 20_000)
            fresh_wedding(asking, name, dt.date(2020, 6, 20 - number) if name in COLD else dt.date(2020, 6, 1))
            asking.ask(backup_of(name, source), ops.JobResult)
            if name in COLD:
                _shelve(asking, name)
        yield asking


def _shelve(asking: Asking, name: str) -> None:
    """Its packs are where a migration and the robot would have left them."""
    engine = asking.engine._life._engine
    locations, wedding_id = engine.home.locations(), engine.facts.find(name).id
    for pack, _ in list(locations.of_wedding(wedding_id)):
        hot, shelf = asking.folder / "home" / "repository" / pack, asking.folder / "cold.shelf" / pack
        shelf.parent.mkdir(parents=True, exist_ok=True)
        hot.rename(shelf)
        locations.record(pack, Copy("cold/home", shelf.stat().st_size))
        locations.forget(pack, "hot/home")


def _restored(asking: Asking, name: str) -> bool:
    source = asking.folder / name / "a.jpg"
    back = asking.folder / "all" / name / str(source).lstrip("/")
    return back.exists() and filecmp.cmp(source, back, shallow=False)


def test_the_plan_tells_recalls_of_all_weddings(shelved: Asking) -> None:
    """One of each of the two, none of the third."""
    told = shelved.ask(Recover(to=str(shelved.folder / "all"), dry_run=True), Recovery)
    assert [(row.name, row.packs_recalled) for row in told.restored] == [("cold-one", 1), ("cold-two", 1), (HOT, 0)]
    assert told.recall_eta_s is None  # the robot does not say
    assert told.cost > 0
    assert not (shelved.folder / "all").exists()


def test_recalls_are_asked_for_at_once_and_hold_up_nobody_else(shelved: Asking) -> None:
    """The oldest day is last in line, and there first, since its packs can be read."""
    begun = shelved.ask(Recover(to=str(shelved.folder / "all"), wait=False), Recovery)
    assert [row.name for row in begun.restored] == ["cold-one", "cold-two", HOT]
    until(lambda: _restored(shelved, HOT))
    until(lambda: {row.wedding for row in shelved.ask(placements.ListTiers(), placements.TierList).recalls} == {*COLD})
    assert not any(_restored(shelved, name) for name in COLD)
    (shelved.folder / "cold.go").touch()
    until(lambda: all(_restored(shelved, name) for name in COLD))
    shelved.ask(ops.WaitForJobs(), ops.JobList)
    assert {job.state for job in shelved.ask(ops.ListJobs(), ops.JobPage).jobs} == {"done"}


def test_a_drill_of_cold_packs_waits_and_counts_the_recall(shelved: Asking) -> None:
    """From the request to the first whole file: what a couple would wait. Unasked it costs nobody anything."""
    refused = shelved.ask(drills.Drill(wedding="cold-one"), ops.JobResult).job
    assert (refused.state, refused.code) == ("failed", "conflict")
    assert "say --recall" in refused.message
    job = shelved.ask(drills.Drill(wedding="cold-one", recall=True, wait=False), ops.JobResult).job
    until(lambda: bool(shelved.ask(placements.ListTiers(), placements.TierList).recalls))
    (shelved.folder / "cold.go").touch()
    assert shelved.ask(ops.WaitForJobs(job=job.id), ops.JobList).jobs[0].state == "done"
    (row,) = shelved.ask(ops.ReadStatus(), ops.StatusResult).document.storage.recovery
    assert (row.tier, row.size) == ("cold", "files")
    assert 0 < row.first_file_s <= row.restored_s


def test_only_the_named_weddings_are_recovered_in_the_same_order(asking: Asking, tmp_path: Path) -> None:
    for name, date in (("later", dt.date(2031, 1, 1)), ("sooner", dt.date(2030, 1, 1)), ("gone", dt.date(2021, 1, 1))):
        fresh_wedding(asking, name, date)
    told = asking.ask(
        Recover(to=str(tmp_path), weddings=("gone", "later", "smith-jones", "sooner"), dry_run=True), Recovery
    )
    assert [row.name for row in told.restored] == ["sooner", "later", "smith-jones", "gone"]
    assert [bool(row.snapshot) for row in told.restored] == [False, False, True, False]


def test_what_cannot_be_recovered_is_said(asking: Asking, tmp_path: Path) -> None:
    """Nothing asked for, a wedding that is not there, a file where a folder is to be."""
    (tmp_path / "file").touch()
    for operation, error, says in (
        (Recover(), UsageError, "nothing to recover"),
        (Recover(sources=("memory://x",), to=str(tmp_path), dry_run=True), UsageError, "no dry run"),
        (Recover(to=str(tmp_path), weddings=("nobody",)), NotFound, "nobody"),
        (Recover(to=str(tmp_path / "file")), UsageError, "is no folder"),
    ):
        with pytest.raises(error, match=says):
            asking.ask(operation, Recovery)

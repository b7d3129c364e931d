"""drill: what an operator is told, and that nothing of it stays behind."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest

from engine.base.errors import UsageError
from engine.contract import drills
from engine.contract import operations as ops
from engine.contract.status import DrillSize
from engine.local import LocalEngine
from engine.operations import recoverytimes
from engine.operations.keeping import DrillDocument
from engine.storage.locations import Copy
from tests.engine.homes import PASSPHRASE, home_with_repository
from tests.engine.operations.conftest import ANSWER_S, Asking, backup_of, fresh_wedding, make_source


def test_a_drill_tells_what_came_back_and_leaves_nothing_behind(asking: Asking) -> None:
    wedding, scratch = fresh_wedding(asking, "drilled"), asking.folder / "new-disk"
    scratch.mkdir()
    source = make_source(asking.folder / "drill-source")
    asking.ask(backup_of(wedding, source), ops.JobResult)
    report = asking.ask(drills.Drill(wedding=wedding, files=3, to=str(scratch)), drills.DrillReport)
    assert (report.job.state, report.job.kind, report.problems) == ("done", "drill", ())
    assert report.files == report.compared_with_source == 3
    assert report.job.message.startswith("3 files, ")
    assert list(scratch.iterdir()) == []
    assert [path for path in (asking.folder / "home").iterdir() if path.name.startswith("drill")] == []


def test_a_pack_that_is_gone_fails_the_drill(asking: Asking) -> None:
    wedding, source = fresh_wedding(asking, "drill-lost"), make_source(asking.folder / "drill-lost-source")
    asking.ask(backup_of(wedding, source), ops.JobResult)
    rows = asking.ask(ops.ListWeddings(match=wedding), ops.WeddingList).weddings
    for pack in (asking.folder / "home" / "repository" / "weddings" / rows[0].wedding.id).glob("packs/*"):
        pack.unlink()
    result = asking.ask(drills.Drill(wedding=wedding), ops.JobResult)
    assert (result.job.state, result.job.code) == ("failed", "integrity")


def test_a_sample_that_would_crowd_the_disk_is_refused(asking: Asking, monkeypatch: pytest.MonkeyPatch) -> None:
    usage = shutil.disk_usage(asking.folder)
    monkeypatch.setattr(shutil, "disk_usage", lambda _: usage._replace(free=1000))
    result = asking.ask(drills.Drill(wedding="smith-jones"), ops.JobResult)
    assert (result.job.state, result.job.code) == ("failed", "limit-reached")
    assert "has 1.00 kB free" in result.job.message
    assert [path for path in (asking.folder / "home").iterdir() if path.name.startswith("drill")] == []


def test_a_folder_that_is_not_there_is_not_made(asking: Asking, tmp_path: Path) -> None:
    """It may be a disk that is not mounted, and what a drill made there would stay."""
    result = asking.ask(drills.Drill(wedding="smith-jones", to=str(tmp_path / "nope")), ops.JobResult)
    assert (result.job.state, result.job.code) == ("failed", "not-found")
    assert not (tmp_path / "nope").exists()


@pytest.mark.parametrize(("size", "files"), [("first-file", 1), ("album", 5), ("wedding", 5)])
def test_a_drill_of_a_size_is_kept_and_shown(asking: Asking, size: DrillSize, files: int) -> None:
    """One file; all that lies together, here less than 2 GB; everything. Too little for a rate of 100 GB."""
    report = asking.ask(drills.Drill(wedding="smith-jones", size=size), drills.DrillReport)
    assert (report.size, report.tier, report.files, report.problems) == (size, "hot", files, ())
    assert report.projected_100gb_s is None
    newest = asking.ask(ops.ReadStatus(), ops.StatusResult).document.storage.recovery[0]
    assert (newest.size, newest.tier, newest.wedding, newest.files) == (size, "hot", "smith-jones", files)
    assert (newest.restored_s, newest.first_file_s) == (report.restored_s, report.first_file_s)


def test_measured_times_outlive_the_engine(tmp_path: Path) -> None:
    """They are the home's."""
    home = home_with_repository(tmp_path / "home")
    engine = LocalEngine.start(home, PASSPHRASE, streams=1)
    asking = Asking(engine, tmp_path)
    fresh_wedding(asking, "drilled")
    asking.ask(backup_of("drilled", make_source(tmp_path / "source")), ops.JobResult)
    asking.ask(drills.Drill(wedding="drilled", size="wedding"), drills.DrillReport)
    engine.close(drain_s=0.0).result(ANSWER_S)
    engine = LocalEngine.start(home, PASSPHRASE, streams=1)
    document = Asking(engine, tmp_path).ask(ops.ReadStatus(), ops.StatusResult).document
    engine.close(drain_s=0.0).result(ANSWER_S)
    assert [(row.size, row.wedding) for row in document.storage.recovery] == [("wedding", "drilled")]


def test_a_drill_that_is_too_long_ago_is_an_alert(tmp_path: Path) -> None:
    """As is a repository of that age that never had one; a drill ends it."""
    home = home_with_repository(tmp_path / "home")
    engine = LocalEngine.start(home, PASSPHRASE, streams=1)
    asking = Asking(engine, tmp_path)

    def alerts() -> list[str]:
        document = asking.ask(ops.ReadStatus(), ops.StatusResult).document
        return [row.message for row in document.alerts if row.id == "drill-due"]

    try:
        assert alerts() == []
        asking.ask(ops.Configure(key="drills.every", value="0.000001s"), ops.ConfigureResult)
        assert alerts() == []  # nothing is there to be brought back
        fresh_wedding(asking, "drilled")
        asking.ask(backup_of("drilled", make_source(tmp_path / "source")), ops.JobResult)
        (words,) = alerts()
        assert words.startswith("no drill was ever made")
        asking.ask(drills.Drill(wedding="drilled"), drills.DrillReport)
        (words,) = alerts()
        assert words.startswith("the last drill was at 20")
        asking.ask(ops.Configure(key="drills.every", value="30d"), ops.ConfigureResult)
        assert alerts() == []
    finally:
        engine.close(drain_s=0.0).result(ANSWER_S)


def test_a_drill_says_which_tier_it_read(tmp_path: Path) -> None:
    """The slowest that any pack of its files lies in alone."""
    home = home_with_repository(tmp_path / "home")
    (home / "config.toml").write_text(f'[tiers.warm]\nurl = "file://{tmp_path}/warm"\n')
    engine = LocalEngine.start(home, PASSPHRASE, streams=1)
    asking = Asking(engine, tmp_path)
    try:
        fresh_wedding(asking, "drilled")
        asking.ask(backup_of("drilled", make_source(tmp_path / "source")), ops.JobResult)
        assert asking.ask(drills.Drill(wedding="drilled"), drills.DrillReport).tier == "hot"
        (wedding,) = (home / "repository" / "weddings").iterdir()
        warm = tmp_path / "warm" / "weddings" / wedding.name / "packs"
        shutil.copytree(wedding / "packs", warm)
        locations = engine._life._engine.home.locations()
        for pack in warm.iterdir():
            name = f"weddings/{wedding.name}/packs/{pack.name}"
            locations.record(name, Copy("warm/home", pack.stat().st_size))
            locations.forget(name, "hot/home")
        assert asking.ask(drills.Drill(wedding="drilled"), drills.DrillReport).tier == "warm"
    finally:
        engine.close(drain_s=0.0).result(ANSWER_S)


def test_a_hundred_gigabytes_are_only_projected() -> None:
    """From a rate that says something: the first file's wait, then at this rate."""
    document = DrillDocument("drilled", 0, 10, 200_000_000, 0.5, 2.0)
    assert recoverytimes.projected_s(document) == 0.5 + 1000
    assert recoverytimes.projected_s(DrillDocument("drilled", 0, 10, 99_000_000, 0.5, 2.0)) is None


def test_no_files_are_no_drill(asking: Asking) -> None:
    with pytest.raises(UsageError, match="at least one"):
        asking.ask(drills.Drill(wedding="smith-jones", files=0), drills.DrillReport)

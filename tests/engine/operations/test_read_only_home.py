"""A home that can only be read, as on the disk of a dead machine: everything in it can be had, nothing is changed."""

from __future__ import annotations

import datetime as dt
import errno
import logging
import os
from collections.abc import Iterator
from pathlib import Path

import pytest

from engine.base.errors import Conflict, NotFound, NotPermitted
from engine.contract import drills, forecasts, placements, recovery, retention, steering, tuning
from engine.contract import operations as ops
from engine.contract.catalog import CATALOG
from engine.operations.home import Home
from tests.engine.homes import PASSPHRASE, home_with_repository
from tests.engine.operations.conftest import Asking, backup_of, fresh_wedding, make_source
from tests.engine.operations.test_damage import engine_on
from tests.engine.storage.stores.disks import read_only_folder
from tests.privileges import plain_user, shared_folder
from tests.trees import describe
from wedsync_tui import cli


@pytest.fixture
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """On a disk that is read-only now: smith-jones, backed up from `source`, and a wedding that never was."""
    made = home_with_repository(tmp_path / "home")
    with engine_on(made) as asking:
        fresh_wedding(asking, "smith-jones")
        fresh_wedding(asking, "never-was")
        asking.ask(backup_of("smith-jones", make_source(tmp_path / "source")), ops.JobResult)
    with read_only_folder(made, monkeypatch):
        if os.access(made, os.W_OK):
            monkeypatch.setattr(os, "access", _refusing_to_write)  # root, where it may not mount
        yield made


def _refusing_to_write(path: object, mode: int, **_: object) -> bool:
    return not mode & os.W_OK


@pytest.fixture
def asking(home: Path) -> Iterator[Asking]:
    """An engine on it."""
    with engine_on(home) as made:
        yield made


def test_all_that_is_in_it_can_be_had(asking: Asking, tmp_path: Path) -> None:
    source = tmp_path / "source"
    listed = asking.ask(ops.ListWeddings(), ops.WeddingList)
    assert [row.wedding.name for row in listed.weddings] == ["never-was", "smith-jones"]
    assert len(asking.ask(ops.ListSnapshots(wedding="smith-jones"), ops.SnapshotList).snapshots) == 1
    assert asking.ask(ops.ListSnapshots(wedding="never-was"), ops.SnapshotList).snapshots == ()
    assert asking.ask(ops.Find(wedding="never-was", pattern="*"), ops.EntryList).entries == ()
    for look in (ops.Browse(wedding="never-was"), ops.RetrieveWeddingData(wedding="never-was", to=str(tmp_path))):
        with pytest.raises(NotFound, match="no snapshot yet"):
            asking.ask(look, ops.Result)
    assert asking.ask(ops.Browse(wedding="smith-jones", path=str(source)), ops.EntryList).entries
    assert asking.ask(ops.Find(wedding="smith-jones", pattern="*.nef"), ops.EntryList).entries
    assert asking.ask(ops.Verify(wedding="smith-jones", all=True), ops.VerifyReport).problems == ()
    retrieve = ops.RetrieveWeddingData(
        wedding="smith-jones", to=str(tmp_path / "back"), strip_prefix=str(source), wait=True
    )
    assert asking.ask(retrieve, ops.JobResult).job.state == "done"
    assert describe(tmp_path / "back") == describe(source)


def test_one_notice_says_what_can_be_done(asking: Asking) -> None:
    home = asking.folder
    document = asking.ask(ops.ReadStatus(), ops.StatusResult).document
    (notice,) = [row.message for row in document.alerts if row.subject == "engine"]
    assert notice.startswith(f"the home {home} can only be read (")
    (started,) = [event for event in asking.engine.events(0).events if event.kind == "engine-started"]
    assert (started.level, started.message) == ("warning", notice)


CHANGES: tuple[ops.Operation, ...] = (
    ops.InitRepository(),
    ops.StartBackup(wedding="smith-jones", sources=("/etc",)),
    ops.StoreWeddingData(wedding="smith-jones", name="host", file="/etc/hostname"),
    ops.AddWedding(name="garcia-ruiz", date=dt.date(2026, 6, 20)),
    ops.EditWedding(name="smith-jones", rename="smith"),
    ops.ArchiveWedding(name="smith-jones"),
    steering.WatchWedding(wedding="smith-jones"),
    steering.UnwatchWedding(wedding="smith-jones"),
    steering.AddSchedule(name="nightly", when="every 6h", run="verify smith-jones"),
    steering.RemoveSchedule(name="nightly"),
    ops.Repair(wedding="smith-jones"),
    retention.Prune(),
    retention.HoldWedding(wedding="smith-jones", reason="claim 7"),
    placements.Migrate(wedding="smith-jones"),
    recovery.Recover(),
    tuning.Optimize(),
    forecasts.ImportCalendar(file="/etc/hostname"),
    forecasts.ImportDemand(file="/etc/hostname"),
    ops.AddKey(passphrase_file="/etc/hostname"),
    recovery.MakePaperKey(out="paper"),
    ops.RemoveKey(key="0"),
    ops.Configure(key="engine.streams", value="2"),
)


def test_what_would_change_something_is_refused_in_one_line(asking: Asking) -> None:
    assert [type(operation) for operation in CHANGES] == [spec.arguments for spec in CATALOG if spec.changes]
    for operation in CHANGES:
        with pytest.raises(NotPermitted, match=r" is not possible: the home .* can only be read"):
            asking.ask(operation, ops.Result)


def test_a_drill_needs_another_disk(asking: Asking, tmp_path: Path) -> None:
    with pytest.raises(NotPermitted, match="no drill") as caught:
        asking.ask(drills.Drill(wedding="smith-jones"), drills.DrillReport)
    assert "can only be read" in caught.value.line()
    report = asking.ask(drills.Drill(wedding="smith-jones", to=str(tmp_path)), drills.DrillReport)
    assert (report.job.state, report.problems) == ("done", ())
    assert list(tmp_path.glob("drill-*")) == []


def test_dry_runs_change_nothing(asking: Asking, tmp_path: Path) -> None:
    dry = ops.StartBackup(wedding="smith-jones", sources=(str(tmp_path / "source"),), dry_run=True)
    assert asking.ask(dry, ops.BackupEstimate).files_new == 0
    assert asking.ask(ops.Repair(wedding="smith-jones", dry_run=True), ops.RepairReport).problems == ()


def test_the_command_line_reads_it_and_refuses_with_4(
    home: Path, tmp_path: Path, capsysbinary: pytest.CaptureFixture[bytes]
) -> None:
    environment = {"WEDSYNC_HOME": str(home), "WEDSYNC_PASSPHRASE": PASSPHRASE}
    retrieve = f"retrieve smith-jones --to {tmp_path / 'back'}"
    assert cli.run(["--no-ui", "-c", "weddings", "-c", retrieve, "-c", "verify smith-jones"], environment) == 0
    words = capsysbinary.readouterr().err.decode()
    assert words.count("can only be read") == 1
    assert cli.run(["--no-ui", "-c", "wedding add garcia-ruiz --date 2026-06-20"], environment) == 4
    last = capsysbinary.readouterr().err.decode().splitlines()[-1]
    assert last.startswith(f"wedsync-tui: wedding add is not possible: the home {home} can only be read (")


# --- the home itself --------------------------------------------------------------------------------------


def test_several_may_read_it_at_once(home: Path) -> None:
    first, second = Home(home), Home(home)
    assert first.read_only == second.read_only != ""
    second.release()
    first.release()


def test_a_home_at_work_is_not_read_beside_its_engine(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Its engine answers there."""
    held = Home(tmp_path / "home")
    monkeypatch.setattr(os, "access", _refusing_to_write)
    with pytest.raises(Conflict, match=rf"an engine already runs on this home \(pid {os.getpid()}\)"):
        Home(tmp_path / "home")
    held.release()


def test_one_that_a_plain_user_may_only_read_is_read() -> None:
    """Permission bits, not the mount; the lock is shared where its file can be opened, and nothing is written."""
    with shared_folder() as shared:
        os.chmod(shared, 0o555)
        with plain_user():
            home = Home(shared)
            assert home.read_only == f"the home {shared} can only be read (permission denied)"
            home.release()
        assert os.listdir(shared) == []
        os.chmod(shared, 0o755)


def test_one_that_cannot_even_be_read_is_not_permitted() -> None:
    with shared_folder() as shared:
        os.chmod(shared, 0)
        with plain_user(), pytest.raises(NotPermitted, match="cannot be used"):
            Home(shared)
        os.chmod(shared, 0o755)


def test_a_home_that_would_have_to_be_made_on_a_read_only_disk_is_not_permitted(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refused(*_: object, **__: object) -> None:
        raise OSError(errno.EROFS, os.strerror(errno.EROFS))

    monkeypatch.setattr(os, "mkdir", refused)
    with pytest.raises(NotPermitted, match="cannot be used: Read-only file system"):
        Home(tmp_path / "another")


def test_an_engine_on_it_leaves_no_handler_behind(home: Path) -> None:
    before = list(logging.getLogger().handlers)
    with engine_on(home) as asking:
        asking.ask(ops.ListWeddings(), ops.WeddingList)
    assert logging.getLogger().handlers == before

"""Damage to what lists things: what is lost is told of, and nobody takes it for never having been there."""

from __future__ import annotations

import datetime as dt
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from engine.base.errors import IntegrityError, NotFound
from engine.contract import operations as ops
from engine.local import LocalEngine
from tests.engine.homes import PASSPHRASE, home_with_repository
from tests.engine.operations.conftest import ANSWER_S, Asking, backup_of, fresh_wedding, make_source


def flip(path: Path) -> None:
    """One bit in the middle of a file."""
    data = bytearray(path.read_bytes())
    data[len(data) // 2] ^= 1
    path.chmod(0o600)
    path.write_bytes(data)


@contextmanager
def engine_on(home: Path) -> Iterator[Asking]:
    """An engine of its own on `home`."""
    engine = LocalEngine.start(home, PASSPHRASE)
    try:
        yield Asking(engine, home)
    finally:
        engine.close(drain_s=0.0).result(ANSWER_S)


def _home_with_damaged_last_of(snapshots: int, folder: Path) -> tuple[Path, list[str]]:
    """A home with so many snapshots of smith-jones, the last of them damaged, and their ids."""
    home, source = home_with_repository(folder / "home"), make_source(folder / "source")
    with engine_on(home) as asking:
        fresh_wedding(asking, "smith-jones")
        made = [asking.ask(backup_of("smith-jones", source), ops.JobResult).job.snapshot for _ in range(snapshots)]
    (damaged,) = (home / "repository").glob(f"weddings/*/snapshots/{made[-1]}")
    flip(damaged)
    return home, made


def test_the_only_snapshot_when_it_is_damaged_is_not_none_at_all(tmp_path: Path) -> None:
    home, (made,) = _home_with_damaged_last_of(1, tmp_path)
    with engine_on(home) as asking:
        listed = asking.ask(ops.ListSnapshots(wedding="smith-jones"), ops.SnapshotList)
        assert listed.snapshots == ()
        assert listed.warnings == (f"snapshot {made} is damaged or does not belong here",)
        for operation in (
            ops.RetrieveWeddingData(wedding="smith-jones", to=str(tmp_path / "back")),
            ops.Browse(wedding="smith-jones", path="/"),
        ):
            with pytest.raises(IntegrityError, match=f"snapshot {made} is damaged"):
                asking.ask(operation, ops.Result)


def test_latest_warns_of_a_damaged_snapshot_that_may_be_later(tmp_path: Path) -> None:
    home, (first, second) = _home_with_damaged_last_of(2, tmp_path)
    warning = (f"snapshot {second} is damaged or does not belong here",)
    with engine_on(home) as asking:
        back = ops.RetrieveWeddingData(wedding="smith-jones", to=str(tmp_path / "back"), wait=True)
        retrieved = asking.ask(back, ops.JobResult)
        assert (retrieved.job.state, retrieved.job.snapshot, retrieved.warnings) == ("done", first, warning)
        for operation in (
            ops.Browse(wedding="smith-jones", path="/"),
            ops.Find(wedding="smith-jones", pattern="*"),
            ops.Diff(wedding="smith-jones", older=first),
        ):
            assert asking.ask(operation, ops.Result).warnings == warning
        named = ops.Browse(wedding="smith-jones", path="/", snapshot=first)
        assert asking.ask(named, ops.EntryList).warnings == ()


def test_what_a_damaged_entry_of_the_register_said_is_known_from_the_next(tmp_path: Path) -> None:
    """It is told of all the same, and a name that is not there may have been in it."""
    home = home_with_repository(tmp_path / "home")
    with engine_on(home) as asking:
        for name in ("smith-jones", "garcia-ruiz"):
            asking.ask(ops.AddWedding(name=name, date=dt.date(2026, 6, 20)), ops.WeddingResult)
        with pytest.raises(NotFound):
            asking.ask(ops.ListSnapshots(wedding="nobody"), ops.SnapshotList)
    flip(home / "repository" / "register" / "1")
    with engine_on(home) as asking:
        with pytest.raises(IntegrityError, match="register/1 is damaged"):
            asking.ask(ops.ListSnapshots(wedding="nobody"), ops.SnapshotList)
        listed = asking.ask(ops.ListWeddings(), ops.WeddingList)
        assert [row.wedding.name for row in listed.weddings] == ["garcia-ruiz", "smith-jones"]
        assert listed.warnings == ("register/1 is damaged or does not belong here",)


def test_a_repository_that_was_set_back_as_a_whole_is_told(tmp_path: Path) -> None:
    """No number has fallen, so it opens; but the snapshot that this home made last is not in the copy."""
    home, source = home_with_repository(tmp_path / "home"), make_source(tmp_path / "source")
    with engine_on(home) as asking:
        fresh_wedding(asking, "smith-jones")
        asking.ask(backup_of("smith-jones", source), ops.JobResult)
    shutil.copytree(home / "repository", tmp_path / "copy")
    with engine_on(home) as asking:
        assert _alerts_of_the_repository(asking) == []
        made = asking.ask(backup_of("smith-jones", source), ops.JobResult).job.snapshot
    with engine_on(home) as asking:
        assert _alerts_of_the_repository(asking) == []
    shutil.rmtree(home / "repository")
    shutil.copytree(tmp_path / "copy", home / "repository")
    with engine_on(home) as asking:
        (told,) = _alerts_of_the_repository(asking)
        assert told.startswith(f"snapshot {made} of smith-jones, the last that this home made, is gone: ")
        asking.ask(backup_of("smith-jones", source), ops.JobResult)
    with engine_on(home) as asking:
        assert _alerts_of_the_repository(asking) == []


def test_what_was_made_in_another_repository_is_not_missed(tmp_path: Path) -> None:
    """A home that is pointed at a new repository begins anew."""
    home, source = home_with_repository(tmp_path / "home"), make_source(tmp_path / "source")
    with engine_on(home) as asking:
        fresh_wedding(asking, "smith-jones")
        asking.ask(backup_of("smith-jones", source), ops.JobResult)
    home_with_repository(home, url=f"file://{tmp_path}/other")
    with engine_on(home) as asking:
        assert _alerts_of_the_repository(asking) == []


def _alerts_of_the_repository(asking: Asking) -> list[str]:
    """What the status says of it once it is open and old jobs go on."""
    asking.ask(ops.ListWeddings(), ops.WeddingList)
    alerts = asking.ask(ops.ReadStatus(), ops.StatusResult).document.alerts
    return [alert.message for alert in alerts if alert.subject == "repository"]

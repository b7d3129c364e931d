"""Damage to what lists things: what is lost is told of, and nobody takes it for never having been there."""

from __future__ import annotations

import datetime as dt
import random
import shutil
import tarfile
import zipfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Literal

import pytest
from msgspec.structs import replace

from engine.base.errors import IntegrityError, NotFound, UsageError
from engine.contract import operations as ops
from engine.local import LocalEngine
from engine.pipeline import recorder
from engine.repository import manifest
from engine.repository.crypto import METADATA_PACK
from engine.repository.entry import path_text
from engine.storage.stores.local import LocalStore
from tests.engine.homes import PASSPHRASE, home_with_repository
from tests.engine.operations.conftest import ANSWER_S, Asking, backup_of, fresh_wedding, make_source
from tests.trees import build, file
from tests.vaults import Bench


def flip(path: Path, at: int | None = None) -> None:
    """One bit of a file, in the middle where nobody says where; twice is none."""
    data = bytearray(path.read_bytes())
    data[len(data) // 2 if at is None else at] ^= 1
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
    flip(_path_of(home, made[-1]))
    return home, made


def _path_of(home: Path, snapshot: str) -> Path:
    (found,) = (home / "repository").glob(f"weddings/*/snapshots/{snapshot}")
    return found


def test_the_only_snapshot_when_it_is_damaged_is_not_none_at_all(tmp_path: Path) -> None:
    home, (made,) = _home_with_damaged_last_of(1, tmp_path)
    with engine_on(home) as asking:
        listed = asking.ask(ops.ListSnapshots(wedding="smith-jones"), ops.SnapshotList)
        assert listed.snapshots == ()
        assert listed.warnings == (f"snapshot {made} is damaged or does not belong here",)
        assert asking.ask(ops.ListWeddings(), ops.WeddingList).warnings == (f"smith-jones: {listed.warnings[0]}",)
        repaired = asking.ask(ops.Repair(wedding="smith-jones"), ops.RepairReport)
        assert (repaired.losses, repaired.job.code) == (listed.warnings, "integrity")
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


def test_a_damaged_snapshot_that_another_comes_after_leaves_latest_alone(tmp_path: Path) -> None:
    """It is the parent of a whole one, so nothing newer is hidden; who lists snapshots or looks in all is told."""
    home, (first, second) = _home_with_damaged_last_of(2, tmp_path)
    flip(_path_of(home, second))
    flip(_path_of(home, first))
    with engine_on(home) as asking:
        warning = (f"snapshot {first} is damaged or does not belong here",)
        assert asking.ask(ops.Browse(wedding="smith-jones", path="/"), ops.EntryList).warnings == ()
        assert asking.ask(ops.Diff(wedding="smith-jones", older=second), ops.DiffResult).warnings == ()
        assert asking.ask(ops.ListSnapshots(wedding="smith-jones"), ops.SnapshotList).warnings == warning
        assert asking.ask(ops.Find(wedding="smith-jones", pattern="*"), ops.EntryList).warnings == warning


def test_digits_that_fit_a_damaged_snapshot_too_fit_none(tmp_path: Path) -> None:
    """Else the whole one would be taken for the one that was meant."""
    home, (first, second) = _home_with_damaged_last_of(2, tmp_path)
    twin = first[:8] + second[8:]
    damaged = _path_of(home, second)
    damaged.rename(damaged.with_name(twin))
    with engine_on(home) as asking:
        with pytest.raises(UsageError, match="fits 2 snapshots"):
            asking.ask(ops.Browse(wedding="smith-jones", path="/", snapshot=first[:8]), ops.EntryList)
        asking.ask(ops.Browse(wedding="smith-jones", path="/", snapshot=first), ops.EntryList)


@pytest.fixture(scope="module")
def cut_home(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, str, str]:
    """A home with a snapshot of several segments, the last of them damaged; a path before it, and one in it."""
    folder = tmp_path_factory.mktemp("cut")
    source = folder / "source"
    source.mkdir()
    for number in range(30):
        (source / f"{number:02}.jpg").touch()
    home = home_with_repository(folder / "home")
    with pytest.MonkeyPatch.context() as patch, engine_on(home) as asking:
        patch.setattr(manifest, "_SEGMENT_MODULUS", 3)
        patch.setattr(recorder, "INLINE_ENTRIES_MAX", 2)
        fresh_wedding(asking, "smith-jones")
        asking.ask(backup_of("smith-jones", source), ops.JobResult)
    with Bench(LocalStore(home / "repository", create=False), passphrase=PASSPHRASE) as bench:
        (wedding,) = bench.repository.register.all()
        (made,) = bench.snapshots(wedding=wedding.id)
        with bench.repository.vault(wedding.id) as vault:
            lost = made.body.segments[-1]
            place = vault.locate(lost.id, METADATA_PACK)
            whole = [entry.path for entry in vault.entries(made) if entry.path < lost.first_path]
    (pack,) = (home / "repository").glob(f"weddings/*/packs/**/{place.pack.name.hex()}")
    flip(pack, at=place.offset + place.stored_bytes // 2)
    return home, path_text(whole[-1]), path_text(lost.first_path)


def test_what_a_damaged_part_of_a_file_list_leaves_is_listed_with_a_warning(cut_home: tuple[Path, str, str]) -> None:
    home, whole, lost = cut_home
    with engine_on(home) as asking:
        for operation in (
            ops.Browse(wedding="smith-jones", path="/", recursive=True),
            ops.Find(wedding="smith-jones", pattern="*.jpg"),
        ):
            listed = asking.ask(operation, ops.EntryList)
            assert whole in {row.path for row in listed.entries}
            assert lost not in {row.path for row in listed.entries}
            assert [f"from {lost} on" in warning for warning in listed.warnings] == [True]
        with pytest.raises(IntegrityError, match=f"from {lost} on"):
            asking.ask(ops.Browse(wedding="smith-jones", path=lost), ops.EntryList)


def test_what_a_damaged_part_of_a_file_list_leaves_is_restored_over_what_stands(
    cut_home: tuple[Path, str, str], tmp_path: Path
) -> None:
    """The count of conflicts does not stand in its way, and the job says what is lost."""
    home, whole, lost = cut_home
    (tmp_path / "back").mkdir()
    (tmp_path / "back" / Path(whole).name).write_bytes(b"older")
    prefix = str(Path(whole).parent)
    named = ops.RetrieveWeddingData(wedding="smith-jones", to=str(tmp_path / "back"), strip_prefix=prefix)
    with engine_on(home) as asking:
        planned = asking.ask(replace(named, dry_run=True), ops.RetrievalPlan)
        assert planned.conflicts == 1
        assert [f"from {lost} on" in warning for warning in planned.warnings] == [True]
        done = asking.ask(replace(named, overwrite="changed"), ops.JobResult)
        assert (done.job.state, done.job.code) == ("failed", "integrity")
        with pytest.raises(IntegrityError, match=f"from {lost} on"):
            asking.ask(replace(named, paths=(lost,), overwrite="never"), ops.JobResult)
    assert (tmp_path / "back" / Path(whole).name).read_bytes() == b""
    assert not (tmp_path / "back" / Path(lost).name).exists()


@pytest.mark.parametrize("kind", ["tar", "zip"])
def test_an_archive_holds_all_that_is_not_damaged(tmp_path: Path, kind: Literal["tar", "zip"]) -> None:
    """The job fails and names the file; the others, of which this may be the only copy, are in it."""
    home, source = home_with_repository(tmp_path / "home"), tmp_path / "source"
    chance = random.Random(5)
    build(source, {b"f%d" % number: file(chance.randbytes(400_000)) for number in range(3)})
    with engine_on(home) as asking:
        fresh_wedding(asking, "smith-jones")
        asking.ask(backup_of("smith-jones", source), ops.JobResult)
    flip(max((home / "repository").glob("weddings/*/packs/*"), key=lambda pack: pack.stat().st_size))
    to = tmp_path / f"a.{kind}"
    with engine_on(home) as asking:
        back = ops.RetrieveWeddingData(
            wedding="smith-jones", to=str(to), format=kind, strip_prefix=str(source), wait=True
        )
        job = asking.ask(back, ops.JobResult).job
    assert (job.state, job.code) == ("failed", "integrity")
    found = _contents_of(to)
    assert sorted(found) == ["f0", "f1", "f2"]
    damaged = [name for name, data in found.items() if data != (source / name).read_bytes()]
    assert len(damaged) == 1
    assert f"/{damaged[0]}: " in job.message
    assert [path.name for path in tmp_path.iterdir() if path.name.startswith(".")] == []


def _contents_of(archive: Path) -> dict[str, bytes]:
    if archive.suffix == ".zip":
        with zipfile.ZipFile(archive) as zipped:
            return {name: zipped.read(name) for name in zipped.namelist() if not name.endswith("/")}
    found: dict[str, bytes] = {}
    with tarfile.open(archive) as tar:
        for member in tar:
            data = tar.extractfile(member)
            if data is not None:
                found[member.name] = data.read()
    return found

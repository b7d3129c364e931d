"""Buckets as sources and targets, from the operation to the service and back."""

from __future__ import annotations

import random
from pathlib import Path

import pytest

from engine.base.errors import Conflict, NotFound, NotPermitted, UsageError
from engine.contract import operations as ops
from engine.contract import steering
from tests.engine.operations.conftest import Asking, fresh_wedding
from tests.s3_servers import S3Server
from tests.uploads import Place

pytestmark = pytest.mark.usefixtures("s3_keys")
_numbers = iter(range(10_000))
CONTENTS = {
    "DCIM/100 CANON/IMG_0001.CR3": random.Random(1).randbytes(300_000),
    "DCIM/100 CANON/IMG_0002.CR3": random.Random(2).randbytes(17_000_000),  # more than a unit
    "DCIM/empty": b"",
    "caf é.txt": b"small",
    "other.txt": b"small too",
}


@pytest.fixture
def place(weed: S3Server) -> Place:
    """What a photographer uploaded."""
    made = Place(weed, f"uploads/{next(_numbers)}")
    for key, data in CONTENTS.items():
        made.put(key, data)
    return made


@pytest.fixture
def wedding(asking: Asking) -> str:
    """One of its own."""
    return fresh_wedding(asking, f"bucket-{next(_numbers)}")


def _back_up(asking: Asking, wedding: str, place: Place) -> ops.JobResult:
    url = place.server.url(place.prefix)
    done = asking.ask(ops.StartBackup(wedding=wedding, sources=(url,), wait=True), ops.JobResult)
    assert done.job.state in {"done", "warnings"}, done
    return done


def test_what_was_uploaded_comes_back(asking: Asking, place: Place, wedding: str, tmp_path: Path) -> None:
    """To a folder and to another bucket; paths name the bucket and the key."""
    done = _back_up(asking, wedding, place)
    assert (done.job.state, done.job.files_done) == ("done", 5)
    path = f"/s3:/weddings/{place.prefix}"
    listed = asking.ask(ops.Browse(wedding=wedding, path=path), ops.EntryList)
    assert [(row.path.removeprefix(path), row.type) for row in listed.entries] == [
        ("/DCIM", "folder"), ("/caf é.txt", "file"), ("/other.txt", "file"),
    ]  # fmt: skip
    (snapshot,) = asking.ask(ops.ListSnapshots(wedding=wedding), ops.SnapshotList).snapshots
    assert snapshot.sources == (path,)

    asking.ask(ops.RetrieveWeddingData(wedding=wedding, to=str(tmp_path), strip_prefix=path), ops.JobResult)
    assert {str(file.relative_to(tmp_path)): file.read_bytes() for file in tmp_path.rglob("*") if file.is_file()} == (
        CONTENTS
    )
    back = Place(place.server, f"back/{next(_numbers)}")
    to = ops.RetrieveWeddingData(wedding=wedding, to=back.server.url(back.prefix), strip_prefix=path)
    assert asking.ask(to, ops.JobResult).job.state == "done"
    assert back.contents() == CONTENTS
    with pytest.raises(Conflict, match="5 files stand in"):
        asking.ask(to, ops.JobResult)


def test_only_what_has_changed_is_read_again(asking: Asking, place: Place, wedding: str) -> None:
    """An object with another ETag, one that came, one that went."""
    _back_up(asking, wedding, place)
    place.put("other.txt", b"other bytes")
    place.put("new.txt", b"new")
    place.client.delete(f"{place.prefix}/caf é.txt")
    url = place.server.url(place.prefix)
    told = asking.ask(ops.StartBackup(wedding=wedding, sources=(url,), dry_run=True), ops.BackupEstimate)
    assert (told.files_unchanged, told.files_changed, told.files_new, told.files_gone) == (3, 1, 1, 1)
    second = _back_up(asking, wedding, place).job
    assert second.bytes_stored < 100_000
    change = asking.ask(ops.Diff(wedding=wedding, older=second.id, newer=second.id), ops.DiffResult)
    assert change.rows == ()
    found = asking.ask(ops.Find(wedding=wedding, pattern="*.txt", snapshot=second.id), ops.EntryList)
    assert sorted(row.path.rpartition("/")[2] for row in found.entries) == ["new.txt", "other.txt"]


def test_a_bucket_may_be_a_weddings_own_source(asking: Asking, place: Place, wedding: str) -> None:
    """So that schedules need no URL."""
    url = place.server.url(place.prefix)
    asking.ask(ops.EditWedding(name=wedding, sources=(url,)), ops.WeddingResult)
    assert asking.ask(ops.StartBackup(wedding=wedding, wait=True), ops.JobResult).job.files_done == 5


def test_what_buckets_cannot_do_is_said(asking: Asking, place: Place, wedding: str, tmp_path: Path) -> None:
    """Before anything begins, or as the job's own failure."""
    url = place.server.url(place.prefix)
    inner = place.server.url(f"{place.prefix}/DCIM")
    for operation, error, says in (
        (ops.StartBackup(wedding=wedding, sources=(url, str(tmp_path))), UsageError, "not from both"),
        (ops.StartBackup(wedding=wedding, sources=(url, inner)), UsageError, "name the same objects"),
        (ops.StartBackup(wedding=wedding, sources=("s3://x",)), UsageError, "does not name a bucket"),
        (ops.StartBackup(wedding=wedding, sources=("s3://key:secret@bucket/x",)), UsageError, "no credentials"),
        (ops.RetrieveWeddingData(wedding=wedding, to=url, format="tar"), UsageError, "does not go to a bucket"),
        (steering.WatchWedding(wedding=wedding, paths=(url,)), UsageError, "cannot be watched"),
    ):
        with pytest.raises(error) as caught:
            asking.engine.call(operation).result(60)
        assert says in caught.value.line(), operation
        assert "secret" not in caught.value.line()
    nowhere = ops.StartBackup(wedding=wedding, sources=(place.server.url("nowhere"),), wait=True)
    failed = asking.ask(nowhere, ops.JobResult).job
    assert (failed.state, failed.code) == ("failed", NotFound.code)
    with pytest.raises(NotFound):
        asking.ask(msg_dry(nowhere), ops.BackupEstimate)


def test_keys_that_are_refused_are_no_empty_backup(
    asking: Asking, place: Place, wedding: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "another")
    url = place.server.url(place.prefix)
    failed = asking.ask(ops.StartBackup(wedding=wedding, sources=(url,), wait=True), ops.JobResult).job
    assert (failed.state, failed.code) == ("failed", NotPermitted.code)


def msg_dry(operation: ops.StartBackup) -> ops.StartBackup:
    """The same, only told."""
    return ops.StartBackup(wedding=operation.wedding, sources=operation.sources, dry_run=True)

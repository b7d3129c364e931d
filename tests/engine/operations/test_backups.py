"""backup and store: what is checked before a job is taken on, and what comes of it."""

from __future__ import annotations

import os
import subprocess
import sys
import threading
from pathlib import Path

import pytest

from engine.base.errors import NotFound, UsageError
from engine.contract import operations as ops
from engine.local import LocalEngine
from engine.operations.backups import checked_sources, checked_tags, is_inside
from tests.engine.homes import PASSPHRASE, home_with_repository
from tests.engine.operations.conftest import ANSWER_S, Asking, backup_of, fresh_wedding, make_source


def test_sources_are_absolute_and_once_each(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "a" / "b").mkdir(parents=True)
    (tmp_path / "ab").mkdir()
    monkeypatch.chdir(tmp_path)
    root = os.fsencode(tmp_path)
    assert checked_sources(("a/b", "a", "a/", "./ab")) == (root + b"/a", root + b"/a/b", root + b"/ab")


def test_a_home_sign_is_understood(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HOME", str(tmp_path))
    assert checked_sources(("~",)) == (os.fsencode(tmp_path),)


def test_a_source_that_is_not_there_is_named(tmp_path: Path) -> None:
    with pytest.raises(NotFound, match="nowhere"):
        checked_sources((str(tmp_path / "nowhere"),))
    with pytest.raises(UsageError):
        checked_sources(())


def test_an_empty_source_is_not_the_working_folder() -> None:
    with pytest.raises(UsageError, match="empty path"):
        checked_sources(("/", ""))


def test_inside_means_below_and_not_beside() -> None:
    assert is_inside(b"/a/b", b"/a")
    assert is_inside(b"/a", b"/")
    assert not is_inside(b"/ab", b"/a")
    assert not is_inside(b"/", b"/")


def test_tags_are_kept_once_and_must_be_readable() -> None:
    assert checked_tags(("b", "a", "b")) == ("b", "a")
    for tags in (("",), ("a\nb",), ("x" * 101,), tuple(str(n) for n in range(33))):
        with pytest.raises(UsageError):
            checked_tags(tags)


def test_a_dry_run_tells_what_would_be_read_and_makes_no_job(asking: Asking) -> None:
    before = asking.ask(ops.ListJobs(), ops.JobList).total
    operation = ops.StartBackup(wedding="smith-jones", sources=(str(asking.folder / "source"),), dry_run=True)
    found = asking.ask(operation, ops.BackupEstimate)
    assert (found.files, found.files_new, found.files_gone) == (5, 0, 0)
    fresh = fresh_wedding(asking, "dry-run")
    operation = ops.StartBackup(wedding=fresh, sources=(str(asking.folder / "source"),), dry_run=True)
    assert asking.ask(operation, ops.BackupEstimate).files_new == 5
    assert asking.ask(ops.ListJobs(), ops.JobList).total == before


def test_a_source_inside_another_counts_though_the_outer_one_leaves_it_out(asking: Asking) -> None:
    wedding = fresh_wedding(asking, "nested")
    outer = asking.folder / "source"
    inner = outer / "photos" / "raw"
    operation = ops.StartBackup(wedding=wedding, sources=(str(outer), str(inner)), exclude=("photos/",), wait=True)
    assert asking.ask(operation, ops.JobResult).job.state == "done"
    found = asking.ask(ops.Browse(wedding=wedding, path=str(inner)), ops.EntryList).entries
    assert [row.path.rpartition("/")[2] for row in found] == ["0001.nef", "0002.nef"]


def test_a_backup_without_wait_comes_back_with_its_job(asking: Asking) -> None:
    wedding = fresh_wedding(asking, "no-wait")
    job = asking.ask(ops.StartBackup(wedding=wedding, sources=(str(asking.folder / "source"),)), ops.JobResult).job
    assert job.state in ("queued", "running", "done")
    (row,) = asking.ask(ops.WaitForJobs(job=job.id), ops.JobList).jobs
    assert (row.state, row.snapshot) == ("done", job.id)


def test_a_folder_around_the_home_is_backed_up_without_the_repository_and_what_never_rests(tmp_path: Path) -> None:
    (tmp_path / "wedding").mkdir()
    (tmp_path / "wedding" / "a.jpg").write_bytes(b"picture")
    home = home_with_repository(tmp_path / "home")
    (home / "config.toml").write_text("[engine]\nstreams = 2\n")
    engine = LocalEngine.start(home, PASSPHRASE)
    made = Asking(engine, tmp_path)
    fresh_wedding(made, "all-of-it")
    jobs = [made.ask(backup_of("all-of-it", tmp_path), ops.JobResult).job for _ in range(2)]  # then there are packs
    assert [(job.state, job.first_warnings) for job in jobs] == [("done", ())] * 2
    found = made.ask(ops.Browse(wedding="all-of-it", path=str(tmp_path), recursive=True), ops.EntryList).entries
    estimate = made.ask(
        ops.StartBackup(wedding="all-of-it", sources=(str(tmp_path),), dry_run=True), ops.BackupEstimate
    )
    for inside in (home / "repository", home / "repository" / "weddings"):
        row = made.ask(backup_of("all-of-it", inside), ops.JobResult).job
        assert (row.state, row.code) == ("failed", "usage")
        assert "is the repository itself" in row.message
    engine.close(drain_s=0.0).result(ANSWER_S)
    names = {row.path.removeprefix(f"{tmp_path}/") for row in found}
    assert names - {"home/seen.json"} == {"home", "home/config.toml", "wedding", "wedding/a.jpg"}
    assert estimate.files == jobs[1].files_total


def test_a_file_that_cannot_be_read_makes_a_job_with_warnings(asking: Asking) -> None:
    wedding = fresh_wedding(asking, "warns")
    source = make_source(asking.folder / "warn-source")
    os.mkfifo(source / "pipe")
    import socket

    with socket.socket(socket.AF_UNIX) as listener:
        place = os.getcwd()
        os.chdir(source)
        try:
            listener.bind("socket")
        finally:
            os.chdir(place)
        operation = ops.StartBackup(wedding=wedding, sources=(str(source),), wait=True)
        result = asking.ask(operation, ops.JobResult)
    job = result.job
    assert (job.state, job.warnings) == ("warnings", 1)
    (told,) = result.warnings
    assert told.startswith(f"{source}/socket: ")
    assert job.first_warnings == (told,)
    (row,) = asking.ask(ops.ListSnapshots(wedding=wedding), ops.SnapshotList).snapshots
    assert row.warnings == 1


def test_excludes_and_priority_are_taken_over(asking: Asking) -> None:
    wedding = fresh_wedding(asking, "excludes")
    operation = ops.StartBackup(
        wedding=wedding, sources=(str(asking.folder / "source"),), exclude=("*.nef",), priority="next-day", wait=True
    )
    job = asking.ask(operation, ops.JobResult).job
    (row,) = asking.ask(ops.ListSnapshots(wedding=wedding), ops.SnapshotList).snapshots
    assert (row.files, row.priority, job.priority) == (3, "next-day", "next-day")


def test_a_stored_file_has_the_name_it_was_given(asking: Asking) -> None:
    wedding = fresh_wedding(asking, "stores")
    file = asking.folder / "source" / "speeches.txt"
    operation = ops.StoreWeddingData(wedding=wedding, name="/speeches//father.txt", file=str(file), tags=("speech",))
    job = asking.ask(operation, ops.JobResult).job
    assert (job.state, job.kind) == ("done", "store")
    assert (job.files_done, job.files_total) == (1, 1)
    (kept,) = asking.ask(ops.ListSnapshots(wedding=wedding), ops.SnapshotList).snapshots
    assert (kept.files, kept.bytes_source) == (1, file.stat().st_size)
    (row,) = asking.ask(ops.Browse(wedding=wedding, path="speeches"), ops.EntryList).entries
    assert (row.path, row.size) == ("/speeches/father.txt", file.stat().st_size)


def test_a_fifo_is_stored_until_its_writer_is_done(asking: Asking) -> None:
    wedding = fresh_wedding(asking, "stores-fifo")
    fifo = asking.folder / "fifo"
    os.mkfifo(fifo)
    writer = threading.Thread(target=lambda: fifo.write_bytes(b"music" * 100_000))
    writer.start()
    job = asking.ask(ops.StoreWeddingData(wedding=wedding, name="music.wav", file=str(fifo)), ops.JobResult).job
    writer.join()
    assert (job.state, job.bytes_read) == ("done", 500_000)


@pytest.mark.parametrize(("name", "file", "error"), [
    ("..", "speeches.txt", UsageError), ("x" * 256, "speeches.txt", UsageError),
    ("a", "nowhere", NotFound), ("a", "photos", UsageError),
])  # fmt: skip
def test_what_cannot_be_stored_is_refused_before_a_job_is_made(
    asking: Asking, name: str, file: str, error: type[Exception]
) -> None:
    operation = ops.StoreWeddingData(wedding="smith-jones", name=name, file=str(asking.folder / "source" / file))
    with pytest.raises(error):
        asking.ask(operation, ops.JobResult)


STORE_AND_RETRIEVE = """
import datetime, sys
from pathlib import Path
from engine.contract import operations as ops
from engine.local import LocalEngine
engine = LocalEngine.start(Path(sys.argv[1]), "correct-horse")
engine.call(ops.InitRepository()).result()
engine.call(ops.AddWedding(name="w", date=datetime.date(2026, 6, 20))).result()
engine.call(ops.StoreWeddingData(wedding="w", name="in.bin")).result()
engine.call(ops.RetrieveWeddingData(wedding="w", to="-", format="file", paths=("in.bin",))).result()
engine.close(drain_s=0).result()
"""


def test_standard_input_goes_in_and_standard_output_brings_it_back(tmp_path: Path) -> None:
    data = bytes(range(256)) * 5000
    done = subprocess.run(
        [sys.executable, "-c", STORE_AND_RETRIEVE, str(tmp_path / "home")],
        input=data, capture_output=True, check=True, timeout=60,
        env={"PYTHONPATH": str(Path(__file__).parents[3]), "PATH": os.environ["PATH"]},
    )  # fmt: skip
    assert done.stdout == data
    assert done.stderr == b""

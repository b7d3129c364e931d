"""retrieve: to folders, archives and files; what stands there already; nothing half-done."""

from __future__ import annotations

import errno
import os
import stat
import tarfile
import zipfile
from pathlib import Path

import pytest

from engine.base.entropy import SystemEntropy
from engine.base.errors import Conflict, LimitReached, NotFound, NotPermitted, UsageError
from engine.contract import operations as ops
from engine.contract import steering
from engine.operations import retrievals
from engine.operations.retrievals import Destination, destination_of, opened_output, resolved
from tests.engine.operations.conftest import Asking
from tests.suites.engine_handle import eventually
from tests.trees import build, describe, file


def retrieval(asking: Asking, to: Path | str, **more: object) -> ops.RetrieveWeddingData:
    prefix = str(asking.folder / "source")
    arguments: dict[str, object] = {"wedding": "smith-jones", "to": str(to), "strip_prefix": prefix, **more}
    return ops.RetrieveWeddingData(**arguments)  # type: ignore[arg-type]


def test_a_wedding_comes_back_as_it_was(asking: Asking, tmp_path: Path) -> None:
    job = asking.ask(retrieval(asking, tmp_path / "back"), ops.JobResult).job
    assert (job.state, job.kind, job.files_done, job.priority) == ("done", "retrieve", 5, "retrieval")
    original = describe(asking.folder / "source")
    assert describe(tmp_path / "back") == original


def test_the_class_of_retrievals_tells_how_soon_their_first_byte_was_there(asking: Asking, tmp_path: Path) -> None:
    asking.ask(retrieval(asking, tmp_path / "folder"), ops.JobResult)
    job = asking.ask(retrieval(asking, tmp_path / "all.tar", format="tar"), ops.JobResult).job
    assert job.initiation_s is not None

    def counted() -> int:
        return next(row for row in asking.engine.status().performance.classes if row.priority == "retrieval").took.count

    rows = asking.ask(ops.ListJobs(kind="retrieve", limit=1000), ops.JobPage).jobs
    assert eventually(lambda: counted() == sum(row.initiation_s is not None or row.state == "done" for row in rows) > 1)
    detail = asking.ask(steering.ReadJob(job=job.id), steering.JobDetail)
    assert (detail.job.priority, detail.deadline_s) == ("retrieval", 5.0)


def test_without_a_prefix_the_absolute_path_is_appended(asking: Asking, tmp_path: Path) -> None:
    asking.ask(retrieval(asking, tmp_path, strip_prefix="", paths=(f"{asking.folder}/source/photos",)), ops.JobResult)
    assert (tmp_path / str(asking.folder)[1:] / "source" / "photos" / "raw" / "0001.nef").is_file()


def test_files_that_stand_there_are_a_conflict_until_somebody_says_what_to_do(asking: Asking, tmp_path: Path) -> None:
    asking.ask(retrieval(asking, tmp_path), ops.JobResult)
    (tmp_path / "speeches.txt").write_text("changed since\n")
    with pytest.raises(Conflict, match="6 files stand in") as caught:
        asking.ask(retrieval(asking, tmp_path), ops.JobResult)
    assert "--overwrite never" in caught.value.hint
    asking.ask(retrieval(asking, tmp_path, overwrite="never"), ops.JobResult)
    assert (tmp_path / "speeches.txt").read_text() == "changed since\n"
    asking.ask(retrieval(asking, tmp_path, overwrite="changed"), ops.JobResult)
    assert describe(tmp_path)[b"speeches.txt"] == describe(asking.folder / "source")[b"speeches.txt"]


def test_what_cannot_be_brought_back_is_told_by_name(asking: Asking, tmp_path: Path) -> None:
    (tmp_path / "speeches.txt" / "in the way").mkdir(parents=True)
    result = asking.ask(retrieval(asking, tmp_path, overwrite="always"), ops.JobResult)
    (told,) = result.warnings
    assert told.startswith(f"{asking.folder}/source/speeches.txt: ")
    assert (result.job.state, result.job.warnings, result.job.first_warnings) == ("warnings", 1, (told,))


def test_a_dry_run_plans_and_writes_nothing(asking: Asking, tmp_path: Path) -> None:
    (tmp_path / "speeches.txt").write_text("stands")
    found = asking.ask(retrieval(asking, tmp_path, dry_run=True), ops.RetrievalPlan)
    assert (found.files, found.conflicts, found.packs) == (5, 1, 1)
    assert found.bytes_fetched > 0
    assert [path.name for path in tmp_path.iterdir()] == ["speeches.txt"]


def test_a_path_that_is_not_in_the_snapshot_is_not_found(asking: Asking, tmp_path: Path) -> None:
    with pytest.raises(NotFound, match="/nowhere"):
        asking.ask(retrieval(asking, tmp_path / "back", paths=("/nowhere",)), ops.JobResult)
    assert not (tmp_path / "back").exists()


def test_a_prefix_that_is_not_there_is_not_found(asking: Asking, tmp_path: Path) -> None:
    """Nothing would come back, and each entry would be a warning."""
    for dry_run in (False, True):
        with pytest.raises(NotFound, match="/nowhere"):
            asking.ask(retrieval(asking, tmp_path / "back", strip_prefix="/nowhere", dry_run=dry_run), ops.JobResult)
    paths = (f"{asking.folder}/source/photos",)
    with pytest.raises(UsageError, match="below --strip-prefix"):
        speeches = f"{asking.folder}/source/speeches.txt"
        asking.ask(retrieval(asking, tmp_path / "back", paths=paths, strip_prefix=speeches), ops.JobResult)
    assert not (tmp_path / "back").exists()


def test_an_empty_path_is_not_everything(asking: Asking, tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="empty path"):
        asking.ask(retrieval(asking, tmp_path / "back", paths=("",)), ops.JobResult)


def test_a_tar_holds_what_a_folder_would(asking: Asking, tmp_path: Path) -> None:
    asking.ask(retrieval(asking, tmp_path / "album.tar", format="tar"), ops.JobResult)
    with tarfile.open(tmp_path / "album.tar") as tar:
        tar.extractall(tmp_path / "out", filter="tar")
    assert describe(tmp_path / "out")[b"photos/raw/0001.nef"].digest == (
        describe(asking.folder / "source")[b"photos/raw/0001.nef"].digest
    )
    assert [path.name for path in tmp_path.iterdir() if path.name.startswith(".")] == []


def test_a_zip_opens(asking: Asking, tmp_path: Path) -> None:
    asking.ask(retrieval(asking, tmp_path / "album.zip", format="zip"), ops.JobResult)
    with zipfile.ZipFile(tmp_path / "album.zip") as opened:
        assert opened.testzip() is None
        assert opened.read("speeches.txt") == b"For the happy couple.\n"


def test_one_file_comes_back_bare(asking: Asking, tmp_path: Path) -> None:
    path = f"{asking.folder}/source/speeches.txt"
    asking.ask(retrieval(asking, tmp_path / "out.txt", format="file", paths=(path,), strip_prefix=""), ops.JobResult)
    assert (tmp_path / "out.txt").read_bytes() == b"For the happy couple.\n"
    with pytest.raises(Conflict, match="stands already"):
        asking.ask(
            retrieval(asking, tmp_path / "out.txt", format="file", paths=(path,), strip_prefix=""), ops.JobResult
        )


def test_what_makes_no_sense_is_refused(asking: Asking, tmp_path: Path) -> None:
    for operation in (
        retrieval(asking, "-"),
        retrieval(asking, ""),
        retrieval(asking, tmp_path / "x", format="file"),
        retrieval(asking, tmp_path, format="tar"),
    ):
        with pytest.raises(UsageError):
            asking.ask(operation, ops.JobResult)
    with pytest.raises(NotFound):
        asking.ask(retrieval(asking, tmp_path / "no" / "album.tar", format="tar"), ops.JobResult)


# --- the file of an archive ---------------------------------------------------------------------------


def destination(path: Path, overwrite: str = "never") -> Destination:
    return Destination(os.fsencode(path), "tar", b"", overwrite)  # type: ignore[arg-type]


def test_an_archive_gets_its_name_only_when_it_is_whole(tmp_path: Path) -> None:
    path = tmp_path / "a.tar"
    with pytest.raises(RuntimeError), opened_output(destination(path), SystemEntropy()) as output:
        output.write(b"half")
        raise RuntimeError
    assert list(tmp_path.iterdir()) == []
    with opened_output(destination(path), SystemEntropy()) as output:
        output.write(b"whole")
        assert not path.exists()
    assert path.read_bytes() == b"whole"
    assert list(tmp_path.iterdir()) == [path]


def test_what_came_to_stand_there_meanwhile_is_not_replaced(tmp_path: Path) -> None:
    path = tmp_path / "a.tar"
    with pytest.raises(Conflict), opened_output(destination(path), SystemEntropy()) as output:
        path.write_bytes(b"theirs")
        output.write(b"ours")
    assert path.read_bytes() == b"theirs"
    with opened_output(destination(path, "always"), SystemEntropy()) as output:
        output.write(b"ours")
    assert path.read_bytes() == b"ours"


def test_an_archive_goes_to_a_disk_without_hard_links(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """As FAT and exFAT are; there, too, nothing is replaced that came to stand in its place."""

    def refuse(*_: object, **__: object) -> None:
        raise PermissionError(errno.EPERM, "operation not permitted")

    monkeypatch.setattr(os, "link", refuse)
    path = tmp_path / "a.tar"
    with opened_output(destination(path), SystemEntropy()) as output:
        output.write(b"first")
    with pytest.raises(Conflict), opened_output(destination(path), SystemEntropy()) as output:
        output.write(b"second")
    assert path.read_bytes() == b"first"
    assert list(tmp_path.iterdir()) == [path]


def test_the_name_of_an_archive_is_on_the_disk_when_it_is_done(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Its bytes are synced before it has its name, its folder afterwards."""
    synced: list[tuple[bool, list[bool]]] = []

    def noting(fd: int) -> None:
        synced.append((stat.S_ISDIR(os.fstat(fd).st_mode), [path.name == "a.tar" for path in tmp_path.iterdir()]))

    monkeypatch.setattr(os, "fsync", noting)
    with opened_output(destination(tmp_path / "a.tar"), SystemEntropy()) as output:
        output.write(b"whole")
    assert synced == [(False, [False]), (True, [True])]


def test_a_folder_that_is_swapped_for_a_symlink_leads_nowhere_else(tmp_path: Path) -> None:
    """The archive comes to stand in the folder that was; what lies outside keeps its names and bytes."""
    (tmp_path / "d").mkdir()
    build(tmp_path / "outside", {b"a.tar": file(b"kept")})
    with opened_output(destination(tmp_path / "d/a.tar", "always"), SystemEntropy()) as output:
        (partial,) = (tmp_path / "d").iterdir()
        (tmp_path / "outside" / partial.name).write_bytes(b"kept too")
        (tmp_path / "d").rename(tmp_path / "moved")
        (tmp_path / "d").symlink_to("outside")
        before = describe(tmp_path / "outside")
        output.write(b"whole")
    assert describe(tmp_path / "outside") == before
    assert [(path.name, path.read_bytes()) for path in (tmp_path / "moved").iterdir()] == [("a.tar", b"whole")]


def test_a_file_that_is_put_in_place_of_a_fifo_is_not_written_over(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Between the look at it and its opening."""
    (tmp_path / "a.tar").write_bytes(b"kept")
    monkeypatch.setattr(retrievals, "_is_special", lambda path: True)
    with (
        pytest.raises(Conflict),
        opened_output(destination(tmp_path / "a.tar", "always"), SystemEntropy()) as output,
    ):
        output.write(b"lost")
    assert (tmp_path / "a.tar").read_bytes() == b"kept"


def test_devices_are_written_directly_and_a_full_one_is_a_limit() -> None:
    with opened_output(destination(Path("/dev/null")), SystemEntropy()) as output:
        output.write(b"x")
    with pytest.raises(LimitReached), opened_output(destination(Path("/dev/full")), SystemEntropy()) as output:
        output.write(b"x")


def test_a_folder_that_is_missing_or_shut_is_told_apart(tmp_path: Path) -> None:
    with pytest.raises(NotFound), opened_output(destination(tmp_path / "no" / "a.tar"), SystemEntropy()):
        pass
    with pytest.raises((NotPermitted, NotFound)), opened_output(destination(Path("/proc/a.tar")), SystemEntropy()):
        pass


def test_one_place_is_one_however_it_is_named(tmp_path: Path) -> None:
    """Through a symlink to a folder; a file is replaced under its own name, so its last name is left as it is."""
    (tmp_path / "there").mkdir()
    (tmp_path / "here").symlink_to("there")
    (tmp_path / "there/a.tar").symlink_to("b.tar")
    folder = ops.RetrieveWeddingData(wedding="w", to=f"{tmp_path}/here/x")
    archive = ops.RetrieveWeddingData(wedding="w", to=f"{tmp_path}/here/a.tar", format="tar")
    assert resolved(destination_of(folder)).path == bytes(tmp_path / "there/x")
    assert resolved(destination_of(archive)).path == bytes(tmp_path / "there/a.tar")

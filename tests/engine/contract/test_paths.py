"""Paths that mean the same to an engine elsewhere."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from engine.base.errors import NotFound, UsageError
from engine.contract import operations as ops
from engine.contract.catalog import CATALOG
from engine.contract.paths import absolute, check_absolute, path_fields, uses_streams, with_absolute_paths


def test_every_argument_of_the_catalog_that_names_a_file_is_marked() -> None:
    """A new one belongs here, or the engine of another process would look in its own folder."""
    found = {f"{spec.name}.{name}" for spec in CATALOG for name in path_fields(spec.arguments)}
    assert found >= {
        "start_backup.sources", "store_wedding_data.file", "retrieve_wedding_data.to", "key_add.passphrase_file",
    }  # fmt: skip


def test_relative_paths_and_homes_are_those_of_the_caller(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("HOME", "/home/ann")
    operation = ops.StartBackup(wedding="a", sources=("photos", "~/b", "/c/../d/", "caf\udce9"), exclude=("*.tmp",))
    assert with_absolute_paths(operation).sources == (
        f"{tmp_path}/photos",
        "/home/ann/b",
        "/d",
        f"{tmp_path}/caf\udce9",
    )
    assert with_absolute_paths(operation).exclude == ("*.tmp",)


def test_streams_and_what_was_not_given_stay_as_they_are() -> None:
    assert (absolute("-"), absolute("")) == ("-", "")
    inside = ops.RetrieveWeddingData(wedding="a", to="-", paths=("relative/in/the/snapshot",), strip_prefix="x")
    assert with_absolute_paths(inside) == inside
    assert uses_streams(inside)
    assert not uses_streams(ops.RetrieveWeddingData(wedding="a", to="/-"))
    assert not uses_streams(ops.ListJobs())


@pytest.mark.parametrize(
    ("path", "name"),
    [("/dev/fd/63", "fd/63"), ("/dev/stdin", "fd/0"), ("/dev/stdout", "fd/1"), ("/proc/self/fd/7", "fd/7")],
)
def test_descriptors_of_this_process_are_named_so_that_others_can_open_them(path: str, name: str) -> None:
    assert absolute(path) == f"/proc/{os.getpid()}/{name}"
    assert absolute("/dev/stdinx") == "/dev/stdinx"


@pytest.mark.parametrize("path", ["gopher://x", "s4://bucket/x", "https://host/photos", "file:///srv/photos"])
def test_a_url_of_another_kind_never_becomes_a_folder_of_that_name(path: str) -> None:
    with pytest.raises(UsageError, match="no URLs that begin with " + path.partition(":")[0]):
        absolute(path)
    assert absolute(f"/srv/{path}") == os.path.normpath(f"/srv/{path}")
    assert absolute("S3://bucket/x") == "S3://bucket/x"


def test_what_another_process_gave_in_a_pipe_can_be_read(tmp_path: Path) -> None:
    reading, writing = os.pipe()
    os.write(writing, b"secret")
    os.close(writing)
    assert Path(absolute(f"/dev/fd/{reading}")).read_bytes() == b"secret"
    os.close(reading)


def test_a_working_folder_that_is_gone_is_told(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    gone = tmp_path / "gone"
    gone.mkdir()
    monkeypatch.chdir(gone)
    gone.rmdir()
    with pytest.raises(NotFound, match="working folder"):
        absolute("photos")
    assert absolute("/srv") == "/srv"


def test_an_engine_takes_no_path_that_would_be_its_own() -> None:
    check_absolute(ops.StartBackup(wedding="a", sources=("/a", "/b")))
    check_absolute(ops.StoreWeddingData(wedding="a", name="b"))
    with pytest.raises(UsageError, match="sources: b is no absolute path"):
        check_absolute(ops.StartBackup(wedding="a", sources=("/a", "b")))

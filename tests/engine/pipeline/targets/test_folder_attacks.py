"""A restore beside somebody who moves folders and puts symlinks in the way: nothing outside the root is touched."""

from __future__ import annotations

import os
import threading
from collections.abc import Callable, Mapping
from contextlib import suppress
from pathlib import Path

import pytest

from engine.base.entropy import SystemEntropy
from engine.pipeline.folders import FolderPool
from engine.pipeline.targets import folder as folder_module
from engine.pipeline.targets.folder import FolderTarget, Overwrite
from engine.pipeline.targets.target import RestoreTarget
from engine.repository.entry import FIFO, FILE, FOLDER, SYMLINK
from tests.suites.restore_target import RestoreTargetSuite, entry
from tests.trees import Node, Thing, build, describe, file, folder, symlink

POLICIES: tuple[Overwrite, ...] = ("ask", "never", "changed", "always")


class TestFolderTarget(RestoreTargetSuite):
    """The promises every target gives."""

    def open_target(self, place: Path) -> RestoreTarget:
        """At a folder that is not there yet."""
        return FolderTarget(bytes(place), entropy=SystemEntropy())

    def restored(self, place: Path) -> Mapping[bytes, bytes]:
        """Regular files."""
        return {
            os.path.relpath(bytes(path), bytes(place)): path.read_bytes() for path in place.rglob("*") if path.is_file()
        }


class _Outside:
    """A folder beside the root with what an attacker would like to have changed."""

    def __init__(self, tmp_path: Path) -> None:
        self.path = tmp_path / "outside"
        build(
            self.path,
            {
                b"x": file(b"untouched", mode=0o600),
                b"sub/x": file(b"untouched", mode=0o600),
                b"sub": folder(mode=0o700),
            },
        )
        self._before = describe(self.path)

    def is_untouched(self) -> bool:
        """Down to modes and times."""
        return describe(self.path) == self._before


def _swap(folder: Path, outside: _Outside) -> None:
    """The folder moves away, a symlink to the outside takes its place."""
    folder.rename(folder.with_name("moved"))
    folder.symlink_to(outside.path)


@pytest.fixture
def outside(tmp_path: Path) -> _Outside:
    """See `_Outside`."""
    return _Outside(tmp_path)


def _small_pool(monkeypatch: pytest.MonkeyPatch) -> None:
    """Every folder is opened again each time it is used."""
    monkeypatch.setattr(folder_module, "FolderPool", lambda: FolderPool(limit=0))


@pytest.mark.parametrize("limit", ["descriptors kept", "descriptors reopened"])
@pytest.mark.parametrize("overwrite", POLICIES)
@pytest.mark.parametrize("moment", ["before the file", "before its end", "before the end"])
def test_a_folder_swapped_for_a_symlink(
    tmp_path: Path,
    outside: _Outside,
    monkeypatch: pytest.MonkeyPatch,
    overwrite: Overwrite,
    moment: str,
    limit: str,
) -> None:
    """At any moment of a restore, at any depth: what is written goes into the folder that was, or nowhere."""
    if limit == "descriptors reopened":
        _small_pool(monkeypatch)
    root = tmp_path / "root"
    target = FolderTarget(bytes(root), entropy=SystemEntropy(), overwrite=overwrite)

    def now(this: str) -> None:
        if this == moment:
            _swap(root / "d", outside)

    target.begin(entry(b"d", FOLDER, mode=0o777))
    target.begin(entry(b"d/sub", FOLDER, mode=0o777))
    now("before the file")
    for path, kind in ((b"d/sub/l", SYMLINK), (b"d/sub/p", FIFO), (b"d/x", FILE), (b"d/sub/x", FILE)):
        writer = target.begin(entry(path, kind, target=b"t", size=3, link_group=9 * (kind == FILE)))
        now("before its end")
        if writer is not None:
            writer.write_at(0, memoryview(b"new"))
            writer.commit()
        if moment == "before its end":
            moment = "past"
    now("before the end")
    target.finish()
    assert outside.is_untouched()


@pytest.mark.parametrize("overwrite", POLICIES)
def test_symlinks_that_stand_in_the_root_are_not_followed(
    tmp_path: Path, outside: _Outside, overwrite: Overwrite
) -> None:
    """For files, folders, and missing parents that have no entry."""
    build(tmp_path / "root", {b"d": symlink(bytes(outside.path)), b"x": symlink(bytes(outside.path / "x"))})
    target = FolderTarget(bytes(tmp_path / "root"), entropy=SystemEntropy(), overwrite=overwrite)
    for path, kind in ((b"d/sub", FOLDER), (b"d/sub/x", FILE), (b"d/x", FILE), (b"x", FILE)):
        writer = target.begin(entry(path, kind, size=3, mode=0o777))
        if writer is not None:
            writer.write_at(0, memoryview(b"new"))
            writer.commit()
    target.finish()
    assert outside.is_untouched()
    if overwrite == "always":
        assert (tmp_path / "root/d/sub/x").read_bytes() == b"new"


def test_a_name_of_a_file_outside_is_not_changed_through_its_hard_link(tmp_path: Path, outside: _Outside) -> None:
    """It looks like the file of the snapshot; its mode is another, and it has a name elsewhere."""
    (tmp_path / "root").mkdir()
    os.link(outside.path / "x", tmp_path / "root/x")
    stat = (outside.path / "x").stat()
    before = describe(outside.path)
    target = FolderTarget(bytes(tmp_path / "root"), entropy=SystemEntropy(), overwrite="changed")
    writer = target.begin(entry(b"x", size=stat.st_size, mtime_ns=stat.st_mtime_ns, mode=0o777))
    assert writer is not None
    writer.write_at(0, memoryview(b"of mine!!"))
    assert writer.commit()
    target.finish()
    assert describe(outside.path) == before
    assert (tmp_path / "root/x").read_bytes() == b"of mine!!"


@pytest.mark.parametrize("overwrite", POLICIES)
def test_what_appears_under_a_name_meanwhile_is_left_there_unless_it_may_go(
    tmp_path: Path, overwrite: Overwrite
) -> None:
    """Between the look at the name and the moment it is given."""
    target = FolderTarget(bytes(tmp_path), entropy=SystemEntropy(), overwrite=overwrite)
    writer = target.begin(entry(b"x", size=0))
    assert writer is not None
    (tmp_path / "x").write_bytes(b"theirs")
    assert not writer.commit()
    target.finish()
    assert (tmp_path / "x").read_bytes() == b"theirs"
    assert [warning.path for warning in target.warnings] == [b"x"]


def test_a_racing_attacker_gets_nothing_out(tmp_path: Path, outside: _Outside) -> None:
    """Folders are swapped for symlinks as fast as one can, while files are restored into them."""
    root = tmp_path / "root"
    build(root, {b"d/sub": folder()})
    stop = threading.Event()
    attacker = threading.Thread(target=_flip, args=(root / "d", outside.path, stop.is_set))
    attacker.start()
    try:
        for number in range(200):
            target = FolderTarget(bytes(root), entropy=SystemEntropy(), overwrite="changed")
            target.begin(entry(b"d", FOLDER, mode=0o777, mtime_ns=number))
            target.begin(entry(b"d/sub", FOLDER, mode=0o777, mtime_ns=number))
            for path in (b"d/sub/x", b"d/x"):
                writer = target.begin(entry(path, size=3, mtime_ns=number, link_group=9))
                if writer is not None:
                    writer.write_at(0, memoryview(b"new"))
                    writer.commit()
            target.finish()
    finally:
        stop.set()
        attacker.join()
    assert outside.is_untouched()


def _flip(path: Path, to: Path, stopped: Callable[[], bool]) -> None:
    away = path.with_name("away")
    while not stopped():
        with suppress(OSError):
            path.rename(away)
            path.symlink_to(to)
        with suppress(OSError):
            path.unlink()
        with suppress(OSError):
            away.rename(path)


def test_a_fifo_in_place_of_a_file_is_not_waited_for(tmp_path: Path) -> None:
    """Nothing that stands there is ever opened for reading or writing."""
    build(tmp_path, {b"x": Node(kind="fifo"), b"p": Node(kind="fifo", mode=0o600)})
    target = FolderTarget(bytes(tmp_path), entropy=SystemEntropy(), overwrite="changed")
    writer = target.begin(entry(b"x", size=0))
    assert writer is not None
    assert writer.commit()
    assert target.begin(entry(b"p", FIFO, mode=0o640)) is None
    target.finish()
    things: dict[bytes, Thing] = describe(tmp_path)
    assert (things[b"x"].kind, things[b"p"].mode) == ("file", 0o640)

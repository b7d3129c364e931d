"""Folders by descriptor: bounded in number, and never another folder than the one that was entered."""

from __future__ import annotations

import errno
import os
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from engine.pipeline.folders import FolderPool, OpenFolder, list_names
from tests.privileges import plain_user, shared_folder


def _descriptors() -> int:
    return len(os.listdir("/proc/self/fd"))


def _names(folder: OpenFolder) -> list[bytes]:
    with folder.descriptor() as fd:
        return sorted(list_names(fd))


def test_no_more_than_the_limit_stay_open(tmp_path: Path) -> None:
    """Those used longest ago are closed; any of them opens again when it is asked for."""
    for number in range(20):
        (tmp_path / f"d{number}").mkdir()
        (tmp_path / f"d{number}" / f"f{number}").touch()
    before = _descriptors()
    root = FolderPool(limit=3).root(bytes(tmp_path))
    folders = [root.enter(f"d{number}".encode()) for number in range(20)]
    assert _descriptors() - before == 4
    assert [_names(folder) for folder in folders] == [[f"f{number}".encode()] for number in range(20)]
    assert _descriptors() - before == 4


def test_all_is_closed_with_the_last_folder(tmp_path: Path) -> None:
    """A pool needs no end: what nothing refers to is closed."""
    (tmp_path / "a").mkdir()
    before = _descriptors()
    folder = FolderPool().root(bytes(tmp_path)).enter(b"a")
    assert _descriptors() > before
    del folder
    assert _descriptors() == before


def test_a_folder_below_closed_ones_is_opened_component_by_component(tmp_path: Path) -> None:
    """The chain of its parents leads back to it."""
    (tmp_path / "a/b/c/d").mkdir(parents=True)
    root = FolderPool(limit=1).root(bytes(tmp_path))
    deepest = root.enter(b"a").enter(b"b").enter(b"c").enter(b"d")
    (tmp_path / "x").mkdir()
    root.enter(b"x")  # pushes the others out
    assert _names(deepest) == []


def test_a_symlink_is_never_entered(tmp_path: Path) -> None:
    """Neither the first time nor when a folder is opened again."""
    (tmp_path / "real").mkdir()
    (tmp_path / "link").symlink_to("real")
    root = FolderPool(limit=0).root(bytes(tmp_path))
    with pytest.raises(NotADirectoryError):
        root.enter(b"link")
    real = root.enter(b"real")
    (tmp_path / "real").rename(tmp_path / "moved")
    (tmp_path / "real").symlink_to("moved")
    with pytest.raises(NotADirectoryError):
        _names(real)


def test_another_folder_of_the_same_name_is_not_the_same(tmp_path: Path) -> None:
    """A folder that was closed must be the one it was, by device and inode."""
    (tmp_path / "a").mkdir()
    folder = FolderPool(limit=0).root(bytes(tmp_path)).enter(b"a")
    (tmp_path / "a").rename(tmp_path / "kept")
    (tmp_path / "a").mkdir()
    with pytest.raises(OSError) as caught:
        _names(folder)
    assert caught.value.errno == errno.ESTALE


def test_a_folder_in_use_is_not_closed_by_others(tmp_path: Path) -> None:
    """The descriptor holds for the length of the `with`, whatever else is opened meanwhile."""
    for name in ("a", "b", "c"):
        (tmp_path / name).mkdir()
    root = FolderPool(limit=1).root(bytes(tmp_path))
    first = root.enter(b"a")
    with first.descriptor() as fd:
        identity = os.fstat(fd).st_ino
        for other in (b"b", b"c"):
            _names(root.enter(other))
        assert os.fstat(fd).st_ino == identity


def test_many_threads_share_a_small_pool(tmp_path: Path) -> None:
    """Each sees the folder it asked for."""
    folders = []
    root = FolderPool(limit=2).root(bytes(tmp_path))
    for number in range(8):
        (tmp_path / f"{number}" / "x" / f"f{number}").mkdir(parents=True)
        folders.append(root.enter(str(number).encode()).enter(b"x"))
    with ThreadPoolExecutor(8) as threads:
        seen = list(threads.map(lambda n: (n % 8, _names(folders[n % 8])), range(400)))
    assert all(names == [f"f{number}".encode()] for number, names in seen)


def test_a_folder_that_may_only_be_passed_through_is_passed_through() -> None:
    """As `/home` often is: what is inside can be opened by name, though not listed."""
    with shared_folder() as shared:
        (shared / "home" / "me").mkdir(parents=True)
        os.chmod(shared / "home", 0o311)
        with plain_user():
            home = FolderPool().root(bytes(shared)).enter(b"home")
            assert _names(home.enter(b"me")) == []
            with pytest.raises(PermissionError), home.descriptor() as fd:
                list_names(fd)

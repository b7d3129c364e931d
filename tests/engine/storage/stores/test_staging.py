"""Staged files and the deaths of engines: whose are removed, and whose never."""

from __future__ import annotations

import errno
import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from engine.base.errors import Unavailable
from engine.storage.stores import staging, syscalls
from engine.storage.stores.local import LocalStore
from engine.storage.stores.staging import Staging
from tests.suites.object_store import names_in, paged, pattern

PROJECT = Path(__file__).parents[4]
ENGINE = """
import sys
from pathlib import Path
from engine.storage.stores.local import LocalStore

store = LocalStore(Path(sys.argv[1]), create=True)
staged = store.stage()
staged.append(memoryview(bytes(8192)))
print("staged", flush=True)
sys.stdin.readline()
staged.publish("packs/of-the-other").result()
print("published", flush=True)
"""


@pytest.fixture
def root(tmp_path: Path) -> Path:
    """The folder of the store."""
    return tmp_path / "store"


@contextmanager
def other_engine(root: Path) -> Iterator[subprocess.Popen[str]]:
    """A process that has staged two pages in the store at `root`."""
    arguments = [sys.executable, "-c", ENGINE, str(root)]
    with subprocess.Popen(arguments, cwd=PROJECT, stdin=-1, stdout=-1, text=True) as process:
        try:
            assert process.stdout is not None
            assert process.stdout.readline() == "staged\n"
            yield process
        finally:
            process.kill()


def staged_files(root: Path) -> list[str]:
    """The staged files of all engines."""
    return [str(path) for path in root.glob("tmp/*/*") if path.name != "lock"]


def test_what_a_killed_engine_staged_is_removed_at_the_next_open(root: Path) -> None:
    with other_engine(root) as process:
        process.send_signal(signal.SIGKILL)
        process.wait()
        assert len(staged_files(root)) == 1
        LocalStore(root, create=False).close()
        assert list(root.glob("tmp/*")) == []


def test_what_a_living_engine_has_staged_is_spared(root: Path) -> None:
    with other_engine(root) as process:
        assert process.stdin is not None
        assert process.stdout is not None
        store = LocalStore(root, create=False)
        staged = store.stage()
        assert len(staged_files(root)) == 2
        process.stdin.write("go\n")
        process.stdin.flush()
        assert process.stdout.readline() == "published\n"
        assert names_in(store) == ["packs/of-the-other"]
        staged.append(paged(pattern(4096)))
        store.close()


def test_two_stores_of_one_process_have_folders_of_their_own(root: Path) -> None:
    stores = [LocalStore(root, create=True) for _ in range(3)]
    for store in stores:
        store.stage()
    assert len({Path(path).parent for path in staged_files(root)}) == 3
    LocalStore(root, create=False).close()
    assert len(staged_files(root)) == 3
    for store in stores:
        store.close()
    assert list(root.glob("tmp/*")) == []


def test_a_folder_taken_for_a_leftover_while_it_was_made_is_not_used(
    root: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    root.mkdir()
    open_lock, opened = syscalls.open_lock, list[str]()

    def clean_first(path: str) -> int:
        opened.append(path)
        if len(opened) == 1:  # another engine opens the store just now
            staging.remove_leftovers(str(root))
        return open_lock(path)

    monkeypatch.setattr(syscalls, "open_lock", clean_first)
    mine = Staging(str(root), direct_io=False, check_root=lambda: None)
    file = mine.create(direct=False)
    assert Path(file.path).parent.name == f"{os.getpid()}-1"
    assert Path(file.path).exists()
    mine.close()


def test_a_lock_file_that_was_removed_meanwhile_means_nothing(root: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    root.mkdir()
    try_lock, tries = syscalls.try_lock, list[int]()

    def remove_first(fd: int) -> bool:
        tries.append(fd)
        if len(tries) == 1:
            Path(os.readlink(f"/proc/self/fd/{fd}")).unlink()
        return try_lock(fd)

    monkeypatch.setattr(syscalls, "try_lock", remove_first)
    mine = Staging(str(root), direct_io=False, check_root=lambda: None)
    file = mine.create(direct=False)
    assert Path(file.path).parent.name == f"{os.getpid()}-1"
    mine.close()


def test_where_there_are_no_locks_nothing_of_others_is_removed(root: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def no_locks(fd: int) -> bool:
        raise OSError(errno.ENOLCK, os.strerror(errno.ENOLCK))

    monkeypatch.setattr(syscalls, "try_lock", no_locks)
    first = LocalStore(root, create=True)
    staged = first.stage()
    staged.append(paged(pattern(4096)))
    second = LocalStore(root, create=True)
    second.stage()
    assert len(staged_files(root)) == 2
    staged.publish("packs/1").result()
    first.close()
    second.close()
    assert staged_files(root) == []


def test_foreign_things_in_the_staging_folder_are_left_alone(root: Path) -> None:
    (root / "tmp" / "9-9" / "folder").mkdir(parents=True)
    (root / "tmp" / "notes.txt").write_bytes(b"a person's")
    LocalStore(root, create=False).close()
    assert (root / "tmp" / "notes.txt").exists()
    assert (root / "tmp" / "9-9" / "folder").exists()


def test_a_staging_folder_that_cannot_be_claimed_is_unavailable(root: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(staging, "CLAIM_TRIES_MAX", 2)
    for number in range(2):
        (root / "tmp" / f"{os.getpid()}-{number}" / "folder").mkdir(parents=True)
    store = LocalStore(root, create=False)
    with pytest.raises(Unavailable):
        store.put("a", b"")
    store.close()

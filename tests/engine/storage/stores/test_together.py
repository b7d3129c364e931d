"""Many fsyncs in one wait: the real call of this kernel, what it tells of each, and what is done where none is."""

from __future__ import annotations

import errno
import os
from collections.abc import Iterator
from pathlib import Path

import pytest

from engine.storage.stores import syscalls, together
from engine.storage.stores.together import AT_ONCE_MAX, fsync_together


@pytest.fixture
def fds(tmp_path: Path) -> Iterator[list[int]]:
    """Four files with bytes that no fsync has seen, and their folder."""
    opened = [os.open(tmp_path / str(number), os.O_CREAT | os.O_WRONLY) for number in range(4)]
    for fd in opened:
        os.write(fd, b"bytes")
    opened.append(os.open(tmp_path, os.O_RDONLY | os.O_DIRECTORY))
    yield opened
    for fd in opened:
        os.close(fd)


def test_files_and_folders_are_synced_together_by_this_kernel(fds: list[int], monkeypatch: pytest.MonkeyPatch) -> None:
    """No plain fsync is made for any of them."""
    monkeypatch.setattr(os, "fsync", None)
    assert fsync_together(fds) == [None] * len(fds)
    assert fsync_together(fds * (AT_ONCE_MAX // 5)) == [None] * (AT_ONCE_MAX // 5 * 5)


def test_each_is_told_what_went_wrong_with_it_alone(fds: list[int]) -> None:
    """A pipe cannot be fsynced."""
    reading, writing = os.pipe()
    try:
        found = fsync_together([fds[0], writing, fds[1]])
    finally:
        os.close(reading)
        os.close(writing)
    assert found is not None
    assert [error and error.errno for error in found] == [None, errno.EINVAL, None]


def test_what_the_kernel_does_not_take_is_synced_one_by_one(fds: list[int], monkeypatch: pytest.MonkeyPatch) -> None:
    """From a descriptor on that is none the kernel takes no further one."""
    synced: list[int] = []
    real = os.fsync

    def fsync(fd: int) -> None:
        synced.append(fd)
        real(fd)

    monkeypatch.setattr(os, "fsync", fsync)
    context = together._Context()
    found = context.fsync([fds[0], 1 << 20, fds[1]])
    assert [error and error.errno for error in found] == [None, errno.EBADF, None]
    assert synced == [1 << 20, fds[1]]


@pytest.mark.parametrize("numbers", [(), (-1, -1, -1, -1)])
def test_a_system_without_the_call_says_so(
    fds: list[int], monkeypatch: pytest.MonkeyPatch, numbers: tuple[int]
) -> None:
    """The machine is of another kind, or the call is forbidden; the seam then goes through all one by one."""
    monkeypatch.setattr(together, "_NUMBERS", numbers)
    monkeypatch.setattr(together, "_of_thread", type("", (), {})())
    assert fsync_together(fds) is None
    synced: list[int] = []
    monkeypatch.setattr(syscalls, "fsync_file", synced.append)
    assert syscalls.fsync_files(fds) == [None] * 5
    assert synced == fds


def test_of_folders_that_are_synced_together_one_may_be_gone(tmp_path: Path) -> None:
    """The others are synced all the same."""
    found = syscalls.fsync_folders([str(tmp_path), str(tmp_path / "gone"), str(tmp_path)])
    assert [type(error) for error in found] == [type(None), FileNotFoundError, type(None)]
    assert syscalls.fsync_folders([]) == []

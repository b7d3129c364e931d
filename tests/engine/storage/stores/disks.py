"""Real disks that are full or read-only, for tests: a small tmpfs where we may mount one, else the next best limit."""

from __future__ import annotations

import errno
import os
import resource
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

import pytest

from engine.storage.stores import syscalls


def _mount(*arguments: str) -> bool:
    """Whether `mount` did it; it takes root, and a container may forbid it even then."""
    with suppress(FileNotFoundError):
        return subprocess.run(["mount", *arguments], check=False, capture_output=True).returncode == 0
    return False


@contextmanager
def small_disk(folder: Path, *, size_bytes: int) -> Iterator[Path]:
    """A file system of `size_bytes` at `folder`; where we may not mount, no file grows past half of that."""
    folder.mkdir()
    if _mount("-t", "tmpfs", "-o", f"size={size_bytes}", "tmpfs", str(folder)):
        try:
            yield folder
        finally:
            subprocess.run(["umount", "--lazy", str(folder)], check=True)
    else:
        with fills_at(size_bytes // 2):
            yield folder


@contextmanager
def fills_at(size_bytes: int) -> Iterator[None]:
    """No file of this process grows past `size_bytes` (EFBIG) for the length of the block."""
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (size_bytes, hard))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))


@contextmanager
def read_only_folder(folder: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """`folder` on a read-only mount (EROFS); where we may not mount, without write permission (EACCES).

    For root in a container that forbids mounting permission bits mean nothing: there the system calls refuse.
    """
    if _mount("--bind", str(folder), str(folder)):
        try:
            subprocess.run(["mount", "-o", "remount,bind,ro", str(folder)], check=True)
            yield
        finally:
            subprocess.run(["umount", "--lazy", str(folder)], check=True)
        return
    folders = [folder, *(path for path in folder.rglob("*") if path.is_dir())]
    for path in folders:
        os.chmod(path, 0o500)
    try:
        with monkeypatch.context() as patch:
            if os.access(folder, os.W_OK):
                for name in syscalls.CHANGES:
                    patch.setattr(syscalls, name, _refuse_read_only)
            yield
    finally:
        for path in folders:
            os.chmod(path, 0o700)


def _refuse_read_only(*_: object, **__: object) -> int:
    raise OSError(errno.EROFS, os.strerror(errno.EROFS))

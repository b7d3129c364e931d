"""The one door between a store on a disk and the file system.

Every open, write, fsync, rename, link and removal of a store's files is one call of a function here, made
through the module (`syscalls.fsync_file(fd)`). So a crash harness can kill, refuse or drop at each boundary
by replacing a function, and nothing slips past it (`fsync_together` by one that does nothing: then the many are
made one by one). No policy lives here: no retries, no translation of
errors; all functions raise OSError and may be called from any thread.
"""

from __future__ import annotations

import errno
import fcntl
import os
from collections.abc import Callable, Iterator, Sequence
from typing import TypeVar

from engine.storage.stores.together import fsync_together

T = TypeVar("T")

# The functions that change what lies on the disk: the boundaries a crash can fall between.
CHANGES = (
    "create_file",
    "write_at",
    "fsync_file",
    "fsync_folder",
    "rename",
    "link",
    "unlink",
    "make_folder",
    "remove_folder",
)

_NOTHING_CACHED = frozenset({errno.EAGAIN, errno.EOPNOTSUPP, errno.ESPIPE})

_FILE_MODE = 0o600
_FOLDER_MODE = 0o700


def create_file(path: str, *, direct: bool) -> int:
    """Make a new file and open it for writing, past the page cache if `direct`. EINVAL: not on this file system."""
    flags = os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC
    return os.open(path, flags | (os.O_DIRECT if direct else 0), _FILE_MODE)


def set_buffered(fd: int) -> None:
    """Let later writes of `fd` go through the page cache, which takes any address and length."""
    fcntl.fcntl(fd, fcntl.F_SETFL, fcntl.fcntl(fd, fcntl.F_GETFL) & ~os.O_DIRECT)


def write_at(fd: int, data: memoryview, offset: int) -> int:
    """Write some of `data` at `offset`; how many bytes it was. Without the GIL."""
    return os.pwrite(fd, data, offset)


def fsync_file(fd: int) -> None:
    """Wait until the bytes and the size of `fd` are on the medium."""
    os.fsync(fd)


def fsync_folder(path: str) -> None:
    """Wait until the names made and removed in the folder are on the medium."""
    fd = _open_folder(path)
    try:
        os.fsync(fd)
    finally:
        os.close(fd)


def fsync_files(fds: Sequence[int]) -> list[OSError | None]:
    """`fsync_file` of each, in one wait where the kernel can; what went wrong with each."""
    found = fsync_together(fds) if len(fds) > 1 else None
    return found if found is not None else [_refusal(fsync_file, fd) for fd in fds]


def fsync_folders(paths: Sequence[str]) -> list[OSError | None]:
    """`fsync_folder` of each, the same way."""
    fds: list[int] = []
    try:
        for path in paths if len(paths) > 1 else ():
            fds.append(_open_folder(path))
        found = fsync_together(fds) if fds else None
    except OSError:
        found = None  # a folder is gone, or there are too many: each is told apart below
    finally:
        for fd in fds:
            os.close(fd)
    return found if found is not None else [_refusal(fsync_folder, path) for path in paths]


def _open_folder(path: str) -> int:
    return os.open(path, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)


def _refusal(call: Callable[[T], None], on: T) -> OSError | None:
    try:
        call(on)
    except OSError as error:
        return error
    return None


def rename(source: str, target: str) -> None:
    """Give a file its name, replacing what has it."""
    os.rename(source, target)


def link(source: str, target: str) -> None:
    """Give a file a second name; EEXIST when it is taken."""
    os.link(source, target, follow_symlinks=False)


def unlink(path: str) -> None:
    """Remove a name of a file."""
    os.unlink(path)


def make_folder(path: str) -> None:
    """Make one folder; EEXIST when it is there."""
    os.mkdir(path, _FOLDER_MODE)


def remove_folder(path: str) -> None:
    """Remove an empty folder."""
    os.rmdir(path)


def close(fd: int) -> None:
    """Close a descriptor."""
    os.close(fd)


def open_for_reading(path: str, *, direct: bool = False) -> int:
    """Open an object: never through a symlink, and never waiting for the other end of a planted FIFO.

    `direct`: past the page cache. EINVAL: not on this file system.
    """
    flags = os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC
    return os.open(path, flags | (os.O_DIRECT if direct else 0))


def read_at(fd: int, buffer: memoryview, offset: int) -> int:
    """Read some bytes at `offset` into `buffer`; how many it was, 0 at the end. Without the GIL."""
    return os.preadv(fd, [buffer], offset)


def read_cached_at(fd: int, buffer: memoryview, offset: int) -> int:
    """As `read_at`, but only what the page cache holds; 0 when it holds nothing there or cannot tell. Never waits."""
    try:
        return os.preadv(fd, [buffer], offset, os.RWF_NOWAIT)
    except OSError as error:
        if error.errno in _NOTHING_CACHED:
            return 0
        raise


def stat_descriptor(fd: int) -> os.stat_result:
    """What the kernel knows of an open file."""
    return os.fstat(fd)


def stat_name(path: str) -> os.stat_result:
    """What the kernel knows of a name, without following a symlink."""
    return os.lstat(path)


def stat_root(path: str) -> os.stat_result:
    """What the kernel knows of a store's own folder, which may be a symlink."""
    return os.stat(path)


def scan_folder(path: str) -> Iterator[os.DirEntry[str]]:
    """The entries of a folder, in no order."""
    with os.scandir(path) as entries:
        yield from entries


def space_of(path: str) -> os.statvfs_result:
    """Room of the file system that holds `path`."""
    return os.statvfs(path)


def open_lock(path: str) -> int:
    """Open a lock file, making it when it is missing."""
    return os.open(path, os.O_RDWR | os.O_CREAT | os.O_NOFOLLOW | os.O_CLOEXEC, _FILE_MODE)


def wait_for_lock(fd: int) -> None:
    """Take the exclusive lock of an open lock file, whoever has it now."""
    fcntl.flock(fd, fcntl.LOCK_EX)


def attribute(path: str, name: str) -> bytes:
    """An extended attribute, without following a symlink. ENODATA: it has none of that name."""
    return os.getxattr(path, name, follow_symlinks=False)


def set_attribute(path: str, name: str, value: bytes) -> None:
    """Set an extended attribute; to some file systems that is a command."""
    os.setxattr(path, name, value)


def try_lock(fd: int) -> bool:
    """Take the exclusive lock of an open lock file unless somebody has it; the kernel lets go when the owner dies."""
    try:
        fcntl.flock(fd, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError as error:
        if error.errno in (errno.EWOULDBLOCK, errno.EACCES):
            return False
        raise
    return True

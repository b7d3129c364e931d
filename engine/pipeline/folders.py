"""Folders held by descriptor, so that a rename or a symlink put in the way never leads anywhere else.

A folder knows its parent, its name and its identity (device, inode). A `FolderPool` keeps the descriptors of
the folders used last; one that was closed is opened again from the nearest open ancestor, component by
component with O_NOFOLLOW, and must still be the same folder. So trees of any depth and any number of folders
in flight need a bounded number of descriptors, and no path is ever longer than one name. Any thread.
"""

from __future__ import annotations

import errno
import itertools
import os
import threading
from collections import OrderedDict
from collections.abc import Iterable
from contextlib import suppress

POOL_DESCRIPTORS = 256

Identity = tuple[int, int]  # (st_dev, st_ino)

_FOLDER = os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC


class _Descriptor:
    """A descriptor and how many use it this instant. Closed with the object; the pool's lock guards `users`."""

    __slots__ = ("fd", "users")

    def __init__(self, fd: int) -> None:
        self.fd = fd
        self.users = 0

    def __del__(self) -> None:
        os.close(self.fd)


class FolderPool:
    """Descriptors of at most `limit` folders, plus roots and those in use. Closed with the last folder of the pool."""

    def __init__(self, limit: int = POOL_DESCRIPTORS) -> None:
        self._limit = limit
        self._lock = threading.Lock()
        self._keys = itertools.count()
        self._open: OrderedDict[int, _Descriptor] = OrderedDict()  # the one used last is last

    def root(self, path: bytes, *, is_new: bool = False) -> OpenFolder:
        """The folder at `path`; symlinks in the path are followed, as the person who named it meant. Raises OSError.

        The caller has just made it when it `is_new`: then a symlink is none of his.
        Its own descriptor stays open as long as it or a folder below it is referred to.
        """
        return OpenFolder(self, None, path, _Descriptor(_open(path, _FOLDER | os.O_NOFOLLOW * is_new)))

    def received(self, fd: int) -> OpenFolder:
        """A folder that another process holds and has sent; the descriptor is the folder's from now on."""
        return OpenFolder(self, None, b"", _Descriptor(fd))

    def _enter(self, parent: OpenFolder, name: bytes) -> OpenFolder:
        with parent.descriptor() as parent_fd:
            descriptor = _Descriptor(_open(name, _FOLDER | os.O_NOFOLLOW, parent_fd))
        folder = OpenFolder(self, parent, name, descriptor)
        self._release(self._keep(folder, descriptor))
        return folder

    def _acquire(self, folder: OpenFolder) -> _Descriptor:
        """The folder's descriptor with one more user, opened again if it was closed."""
        closed: list[OpenFolder] = []
        while (held := self._hold(folder)) is None:
            closed.append(folder)
            assert folder.parent is not None  # a root holds its own descriptor
            folder = folder.parent
        while closed:
            child = closed.pop()
            try:
                descriptor = _Descriptor(_open(child.name, _FOLDER | os.O_NOFOLLOW, held.fd))
            finally:
                self._release(held)
            if _identity(descriptor.fd) != child.identity:
                raise OSError(errno.ESTALE, "another folder stands in its place")
            held = self._keep(child, descriptor)
        return held

    def _hold(self, folder: OpenFolder) -> _Descriptor | None:
        with self._lock:
            descriptor = folder.own or self._open.get(folder.key)
            if descriptor is not None:
                descriptor.users += 1
                if folder.own is None:
                    self._open.move_to_end(folder.key)
            return descriptor

    def _keep(self, folder: OpenFolder, descriptor: _Descriptor) -> _Descriptor:
        """Put a fresh descriptor into the pool, in use; another thread's, if it was faster."""
        with self._lock:
            kept = self._open.setdefault(folder.key, descriptor)
            kept.users += 1
            return kept

    def _release(self, descriptor: _Descriptor) -> None:
        with self._lock:
            descriptor.users -= 1
            dropped: list[_Descriptor] = []
            if len(self._open) > self._limit:
                idle = (key for key, kept in self._open.items() if not kept.users)
                for key in list(itertools.islice(idle, len(self._open) - self._limit)):
                    dropped.append(self._open.pop(key))
        del dropped  # closed here, outside the lock


class Held:
    """A folder's descriptor, for the length of one `with`."""

    __slots__ = ("_descriptor", "_folder", "_pool")

    def __init__(self, pool: FolderPool, folder: OpenFolder) -> None:
        self._pool = pool
        self._folder = folder

    def __enter__(self) -> int:
        self._descriptor = self._pool._acquire(self._folder)
        return self._descriptor.fd

    def __exit__(self, *_: object) -> None:
        self._pool._release(self._descriptor)


class OpenFolder:
    """One folder. Made by `FolderPool.root`, `FolderPool.received` and `OpenFolder.enter`."""

    __slots__ = ("_pool", "identity", "key", "name", "own", "parent")

    def __init__(self, pool: FolderPool, parent: OpenFolder | None, name: bytes, descriptor: _Descriptor) -> None:
        self._pool = pool
        self.parent = parent
        self.name = name
        self.identity = _identity(descriptor.fd)
        self.key = next(pool._keys)
        self.own = descriptor if parent is None else None  # a root's is no business of the pool

    def __repr__(self) -> str:
        return f"OpenFolder({self.name!r})"

    def descriptor(self) -> Held:
        """The folder's descriptor, open for the length of the `with`. Raises OSError (ESTALE: another stands there)."""
        return Held(self._pool, self)

    def enter(self, name: bytes) -> OpenFolder:
        """The folder `name` in this one, never through a symlink. Raises OSError (ENOTDIR, ELOOP: not a folder)."""
        return self._pool._enter(self, name)


def _open(path: bytes, flags: int, folder_fd: int | None = None) -> int:
    """A folder that may be passed through but not listed (`/home` often is one) is opened as a place only."""
    try:
        return os.open(path, flags, dir_fd=folder_fd)
    except PermissionError:
        return os.open(path, flags | os.O_PATH, dir_fd=folder_fd)


def list_names(fd: int) -> list[bytes]:
    """The names in a folder that is held by descriptor, in no order. Raises OSError.

    Through a descriptor of its own: those of a pool are shared, and so would be the place in the list.
    """
    own = os.open(b".", _FOLDER, dir_fd=fd)
    try:
        return list(map(os.fsencode, os.listdir(own)))
    finally:
        os.close(own)


def identities(paths: Iterable[bytes]) -> frozenset[Identity]:
    """What stands at these paths, symlinks followed; nothing of those where nothing can be seen."""
    found = set()
    for path in paths:
        with suppress(OSError):
            stat = os.stat(path)
            found.add((stat.st_dev, stat.st_ino))
    return frozenset(found)


def _identity(fd: int) -> Identity:
    stat = os.fstat(fd)
    return stat.st_dev, stat.st_ino


def reason(error: OSError) -> str:
    """The system's words for an error, without path and number: `permission denied`."""
    text = os.strerror(error.errno) if error.errno else str(error)
    return text[:1].lower() + text[1:]

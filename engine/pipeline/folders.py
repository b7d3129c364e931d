"""Folders held by descriptor, so that a rename or a symlink put in the way never leads anywhere else.

A folder knows its parent, its name and its identity (device, inode). A `FolderPool` keeps the descriptors of
the folders used last; one that was closed is opened again from the nearest open ancestor, component by
component with O_NOFOLLOW, and must still be the same folder. So trees of any depth and any number of folders
in flight need a bounded number of descriptors, and no path is ever longer than one name. Any thread.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

POOL_DESCRIPTORS = 256


class FolderPool:
    """Descriptors of at most `limit` folders, plus those in use this instant. Closed with the last folder of the pool."""

    def __init__(self, limit: int = POOL_DESCRIPTORS) -> None:
        raise NotImplementedError

    def root(self, path: bytes) -> OpenFolder:
        """The folder at `path`; symlinks in the path are followed, as the person who named it meant. Raises OSError."""
        raise NotImplementedError


class OpenFolder:
    """One folder. Made by `FolderPool.root` and `OpenFolder.enter`."""

    identity: tuple[int, int]  # (st_dev, st_ino)

    @contextmanager
    def descriptor(self) -> Iterator[int]:
        """The folder's descriptor, open for the length of the `with`. Raises OSError (ESTALE: another stands there)."""
        raise NotImplementedError
        yield 0

    def enter(self, name: bytes) -> OpenFolder:
        """The folder `name` in this one, never through a symlink. Raises OSError (ENOTDIR, ELOOP: not a folder)."""
        raise NotImplementedError

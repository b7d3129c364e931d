"""The three changes a store on a disk makes, as the committer carries them out: publish, put, delete.

In: a temporary file with its bytes written, and the name it is to have. Out: which folders must be fsynced.
Only the committer's thread is in here, so nothing is locked.
"""

from __future__ import annotations

import errno
import stat
from abc import ABC, abstractmethod
from collections.abc import Callable, Sequence
from contextlib import suppress

import msgspec

from engine.base.errors import Conflict, NotFound, WedSyncError
from engine.storage.stores import syscalls
from engine.storage.stores.names import STAGING_FOLDER, folders_of, parent_folder
from engine.storage.stores.staging import TemporaryFile

SETTLED_MAX = 16_384
MAKES_MAX = 10  # how often a folder is made anew that others remove before a name is in it
_NAMING_LOCK = "naming.lock"  # beside the staging folders, which are folders
_OWN_DEPTH = 2  # `leases/ID`: who makes such a folder is alone in it, so it goes with the last object


class Folders:
    """Which folders of a store are known to last: fsynced in their parents since this store was opened.

    Being there is not enough: another engine may have made a folder a moment ago and lose it in a crash.
    """

    def __init__(self, root: str) -> None:
        self._root = root
        self._settled: set[str] = set()
        self._own: set[str] = set()  # made by this store, at the depth where folders have one owner

    def path(self, name: str) -> str:
        """Where the object or folder `name` lies."""
        return f"{self._root}/{name}" if name else self._root

    def make(self, folder: str) -> Sequence[str]:
        """Make `folder` and those above it; the paths to be fsynced so that a name made in it lasts. Raises OSError."""
        touched = {self.path(folder): None}
        for level in folders_of(folder):
            if level not in self._settled:
                with suppress(FileExistsError):
                    syscalls.make_folder(self.path(level))
                    if level.count("/") + 1 == _OWN_DEPTH:
                        self._own.add(level)
                touched[self.path(parent_folder(level))] = None
        return tuple(touched)

    def settle(self, folder: str) -> None:
        """Remember that `folder` and those above it last."""
        if len(self._settled) > SETTLED_MAX:
            self._settled.clear()
        self._settled.update(folders_of(folder))

    def forget(self, folder: str) -> None:
        """Something failed in `folder`: make and fsync it and those above anew next time."""
        self._settled.difference_update(folders_of(folder))

    def remove_if_left(self, folder: str) -> None:
        """Remove a folder that this store made for itself, once nothing is in it any more.

        Others may create in it all the same: they find it gone, and make it again. That it is gone need not last.
        """
        if folder in self._own:
            with suppress(OSError):
                syscalls.remove_folder(self.path(folder))
                self._own.discard(folder)
                self._settled.discard(folder)


class _FileCommit(ABC):
    """What publishing and putting share: the bytes first, then the name, then the folders."""

    needs_folders = True

    def __init__(self, file: TemporaryFile, name: str, folders: Folders) -> None:
        self._file = file
        self._name = name
        self._folder = parent_folder(name)
        self._folders = folders
        self._target = folders.path(name)
        self._is_moved = False
        self._declined: WedSyncError | None = None

    @property
    def fd(self) -> int:
        """See `Commit.fd`."""
        return self._file.fd

    def reveal(self) -> Sequence[str]:
        """See `Commit.reveal`. A name that is there already is made to last too before that is told."""
        for _ in range(MAKES_MAX - 1):
            with suppress(FileNotFoundError):  # who made the folder has removed it since
                return self._make_and_enter()
            self._folders.forget(self._folder)
        return self._make_and_enter()

    def finish(self, *, durable: bool) -> WedSyncError | None:
        """See `Commit.finish`."""
        self._file.close(remove=not self._is_moved)
        if durable:
            self._folders.settle(self._folder)
        else:
            self._folders.forget(self._folder)
        return self._declined

    def _make_and_enter(self) -> Sequence[str]:
        try:
            touched = self._folders.make(self._folder)
            self._enter()
        except OSError as error:
            if error.errno in (errno.ENOTDIR, errno.EISDIR):
                raise Conflict(f"{self._name} cannot be both an object and a folder of the store") from error
            raise
        return touched

    @abstractmethod
    def _enter(self) -> None:
        """Give the file its name, or say in `_declined` why not."""


class PublishCommit(_FileCommit):
    """A staged file under the hash of its bytes: who comes second with the same bytes has nothing to do."""

    def _enter(self) -> None:
        try:
            there = syscalls.stat_name(self._target)
        except FileNotFoundError:
            syscalls.rename(self._file.path, self._target)
            self._is_moved = True
            return
        if not stat.S_ISREG(there.st_mode) or there.st_size != self._file.size_bytes:
            self._declined = Conflict(
                f"{self._name} is in the store already with {there.st_size} bytes, not {self._file.size_bytes}",
                "run verify: one of the two is damaged",
            )


class PutCommit(_FileCommit):
    """A small object under a chosen name: only the first gets it."""

    def _enter(self) -> None:
        try:
            syscalls.link(self._file.path, self._target)
        except FileExistsError:
            self._declined = Conflict(f"{self._name} is in the store already")


class SoleCommit(PutCommit):
    """The same where the file system knows no hard links: who names an object holds the store's lock meanwhile."""

    def _enter(self) -> None:
        lock_fd = syscalls.open_lock(self._folders.path(f"{STAGING_FOLDER}/{_NAMING_LOCK}"))
        try:
            syscalls.wait_for_lock(lock_fd)
            try:
                syscalls.stat_name(self._target)
            except FileNotFoundError:
                syscalls.rename(self._file.path, self._target)
                self._is_moved = True
                return
            self._declined = Conflict(f"{self._name} is in the store already")
        finally:
            syscalls.close(lock_fd)


class Rules(msgspec.Struct, frozen=True):
    """What a file system under a store asks for beside the usual."""

    put: type[PutCommit] = PutCommit
    settle: Callable[[], None] | None = None  # what makes all new names last, in place of an fsync of each folder


DISK = Rules()


class DeleteCommit:
    """The end of an object."""

    needs_folders = False

    def __init__(self, name: str, folders: Folders) -> None:
        self._name = name
        self._folders = folders

    @property
    def fd(self) -> None:
        """See `Commit.fd`: no bytes change."""
        return None

    def reveal(self) -> Sequence[str]:
        """See `Commit.reveal`."""
        try:
            syscalls.unlink(self._folders.path(self._name))
        except (FileNotFoundError, NotADirectoryError, IsADirectoryError):
            raise NotFound(f"{self._name} is not in the store") from None
        return (self._folders.path(parent_folder(self._name)),)

    def finish(self, *, durable: bool) -> WedSyncError | None:
        """See `Commit.finish`."""
        if durable:
            self._folders.remove_if_left(parent_folder(self._name))
        return None

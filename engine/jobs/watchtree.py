"""The folders that are watched, as the kernel numbers them: which path an event is about, and for which watches.

Folders are added by a thread that walks, under the lock; the loop asks under the lock. A folder costs some 400 bytes
here and one watch of the kernel (1 KiB there). Any thread.
"""

from __future__ import annotations

import os
import stat
import threading
from collections.abc import Iterator
from contextlib import suppress

from engine.jobs.inotify import Inotify

Identity = tuple[int, int]  # (st_dev, st_ino)
_NOBODY: frozenset[str] = frozenset()


class Folder:
    """One watched folder. All fields are guarded by the tree's lock."""

    __slots__ = ("below", "name", "number", "parent", "watches")

    def __init__(self, parent: Folder | None, name: bytes, number: int) -> None:
        self.parent = parent
        self.name = name  # the whole path for the topmost one of a watch
        self.number = number
        self.watches: frozenset[str] = frozenset()
        self.below: dict[bytes, Folder] = {}

    def path(self) -> bytes:
        """Where it is."""
        parts = []
        folder: Folder | None = self
        while folder is not None:
            parts.append(folder.name)
            folder = folder.parent
        return b"/".join(reversed(parts))

    def all(self) -> Iterator[Folder]:
        """It and every folder below, those below last."""
        stack = [self]
        while stack:
            folder = stack.pop()
            yield folder
            stack.extend(folder.below.values())


class WatchTree:
    """Every watched folder."""

    def __init__(self, inotify: Inotify) -> None:
        self._inotify = inotify
        self.lock = threading.RLock()
        self._by_number: dict[int, Folder] = {}
        self._roots: dict[bytes, Folder] = {}
        self._counts: dict[str, int] = {}  # watch → its folders

    def __len__(self) -> int:
        return len(self._by_number)

    def folder(self, number: int) -> Folder | None:
        """The folder of an event. The caller holds the lock."""
        return self._by_number.get(number)

    def count(self, watch: str) -> int:
        """Folders of a watch."""
        return self._counts.get(watch, 0)

    def add_root(self, watch: str, path: bytes, skip: frozenset[Identity]) -> None:
        """Watch `path` and all folders below it. Blocks. Raises LimitReached, and OSError when it is not there.

        Folders that are watched already stay so; those in `skip`, by (device, inode), are left out.
        """
        with self.lock:
            root = self._roots.get(path) or self._found(path)
        inherited: frozenset[str] = frozenset()
        if root is None:
            root, inherited = self._watched(None, path)
            with self.lock:
                self._roots[path] = root
        self._fill(root, inherited | {watch}, skip)

    def _fill(self, top: Folder, wanted: frozenset[str], skip: frozenset[Identity]) -> None:
        """Watch `top` and all folders below it for the watches in `wanted`. Blocks. Raises LimitReached."""
        stack = [(top, wanted)]
        while stack:
            folder, watches = stack.pop()
            with self.lock:
                if self._by_number.get(folder.number) is not folder:
                    continue  # it went away meanwhile
                for watch in watches - folder.watches:
                    self._counts[watch] = self._counts.get(watch, 0) + 1
                folder.watches |= watches
                path = folder.path()
            for name in _folders_in(path, skip):
                with self.lock:
                    inner, inherited = folder.below.get(name), _NOBODY
                if inner is None:
                    with suppress(OSError):  # it went away, or may not be read: the backup warns of that
                        inner, inherited = self._watched(folder, name)
                if inner is not None:
                    stack.append((inner, watches | inherited))

    def add_below(self, folder: Folder, name: bytes, skip: frozenset[Identity]) -> None:
        """Watch a new folder for whoever watches the one it is in. Blocks. Raises LimitReached."""
        with self.lock:
            if self._by_number.get(folder.number) is not folder:
                return
            watches, path = folder.watches, folder.path() + b"/" + name
            inner, inherited = folder.below.get(name), _NOBODY
        if not _may_be_watched(path, skip):
            return
        if inner is None:
            with suppress(OSError):
                inner, inherited = self._watched(folder, name)
        if inner is not None:
            self._fill(inner, watches | inherited, skip)

    def forget(self, folder: Folder, *, tell_kernel: bool) -> None:
        """A folder, and all below it, is not there any more, or not where it was. The caller holds the lock."""
        for each in list(folder.all()):
            if self._by_number.get(each.number) is each:
                del self._by_number[each.number]
                for watch in each.watches:
                    self._counts[watch] -= 1
                if tell_kernel:
                    self._inotify.remove(each.number)
        if folder.parent is not None:
            if folder.parent.below.get(folder.name) is folder:
                del folder.parent.below[folder.name]
        elif self._roots.get(folder.name) is folder:
            del self._roots[folder.name]

    def drop(self, watch: str) -> None:
        """Nobody watches for `watch` any more."""
        with self.lock:
            for root in list(self._roots.values()):
                for folder in root.all():
                    folder.watches -= {watch}
                if not any(folder.watches for folder in root.all()):
                    self.forget(root, tell_kernel=True)
            self._counts.pop(watch, None)

    def is_watched(self, path: bytes) -> bool:
        """Whether a topmost folder is watched."""
        with self.lock:
            return path in self._roots or self._found(path) is not None

    def _watched(self, parent: Folder | None, name: bytes) -> tuple[Folder, frozenset[str]]:
        """Have the kernel watch a folder; it, and whose root it was before. Raises LimitReached, OSError."""
        inherited = _NOBODY
        with self.lock:
            path = name if parent is None else parent.path() + b"/" + name
            number = self._inotify.add(path)
            before = self._by_number.get(number)
            if before is not None:  # the root of another watch, now inside this one; or it has moved here
                inherited = before.watches if before.path() == path else _NOBODY
                self.forget(before, tell_kernel=False)
            folder = self._by_number[number] = Folder(parent, name, number)
            if parent is not None:
                parent.below[name] = folder
            return folder, inherited

    def _found(self, path: bytes) -> Folder | None:
        """The folder at `path`, if it lies in a root. The caller holds the lock."""
        names: list[bytes] = []
        above = path
        while above not in (b"", b"/"):
            above, _, name = above.rpartition(b"/")
            names.append(name)
            root = self._roots.get(above or b"/")
            if root is not None:
                folder: Folder | None = root
                for step in reversed(names):
                    folder = None if folder is None else folder.below.get(step)
                return folder
        return None


def _folders_in(path: bytes, skip: frozenset[Identity]) -> list[bytes]:
    """The names of the folders in a folder that are to be watched."""
    try:
        with os.scandir(path) as inside:
            return [
                entry.name
                for entry in inside
                if entry.is_dir(follow_symlinks=False) and (not skip or _identity(entry) not in skip)
            ]
    except OSError:
        return []


def _identity(entry: os.DirEntry[bytes]) -> Identity:
    found = entry.stat(follow_symlinks=False)
    return found.st_dev, found.st_ino


def _may_be_watched(path: bytes, skip: frozenset[Identity]) -> bool:
    try:
        found = os.lstat(path)
    except OSError:
        return False
    return stat.S_ISDIR(found.st_mode) and (found.st_dev, found.st_ino) not in skip

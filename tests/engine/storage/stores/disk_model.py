"""What a disk is sure to keep: a model of it that listens at the seam of system calls (`syscalls.CHANGES`).

It is as hard as a disk may be: bytes last only after an fsync of their file, a name only after an fsync of
its folder that came later than the name, a new folder's name likewise in its parent. `survives` says what a
power cut at this very moment would leave for sure. It can also refuse one call, counted from the start.
"""

from __future__ import annotations

import errno
import os
import threading
from collections.abc import Callable

import pytest

from engine.storage.stores import syscalls


class DiskModel:
    """Follows the changes below `root`; made before the store is. Any thread."""

    def __init__(self, root: str, monkeypatch: pytest.MonkeyPatch) -> None:
        self.calls: list[tuple[str, str]] = []  # (function, path), in order
        self.refuse_call: int | None = None  # this call, counted from 0, raises EIO instead of being made
        self._root = root
        self._mutex = threading.Lock()
        self._paths: dict[int, str] = {}  # by open descriptor, of the files that were created
        self._files: dict[str, int] = {}  # path → file
        self._dirty: set[int] = set()  # files with bytes that were not fsynced
        self._count = 0
        self._now: dict[str, dict[str, int]] = {}  # folder → its names; a folder's own number is -1
        self._kept: dict[str, dict[str, int]] = {}  # the same, as the last fsync of the folder left it
        monkeypatch.setattr(syscalls, "fsync_together", lambda fds: None)  # one by one, each a call of its own
        for name in syscalls.CHANGES:
            monkeypatch.setattr(syscalls, name, self._listening(name, getattr(syscalls, name)))

    def survives(self, name: str) -> bool:
        """Whether a power cut now would leave the object `name` with all its bytes, for sure."""
        folder, parts = self._root, name.split("/")
        with self._mutex:
            for part in parts[:-1]:
                if part not in self._kept.get(folder, {}):
                    return False
                folder = f"{folder}/{part}"
            file = self._kept.get(folder, {}).get(parts[-1])
            return file is not None and file not in self._dirty

    def count(self, function: str, path: str = "") -> int:
        """How often `function` was called, on paths that end in `path`."""
        return sum(called == function and on.endswith(path) for called, on in self.calls)

    def _listening(self, name: str, function: Callable[..., int]) -> Callable[..., int]:
        note: Callable[..., None] = getattr(self, f"_after_{name}")

        def call(*arguments: object, **options: object) -> int:
            with self._mutex:
                first = arguments[0]
                path = self._paths.get(first, "") if isinstance(first, int) else str(first)
                number = len(self.calls)
                self.calls.append((name, path))
            if number == self.refuse_call:
                raise OSError(errno.EIO, os.strerror(errno.EIO))
            # An fsync covers what was there when it began, not what comes while it runs.
            seen = dict(self._now.get(path, {})) if name == "fsync_folder" else {}
            result = function(*arguments, **options)
            with self._mutex:
                note(path, result, *arguments[1:]) if name != "fsync_folder" else self._kept.update({path: seen})
            return result

        return call

    def _enter(self, path: str, file: int) -> None:
        folder, _, name = path.rpartition("/")
        self._now.setdefault(folder, {})[name] = file

    def _leave(self, path: str) -> int:
        folder, _, name = path.rpartition("/")
        return self._now.setdefault(folder, {}).pop(name, -1)

    def _after_create_file(self, path: str, fd: int) -> None:
        self._count += 1
        self._paths[fd] = path
        self._files[path] = self._count
        self._dirty.add(self._count)
        self._enter(path, self._count)

    def _after_write_at(self, path: str, _: int, *__: object) -> None:
        self._dirty.add(self._files[path])

    def _after_fsync_file(self, path: str, _: None) -> None:
        self._dirty.discard(self._files[path])

    def _after_fsync_folder(self, path: str, _: None) -> None:
        raise NotImplementedError

    def _after_rename(self, path: str, _: None, target: str) -> None:
        self._enter(target, self._leave(path))

    def _after_link(self, path: str, _: None, target: str) -> None:
        self._enter(target, self._files[path])

    def _after_unlink(self, path: str, _: None) -> None:
        self._leave(path)

    def _after_make_folder(self, path: str, _: None) -> None:
        self._enter(path, -1)

    def _after_remove_folder(self, path: str, _: None) -> None:
        self._leave(path)

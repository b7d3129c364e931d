"""What the kernel tells of folders: the only door to inotify_simple.

In: folders to watch. Out: events in their order, names as bytes, and the loss of some (`overflow`). Reading never
blocks. Any thread may add folders; one reads.
"""

from __future__ import annotations

import errno
import os
from collections.abc import Iterator

import msgspec

from engine.base.errors import LimitReached

READ_BYTES = 32 * 1024  # at a time: some 600 events, a few milliseconds of the loop


class Happening(msgspec.Struct, frozen=True):
    """One event. `name` is empty when it is about the watched folder itself."""

    watch: int
    name: bytes
    is_folder: bool
    kind: str  # written | arrived | left | made | removed | dressed | ended | gone | overflow


class Inotify:
    """One inotify instance."""

    def __init__(self) -> None:
        """Raises LimitReached when this user has too many."""
        import inotify_simple  # not at the start: it looks for libc by running a program

        flags = inotify_simple.flags
        self._parse = inotify_simple.parse_events
        self._mask = int(
            flags.CLOSE_WRITE | flags.MOVED_FROM | flags.MOVED_TO | flags.CREATE | flags.DELETE | flags.ATTRIB
            | flags.DELETE_SELF | flags.MOVE_SELF | flags.ONLYDIR | flags.DONT_FOLLOW | flags.EXCL_UNLINK
        )  # fmt: skip
        self._is_folder = int(flags.ISDIR)
        self._kinds: tuple[tuple[int, str], ...] = (
            (int(flags.Q_OVERFLOW), "overflow"),
            (int(flags.IGNORED), "ended"),
            (int(flags.CLOSE_WRITE), "written"),
            (int(flags.MOVED_TO), "arrived"),
            (int(flags.MOVED_FROM), "left"),
            (int(flags.CREATE), "made"),
            (int(flags.DELETE), "removed"),
            (int(flags.DELETE_SELF | flags.MOVE_SELF | flags.UNMOUNT), "gone"),
            (int(flags.ATTRIB), "dressed"),
        )
        try:
            self._inotify = inotify_simple.INotify(nonblocking=True)
        except OSError as error:
            raise LimitReached(
                f"no folder can be watched: {error.strerror}", "raise fs.inotify.max_user_instances"
            ) from None
        self.fd: int = self._inotify.fileno()

    def add(self, path: bytes) -> int:
        """Watch a folder; its number, the same for the same folder. Raises LimitReached, and OSError."""
        try:
            return int(self._inotify.add_watch(path, self._mask))
        except OSError as error:
            if error.errno in (errno.ENOSPC, errno.ENOMEM):
                raise LimitReached("the system watches no more folders", "raise fs.inotify.max_user_watches") from None
            raise

    def remove(self, watch: int) -> None:
        """Watch a folder no longer; nothing happens when it is not watched (any more)."""
        try:
            self._inotify.rm_watch(watch)
        except OSError:
            return

    def read(self) -> list[Happening]:
        """What has happened since; nothing when nothing has."""
        try:
            data = os.read(self.fd, READ_BYTES)
        except BlockingIOError:
            return []
        return list(self._happenings(data))

    def close(self) -> None:
        """Watch nothing any more."""
        self._inotify.close()

    def _happenings(self, data: bytes) -> Iterator[Happening]:
        for watch, mask, _, name in self._parse(data):
            kind = next((kind for bit, kind in self._kinds if mask & bit), "")
            if kind:
                yield Happening(watch, os.fsencode(name), bool(mask & self._is_folder), kind)

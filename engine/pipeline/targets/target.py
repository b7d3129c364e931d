"""`RestoreTarget`: where entries and their bytes go. One shared suite (tests/suites/restore_target.py) holds every one.

What goes wrong with one entry is a warning in `warnings` and the restore goes on; what stops everything is
raised: LimitReached (disk full), NotPermitted (read-only), IntegrityError (an entry that would lead outside),
WedSyncError (nobody reads the output any more).
"""

from __future__ import annotations

import errno
from typing import Protocol

import msgspec

from engine.base.errors import IntegrityError, LimitReached, NotPermitted, WedSyncError
from engine.pipeline.folders import reason
from engine.repository.entry import Entry


class TargetWarning(msgspec.Struct, frozen=True):
    """What could not be restored as it was; `path` is the entry's."""

    path: bytes
    what: str


class FileWriter(Protocol):
    """One regular file on its way. Ends with exactly one `commit` or `abort`."""

    def write_at(self, offset: int, data: memoryview) -> None:
        """Write `data` at `offset` of the file (not of the data stream); it is not kept after the return.

        With `random_access` in any order from any thread; else in order. Holes are simply never written.
        """
        ...

    def commit(self) -> bool:
        """All of it is written: give it its metadata and its name. False when it does not stand (see `warnings`)."""
        ...

    def abort(self, what: str) -> None:
        """The contents cannot be had: leave what stood there before, and warn with `what`."""
        ...


class RestoreTarget(Protocol):
    """A place to restore to. `begin` and `finish` are one thread's; writers are any thread's if `random_access`."""

    @property
    def random_access(self) -> bool:
        """May several files be open at once, and be written in any order?"""
        ...

    @property
    def warnings(self) -> list[TargetWarning]:
        """Grows while restoring."""
        ...

    @property
    def kept(self) -> int:
        """Entries that were left as they stood, because of the overwrite policy."""
        ...

    def begin(self, entry: Entry) -> FileWriter | None:
        """Take the next entry, in walk order. A writer for a regular file whose bytes are wanted; None for all else.

        None for a regular file means: kept, another name of a file begun before (link group), or warned of.
        """
        ...

    def finish(self) -> None:
        """Every writer has ended: make hard links, give folders their metadata deepest first, close."""
        ...

    def close(self) -> None:
        """Give up: remove what is unfinished, let go of descriptors. After `finish` it does nothing."""
        ...


def safe_components(path: bytes) -> tuple[bytes, ...]:
    """The names of an entry's path. Raises IntegrityError for one that could lead anywhere else."""
    names = tuple(path.split(b"/"))
    if b"\0" in path or any(name in (b"", b".", b"..") for name in names):
        raise IntegrityError(f"the snapshot holds the path {path!r}, which could lead outside the target")
    return names


def without_prefix(path: bytes, prefix: tuple[bytes, ...]) -> tuple[bytes, ...] | None:
    """The names of `path` below `prefix`: `()` for the prefix itself, None outside it. Raises IntegrityError."""
    names = safe_components(path)
    return names[len(prefix) :] if names[: len(prefix)] == prefix else None


def prefix_names(strip_prefix: bytes) -> tuple[bytes, ...]:
    """`strip_prefix` taken apart; leading and trailing slashes do not count."""
    stripped = strip_prefix.strip(b"/")
    return tuple(stripped.split(b"/")) if stripped else ()


def stopping_error(error: OSError) -> WedSyncError | None:
    """What `error` is raised as when it would meet every other entry, too; None when it concerns one entry only."""
    if error.errno in (errno.ENOSPC, errno.EDQUOT):
        return LimitReached(f"the target of the restore is full: {reason(error)}", "make room and start it again")
    if error.errno == errno.EROFS:
        return NotPermitted("the target of the restore is read-only", "choose another target")
    if error.errno in (errno.EPIPE, errno.EBADF):
        return WedSyncError("nobody reads the output of the restore any more")
    return None

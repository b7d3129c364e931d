"""A mounted card against a snapshot: is every file on it kept, byte for byte? Changes nothing on the card.

In: the entries of a snapshot, a folder. Out: how many files it has, and those that no entry has the contents of. A
file counts by size and hash, wherever it lies and whatever it is called: a card is seldom mounted at the same place
twice. One thread.
"""

from __future__ import annotations

import errno
import os
import stat as st
from collections.abc import Callable, Iterator

import msgspec

from engine.base.errors import NotFound, Unavailable
from engine.pipeline.extents import DataMap, Extents
from engine.pipeline.filehash import hash_of_data
from engine.pipeline.folders import reason
from engine.repository.entry import FILE, Entry, path_text

NAMED_MAX = 100  # files of a card that are named; all are counted
BUFFER_BYTES = 4 * 1024 * 1024
_NOT_KEPT = "is not in the snapshot"


class Kept:
    """The contents that a snapshot has: 40 bytes a file."""

    def __init__(self) -> None:
        self._whole: set[tuple[int, bytes]] = set()
        self._sparse: dict[int, set[tuple[Extents, bytes]]] = {}  # by size; a card has no holes, its copy may have

    def add(self, entry: Entry) -> None:
        """Know one file more."""
        if entry.kind != FILE:
            return
        if entry.extents:
            self._sparse.setdefault(entry.size, set()).add((entry.extents, entry.hash))
        else:
            self._whole.add((entry.size, entry.hash))

    def holds(self, fd: int, size: int, buffer: memoryview, pause: Callable[[], None]) -> bool:
        """Whether a file's contents are among them. Raises OSError, and what `pause` raises."""
        if (size, hash_of_data(fd, DataMap(size, ()), buffer, pause)) in self._whole:
            return True
        return any(
            hash_of_data(fd, DataMap(size, extents), buffer, pause) == digest
            and _is_zero_between(fd, size, extents, buffer)
            for extents, digest in self._sparse.get(size, ())
        )


class CardOutcome(msgspec.Struct):
    """What a card has, and what of it is not kept."""

    files: int = 0
    size_bytes: int = 0
    missing: list[str] = []  # the first ones, as sentences
    missing_total: int = 0

    def miss(self, path: bytes, what: str) -> None:
        """Count one that is not kept."""
        self.missing_total += 1
        if len(self.missing) < NAMED_MAX:
            self.missing.append(f"{path_text(path.lstrip(b'/'))} {what}")


def compare_card(root: bytes, kept: Kept, is_stopped: Callable[[], bool]) -> CardOutcome:
    """Read every file below the folder `root`. Blocks. Raises NotFound, Unavailable when the card goes away."""
    if not os.path.isdir(root):
        raise NotFound(f"there is no folder {os.fsdecode(root)}", "mount the card, and name where")
    outcome = CardOutcome()
    buffer = memoryview(bytearray(BUFFER_BYTES))

    def pause() -> None:
        if is_stopped():
            raise Unavailable("the comparison of the card was stopped", "begin it again")

    for path in _files_below(root, outcome):
        pause()
        _compare(path, kept, outcome, buffer, pause)
    if not os.path.isdir(root):
        raise Unavailable("the card is gone", "put it back, and begin again")
    return outcome


def _compare(path: bytes, kept: Kept, outcome: CardOutcome, buffer: memoryview, pause: Callable[[], None]) -> None:
    outcome.files += 1
    try:
        fd = os.open(path, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC)
        try:
            found = os.fstat(fd)
            if not st.S_ISREG(found.st_mode):
                outcome.miss(path, "is no regular file, so it is not compared")
                return
            outcome.size_bytes += found.st_size
            is_kept = kept.holds(fd, found.st_size, buffer, pause)
        finally:
            os.close(fd)
    except OSError as error:
        outcome.miss(path, "is no regular file" if error.errno == errno.ELOOP else f"cannot be read: {reason(error)}")
        return
    if not is_kept:
        outcome.miss(path, _NOT_KEPT)


def _files_below(root: bytes, outcome: CardOutcome) -> Iterator[bytes]:
    """Everything that is no folder, folder by folder in order of names; what cannot be listed is missing."""
    stack = [root]
    while stack:
        folder = stack.pop()
        try:
            with os.scandir(folder) as inside:
                found = sorted(inside, key=lambda each: each.name)
        except OSError as error:
            outcome.miss(folder, f"cannot be read: {reason(error)}")
            continue
        yield from (each.path for each in found if not each.is_dir(follow_symlinks=False))
        stack += [each.path for each in reversed(found) if each.is_dir(follow_symlinks=False)]


def _is_zero_between(fd: int, size: int, extents: Extents, buffer: memoryview) -> bool:
    """Whether all that lies between the data is zeros."""
    at = 0
    for offset, length in (*extents, (size, 0)):
        while at < offset:
            count = os.preadv(fd, [buffer[: min(len(buffer), offset - at)]], at)
            if not count or bytes(buffer[:count]).strip(b"\0"):
                return False
            at += count
        at = max(at, offset + length)
    return True

"""A few open objects, kept open between reads: a restore reads one pack many times.

Any thread. A descriptor in use is never closed; one whose file has lost its name since (deleted, or healed
by a new file under the same name) is not used again.
"""

from __future__ import annotations

import threading
from collections import OrderedDict
from collections.abc import Iterator
from contextlib import contextmanager

from engine.base.invariants import check
from engine.storage.stores import syscalls

OPEN_MAX = 32  # a deleted pack of 32 MiB keeps its room while it is open, so not many


class _Open:
    """An open file, how many readers are at it, and whether the last one closes it."""

    __slots__ = ("fd", "is_dropped", "readers")

    def __init__(self, fd: int) -> None:
        self.fd = fd
        self.readers = 0
        self.is_dropped = False


class Descriptors:
    """The open objects of one store, the least recently used closed first."""

    def __init__(self, open_max: int = OPEN_MAX, *, direct: bool = False) -> None:
        check(open_max >= 1, "at least one object can be open")
        self._direct = direct
        self._open_max = open_max
        self._lock = threading.Lock()
        self._open: OrderedDict[str, _Open] = OrderedDict()  # by path, oldest use first; guarded by `_lock`
        self._is_closed = False

    @contextmanager
    def borrow(self, path: str) -> Iterator[int]:
        """A descriptor of the object at `path` for the length of the block. Raises OSError."""
        borrowed = self._take(path) or self._add(path, syscalls.open_for_reading(path, direct=self._direct))
        try:
            yield borrowed.fd
        finally:
            with self._lock:
                borrowed.readers -= 1
                self._close_if_done(borrowed)

    def forget(self, path: str) -> None:
        """Close the object at `path` as soon as nobody reads it."""
        with self._lock:
            self._drop(path)

    def close(self) -> None:
        """Close all as soon as nobody reads them; later ones are closed after each use."""
        with self._lock:
            self._is_closed = True
            for path in tuple(self._open):
                self._drop(path)

    def _take(self, path: str) -> _Open | None:
        with self._lock:
            found = self._open.get(path)
            if found is None:
                return None
            if syscalls.stat_descriptor(found.fd).st_nlink == 0:
                self._drop(path)
                return None
            self._open.move_to_end(path)
            found.readers += 1
            return found

    def _add(self, path: str, fd: int) -> _Open:
        added = _Open(fd)
        added.readers = 1
        with self._lock:
            self._drop(path)  # another reader may have opened it meanwhile; the newer one stays
            if self._is_closed:
                added.is_dropped = True
                return added
            self._open[path] = added
            while len(self._open) > self._open_max:
                self._drop(next(iter(self._open)))
        return added

    def _drop(self, path: str) -> None:
        """Take `path` off the table. Called under `_lock`, as the next is."""
        found = self._open.pop(path, None)
        if found is not None:
            found.is_dropped = True
            self._close_if_done(found)

    def _close_if_done(self, found: _Open) -> None:
        if found.is_dropped and found.readers == 0:
            syscalls.close(found.fd)

"""Files that have no name yet: `tmp/PID-N/` in a store on a disk, one folder an open store.

A lock file in the folder is held by flock for as long as the store is open. The kernel lets go of it when the
process dies, however it dies; so whoever opens the store next can take the lock of a folder that was left
behind, and removes it, and can never take one that a live engine still writes to. Any thread.
"""

from __future__ import annotations

import errno
import itertools
import os
import threading
from collections.abc import Callable
from contextlib import suppress

from engine.storage.stores import syscalls
from engine.storage.stores.failures import store_closed
from engine.storage.stores.gate import GATE_PIECE_BYTES, GATE_PIECES, Gate
from engine.storage.stores.names import STAGING_FOLDER

CLAIM_TRIES_MAX = 1000

_LOCK = "lock"
REFUSES_DIRECT = frozenset({errno.EINVAL, errno.EOPNOTSUPP})
_KNOWS_NO_LOCKS = frozenset({errno.ENOLCK, errno.EOPNOTSUPP, errno.ENOSYS, errno.EINVAL})


class TemporaryFile:
    """An open file that lives in the staging folder until it gets a name.

    Written by one thread at a time, then handed to the committer. `close` may come from another thread before that.
    """

    def __init__(self, path: str, fd: int, *, is_direct: bool, ended: Callable[[TemporaryFile], None]) -> None:
        self.path = path
        self.fd = fd
        self.size_bytes = 0
        self.is_direct = is_direct
        self._ended = ended
        self._mutex = threading.Lock()  # held while writing, so that no `close` takes the descriptor away

    def append(self, data: memoryview, gate: Gate | None) -> bool:
        """Write the whole of `data` at the end in pieces that pass the gate, if one is given. Raises OSError.

        False: the file was closed before.
        """
        with self._mutex:
            if self.fd < 0:
                return False
            for number, start in enumerate(range(0, len(data), GATE_PIECE_BYTES)):
                if gate is not None and number % GATE_PIECES == 0:
                    gate.enter()
                piece = data[start : start + GATE_PIECE_BYTES]
                while piece:
                    written = self._write(piece)
                    self.size_bytes += written
                    piece = piece[written:]
            return True

    def close(self, *, remove: bool) -> None:
        """Close it, and remove its name in the staging folder. Also twice; what fails is left to the next open."""
        with self._mutex:
            if self.fd < 0:
                return
            fd, self.fd = self.fd, -1
            with suppress(OSError):  # the bytes were fsynced before, or nobody wants them
                syscalls.close(fd)
            if remove:
                with suppress(OSError):
                    syscalls.unlink(self.path)
        self._ended(self)

    def _write(self, piece: memoryview) -> int:
        try:
            written = syscalls.write_at(self.fd, piece, self.size_bytes)
        except OSError as error:
            if not self.is_direct or error.errno not in REFUSES_DIRECT:
                raise
            # An address that is not page-aligned, or what a short write left over: the page cache takes both.
            syscalls.set_buffered(self.fd)
            self.is_direct = False
            written = syscalls.write_at(self.fd, piece, self.size_bytes)
        if written == 0:
            raise OSError(errno.EIO, os.strerror(errno.EIO))
        return written


class Staging:
    """The staging folder of one open store; made with the first file, so that reading writes nothing."""

    def __init__(self, root: str, *, direct_io: bool, check_root: Callable[[], None]) -> None:
        """`check_root`: raises OSError when another folder has taken the place of the store's."""
        self._root = root
        self._check_root = check_root
        self._mutex = threading.Lock()
        self._folder = ""  # with all below, guarded by `_mutex`
        self._lock_fd = -1
        self._numbers = itertools.count()
        self._files: set[TemporaryFile] = set()
        self._takes_direct = direct_io
        self._is_closed = False

    def create(self, *, direct: bool) -> TemporaryFile:
        """A new file, for direct I/O if asked for and known to the file system. Raises OSError, Unavailable."""
        with self._mutex:
            if self._is_closed:
                raise store_closed(self._root)
            if not self._folder:
                self._check_root()
                self._folder, self._lock_fd = _claim(f"{self._root}/{STAGING_FOLDER}")
            path, fd, is_direct = self._open_new(direct=direct and self._takes_direct)
            file = TemporaryFile(path, fd, is_direct=is_direct, ended=self._forget)
            self._files.add(file)
            return file

    def close(self) -> None:
        """Discard what has no name yet and remove the folder. Also twice."""
        with self._mutex:
            self._is_closed = True
            files = tuple(self._files)
        for file in files:
            file.close(remove=True)
        with self._mutex:
            if self._folder:
                _remove_folder(self._folder)
                syscalls.close(self._lock_fd)
            self._folder = ""

    def _forget(self, file: TemporaryFile) -> None:
        with self._mutex:
            self._files.discard(file)

    def _open_new(self, *, direct: bool) -> tuple[str, int, bool]:
        path = f"{self._folder}/{next(self._numbers)}"
        try:
            return path, syscalls.create_file(path, direct=direct), direct
        except OSError as error:
            if not direct or error.errno not in REFUSES_DIRECT:
                raise
        self._takes_direct = False
        with suppress(OSError):  # some kernels refuse only after they have made the file
            syscalls.unlink(path)
        return path, syscalls.create_file(path, direct=False), False


def remove_leftovers(root: str) -> None:
    """Remove the staging folders of engines that died. What may not be removed stays: it does no harm."""
    with suppress(OSError):
        for entry in list(syscalls.scan_folder(f"{root}/{STAGING_FOLDER}")):
            if entry.is_dir(follow_symlinks=False):
                _remove_if_dead(entry.path)


def _remove_if_dead(folder: str) -> None:
    with suppress(OSError):
        lock_fd = _take_lock(folder)
        if lock_fd is not None:
            try:
                _remove_folder(folder)
            finally:
                syscalls.close(lock_fd)


def _claim(parent: str) -> tuple[str, int]:
    """Make a folder that no other engine has, and take its lock. Raises OSError."""
    with suppress(FileExistsError):
        syscalls.make_folder(parent)
    for number in range(CLAIM_TRIES_MAX):
        folder = f"{parent}/{os.getpid()}-{number}"
        try:
            syscalls.make_folder(folder)
        except FileExistsError:
            continue
        lock_fd = _own_lock(folder)
        if lock_fd is not None:
            return folder, lock_fd
    raise OSError(errno.EEXIST, os.strerror(errno.EEXIST))


def _own_lock(folder: str) -> int | None:
    """The lock of a folder just made; None when an engine that opens the store took it for a leftover."""
    try:
        return _take_lock(folder)
    except FileNotFoundError:
        return None
    except OSError as error:
        if error.errno not in _KNOWS_NO_LOCKS:
            raise
        return syscalls.open_lock(f"{folder}/{_LOCK}")  # where there are no locks, nobody can take ours


def _take_lock(folder: str) -> int | None:
    """The descriptor of the folder's lock, held; None when somebody else has it. Raises OSError."""
    path = f"{folder}/{_LOCK}"
    fd = syscalls.open_lock(path)
    try:
        # A lock file that another opener has removed since can be locked too, and means nothing.
        if syscalls.try_lock(fd) and os.path.samestat(syscalls.stat_descriptor(fd), syscalls.stat_name(path)):
            return fd
    except OSError:
        syscalls.close(fd)
        raise
    syscalls.close(fd)
    return None


def _remove_folder(folder: str) -> None:
    """Remove a staging folder whose lock is held, the lock file last. What fails is left to the next open."""
    with suppress(OSError):
        names = [entry.name for entry in syscalls.scan_folder(folder)]
        for name in sorted(names, key=lambda name: name == _LOCK):
            syscalls.unlink(f"{folder}/{name}")
        syscalls.remove_folder(folder)

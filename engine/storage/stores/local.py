"""`LocalStore`: objects as files under one folder of a local file system (`file:///path`).

In: bytes and names. Out: files `root/NAME`, each there whole or not at all, and durable when its `put` or the
future of its `publish` says so. Order: temporary file in `tmp/` → fsync → name (rename for hash names, link
for chosen ones) → fsync of the folder and of each new folder's parent. The writing is done by the calling
thread, all the rest of that by the committer. Reading changes nothing, so a read-only medium serves it.
"""

from __future__ import annotations

import ctypes
import errno
import os
import stat
import urllib.parse
from collections.abc import Iterator, Sequence
from concurrent.futures import Future
from contextlib import contextmanager, suppress
from operator import itemgetter
from pathlib import Path

from engine.base.errors import IntegrityError, NotFound, UsageError, WedSyncError
from engine.base.invariants import check
from engine.storage.stores import syscalls
from engine.storage.stores.commits import DISK, DeleteCommit, Folders, PublishCommit, Rules
from engine.storage.stores.committer import Committer
from engine.storage.stores.descriptors import Descriptors
from engine.storage.stores.failures import explain, shown, store_closed
from engine.storage.stores.gate import GATE_PIECE_BYTES, Gate
from engine.storage.stores.names import check_name, check_prefix, is_name
from engine.storage.stores.staging import REFUSES_DIRECT, Staging, TemporaryFile, remove_leftovers
from engine.storage.stores.store import STAGE_ALIGNMENT_BYTES, ObjectInfo, Space

_READ_BYTES = 1024 * 1024
_DIRECT_FROM_BYTES = 64 * 1024
_PAGE_BYTES = 4096
_NO_OBJECT = frozenset({errno.ENOENT, errno.ENOTDIR, errno.ELOOP, errno.ENXIO})  # also a link or socket in its place


class LocalStore:
    """A store in a folder. Any thread but an event loop's. See `ObjectStore` for what the methods promise."""

    def __init__(self, root: Path, *, create: bool, direct_io: bool = True, rules: Rules = DISK) -> None:
        """Open the folder `root` (absolute), made with its parents if `create`.

        `direct_io=False` never asks for O_DIRECT; `rules` are those of the file system. Raises UsageError, NotFound,
        NotPermitted, LimitReached, Unavailable.
        """
        check(root.is_absolute(), "the folder of a store is absolute")
        self._root = str(root)
        self._url = "file://" + urllib.parse.quote(os.fsencode(self._root))
        with self._explained():
            self._identity = _open_root(self._root, create=create)
        remove_leftovers(self._root)
        self._gate = Gate()
        self._rules = rules
        self._committer = Committer(self._root, gate=self._gate, settle=rules.settle)
        self._folders = Folders(self._root)
        self._staging = Staging(self._root, direct_io=direct_io, check_root=self._check_root)
        self._descriptors = Descriptors()
        self._direct = Descriptors(direct=True) if direct_io else None  # None: this file system refuses it
        self._is_closed = False  # only ever set, so it needs no lock

    @property
    def url(self) -> str:
        """See `ObjectStore.url`."""
        return self._url

    def put(self, name: str, data: bytes) -> None:
        """See `ObjectStore.put`. After a failed fsync of the folder the name may be taken all the same."""
        check_name(name)
        self._check_open()
        with self._explained():
            file = self._staging.create(direct=False)
        try:
            self._write(file, memoryview(data), self._gate if len(data) > GATE_PIECE_BYTES else None)
        except BaseException:
            file.close(remove=True)
            raise
        self._committer.submit(self._rules.put(file, name, self._folders)).result()

    def stage(self) -> LocalStagedObject:
        """See `ObjectStore.stage`."""
        self._check_open()
        with self._explained():
            return LocalStagedObject(self, self._staging.create(direct=True))

    def get(self, name: str, *, limit_bytes: int) -> bytes:
        """See `ObjectStore.get`."""
        check_name(name)
        self._check_open()
        with self._explained(name):
            fd = syscalls.open_for_reading(self._folders.path(name))
            try:
                size = _file_size(fd, name)
                if size > limit_bytes:
                    raise IntegrityError(
                        f"{name} has {size} bytes where {limit_bytes} are the most that can be right", "run verify"
                    )
                data = bytearray(size)
                _read_exactly(fd, memoryview(data), 0, name)
                return bytes(data)
            finally:
                syscalls.close(fd)

    def read_into(self, name: str, offset: int, buffer: memoryview) -> None:
        """See `ObjectStore.read_into`."""
        check_name(name)
        check(offset >= 0, "an offset is not negative")
        self._check_open()
        path = self._folders.path(name)
        with self._explained(name):
            if _fits_direct(buffer, offset) and (
                self._read_cached(path, offset, buffer) or self._read_direct(path, offset, buffer)
            ):
                return
            with self._descriptors.borrow(path) as fd:
                _file_size(fd, name)
                _read_exactly(fd, buffer, offset, name)

    def _read_cached(self, path: str, offset: int, buffer: memoryview) -> bool:
        """Copy what the page cache holds whole. Asking for one page first keeps the kernel from reading ahead."""
        with self._descriptors.borrow(path) as fd:
            return syscalls.read_cached_at(fd, buffer[:_PAGE_BYTES], offset) == _PAGE_BYTES and syscalls.read_cached_at(
                fd, buffer, offset
            ) == len(buffer)

    def _read_direct(self, path: str, offset: int, buffer: memoryview) -> bool:
        """Read past the page cache, which stays the users'. False: it has to be read the other way. Raises OSError."""
        direct = self._direct
        if direct is None:
            return False
        try:
            with direct.borrow(path) as fd:
                return syscalls.read_at(fd, buffer, offset) == len(buffer)
        except OSError as error:
            if error.errno not in REFUSES_DIRECT:
                raise
            self._direct = None
            return False

    def list(self, prefix: str) -> Iterator[ObjectInfo]:
        """See `ObjectStore.list`. What is no object (links, foreign names, staged files) is passed over."""
        check_prefix(prefix)
        self._check_open()
        return self._walk(prefix)

    def folders(self, prefix: str) -> tuple[str, ...]:
        """See `ObjectStore.folders`."""
        check_prefix(prefix)
        self._check_open()
        names = (name for name, _ in self._sorted_entries(prefix) if name.endswith("/"))
        return tuple(sorted(name[len(prefix) : -1] for name in names))

    def stat(self, name: str) -> ObjectInfo:
        """See `ObjectStore.stat`."""
        check_name(name)
        self._check_open()
        with self._explained(name):
            found = syscalls.stat_name(self._folders.path(name))
        if not stat.S_ISREG(found.st_mode):
            raise _not_found(name)
        return ObjectInfo(name, found.st_size, found.st_mtime_ns)

    def delete(self, name: str) -> None:
        """See `ObjectStore.delete`."""
        check_name(name)
        self._check_open()
        self._committer.submit(DeleteCommit(name, self._folders)).result()
        self._descriptors.forget(self._folders.path(name))
        if self._direct is not None:
            self._direct.forget(self._folders.path(name))

    def space(self) -> Space:
        """See `ObjectStore.space`: of the file system, which others may fill too."""
        self._check_open()
        with self._explained():
            found = syscalls.space_of(self._root)
        return Space(None, found.f_bavail * found.f_frsize, found.f_blocks * found.f_frsize)

    def close(self) -> None:
        """See `ObjectStore.close`: what was handed to the committer is made durable first. Also twice."""
        self._is_closed = True
        self._committer.close()
        self._descriptors.close()
        if self._direct is not None:
            self._direct.close()
        self._staging.close()

    def append_to(self, file: TemporaryFile, data: memoryview) -> None:
        """Write for one of our staged objects. Raises LimitReached, NotPermitted, Unavailable."""
        self._write(file, data, self._gate if len(data) > GATE_PIECE_BYTES else None)

    def publish_file(self, file: TemporaryFile, name: str) -> Future[None]:
        """Queue one of our staged objects to be published."""
        return self._committer.submit(PublishCommit(file, name, self._folders))

    def _write(self, file: TemporaryFile, data: memoryview, gate: Gate | None) -> None:
        with self._explained():
            if not file.append(data, gate):
                raise store_closed(self._root)

    def _check_open(self) -> None:
        if self._is_closed:
            raise store_closed(self._root)

    @contextmanager
    def _explained(self, name: str = "") -> Iterator[None]:
        """Turn what the operating system refuses into our errors; `name` is an object that must be there."""
        try:
            yield
        except OSError as error:
            if name and error.errno in _NO_OBJECT and self._is_there():
                raise _not_found(name) from None
            if name and error.errno == errno.EIO:  # a bad sector costs the object that lies on it, and no other
                hint = "look at the kernel's log and the disk's health, and run verify"
                raise IntegrityError(f"the disk cannot read {name} ({os.strerror(errno.EIO)})", hint) from error
            raise explain(error, self._root) from error

    def _walk(self, prefix: str) -> Iterator[ObjectInfo]:
        """The objects below the folder `prefix`; a folder sorts as its name with the slash, as its objects do."""
        for name, entry in self._sorted_entries(prefix):
            if name.endswith("/"):
                yield from self._walk(name)
                continue
            with self._explained():
                try:
                    found = entry.stat(follow_symlinks=False)
                except FileNotFoundError:  # another engine may delete meanwhile
                    continue
            if stat.S_ISREG(found.st_mode):
                yield ObjectInfo(name, found.st_size, found.st_mtime_ns)

    def _sorted_entries(self, prefix: str) -> Sequence[tuple[str, os.DirEntry[str]]]:
        entries: list[tuple[str, os.DirEntry[str]]] = []
        with self._explained():
            try:
                for entry in syscalls.scan_folder(self._folders.path(prefix)):
                    if is_name(prefix + entry.name):
                        slash = "/" if entry.is_dir(follow_symlinks=False) else ""
                        entries.append((prefix + entry.name + slash, entry))
            except (FileNotFoundError, NotADirectoryError):
                self._check_root()
        return sorted(entries, key=itemgetter(0))

    def _check_root(self) -> None:
        """A folder that is missing means no objects only while the store itself is there. Raises OSError."""
        if _identity_of(syscalls.stat_root(self._root)) != self._identity:
            raise OSError(errno.ESTALE, os.strerror(errno.ESTALE))

    def _is_there(self) -> bool:
        """Whether the store itself is: what is missing from one that was unmounted since may be in it all the same."""
        try:
            self._check_root()
        except OSError:
            return False
        return True


class LocalStagedObject:
    """An object that grows in the staging folder. See `StagedObject`. One writer; `discard` from any thread."""

    def __init__(self, store: LocalStore, file: TemporaryFile) -> None:
        self._store = store
        self._file = file
        self._is_over = False  # published, discarded or failed

    @property
    def size_bytes(self) -> int:
        """See `StagedObject.size_bytes`."""
        return self._file.size_bytes

    def append(self, data: memoryview) -> None:
        """See `StagedObject.append`. Waits at the store's gate before each MiB."""
        check(data.nbytes % STAGE_ALIGNMENT_BYTES == 0, "what is appended is a multiple of 4,096 bytes")
        self._check_usable()
        try:
            self._store.append_to(self._file, data.cast("B"))
        except BaseException:
            self.discard()
            raise

    def publish(self, name: str) -> Future[None]:
        """See `StagedObject.publish`."""
        check_name(name)
        self._check_usable()
        self._is_over = True
        return self._store.publish_file(self._file, name)

    def discard(self) -> None:
        """See `StagedObject.discard`; after `publish` it does nothing."""
        if not self._is_over:
            self._is_over = True
            self._file.close(remove=True)

    def _check_usable(self) -> None:
        check(not self._is_over, "a staged object is not used after publish, discard or a failure")


def _open_root(root: str, *, create: bool) -> tuple[int, int]:
    """See that the store's folder is there; what tells it from another. Raises OSError, UsageError, NotFound."""
    try:
        found = syscalls.stat_root(root)
    except FileNotFoundError:
        if not create:
            raise NotFound(f"there is no store at {shown(root)}", "check the path, or run init to make one") from None
        parent = os.path.dirname(root)
        _open_root(parent, create=True)
        with suppress(FileExistsError):
            syscalls.make_folder(root)
        syscalls.fsync_folder(parent)
        found = syscalls.stat_root(root)
    if not stat.S_ISDIR(found.st_mode):
        raise UsageError(f"{shown(root)} is not a folder", "name a folder for the store")
    return _identity_of(found)


def _identity_of(found: os.stat_result) -> tuple[int, int]:
    return found.st_dev, found.st_ino


def _file_size(fd: int, name: str) -> int:
    found = syscalls.stat_descriptor(fd)
    if not stat.S_ISREG(found.st_mode):
        raise _not_found(name)
    return found.st_size


def _fits_direct(buffer: memoryview, offset: int) -> bool:
    """Whether direct I/O can take a read, and is worth it: large, and aligned in the file and in memory."""
    return (
        len(buffer) >= _DIRECT_FROM_BYTES
        and not buffer.readonly
        and not (offset | len(buffer) | ctypes.addressof(ctypes.c_char.from_buffer(buffer))) % STAGE_ALIGNMENT_BYTES
    )


def _read_exactly(fd: int, buffer: memoryview, offset: int, name: str) -> None:
    """Fill `buffer` from `offset`. Raises OSError, IntegrityError."""
    rest = buffer.cast("B")
    while rest:
        count = syscalls.read_at(fd, rest[:_READ_BYTES], offset)
        if count == 0:
            raise IntegrityError(f"{name} has nothing at byte {offset}, where it should go on", "run verify")
        offset += count
        rest = rest[count:]


def _not_found(name: str) -> WedSyncError:
    return NotFound(f"{name} is not in the store")

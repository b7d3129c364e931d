"""Files of a restored folder while they are written, and the one step that puts a thing under its name.

A file being written has no name at all where the file system can do that (O_TMPFILE), so that a killed restore
leaves nothing half-done; else it has a temporary one, `.wedsync-` and 16 hex digits. Any thread.
"""

from __future__ import annotations

import contextlib
import ctypes
import errno
import os
import stat as st
import threading
from collections.abc import Sequence

import msgspec

from engine.base.entropy import Entropy
from engine.base.invariants import check
from engine.base.units import KIB, MIB
from engine.pipeline.extents import DataMap
from engine.pipeline.folders import OpenFolder, reason
from engine.pipeline.targets.metadata import SAID_ONCE, MetadataWriter, Report
from engine.pipeline.targets.target import stopping_error
from engine.repository.entry import Entry

# From this size on a file gets its length and its room first, in one piece, because its parts come in any order.
ALLOCATED_FROM_BYTES = 1 * MIB
DIRECT_FROM_BYTES = 256 * KIB
PAGE_BYTES = 4096

_NO_UNNAMED = (errno.EOPNOTSUPP, errno.EISDIR, errno.ENOENT, errno.EINVAL, errno.ENOSYS)
_NO_LINKS = (errno.EPERM, errno.EOPNOTSUPP, errno.ENOSYS)
_WRITE = os.O_WRONLY | os.O_NOFOLLOW | os.O_CLOEXEC
_NOT_OPEN, _ENDED = -1, -2
_libc = ctypes.CDLL(None, use_errno=True)  # lets go of the interpreter's lock for the length of a call
_renameat2 = getattr(_libc, "renameat2", None)
_RENAME_NOREPLACE = 1
APPEARED = "something appeared in its place during the restore and was left there"


class Place(msgspec.Struct, frozen=True, gc=False):
    """A name in a folder, where an entry is to be."""

    folder: OpenFolder
    name: bytes


class Placer:
    """What the writers of one restore share."""

    def __init__(self, entropy: Entropy, metadata: MetadataWriter, warn: Report) -> None:
        self.metadata = metadata
        self.warn = warn
        self.writers: set[FolderFileWriter] = set()  # not ended; adding and discarding are atomic
        self._entropy = entropy
        self._unnamed = True  # until the file system says no

    def temporary_name(self) -> bytes:
        """A name nothing else has."""
        return b".wedsync-" + self._entropy.token(8).hex().encode()

    def open_file(self, folder: OpenFolder) -> tuple[int, bytes]:
        """A new, empty file in `folder` and its temporary name; empty when it has none. Raises OSError."""
        with folder.descriptor() as fd:
            if self._unnamed:
                try:
                    return os.open(b".", os.O_TMPFILE | _WRITE & ~os.O_NOFOLLOW, 0o600, dir_fd=fd), b""
                except OSError as error:
                    if error.errno not in _NO_UNNAMED:
                        raise
                    self._unnamed = False
            name = self.temporary_name()
            return os.open(name, _WRITE | os.O_CREAT | os.O_EXCL, 0o600, dir_fd=fd), name

    def put_file(self, file_fd: int, temporary: bytes, place: Place, *, replace: bool) -> None:
        """Give an open file its name. Raises FileExistsError unless `replace`, and OSError."""
        with place.folder.descriptor() as fd:
            if not temporary:
                handle = f"/proc/self/fd/{file_fd}"
                if not replace:
                    os.link(handle, place.name, dst_dir_fd=fd, follow_symlinks=True)
                    return
                temporary = self.temporary_name()
                os.link(handle, temporary, dst_dir_fd=fd, follow_symlinks=True)
            put(fd, temporary, place.name, replace=replace)


def put(folder_fd: int, temporary: bytes, name: bytes, *, replace: bool) -> None:
    """Rename within a folder; the temporary name is gone afterwards, come what may. Raises OSError."""
    try:
        if not replace:
            try:
                os.link(temporary, name, src_dir_fd=folder_fd, dst_dir_fd=folder_fd, follow_symlinks=False)
                return
            except OSError as error:
                if error.errno not in _NO_LINKS:
                    raise
            if _rename_where_free(folder_fd, temporary, name):
                return
        os.rename(temporary, name, src_dir_fd=folder_fd, dst_dir_fd=folder_fd)
    finally:
        with contextlib.suppress(FileNotFoundError):
            os.unlink(temporary, dir_fd=folder_fd)


def _rename_where_free(folder_fd: int, temporary: bytes, name: bytes) -> bool:
    """Rename to a name that nothing has; False where the system cannot. Raises FileExistsError, OSError."""
    if _renameat2 is not None and not _renameat2(folder_fd, temporary, folder_fd, name, _RENAME_NOREPLACE):
        return True
    number = errno.ENOSYS if _renameat2 is None else ctypes.get_errno()
    if number not in (errno.ENOSYS, errno.EINVAL):
        raise OSError(number, os.strerror(number))
    with contextlib.suppress(FileNotFoundError):
        os.stat(name, dir_fd=folder_fd, follow_symlinks=False)
        raise FileExistsError(errno.EEXIST, os.strerror(errno.EEXIST))
    return False


def sync_file_system(fd: int) -> None:
    """Write all that waits on the file system of `fd`: cheaper than an fsync of each small file. Raises OSError."""
    if _libc.syncfs(fd):
        number = ctypes.get_errno()
        raise OSError(number, os.strerror(number))


class FolderFileWriter:
    """A `FileWriter` into a folder. Holds descriptors from the first write to `commit`, `abort`, `discard`."""

    def __init__(self, placer: Placer, place: Place, entry: Entry, *, replace: bool) -> None:
        self.stands = False
        self._placer = placer
        self._place = place
        self._entry = entry
        self._replace = replace
        self._problem = ""
        # The size of such a file says nothing on how much of it is on disk, so after a power cut it could pass for
        # whole: it is synced before it gets its name. A small one, written at once, grows as it reaches the disk.
        self._allocated = entry.size >= ALLOCATED_FROM_BYTES or bool(entry.extents)
        self._fd = _NOT_OPEN
        self._direct_fd = _NOT_OPEN
        self._temporary = b""
        self._opening = threading.Lock()
        placer.writers.add(self)

    def _open(self) -> int:
        """The file's descriptor; made by whoever needs it first, so that files are made by many streams at once."""
        with self._opening:
            check(self._fd != _ENDED, "a file is not written to after its end")
            if self._fd == _NOT_OPEN:
                self._fd, self._temporary = self._placer.open_file(self._place.folder)
                if self._allocated:
                    self._allocate()
            return self._fd

    def _allocate(self) -> None:
        with contextlib.suppress(OSError):  # a file system without direct I/O
            self._direct_fd = os.open(f"/proc/self/fd/{self._fd}", os.O_WRONLY | os.O_DIRECT | os.O_CLOEXEC)
        os.ftruncate(self._fd, self._entry.size)
        for offset, length in DataMap(self._entry.size, self._entry.extents).pieces(0, self._entry.size):
            if length >= ALLOCATED_FROM_BYTES:
                try:
                    os.posix_fallocate(self._fd, offset, length)
                except OSError as error:
                    if error.errno in (errno.ENOSPC, errno.EDQUOT):
                        raise
                    return  # a file system that cannot: writing will do it

    def write_at(self, offset: int, data: memoryview) -> None:
        """See `FileWriter.write_at`. Raises LimitReached, NotPermitted; other trouble is told by `commit`."""
        check(offset >= 0 and offset + len(data) <= self._entry.size, "a write stays inside the file")
        try:
            fd = self._open()
            if self._direct_fd >= 0 and len(data) >= DIRECT_FROM_BYTES:
                data, offset = self._write_direct(data, offset)
            self._write(fd, data, offset)
        except OSError as error:
            stop = stopping_error(error)
            if stop is not None:
                raise stop from None
            self._problem = f"cannot be written: {reason(error)}"

    def _write(self, fd: int, data: memoryview, offset: int) -> None:
        while data and not self._problem:
            written = os.pwrite(fd, data, offset)
            data = data[written:]
            offset += written

    def _write_direct(self, data: memoryview, offset: int) -> tuple[memoryview, int]:
        """Write whole pages past the page cache, where memory and file agree on where pages begin; what is left."""
        head = -offset % PAGE_BYTES
        middle = (len(data) - head) // PAGE_BYTES * PAGE_BYTES
        if data.readonly or (ctypes.addressof(ctypes.c_char.from_buffer(data)) + head) % PAGE_BYTES:
            return data, offset
        self._write(self._fd, data[:head], offset)
        try:
            self._write(self._direct_fd, data[head : head + middle], offset + head)
        except OSError as error:
            if error.errno != errno.EINVAL:
                raise
            return data[head:], offset + head  # what a short write left over no longer fits: the page cache takes it
        return data[head + middle :], offset + head + middle

    def commit(self) -> bool:
        """See `FileWriter.commit`. Raises LimitReached, NotPermitted."""
        try:
            if self._problem:
                self._placer.warn(self._entry.path, self._problem)
            else:
                self._commit()
        except FileExistsError:
            self._placer.warn(self._entry.path, APPEARED)
        except OSError as error:
            stop = stopping_error(error)
            if stop is not None:
                raise stop from None
            self._placer.warn(self._entry.path, f"cannot be restored: {reason(error)}")
        finally:
            self.discard()
        return self.stands

    def _commit(self) -> None:
        fd = self._open()
        self._placer.metadata.give(fd, self._entry)
        if self._allocated:
            os.fsync(fd)
        temporary, self._temporary = self._temporary, b""  # from here on `put` takes care of it
        self._placer.put_file(fd, temporary, self._place, replace=self._replace)
        self.stands = True

    def errand(self, size_bytes: int) -> tuple[Place, bool, Entry] | None:
        """What it takes to write so many bytes as the whole file elsewhere; None once it was begun here, or for a part.

        Afterwards it is to be `ended`, unless nothing came of it.
        """
        is_whole = size_bytes == self._entry.size and not self._allocated and self._fd == _NOT_OPEN
        return (self._place, self._replace, self._entry) if is_whole and not self._problem else None

    def ended(self, stands: bool, told: Sequence[tuple[bytes, str]]) -> None:
        """It was written elsewhere, with these warnings."""
        for path, what in told:
            if what.endswith(SAID_ONCE):
                self._placer.metadata.once(path, what.removesuffix(SAID_ONCE))
            else:
                self._placer.warn(path, what)
        self.stands = stands
        self.discard()

    def has_been_put(self) -> bool:
        """Whether what stands under its name is what it would put there, as far as a look at the outside can tell."""
        with contextlib.suppress(OSError), self._place.folder.descriptor() as fd:
            standing = os.stat(self._place.name, dir_fd=fd, follow_symlinks=False)
            seen = st.S_IFMT(standing.st_mode), standing.st_size, standing.st_mtime_ns
            return seen == (st.S_IFREG, self._entry.size, self._entry.mtime_ns)
        return False

    def abort(self, what: str) -> None:
        """See `FileWriter.abort`."""
        self.discard()
        self._placer.warn(self._entry.path, what)

    def discard(self) -> None:
        """Forget the file, without a warning. Twice is allowed."""
        with self._opening:
            open_fds = [fd for fd in (self._fd, self._direct_fd) if fd >= 0]
            self._fd = self._direct_fd = _ENDED
            temporary, self._temporary = self._temporary, b""
        self._placer.writers.discard(self)
        for fd in open_fds:
            os.close(fd)
        if temporary:
            with contextlib.suppress(OSError), self._place.folder.descriptor() as folder_fd:
                os.unlink(temporary, dir_fd=folder_fd)

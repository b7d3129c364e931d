"""One thing of the source, read: the bytes of a file, and the metadata of anything as an `Entry`.

In: a `WalkItem`. Out: an `Entry` (without contents: the pipeline fills them in) and the data stream of a file.
What is read is always the thing that was stat'ed: a descriptor is opened first, all else is asked of it.
Any thread; one `SourceFile` at a time by one thread.
"""

from __future__ import annotations

import errno
import os
import stat as st
from bisect import bisect_left
from itertools import pairwise
from types import TracebackType
from typing import Protocol

import msgspec
from blake3 import blake3

from engine.pipeline.extents import ALL_HOLE, DataMap, Extents
from engine.pipeline.folders import OpenFolder, reason
from engine.pipeline.walk import WalkItem
from engine.repository.entry import (
    BLOCK_DEVICE,
    CHARACTER_DEVICE,
    FIFO,
    FILE,
    FOLDER,
    SOCKET,
    SYMLINK,
    TIME_NS_MAX,
    TIME_NS_MIN,
    XATTR_BYTES_MAX,
    Entry,
)

EXTENTS_MAX = 4096  # an entry names no more; smaller holes are then read as the zeros they are
FRESH_NS = 1_000_000_000  # a ctime this young may still hide a change in the same tick of the clock

Xattrs = tuple[tuple[tuple[bytes, bytes], ...], tuple[str, ...]]
_KINDS = {
    st.S_IFDIR: FOLDER, st.S_IFREG: FILE, st.S_IFLNK: SYMLINK, st.S_IFIFO: FIFO,
    st.S_IFSOCK: SOCKET, st.S_IFCHR: CHARACTER_DEVICE, st.S_IFBLK: BLOCK_DEVICE,
}  # fmt: skip
_READ = os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_NOCTTY | os.O_CLOEXEC


class Named(Protocol):
    """A name in a folder that is held, as a `WalkItem` is."""

    @property
    def path(self) -> bytes:
        """What it is recorded under."""
        ...

    @property
    def folder(self) -> OpenFolder | None:
        """Where it is opened; None: it is no file of this machine."""
        ...

    @property
    def name(self) -> bytes:
        """In that folder."""
        ...


class SourceProblem(Exception):
    """The thing cannot be read; `what` is a short sentence for a warning, without the path."""

    def __init__(self, what: str) -> None:
        super().__init__(what)
        self.what = what


class SourceFile:
    """A regular file, open for reading; also a context manager."""

    __slots__ = ("_map", "extents", "fd", "stat")

    def __init__(self, item: Named) -> None:
        """Raises SourceProblem."""
        try:
            self.fd = _open(item)
        except OSError as error:
            raise SourceProblem(_what(error)) from None
        try:
            self.stat = os.fstat(self.fd)
            if not st.S_ISREG(self.stat.st_mode):
                raise SourceProblem("became something else than a file during the backup")
            self.extents = _extents(self.fd, self.stat)
            self._map = DataMap(self.stat.st_size, self.extents) if self.extents else None
        except OSError as error:
            self.close()
            raise SourceProblem(_what(error)) from None
        except BaseException:
            self.close()
            raise

    def __enter__(self) -> SourceFile:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    @property
    def data_bytes(self) -> int:
        """Length of the data stream."""
        return self.stat.st_size if self._map is None else self._map.data_bytes

    def read_into(self, buffer: memoryview, data_offset: int) -> int:
        """Fill `buffer` from `data_offset` of the data stream; fewer bytes than it holds only at the end of the file.

        Raises SourceProblem.
        """
        filled = 0
        wanted = min(len(buffer), self.data_bytes - data_offset)
        try:
            pieces = ((data_offset, wanted),) if self._map is None else self._map.pieces(data_offset, wanted)
            for offset, length in pieces:
                end = filled + length
                while filled < end:
                    count = os.preadv(self.fd, [buffer[filled:end]], offset)
                    if not count:
                        return filled
                    filled += count
                    offset += count
        except OSError as error:
            raise SourceProblem(_what(error)) from None
        return filled

    def changed(self) -> bool:
        """Has the file been written to, or its metadata changed, since the open?"""
        now = os.fstat(self.fd)
        was = self.stat
        return (now.st_size, now.st_mtime_ns, now.st_ctime_ns) != (was.st_size, was.st_mtime_ns, was.st_ctime_ns)

    @property
    def is_versioned(self) -> bool:
        """Whether no change can hide behind the same stat, however fresh it is."""
        return False

    def xattrs(self) -> Xattrs:
        """Its extended attributes, and what could not be kept of them."""
        return read_xattrs(self.fd)

    def close(self) -> None:
        """Let go of the descriptor. Twice is allowed."""
        if self.fd >= 0:
            os.close(self.fd)
            self.fd = -1


def entry_of_file(path: bytes, source: SourceFile, *, now_ns: int) -> tuple[Entry, tuple[str, ...]]:
    """The metadata of an open file, and sentences on what of it could not be read.

    A ctime within a second of `now_ns` is recorded as 0: the thing may change again within the same tick.
    """
    xattrs, problems = source.xattrs()
    now_ns = TIME_NS_MAX if source.is_versioned else now_ns
    entry = _entry(path, source.stat, xattrs, source.extents, now_ns=now_ns)
    return entry, (*problems, *_time_problem(source.stat))


def entry_of(item: WalkItem, *, now_ns: int) -> tuple[Entry, tuple[str, ...]]:
    """The metadata of anything but a regular file, as `entry_of_file` gives it.

    Raises SourceProblem when it vanished or has become something else.
    """
    assert item.folder is not None
    try:
        with item.folder.descriptor() as folder_fd:
            fd = os.open(item.name, os.O_PATH | os.O_NOFOLLOW | os.O_CLOEXEC, dir_fd=folder_fd)
    except OSError as error:
        raise SourceProblem(_what(error)) from None
    try:
        stat = os.fstat(fd)
        if st.S_IFMT(stat.st_mode) != st.S_IFMT(item.stat.st_mode):
            raise SourceProblem("became something else during the backup")
        target = os.readlink(b"", dir_fd=fd) if st.S_ISLNK(stat.st_mode) else b""
        xattrs, problems = read_xattrs(f"/proc/self/fd/{fd}")
        entry = _entry(item.path, stat, xattrs, (), now_ns=now_ns)
        entry = msgspec.structs.replace(entry, target=target) if target else entry
        return entry, (*problems, *_time_problem(stat))
    except OSError as error:
        raise SourceProblem(_what(error)) from None
    finally:
        os.close(fd)


def link_group(stat: os.stat_result) -> int:
    """The number that all names of an inode share: 63 bits of BLAKE3 of device and inode; 0 for a single name."""
    if stat.st_nlink < 2 or st.S_ISDIR(stat.st_mode):
        return 0
    digest = blake3(stat.st_dev.to_bytes(8, "little") + stat.st_ino.to_bytes(8, "little")).digest(length=8)
    return int.from_bytes(digest, "little") & (2**63 - 1) or 1


def kind_of(stat: os.stat_result) -> int:
    """The kind an entry records for it."""
    return _KINDS[st.S_IFMT(stat.st_mode)]


def read_xattrs(handle: int | str) -> Xattrs:
    """Extended attributes of a descriptor, or of a path under /proc/self/fd, sorted; and what could not be kept."""
    try:
        listed = os.listxattr(handle)
        if not listed:
            return (), ()
        names = sorted(map(os.fsencode, listed))
    except OSError as error:
        none = error.errno == errno.EOPNOTSUPP
        return (), () if none else (f"its extended attributes cannot be read: {reason(error)}",)
    found: list[tuple[bytes, bytes]] = []
    problems: list[str] = []
    room = XATTR_BYTES_MAX
    for name in names:
        try:
            value = os.getxattr(handle, name)
            room -= len(name) + len(value)
            if room < 0:
                problems.append(f"its attributes come to more than {XATTR_BYTES_MAX:,} bytes; not all are kept")
                break
            found.append((name, value))
        except OSError as error:
            if error.errno not in (errno.ENODATA, errno.EOPNOTSUPP):
                shown = name.decode(errors="backslashreplace")
                problems.append(f"its attribute {shown} cannot be read: {reason(error)}")
    return tuple(found), tuple(problems)


def _entry(
    path: bytes, stat: os.stat_result, xattrs: tuple[tuple[bytes, bytes], ...], extents: Extents, *, now_ns: int
) -> Entry:
    kind = kind_of(stat)
    return Entry(
        path=path,
        kind=kind,
        mode=st.S_IMODE(stat.st_mode),
        uid=stat.st_uid,
        gid=stat.st_gid,
        mtime_ns=min(max(stat.st_mtime_ns, TIME_NS_MIN), TIME_NS_MAX),
        ctime_ns=stat.st_ctime_ns if 0 < stat.st_ctime_ns < now_ns - FRESH_NS else 0,
        inode=stat.st_ino,
        link_group=link_group(stat),
        device=stat.st_rdev if kind in (CHARACTER_DEVICE, BLOCK_DEVICE) else 0,
        xattrs=xattrs,
        size=stat.st_size if kind == FILE else 0,
        extents=extents,
    )


def _time_problem(stat: os.stat_result) -> tuple[str, ...]:
    if TIME_NS_MIN <= stat.st_mtime_ns <= TIME_NS_MAX:
        return ()
    return ("its time of change is beyond what can be recorded; the nearest is kept",)


def _open(item: Named) -> int:
    """O_NOATIME is only for the owner and for root; without it the read leaves a mark, and that is all."""
    assert item.folder is not None
    with item.folder.descriptor() as folder_fd:
        try:
            return os.open(item.name, _READ | os.O_NOATIME, dir_fd=folder_fd)
        except PermissionError:
            return os.open(item.name, _READ, dir_fd=folder_fd)


def _extents(fd: int, stat: os.stat_result) -> Extents:
    """Where the data is; () when everywhere, or when the file system cannot say."""
    size = stat.st_size
    if stat.st_blocks * 512 >= size:
        return ()
    found: list[tuple[int, int]] = []
    at = 0
    try:
        while at < size:
            begin = os.lseek(fd, at, os.SEEK_DATA)
            if begin >= size:
                break
            at = min(os.lseek(fd, begin, os.SEEK_HOLE), size)
            found.append((begin, at - begin))
    except OSError as error:
        if error.errno != errno.ENXIO:  # ENXIO: no data from here to the end
            return ()
    if found == [(0, size)]:
        return ()
    return _bounded(found) or ALL_HOLE


def _bounded(extents: list[tuple[int, int]]) -> Extents:
    """At most EXTENTS_MAX of them: the smallest holes are given up first."""
    if len(extents) <= EXTENTS_MAX:
        return tuple(extents)
    holes = sorted(after - (offset + length) for (offset, length), (after, _) in pairwise(extents))
    excess = len(extents) - EXTENTS_MAX
    largest = holes[excess - 1]  # of those given up; of others as large, only as many as it takes
    as_large = excess - bisect_left(holes, largest)
    merged = [extents[0]]
    for offset, length in extents[1:]:
        last, last_length = merged[-1]
        hole = offset - (last + last_length)
        if hole < largest or (hole == largest and as_large > 0):
            as_large -= hole == largest
            merged[-1] = (last, offset + length - last)
        else:
            merged.append((offset, length))
    return tuple(merged)


def _what(error: OSError) -> str:
    if error.errno in (errno.ENOENT, errno.ESTALE):
        return "vanished before it could be read"
    if error.errno == errno.ELOOP:
        return "became something else than a file during the backup"
    return f"cannot be read: {reason(error)}"

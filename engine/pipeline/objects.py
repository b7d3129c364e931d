"""Objects of a bucket as the source of a backup: a walk over keys, and an object with the interface of a file.

In: an origin, a bucket and a prefix. Out: `WalkItem`s in manifest order, as of files at `/s3:/bucket/key`. An object's
stat is made of what the listing tells: its ETag stands in the place of the inode, so whatever has another ETag is read
again. Keys are bytes of UTF-8; parts of a key are names of folders. Walking: one thread. Reading: any.
"""

from __future__ import annotations

import os
import stat as st
from collections.abc import Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import contextmanager
from typing import TYPE_CHECKING

import msgspec
from blake3 import blake3

from engine.base.errors import Conflict, NotFound, NotPermitted, UsageError
from engine.pipeline.excludes import Excludes
from engine.pipeline.source import SourceFile, SourceProblem, Xattrs
from engine.pipeline.walk import PATH_BYTES_MAX, WalkItem, WalkWarning
from engine.repository.entry import FOLDER, Entry
from engine.storage.stores.found import FoundObject

if TYPE_CHECKING:
    from engine.storage.stores.objects import Bucket  # its library is loaded only where a bucket is opened

SCHEME = b"s3:"  # the first name of every path
AHEAD = 16  # objects of one unit that are read at once
_FOLDER_MODE, _FILE_MODE = st.S_IFDIR | 0o755, st.S_IFREG | 0o644
_GONE = "vanished before it could be read"


class Origin:
    """A prefix of a bucket, open as long as a backup reads from it."""

    def __init__(self, bucket: Bucket, prefix: str) -> None:
        self.bucket = bucket
        self.prefix = prefix
        names = [SCHEME, bucket.name.encode(), *(os.fsencode(part) for part in prefix.split("/") if part)]
        self.path = b"/" + b"/".join(names)  # what the snapshot calls it
        self._readers = ThreadPoolExecutor(AHEAD, thread_name_prefix="wedsync-objects")
        self._ahead: dict[str, Future[bytearray]] = {}
        self._newer: dict[str, FoundObject] = {}  # versions that were met while an older one was read

    def close(self) -> None:
        """Let go of its threads."""
        self._readers.shutdown(cancel_futures=True)

    def check(self) -> None:
        """Raise NotFound when there is nothing there, NotPermitted, Unavailable, UsageError."""
        objects, folders = self.bucket.folder(self.prefix)
        if not objects and not folders and _standing(self) is None:
            raise NotFound(f"there is nothing below {self.bucket.url}", "check the bucket and the prefix")

    def version(self, item: ObjectItem) -> FoundObject:
        """The version to be read now: the one that was listed, or the one that was met in its place."""
        return self._newer.pop(item.found.key, item.found)

    def look_again(self, key: str) -> None:
        """Another version stands there than was listed: know it for the next reading. Raises as `Bucket.stat`."""
        self._newer[key] = self.bucket.stat(key)

    def begin_reading(self, found: FoundObject) -> None:
        """Read an object whole, on a thread of its own."""

        def read() -> bytearray:
            data = bytearray(found.size_bytes)
            self.bucket.read_into(found, 0, memoryview(data))
            return data

        self._ahead[found.key] = self._readers.submit(read)

    def read_ahead(self, found: FoundObject) -> Future[bytearray] | None:
        """What was begun to be read, once."""
        return self._ahead.pop(found.key, None)


class ObjectItem(WalkItem, frozen=True, kw_only=True):
    """An object, or a folder of them. Nothing of it stands in a folder of this machine."""

    origin: Origin
    found: FoundObject

    def describe(self) -> Entry:
        """The entry of a folder."""
        return Entry(
            self.path,
            FOLDER,
            st.S_IMODE(_FOLDER_MODE),
            self.stat.st_uid,
            self.stat.st_gid,
            self.stat.st_mtime_ns,
            ctime_ns=self.stat.st_ctime_ns,
            inode=self.stat.st_ino,
        )


class ObjectFile(SourceFile):
    """An object as a file: of one version, read by ranges."""

    __slots__ = ("_has_changed", "_origin", "_version")

    def __init__(self, item: ObjectItem) -> None:
        self.fd = -1
        self.extents = ()
        self._map = None
        self._origin = item.origin
        self._version = item.origin.version(item)
        self._has_changed = False
        self.stat = _stat(_FILE_MODE, self._version)

    def read_into(self, buffer: memoryview, data_offset: int) -> int:
        """See `SourceFile.read_into`. Nothing more comes of a version that is not there any more. Raises Unavailable.

        The next one to open it gets the newer version.
        """
        wanted = min(len(buffer), self.data_bytes - data_offset)
        try:
            ahead = self._origin.read_ahead(self._version) if not data_offset else None
            if ahead is not None and wanted == self.data_bytes:
                buffer[:wanted] = ahead.result()
            else:
                self._origin.bucket.read_into(self._version, data_offset, buffer[:wanted])
            return wanted
        except Conflict:
            self._has_changed = True
        except NotFound:
            raise SourceProblem(_GONE) from None
        except NotPermitted as error:
            raise SourceProblem(f"cannot be read: {error.message}") from None
        try:
            self._origin.look_again(self._version.key)
        except NotFound:
            raise SourceProblem(_GONE) from None
        return 0

    def changed(self) -> bool:
        """See `SourceFile.changed`: what was read was all of one version, or it was noticed."""
        return self._has_changed

    @property
    def is_versioned(self) -> bool:
        """See `SourceFile.is_versioned`: by its ETag."""
        return bool(self._version.etag)

    def xattrs(self) -> Xattrs:
        """An object has none."""
        return (), ()


def open_source(item: WalkItem) -> SourceFile:
    """A regular file of a disk or an object, open for reading. Raises SourceProblem."""
    return ObjectFile(item) if isinstance(item, ObjectItem) else SourceFile(item)


@contextmanager
def reading_ahead(items: Sequence[WalkItem | None]) -> Iterator[None]:
    """Inside the block the small objects of a unit come side by side: a line far away costs each of them a while."""
    begun = [item for item in items if isinstance(item, ObjectItem) and item.found.size_bytes]
    for item in begun if len(begun) > 1 else ():
        item.origin.begin_reading(item.found)
    try:
        yield
    finally:
        for item in begun:
            left = item.origin.read_ahead(item.found)
            if left is not None:
                left.cancel()


def walk_objects(
    origins: Sequence[Origin], excludes: Excludes, skip: frozenset[tuple[str, str]] = frozenset()
) -> Iterator[WalkItem | WalkWarning]:
    """Every object of the origins in the order of `Entry.components`; `skip` are (bucket, prefix) of the repository.

    Raises NotFound, NotPermitted, Unavailable when the service does not answer.
    """
    for origin in sorted(origins, key=lambda each: each.path.split(b"/")):
        single = _standing(origin)
        if single is not None:
            yield ObjectItem(
                origin.path[1:], None, _name(single.key), _stat(_FILE_MODE, single), origin=origin, found=single
            )
        stack = [_Folder(origin, origin.path[1:], origin.prefix, excludes)]
        while stack:
            folder = stack.pop()
            if (origin.bucket.name, folder.prefix) in skip:
                continue
            yield from _inside(folder, stack)


class _Folder(msgspec.Struct, frozen=True):
    """A folder that is still to be listed; or, where there is an `item`, an object in its place among folders."""

    origin: Origin
    path: bytes
    prefix: str
    excludes: Excludes
    item: ObjectItem | None = None


def _inside(folder: _Folder, stack: list[_Folder]) -> Iterator[WalkItem | WalkWarning]:
    """One step: an object, or a folder whose contents go onto the stack, the first of them on top."""
    if folder.item is not None:
        yield folder.item
        return
    origin = folder.origin
    try:
        objects, names = origin.bucket.folder(folder.prefix)
    except (UsageError, NotPermitted) as error:
        yield WalkWarning(folder.path, f"its contents cannot be listed: {error.message}")
        return
    if not objects and not names:
        return  # the origin is a single object
    newest = max((each.modified_ns for each in objects), default=0)
    found = FoundObject(folder.prefix, 0, newest, "")
    yield ObjectItem(folder.path, None, _name(folder.prefix), _stat(_FOLDER_MODE, found), origin=origin, found=found)
    below = {os.fsencode(name): _Folder(origin, folder.path + b"/" + os.fsencode(name),
                                        f"{folder.prefix}/{name}".lstrip("/"), folder.excludes.below(os.fsencode(name)))
             for name in names if not folder.excludes.excludes(os.fsencode(name), is_folder=True)}  # fmt: skip
    for each in objects:
        name = _name(each.key)
        path = folder.path + b"/" + name
        if folder.excludes.excludes(name, is_folder=False):
            continue
        if name in below or len(path) > PATH_BYTES_MAX:
            what = "other objects lie below its name as in a folder" if name in below else "its path is too long"
            yield WalkWarning(path, f"{what}; left out")
            continue
        item = ObjectItem(path, None, name, _stat(_FILE_MODE, each), origin=origin, found=each)
        below[name] = _Folder(origin, path, each.key, folder.excludes, item)
    stack += [below[name] for name in sorted(below, reverse=True)]


def _standing(origin: Origin) -> FoundObject | None:
    """The object whose key is the whole prefix."""
    try:
        return origin.bucket.stat(origin.prefix) if origin.prefix else None
    except (NotFound, NotPermitted):
        return None


def _name(key: str) -> bytes:
    return os.fsencode(key.rpartition("/")[2])


def _stat(mode: int, found: FoundObject) -> os.stat_result:
    """As a file system would tell it. ETag, time and size stand for the inode: any other is another file."""
    told = f"{found.etag}\0{found.modified_ns}\0{found.size_bytes}".encode()
    inode = int.from_bytes(blake3(told).digest(length=8), "little") >> 1
    times = {"st_atime_ns": 0, "st_mtime_ns": found.modified_ns, "st_ctime_ns": found.modified_ns}
    blocks = {"st_blocks": -(-found.size_bytes // 512), "st_rdev": 0}
    seconds = found.modified_ns // 10**9
    values = (mode, inode, 0, 1, os.getuid(), os.getgid(), found.size_bytes, 0, seconds, seconds)
    return os.stat_result(values, {**times, **blocks})

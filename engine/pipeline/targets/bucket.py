"""Restoring into a bucket: each file an object, written whole when all its bytes are there, and its size looked up.

In: entries in walk order, bytes in any order. Out: objects named prefix and path. A file grows in memory, a large one
in a nameless file of the temporary folder; nothing of an unfinished one is ever seen in the bucket. `begin` is one
thread's, writers are any thread's.
"""

from __future__ import annotations

import mmap
import os
import tempfile
import threading
from typing import IO, TYPE_CHECKING, Literal

from engine.base.errors import Conflict, IntegrityError, NotFound
from engine.base.units import MIB
from engine.pipeline.folders import reason
from engine.pipeline.targets.target import TargetWarning, prefix_names, stopping_error, without_prefix
from engine.repository.entry import FILE, FOLDER, KIND_NAMES, Entry

if TYPE_CHECKING:
    from engine.storage.stores.objects import Bucket  # its library is loaded only where a bucket is opened

KEY_BYTES_MAX = 1024
_IN_MEMORY_BYTES = 4 * MIB  # a stream's batch holds up to 1,024 files, but of small ones 64 MiB
_APPEARED = "something was put in its place meanwhile; that is left as it is"


class BucketTarget:
    """A prefix of a bucket as a `RestoreTarget`."""

    random_access = True

    def __init__(
        self,
        bucket: Bucket,
        prefix: str,
        *,
        strip_prefix: bytes = b"",
        overwrite: Literal["ask", "never", "changed", "always"] = "ask",
    ) -> None:
        """Lists what stands there. Raises NotFound (no bucket), NotPermitted, UsageError, Unavailable."""
        self.warnings: list[TargetWarning] = []
        self.kept = 0
        self._bucket = bucket
        self._prefix = prefix
        self._strip = prefix_names(strip_prefix)
        self._overwrite = overwrite
        self._standing = bucket.sizes(prefix)
        self._lock = threading.Lock()
        self._open: set[_BucketWriter] = set()  # guarded by `_lock`

    def begin(self, entry: Entry) -> _BucketWriter | None:
        """See `RestoreTarget.begin`. Raises IntegrityError for a path that could lead outside."""
        names = without_prefix(entry.path, self._strip)
        if not names:
            if entry.kind != FOLDER:
                self.warn(entry, "has no name left when the prefix is taken off")
            return None
        if entry.kind != FILE:
            if entry.kind != FOLDER:
                self.warn(entry, f"is a {KIND_NAMES[entry.kind].replace('-', ' ')}, which has no place in a bucket")
            return None
        key = self._key(entry, names)
        if not key or self._is_kept(entry, key):
            return None
        writer = _BucketWriter(self, entry, key)
        with self._lock:
            self._open.add(writer)
        return writer

    def finish(self) -> None:
        """See `RestoreTarget.finish`: every object was whole when it was written."""

    def close(self) -> None:
        """See `RestoreTarget.close`."""
        with self._lock:
            left, self._open = self._open, set()
        for writer in left:
            writer.drop()

    def ended(self, writer: _BucketWriter) -> None:
        """One of our writers is over."""
        with self._lock:
            self._open.discard(writer)
        writer.drop()

    def warn(self, entry: Entry, what: str) -> None:
        """Tell what of an entry is not as it was."""
        self.warnings.append(TargetWarning(entry.path, what))

    def store(self, entry: Entry, key: str, data: bytearray | mmap.mmap) -> bool:
        """Write one object and look it up again. Raises LimitReached, NotPermitted, Unavailable, IntegrityError."""
        replace = key in self._standing and self._overwrite in ("changed", "always")
        try:
            self._bucket.put(key, data, digest=entry.hash.hex(), replace=replace)
        except Conflict:
            self.warn(entry, _APPEARED)
            return False
        found = self._bucket.stat(key)
        if found.size_bytes != entry.size:
            raise IntegrityError(f"{key} has {found.size_bytes} bytes in the bucket instead of {entry.size}")
        return True

    def _key(self, entry: Entry, names: tuple[bytes, ...]) -> str:
        try:
            key = "/".join([self._prefix] * bool(self._prefix) + [name.decode() for name in names])
        except UnicodeDecodeError:
            self.warn(entry, "has a name that is not UTF-8, which no key can hold")
            return ""
        if len(key.encode()) > KEY_BYTES_MAX:
            self.warn(entry, f"has a path of more than {KEY_BYTES_MAX:,} bytes, which no key can hold")
            return ""
        return key

    def _is_kept(self, entry: Entry, key: str) -> bool:
        """Whether what stands there stays. An object that is not ours tells no hash, so `changed` replaces it."""
        size_bytes = self._standing.get(key)
        if size_bytes is None or self._overwrite == "always":
            return False
        if self._overwrite == "changed":
            if size_bytes != entry.size:
                return False
            try:
                if self._bucket.digest(key) != entry.hash.hex():
                    return False
            except NotFound:
                del self._standing[key]
                return False
        self.kept += 1
        return True


class _BucketWriter:
    """One object on its way. See `FileWriter`."""

    def __init__(self, target: BucketTarget, entry: Entry, key: str) -> None:
        self._target = target
        self._entry = entry
        self._key = key
        self._lock = threading.Lock()
        self._data: bytearray | None = None
        self._file: IO[bytes] | None = None

    def write_at(self, offset: int, data: memoryview) -> None:
        """See `FileWriter.write_at`. Raises LimitReached when the temporary folder is full."""
        with self._lock:
            if self._data is None and self._file is None:
                self._begin()
        if self._data is not None:
            self._data[offset : offset + len(data)] = data
            return
        assert self._file is not None
        rest = data
        try:
            while rest:
                written = os.pwrite(self._file.fileno(), rest, offset)
                offset += written
                rest = rest[written:]
        except OSError as error:
            raise stopping_error(error) or IntegrityError(f"a temporary file: {reason(error)}") from None

    def commit(self) -> bool:
        """See `FileWriter.commit`."""
        try:
            if self._data is None and self._file is None:
                self._begin()  # nothing was written: it is empty, or one hole
            if self._data is not None:
                return self._target.store(self._entry, self._key, self._data)
            assert self._file is not None
            with mmap.mmap(self._file.fileno(), self._entry.size, prot=mmap.PROT_READ) as data:
                return self._target.store(self._entry, self._key, data)
        finally:
            self._target.ended(self)

    def abort(self, what: str) -> None:
        """See `FileWriter.abort`."""
        self._target.warn(self._entry, what)
        self._target.ended(self)

    def drop(self) -> None:
        """Let go of what was written so far. Also twice."""
        self._data = None
        if self._file is not None:
            self._file.close()

    def _begin(self) -> None:
        if self._entry.size <= _IN_MEMORY_BYTES:
            self._data = bytearray(self._entry.size)
            return
        try:
            self._file = tempfile.TemporaryFile(buffering=0)  # noqa: SIM115  it is closed when this is over
            os.truncate(self._file.fileno(), self._entry.size)
        except OSError as error:
            raise stopping_error(error) or IntegrityError(f"a temporary file: {reason(error)}") from None

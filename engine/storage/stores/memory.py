"""`MemoryStore`: objects in a dict (`memory://name`), with the same promises as a disk's; for tests and trials.

In: bytes and names. Out: the same bytes. Any thread. Nothing outlives the process. Several stores may be open
on one `MemoryObjects` at once, as several engines are on one folder.
"""

from __future__ import annotations

import threading
from collections.abc import Iterator
from concurrent.futures import Future
from contextlib import suppress

from engine.base.clock import Clock, SystemClock
from engine.base.errors import Conflict, IntegrityError, NotFound, Unavailable, WedSyncError
from engine.base.invariants import check
from engine.storage.stores.names import check_name, check_prefix, folders_of, parent_folder
from engine.storage.stores.store import STAGE_ALIGNMENT_BYTES, ObjectInfo, Space


class MemoryObjects:
    """What lies in a memory store: its medium, so to speak. Any thread."""

    def __init__(self) -> None:
        self._mutex = threading.Lock()
        self._objects: dict[str, tuple[bytes, int]] = {}  # bytes and mtime; with the next, guarded by `_mutex`
        self._folders: set[str] = set()  # as on a disk, a folder stays when it is empty

    def add(self, name: str, data: bytes, modified_ns: int) -> None:
        """Add an object. Raises Conflict."""
        with self._mutex:
            if name in self._objects:
                raise Conflict(f"{name} is in the store already")
            above = folders_of(parent_folder(name))
            if name in self._folders or any(folder in self._objects for folder in above):
                raise Conflict(f"{name} cannot be both an object and a folder of the store")
            self._folders.update(above)
            self._objects[name] = (data, modified_ns)

    def find(self, name: str) -> tuple[bytes, int]:
        """Its bytes and when it was made. Raises NotFound."""
        with self._mutex:
            found = self._objects.get(name)
        if found is None:
            raise NotFound(f"{name} is not in the store")
        return found

    def remove(self, name: str) -> None:
        """Raises NotFound."""
        with self._mutex:
            if self._objects.pop(name, None) is None:
                raise NotFound(f"{name} is not in the store")

    def names(self) -> list[str]:
        """All names, sorted."""
        with self._mutex:
            return sorted(self._objects)

    def used_bytes(self) -> int:
        """Bytes of all objects."""
        with self._mutex:
            return sum(len(data) for data, _ in self._objects.values())


class MemoryStore:
    """A store in memory. See `ObjectStore` for what the methods promise."""

    def __init__(
        self, objects: MemoryObjects | None = None, *, url: str = "memory://", clock: Clock | None = None
    ) -> None:
        self._objects = objects if objects is not None else MemoryObjects()
        self._url = url
        self._clock: Clock = clock if clock is not None else SystemClock()
        self._is_closed = False

    @property
    def url(self) -> str:
        """See `ObjectStore.url`."""
        return self._url

    def put(self, name: str, data: bytes) -> None:
        """See `ObjectStore.put`."""
        check_name(name)
        self.check_open()
        self._objects.add(name, bytes(data), self._clock.now_ns())

    def stage(self) -> MemoryStagedObject:
        """See `ObjectStore.stage`."""
        self.check_open()
        return MemoryStagedObject(self)

    def get(self, name: str, *, limit_bytes: int) -> bytes:
        """See `ObjectStore.get`."""
        check_name(name)
        self.check_open()
        data, _ = self._objects.find(name)
        if len(data) > limit_bytes:
            raise IntegrityError(
                f"{name} has {len(data)} bytes where {limit_bytes} are the most that can be right", "run verify"
            )
        return data

    def read_into(self, name: str, offset: int, buffer: memoryview) -> None:
        """See `ObjectStore.read_into`."""
        check_name(name)
        check(offset >= 0, "an offset is not negative")
        self.check_open()
        data, _ = self._objects.find(name)
        target = buffer.cast("B")
        part = data[offset : offset + len(target)]
        if len(part) < len(target):
            raise IntegrityError(f"{name} has nothing at byte {len(data)}, where it should go on", "run verify")
        target[:] = part

    def list(self, prefix: str) -> Iterator[ObjectInfo]:
        """See `ObjectStore.list`."""
        check_prefix(prefix)
        self.check_open()
        return self._walk(prefix)

    def folders(self, prefix: str) -> tuple[str, ...]:
        """See `ObjectStore.folders`."""
        check_prefix(prefix)
        self.check_open()
        below = (name[len(prefix) :] for name in self._objects.names() if name.startswith(prefix))
        return tuple(sorted({rest.partition("/")[0] for rest in below if "/" in rest}))

    def stat(self, name: str) -> ObjectInfo:
        """See `ObjectStore.stat`."""
        check_name(name)
        self.check_open()
        data, modified_ns = self._objects.find(name)
        return ObjectInfo(name, len(data), modified_ns)

    def delete(self, name: str) -> None:
        """See `ObjectStore.delete`."""
        check_name(name)
        self.check_open()
        self._objects.remove(name)

    def space(self) -> Space:
        """See `ObjectStore.space`."""
        self.check_open()
        return Space(self._objects.used_bytes(), None, None)

    def close(self) -> None:
        """See `ObjectStore.close`."""
        self._is_closed = True

    def check_open(self) -> None:
        """Raise Unavailable after `close`."""
        if self._is_closed:
            raise Unavailable("the store in memory is closed", "open it again")

    def publish_bytes(self, name: str, data: bytes) -> None:
        """Publish what one of our staged objects holds. Raises Conflict, Unavailable."""
        self.check_open()
        try:
            self._objects.add(name, data, self._clock.now_ns())
        except Conflict as error:
            there = b""
            with suppress(NotFound):
                there = self._objects.find(name)[0]
                if len(there) == len(data):
                    return
                raise Conflict(
                    f"{name} is in the store already with {len(there)} bytes, not {len(data)}",
                    "run verify: one of the two is damaged",
                ) from error
            raise

    def _walk(self, prefix: str) -> Iterator[ObjectInfo]:
        for name in self._objects.names():
            if name.startswith(prefix):
                with suppress(NotFound):
                    yield self.stat(name)


class MemoryStagedObject:
    """An object that grows in memory. See `StagedObject`. One thread."""

    def __init__(self, store: MemoryStore) -> None:
        self._store = store
        self._data = bytearray()
        self._is_over = False

    @property
    def size_bytes(self) -> int:
        """See `StagedObject.size_bytes`."""
        return len(self._data)

    def append(self, data: memoryview) -> None:
        """See `StagedObject.append`."""
        check(data.nbytes % STAGE_ALIGNMENT_BYTES == 0, "what is appended is a multiple of 4,096 bytes")
        self._check_usable()
        try:
            self._store.check_open()
        except Unavailable:
            self.discard()
            raise
        self._data += data.cast("B")

    def publish(self, name: str) -> Future[None]:
        """See `StagedObject.publish`; the future is done at once."""
        check_name(name)
        self._check_usable()
        self._is_over = True
        future: Future[None] = Future()
        future.set_running_or_notify_cancel()
        try:
            self._store.publish_bytes(name, bytes(self._data))
        except WedSyncError as error:
            future.set_exception(error)
        else:
            future.set_result(None)
        return future

    def discard(self) -> None:
        """See `StagedObject.discard`; after `publish` it does nothing."""
        self._is_over = True

    def _check_usable(self) -> None:
        check(not self._is_over, "a staged object is not used after publish, discard or a failure")

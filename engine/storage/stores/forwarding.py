"""What a store passes on to the one below it, for those that stand before another and change a little of it.

`ForwardingStore` and `ForwardingStage` pass on everything; who derives from them writes down what it changes.
"""

from __future__ import annotations

from collections.abc import Iterator
from concurrent.futures import Future

from engine.storage.stores.store import ObjectInfo, ObjectStore, Space, StagedObject


class ForwardingStore:
    """A store that is another one. See `ObjectStore` for what the methods promise."""

    def __init__(self, store: ObjectStore) -> None:
        self._store = store

    @property
    def url(self) -> str:
        """See `ObjectStore.url`."""
        return self._store.url

    def put(self, name: str, data: bytes) -> None:
        """See `ObjectStore.put`."""
        self._store.put(name, data)

    def stage(self) -> StagedObject:
        """See `ObjectStore.stage`."""
        return self._store.stage()

    def get(self, name: str, *, limit_bytes: int) -> bytes:
        """See `ObjectStore.get`."""
        return self._store.get(name, limit_bytes=limit_bytes)

    def read_into(self, name: str, offset: int, buffer: memoryview) -> None:
        """See `ObjectStore.read_into`."""
        self._store.read_into(name, offset, buffer)

    def list(self, prefix: str) -> Iterator[ObjectInfo]:
        """See `ObjectStore.list`."""
        return self._store.list(prefix)

    def folders(self, prefix: str) -> tuple[str, ...]:
        """See `ObjectStore.folders`."""
        return self._store.folders(prefix)

    def stat(self, name: str) -> ObjectInfo:
        """See `ObjectStore.stat`."""
        return self._store.stat(name)

    def delete(self, name: str) -> None:
        """See `ObjectStore.delete`."""
        self._store.delete(name)

    def space(self) -> Space:
        """See `ObjectStore.space`."""
        return self._store.space()

    def close(self) -> None:
        """See `ObjectStore.close`."""
        self._store.close()


class ForwardingStage:
    """A staged object that is another one. See `StagedObject`."""

    def __init__(self, staged: StagedObject) -> None:
        self._staged = staged

    @property
    def size_bytes(self) -> int:
        """See `StagedObject.size_bytes`."""
        return self._staged.size_bytes

    def append(self, data: memoryview) -> None:
        """See `StagedObject.append`."""
        self._staged.append(data)

    def publish(self, name: str) -> Future[None]:
        """See `StagedObject.publish`."""
        return self._staged.publish(name)

    def discard(self) -> None:
        """See `StagedObject.discard`."""
        self._staged.discard()

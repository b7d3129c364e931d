"""`ObjectStore`: named, write-once bytes. One shared suite (tests/suites/object_store.py) holds every implementation.

Names are relative, `/`-separated ASCII (`weddings/0f…/packs/9a…`), never with `.` or `..` parts. Objects are
write-once: what must change is numbered by the floors above. All methods block and may be called from any
thread; none may be called on an event loop.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from concurrent.futures import Future
from typing import Protocol, runtime_checkable

import msgspec

STAGE_ALIGNMENT_BYTES = 4096


class ObjectInfo(msgspec.Struct, frozen=True):
    """What a store says of an object without reading it."""

    name: str
    size_bytes: int
    modified_ns: int


class Space(msgspec.Struct, frozen=True):
    """Room of a store; None where it cannot be known."""

    used_bytes: int | None
    free_bytes: int | None
    capacity_bytes: int | None


class StagedObject(Protocol):
    """An object that grows before it has a name. One writer at a time."""

    @property
    def size_bytes(self) -> int:
        """Bytes appended so far."""
        ...

    def append(self, data: memoryview) -> None:
        """Add `data`, a multiple of 4,096 bytes, best page-aligned. It must not be kept after the return.

        Raises LimitReached (disk full), NotPermitted, Unavailable; after any of them only `discard` is allowed.
        """
        ...

    def publish(self, name: str) -> Future[None]:
        """Make it durable under `name`, in a group with others. The future ends when it is.

        If `name` is there already with this size, the staged bytes are dropped: the name is a hash. The future
        raises what `append` raises, and Conflict when another size stands there.
        """
        ...

    def discard(self) -> None:
        """Forget it; nothing stays behind. Allowed at any time, also twice."""
        ...


@runtime_checkable
class InOrder(Protocol):
    """A store that is read much faster in one order than in others, as a tape."""

    def read_order(self, names: Sequence[str]) -> Sequence[str]:
        """The names in the order in which they are best read. Raises Unavailable."""
        ...


class ObjectStore(Protocol):
    """A store of named, write-once objects."""

    @property
    def url(self) -> str:
        """Where it is, without credentials."""
        ...

    def put(self, name: str, data: bytes) -> None:
        """Create `name`, durable when this returns, in a group with others.

        Raises Conflict when the name is taken (then nothing changed), LimitReached, NotPermitted, Unavailable.
        """
        ...

    def stage(self) -> StagedObject:
        """Begin an object that grows; it has no name and is gone after a crash."""
        ...

    def get(self, name: str, *, limit_bytes: int) -> bytes:
        """The whole object. Raises NotFound; IntegrityError when it is larger than `limit_bytes`."""
        ...

    def read_into(self, name: str, offset: int, buffer: memoryview) -> None:
        """Fill `buffer` from `offset`. Raises NotFound; IntegrityError when the object ends before."""
        ...

    def list(self, prefix: str) -> Iterator[ObjectInfo]:
        """Objects whose names start with the folder `prefix` (ending in `/`, or empty), sorted by name, recursive."""
        ...

    def folders(self, prefix: str) -> tuple[str, ...]:
        """Last parts of the folders directly in the folder `prefix`, sorted; what is in them is not looked at.

        Where the store keeps folders, one may be empty.
        """
        ...

    def stat(self, name: str) -> ObjectInfo:
        """Raises NotFound."""
        ...

    def delete(self, name: str) -> None:
        """Remove it, durably. Raises NotFound."""
        ...

    def space(self) -> Space:
        """Room used and left, cheaply (no walk over objects)."""
        ...

    def close(self) -> None:
        """Let go of threads and descriptors; staged objects are discarded."""
        ...

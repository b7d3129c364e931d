"""`SpooledObject`: a staged object that grows in a nameless file of this machine's temporary folder.

For stores that lie elsewhere and upload a whole object at once. In: bytes. Out: the file, handed to the store with its
name. One writer; `discard` from any thread.
"""

from __future__ import annotations

import tempfile
from collections.abc import Iterator
from concurrent.futures import Future
from contextlib import contextmanager
from typing import IO, Protocol

from engine.base.errors import Unavailable
from engine.base.invariants import check
from engine.storage.stores.failures import explain
from engine.storage.stores.names import check_name
from engine.storage.stores.store import STAGE_ALIGNMENT_BYTES


class SpoolKeeper(Protocol):
    """Who publishes spooled objects."""

    def check_open(self) -> None:
        """Raise Unavailable after its end."""
        ...

    def add_staged(self, staged: SpooledObject) -> None:
        """Keep one of its staged objects in mind until it is over. Raises Unavailable."""
        ...

    def forget_staged(self, staged: SpooledObject) -> None:
        """One of its staged objects is over. Also twice."""
        ...

    def publish_file(self, file: IO[bytes], size_bytes: int, name: str) -> Future[None]:
        """See `StagedObject.publish`; the file is its own from now on."""
        ...


class SpooledObject:
    """See `StagedObject`."""

    def __init__(self, keeper: SpoolKeeper) -> None:
        """Raises LimitReached, NotPermitted, Unavailable."""
        self._keeper = keeper
        self._size_bytes = 0
        with explained_here():
            file = tempfile.TemporaryFile(buffering=0)  # noqa: SIM115  it is closed when this object is over
        self._file: IO[bytes] | None = file  # None: published, discarded or failed
        try:
            keeper.add_staged(self)
        except Unavailable:
            self.discard()
            raise

    @property
    def size_bytes(self) -> int:
        """See `StagedObject.size_bytes`."""
        return self._size_bytes

    def append(self, data: memoryview) -> None:
        """See `StagedObject.append`."""
        check(data.nbytes % STAGE_ALIGNMENT_BYTES == 0, "what is appended is a multiple of 4,096 bytes")
        rest = data.cast("B")
        file = self._usable()
        try:
            with explained_here():
                while rest:
                    rest = rest[file.write(rest) :]
        except BaseException:
            self.discard()
            raise
        self._size_bytes += data.nbytes

    def publish(self, name: str) -> Future[None]:
        """See `StagedObject.publish`."""
        check_name(name)
        file, self._file = self._usable(), None
        self._keeper.forget_staged(self)
        return self._keeper.publish_file(file, self._size_bytes, name)

    def discard(self) -> None:
        """See `StagedObject.discard`; after `publish` it does nothing."""
        file, self._file = self._file, None
        self._keeper.forget_staged(self)
        if file is not None:
            file.close()

    def _usable(self) -> IO[bytes]:
        self._keeper.check_open()
        check(self._file is not None, "a staged object is not used after publish, discard or a failure")
        assert self._file is not None
        return self._file


@contextmanager
def explained_here() -> Iterator[None]:
    """Turn what this machine's temporary folder refuses into our errors."""
    try:
        yield
    except OSError as error:
        raise explain(error, tempfile.gettempdir()) from error

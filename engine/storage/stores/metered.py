"""What goes to and from the store of one tier: counted, and held below a rate. Any thread.

Nothing waits inside a store: a call that has begun goes through, and puts the meter into debt. Whoever hands out
work asks first (`wait_s`), and says how much a piece of work may move while it is out (`reserve`, `release`).
"""

from __future__ import annotations

import threading

from engine.base.bucket import TokenBucket
from engine.base.clock import Clock
from engine.base.invariants import check
from engine.storage.stores.forwarding import ForwardingStage, ForwardingStore
from engine.storage.stores.store import ObjectStore, StagedObject


class Meter:
    """Bytes of one tier."""

    def __init__(self, clock: Clock) -> None:
        self._clock = clock
        self._mutex = threading.Lock()
        self._bucket = TokenBucket()
        self.bytes_written = 0
        self.bytes_read = 0
        self.writes = 0  # requests, as sellers of stores count them: what writes, makes, lists; large packs count once
        self.reads = 0

    @property
    def limit_bytes_per_s(self) -> float | None:
        """The rate in force; None: none."""
        return self._bucket.bytes_per_s

    def set_limit(self, bytes_per_s: float | None) -> None:
        """Hold reading and writing together below a rate from now on; None lifts it."""
        check(bytes_per_s is None or bytes_per_s > 0, "a limit is more than nothing")
        with self._mutex:
            self._bucket.set_rate(bytes_per_s, self._clock.monotonic_s())

    def wait_s(self) -> float:
        """How long until more may be begun; 0 when it may."""
        if self._bucket.bytes_per_s is None:
            return 0.0
        with self._mutex:
            return self._bucket.wait_s(self._clock.monotonic_s())

    def reserve(self, size_bytes: int) -> None:
        """Work that may move so many bytes has begun."""
        with self._mutex:
            self._bucket.take(size_bytes)

    def release(self, size_bytes: int) -> None:
        """It has ended; what it moved was counted meanwhile."""
        with self._mutex:
            self._bucket.take(-size_bytes)

    def asked(self) -> None:
        """A request that writes or lists was made."""
        with self._mutex:
            self.writes += 1

    def written(self, size_bytes: int) -> None:
        """So many bytes went to the store."""
        with self._mutex:
            self.bytes_written += size_bytes
            self._bucket.take(size_bytes)

    def read(self, size_bytes: int) -> None:
        """So many bytes came from it."""
        with self._mutex:
            self.bytes_read += size_bytes
            self.reads += 1
            self._bucket.take(size_bytes)


class MeteredStore(ForwardingStore):
    """A store whose bytes a meter counts."""

    def __init__(self, store: ObjectStore, meter: Meter) -> None:
        super().__init__(store)
        self._meter = meter

    def put(self, name: str, data: bytes) -> None:
        """See `ObjectStore.put`."""
        super().put(name, data)
        self._meter.asked()
        self._meter.written(len(data))

    def stage(self) -> StagedObject:
        """See `ObjectStore.stage`."""
        self._meter.asked()
        return _MeteredStage(super().stage(), self._meter)

    def get(self, name: str, *, limit_bytes: int) -> bytes:
        """See `ObjectStore.get`."""
        data = super().get(name, limit_bytes=limit_bytes)
        self._meter.read(len(data))
        return data

    def read_into(self, name: str, offset: int, buffer: memoryview) -> None:
        """See `ObjectStore.read_into`."""
        super().read_into(name, offset, buffer)
        self._meter.read(buffer.nbytes)


class _MeteredStage(ForwardingStage):
    def __init__(self, staged: StagedObject, meter: Meter) -> None:
        super().__init__(staged)
        self._meter = meter

    def append(self, data: memoryview) -> None:
        super().append(data)
        self._meter.written(data.nbytes)

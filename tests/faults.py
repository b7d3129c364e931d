"""`FaultyStore`: an `ObjectStore` around another that fails as it is told, and writes down every call.

What goes wrong is a list of `Rule`s: at which method and names, from which call on, how often, or with what
share drawn from a seed. The first rule that applies to a call is carried out. A fault is one of

- `Fail(error)`: the call raises; with `after=True` it has done its work before, as when an answer is lost;
- `Lie()`: a change says that it is done and does nothing; a list is empty;
- `Truncate(keep_bytes)`: only so much is written or read; of a list, only so many objects are told;
- `FlipBit(bit)`: one bit of what is written or read is another one.
"""

from __future__ import annotations

import random
import threading
from collections.abc import Iterator, Sequence
from concurrent.futures import Future
from dataclasses import dataclass
from itertools import islice
from typing import Literal

from engine.base.errors import WedSyncError
from engine.base.invariants import check
from engine.storage.stores.store import STAGE_ALIGNMENT_BYTES, ObjectInfo, ObjectStore, Space, StagedObject

Method = Literal["put", "stage", "append", "publish", "get", "read_into", "list", "folders", "stat", "delete", "space"]
CHANGES: frozenset[Method] = frozenset({"put", "append", "publish", "delete"})
CARRIERS: frozenset[Method] = frozenset({"put", "append", "get", "read_into"})  # of bytes


@dataclass(frozen=True, slots=True)
class Fail:
    """Raise `error`, before the work or after it."""

    error: WedSyncError
    after: bool = False


@dataclass(frozen=True, slots=True)
class Lie:
    """Say that it is done, and do nothing."""


@dataclass(frozen=True, slots=True)
class Truncate:
    """Write or read no more than `keep_bytes` (of a list: objects); the rest of a buffer becomes zeros."""

    keep_bytes: int


@dataclass(frozen=True, slots=True)
class FlipBit:
    """Turn one bit over: number `bit` of the bytes, or one drawn from the seed."""

    bit: int | None = None


Fault = Fail | Lie | Truncate | FlipBit


@dataclass(frozen=True, slots=True)
class Rule:
    """Where `fault` strikes: calls of `method` on names that start with `prefix` (`append` and `stage` have none)."""

    method: Method
    fault: Fault
    prefix: str = ""
    skip: int = 0  # so many calls that it applies to go well first
    times: int | None = 1  # then it strikes so often; None: always
    share: float = 1.0  # of the calls it applies to, by the seed

    def __post_init__(self) -> None:
        takes = {Fail: True, Lie: self.method in CHANGES or self.method == "list", FlipBit: self.method in CARRIERS}
        takes[Truncate] = self.method in CARRIERS or self.method == "list"
        check(takes[type(self.fault)], f"{self.method} cannot go wrong with {self.fault}")


@dataclass(frozen=True, slots=True)
class Call:
    """One call: on what name, and what was done to it."""

    method: Method
    name: str
    fault: Fault | None


class FaultyStore:
    """See the module. Any thread; which of several racing calls a rule meets is theirs to decide."""

    def __init__(self, inner: ObjectStore, *rules: Rule, seed: int = 0) -> None:
        self.inner = inner
        self.calls: list[Call] = []
        self._mutex = threading.Lock()
        self._chance = random.Random(seed)
        self._rules: list[Rule] = list(rules)
        self._met = [0] * len(rules)  # calls each rule applied to

    @property
    def url(self) -> str:
        """See `ObjectStore.url`."""
        return self.inner.url

    def add(self, rule: Rule) -> None:
        """Another rule, from now on, after those that are there."""
        with self._mutex:
            self._rules.append(rule)
            self._met.append(0)

    def heal(self) -> None:
        """Nothing goes wrong from now on."""
        with self._mutex:
            self._rules.clear()
            self._met.clear()

    def names(self, method: Method) -> list[str]:
        """The names `method` was called on, in order."""
        return [call.name for call in self.calls if call.method == method]

    def put(self, name: str, data: bytes) -> None:
        """See `ObjectStore.put`."""
        fault = self.strike("put", name)
        if isinstance(fault, Lie):
            return
        self.inner.put(name, self.damaged(data, fault))
        raise_after(fault)

    def stage(self) -> FaultyStagedObject:
        """See `ObjectStore.stage`."""
        fault = self.strike("stage", "")
        staged = self.inner.stage()
        if isinstance(fault, Fail):
            staged.discard()
        raise_after(fault)
        return FaultyStagedObject(self, staged)

    def get(self, name: str, *, limit_bytes: int) -> bytes:
        """See `ObjectStore.get`."""
        fault = self.strike("get", name)
        data = self.inner.get(name, limit_bytes=limit_bytes)
        raise_after(fault)
        return self.damaged(data, fault)

    def read_into(self, name: str, offset: int, buffer: memoryview) -> None:
        """See `ObjectStore.read_into`."""
        fault = self.strike("read_into", name)
        self.inner.read_into(name, offset, buffer)
        data = self.damaged(bytes(buffer.cast("B")), fault)
        buffer.cast("B")[:] = data + bytes(buffer.nbytes - len(data))
        raise_after(fault)

    def list(self, prefix: str) -> Iterator[ObjectInfo]:
        """See `ObjectStore.list`."""
        fault = self.strike("list", prefix)
        raise_after(fault)
        found = self.inner.list(prefix)
        return islice(found, fault.keep_bytes if isinstance(fault, Truncate) else 0 if isinstance(fault, Lie) else None)

    def folders(self, prefix: str) -> tuple[str, ...]:
        """See `ObjectStore.folders`."""
        raise_after(self.strike("folders", prefix))
        return self.inner.folders(prefix)

    def stat(self, name: str) -> ObjectInfo:
        """See `ObjectStore.stat`."""
        fault = self.strike("stat", name)
        found = self.inner.stat(name)
        raise_after(fault)
        return found

    def delete(self, name: str) -> None:
        """See `ObjectStore.delete`."""
        fault = self.strike("delete", name)
        if not isinstance(fault, Lie):
            self.inner.delete(name)
            raise_after(fault)

    def space(self) -> Space:
        """See `ObjectStore.space`."""
        fault = self.strike("space", "")
        raise_after(fault)
        return self.inner.space()

    def close(self) -> None:
        """See `ObjectStore.close`; it always goes well."""
        self.inner.close()

    def strike(self, method: Method, name: str) -> Fault | None:
        """Write the call down; the fault to be carried out with it. Raises the error of a `Fail` that comes before."""
        with self._mutex:
            fault = self._drawn(method, name)
            self.calls.append(Call(method, name, fault))
        if isinstance(fault, Fail) and not fault.after:
            raise fault.error
        return fault

    def damaged(self, data: bytes, fault: Fault | None) -> bytes:
        """`data` as `fault` leaves it."""
        if isinstance(fault, Truncate):
            return data[: fault.keep_bytes]
        if isinstance(fault, FlipBit) and data:
            with self._mutex:
                bit = self._chance.randrange(len(data) * 8) if fault.bit is None else fault.bit
            changed = bytearray(data)
            changed[bit // 8] ^= 1 << bit % 8
            return bytes(changed)
        return data

    def _drawn(self, method: Method, name: str) -> Fault | None:
        for number, rule in enumerate(self._rules):
            if rule.method != method or not name.startswith(rule.prefix):
                continue
            if rule.share < 1.0 and self._chance.random() >= rule.share:
                continue
            self._met[number] += 1
            struck = self._met[number] - rule.skip
            if struck > 0 and (rule.times is None or struck <= rule.times):
                return rule.fault
        return None


class FaultyStagedObject:
    """A staged object of a `FaultyStore`. One thread."""

    def __init__(self, store: FaultyStore, inner: StagedObject) -> None:
        self._store = store
        self._inner = inner
        self._size_bytes = 0  # what its writer believes

    @property
    def size_bytes(self) -> int:
        """See `StagedObject.size_bytes`."""
        return self._size_bytes

    def append(self, data: memoryview) -> None:
        """See `StagedObject.append`."""
        try:
            fault = self._store.strike("append", "")
            kept = self._store.damaged(bytes(data), fault)
            if isinstance(fault, Truncate):
                kept = kept[: len(kept) // STAGE_ALIGNMENT_BYTES * STAGE_ALIGNMENT_BYTES]
            if not isinstance(fault, Lie):
                self._inner.append(memoryview(kept))
            raise_after(fault)
        except WedSyncError:
            self._inner.discard()
            raise
        self._size_bytes += data.nbytes

    def publish(self, name: str) -> Future[None]:
        """See `StagedObject.publish`."""
        try:
            fault = self._store.strike("publish", name)
            if isinstance(fault, Lie):
                self._inner.discard()
                return _done(None)
            future = self._inner.publish(name)
            if isinstance(fault, Fail):
                future.result()
            raise_after(fault)
        except WedSyncError as error:
            self._inner.discard()
            return _done(error)
        return future

    def discard(self) -> None:
        """See `StagedObject.discard`."""
        self._inner.discard()


def raise_after(fault: Fault | None) -> None:
    """Raise the error of a `Fail` that comes after the work."""
    if isinstance(fault, Fail):
        raise fault.error


def faults(calls: Sequence[Call]) -> list[Call]:
    """Those of `calls` that something was done to."""
    return [call for call in calls if call.fault is not None]


def _done(error: WedSyncError | None) -> Future[None]:
    future: Future[None] = Future()
    if error is None:
        future.set_result(None)
    else:
        future.set_exception(error)
    return future

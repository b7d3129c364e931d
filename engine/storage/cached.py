"""`CachedStore`: a read cache in front of a slow store, in memory and on this machine's disk. Sealed bytes only.

Parts of objects that are read (packs; no key is ever read so) stay as blocks, most useful ones longest. What comes
out of the cache is proven against the sum it went in with; a wrong block is dropped and read from the store. Packs
are named after their contents, so another engine's deletion makes a block useless and never wrong. One `BlockCache`
serves all slow tiers of an engine, within one bound. Any thread.
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager

import msgspec

from engine.base.clock import Clock
from engine.base.metrics import NO_SPREAD, RollingHistogram, Spread
from engine.storage.cache.blocks import BLOCK_BYTES, Block, MemoryBlocks
from engine.storage.cache.fifo import BlockKey
from engine.storage.cache.slots import DiskBlocks
from engine.storage.stores.forwarding import ForwardingStore
from engine.storage.stores.store import ObjectStore

LATENCY_WINDOW_S = 600.0
MEMORY_HITS_A_SAMPLE = 16
_past = threading.local()


@contextmanager
def past_caches() -> Iterator[None]:
    """What this thread reads in the block comes from the stores themselves; cached blocks that differ are dropped."""
    before = getattr(_past, "on", False)
    _past.on = True
    try:
        yield
    finally:
        _past.on = before


class CacheFigures(msgspec.Struct, frozen=True):
    """What came from where since the start, in blocks, and how long reads took that needed nothing slower.

    Of memory, each sixteenth read of one block is timed.
    """

    memory_hits: int = 0
    disk_hits: int = 0
    misses: int = 0
    memory: Spread = NO_SPREAD
    disk: Spread = NO_SPREAD
    store: Spread = NO_SPREAD


class BlockCache:
    """Both levels. Any thread."""

    def __init__(self, memory: MemoryBlocks, disk: DiskBlocks | None) -> None:
        self.memory = memory
        self.disk = disk
        self._forgotten = 0

    def mark(self) -> tuple[int, int]:
        """A moment, for `add`: taken before the store is read, so that what is forgotten meanwhile stays forgotten."""
        return self._forgotten, self.disk.mark() if self.disk is not None else 0

    def find_on_disk(self, key: BlockKey) -> Block | None:
        """A block that is not in memory, and is from now on."""
        if self.disk is None:
            return None
        mark = self._forgotten
        block = self.disk.find(key)
        if block is not None:
            self._add_to_memory(key, block, mark)
        return block

    def peek(self, key: BlockKey) -> Block | None:
        """A block, which does not count as a use."""
        return self.memory.peek(key) or (self.disk.peek(key) if self.disk is not None else None)

    def add(self, key: BlockKey, block: Block, mark: tuple[int, int]) -> None:
        """Take in a block that was read from a store."""
        self._add_to_memory(key, block, mark[0])
        if self.disk is not None:
            self.disk.add(key, block, mark[1])

    def drop(self, key: BlockKey) -> None:
        """Let go of one block."""
        self.memory.drop(key)
        if self.disk is not None:
            self.disk.drop(key)

    def forget(self, name: str) -> None:
        """Let go of every block of an object, or of a folder of them (it ends in `/`): an erased wedding's.

        Raises LimitReached, NotPermitted, Unavailable: then some may be readable on the disk still.
        """
        self._forgotten += 1
        self.memory.forget(name)
        if self.disk is not None:
            self.disk.forget(name)

    def close(self) -> None:
        """Let go of the files; what is on disk is there at the next start."""
        if self.disk is not None:
            self.disk.close()

    def _add_to_memory(self, key: BlockKey, block: Block, mark: int) -> None:
        self.memory.add(key, block)
        if self._forgotten != mark:
            self.memory.drop(key)


class CachedStore(ForwardingStore):
    """A store whose parts are read through a cache; whole objects are not cached."""

    def __init__(
        self,
        store: ObjectStore,
        cache: BlockCache,
        clock: Clock,
        *,
        may_keep: Callable[[str], bool] | None = None,
    ) -> None:
        """`may_keep`: whether parts of an object may lie on this machine at all; None: of every object."""
        super().__init__(store)
        self._may_keep = may_keep
        self._cache = cache
        self._clock = clock
        self._is_closed = False
        self._lock = threading.Lock()
        self._hits = [0, 0, 0]  # from memory, disk, store; with the next, guarded by `_lock`
        self._latency = [RollingHistogram(window_s=LATENCY_WINDOW_S) for _ in range(3)]

    def figures(self) -> CacheFigures:
        """What was read so far through this store."""
        now_s = self._clock.monotonic_s()
        with self._lock:
            memory, disk, store = (each.spread(time_s=now_s) for each in self._latency)
            memory_hits, disk_hits, misses = self._hits
            return CacheFigures(memory_hits, disk_hits, misses, memory, disk, store)

    def read_into(self, name: str, offset: int, buffer: memoryview) -> None:
        """See `ObjectStore.read_into`."""
        begin_s = self._clock.monotonic_s()
        target = buffer.cast("B")
        if self._may_keep is not None and not self._may_keep(name):
            self._store.read_into(name, offset, target)
            return
        number, start = divmod(offset, BLOCK_BYTES)
        if 0 < len(target) <= BLOCK_BYTES - start and not self._is_closed and not getattr(_past, "on", False):
            block = self._cache.memory.find((name, number))
            if block is not None and block.copy_into(target, start):
                self._count_memory_hit(begin_s)
                return
        self._read(name, offset, target, begin_s)

    def _read(self, name: str, offset: int, target: memoryview, begin_s: float) -> None:
        if not target or offset < 0 or self._is_closed:
            self._store.read_into(name, offset, target)
        elif getattr(_past, "on", False):
            self._store.read_into(name, offset, target)
            self._drop_what_differs(name, offset, target)
        else:
            counts = self._read_blocks(name, offset, target)
            self._note(2 if counts[2] else 1 if counts[1] else 0, begin_s, counts)

    def _read_blocks(self, name: str, offset: int, target: memoryview) -> tuple[int, int, int]:
        """Fill `target` from the cache where it can, and the rest in stretches from the store."""
        counts = [0, 0, 0]
        missing: list[_Part] = []
        for part in _parts(offset, target):
            key = (name, part.number)
            block = self._cache.memory.find(key)
            if block is not None and block.copy_into(part.target, part.start):
                counts[0] += 1
            elif (block := self._cache.find_on_disk(key)) is not None and block.copy_into(part.target, part.start):
                counts[1] += 1
            else:
                counts[2] += 1
                if missing and missing[-1].number != part.number - 1:
                    self._fetch(name, missing)
                    missing = []
                missing.append(part)
        if missing:
            self._fetch(name, missing)
        return counts[0], counts[1], counts[2]

    def _fetch(self, name: str, parts: list[_Part]) -> None:
        """Read blocks that follow each other, from the start of the first to the end of what is wanted of the last."""
        mark = self._cache.mark()
        base = parts[0].number * BLOCK_BYTES
        stretch = bytearray(parts[-1].number * BLOCK_BYTES + parts[-1].start + len(parts[-1].target) - base)
        self._store.read_into(name, base, memoryview(stretch))
        for part in parts:
            at = part.number * BLOCK_BYTES - base
            data = bytes(memoryview(stretch)[at : at + BLOCK_BYTES])
            part.target[:] = data[part.start : part.start + len(part.target)]
            self._cache.add((name, part.number), Block.of(data), mark)

    def _drop_what_differs(self, name: str, offset: int, fresh: memoryview) -> None:
        for part in _parts(offset, fresh):
            key = (name, part.number)
            block = self._cache.peek(key)
            if block is not None:
                known = bytes(block.view[part.start : part.start + len(part.target)])
                if known != bytes(part.target[: len(known)]):
                    self._cache.drop(key)

    def _count_memory_hit(self, begin_s: float) -> None:
        """Count each; how long it took is told of one in so many, since telling costs a fifth of the read."""
        with self._lock:
            self._hits[0] += 1
            if self._hits[0] % MEMORY_HITS_A_SAMPLE == 0:
                now_s = self._clock.monotonic_s()
                self._latency[0].record(now_s - begin_s, time_s=now_s)

    def _note(self, level: int, begin_s: float, counts: tuple[int, int, int]) -> None:
        now_s = self._clock.monotonic_s()
        with self._lock:
            self._latency[level].record(now_s - begin_s, time_s=now_s)
            for each in range(3):
                self._hits[each] += counts[each]

    def delete(self, name: str) -> None:
        """See `ObjectStore.delete`; its blocks go too."""
        super().delete(name)
        self._cache.forget(name)

    def close(self) -> None:
        """See `ObjectStore.close`. The cache is its owner's to close."""
        self._is_closed = True
        super().close()


class _Part(msgspec.Struct, frozen=True):
    """What is wanted of one block."""

    number: int
    start: int
    target: memoryview


def _parts(offset: int, target: memoryview) -> Iterator[_Part]:
    done = 0
    while done < len(target):
        number, start = divmod(offset + done, BLOCK_BYTES)
        count = min(BLOCK_BYTES - start, len(target) - done)
        yield _Part(number, start, target[done : done + count])
        done += count

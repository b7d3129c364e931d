"""Blocks of stored objects, each with the sums of its pages, and the level of the cache that keeps them in memory.

A block is the beginning of 256 KiB of an object at a multiple of 256 KiB, as much of it as was read. Each page of it
has a sum of its own, so a short read out of it proves what it gives in microseconds. Sums are against bits that turn
over, not against people: what is cached is sealed, and whoever opens it checks the seal.
"""

from __future__ import annotations

import threading

from blake3 import blake3

from engine.base.units import KIB
from engine.storage.cache.fifo import BlockKey, S3Fifo

BLOCK_BYTES = 256 * KIB
PAGE_BYTES = 16 * KIB
SUM_BYTES = 8
_OVERHEAD_BYTES = 1024  # of Python for a block and its place in the queues


def sums_of(data: memoryview) -> bytes:
    """The sums of the pages of a block, one after the other."""
    return b"".join(
        blake3(data[start : start + PAGE_BYTES]).digest(SUM_BYTES) for start in range(0, len(data), PAGE_BYTES)
    )


class Block:
    """One block. Immutable."""

    __slots__ = ("_sums", "view")

    def __init__(self, data: bytes, sums: bytes) -> None:
        self.view = memoryview(data)
        self._sums = sums

    @classmethod
    def of(cls, data: bytes) -> Block:
        """A block of what was just read."""
        return cls(data, sums_of(memoryview(data)))

    @property
    def sums(self) -> bytes:
        """See `sums_of`."""
        return self._sums

    def copy_into(self, target: memoryview, start: int) -> bool:
        """Fill `target` from byte `start` on; False when a page is not what it was, or the block ends before."""
        end = start + len(target)
        if end > len(self.view):
            return False
        target[:] = self.view[start:end]
        for page in range(start // PAGE_BYTES, (end - 1) // PAGE_BYTES + 1):
            stored = self.view[page * PAGE_BYTES : (page + 1) * PAGE_BYTES]
            if blake3(stored).digest(SUM_BYTES) != self._sums[page * SUM_BYTES : (page + 1) * SUM_BYTES]:
                return False
        return True


class MemoryBlocks:
    """The level in memory. Any thread."""

    def __init__(self, capacity_bytes: int) -> None:
        self._lock = threading.Lock()
        self._fifo = S3Fifo[Block](max(capacity_bytes, BLOCK_BYTES + _OVERHEAD_BYTES))  # guarded by `_lock`

    @property
    def capacity_bytes(self) -> int:
        """What it may hold."""
        return self._fifo.capacity_bytes

    @property
    def used_bytes(self) -> int:
        """What it holds."""
        return self._fifo.used_bytes

    def find(self, key: BlockKey) -> Block | None:
        """The block, which is used now; whoever copies from it proves it."""
        with self._lock:
            return self._fifo.get(key)

    def peek(self, key: BlockKey) -> Block | None:
        """The block, not counted as a use."""
        with self._lock:
            return self._fifo.peek(key)

    def add(self, key: BlockKey, block: Block) -> None:
        """Take a block in."""
        with self._lock:
            self._fifo.add(key, block, len(block.view) + _OVERHEAD_BYTES)

    def drop(self, key: BlockKey) -> None:
        """Let go of a block; it need not be there."""
        with self._lock:
            self._fifo.remove(key)

    def forget(self, name: str) -> None:
        """Let go of all blocks of an object, or of a folder of them."""
        with self._lock:
            self._fifo.forget(name)

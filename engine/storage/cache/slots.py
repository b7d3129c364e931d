"""The level of the cache on this machine's disk: equal slots in one file, and a record for each in another.

`blocks` holds the blocks; `records` says for each slot which object's block lies in it and the sums of its pages,
under a sum of its own. A record is written after its block, and nothing is fsynced: whatever a crash leaves
half-written has sums that do not fit, and is read from the store again. Both files together never pass the bound.
What is forgotten is overwritten.
"""

from __future__ import annotations

import logging
import os
import struct
import threading
from collections.abc import Iterator
from pathlib import Path

from blake3 import blake3

from engine.base.errors import WedSyncError
from engine.storage.cache.blocks import BLOCK_BYTES, PAGE_BYTES, SUM_BYTES, Block, sums_of
from engine.storage.cache.fifo import BlockKey, S3Fifo
from engine.storage.stores.failures import explain

NAME_BYTES_MAX = 160  # a pack's name has 115
_SUMS_BYTES = BLOCK_BYTES // PAGE_BYTES * SUM_BYTES
_RECORD = struct.Struct(
    f"<4s I I H {NAME_BYTES_MAX}s {_SUMS_BYTES}s 2x {SUM_BYTES}s"
)  # on disk: magic names the layout
_MAGIC = b"WSC1"
_SLOT_BYTES = BLOCK_BYTES + _RECORD.size
_LOADED_AT_ONCE = 4096
_LOG = logging.getLogger(__name__)


class DiskBlocks:
    """The level on disk. One process a folder; any thread of it."""

    def __init__(self, folder: Path, capacity_bytes: int) -> None:
        """Take in what an earlier life left in `folder`. Raises LimitReached, NotPermitted, Unavailable.

        `capacity_bytes`: at least a slot's.
        """
        self._lock = threading.Lock()
        self._slots = capacity_bytes // _SLOT_BYTES
        self._fifo = S3Fifo[int](self._slots * BLOCK_BYTES)  # guarded by `_lock`, as the next two
        self._free: list[int] = []
        self._forgotten = 0  # how often something was forgotten
        self._refuses = False  # the disk is full or broken: nothing more is written until the next start
        try:
            folder.mkdir(mode=0o700, parents=True, exist_ok=True)
            self._blocks = _File(folder / "blocks", self._slots * BLOCK_BYTES)
            self._records = _File(folder / "records", self._slots * _RECORD.size)
            self._load()
        except OSError as error:
            raise explain(error, str(folder)) from error

    @property
    def capacity_bytes(self) -> int:
        """What both files may hold."""
        return self._slots * _SLOT_BYTES

    @property
    def used_bytes(self) -> int:
        """What lies in slots that are taken."""
        return len(self._fifo) * _SLOT_BYTES

    def find(self, key: BlockKey) -> Block | None:
        """The block, read and proven; one that is wrong is dropped."""
        with self._lock:
            slot = self._fifo.get(key)
        return self._proven(slot, key)

    def peek(self, key: BlockKey) -> Block | None:
        """As `find`, but it does not count as a use."""
        with self._lock:
            slot = self._fifo.peek(key)
        return self._proven(slot, key)

    def mark(self) -> int:
        """A moment, for `add`: what is forgotten after it is not taken in by it."""
        return self._forgotten

    def add(self, key: BlockKey, block: Block, mark: int) -> None:
        """Take a block in. Where that fails, it is not there, and nothing else is lost."""
        if self._refuses or len(key[0]) > NAME_BYTES_MAX:
            return
        self.drop(key)
        try:
            with self._lock:
                slot = self._take_slot()
            if slot is not None and not self._fill(slot, key, block, mark):
                self._empty(slot)
                with self._lock:
                    self._free.append(slot)
        except OSError as error:
            self._refuses = True  # and the slot is lost until the next start
            _LOG.warning("the cache on disk takes in nothing more: %s", error.strerror)

    def drop(self, key: BlockKey) -> None:
        """Let go of a block; it need not be there."""
        with self._lock:
            slot = self._fifo.peek(key)
        if slot is not None:
            self._drop_slot(key, slot)

    def forget(self, name: str) -> None:
        """Let go of all blocks of an object, or of a folder of them, and overwrite them.

        Raises LimitReached, NotPermitted, Unavailable: then some may be readable on the disk still.
        """
        with self._lock:
            self._forgotten += 1
            slots = self._fifo.forget(name)
        try:
            for slot in slots:
                self._empty(slot)
        except OSError as error:
            self._refuses = True
            raise explain(error, "the cache") from error
        with self._lock:
            self._free += slots

    def close(self) -> None:
        """Take in nothing more; the files are let go of when nobody reads from them."""
        self._refuses = True

    def _take_slot(self) -> int | None:
        """A slot that nobody uses, its record empty; None when all are being filled. Under `_lock`. Raises OSError."""
        if self._free:
            return self._free.pop()
        if not len(self._fifo):
            return None
        slot = self._fifo.evict()[1]
        self._clear_record(slot)
        return slot

    def _fill(self, slot: int, key: BlockKey, block: Block, mark: int) -> bool:
        """Write a block and its record; False when it was forgotten or came in meanwhile. Raises OSError."""
        self._blocks.write(block.view, slot * BLOCK_BYTES)
        with self._lock:
            if self._forgotten != mark or self._fifo.peek(key) is not None:
                return False
            self._records.write(_packed(key, block), slot * _RECORD.size)
            self._fifo.add(key, slot, BLOCK_BYTES)
            return True

    def _drop_slot(self, key: BlockKey, slot: int) -> None:
        with self._lock:
            if self._fifo.peek(key) != slot:
                return
            self._fifo.remove(key)
            try:
                self._clear_record(slot)
            except OSError:
                self._refuses = True
                return
            self._free.append(slot)

    def _clear_record(self, slot: int) -> None:
        self._records.write(memoryview(bytes(_RECORD.size)), slot * _RECORD.size)

    def _empty(self, slot: int) -> None:
        """Overwrite a slot and its record. Raises OSError."""
        self._clear_record(slot)
        self._blocks.write(memoryview(bytes(BLOCK_BYTES)), slot * BLOCK_BYTES)

    def _proven(self, slot: int | None, key: BlockKey) -> Block | None:
        """The block in `slot`; one that is not what it was is dropped."""
        if slot is None:
            return None
        try:
            block = self._read(slot, key)
        except OSError:
            block = None
        if block is None:
            self._drop_slot(key, slot)
        return block

    def _read(self, slot: int, key: BlockKey) -> Block | None:
        found = _unpacked(self._records.read(_RECORD.size, slot * _RECORD.size))
        if found is None or found[0] != key:
            return None
        _, length, sums = found
        data = self._blocks.read(length, slot * BLOCK_BYTES)
        return Block(data, sums) if len(data) == length and sums_of(memoryview(data)) == sums else None

    def _load(self) -> None:
        """Take in the records of an earlier life. Raises OSError."""
        for slot, record in enumerate(self._all_records()):
            found = _unpacked(record)
            if found is not None and self._fifo.peek(found[0]) is None:
                self._fifo.add_proven(found[0], slot, BLOCK_BYTES)
                continue
            if any(record):
                self._clear_record(slot)
            self._free.append(slot)
        self._free.reverse()  # the first slots are used first, so a cache that is never full stays a small file

    def _all_records(self) -> Iterator[bytes]:
        for first in range(0, self._slots, _LOADED_AT_ONCE):
            count = min(_LOADED_AT_ONCE, self._slots - first)
            some = self._records.read(count * _RECORD.size, first * _RECORD.size)
            for number in range(count):
                yield some[number * _RECORD.size : (number + 1) * _RECORD.size]


class _File:
    """A file of one size. Closed when nobody holds it: a thread that is late never meets another file's number."""

    def __init__(self, path: Path, size_bytes: int) -> None:
        self._fd = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
        os.ftruncate(self._fd, size_bytes)  # sparse: what was never written takes no room

    def __del__(self) -> None:
        if hasattr(self, "_fd"):
            os.close(self._fd)

    def read(self, size_bytes: int, offset: int) -> bytes:
        """Raises OSError."""
        return os.pread(self._fd, size_bytes, offset)

    def write(self, data: memoryview, offset: int) -> None:
        """Raises OSError."""
        while data:
            count = os.pwrite(self._fd, data, offset)
            data, offset = data[count:], offset + count


def open_disk_blocks(folder: Path, capacity_bytes: int) -> DiskBlocks | None:
    """The level in `folder`; None where there is no room for a block.

    None also, and a line in the log, where the folder cannot be used: a cache is no reason to stop.
    """
    if capacity_bytes < _SLOT_BYTES:
        return None
    try:
        fitting_bytes = _fitting(folder, capacity_bytes)
        if fitting_bytes < capacity_bytes:
            _LOG.warning("the cache on disk is held to %d bytes: half of what is free there", fitting_bytes)
        return DiskBlocks(folder, fitting_bytes) if fitting_bytes >= _SLOT_BYTES else None
    except WedSyncError as error:
        _LOG.warning("no cache on disk: %s", error.line())
        return None


def _fitting(folder: Path, capacity_bytes: int) -> int:
    """So much of a capacity that half of the disk's free room stays free: the journal has to grow, too."""
    try:
        folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        room = os.statvfs(folder)
        held_bytes = sum(path.stat().st_blocks * 512 for path in folder.iterdir())
    except OSError as error:
        raise explain(error, str(folder)) from error
    return min(capacity_bytes, (room.f_bavail * room.f_frsize + held_bytes) // 2)


def _packed(key: BlockKey, block: Block) -> memoryview:
    name = key[0].encode("ascii")
    bare = _RECORD.pack(_MAGIC, key[1], len(block.view), len(name), name, block.sums, b"")[:-SUM_BYTES]
    return memoryview(bare + blake3(bare).digest(SUM_BYTES))


def _unpacked(record: bytes) -> tuple[BlockKey, int, bytes] | None:
    """The block that a record is of, its length and sums; None for a record that is empty or not whole."""
    if record[:4] != _MAGIC or len(record) != _RECORD.size:
        return None
    _, number, length, name_bytes, name, sums, own = _RECORD.unpack(record)
    if blake3(record[:-SUM_BYTES]).digest(SUM_BYTES) != own:
        return None
    if not 0 < length <= BLOCK_BYTES:
        return None
    return (name[:name_bytes].decode("ascii", "replace"), number), length, sums[: -(-length // PAGE_BYTES) * SUM_BYTES]

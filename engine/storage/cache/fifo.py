"""Which blocks stay in a cache of so many bytes: S3-FIFO, three queues and no list that every hit has to reorder.

What is new enters a small queue (a tenth of the room). Leaving it, a block that was used again moves to the main
queue; any other goes, and only its name is remembered for a while: named again meanwhile, it enters the main queue at
once. So what is asked for once, as in a restore of a whole wedding, never displaces what is asked for often. (Yang et
al., "FIFO Queues are All You Need for Cache Eviction", SOSP 2023.) Pure; not locked.
"""

from __future__ import annotations

from collections import OrderedDict
from typing import Generic, TypeVar

from engine.base.invariants import check

BlockKey = tuple[str, int]  # object, number of the block in it
Value = TypeVar("Value")

SMALL_SHARE = 0.1
USES_MAX = 3


class _Entry(Generic[Value]):
    __slots__ = ("in_main", "size_bytes", "uses", "value")

    def __init__(self, value: Value, size_bytes: int) -> None:
        self.value = value
        self.size_bytes = size_bytes
        self.uses = 0
        self.in_main = False


class S3Fifo(Generic[Value]):
    """Blocks with their values, never more bytes than `capacity_bytes`."""

    def __init__(self, capacity_bytes: int) -> None:
        check(capacity_bytes > 0, "a cache has room")
        self.capacity_bytes = capacity_bytes
        self.used_bytes = 0
        self._small_bytes = 0
        self._ghost_bytes = 0
        self._entries: dict[BlockKey, _Entry[Value]] = {}
        self._small: OrderedDict[BlockKey, None] = OrderedDict()  # oldest first, as the next two
        self._main: OrderedDict[BlockKey, None] = OrderedDict()
        self._ghost: OrderedDict[BlockKey, int] = OrderedDict()  # with the bytes it had
        self._objects: dict[str, set[int]] = {}  # the blocks that are there of each object

    def __len__(self) -> int:
        return len(self._entries)

    def get(self, key: BlockKey) -> Value | None:
        """The value of a block that is used now; None when it is not there."""
        found = self._entries.get(key)
        if found is None:
            return None
        if found.uses < USES_MAX:
            found.uses += 1
        return found.value

    def peek(self, key: BlockKey) -> Value | None:
        """The value of a block, which does not count as a use."""
        found = self._entries.get(key)
        return found.value if found is not None else None

    def add(self, key: BlockKey, value: Value, size_bytes: int) -> None:
        """Take a block in, or give one that is there another value. Others leave for it."""
        check(0 < size_bytes <= self.capacity_bytes, "a block fits into its cache")
        there = self._entries.get(key)
        uses = there.uses if there is not None else 0
        was_main = there is not None and there.in_main
        self.remove(key)
        while self.used_bytes + size_bytes > self.capacity_bytes:
            self.evict()
        entry = _Entry(value, size_bytes)
        entry.uses = uses
        entry.in_main = was_main or key in self._ghost
        self._forget_ghost(key)
        self._enter(key, entry)

    def add_proven(self, key: BlockKey, value: Value, size_bytes: int) -> None:
        """Take in a block of an earlier life of the cache: what is new does not displace it at once."""
        self._ghost[key] = 0
        self.add(key, value, size_bytes)

    def evict(self) -> tuple[BlockKey, Value]:
        """Let one block go that is worth least. There has to be one."""
        check(bool(self._entries), "an empty cache lets nothing go")
        while True:
            from_small = self._small_bytes >= SMALL_SHARE * self.capacity_bytes or not self._main
            key, _ = (self._small if from_small else self._main).popitem(last=False)
            entry = self._entries[key]
            if from_small and entry.uses > 0:
                self._small_bytes -= entry.size_bytes
                entry.in_main, entry.uses = True, 0
                self._main[key] = None
            elif not from_small and entry.uses > 0:
                entry.uses -= 1
                self._main[key] = None
            else:
                self._leave(key, entry)
                if from_small:
                    self._remember(key, entry.size_bytes)
                return key, entry.value

    def remove(self, key: BlockKey) -> Value | None:
        """Take a block out; its value, or None when it was not there."""
        entry = self._entries.get(key)
        if entry is None:
            return None
        del (self._main if entry.in_main else self._small)[key]
        self._leave(key, entry)
        return entry.value

    def forget(self, name: str) -> list[Value]:
        """Take out all blocks of the object `name`, or of all in the folder `name` (it ends in `/`, or is empty)."""
        if name and not name.endswith("/"):
            names = [name] if name in self._objects else []
        else:
            names = [each for each in self._objects if each.startswith(name)]
            for key in [key for key in self._ghost if key[0].startswith(name)]:
                self._forget_ghost(key)
        keys = [(each, number) for each in names for number in sorted(self._objects[each])]
        return [value for key in keys if (value := self.remove(key)) is not None]

    def validate(self) -> None:
        """Raise BrokenInvariant unless the figures fit what is there."""
        sizes = {key: entry.size_bytes for key, entry in self._entries.items()}
        check(self.used_bytes == sum(sizes.values()) <= self.capacity_bytes, "a cache keeps its bound")
        check(self._small_bytes == sum(sizes[key] for key in self._small), "the small queue knows its bytes")
        check(sizes.keys() == self._small.keys() | self._main.keys(), "each block stands in a queue")
        check(not self._small.keys() & self._main.keys(), "no block stands in two queues")
        check(not self._ghost.keys() & sizes.keys(), "what is here is not remembered as gone")
        check(self._ghost_bytes == sum(self._ghost.values()) <= self.capacity_bytes, "what is remembered is bounded")
        named = {(name, number) for name, numbers in self._objects.items() for number in numbers}
        check(named == sizes.keys(), "each block is found by its object")

    def _enter(self, key: BlockKey, entry: _Entry[Value]) -> None:
        self._entries[key] = entry
        self._objects.setdefault(key[0], set()).add(key[1])
        self.used_bytes += entry.size_bytes
        if entry.in_main:
            self._main[key] = None
        else:
            self._small[key] = None
            self._small_bytes += entry.size_bytes

    def _leave(self, key: BlockKey, entry: _Entry[Value]) -> None:
        """All but its place in a queue."""
        del self._entries[key]
        numbers = self._objects[key[0]]
        numbers.discard(key[1])
        if not numbers:
            del self._objects[key[0]]
        self.used_bytes -= entry.size_bytes
        if not entry.in_main:
            self._small_bytes -= entry.size_bytes

    def _remember(self, key: BlockKey, size_bytes: int) -> None:
        self._ghost[key] = size_bytes
        self._ghost_bytes += size_bytes
        while self._ghost_bytes > self.capacity_bytes:
            self._forget_ghost(next(iter(self._ghost)))

    def _forget_ghost(self, key: BlockKey) -> None:
        self._ghost_bytes -= self._ghost.pop(key, 0)

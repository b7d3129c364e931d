"""What the parts of a replicated store share: its regions, who may hold what, what is owed, which copies are bad.

Any thread.
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterable, Sequence
from contextlib import suppress
from functools import partial
from typing import Literal

import msgspec

from engine.base.clock import Clock
from engine.base.errors import Conflict, NotFound, Unavailable, WedSyncError
from engine.storage.agreement import majority_of, voters_of
from engine.storage.distance import Placing
from engine.storage.healqueue import HealQueue
from engine.storage.region import STUCK_S, Region
from engine.storage.stores.names import parent_folder
from engine.storage.stores.store import ObjectInfo, ObjectStore
from engine.storage.tombstones import TOMBSTONES, mark, says_deleted

PACK_HEAD_BYTES = 16
_HASH_DIGITS = 64
_BURIED_MAX = 100_000
_WRONG_MAX = 10_000

CopyEvent = Literal["written", "verified", "bad", "gone"]
NoteCopy = Callable[[str, str, CopyEvent, int], None]  # object, region, what happened, its size; 0: as it was


class Policy(msgspec.Struct, frozen=True):
    """How many copies are wanted, and how many make an object acknowledged."""

    copies: int = 3
    quorum: int = 2


def ignore_copy(_name: str, _region: str, _event: CopyEvent, _size_bytes: int) -> None:
    """Nobody keeps a catalog."""


class Replication:
    """The regions of one tier."""

    def __init__(
        self, regions: Sequence[Region], placing: Placing, queue: HealQueue, clock: Clock, *, policy: Policy
    ) -> None:
        self.regions = {region.name: region for region in regions}
        self.placing = placing
        self.queue = queue
        self.clock = clock
        self.policy = policy
        self.note: NoteCopy = ignore_copy
        self._lock = threading.Lock()
        self._bad: dict[str, set[str]] = {}  # object → regions whose copy is not to be read; with the next, by `_lock`
        self._buried: set[str] = set()
        self._wrong: dict[str, set[str]] = {}  # object → regions that gave it wrong

    # --- who holds what ---------------------------------------------------------------------------------

    def allowed(self, name: str) -> list[Region]:
        """Where an object (or what is in a folder) may lie, in the fixed order."""
        found = [self.regions[region] for region in self.placing(name).regions]
        if not found:
            raise Unavailable(f"none of the regions that {name} may lie in is set", "config.toml names the regions")
        return found

    def voters(self, name: str) -> list[Region]:
        """Those that decide who created a name."""
        allowed = self.allowed(name)
        return allowed[: voters_of(len(allowed))]

    def quorum(self, count: int) -> int:
        """How many of `count` regions make an object acknowledged."""
        return min(self.policy.quorum, count)

    def to_read(self, name: str) -> list[Region]:
        """The regions to be asked for an object: the nearest first, those that fail now or gave it wrong last."""
        with self._lock:
            bad = self._bad.get(name, set())
            wrong = self._wrong.get(name, set())
            found = [self.regions[region] for region in self.placing(name).nearest if region not in bad]
        return sorted(found, key=lambda region: (not region.is_usable, region.name in wrong))

    def to_write(self, name: str, copies: int) -> tuple[list[Region], list[Region]]:
        """The regions that a pack is to go to, and those that stand in where one of them fails."""
        ranked = sorted(self.placing(name).nearest, key=lambda region: not self.regions[region].is_usable)
        found = [self.regions[region] for region in ranked]
        return found[:copies], found[copies:]

    def is_told(self, name: str, silent: int) -> bool:
        """Whether enough regions have told what they hold, where so many have not, that nothing acknowledged is hidden.

        Of a name that is agreed on at least half of the voters may be silent, of a pack fewer than its quorum.
        """
        allowed = len(self.allowed(name))
        return silent == 0 or (silent < self.quorum(allowed) and silent < majority_of(voters_of(allowed)))

    # --- bad copies -------------------------------------------------------------------------------------

    def bad(self, name: str) -> frozenset[str]:
        """Regions whose copy of an object is known to be damaged."""
        with self._lock:
            return frozenset(self._bad.get(name, ()))

    def mark_bad(self, name: str, region: str, *, size_bytes: int = 0) -> bool:
        """Never read this copy again, and have it healed; whether that is news."""
        with self._lock:
            known = self._bad.setdefault(name, set())
            is_news = region not in known
            known.add(region)
        if is_news:
            self.note(name, region, "bad", size_bytes)
            self.queue.owe(name, [region], "copy", self.clock.now_ns(), on_the_way=False)
        return is_news

    def mistrust(self, name: str, region: str) -> None:
        """A region gave an object wrong: others are asked first, as long as this process remembers."""
        with self._lock:
            if len(self._wrong) >= _WRONG_MAX:
                self._wrong.clear()
            self._wrong.setdefault(name, set()).add(region)

    def remember_bad(self, name: str, region: str) -> None:
        """Know a copy that an earlier process found bad: its healing is owed already."""
        with self._lock:
            self._bad.setdefault(name, set()).add(region)

    def mark_good(self, name: str, region: str) -> None:
        """A copy was read whole, or written anew."""
        with self._lock:
            known = self._bad.get(name)
            if known is not None:
                known.discard(region)
                if not known:
                    del self._bad[name]

    def bad_count(self) -> dict[str, int]:
        """Damaged copies by region."""
        with self._lock:
            counts: dict[str, int] = {}
            for regions in self._bad.values():
                for region in regions:
                    counts[region] = counts.get(region, 0) + 1
            return counts

    def short(self) -> list[str]:
        """Packs with fewer copies than are wanted, for good: bad ones that cannot be replaced, no region free."""
        with self._lock:
            known = [(name, set(regions)) for name, regions in self._bad.items() if is_pack_name(name)]
        return [name for name, regions in known if self._is_short(name, regions)]

    def _is_short(self, name: str, bad: set[str]) -> bool:
        allowed = self.placing(name).regions
        stay = [region for region in allowed if region in bad and self.regions[region].append_only]
        return bool(stay) and len(allowed) - len(stay) < min(self.policy.copies, len(allowed))

    # --- tombstones -------------------------------------------------------------------------------------

    def bury(self, name: str, regions: Iterable[Region]) -> set[str]:
        """Write down in regions that an object is deleted, wherever a copy turns up; those where that went well."""
        last, _ = self._last_mark(name)
        done = self._mark(name, last if says_deleted(last) else last + 1, regions)
        with self._lock:
            if len(self._buried) >= _BURIED_MAX:
                self._buried.clear()
            self._buried.add(name)
        return done

    def was_buried(self, name: str) -> bool:
        """Whether this process buried a name lately, and nobody has published it since."""
        with self._lock:
            is_known = name in self._buried
        return is_known and (not is_hash_name(name) or self.is_buried(name))

    def is_buried(self, name: str, *, surely: bool = False) -> bool:
        """Whether an object is deleted, by the highest mark in the regions that answer.

        `surely`: raises Unavailable where so many are silent that they may hold a higher one.
        """
        last, silent = self._last_mark(name)
        if surely and not self.is_told(name, silent):
            raise Unavailable(f"too few regions tell whether {name} is deleted", "it is tried again")
        return says_deleted(last)

    def revive(self, name: str) -> bool:
        """Before what is named by its hash is published: see that no tombstone beats the new copies.

        That is durable in so many regions that no list and no healing misses it. Whether it could be written there.
        """
        last, silent = self._last_mark(name)
        if last < 0 and silent and self.queue.owes_deletion(name):
            last = 0  # only regions that do not answer now know that it was deleted
        number = last + 1 if says_deleted(last) else last
        if number > 0 and self.is_told(name, len(self._mark(name, number, self.allowed(name)))):
            return False
        with self._lock:
            self._buried.discard(name)
        return True

    def unbury(self, name: str) -> None:
        """Take the marks of a name away, where they can be; of what is named by its hash only if all of them can."""
        with self._lock:
            self._buried.discard(name)
        regions, last = self.allowed(name), 0
        if is_hash_name(name):
            last, silent = self._last_mark(name)
            if silent or not says_deleted(last) or any(region.append_only for region in regions):
                return
        for region in regions:
            if not region.append_only:
                with suppress(WedSyncError):
                    for number in range(last, -1, -1):  # what is left by a kill is a beginning of the numbers
                        region.call(lambda store, number=number: _delete(store, mark(name, number)))  # type: ignore[misc]

    def _mark(self, name: str, number: int, regions: Iterable[Region]) -> set[str]:
        """Write one mark in regions; those that have it."""
        futures = {region.name: region.begin(lambda store: _write(store, mark(name, number))) for region in regions}
        done = set()
        for region, future in futures.items():
            with suppress(WedSyncError, TimeoutError):
                future.result(timeout=STUCK_S)
                done.add(region)
        return done

    def _last_mark(self, name: str) -> tuple[int, int]:
        """The highest mark of a name, -1 for none, and how many regions that may hold one are silent."""
        regions = self.allowed(name)
        usable = [region for region in regions if region.is_usable]
        last, silent = -1, 0
        while True:
            futures = [region.begin(partial(_holds, mark(name, last + 1))) for region in usable]
            is_there, told = False, 0
            for future in futures:
                with suppress(WedSyncError, TimeoutError):
                    is_there = future.result(timeout=STUCK_S) or is_there
                    told += 1
            silent = max(silent, len(regions) - told)
            last += is_there
            if not is_there or not is_hash_name(name):
                return last, silent


def is_hash_name(name: str) -> bool:
    """Whether the last part of a name is the BLAKE3 of the object's bytes (docs/format.md, section 2)."""
    last = name.rpartition("/")[2]
    return len(last) == _HASH_DIGITS and not last.strip("0123456789abcdef")


def is_pack_name(name: str) -> bool:
    """Whether a name is a pack's."""
    return is_hash_name(name) and parent_folder(name).endswith("/packs")


def as_seen(found: Iterable[ObjectInfo]) -> Iterable[ObjectInfo]:
    """A region's objects without its tombstones."""
    return (info for info in found if not info.name.startswith(TOMBSTONES))


def closed() -> Unavailable:
    """What a store says after its end."""
    return Unavailable("the store is closed", "open it again")


def _write(store: ObjectStore, name: str) -> None:
    with suppress(Conflict):
        store.put(name, b"")


def _holds(name: str, store: ObjectStore) -> bool:
    try:
        store.stat(name)
    except NotFound:
        return False
    return True


def _delete(store: ObjectStore, name: str) -> None:
    with suppress(NotFound):
        store.delete(name)

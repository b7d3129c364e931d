"""How much of the hot store is used: walked once in the background, then kept by what jobs write.

A store that counts by itself (`Space.used_bytes`) is believed. A walk costs a look at each object, so it is done again
only after a hundred times as long as it took, and no more than each ten minutes. Engine loop; walks on the executor.
"""

from __future__ import annotations

import msgspec

from engine.base.clock import Clock
from engine.base.units import parse_bytes
from engine.contract.settings import StorageSettings
from engine.contract.status import Tier, TierRow
from engine.jobs.offload import Offload
from engine.storage.stores.store import ObjectStore, Space

WALK_AGAIN_S = 600.0
WALK_AGAIN_TIMES = 100


class Room(msgspec.Struct):
    """What is known of a store's use."""

    url: str = ""  # of the store that was walked
    is_walking: bool = False
    walked_bytes: int | None = None
    stored_before: int = 0  # the jobs' count of stored bytes when the walk began
    again_s: float = 0.0

    def used_bytes(self, stored_total: int) -> int | None:
        """Bytes used now, by the last walk and what was stored and let go since; None before the first has ended."""
        if self.walked_bytes is None:
            return None
        return self.walked_bytes + max(0, stored_total - self.stored_before)

    def let_go(self, size_bytes: int) -> None:
        """So many bytes were deleted: moved to another tier, or pruned."""
        if self.walked_bytes is not None:
            self.walked_bytes = max(0, self.walked_bytes - size_bytes)

    async def walk_if_due(self, store: ObjectStore, offload: Offload, clock: Clock, *, stored_total: int) -> None:
        """Count the objects, if it is time. Raises what listing raises."""
        began_s = clock.monotonic_s()
        if store.url != self.url:
            self.url, self.walked_bytes, self.again_s = store.url, None, 0.0
        if self.is_walking or began_s < self.again_s:
            return
        self.is_walking = True
        try:
            walked = await offload.run("walk", lambda: sum(info.size_bytes for info in store.list("")))
            self.walked_bytes, self.stored_before = walked, stored_total
        finally:
            self.is_walking = False
            took_s = clock.monotonic_s() - began_s
            self.again_s = began_s + took_s + max(WALK_AGAIN_S, WALK_AGAIN_TIMES * took_s)


def tier_row(url: str, space: Space, settings: StorageSettings, *, used_bytes: int | None) -> TierRow:
    """The hot tier as shown. A capacity that was set bounds what the disk would hold."""
    return row_of("hot", url, space, settings.capacity, used_bytes=used_bytes)


def row_of(tier: Tier, url: str, space: Space, capacity_text: str, *, used_bytes: int | None) -> TierRow:
    """A tier as shown. `capacity_text`: what may be used of it, as `20TB`; empty: all there is."""
    capacity, free = space.capacity_bytes, space.free_bytes
    used = space.used_bytes if space.used_bytes is not None else used_bytes
    if capacity_text:
        allowed = parse_bytes(capacity_text)
        capacity = allowed if capacity is None else min(allowed, capacity)
        if used is not None:
            room = max(0, capacity - used)
            free = room if free is None else min(free, room)
    return TierRow(tier=tier, url=url, used_bytes=used, free_bytes=free, capacity_bytes=capacity)

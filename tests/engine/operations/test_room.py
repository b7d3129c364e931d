"""How much of the store is used: a walk once, then what jobs write; a capacity that was set bounds it."""

from __future__ import annotations

import asyncio

from engine.base.clock import FakeClock
from engine.contract.settings import StorageSettings
from engine.jobs.offload import Offload
from engine.operations.room import Room, tier_row
from engine.storage.stores.memory import MemoryStore
from engine.storage.stores.store import Space

SPACE = Space(None, 600, 1_000)


async def _walked(room: Room, store: MemoryStore, clock: FakeClock, *, stored_total: int = 0) -> None:
    offload = Offload()
    try:
        async with asyncio.timeout(10):
            await room.walk_if_due(store, offload, clock, stored_total=stored_total)
    finally:
        offload.close()


async def test_use_is_walked_once_and_then_kept_by_what_is_stored() -> None:
    room, store, clock = Room(), MemoryStore(), FakeClock()
    assert room.used_bytes(0) is None
    store.put("config/1", b"x" * 100)
    await _walked(room, store, clock, stored_total=40)
    assert (room.used_bytes(40), room.used_bytes(75)) == (100, 135)
    store.put("config/2", b"x" * 50)
    await _walked(room, store, clock, stored_total=75)
    assert room.used_bytes(75) == 135  # too soon for another walk
    clock.advance(601.0)
    await _walked(room, store, clock, stored_total=75)
    assert room.used_bytes(75) == 150
    room.let_go(40)
    assert room.used_bytes(75) == 110
    room.let_go(1_000)
    assert room.used_bytes(75) == 0


def test_a_tier_shows_what_the_store_or_the_walk_says() -> None:
    row = tier_row("file:///s", SPACE, StorageSettings(), used_bytes=150)
    assert (row.used_bytes, row.free_bytes, row.capacity_bytes) == (150, 600, 1_000)
    counted = tier_row("memory://", Space(7, None, None), StorageSettings(), used_bytes=150)
    assert (counted.used_bytes, counted.free_bytes, counted.capacity_bytes) == (7, None, None)


def test_a_capacity_that_was_set_bounds_the_room() -> None:
    bounded = tier_row("file:///s", SPACE, StorageSettings(capacity="500B"), used_bytes=150)
    assert (bounded.capacity_bytes, bounded.free_bytes) == (500, 350)
    unknown = tier_row("file:///s", SPACE, StorageSettings(capacity="500B"), used_bytes=None)
    assert (unknown.capacity_bytes, unknown.free_bytes) == (500, 600)
    beyond = tier_row("file:///s", SPACE, StorageSettings(capacity="200TB"), used_bytes=150)
    assert (beyond.capacity_bytes, beyond.free_bytes) == (1_000, 600)  # no more than the disk has

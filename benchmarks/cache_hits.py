"""The read cache: its hit rate on a Zipf trace beside LRU and Belady's optimum, and what a read out of memory takes.

The trace is of independent reads: `OBJECTS` objects, the k-th most wanted with a share in proportion to
k^-`EXPONENT`, in `READS` reads. Each object is a block of a pack of its own, of which 16 KiB are read, so all count
alike. The cache is the real one (`CachedStore` over a store in memory); LRU and Belady's MIN (1966: lets go of what
is wanted latest) are counted on the same trace with as much room.
"""

from __future__ import annotations

import random
import time
from pathlib import Path

from benchmarks.report import Report
from engine.base.clock import SystemClock
from engine.base.units import KIB, MIB
from engine.storage.cache.blocks import MemoryBlocks
from engine.storage.cache.slots import DiskBlocks
from engine.storage.cached import BlockCache, CachedStore
from engine.storage.stores.memory import MemoryStore
from tests import caches

OBJECTS = 2_000
EXPONENT = 0.9
READS = 200_000
SHARES = (0.01, 0.05, 0.1, 0.25, 0.5, 1.0)  # of all objects: what the cache has room for
READ_BYTES = 16 * KIB
HELD_BYTES = READ_BYTES + KIB  # of memory for each
ROUNDS = 5
TIMED_BYTES = 32 * MIB


def measure(folder: Path, report: Report, *, short: bool) -> None:
    """Every figure of the cache."""
    trace = zipf_trace(READS // (5 if short else 1), seed=2026)
    report.say(f"Zipf trace: exponent {EXPONENT}, {OBJECTS} objects of 16 KiB, {len(trace)} reads")
    for share in SHARES:
        room = round(OBJECTS * share)
        ours = hit_rate(trace, room)
        lru, best = caches.lru_hits(trace, room) / len(trace), caches.belady_hits(trace, room) / len(trace)
        name = f"cache of {share:.0%} of the objects"
        report.add(f"{name}: hit rate", 98.0 if share == 1 and not short else None, ours * 100, "%", at_least=True)
        report.add(f"{name}: ÷ LRU's ({lru:.1%})", 1.0, ours / lru, "×", at_least=True)
        report.add(f"{name}: of Belady's optimum ({best:.1%})", None, ours / best * 100, "%")
    wall_us, cpu_us = memory_read_us()
    report.add("mean read of 16 KiB from memory, checked", 8.5, wall_us, "µs")
    report.add("mean read of 16 KiB from memory: CPU", None, cpu_us, "µs")
    wall_us, _ = disk_read_us(folder)
    report.add("mean read of 16 KiB from the cache's disk, page cache warm", None, wall_us, "µs")


def zipf_trace(reads: int, *, seed: int) -> list[int]:
    """Numbers of objects, in the order in which they are read."""
    chance = random.Random(seed)
    numbers = chance.sample(range(OBJECTS), OBJECTS)
    ranks = caches.zipf_trace(OBJECTS, EXPONENT, reads, chance=chance)
    return [numbers[rank] for rank in ranks]


def hit_rate(trace: list[int], room: int) -> float:
    """Of the real cache, with room for so many objects."""
    store = MemoryStore()
    for number in range(OBJECTS):
        store.put(_pack(number), number.to_bytes(4, "little") * (READ_BYTES // 4))
    cached = CachedStore(store, BlockCache(MemoryBlocks(room * HELD_BYTES), None), SystemClock())
    buffer = memoryview(bytearray(READ_BYTES))
    for number in trace:
        cached.read_into(_pack(number), 0, buffer)
        assert int.from_bytes(buffer[:4], "little") == number
    figures = cached.figures()
    return figures.memory_hits / (figures.memory_hits + figures.misses)


def memory_read_us() -> tuple[float, float]:
    """Mean wall and CPU time of reads at random places of 32 MiB: those of the middle one of some rounds."""
    cached = CachedStore(_store(), BlockCache(MemoryBlocks(2 * TIMED_BYTES), None), SystemClock())
    return sorted(_mean_read_us(cached) for _ in range(ROUNDS))[ROUNDS // 2]


def disk_read_us(folder: Path) -> tuple[float, float]:
    """The same, of a cache with no room in memory: a block of 256 KiB is read and checked for each."""
    disk = DiskBlocks(folder / "cache", 2 * TIMED_BYTES)
    cached = CachedStore(_store(), BlockCache(MemoryBlocks(1), disk), SystemClock())
    return sorted(_mean_read_us(cached, reads=1000) for _ in range(ROUNDS))[ROUNDS // 2]


def _mean_read_us(cached: CachedStore, *, reads: int = 20_000) -> tuple[float, float]:
    chance, buffer = random.Random(1), memoryview(bytearray(MIB))
    for offset in range(0, TIMED_BYTES, MIB):
        cached.read_into(_pack(0), offset, buffer)
    offsets = [chance.randrange(TIMED_BYTES // READ_BYTES) * READ_BYTES for _ in range(reads)]
    name, target = _pack(0), buffer[:READ_BYTES]
    begin_s, begin_cpu_s = time.perf_counter(), time.thread_time()
    for offset in offsets:
        cached.read_into(name, offset, target)
    wall_s, cpu_s = time.perf_counter() - begin_s, time.thread_time() - begin_cpu_s
    return wall_s / reads * 1e6, cpu_s / reads * 1e6


def _store() -> MemoryStore:
    store = MemoryStore()
    store.put(_pack(0), random.Random(1).randbytes(TIMED_BYTES))
    return store


def _pack(number: int) -> str:
    return f"weddings/{'ab' * 16}/packs/{number:064x}"

"""`CachedStore` against the shared suite; never wrong bytes, what it counts, and how a cache is emptied."""

from __future__ import annotations

import random
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from engine.base.clock import FakeClock, SystemClock
from engine.base.errors import IntegrityError, Unavailable
from engine.storage.cache.blocks import BLOCK_BYTES, PAGE_BYTES, MemoryBlocks
from engine.storage.cache.slots import DiskBlocks
from engine.storage.cached import BlockCache, CachedStore, past_caches
from engine.storage.stores.memory import MemoryObjects, MemoryStore
from engine.storage.stores.store import ObjectStore
from tests.faults import Fail, FaultyStore, Rule
from tests.suites.object_store import ObjectStoreSuite, OpenEngine, pattern, race

PACK = "weddings/" + "ab" * 16 + "/packs/" + "cd" * 32
SIZE = 3 * BLOCK_BYTES + 70_000
ROOM = 4 * (BLOCK_BYTES + 2048)


def engines_with(cache: BlockCache) -> Iterator[OpenEngine]:
    objects = MemoryObjects()
    opened: list[ObjectStore] = []

    def open_one() -> ObjectStore:
        opened.append(CachedStore(MemoryStore(objects), cache, SystemClock()))
        return opened[-1]

    yield open_one
    for store in opened:
        store.close()
    cache.close()


class TestInMemory(ObjectStoreSuite):
    """The promises every store makes."""

    @pytest.fixture
    def open_engine(self) -> Iterator[OpenEngine]:
        yield from engines_with(BlockCache(MemoryBlocks(ROOM), None))


class TestInMemoryAndOnDisk(ObjectStoreSuite):
    """The promises every store makes."""

    @pytest.fixture
    def open_engine(self, tmp_path: Path) -> Iterator[OpenEngine]:
        yield from engines_with(BlockCache(MemoryBlocks(1), DiskBlocks(tmp_path, ROOM)))


class Bench:
    """A store with one pack behind a cache, and what of it was read."""

    def __init__(self, folder: Path | None = None, memory_bytes: int = ROOM) -> None:
        self.store = MemoryStore()
        self.faulty = FaultyStore(self.store)
        self.data = pattern(SIZE)
        self.store.put(PACK, self.data)
        disk = DiskBlocks(folder, ROOM) if folder is not None else None
        self.cache = BlockCache(MemoryBlocks(memory_bytes), disk)
        self.cached = CachedStore(self.faulty, self.cache, FakeClock())

    def read(self, offset: int, size_bytes: int, name: str = PACK) -> bytes:
        buffer = bytearray(size_bytes)
        self.cached.read_into(name, offset, memoryview(buffer))
        return bytes(buffer)

    def reads_of_store(self) -> int:
        return len(self.faulty.names("read_into"))

    def rot(self) -> None:
        """Put other bytes where the pack lies, behind the cache's back."""
        self.store.delete(PACK)
        self.store.put(PACK, bytes(SIZE))


def test_what_was_read_once_comes_from_memory_also_in_part() -> None:
    bench = Bench()
    assert bench.read(100_000, 300_000) == bench.data[100_000:400_000]
    assert bench.reads_of_store() == 1
    for offset, size_bytes in ((0, 1), (0, 400_000), (100_000, 300_000), (399_999, 1), (262_143, 2)):
        assert bench.read(offset, size_bytes) == bench.data[offset : offset + size_bytes]
    assert bench.reads_of_store() == 1
    figures = bench.cached.figures()
    assert (figures.memory_hits, figures.disk_hits, figures.misses) == (8, 0, 2)


def test_what_is_missing_is_read_in_as_few_stretches_as_there_are_gaps() -> None:
    bench = Bench()
    bench.read(BLOCK_BYTES, BLOCK_BYTES)
    assert bench.read(0, SIZE) == bench.data
    assert bench.reads_of_store() == 3


def test_what_does_not_fit_into_memory_comes_from_the_disk_and_so_it_does_after_a_restart(tmp_path: Path) -> None:
    first = Bench(tmp_path, memory_bytes=1)
    assert first.read(0, SIZE) == first.data
    second = Bench(tmp_path)
    for _ in range(2):
        assert second.read(0, SIZE) == second.data
    assert second.reads_of_store() == 0
    figures = second.cached.figures()
    assert (figures.memory_hits, figures.disk_hits, figures.misses) == (4, 4, 0)


_reads = st.tuples(st.integers(0, SIZE - 1), st.sampled_from([1, 4096, 70_000, 600_000]), st.integers(0, 5))


def test_no_reading_deleting_damaging_and_restarting_ever_gives_wrong_bytes(tmp_path: Path) -> None:
    @given(reads=st.lists(_reads, max_size=8), seed=st.integers(0, 2**32))
    def holds(reads: list[tuple[int, int, int]], seed: int) -> None:
        bench, chance = Bench(tmp_path, memory_bytes=2 * BLOCK_BYTES), random.Random(seed)
        for offset, size_bytes, what in reads:
            wanted = min(size_bytes, SIZE - offset)
            assert bench.read(offset, wanted) == bench.data[offset : offset + wanted]
            if what == 1:
                bench.cache.forget(PACK)
            elif what == 2:
                _damage(tmp_path, chance)
            elif what == 3:
                bench = Bench(tmp_path)
            elif what == 4:
                bench.cache.forget("weddings/")
            assert bench.cache.memory.used_bytes <= bench.cache.memory.capacity_bytes

    holds()


def _damage(folder: Path, chance: random.Random) -> None:
    path = folder / chance.choice(["blocks", "records"])
    with path.open("r+b") as file:
        file.seek(chance.randrange(path.stat().st_size))
        file.write(chance.randbytes(300))


def test_a_block_whose_bits_turned_over_in_memory_is_read_anew() -> None:
    bench = Bench()
    bench.read(0, BLOCK_BYTES)
    found = bench.cache.memory.peek((PACK, 0))
    assert found is not None
    rotten = bytearray(found.view)
    rotten[PAGE_BYTES + 5] ^= 1
    found.view = memoryview(rotten)
    assert bench.read(0, PAGE_BYTES) == bench.data[:PAGE_BYTES]
    assert bench.reads_of_store() == 1
    assert bench.read(PAGE_BYTES, 100) == bench.data[PAGE_BYTES : PAGE_BYTES + 100]
    assert bench.read(0, BLOCK_BYTES) == bench.data[:BLOCK_BYTES]


def test_an_erased_wedding_leaves_nothing_in_the_cache_and_its_neighbour_everything(tmp_path: Path) -> None:
    bench = Bench(tmp_path)
    other = PACK.replace("ab", "ac")
    bench.store.put(other, bench.data)
    for name in (PACK, other):
        bench.read(0, 1000, name)
    bench.cache.forget(PACK.partition("packs/")[0])
    bench.read(0, 1000, other)
    assert bench.reads_of_store() == 2
    bench.read(0, 1000)
    assert bench.reads_of_store() == 3


def test_what_is_being_read_while_its_wedding_is_erased_is_not_kept(tmp_path: Path) -> None:
    bench = Bench(tmp_path)

    class Slow(MemoryStore):
        def read_into(self, name: str, offset: int, buffer: memoryview) -> None:
            bench.store.read_into(name, offset, buffer)
            bench.cache.forget("weddings/" + "ab" * 16 + "/")

    slow = CachedStore(Slow(), bench.cache, FakeClock())
    slow.read_into(PACK, 0, memoryview(bytearray(1000)))
    assert bench.cache.peek((PACK, 0)) is None


def test_a_verification_reads_past_the_cache_and_drops_what_differs_there(tmp_path: Path) -> None:
    bench = Bench(tmp_path)
    bench.read(0, 2 * BLOCK_BYTES)
    bench.rot()
    assert bench.read(0, 1000) == bench.data[:1000]
    with past_caches():
        assert bench.read(0, 1000) == bytes(1000)
    assert bench.read(0, 1000) == bytes(1000)
    assert bench.read(BLOCK_BYTES, 1000) == bench.data[BLOCK_BYTES : BLOCK_BYTES + 1000]


def test_a_verification_of_good_bytes_costs_the_cache_nothing(tmp_path: Path) -> None:
    bench = Bench(tmp_path)
    bench.read(0, SIZE)
    with past_caches():
        bench.read(10, SIZE - 20)
    assert bench.reads_of_store() == 2
    assert bench.read(0, SIZE) == bench.data
    assert bench.reads_of_store() == 2


def test_what_may_not_lie_on_this_machine_is_read_and_not_kept(tmp_path: Path) -> None:
    bench, bound = Bench(tmp_path), {PACK}
    store = CachedStore(bench.faulty, bench.cache, FakeClock(), may_keep=lambda name: name not in bound)
    buffer = bytearray(1000)
    for _ in range(2):
        store.read_into(PACK, 0, memoryview(buffer))
        assert buffer == bench.data[:1000]
    assert bench.reads_of_store() == 2
    assert bench.cache.peek((PACK, 0)) is None
    bound.clear()
    store.read_into(PACK, 0, memoryview(buffer))
    bound.add(PACK)
    store.read_into(PACK, 0, memoryview(buffer))
    assert bench.reads_of_store() == 4


def test_a_store_that_fails_leaves_nothing_in_the_cache() -> None:
    bench = Bench()
    bench.faulty.add(Rule("read_into", Fail(Unavailable("gone", "wait"))))
    with pytest.raises(Unavailable):
        bench.read(0, 1000)
    assert bench.read(0, 1000) == bench.data[:1000]


def test_an_end_that_was_cached_is_still_the_end() -> None:
    bench = Bench()
    bench.read(SIZE - 1000, 1000)
    with pytest.raises(IntegrityError):
        bench.read(SIZE - 500, 501)
    assert bench.read(SIZE - 500, 500) == bench.data[-500:]


def test_readers_beside_each_other_get_the_right_bytes(tmp_path: Path) -> None:
    bench = Bench(tmp_path, memory_bytes=1)

    def read(racer: int) -> None:
        chance = random.Random(racer)
        for _ in range(40):
            offset = chance.randrange(SIZE - 5000)
            assert bench.read(offset, 5000) == bench.data[offset : offset + 5000]
            if racer == 0:
                bench.cache.forget(PACK)

    readers: Callable[[int], None] = read
    assert race(6, readers) == [None] * 6

"""Restoring and verifying through the read cache: what a store once gave wrong is not believed for long."""

from __future__ import annotations

import random
from pathlib import Path

from engine.base.clock import SystemClock
from engine.repository.damaged import Copies
from engine.storage.cache.blocks import MemoryBlocks
from engine.storage.cached import BlockCache, CachedStore
from engine.storage.stores.memory import MemoryObjects, MemoryStore
from tests.trees import describe
from tests.vaults import Bench

ROOM = 64 * 1024 * 1024
LARGE = 500_000  # bytes of the one file; no read of metadata is so long


class OnceWrong(MemoryStore):
    """Gives one wrong bit, in the first long read."""

    is_wrong = False

    def read_into(self, name: str, offset: int, buffer: memoryview) -> None:
        super().read_into(name, offset, buffer)
        if self.is_wrong and buffer.nbytes >= LARGE:
            buffer[LARGE // 2] ^= 1
            self.is_wrong = False


def test_a_blob_that_was_cached_wrong_is_read_from_its_store_and_stays_healed(tmp_path: Path) -> None:
    (tmp_path / "card").mkdir()
    (tmp_path / "card" / "IMG_1.CR3").write_bytes(random.Random(1).randbytes(LARGE))
    objects = MemoryObjects()
    with Bench(MemoryStore(objects)) as bench:
        bench.backup(tmp_path / "card")
    store = OnceWrong(objects)
    cached = CachedStore(store, BlockCache(MemoryBlocks(ROOM), None), SystemClock())
    with Bench(cached) as bench:
        store.is_wrong = True
        for turn in range(2):
            bench.retrieve(tmp_path / f"back-{turn}", strip=tmp_path)
            assert describe(tmp_path / f"back-{turn}" / "card") == describe(tmp_path / "card")
            assert not store.is_wrong
        read = cached.figures().misses
        bench.retrieve(tmp_path / "back-2", strip=tmp_path)
        assert cached.figures().misses == read


def test_a_verification_reads_the_store_and_not_the_cache(tmp_path: Path) -> None:
    (tmp_path / "IMG_1.CR3").write_bytes(random.Random(1).randbytes(LARGE))
    objects = MemoryObjects()
    cached = CachedStore(MemoryStore(objects), BlockCache(MemoryBlocks(ROOM), None), SystemClock())
    with Bench(cached) as bench:
        bench.backup(tmp_path / "IMG_1.CR3")
        bench.retrieve(tmp_path / "back", strip=tmp_path)
        pack = max(objects.names(), key=lambda name: len(objects.find(name)[0]))
        data, modified_ns = objects.find(pack)
        objects.remove(pack)
        objects.add(pack, data[: LARGE // 2] + b"rot" + data[LARGE // 2 + 3 :], modified_ns)
        assert bench.verify().problems != []


def test_what_was_cached_of_a_bad_copy_does_not_hide_a_good_one(tmp_path: Path) -> None:
    (tmp_path / "card").mkdir()
    (tmp_path / "card" / "IMG_1.CR3").write_bytes(random.Random(1).randbytes(LARGE))
    objects = MemoryObjects()
    with Bench(MemoryStore(objects)) as bench:
        bench.backup(tmp_path / "card")
    pack = max(objects.names(), key=lambda name: len(objects.find(name)[0]))
    data, modified_ns = objects.find(pack)

    def read_copy(copy: bytes) -> None:
        objects.remove(pack)
        objects.add(pack, copy, modified_ns)

    def recheck(name: str) -> bool:
        read_copy(data)
        return name == pack

    read_copy(data[: LARGE // 2] + b"rot" + data[LARGE // 2 + 3 :])
    cached = CachedStore(MemoryStore(objects), BlockCache(MemoryBlocks(ROOM), None), SystemClock())
    with Bench(cached, copies=Copies(recheck, lambda _: None)) as bench:
        bench.retrieve(tmp_path / "back", strip=tmp_path)
    assert describe(tmp_path / "back" / "card") == describe(tmp_path / "card")

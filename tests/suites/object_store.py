"""What every `ObjectStore` promises. A test class derives from `ObjectStoreSuite` and says how one is opened.

`open_engine` opens the same place once more with each call, as a further engine would.
"""

from __future__ import annotations

import mmap
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from threading import Barrier

import pytest
from hypothesis import given
from hypothesis import strategies as st

from engine.base.errors import Conflict, IntegrityError, NotFound, Unavailable, WedSyncError
from engine.base.invariants import BrokenInvariant
from engine.storage.stores.store import ObjectStore

OpenEngine = Callable[[], ObjectStore]

SIZES = (0, 1, 4096, 1024 * 1024 + 1)
PAGES = (0, 4096, 1024 * 1024, 3 * 1024 * 1024 + 4096)
RACERS = 8
BAD_NAMES = (
    "", "/", "/a", "a/", "a//b", "..", "../a", "a/../b", "a/..", ".", "./a", "a/.", ".hidden", "a/.b", "tmp", "tmp/a",
    "a\\b", "a b", "a\nb", "a\0b", "münchen", "a/" + "b" * 201, "a/" * 600 + "b", "%2e%2e/a", "a:b", "~", "-rf",
)  # fmt: skip

_names = st.lists(st.text("ab-._9", min_size=1, max_size=3), min_size=1, max_size=3).map(
    lambda parts: "/".join(f"x{part}" for part in parts)
)


def pattern(size_bytes: int, seed: int = 1) -> bytes:
    """`size_bytes` bytes in which every place can be told from its neighbours."""
    block = b"".join((seed * 2_654_435_761 + number).to_bytes(8, "little") for number in range(513))
    return (block * (size_bytes // len(block) + 1))[:size_bytes]


def paged(data: bytes) -> memoryview:
    """The same bytes in page-aligned memory, as the pipeline hands them over."""
    memory = mmap.mmap(-1, max(len(data), 1))
    memory[: len(data)] = data
    return memoryview(memory)[: len(data)]


def publish(store: ObjectStore, name: str, data: bytes) -> None:
    """Stage `data` and publish it; comes back when it is durable."""
    staged = store.stage()
    staged.append(paged(data))
    staged.publish(name).result()


def names_in(store: ObjectStore, prefix: str = "") -> list[str]:
    """The names the store lists, in its order."""
    return [info.name for info in store.list(prefix)]


def race(count: int, run: Callable[[int], None]) -> list[WedSyncError | None]:
    """Call `run` from `count` threads that start together; what each of them raised."""
    line = Barrier(count)

    def one(number: int) -> WedSyncError | None:
        line.wait()
        try:
            run(number)
        except WedSyncError as error:
            return error
        return None

    with ThreadPoolExecutor(count) as pool:
        return list(pool.map(one, range(count)))


def _puts(store: ObjectStore, name: str) -> bool:
    """Put an empty object; False where an object or a folder stands in its way."""
    try:
        store.put(name, b"")
    except Conflict:
        return False
    return True


class ObjectStoreSuite:
    """The promises, one test each."""

    has_folders = True  # False: a bucket, in which `a` and `a/b` may both be objects (our names never are)

    @pytest.fixture
    def open_engine(self) -> Iterator[OpenEngine]:
        """Say how a store is opened: a function that opens the same place at each call."""
        raise NotImplementedError

    @pytest.fixture
    def store(self, open_engine: OpenEngine) -> Iterator[ObjectStore]:
        """An open, empty store."""
        store = open_engine()
        yield store
        store.close()

    # --- putting and getting ---

    @pytest.mark.parametrize("size_bytes", SIZES)
    def test_put_bytes_come_back(self, store: ObjectStore, size_bytes: int) -> None:
        data = pattern(size_bytes)
        store.put("config/1", data)
        assert store.get("config/1", limit_bytes=size_bytes) == data
        assert store.stat("config/1").size_bytes == size_bytes

    def test_put_of_a_taken_name_is_a_conflict_and_changes_nothing(self, store: ObjectStore) -> None:
        store.put("leases/a/1", b"first")
        with pytest.raises(Conflict):
            store.put("leases/a/1", b"other")
        assert store.get("leases/a/1", limit_bytes=100) == b"first"
        assert names_in(store) == ["leases/a/1"]

    def test_one_of_eight_racing_puts_wins(self, open_engine: OpenEngine, store: ObjectStore) -> None:
        engines = [open_engine() for _ in range(RACERS)]
        outcomes = race(RACERS, lambda number: engines[number].put("snapshots/x", b"%d" % number))
        winners = [number for number, error in enumerate(outcomes) if error is None]
        assert len(winners) == 1
        assert all(error is None or isinstance(error, Conflict) for error in outcomes)
        assert store.get("snapshots/x", limit_bytes=9) == b"%d" % winners[0]

    def test_one_of_eight_racing_threads_of_one_engine_wins(self, store: ObjectStore) -> None:
        outcomes = race(RACERS, lambda number: store.put("snapshots/x", b"%d" % number))
        assert [type(error) for error in outcomes if error is not None] == [Conflict] * (RACERS - 1)

    def test_a_missing_object_is_not_found(self, store: ObjectStore) -> None:
        store.put("a/b", b"x")
        for name in ("nothing", "a", "a/b/c", "a/nothing", "nothing/at/all"):
            with pytest.raises(NotFound):
                store.get(name, limit_bytes=100)
            with pytest.raises(NotFound):
                store.read_into(name, 0, memoryview(bytearray(1)))
            with pytest.raises(NotFound):
                store.stat(name)
            with pytest.raises(NotFound):
                store.delete(name)

    def test_an_object_over_the_limit_is_an_integrity_error(self, store: ObjectStore) -> None:
        store.put("keys/1", b"12345")
        assert store.get("keys/1", limit_bytes=5) == b"12345"
        with pytest.raises(IntegrityError, match="keys/1"):
            store.get("keys/1", limit_bytes=4)

    # --- staging and publishing ---

    @pytest.mark.parametrize("size_bytes", PAGES)
    def test_published_bytes_come_back(self, store: ObjectStore, size_bytes: int) -> None:
        data = pattern(size_bytes)
        publish(store, "packs/1", data)
        assert store.get("packs/1", limit_bytes=size_bytes) == data

    def test_appends_follow_each_other(self, store: ObjectStore) -> None:
        parts = [pattern(4096 * (number + 1), seed=number) for number in range(4)]
        staged = store.stage()
        for part in parts:
            staged.append(paged(part))
        assert staged.size_bytes == sum(map(len, parts))
        staged.publish("packs/1").result()
        assert store.get("packs/1", limit_bytes=10**6) == b"".join(parts)

    @pytest.mark.parametrize("address", [0, 1, 8, 512])
    def test_any_address_can_be_appended_from(self, store: ObjectStore, address: int) -> None:
        data = pattern(2 * 1024 * 1024)
        staged = store.stage()
        staged.append(paged(bytes(address) + data)[address:])
        staged.append(paged(data))
        staged.publish("packs/1").result()
        assert store.get("packs/1", limit_bytes=2 * len(data)) == data * 2

    def test_the_buffer_may_be_used_again_after_an_append(self, store: ObjectStore) -> None:
        buffer = paged(pattern(8192))
        staged = store.stage()
        staged.append(buffer)
        buffer[:] = bytes(8192)
        staged.publish("packs/1").result()
        assert store.get("packs/1", limit_bytes=8192) == pattern(8192)

    def test_what_is_staged_has_no_name(self, store: ObjectStore) -> None:
        staged = store.stage()
        staged.append(paged(pattern(4096)))
        assert names_in(store) == []
        staged.discard()
        staged.discard()
        assert names_in(store) == []

    def test_publishing_the_same_bytes_twice_is_no_conflict(self, open_engine: OpenEngine, store: ObjectStore) -> None:
        data = pattern(8192)
        for engine in (store, store, open_engine()):
            publish(engine, "packs/1", data)
        assert store.get("packs/1", limit_bytes=8192) == data

    def test_publishing_another_size_is_a_conflict_and_changes_nothing(self, store: ObjectStore) -> None:
        publish(store, "packs/1", pattern(8192))
        with pytest.raises(Conflict, match="8192"):
            publish(store, "packs/1", pattern(4096))
        assert store.get("packs/1", limit_bytes=8192) == pattern(8192)

    def test_all_of_eight_racing_publishers_succeed(self, open_engine: OpenEngine, store: ObjectStore) -> None:
        engines = [open_engine() for _ in range(RACERS // 2)]
        data = pattern(8192)
        assert race(RACERS, lambda number: publish(engines[number // 2], "packs/1", data)) == [None] * RACERS
        assert store.get("packs/1", limit_bytes=8192) == data
        assert names_in(store) == ["packs/1"]

    def test_many_publications_may_wait_together(self, store: ObjectStore) -> None:
        futures = []
        for number in range(20):
            staged = store.stage()
            staged.append(paged(pattern(4096, seed=number)))
            futures.append(staged.publish(f"packs/{number:02}"))
        for future in futures:
            future.result()
        assert names_in(store) == [f"packs/{number:02}" for number in range(20)]
        assert all(store.get(f"packs/{n:02}", limit_bytes=4096) == pattern(4096, seed=n) for n in range(20))

    def test_a_publication_cannot_be_cancelled(self, store: ObjectStore) -> None:
        staged = store.stage()
        future = staged.publish("packs/1")
        assert not future.cancel()
        future.result()
        assert names_in(store) == ["packs/1"]

    def test_only_whole_pages_are_appended(self, store: ObjectStore) -> None:
        staged = store.stage()
        with pytest.raises(BrokenInvariant):
            staged.append(memoryview(bytes(4095)))
        staged.discard()

    def test_a_staged_object_is_over_after_publish_and_after_discard(self, store: ObjectStore) -> None:
        published, discarded = store.stage(), store.stage()
        published.publish("packs/1").result()
        discarded.discard()
        for staged in (published, discarded):
            with pytest.raises(BrokenInvariant):
                staged.append(paged(pattern(4096)))
            with pytest.raises(BrokenInvariant):
                staged.publish("packs/2")
            staged.discard()
        assert names_in(store) == ["packs/1"]

    # --- reading a part ---

    def test_any_part_can_be_read(self, store: ObjectStore) -> None:
        data = pattern(3 * 1024 * 1024 + 4096)
        publish(store, "packs/1", data)
        for offset, size_bytes in ((0, 1), (0, len(data)), (4095, 2), (len(data) - 1, 1), (len(data), 0), (17, 2**20)):
            buffer = bytearray(size_bytes)
            store.read_into("packs/1", offset, memoryview(buffer))
            assert buffer == data[offset : offset + size_bytes]

    def test_reading_past_the_end_is_an_integrity_error(self, store: ObjectStore) -> None:
        store.put("packs/1", pattern(100))
        for offset, size_bytes in ((0, 101), (99, 2), (100, 1), (5000, 1)):
            with pytest.raises(IntegrityError, match="packs/1"):
                store.read_into("packs/1", offset, memoryview(bytearray(size_bytes)))

    def test_many_readers_of_many_objects_get_the_right_bytes(self, store: ObjectStore) -> None:
        for number in range(50):
            store.put(f"packs/{number}", pattern(64, seed=number))

        def read(racer: int) -> None:
            for turn in range(150):
                number = (turn * (racer + 3)) % 50
                buffer = bytearray(32)
                store.read_into(f"packs/{number}", 16, memoryview(buffer))
                assert buffer == pattern(64, seed=number)[16:48]

        assert race(RACERS, read) == [None] * RACERS

    def test_a_deleted_object_can_no_longer_be_read(self, open_engine: OpenEngine, store: ObjectStore) -> None:
        other = open_engine()
        for name, deleter in (("packs/1", store), ("packs/2", other)):
            store.put(name, b"bytes")
            store.read_into(name, 0, memoryview(bytearray(5)))
            deleter.delete(name)
            with pytest.raises(NotFound):
                store.read_into(name, 0, memoryview(bytearray(5)))

    def test_an_object_healed_by_another_engine_is_read_anew(self, open_engine: OpenEngine, store: ObjectStore) -> None:
        other, buffer = open_engine(), bytearray(5)
        store.put("packs/1", b"rotten"[:5])
        store.read_into("packs/1", 0, memoryview(buffer))
        other.delete("packs/1")
        other.put("packs/1", b"fresh")
        store.read_into("packs/1", 0, memoryview(buffer))
        assert buffer == b"fresh"

    # --- listing ---

    def test_a_list_is_sorted_by_whole_names(self, store: ObjectStore) -> None:
        names = ["a/b/c", "a-b", "a.b", "a/b-c", "a/b.c", "a0", "b", "B", "a/b/d/e", "_"]
        for name in names:
            store.put(name, name.encode())
        assert names_in(store) == sorted(names)
        assert [info.size_bytes for info in store.list("")] == [len(name) for name in sorted(names)]

    def test_a_prefix_is_a_folder(self, store: ObjectStore) -> None:
        for name in ("packs/1", "packs/sub/2", "packs2/3", "pack/4", "weddings/a/packs/5"):
            store.put(name, b"")
        assert names_in(store, "packs/") == ["packs/1", "packs/sub/2"]
        assert names_in(store, "weddings/a/") == ["weddings/a/packs/5"]
        assert names_in(store, "nothing/") + names_in(store, "packs/1/") == []

    def test_folders_are_those_directly_below(self, store: ObjectStore) -> None:
        for name in ("weddings/a-b/key/1", "weddings/a/packs/5", "weddings/a/key/1", "weddings/plain", "register/1"):
            store.put(name, b"")
        assert store.folders("weddings/") == ("a", "a-b")
        assert store.folders("weddings/a/key/") + store.folders("nothing/") == ()

    @pytest.mark.parametrize("prefix", ["packs", "/", "../", "a//", "tmp/", "./"])
    def test_a_prefix_that_is_no_folder_is_refused(self, store: ObjectStore, prefix: str) -> None:
        for look in (store.list, store.folders):
            with pytest.raises(BrokenInvariant):
                look(prefix)

    def test_any_set_of_names_is_listed_in_order(self, store: ObjectStore) -> None:
        @given(names=st.sets(_names, max_size=8))
        def holds(names: set[str]) -> None:
            for name in names_in(store):
                store.delete(name)
            kept = {name for name in sorted(names) if _puts(store, name)}
            assert names_in(store) == sorted(kept)
            for folder in {name.partition("/")[0] + "/" for name in kept if "/" in name}:
                assert names_in(store, folder) == sorted(name for name in kept if name.startswith(folder))

        holds()

    def test_a_list_survives_deletions_on_the_way(self, store: ObjectStore) -> None:
        for number in range(5):
            store.put(f"leases/{number}", b"")
        seen = []
        for info in store.list(""):
            seen.append(info.name)
            if info.name == "leases/1":
                store.delete("leases/3")
        assert [name for name in seen if name != "leases/3"] == ["leases/0", "leases/1", "leases/2", "leases/4"]

    # --- deleting, names, space, closing ---

    def test_a_deleted_name_is_free_again(self, store: ObjectStore) -> None:
        store.put("marks/1", b"old")
        store.delete("marks/1")
        assert names_in(store) == []
        store.put("marks/1", b"new")
        assert store.get("marks/1", limit_bytes=3) == b"new"

    @pytest.mark.parametrize("name", BAD_NAMES)
    def test_a_bad_name_is_refused_everywhere(self, store: ObjectStore, name: str) -> None:
        staged = store.stage()
        for use in (
            lambda: store.put(name, b""),
            lambda: store.get(name, limit_bytes=1),
            lambda: store.read_into(name, 0, memoryview(bytearray(1))),
            lambda: store.stat(name),
            lambda: store.delete(name),
            lambda: staged.publish(name),
        ):
            with pytest.raises(BrokenInvariant):
                use()
        staged.discard()
        assert names_in(store) == []

    def test_a_name_is_an_object_or_a_folder(self, store: ObjectStore) -> None:
        store.put("a/b/c", b"")
        store.put("d", b"")
        for name in ("a", "a/b", "a/b/c/d", "d/e", "d/e/f") if self.has_folders else ():
            with pytest.raises(Conflict):
                store.put(name, b"x")
            with pytest.raises(Conflict):
                publish(store, name, pattern(4096))
        assert names_in(store) == ["a/b/c", "d"]

    def test_space_is_told(self, store: ObjectStore) -> None:
        store.put("a", b"12345")
        space = store.space()
        assert space.used_bytes is None or space.used_bytes == 5
        if space.free_bytes is not None and space.capacity_bytes is not None:
            assert 0 < space.free_bytes <= space.capacity_bytes

    def test_what_was_stored_is_there_after_a_restart(self, open_engine: OpenEngine) -> None:
        first = open_engine()
        first.put("config/1", b"x")
        publish(first, "packs/1", pattern(8192))
        first.close()
        second = open_engine()
        assert second.get("config/1", limit_bytes=1) == b"x"
        assert second.get("packs/1", limit_bytes=8192) == pattern(8192)

    def test_close_makes_durable_what_was_published(self, open_engine: OpenEngine) -> None:
        first = open_engine()
        futures = []
        for number in range(10):
            staged = first.stage()
            staged.append(paged(pattern(4096)))
            futures.append(staged.publish(f"packs/{number}"))
        first.close()
        assert [future.exception(timeout=0) for future in futures] == [None] * 10
        assert len(names_in(open_engine())) == 10

    def test_close_discards_what_is_staged(self, open_engine: OpenEngine) -> None:
        first = open_engine()
        staged = first.stage()
        staged.append(paged(pattern(4096)))
        first.close()
        with pytest.raises(Unavailable):
            staged.append(paged(pattern(4096)))
        staged.discard()
        assert names_in(open_engine()) == []

    def test_a_closed_store_says_so(self, open_engine: OpenEngine) -> None:
        store = open_engine()
        store.put("a", b"")
        staged = store.stage()
        store.close()
        store.close()
        for use in (
            lambda: store.put("b", b""),
            store.stage,
            lambda: store.get("a", limit_bytes=1),
            lambda: store.read_into("a", 0, memoryview(bytearray(1))),
            lambda: store.list(""),
            lambda: store.folders(""),
            lambda: store.stat("a"),
            lambda: store.delete("a"),
            store.space,
            lambda: staged.publish("b").result(),
        ):
            with pytest.raises(Unavailable, match="closed"):
                use()

    def test_two_engines_see_each_others_objects_and_spare_each_others_staged_ones(
        self, open_engine: OpenEngine, store: ObjectStore
    ) -> None:
        mine = store.stage()
        mine.append(paged(pattern(4096, seed=1)))
        other = open_engine()
        theirs = other.stage()
        theirs.append(paged(pattern(4096, seed=2)))
        mine.append(paged(pattern(4096, seed=3)))
        mine.publish("packs/mine").result()
        theirs.publish("packs/theirs").result()
        assert names_in(store) == names_in(other) == ["packs/mine", "packs/theirs"]
        assert other.get("packs/mine", limit_bytes=8192) == pattern(4096, seed=1) + pattern(4096, seed=3)
        other.close()
        store.put("still", b"open")

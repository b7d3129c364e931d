"""A wedding at work: found, read, and still of use when something of it is damaged."""

from __future__ import annotations

import threading

import pytest
from msgspec.structs import replace

from engine.base.errors import IntegrityError, NotFound, UsageError
from engine.base.ids import SnapshotId
from engine.repository import codec, crypto, fragment, layout, snapshot
from engine.repository.entry import Entry
from engine.repository.fragment import FragmentObject
from engine.repository.keyring import WeddingKeys
from engine.repository.manifest import SegmentRef, encode_segment
from engine.repository.pack import PackEntry
from engine.repository.snapshot import Snapshot
from engine.repository.transaction import Transaction
from engine.repository.vault import WeddingVault
from engine.storage.stores.memory import MemoryObjects, MemoryStore
from tests.engine.repository import parts
from tests.engine.repository.parts import ENTROPY, commit, contents_of, damage, fragment_names, pack_names, vault_on
from tests.golden import world

MANY = [b"%d" % number for number in range(300)]  # more records than a snapshot keeps inline
SNAPSHOTS = layout.snapshots(world.WEDDING)


def _drop(store: MemoryStore, dropped: list[str]) -> None:
    """What prune writes before it deletes packs."""
    packs = b"".join(bytes.fromhex(name.rpartition("/")[2]) for name in dropped)
    binding = crypto.Binding(crypto.FRAGMENT, world.WEDDING)
    payload = codec.encode(FragmentObject((), dropped=packs))
    data = crypto.seal_object(payload, binding, secret=world.KEYS.secret, epoch=world.KEYS.epoch, entropy=ENTROPY)
    store.put(layout.fragments(world.WEDDING) + crypto.hash_bytes(data).hex(), data)


# --- finding -----------------------------------------------------------------------------------------


def test_snapshots_are_found_by_id_prefix_and_latest() -> None:
    """As people type them."""
    vault = vault_on(MemoryObjects())
    with pytest.raises(NotFound):
        vault.find_snapshot("latest")
    first = commit(vault, [b"1"], job="aaaa" + "0" * 28, time_ns=5)
    second = commit(vault, [b"2"], job="aaab" + "0" * 28, parent=first.id, time_ns=1)
    assert [item.id for item in vault.snapshots()] == [first.id, second.id]
    assert vault.find_snapshot("latest").id == vault.find_snapshot("").id == second.id
    assert vault.find_snapshot(first.id).id == vault.find_snapshot("aaaa").id == first.id
    with pytest.raises(NotFound):
        vault.find_snapshot("aaa")  # too short to mean one
    with pytest.raises(NotFound):
        vault.find_snapshot("ffff")


def test_a_prefix_of_several_is_refused() -> None:
    """One has to be meant."""
    vault = vault_on(MemoryObjects())
    for last in "01":
        commit(vault, [b"1"], job="abcd" + "0" * 27 + last)
    with pytest.raises(UsageError):
        vault.find_snapshot("abcd")


def test_checkpoints_are_no_snapshots_but_can_be_named() -> None:
    """`latest` is never one."""
    vault = vault_on(MemoryObjects())
    whole = commit(vault, [b"1"], time_ns=1)
    partial = Snapshot(SnapshotId(parts.job_id() + "-1"), replace(parts.body_of(time_ns=2), partial=True))
    Transaction(vault, ENTROPY).commit(partial)
    assert [item.id for item in vault.snapshots()] == [whole.id]
    assert [item.id for item in vault.snapshots(partial=True)] == [whole.id, partial.id]
    assert vault.find_snapshot("latest").id == whole.id
    assert vault.find_snapshot(partial.id).partial


def test_what_is_no_snapshot_is_passed_over() -> None:
    """Names that are none, in folders of snapshots, fragments and packs."""
    objects = MemoryObjects()
    commit(vault_on(objects), MANY)
    store = MemoryStore(objects)
    for folder in (SNAPSHOTS, layout.fragments(world.WEDDING), layout.packs(world.WEDDING)):
        store.put(folder + "README", b"")
    vault = vault_on(objects)
    assert len(vault.snapshots()) == 1
    assert vault.problems == []


# --- several engines -------------------------------------------------------------------------------


def test_another_engines_commits_are_seen_at_the_next_refresh() -> None:
    """Snapshots, and the chunks they brought: nothing is stored twice."""
    objects = MemoryObjects()
    here, there = vault_on(objects), vault_on(objects)
    committed = commit(there, [b"one", b"two"])
    here.refresh()
    assert contents_of(here, here.find_snapshot(committed.id)) == [b"one", b"two"]
    before = len(pack_names(here.store))
    commit(here, [b"two", b"one"])
    assert len(pack_names(here.store)) == before


def test_a_chunk_that_two_engines_stored_is_read_from_either() -> None:
    """Two live jobs may store a chunk twice."""
    objects = MemoryObjects()
    here, there = vault_on(objects), vault_on(objects)
    commit(here, [b"same"])
    commit(there, [b"same"])
    assert len(pack_names(here.store)) == 2
    for vault in (here, there, vault_on(objects)):
        assert [contents_of(vault, item) for item in vault.snapshots()] == [[b"same"], [b"same"]]


def test_refreshes_at_once_read_everything_once() -> None:
    """From many threads, while another engine commits."""
    objects = MemoryObjects()
    vault, other = vault_on(objects), vault_on(objects)
    done = threading.Event()

    def refresh() -> None:
        while not done.is_set():
            vault.refresh()

    threads = [threading.Thread(target=refresh) for _ in range(3)]
    for thread in threads:
        thread.start()
    for number in range(10):
        commit(other, [b"%d" % number])
    done.set()
    for thread in threads:
        thread.join()
    assert len(vault.snapshots()) == 10
    assert len(vault.index) == 10
    assert vault.problems == []


# --- damage ------------------------------------------------------------------------------------------


def test_a_damaged_snapshot_is_a_problem_and_the_others_stay() -> None:
    """It can be named, and then says what is wrong; its chunks are known from their packs."""
    objects = MemoryObjects()
    vault = vault_on(objects)
    lost, kept = commit(vault, [b"lost"]), commit(vault, [b"kept"])
    damage(vault.store, SNAPSHOTS + lost.id)
    again = vault_on(objects)
    assert [item.id for item in again.snapshots()] == [kept.id]
    assert contents_of(again, again.find_snapshot(kept.id)) == [b"kept"]
    assert len(again.problems) == 1
    with pytest.raises(IntegrityError):
        again.find_snapshot(lost.id)
    assert again.index.missing([crypto.chunk_id(b"lost", world.KEYS.chunk_key)]) == [False]


def test_a_damaged_fragment_is_rebuilt_from_footers() -> None:
    """At once in memory, and with the next commit in the store."""
    objects = MemoryObjects()
    committed = commit(vault_on(objects), MANY)
    store = MemoryStore(objects)
    (name,) = fragment_names(store)
    damage(store, name)
    vault = vault_on(objects)
    assert len(vault.problems) == 1
    assert contents_of(vault, vault.find_snapshot(committed.id)) == MANY
    commit(vault, [b"more"])
    assert len(fragment_names(store)) == 2
    assert vault.recovered == []
    later = vault_on(objects)
    assert later.recovered == []
    assert contents_of(later, later.find_snapshot(committed.id)) == MANY


def test_a_lost_fragment_costs_no_restore() -> None:
    """Nothing tells of an object that is not there; a chunk that the index lacks is looked for in footers."""
    objects = MemoryObjects()
    committed = commit(vault_on(objects), MANY)
    store = MemoryStore(objects)
    store.delete(fragment_names(store)[0])
    vault = vault_on(objects)
    assert vault.problems == []
    assert contents_of(vault, vault.find_snapshot(committed.id)) == MANY
    assert len(vault.problems) == 1
    commit(vault, [b"more"])
    assert len(fragment_names(store)) == 1
    assert vault_on(objects).index.missing([crypto.chunk_id(MANY[0], world.KEYS.chunk_key)]) == [False]


def test_a_chunk_that_is_nowhere_is_an_integrity_error() -> None:
    """Footers are asked once, and no problem is made of packs that only a crash left behind."""
    objects = MemoryObjects()
    vault = vault_on(objects)
    transaction = Transaction(vault, ENTROPY)
    parts.store_chunks(transaction, vault, [b"never committed"])
    transaction.publish_all(parts.buffer())
    again = vault_on(objects)
    for _ in range(2):
        with pytest.raises(IntegrityError, match="missing from the index"):
            again.read_chunk(bytes(32))
    assert again.problems == []


def test_a_fragment_with_an_impossible_pack_harms_no_other() -> None:
    """It is a problem; its packs are known from their footers."""
    objects = MemoryObjects()
    vault = vault_on(objects)
    committed = commit(vault, MANY)
    (entry,) = vault.index.packs()
    fragment.write(vault.store, world.KEYS, [replace(entry, name=bytes(32), size=1)], ENTROPY)
    again = vault_on(objects)
    assert len(again.problems) == 1
    assert contents_of(again, again.find_snapshot(committed.id)) == MANY


def test_a_damaged_pack_costs_its_own_chunks() -> None:
    """Whoever reads them is told; the rest of the wedding is read."""
    objects = MemoryObjects()
    vault = vault_on(objects)
    lost, kept = commit(vault, [b"lost"]), commit(vault, [b"kept"])
    location = vault.locate(crypto.chunk_id(b"lost", world.KEYS.chunk_key))
    damage(vault.store, layout.pack(world.WEDDING, location.pack.name), at=location.offset)
    with pytest.raises(IntegrityError):
        contents_of(vault, lost)
    assert contents_of(vault, kept) == [b"kept"]


def test_a_missing_pack_costs_its_own_chunks() -> None:
    """The same."""
    vault = vault_on(MemoryObjects())
    lost, kept = commit(vault, [b"lost"]), commit(vault, [b"kept"])
    location = vault.locate(crypto.chunk_id(b"lost", world.KEYS.chunk_key))
    vault.store.delete(layout.pack(world.WEDDING, location.pack.name))
    with pytest.raises(NotFound):
        contents_of(vault, lost)
    assert contents_of(vault, kept) == [b"kept"]


def test_problems_are_told_once() -> None:
    """However often the wedding is refreshed."""
    objects = MemoryObjects()
    vault = vault_on(objects)
    commit(vault, [b"1"])
    MemoryStore(objects).put(SNAPSHOTS + "0" * 32, b"noise")
    for _ in range(3):
        vault.refresh()
    assert len(vault.problems) == 1


# --- dropped packs -----------------------------------------------------------------------------------


def test_dropped_packs_do_not_count_wherever_they_are_listed() -> None:
    """In fragments, in snapshots, and in their own footers."""
    for contents in (MANY, [b"few"]):
        objects = MemoryObjects()
        commit(vault_on(objects), contents)
        store = MemoryStore(objects)
        _drop(store, pack_names(store))
        vault = vault_on(objects)
        assert len(vault.index) == 0
        store.put(SNAPSHOTS + "0" * 32, b"noise")
        vault.refresh()  # which asks the footers
        assert len(vault.index) == 0
        assert vault_on(objects).index.packs() == []


def test_packs_dropped_while_a_wedding_is_at_work_are_forgotten() -> None:
    """What else it knew stays, also what it had from footers and what it committed itself."""
    objects = MemoryObjects()
    vault = vault_on(objects)
    gone = commit(vault, MANY)
    kept = commit(vault, [b"kept"])
    gone_packs = [vault.locate(crypto.chunk_id(MANY[0], world.KEYS.chunk_key)).pack.name]
    _drop(MemoryStore(objects), [gone_packs[0].hex()])
    vault.refresh()
    assert [pack.name for pack in vault.index.packs()] != gone_packs
    assert len(vault.index) == 1
    assert contents_of(vault, kept) == [b"kept"]
    assert {item.id for item in vault.snapshots()} == {gone.id, kept.id}
    again = commit(vault, MANY)
    assert contents_of(vault, again) == MANY


class MergedMeanwhile(MemoryStore):
    """A store in which another engine merges the fragments while the first of them is being read."""

    def __init__(self, objects: MemoryObjects, merged: list[PackEntry]) -> None:
        super().__init__(objects)
        self._merged = merged

    def get(self, name: str, *, limit_bytes: int) -> bytes:
        """See `ObjectStore.get`."""
        if "/index/" in name and self._merged:
            merged, self._merged = self._merged, []
            before = fragment_names(self)
            fragment.write(self, world.KEYS, merged, ENTROPY)
            for each in before:
                self.delete(each)
        return super().get(name, limit_bytes=limit_bytes)


def test_fragments_that_were_merged_while_they_were_read_are_no_problem() -> None:
    """What took their place is listed again."""
    objects = MemoryObjects()
    vault = vault_on(objects)
    committed = [commit(vault, [b"%d %s" % (number, half) for number in range(300)]) for half in (b"a", b"b")]
    merged = [
        item for name in fragment_names(vault.store) for item in fragment.read(vault.store, world.KEYS, name).packs
    ]
    late = WeddingVault(MergedMeanwhile(objects, merged), world.KEYS, ENTROPY)
    late.refresh()
    assert late.problems == []
    assert len(late.index) == 600
    assert {item.id for item in late.snapshots()} == {item.id for item in committed}


# --- reading -----------------------------------------------------------------------------------------


def test_a_chunk_whose_bytes_are_not_its_own_is_refused() -> None:
    """Though pack, index and seal agree: its id is the last word."""
    objects = MemoryObjects()
    vault = vault_on(objects)
    transaction = Transaction(vault, ENTROPY)
    (writer,) = transaction.checkout(crypto.DATA_PACK, 1)
    writer.open_unit(parts.buffer())
    wanted = crypto.chunk_id(b"right", world.KEYS.chunk_key)
    writer.record(wanted, writer.seal(b"wrong", codec.RAW), (0, 5), codec.RAW)
    writer.close_unit()
    transaction.checkin(crypto.DATA_PACK, [writer], parts.buffer())
    transaction.publish_all(parts.buffer())
    transaction.commit(Snapshot(SnapshotId(parts.job_id()), parts.body_of(transaction.take_inline())))
    with pytest.raises(IntegrityError, match="does not have the contents"):
        vault.read_chunk(wanted)


def test_data_and_metadata_do_not_stand_in_for_each_other() -> None:
    """The same bytes have one id among files' chunks and another among metadata, each good in its own packs only."""
    vault = vault_on(MemoryObjects())
    transaction = Transaction(vault, ENTROPY)
    (data_id,) = parts.store_chunks(transaction, vault, [b"same"])
    metadata_id = transaction.add_metadata(b"same")
    transaction.publish_all(parts.buffer())
    transaction.commit(Snapshot(SnapshotId(parts.job_id()), parts.body_of(transaction.take_inline())))
    assert data_id != metadata_id
    assert vault.read_chunk(data_id) == vault.read_metadata(metadata_id) == b"same"
    with pytest.raises(IntegrityError):
        vault.read_chunk(metadata_id)
    with pytest.raises(IntegrityError):
        vault.read_metadata(data_id)
    mixed = replace(vault.locate(data_id), pack=vault.locate(metadata_id, crypto.METADATA_PACK).pack)
    with pytest.raises(IntegrityError):
        vault.take_chunk(data_id, mixed, memoryview(b"same"))


def test_long_files_have_their_ids_in_blobs() -> None:
    """Read whole, in order; a list that is cut short is refused."""
    vault = vault_on(MemoryObjects())
    transaction = Transaction(vault, ENTROPY)
    ids = b"".join(crypto.hash_bytes(b"%d" % number) for number in range(50))
    lists = transaction.add_metadata(ids[:640]) + transaction.add_metadata(ids[640:])
    cut = transaction.add_metadata(ids[:33])
    transaction.publish_all(parts.buffer())
    transaction.commit(Snapshot(SnapshotId(parts.job_id()), parts.body_of(transaction.take_inline())))
    entry = Entry(b"a", 1, 0o644, 0, 0, 0, chunk_lists=lists, hash=bytes(32))
    assert vault.chunk_ids(entry) == ids
    with pytest.raises(IntegrityError):
        vault.chunk_ids(replace(entry, chunk_lists=cut))


def test_a_manifest_in_segments_is_read_through_the_index() -> None:
    """From the beginning, or from a path on."""
    vault = vault_on(MemoryObjects())
    transaction = Transaction(vault, ENTROPY)
    listed = [parts.entry_of(b"srv/%03d" % number, bytes(32), 600) for number in range(90)]
    refs = []
    for at in (0, 30, 60):
        segment = encode_segment(listed[at : at + 30])
        chunk_id = transaction.add_metadata(segment.data)
        refs.append(SegmentRef(chunk_id, segment.first_path, segment.entries, len(segment.data)))
    transaction.publish_all(parts.buffer())
    body = replace(parts.body_of(transaction.take_inline()), segments=tuple(refs))
    committed = Snapshot(SnapshotId(parts.job_id()), body)
    transaction.commit(committed)
    assert list(vault.entries(committed)) == listed
    assert next(vault.entries(committed, start=b"srv/065")).path == b"srv/060"


def test_an_empty_snapshot_has_no_entries() -> None:
    """A backup of nothing is a backup."""
    vault = vault_on(MemoryObjects())
    committed = Snapshot(SnapshotId(parts.job_id()), parts.body_of())
    Transaction(vault, ENTROPY).commit(committed)
    assert list(vault.entries(committed)) == []
    assert snapshot.read(vault.store, world.KEYS, committed.id) == committed


def test_another_wedding_reads_nothing_of_it() -> None:
    """Even with the same secrets: the wedding is bound into every seal."""
    objects = MemoryObjects()
    vault = vault_on(objects)
    commit(vault, MANY)
    store = MemoryStore(objects)
    for info in list(store.list(f"weddings/{world.WEDDING.hex()}/")):
        moved = info.name.replace(world.WEDDING.hex(), world.OTHER_WEDDING.hex())
        store.put(moved, store.get(info.name, limit_bytes=1 << 24))
    other = WeddingVault(store, WeddingKeys.of(world.OTHER_WEDDING, world.SECRETS), ENTROPY)
    other.refresh()
    assert other.snapshots() == []
    assert len(other.index) == 0
    assert len(other.problems) == 3  # a snapshot, a fragment, and the footer that could have replaced it

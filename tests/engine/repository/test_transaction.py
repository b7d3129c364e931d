"""One job's writes: claimed once, published in order, committed last, and nothing left when it fails."""

from __future__ import annotations

import threading
from pathlib import Path

import pytest
from msgspec.structs import replace

from engine.base.errors import Conflict
from engine.base.ids import SnapshotId
from engine.base.invariants import BrokenInvariant
from engine.repository import codec, crypto
from engine.repository.keyring import WeddingKeys
from engine.repository.snapshot import INLINE_RECORDS_MAX, Snapshot
from engine.repository.transaction import Transaction
from engine.repository.vault import WeddingVault
from engine.storage.stores.local import LocalStore
from engine.storage.stores.memory import MemoryObjects, MemoryStore
from tests.engine.repository import parts
from tests.engine.repository.parts import ENTROPY, buffer, contents_of, fragment_names, pack_names, vault_on
from tests.golden import world

IDS = [crypto.hash_bytes(bytes([number])) for number in range(9)]


def _commit(transaction: Transaction, name: str = "", *, partial: bool = False) -> Snapshot:
    transaction.publish_all(buffer())
    body = replace(parts.body_of(transaction.take_inline()), partial=partial)
    committed = Snapshot(SnapshotId(name or parts.job_id()), body)
    transaction.commit(committed)
    return committed


# --- claims ------------------------------------------------------------------------------------------


def test_a_chunk_is_claimed_once() -> None:
    """Within one call, between calls, and against what is committed."""
    vault = vault_on(MemoryObjects())
    transaction = Transaction(vault, ENTROPY)
    assert transaction.claim([IDS[0], IDS[1], IDS[0]]) == [True, True, False]
    assert transaction.claim([IDS[1], IDS[2]]) == [False, True]
    parts.commit(vault, [b"stored"])
    assert transaction.claim([crypto.chunk_id(b"stored", world.KEYS.chunk_key)]) == [False]


def test_two_jobs_do_not_count_on_each_others_claims() -> None:
    """What the other has not committed may never be."""
    vault = vault_on(MemoryObjects())
    first, second = Transaction(vault, ENTROPY), Transaction(vault, ENTROPY)
    assert first.claim(IDS) == [True] * 9
    assert second.claim(IDS) == [True] * 9


def test_streams_at_once_claim_each_chunk_once() -> None:
    """As the streams of one job do."""
    transaction = Transaction(vault_on(MemoryObjects()), ENTROPY)
    ids = [crypto.hash_bytes(b"%d" % number) for number in range(200)]
    claims: list[list[bool]] = []
    start = threading.Barrier(4)

    def claim() -> None:
        start.wait()
        claims.append([transaction.claim([chunk_id])[0] for chunk_id in ids])

    threads = [threading.Thread(target=claim) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert [sum(each) for each in zip(*claims, strict=True)] == [1] * 200


# --- commits -----------------------------------------------------------------------------------------


def test_nothing_counts_before_the_commit() -> None:
    """Published packs are there, and nobody knows them."""
    objects = MemoryObjects()
    vault = vault_on(objects)
    transaction = Transaction(vault, ENTROPY)
    ids = parts.store_chunks(transaction, vault, [b"a", b"b"])
    transaction.publish_all(buffer())
    assert len(pack_names(vault.store)) == 1
    assert vault.index.missing(ids) == [True, True]
    assert vault_on(objects).index.missing(ids) == [True, True]
    _commit(transaction)
    assert vault.index.missing(ids) == [False, False]
    assert vault_on(objects).index.missing(ids) == [False, False]


def test_few_records_stay_in_the_snapshot_and_many_go_to_fragments() -> None:
    """256 is the limit."""
    for count, fragments in ((INLINE_RECORDS_MAX, 0), (INLINE_RECORDS_MAX + 1, 1)):
        objects = MemoryObjects()
        contents = [b"%d" % number for number in range(count)]
        committed = parts.commit(vault_on(objects), contents)
        assert len(fragment_names(MemoryStore(objects))) == fragments
        assert bool(committed.body.inline_packs) == (not fragments)
        assert contents_of(vault_on(objects), committed) == contents


def test_a_checkpoint_counts_and_the_job_goes_on() -> None:
    """Its chunks are known from then on; the snapshot names only what came later."""
    objects = MemoryObjects()
    vault = vault_on(objects)
    transaction = Transaction(vault, ENTROPY)
    job = parts.job_id()
    first = parts.store_chunks(transaction, vault, [b"a"])
    _commit(transaction, f"{job}-1", partial=True)
    assert vault_on(objects).index.missing(first) == [False]
    second = parts.store_chunks(transaction, vault, [b"a", b"b"])
    assert second[0] == first[0]
    whole = _commit(transaction, job)
    assert sum(len(pack.records) for pack in whole.body.inline_packs) == 49
    assert vault_on(objects).index.missing(second) == [False, False]
    assert len(pack_names(vault.store)) == 2


def test_a_job_that_committed_before_is_told() -> None:
    """And what it stored again belongs to nobody."""
    vault = vault_on(MemoryObjects())
    first = parts.commit(vault, [b"a"])
    transaction = Transaction(vault, ENTROPY)
    parts.store_chunks(transaction, vault, [b"b"])
    with pytest.raises(Conflict):
        _commit(transaction, first.id)
    assert vault.index.missing([crypto.chunk_id(b"b", world.KEYS.chunk_key)]) == [True]
    assert [item.id for item in vault.snapshots()] == [first.id]


def test_metadata_has_packs_of_its_own() -> None:
    """Data and metadata never share one; equal segments are stored once."""
    objects = MemoryObjects()
    vault = vault_on(objects)
    transaction = Transaction(vault, ENTROPY)
    parts.store_chunks(transaction, vault, [b"data"])
    assert transaction.add_metadata(b"segment" * 99) == transaction.add_metadata(b"segment" * 99)
    assert not transaction.metadata_waits
    _commit(transaction)
    assert sorted(pack.pack_type for pack in vault.index.packs()) == [crypto.DATA_PACK, crypto.METADATA_PACK]
    assert len(vault.index) == 2
    assert vault.read_metadata(crypto.chunk_id(b"segment" * 99, world.KEYS.metadata_key)) == b"segment" * 99


def test_much_metadata_is_flushed_in_units_that_fit_a_buffer() -> None:
    """Nothing of it is lost on the way."""
    vault = vault_on(MemoryObjects())
    transaction = Transaction(vault, ENTROPY)
    noise = [ENTROPY.token(1 << 18) for _ in range(17)]
    ids = [transaction.add_metadata(content) for content in noise]
    assert transaction.metadata_waits
    transaction.flush_metadata(memoryview(bytearray(9 << 20)))
    assert not transaction.metadata_waits
    _commit(transaction)
    assert [vault.read_metadata(chunk_id) for chunk_id in ids] == noise
    assert transaction.bytes_stored > sum(map(len, noise))


# --- packs at work -----------------------------------------------------------------------------------


def test_a_pack_belongs_to_one_stream_at_a_time() -> None:
    """Out of the shelf while a unit is written; back on it after."""
    transaction = Transaction(vault_on(MemoryObjects()), ENTROPY)
    (first,) = transaction.checkout(crypto.DATA_PACK, 1)
    (second,) = transaction.checkout(crypto.DATA_PACK, 1)
    assert first is not second
    transaction.checkin(crypto.DATA_PACK, [first, second], buffer())
    assert set(transaction.checkout(crypto.DATA_PACK, 2)) == {first, second}


def test_packs_are_not_published_under_a_unit() -> None:
    """Half a unit would be in them."""
    transaction = Transaction(vault_on(MemoryObjects()), ENTROPY)
    transaction.checkout(crypto.DATA_PACK, 1)
    with pytest.raises(BrokenInvariant):
        transaction.publish_all(buffer())


def test_a_job_that_stored_nothing_writes_no_pack() -> None:
    """An open pack without a unit is dropped."""
    vault = vault_on(MemoryObjects())
    transaction = Transaction(vault, ENTROPY)
    writers = transaction.checkout(crypto.DATA_PACK, 2)
    transaction.checkin(crypto.DATA_PACK, writers, buffer())
    _commit(transaction)
    assert pack_names(vault.store) == []


def test_an_aborted_job_leaves_nothing_staged(tmp_path: Path) -> None:
    """Neither packs at rest nor those a stream had in its hands; and it takes no more writes."""
    store = LocalStore(tmp_path, create=True)
    vault = WeddingVault(store, world.KEYS, ENTROPY)
    transaction = Transaction(vault, ENTROPY)
    parts.store_chunks(transaction, vault, [b"a"])
    (writer,) = transaction.checkout(crypto.DATA_PACK, 1)
    writer.open_unit(buffer())
    writer.seal(b"b", codec.RAW)
    transaction.abort()
    transaction.abort()
    assert [info.name for info in store.list("")] == []
    store.close()
    assert [path for path in tmp_path.rglob("*") if path.is_file() and path.stat().st_size] == []
    with pytest.raises(BrokenInvariant):
        transaction.checkout(crypto.DATA_PACK, 1)


def test_no_offset_of_a_pack_is_sealed_twice(monkeypatch: pytest.MonkeyPatch) -> None:
    """Over many jobs, checkpoints, aborts and a new epoch: every (key, nonce) is its own."""
    sealed: list[tuple[bytes, int]] = []
    plain = crypto.PackCipher.seal_into

    def record(self: crypto.PackCipher, content: bytes, *, offset: int, codec_used: int, into: memoryview) -> int:
        sealed.append((self._associated[0], offset))  # the pack's salt is in it, and stands for its key
        return plain(self, content, offset=offset, codec_used=codec_used, into=into)

    monkeypatch.setattr(crypto.PackCipher, "seal_into", record)
    objects = MemoryObjects()
    for number in range(12):
        secrets = replace(world.SECRETS, epochs=world.SECRETS.epochs[: 1 + number % 2])
        vault = WeddingVault(MemoryStore(objects), WeddingKeys.of(world.WEDDING, secrets), ENTROPY)
        transaction = Transaction(vault, ENTROPY)
        for part in range(3):
            parts.store_chunks(transaction, vault, [b"%d %d %d" % (number, part, each) for each in range(5)])
            if part == 1 and number % 3 == 0:
                _commit(transaction, f"{parts.job_id()}-1", partial=True)
        if number % 4 == 3:
            transaction.abort()
        else:
            _commit(transaction)
    assert len(sealed) > 150
    assert len(set(sealed)) == len(sealed)

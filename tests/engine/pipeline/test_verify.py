"""Verifying: what is counted, what is told, and that it is the store that is read, not what was read before."""

from __future__ import annotations

import random
from functools import partial
from pathlib import Path

import msgspec
import pytest

from engine.base.ids import SnapshotId
from engine.base.units import MIB
from engine.pipeline import recorder, verify
from engine.pipeline.verify import VerifyRun
from engine.repository import manifest, merging, snapshot, transaction
from engine.repository.entry import Entry
from engine.repository.transaction import Transaction
from engine.storage.stores.memory import MemoryObjects, MemoryStore
from engine.storage.stores.open import open_store
from tests.trees import build, file
from tests.vaults import OTHER_WEDDING, WEDDING, Bench, new_job


@pytest.fixture
def small_manifests(monkeypatch: pytest.MonkeyPatch) -> None:
    """Few entries make segments, fragments and metadata packs."""
    for module, name, value in (
        (recorder, "INLINE_ENTRIES_MAX", 2),
        (transaction, "INLINE_RECORDS_MAX", 2),
        (manifest, "_SEGMENT_MODULUS", 3),
    ):
        monkeypatch.setattr(module, name, value)


def _source(tmp_path: Path) -> Path:
    source = tmp_path / "source"
    noise = random.Random(1).randbytes(3 * MIB)
    small = {b"xmp/%02d" % number: file(b"%d" % number) for number in range(20)}
    build(source, {b"a.nef": file(noise), b"copy.nef": file(noise), **small})
    return source


def test_everything_is_counted(bench: Bench, tmp_path: Path) -> None:
    """Snapshots with checkpoints, packs, blobs, files of every snapshot, bytes."""
    source = _source(tmp_path)
    bench.backup(source)
    (source / "later").write_bytes(b"later")
    bench.backup(source)
    outcome = bench.verify()
    assert (outcome.snapshots, outcome.packs, outcome.files) == (2, 2, 45)
    assert outcome.blobs >= 3  # the two manifests, and as many chunks as the secret cuts of the noise, even one
    assert 3 * MIB < outcome.bytes_checked < 4 * MIB
    assert outcome.problems == []
    assert bench.verify(all_files=False).files == 0


def test_a_wedding_without_a_backup_verifies(bench: Bench) -> None:
    """There is nothing, and nothing is wrong with it."""
    outcome = bench.verify()
    assert (outcome.snapshots, outcome.packs, outcome.problems) == (0, 0, [])


def test_what_is_damaged_after_the_wedding_was_opened_is_told(tmp_path: Path, small_manifests: None) -> None:
    """A job of the wedding keeps it open for days; the store is read all the same."""
    store = tmp_path / "store"
    with Bench(open_store(f"file://{store}", create=True)) as bench:
        kept = bench.backup(_source(tmp_path))
        with bench.repository.vault(WEDDING) as vault:
            assert bench.run(VerifyRun(vault, all_files=True)).problems == []
            folder = store / "weddings" / WEDDING
            for kind in ("snapshots", "index", "packs"):
                (path, *_) = sorted((folder / kind).iterdir())
                data = path.read_bytes()
                path.write_bytes(data[:-1] + bytes((data[-1] ^ 1,)))
                problems = bench.run(VerifyRun(vault, all_files=True)).problems
                path.write_bytes(data)
                assert len(problems) >= 1, kind
                assert path.name[:8] in problems[0]
            assert bench.run(VerifyRun(vault, all_files=True)).problems == []
            assert vault.find_snapshot("latest").id == kept.id


@pytest.mark.parametrize("kind", ["packs", "index"])
def test_what_is_gone_is_told(tmp_path: Path, small_manifests: None, kind: str) -> None:
    """A pack by its name; a part of the index, though packs tell what stood in it."""
    store = tmp_path / "store"
    with Bench(open_store(f"file://{store}", create=True)) as bench:
        bench.backup(_source(tmp_path))
        (path, *_) = sorted((store / "weddings" / WEDDING / kind).iterdir())
        path.unlink()
        problems = bench.verify().problems
        assert problems
        assert kind == "index" or path.name in problems[0]
    with Bench(open_store(f"file://{store}", create=False)) as bench:
        assert bench.verify().problems
        assert bench.verify(wedding=OTHER_WEDDING).problems == []


def test_a_file_whose_recorded_hash_is_another_is_told(
    bench: Bench, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The last defence against a bug of our own: chunks that are right, put together wrongly."""
    source = _source(tmp_path)
    with_chunks = recorder.with_chunks

    def wrong(entry: Entry, ids: bytes, digest: bytes, of: Transaction) -> Entry:
        return with_chunks(entry, ids, bytes(32) if entry.path.endswith(b"a.nef") else digest, of)

    monkeypatch.setattr("engine.pipeline.reading.with_chunks", wrong)
    bench.backup(source)
    assert bench.verify(all_files=False).problems == []
    (problem,) = bench.verify().problems
    assert "a.nef: its contents do not have the hash that was recorded" in problem


def test_problems_are_counted_past_those_that_are_kept(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A thousand are told in words, the rest as a number."""
    monkeypatch.setattr(verify, "PROBLEMS_KEPT", 3)
    objects = MemoryObjects()
    with Bench(MemoryStore(objects)) as bench:
        bench.backup(_source(tmp_path))
        for name in objects.names():
            if "/packs/" in name:
                objects.remove(name)
        outcome = bench.verify()
        assert len(outcome.problems) == 3
        assert outcome.problems_total > 20


def test_a_snapshot_that_counts_other_entries_is_told(bench: Bench, tmp_path: Path) -> None:
    """An entry that a bug of ours left out would be missed by nobody else."""
    made = bench.backup(_source(tmp_path))
    with bench.repository.vault(WEDDING) as vault:
        counts = msgspec.structs.replace(made.body.counts, entries=made.body.counts.entries + 1)
        body = msgspec.structs.replace(made.body, counts=counts)
        forged = snapshot.Snapshot(SnapshotId(new_job()), body)
        snapshot.write(vault.store, vault.keys, forged, bench.entropy)
    (problem,) = bench.verify().problems
    assert f"has {made.body.counts.entries} entries" in problem


def test_parts_of_the_index_that_were_merged_are_not_missed(
    bench: Bench, tmp_path: Path, small_manifests: None, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Neither those that were read before, as by an engine that has the wedding open, nor on the way."""
    monkeypatch.setattr(merging, "MERGED_FROM", 1)
    monkeypatch.setattr(transaction, "INLINE_RECORDS_MAX", 0)
    source = _source(tmp_path)
    for number in range(3):
        (source / f"{number}.xmp").write_bytes(b"%d" % number)
        bench.backup(source)
    with bench.repository.vault(WEDDING) as vault:
        merge = partial(merging.merge, vault.afresh(), bench.entropy)
        assert len(vault.fragments()) == 3
        under_way = VerifyRun(vault, all_files=False)
        assert merge() == 3
        assert bench.run(under_way).problems == []
    assert bench.verify().problems == []
    with bench.repository.vault(WEDDING) as vault:
        joined, _ = vault.fragments()  # beside it the one that says what it replaces
        bench.store.delete(joined)
        assert f"{joined} is not in the store" in bench.verify().problems

"""Repair: a lost index made whole, damaged packs dropped and what is good in them saved, losses told by name."""

from __future__ import annotations

import random
from pathlib import Path

import pytest

from engine.pipeline.repair import RepairOutcome, RepairRun
from engine.repository import crypto, layout
from engine.repository.pack import PackEntry
from engine.storage.stores.memory import MemoryObjects, MemoryStore
from tests.vaults import WEDDING, Bench

_WEDDING = bytes.fromhex(WEDDING)


@pytest.fixture
def source(tmp_path: Path) -> Path:
    """Three hundred small files, so that the index goes to fragments, and two large ones."""
    chance = random.Random(3)
    root = tmp_path / "card"
    root.mkdir()
    for number in range(300):
        (root / f"note-{number:03d}.txt").write_bytes(chance.randbytes(200))
    for name in ("first.raw", "second.raw"):
        (root / name).write_bytes(chance.randbytes(3_000_000))
    return root


def stored(objects: MemoryObjects, folder: str) -> list[str]:
    """Names of the objects in one of the wedding's folders."""
    with_store = MemoryStore(objects)
    return [info.name for info in with_store.list(folder)]


def damage(objects: MemoryObjects, name: str, offset: int) -> None:
    """Flip a bit of an object."""
    store = MemoryStore(objects)
    data = bytearray(store.get(name, limit_bytes=1 << 30))
    data[offset] ^= 1
    store.delete(name)
    store.put(name, bytes(data))


def only_data_pack(bench: Bench, source: Path) -> PackEntry:
    """Back up; the entry of the data pack, one since there is one stream."""
    bench.backup(source)
    with bench.repository.vault(WEDDING) as vault:
        (found,) = [pack for pack in vault.index.packs() if pack.pack_type == crypto.DATA_PACK]
    return found


def repair(bench: Bench, *, contents: bool = True, dry_run: bool = False) -> RepairOutcome:
    """One repair of the wedding."""
    with bench.repository.vault(WEDDING) as vault:
        return bench.run(RepairRun(vault, bench.entropy, contents=contents, dry_run=dry_run))


def test_a_healthy_wedding_needs_no_repair(source: Path) -> None:
    """Nothing is written, nothing is lost."""
    objects = MemoryObjects()
    with Bench(MemoryStore(objects)) as bench:
        bench.backup(source)
        before = stored(objects, layout.WEDDINGS)
        outcome = repair(bench)
        assert (outcome.packs_recovered, outcome.packs_dropped, outcome.losses, outcome.problems) == (0, 0, [], [])
        assert stored(objects, layout.WEDDINGS) == before


def test_a_lost_index_is_made_again_from_the_packs(source: Path, tmp_path: Path) -> None:
    """All fragments gone: repaired without reading the packs' contents, for good."""
    objects = MemoryObjects()
    with Bench(MemoryStore(objects)) as bench:
        snapshot = bench.backup(source)
    for name in stored(objects, layout.fragments(_WEDDING)):
        MemoryStore(objects).delete(name)
    with Bench(MemoryStore(objects)) as bench:
        assert repair(bench, contents=False).losses == []
    with Bench(MemoryStore(objects)) as bench, bench.repository.vault(WEDDING) as vault:
        assert not vault.recovered
        assert vault.problems == []
        assert not any(vault.index.missing([entry.chunks[:32] for entry in vault.entries(snapshot) if entry.chunks]))


def test_a_damaged_fragment_is_replaced_and_no_problem_any_more(source: Path) -> None:
    """The repaired wedding opens without a word, though the damaged object still lies there."""
    objects = MemoryObjects()
    with Bench(MemoryStore(objects)) as bench:
        bench.backup(source)
    damage(objects, stored(objects, layout.fragments(_WEDDING))[0], 60)
    with Bench(MemoryStore(objects)) as bench:
        outcome = repair(bench, contents=False)
        assert outcome.fragments_replaced == 1
        assert outcome.packs_recovered >= 1
    with Bench(MemoryStore(objects)) as bench:
        assert bench.verify(all_files=True).problems == []


def test_what_is_good_in_a_damaged_pack_is_saved_and_the_rest_told_by_name(source: Path) -> None:
    """One flipped bit costs the files of its blob; the next backup of the source heals even those."""
    objects = MemoryObjects()
    with Bench(MemoryStore(objects), streams=1) as bench:
        data = only_data_pack(bench, source)
    damage(objects, layout.pack(_WEDDING, data.name), data.size // 2)
    with Bench(MemoryStore(objects)) as bench:
        outcome = repair(bench)
        assert outcome.packs_dropped == 1
        assert outcome.chunks_saved > 2
        assert outcome.losses_total >= 1
        assert all("/card/" in loss for loss in outcome.losses)
    with Bench(MemoryStore(objects)) as bench:
        bench.backup(source)
        assert bench.verify(all_files=True).problems == []
        assert repair(bench).losses == []


def test_a_missing_pack_is_dropped_and_its_files_are_told(source: Path) -> None:
    """Gone is gone, but everything else stays restorable and nothing trips over it any more."""
    objects = MemoryObjects()
    with Bench(MemoryStore(objects), streams=1) as bench:
        data = only_data_pack(bench, source)
    MemoryStore(objects).delete(layout.pack(_WEDDING, data.name))
    with Bench(MemoryStore(objects)) as bench:
        outcome = repair(bench, contents=False)
        assert outcome.packs_dropped == 1
        assert outcome.losses_total == 302


def test_a_dry_run_only_tells(source: Path) -> None:
    """The same figures, and not one object more."""
    objects = MemoryObjects()
    with Bench(MemoryStore(objects), streams=1) as bench:
        data = only_data_pack(bench, source)
    damage(objects, layout.pack(_WEDDING, data.name), data.size // 2)
    before = stored(objects, layout.WEDDINGS)
    with Bench(MemoryStore(objects)) as bench:
        told = repair(bench, dry_run=True)
    assert stored(objects, layout.WEDDINGS) == before
    with Bench(MemoryStore(objects)) as bench:
        done = repair(bench)
    assert told.losses_total >= 1
    assert (told.packs_dropped, told.chunks_saved, told.losses) == (
        done.packs_dropped,
        done.chunks_saved,
        done.losses,
    )


def test_a_dry_run_counts_on_packs_that_no_index_names(source: Path) -> None:
    """The index of the first job is lost, its packs are not: the second job's files would all be there."""
    objects = MemoryObjects()
    with Bench(MemoryStore(objects), streams=1) as bench:
        first = bench.backup(source)
        (source / "note-new.txt").write_bytes(b"first dance at nine")
        bench.backup(source)
    for name in (*stored(objects, layout.fragments(_WEDDING)), layout.snapshots(_WEDDING) + first.id):
        MemoryStore(objects).delete(name)
    with Bench(MemoryStore(objects)) as bench:
        told = repair(bench, contents=False, dry_run=True)
        assert (told.losses, told.chunks_saved) == ([], 0)
        assert told.packs_recovered >= 1


def test_half_a_pack_that_nobody_names_is_no_loss(source: Path) -> None:
    """What a crash or a stranger left beside the packs is passed over."""
    objects = MemoryObjects()
    with Bench(MemoryStore(objects)) as bench:
        bench.backup(source)
        bench.store.put(layout.pack(_WEDDING, bytes(32)), b"not a pack")
        outcome = repair(bench)
        assert (outcome.packs_dropped, outcome.losses) == (0, [])

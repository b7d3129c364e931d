"""One prune by itself: what is moved reads back, deduplicates as before and is less; what is not whole stays."""

from __future__ import annotations

import os
import random
from collections.abc import Iterator
from pathlib import Path

import pytest

from engine.base.errors import IntegrityError, LimitReached
from engine.base.units import MIB
from engine.pipeline.prune import Engaged, PruneOutcome, PruneRun
from engine.pipeline.verify import VerifyRun
from engine.repository import fragment, layout, merging, pruning, retention, transaction
from engine.repository.pack import PackEntry
from engine.repository.snapshot import Snapshot
from engine.storage.stores.memory import MemoryObjects, MemoryStore
from tests.engine.repository.parts import damage, names
from tests.trees import describe
from tests.vaults import WEDDING, Bench

PACKS = layout.packs(bytes.fromhex(WEDDING))
FRAGMENTS = layout.fragments(bytes.fromhex(WEDDING))


@pytest.fixture
def bench() -> Iterator[Bench]:
    """A repository in memory."""
    with Bench() as made:
        yield made


def prune(bench: Bench, rules: str = "last 1", *, dry_run: bool = False) -> PruneOutcome:
    """A prune to its end."""
    presence = bench.repository.presence

    def decide(found: list[Snapshot]) -> list[retention.Verdict]:
        return retention.decide(pruning.facts_of(found, ()), retention.parse_policy(rules), "UTC", bench.clock.now_ns())

    with presence.using(bytes.fromhex(WEDDING)) as use, bench.repository.used_vault(WEDDING) as vault:
        engaged = Engaged(presence, use, bench.clock, bench.entropy)
        return bench.run(PruneRun(vault, engaged, decide, dry_run=dry_run))


def _stored_bytes(bench: Bench) -> int:
    return sum(info.size_bytes for info in bench.store.list(PACKS))


def _packs(bench: Bench) -> dict[bytes, PackEntry]:
    with bench.repository.vault(WEDDING) as vault:
        return {pack.name: pack for pack in vault.index.packs()}


def _noise(seed: int, size_bytes: int) -> bytes:
    return random.Random(seed).randbytes(size_bytes)


def test_half_empty_packs_are_made_full_and_chunks_keep_their_ids(bench: Bench, tmp_path: Path) -> None:
    """What is still needed of a pack moves, small files in bundles; a backup of the same stores nothing again."""
    source = tmp_path / "source"
    source.mkdir()
    for number in range(6):
        (source / f"{number}.raw").write_bytes(_noise(number, 2 * MIB))
    for number in range(40):
        (source / f"{number}.xmp").write_bytes(b"%d " % number * 300)
    bench.backup(source)
    for number in range(1, 6):
        (source / f"{number}.raw").unlink()
    kept = bench.backup(source)
    before, packs = _stored_bytes(bench), _packs(bench)
    told = prune(bench, dry_run=True)
    assert (_stored_bytes(bench), _packs(bench)) == (before, packs)
    done = prune(bench)
    assert (told.packs_freed, told.bytes_freed, told.packs_repacked) == (
        done.packs_freed, done.bytes_freed, done.packs_repacked,
    )  # fmt: skip
    assert done.packs_repacked == 1
    assert 2 * MIB < done.bytes_written < 3 * MIB
    assert 2 * MIB < _stored_bytes(bench) == before - done.bytes_freed + done.bytes_written < 3 * MIB
    assert packs.keys().isdisjoint(set(_packs(bench)) - {name for name, pack in packs.items() if pack.pack_type == 11})
    assert bench.verify().problems == []
    bench.retrieve(tmp_path / "back", strip=source)
    assert describe(tmp_path / "back") == describe(source)
    again = bench.backup(source)
    assert (again.body.counts.bytes_stored, again.body.parent) == (0, kept.id)
    assert prune(bench).packs_freed == 0


def test_many_small_packs_become_one(bench: Bench, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Data packs and metadata packs each for themselves."""
    monkeypatch.setattr("engine.repository.snapshot.INLINE_ENTRIES_MAX", 0)
    monkeypatch.setattr("engine.pipeline.recorder.INLINE_ENTRIES_MAX", 0)
    source = tmp_path / "source"
    source.mkdir()
    for number in range(pruning.SMALL_PACKS_MIN):
        (source / f"{number}.raw").write_bytes(_noise(number, 50_000))
        bench.backup(source)
    assert len(_packs(bench)) == 2 * pruning.SMALL_PACKS_MIN
    done = prune(bench, "")
    assert done.packs_freed == done.packs_repacked == 2 * pruning.SMALL_PACKS_MIN
    assert sorted(pack.pack_type for pack in _packs(bench).values()) == [10, 11]
    assert bench.verify().problems == []
    for number, snapshot in enumerate(bench.snapshots(), 1):
        assert sum(entry.size > 0 for entry in bench.entries(snapshot)) == number
    bench.retrieve(tmp_path / "back", strip=source)
    assert describe(tmp_path / "back") == describe(source)


def test_a_verification_beside_a_prune_of_another_engine_finds_no_fault(tmp_path: Path) -> None:
    """What it was about to look at is gone by right: a snapshot, a pack, fragments that were merged."""
    source, objects = tmp_path / "source", MemoryObjects()
    source.mkdir()
    with Bench(MemoryStore(objects), streams=1) as bench:
        for number in range(3):
            (source / "a.raw").write_bytes(_noise(number, 300_000))
            bench.backup(source)
            if number == 1:
                prune(bench, "")
                prune(bench)
        other = Bench(MemoryStore(objects), streams=1)
        with other.repository.vault(WEDDING) as vault:
            run = VerifyRun(vault, all_files=False)
            other.repository.close()  # as an engine that was taken for dead: it is not waited for
            prune(bench)
            assert other.run(run).problems == []
        other.pool.close()


def test_fragments_are_merged_when_they_are_many(bench: Bench, tmp_path: Path) -> None:
    """What takes their place holds every pack, and drops what is gone; an engine at work learns of it."""
    source = tmp_path / "source"
    source.mkdir()
    for number in range(20):
        (source / "a.raw").write_bytes(_noise(number, 300_000))
        bench.backup(source)
        prune(bench, "last 2")
    assert len(names(bench.store, FRAGMENTS)) < merging.MERGED_FROM
    with bench.repository.vault(WEDDING) as vault, Bench(bench.store).repository.vault(WEDDING) as stranger:
        assert {pack.name for pack in stranger.index.packs()} == {pack.name for pack in vault.index.packs()}
        assert len(vault.index.packs()) == len(names(bench.store, PACKS)) == 2


def test_a_merged_fragment_that_does_not_read_back_takes_nothing_away(
    bench: Bench, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The parts that it was made of still stand."""
    monkeypatch.setattr(transaction, "INLINE_RECORDS_MAX", 0)
    source = tmp_path / "source"
    source.mkdir()
    for number in range(2):
        (source / "a.raw").write_bytes(_noise(number, 300_000))
        bench.backup(source)
    write = fragment.write

    def forgetful(store, keys, packs, entropy, gone=None):  # type: ignore[no-untyped-def]
        listed = list(packs)
        return write(store, keys, listed[1:] if gone is None else listed, entropy, gone)

    monkeypatch.setattr(fragment, "write", forgetful)
    with pytest.raises(IntegrityError, match="does not read back"):
        prune(bench)
    monkeypatch.undo()
    assert bench.verify().problems == []


def test_a_damaged_pack_is_left_where_it_is(bench: Bench, tmp_path: Path) -> None:
    """What of it is still good may be saved by a repair; a prune is no repair."""
    source = tmp_path / "source"
    source.mkdir()
    for number in range(5):
        (source / f"{number}.raw").write_bytes(_noise(number, 300_000))
    bench.backup(source)
    (pack,) = names(bench.store, PACKS)
    for number in range(1, 5):
        (source / f"{number}.raw").unlink()
    bench.backup(source)
    with bench.repository.vault(WEDDING) as vault:
        (entry,) = bench.entries(bench.snapshots()[-1])[-1:]
        place = vault.locate(entry.chunks[:32])
    damage(bench.store, pack, at=place.offset + 5)
    done = prune(bench)
    assert (done.packs_freed, names(bench.store, PACKS)) == (0, [pack])
    assert bench.verify().problems


def test_nothing_is_pruned_where_not_all_can_be_read(bench: Bench, tmp_path: Path) -> None:
    """What a snapshot needs that is damaged itself is not known."""
    source = tmp_path / "source"
    source.mkdir()
    for number in range(2):
        (source / "a.raw").write_bytes(_noise(number, 300_000))
        bench.backup(source)
    first = bench.snapshots()[0]
    damage(bench.store, layout.snapshots(bytes.fromhex(WEDDING)) + first.id)
    before = names(bench.store, "weddings/")
    later = Bench(bench.store)
    with pytest.raises(IntegrityError, match="nothing is pruned"):
        prune(later)
    later.pool.close()
    assert names(bench.store, "weddings/") == before


def test_what_a_killed_backup_left_goes_when_it_is_a_day_old(tmp_path: Path) -> None:
    """Before that it may be one that is being written."""
    source = tmp_path / "source"
    source.mkdir()
    (source / "a.raw").write_bytes(_noise(1, 300_000))
    objects = MemoryObjects()
    with Bench(MemoryStore(objects)) as bench:
        bench.backup(source)
        (stored,) = names(bench.store, PACKS)
        orphan = bench.store.get(stored, limit_bytes=1 << 28)
        bench.store.put(PACKS + "5f" * 32, orphan)
        done = prune(bench, "")
        assert (done.packs_freed, done.bytes_young) == (0, len(orphan))
        now_ns = bench.clock.now_ns()
        bench.clock.now_ns = lambda: now_ns + 2 * 86_400 * 10**9  # type: ignore[method-assign]
        gone = prune(bench, "")
        assert (gone.packs_freed, names(bench.store, PACKS)) == (1, [stored])


class _Full(MemoryStore):
    """A store that takes no mark."""

    def put(self, name: str, data: bytes) -> None:
        if name.startswith(layout.MARKS):
            raise LimitReached("the disk is full")
        super().put(name, data)


def test_a_prune_that_fails_leaves_everything_usable(tmp_path: Path) -> None:
    """What was moved is there twice, and the next one goes on."""
    source = tmp_path / "source"
    source.mkdir()
    for number in range(5):
        (source / f"{number}.raw").write_bytes(_noise(number, 300_000))
    objects = MemoryObjects()
    with Bench(_Full(objects)) as full:
        full.backup(source)
        for number in range(1, 5):
            os.unlink(source / f"{number}.raw")
        full.backup(source)
        with pytest.raises(LimitReached):
            prune(full)
        assert full.verify().problems == []
    with Bench(MemoryStore(objects)) as bench:
        done = prune(bench)
        assert done.packs_freed in (1, 2)  # what was moved counts, or is moved once more
        assert bench.verify().problems == []
        assert len(names(bench.store, PACKS)) == 1

"""What a backup is compared with, and that damage to it never keeps a wedding from being backed up."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import msgspec
import pytest

from engine.base.ids import SnapshotId
from engine.pipeline import recorder
from engine.pipeline.parents import choose_parents, merged_entries
from engine.pipeline.request import BackupRequest, head_of
from engine.repository import manifest, snapshot
from engine.repository.entry import FILE, Entry
from engine.repository.manifest import encode_segment
from engine.repository.snapshot import Snapshot
from engine.repository.vault import WeddingVault
from engine.storage.stores.memory import MemoryObjects, MemoryStore
from tests.trees import build, describe, file
from tests.vaults import WEDDING, Bench, counted_reads

JOBS = [f"{number:032x}" for number in range(1, 9)]


@pytest.fixture
def vault(bench: Bench) -> Iterator[WeddingVault]:
    """A wedding at work."""
    with bench.repository.vault(WEDDING) as opened:
        yield opened


def _commit(
    vault: WeddingVault,
    name: str,
    time_ns: int,
    sources: tuple[bytes, ...],
    *,
    parent: str = "",
    paths: tuple[bytes, ...] = (),
) -> None:
    entries = [Entry(path=path, kind=FILE, mode=0, uid=0, gid=0, mtime_ns=time_ns, hash=bytes(32)) for path in paths]
    request = BackupRequest(job_id=name.partition("-")[0], sources=sources)
    body = msgspec.structs.replace(
        head_of(request, wedding=vault.keys.wedding, parent=parent, started_ns=time_ns),
        partial="-" in name,
        inline_entries=encode_segment(entries).data if entries else b"",
    )
    snapshot.write(vault.store, vault.keys, Snapshot(SnapshotId(name), body), vault.entropy)


def _chosen(vault: WeddingVault, *sources: bytes) -> list[str]:
    vault.refresh()  # as `Repository.vault` does for each job
    return [item.id for item in choose_parents(vault, sources)]


def test_nothing_before_is_nothing_to_compare_with(vault: WeddingVault) -> None:
    """Neither a snapshot of other sources."""
    assert _chosen(vault, b"/a") == []
    _commit(vault, JOBS[0], 1, (b"/b",))
    assert _chosen(vault, b"/a") == []


def test_the_newest_of_the_same_sources_comes_first(vault: WeddingVault) -> None:
    """In whatever order they are named; one that shares a source only when there is no other."""
    _commit(vault, JOBS[0], 1, (b"/a", b"/b"))
    _commit(vault, JOBS[1], 2, (b"/a",))
    _commit(vault, JOBS[2], 3, (b"/b", b"/c"))
    assert _chosen(vault, b"/b", b"/a") == [JOBS[0]]
    assert _chosen(vault, b"/a") == [JOBS[1]]
    assert _chosen(vault, b"/c", b"/d") == [JOBS[2]]


def test_a_checkpoint_newer_than_the_snapshot_is_gone_on_from(vault: WeddingVault) -> None:
    """The last of them, and what it does not hold comes from the snapshot; an older one does not count."""
    _commit(vault, f"{JOBS[0]}-1", 1, (b"/a",))
    _commit(vault, JOBS[0], 1, (b"/a",))
    assert _chosen(vault, b"/a") == [JOBS[0]]
    for number in (1, 2, 9, 10, 11):
        _commit(vault, f"{JOBS[1]}-{number}", 2, (b"/a",), parent=JOBS[0])
    assert _chosen(vault, b"/a") == [f"{JOBS[1]}-11", JOBS[0]]
    _commit(vault, JOBS[1], 2, (b"/a",), parent=JOBS[0])
    assert _chosen(vault, b"/a") == [JOBS[1]]


def test_order_is_by_parent_though_clocks_went_back(vault: WeddingVault) -> None:
    """The machine's clock was set back an hour between two backups."""
    _commit(vault, JOBS[0], 3600, (b"/a",))
    _commit(vault, JOBS[1], 10, (b"/a",), parent=JOBS[0])
    assert _chosen(vault, b"/a") == [JOBS[1]]


def test_of_a_path_in_two_parents_the_first_counts(vault: WeddingVault) -> None:
    """In one stream, in walk order."""
    _commit(vault, JOBS[0], 1, (b"/a",), paths=(b"a", b"a-", b"b", b"d"))
    _commit(vault, f"{JOBS[1]}-1", 2, (b"/a",), parent=JOBS[0], paths=(b"b", b"c", b"d"))
    vault.refresh()
    parents = choose_parents(vault, (b"/a",))
    merged = [(entry.path, entry.mtime_ns) for entry in merged_entries(vault, parents)]
    assert merged == [(b"a", 1), (b"a-", 1), (b"b", 2), (b"c", 2), (b"d", 2)]


@pytest.mark.parametrize("what", ["metadata pack", "snapshot"])
def test_a_damaged_parent_costs_reading_and_nothing_else(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, what: str
) -> None:
    """A part of its manifest, or all of it, is not there to compare with: those files are read again."""
    monkeypatch.setattr(manifest, "_SEGMENT_MODULUS", 3)
    monkeypatch.setattr(recorder, "INLINE_ENTRIES_MAX", 2)
    source = tmp_path / "source"
    build(source, {b"%02d" % number: file(b"%d" % number * 100) for number in range(30)})
    objects = MemoryObjects()
    with Bench(MemoryStore(objects)) as bench:
        first = bench.backup(source)
        with bench.repository.vault(WEDDING) as vault:
            place = vault.locate(first.body.segments[1].id, 11)
            name = f"weddings/{WEDDING}/packs/{place.pack.name.hex()}"
    if what == "snapshot":
        name = f"weddings/{WEDDING}/snapshots/{first.id}"
    data = bytearray(objects.find(name)[0])
    data[place.offset + 20 if what != "snapshot" else 50] ^= 1
    objects.remove(name)
    objects.add(name, bytes(data), 0)
    with Bench(MemoryStore(objects)) as bench, counted_reads() as reads:
        (source / "new").write_bytes(b"new")
        second = bench.backup(source)
        lost = 30 if what == "snapshot" else first.body.segments[1].entries
        assert (second.body.counts.files, second.body.counts.files_unchanged) == (31, 30 - lost)
        assert len(reads) == 1 + lost
        assert bench.verify().problems != []
        if what == "snapshot":
            bench.retrieve(tmp_path / "back", strip=source)
            assert describe(tmp_path / "back") == describe(source)

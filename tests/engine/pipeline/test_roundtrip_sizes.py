"""Sizes at every edge of the data plane: chunk, unit, segment, chunk list, folder and manifest."""

from __future__ import annotations

import os
import random
from pathlib import Path

import pytest

from engine.base.units import GIB, KIB, MIB
from engine.pipeline import recorder
from engine.repository import manifest
from engine.repository.snapshot import Snapshot
from tests.trees import describe
from tests.vaults import WEDDING, Bench

NOISE = random.Random(20260620).randbytes(9 * MIB)


def _noise(size_bytes: int) -> bytes:
    """Bytes that do not compress; those past 9 MiB repeat, off the chunker's beat."""
    return (NOISE * (size_bytes // len(NOISE) + 1))[:size_bytes]


def _reads_nothing_again(bench: Bench, source: Path) -> None:
    """The same once more is unchanged, whatever way its chunks are kept."""
    again = bench.backup(source).body.counts
    assert (again.files_unchanged, again.bytes_stored) == (again.files, 0)


@pytest.mark.parametrize(
    "size_bytes",
    [
        0, 1, 4096, 256 * KIB - 1, 256 * KIB, 256 * KIB + 1, 16 * MIB - 1, 16 * MIB, 16 * MIB + 1,
        64 * MIB - 1, 64 * MIB, 64 * MIB + 1,
    ],
)  # fmt: skip
def test_a_file_of_an_edge_size_comes_back(bench: Bench, disk_path: Path, size_bytes: int) -> None:
    """And is of one chunk, one unit, one segment or one more, as the format says."""
    source = disk_path / "source"
    source.mkdir()
    (source / "file.bin").write_bytes(_noise(size_bytes))
    snapshot = bench.backup(source)
    entry = bench.entries(snapshot)[-1]
    assert (entry.size, entry.extents) == (size_bytes, ())
    chunks = len(entry.chunks) // 32
    assert chunks == (size_bytes > 0) if size_bytes < 256 * KIB else chunks >= size_bytes / (4 * MIB)
    bench.retrieve(disk_path / "back", strip=source)
    assert describe(disk_path / "back") == describe(source)
    assert bench.verify().problems == []
    _reads_nothing_again(bench, source)


def test_a_large_file_with_repeats_is_stored_once(bench: Bench, disk_path: Path) -> None:
    """130 MiB in three segments, of which a block of 9 MiB is all that is new in each."""
    source = disk_path / "source"
    source.mkdir()
    (source / "film.mov").write_bytes(_noise(130 * MIB))
    (source / "copy of film.mov").write_bytes(_noise(130 * MIB))
    snapshot = bench.backup(source)
    assert snapshot.body.counts.bytes_stored < 60 * MIB
    assert len(bench.entries(snapshot)[-1].hash) == 32
    bench.retrieve(disk_path / "back", strip=source)
    assert describe(disk_path / "back") == describe(source)
    assert bench.verify().problems == []


def test_a_file_of_more_than_4_gib_comes_back_with_its_holes(bench: Bench, tmp_path: Path) -> None:
    """Data at both ends and in the middle; what is between is neither read nor written."""
    source = tmp_path / "source"
    source.mkdir()
    size_bytes = 5 * GIB + 12_345
    places = ((0, b"begin" * 1000), (4 * GIB - 2, b"over the edge"), (size_bytes - 100, b"e" * 100))
    with open(source / "disk.img", "wb") as image:
        for offset, data in places:
            os.pwrite(image.fileno(), data, offset)
    snapshot = bench.backup(source)
    assert bench.entries(snapshot)[-1].data_bytes < MIB
    bench.retrieve(tmp_path / "back", strip=source)
    back = tmp_path / "back" / "disk.img"
    assert back.stat().st_size == size_bytes
    assert back.stat().st_blocks <= (source / "disk.img").stat().st_blocks
    with open(back, "rb") as image:
        for offset, data in places:
            assert os.pread(image.fileno(), len(data) + 50, offset)[: len(data)] == data
    assert bench.verify().problems == []
    _reads_nothing_again(bench, source)


@pytest.mark.parametrize("mebibytes", [12, 20, 70])  # at least three chunks of 4 MiB
def test_many_chunks_go_into_lists_of_their_own(
    bench: Bench, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, mebibytes: int
) -> None:
    """The limits are lowered, so that a list is needed soon, and more than one for the largest."""
    monkeypatch.setattr(recorder, "INLINE_CHUNKS_MAX", 2)
    monkeypatch.setattr(recorder, "_LIST_BYTES", 32 * 10)
    source = tmp_path / "source"
    source.mkdir()
    (source / "film.mov").write_bytes(_noise(mebibytes * MIB))
    snapshot = bench.backup(source)
    entry = bench.entries(snapshot)[-1]
    assert not entry.chunks
    with bench.repository.vault(WEDDING) as vault:
        count = len(vault.chunk_ids(entry)) // 32
    assert len(entry.chunk_lists) // 32 == -(-count // 10)
    bench.retrieve(tmp_path / "back", strip=source)
    assert describe(tmp_path / "back") == describe(source)
    assert bench.verify().problems == []
    _reads_nothing_again(bench, source)


def _write_many(source: Path, count: int) -> None:
    source.mkdir()
    for number in range(count):
        (source / f"IMG_{number:05}.xmp").write_bytes(b"sidecar %d" % number)


def test_a_folder_of_5000_files_comes_back(bench: Bench, tmp_path: Path) -> None:
    """In 256 files a unit, with the manifest in metadata packs."""
    source = tmp_path / "source"
    _write_many(source, 5000)
    snapshot = bench.backup(source)
    assert snapshot.body.counts.files == 5000
    assert sum(ref.entries for ref in snapshot.body.segments) == 5001
    bench.retrieve(tmp_path / "back", strip=source)
    assert describe(tmp_path / "back") == describe(source)
    assert bench.verify().problems == []


def test_segments_without_a_change_are_kept_once(bench: Bench, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """1,500 entries in some 24 segments; a change of one file touches one of them, an added one too."""
    monkeypatch.setattr(manifest, "_SEGMENT_MODULUS", 64)
    source = tmp_path / "source"
    _write_many(source, 1499)

    def new_segments(snapshot: Snapshot, before: Snapshot) -> int:
        return len({ref.id for ref in snapshot.body.segments} - {ref.id for ref in before.body.segments})

    first = bench.backup(source)
    assert len(first.body.segments) > 5
    (source / "IMG_00700.xmp").write_bytes(b"edited")
    second = bench.backup(source)
    assert new_segments(second, first) == 1
    (source / "IMG_00700b.xmp").write_bytes(b"added")
    third = bench.backup(source)
    assert 1 <= new_segments(third, second) <= 3  # the one it is in, perhaps in two parts, and the folder's
    assert bench.backup(source).body.segments == third.body.segments
    bench.retrieve(tmp_path / "back", strip=source)
    assert describe(tmp_path / "back") == describe(source)

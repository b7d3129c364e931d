"""The hot road: blobs gathered without copies, and compared before they leave; a job ends when they do not agree."""

from __future__ import annotations

import random
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from engine.base.errors import IntegrityError
from engine.base.units import KIB, MIB
from engine.contract.settings import BUNDLE_BYTES, SMALL_FILE_BYTES, EngineSettings
from engine.pipeline import seal
from engine.pipeline.seal import NamedChunk, gather, same_bytes
from engine.repository.pack import PackWriter
from tests.trees import build, file
from tests.vaults import WEDDING, Bench

SOURCE = memoryview(bytearray(range(256)) * (8 * KIB))  # 2 MiB


def _chunks(lengths: list[int], gap: int = 0) -> list[NamedChunk]:
    placed, start = [], 0
    for number, length in enumerate(lengths):
        placed.append(NamedChunk(number.to_bytes(32, "big"), start, length, number % 2 == 0))
        start += length + gap
    return placed


@given(
    lengths=st.lists(st.sampled_from((1, 100, 50 * KIB, SMALL_FILE_BYTES - 1, SMALL_FILE_BYTES)), max_size=8),
    gap=st.integers(0, 3),
)
def test_every_chunk_is_in_one_blob_in_order(lengths: list[int], gap: int) -> None:
    """Small ones together up to about 1 MiB, large ones alone; the contents end to end."""
    chunks = _chunks(lengths, gap)
    blobs = gather(chunks, SOURCE)
    seen: list[NamedChunk] = []
    for blob in blobs:
        parts = [SOURCE[chunk.start : chunk.start + chunk.length] for chunk in blob.chunks]
        assert bytes(blob.content) == b"".join(parts)
        assert blob.pressed_format == all(chunk.pressed_format for chunk in blob.chunks)
        if len(blob.chunks) > 1:
            assert len(blob.content) < BUNDLE_BYTES + SMALL_FILE_BYTES
            assert all(chunk.length < SMALL_FILE_BYTES for chunk in blob.chunks)
        seen += blob.chunks
    assert sorted(seen, key=lambda chunk: chunk.start) == chunks


def test_chunks_that_adjoin_are_not_copied() -> None:
    """The bundle is a view of the source buffer."""
    (blob,) = gather(_chunks([100, 200, 300]), SOURCE)
    assert blob.content.obj is SOURCE.obj
    (copied,) = gather(_chunks([100, 200, 300], gap=1), SOURCE)
    assert copied.content.obj is not SOURCE.obj


@given(size=st.integers(0, 5000), at=st.integers(0, 4999))
def test_same_bytes_sees_every_difference(size: int, at: int) -> None:
    """At any place, and of length."""
    first, second = bytearray(size), bytearray(size)
    assert same_bytes(memoryview(first), bytes(second))
    assert same_bytes(memoryview(first), memoryview(second))
    assert not same_bytes(memoryview(first), bytes(second) + b"x")
    if at < size:
        second[at] ^= 1
        assert not same_bytes(memoryview(first), memoryview(second))
        assert not same_bytes(memoryview(first), bytes(second))


@pytest.mark.parametrize("name", [b"noise.nef", b"text.txt"])
def test_a_blob_that_does_not_open_to_what_was_sealed_ends_the_job(
    bench: Bench, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, name: bytes
) -> None:
    """As bad memory would make it: nothing of the job is committed, and nothing staged stays."""
    build(tmp_path / "source", {name: file(bytes(range(256)) * (2 * KIB))})
    sealed = PackWriter.seal

    def damaged(self: PackWriter, content: bytes | memoryview, codec_used: int) -> tuple[int, int]:
        other = bytearray(content)
        other[len(other) // 2] ^= 1
        return sealed(self, bytes(other), codec_used)

    monkeypatch.setattr(PackWriter, "seal", damaged)
    with pytest.raises(IntegrityError):
        bench.backup(tmp_path / "source")
    monkeypatch.undo()
    assert bench.snapshots(partial=True) == []
    bench.backup(tmp_path / "source")
    assert bench.verify().problems == []


def test_without_comparing_the_damage_would_have_been_stored(
    bench: Bench, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What the setting is worth: only verify or a restore would notice."""
    build(tmp_path / "source", {b"a": file(b"0123456789" * 50)})
    bench.settings = EngineSettings(compare_after_seal=False)
    sealed = PackWriter.seal

    def damaged(self: PackWriter, content: bytes | memoryview, codec_used: int) -> tuple[int, int]:
        return sealed(self, bytes(len(content)), codec_used)

    monkeypatch.setattr(PackWriter, "seal", damaged)
    bench.backup(tmp_path / "source")
    assert bench.verify().problems != []


def test_a_large_job_spreads_its_blobs_over_two_packs(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """So that lengths of neighbours in a pack say less about a file. One stream would fill one pack else."""
    monkeypatch.setattr(seal, "SPREAD_FROM_BYTES", MIB)
    chance = random.Random(1)
    build(tmp_path / "source", {b"%02d.nef" % number: file(chance.randbytes(3 * MIB)) for number in range(10)})
    with Bench(streams=1) as bench:
        bench.backup(tmp_path / "source")
        with bench.repository.vault(WEDDING) as vault:
            assert len([pack for pack in vault.index.packs() if pack.pack_type == 10]) == 2
        assert bench.verify().problems == []


def test_publishing_a_pack_that_is_full_has_its_own_time(tmp_path: Path) -> None:
    """Where a bucket is slow, this is what streams wait for."""
    chance = random.Random(1)
    build(tmp_path / "source", {b"%d.nef" % number: file(chance.randbytes(12 * MIB)) for number in range(3)})
    with Bench(streams=1) as bench:
        bench.backup(tmp_path / "source")
        figures = bench.pool.stages()
    assert 32 * MIB <= figures["publish"].size_bytes <= figures["write"].size_bytes

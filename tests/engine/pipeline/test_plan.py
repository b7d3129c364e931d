"""What a restore reads: which entries, and which ranges of which packs, in which pieces of which files."""

from __future__ import annotations

from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from engine.base.units import KIB, MIB
from engine.contract.settings import UNIT_BYTES
from engine.pipeline.plan import (
    GAP_BYTES,
    Piece,
    Selection,
    by_pack,
    is_at_or_below,
    outermost,
    place_chunks,
    selected,
)
from engine.repository import manifest
from engine.repository.entry import FILE, Entry
from engine.repository.index import Location
from engine.repository.pack import ALIGNMENT_BYTES, PackEntry
from tests.trees import build, file
from tests.vaults import WEDDING, Bench

PACKS = [PackEntry(bytes([number]) * 32, bytes(32), 1, 10, 64 * MIB, b"") for number in range(3)]


def _location(offset: int, stored_bytes: int, *, pack: int = 0, inner: int = 0, length: int = 0) -> Location:
    return Location(PACKS[pack], offset, stored_bytes, inner, length or stored_bytes - 16, 0)


def _piece(number: int) -> Piece:
    return Piece(number.to_bytes(32, "big"), number, ((0, 1),))


# --- entries ----------------------------------------------------------------------------------------------


def test_the_outermost_of_some_paths_hold_the_others() -> None:
    """Slashes around them do not count; a name that only begins the same is another."""
    paths = [b"/a/b/", b"a", b"a-b", b"a/b/c", b"b/c", b"b/cd"]
    assert outermost(paths) == [b"a", b"a-b", b"b/c", b"b/cd"]
    assert outermost([b"", b"a"]) == [b""]
    assert is_at_or_below(b"a/b", b"a")
    assert not is_at_or_below(b"ab", b"a")


@pytest.fixture
def many_segments(monkeypatch: pytest.MonkeyPatch) -> None:
    """A segment ends after every few entries."""
    monkeypatch.setattr(manifest, "_SEGMENT_MODULUS", 3)


def test_a_selection_reads_only_the_segments_that_may_hold_it(
    bench: Bench, tmp_path: Path, many_segments: None, monkeypatch: pytest.MonkeyPatch
) -> None:
    """And gives what lies at and below each path, once, in walk order, whatever begins with the same letters."""
    names = [b"%s/%02d" % (folder, number) for folder in (b"a", b"a-", b"a.b", b"b", b"c") for number in range(80)]
    build(tmp_path / "s", {name: file(b"x") for name in names})
    snapshot = bench.backup(tmp_path / "s")
    base = bytes(tmp_path / "s")[1:] + b"/"
    with bench.repository.vault(WEDDING) as vault:
        reads: list[bytes] = []
        read_metadata = vault.read_metadata

        def noted(chunk_id: bytes) -> bytes:
            reads.append(chunk_id)
            return read_metadata(chunk_id)

        monkeypatch.setattr(vault, "read_metadata", noted)

        def found(*paths: bytes) -> list[bytes]:
            reads.clear()
            chosen = Selection(tuple(base + path for path in paths))
            return [entry.path.removeprefix(base) for entry in selected(vault, snapshot, chosen)]

        below_a = [name for name in names if name.startswith(b"a/")]
        assert found(b"a") == [b"a", *below_a]
        assert len(reads) < len(snapshot.body.segments) / 2
        assert found(b"a", b"a/05", b"c/79") == [b"a", *below_a, b"c/79"]
        assert found(b"b/41") == [b"b/41"]
        assert len(reads) <= 2
        assert found(b"nothing") == []
        assert found(b"a/05/deeper") == []
        assert len(list(selected(vault, snapshot, Selection()))) == len(names) + 6


# --- ranges -----------------------------------------------------------------------------------------------


def test_near_blobs_are_read_in_one_go() -> None:
    """Up to a gap, in the order of their places; a blob that two files need is there once."""
    far = 200 * KIB + GAP_BYTES + 8192
    needed = [(_location(100 * KIB, 50 * KIB), _piece(1)), (_location(44, 100 * KIB), _piece(2))]
    needed += [(_location(far, 10 * KIB), _piece(3)), (_location(44, 100 * KIB), _piece(4))]
    first, second = by_pack(needed)
    assert [[use[1].owner for use in blob.uses] for blob in first.blobs] == [[2, 4], [1]]
    assert (first.offset, first.length) == (0, 152 * KIB)
    assert [blob.location.offset for blob in second.blobs] == [far]


def test_each_pack_is_read_for_itself() -> None:
    """In the order of first need."""
    needed = [(_location(4096, 1000, pack=number), _piece(number)) for number in (2, 0, 2)]
    assert [found.pack for found in by_pack(needed)] == [PACKS[2].name, PACKS[0].name]


PLACES = st.tuples(st.integers(0, 3000), st.sampled_from((17, 1000, 300 * KIB, 4 * MIB + 16)))


@given(st.lists(PLACES, max_size=30))
def test_ranges_cover_all_blobs_within_a_buffer(places: list[tuple[int, int]]) -> None:
    """Aligned at both ends, no longer than a unit, no blob in two of them, none left out."""
    end, needed = 44, []
    for number, (gap, stored_bytes) in enumerate(places):
        end += gap * 500
        needed.append((_location(end, stored_bytes), _piece(number)))
        end += stored_bytes
    ranges = by_pack(reversed(needed))
    covered = []
    for found in ranges:
        assert found.offset % ALIGNMENT_BYTES == found.length % ALIGNMENT_BYTES == 0
        assert found.length <= UNIT_BYTES
        for blob in found.blobs:
            begin = blob.location.offset - found.offset
            assert 0 <= begin <= found.length - blob.location.stored_bytes
            covered += [piece.owner for _, piece in blob.uses]
    assert sorted(covered) == list(range(len(needed)))


# --- pieces -----------------------------------------------------------------------------------------------


def test_a_chunk_over_a_hole_goes_into_two_pieces() -> None:
    """Chunks follow each other in the data, which the file has holes in."""
    entry = Entry(
        path=b"f", kind=FILE, mode=0, uid=0, gid=0, mtime_ns=0, size=100_000, extents=((1000, 50), (5000, 100))
    )
    ids = [b"1" * 32, b"2" * 32, b"3" * 32]
    locations = [_location(44, 46), _location(90, 76), _location(166, 76)]
    placed = [piece for _, piece in place_chunks(entry, ids, locations, data_offset=0, owner=7)]
    assert [piece.pieces for piece in placed] == [((1000, 30),), ((1030, 20), (5000, 40)), ((5040, 60),)]
    assert {piece.owner for piece in placed} == {7}


def test_places_end_at_a_chunk_that_is_missing() -> None:
    """What follows would be put in the wrong place."""
    entry = Entry(path=b"f", kind=FILE, mode=0, uid=0, gid=0, mtime_ns=0, size=90)
    ids = [b"1" * 32, b"2" * 32, b"3" * 32]
    placed = list(place_chunks(entry, ids, [_location(44, 46), None, _location(90, 46)], data_offset=0, owner=1))
    assert [piece.chunk_id for _, piece in placed] == ids[:1]

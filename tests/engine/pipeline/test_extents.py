"""Offsets of a file with holes and of its data stream."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from engine.pipeline.extents import ALL_HOLE, DataMap


def test_a_file_without_extents_is_all_data() -> None:
    """`()` stands for one run over the whole size."""
    assert list(DataMap(10, ()).pieces(3, 100)) == [(3, 7)]


def test_a_file_that_is_one_hole_has_an_empty_stream() -> None:
    """The extent of length 0 tells it from a file that is all data."""
    hole = DataMap(1 << 40, ALL_HOLE)
    assert hole.data_bytes == 0
    assert list(hole.pieces(0, 1)) == []


def test_an_empty_file_has_an_empty_stream() -> None:
    """No bytes, no pieces."""
    assert list(DataMap(0, ()).pieces(0, 10)) == []


@given(
    gaps=st.lists(st.tuples(st.integers(0, 5), st.integers(0, 5)), min_size=1, max_size=6),
    start=st.integers(0, 40),
    length=st.integers(0, 40),
)
def test_pieces_are_the_bytes_of_the_stream(gaps: list[tuple[int, int]], start: int, length: int) -> None:
    """Compared with the stream written out offset by offset."""
    extents: list[tuple[int, int]] = []
    at = 0
    for gap, run in gaps:
        extents.append((at + gap, run))
        at += gap + run
    stream = [offset for begin, run in extents for offset in range(begin, begin + run)]
    data_map = DataMap(at, extents)
    found = [offset for begin, run in data_map.pieces(start, length) for offset in range(begin, begin + run)]
    assert data_map.data_bytes == len(stream)
    assert found == stream[start : start + length]

"""Cutting: the same wherever the buffer ends, seeded per wedding, and back on the beat after an insertion."""

from __future__ import annotations

import random

import pytest
from blake3 import blake3
from hypothesis import given, settings
from hypothesis import strategies as st

from engine.base.units import MIB
from engine.pipeline.chunk import CHUNK_BYTES_MAX, CHUNK_BYTES_MIN, Cutter, refuse_slow_chunker

SEED = 0x1234_5678_9ABC
NOISE = random.Random(4).randbytes(24 * MIB)
KEY = bytes(range(32))


def _cut_in_units(data: bytes, unit_bytes: int, seed: int = SEED) -> list[int]:
    """As a segment is cut: each unit begins at the last cut."""
    view = memoryview(bytearray(data))
    lengths: list[int] = []
    start = 0
    while start < len(data):
        unit = view[start : start + unit_bytes]
        cut = Cutter(seed).cut(unit, is_end=start + len(unit) == len(data))
        assert cut, "a unit is longer than the longest chunk"
        lengths += cut
        start += sum(cut)
    return lengths


@settings(max_examples=15)
@given(size=st.integers(0, len(NOISE)), unit=st.sampled_from((5 * MIB, 5 * MIB + 1, 8 * MIB - 7, 16 * MIB)))
def test_cuts_do_not_depend_on_where_a_unit_ends(size: int, unit: int) -> None:
    """So a file read in other units, or resumed, is found to be stored already."""
    data = NOISE[:size]
    whole = Cutter(SEED).cut(memoryview(bytearray(data)), is_end=True)
    assert _cut_in_units(data, unit) == whole
    assert sum(whole) == size
    assert all(CHUNK_BYTES_MIN <= length <= CHUNK_BYTES_MAX for length in whole[:-1])


def test_zeros_are_cut_at_the_most() -> None:
    """Data without a cut point: chunks of the largest size, and the rest; also when a unit ends on one."""
    zeros = bytes(4 * CHUNK_BYTES_MAX)
    for unit in (2 * CHUNK_BYTES_MAX, 2 * CHUNK_BYTES_MAX + 100):
        assert _cut_in_units(zeros, unit) == [CHUNK_BYTES_MAX] * 4
    assert _cut_in_units(zeros[:-5], 2 * CHUNK_BYTES_MAX) == [*[CHUNK_BYTES_MAX] * 3, CHUNK_BYTES_MAX - 5]


def test_another_wedding_is_cut_elsewhere() -> None:
    """The seed moves the cuts, so that equal chunks of two weddings do not look alike by their lengths."""
    assert _cut_in_units(NOISE, 16 * MIB, 1) != _cut_in_units(NOISE, 16 * MIB, 2)


def test_an_insertion_changes_only_the_chunks_around_it() -> None:
    """The point of cutting by content."""
    changed = NOISE[: 9 * MIB] + b"inserted" + NOISE[9 * MIB :]
    before, after = set(_ids(NOISE)), set(_ids(changed))
    assert len(after - before) <= 3
    assert len(after & before) >= len(before) - 3


def _ids(data: bytes) -> list[bytes]:
    view, hasher = memoryview(bytearray(data)), blake3()
    lengths, ids = Cutter(SEED).cut_and_name(view, KEY, hasher, is_end=True)
    assert hasher.digest() == blake3(data).digest()
    at = 0
    for length, chunk_id in zip(lengths, ids, strict=True):
        assert chunk_id == blake3(data[at : at + length], key=KEY).digest()
        at += length
    return ids


def test_what_is_not_cut_yet_is_not_hashed_yet() -> None:
    """The last chunk of a unit may go on in the next: it is left for it."""
    view, hasher = memoryview(bytearray(NOISE[: 6 * MIB])), blake3()
    lengths, ids = Cutter(SEED).cut_and_name(view, KEY, hasher, is_end=False)
    assert len(lengths) == len(ids)
    assert sum(lengths) < 6 * MIB
    assert hasher.digest() == blake3(NOISE[: sum(lengths)]).digest()


@pytest.mark.parametrize("size", [0, 1, CHUNK_BYTES_MIN])
def test_short_data_is_one_chunk_or_none(size: int) -> None:
    """Up to the smallest chunk."""
    assert Cutter(SEED).cut(memoryview(bytearray(size)), is_end=True) == ([size] if size else [])


def test_the_compiled_chunker_is_here() -> None:
    """Its Python twin would be refused at the start."""
    refuse_slow_chunker()

"""Segments of the parent that are named instead of written: only where writing would give the same bytes."""

from __future__ import annotations

import random
from collections.abc import Iterator

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from engine.base.errors import IntegrityError
from engine.pipeline import recorder
from engine.pipeline.recorder import Recorder
from engine.repository import manifest
from engine.repository.entry import FILE, FOLDER, Entry
from engine.repository.manifest import SegmentRef, SegmentWriter
from engine.repository.transaction import Transaction
from tests.vaults import WEDDING, Bench


@pytest.fixture
def transaction(bench: Bench) -> Iterator[Transaction]:
    """A job of a wedding."""
    with bench.repository.vault(WEDDING) as vault:
        yield Transaction(vault, bench.entropy)


@pytest.fixture(autouse=True)
def small_segments(monkeypatch: pytest.MonkeyPatch) -> None:
    """Manifests of a few entries a segment, none of them inline."""
    monkeypatch.setattr(manifest, "_SEGMENT_MODULUS", 4)
    monkeypatch.setattr(manifest, "SEGMENT_ENTRIES_MAX", 6)
    monkeypatch.setattr(recorder, "INLINE_ENTRIES_MAX", 0)


def _entry(number: int, mtime_ns: int = 1) -> Entry:
    path = b"source/%05d" % number
    return Entry(path=path, kind=FILE, mode=0o644, uid=0, gid=0, mtime_ns=mtime_ns, hash=bytes(32))


def _written(transaction: Transaction, entries: list[Entry]) -> tuple[SegmentRef, ...]:
    made = Recorder(transaction)
    for entry in entries:
        made.reserve(entry)
    return made.finish()[0]


def _writes(monkeypatch: pytest.MonkeyPatch) -> list[bytes]:
    """The paths of entries that are encoded from now on."""
    encoded: list[bytes] = []
    add = SegmentWriter.add

    def noting(writer: SegmentWriter, entry: Entry) -> manifest.Segment | None:
        encoded.append(entry.path)
        return add(writer, entry)

    monkeypatch.setattr(SegmentWriter, "add", noting)
    return encoded


@given(
    count=st.integers(0, 80),
    gone=st.sets(st.integers(0, 80), max_size=4),
    changed=st.sets(st.integers(0, 80), max_size=4),
    new=st.sets(st.integers(80, 160), max_size=4),
    seed=st.integers(0, 100),
)
def test_a_manifest_with_reused_segments_is_the_one_that_would_be_written(
    transaction: Transaction, count: int, gone: set[int], changed: set[int], new: set[int], seed: int
) -> None:
    """Whatever went, changed or came, and however the rows were cut; checkpoints on the way disturb nothing."""
    chance = random.Random(seed)
    parent = [_entry(2 * number) for number in range(count)]
    changes = {_entry(2 * number).path: _entry(2 * number, 9) for number in changed if number < count}
    changes |= {_entry(2 * number - 161).path: _entry(2 * number - 161, 9) for number in new}
    kept = {entry.path: entry for at, entry in enumerate(parent) if at not in gone}
    wanted = [entry for _, entry in sorted((kept | changes).items())]
    made = Recorder(transaction)
    made.compare_with(_written(transaction, parent))
    row: list[Entry] = []
    for entry in wanted:
        if entry.path not in changes:
            row.append(entry)
            if chance.random() < 0.8:
                continue
        made.reserve_row(row)
        row = []
        if entry.path in changes:
            made.reserve(entry)
        if chance.random() < 0.1:
            made.so_far()
    made.reserve_row(row)
    assert made.finish()[0] == _written(transaction, wanted)
    assert made.entries_total == len(wanted)


def test_only_what_lies_beside_a_change_is_encoded_again(
    transaction: Transaction, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A segment with a change in it, and the last, which may go on; every other is named."""
    parent = [_entry(number) for number in range(200)]
    refs = _written(transaction, parent)
    assert len(refs) > 20
    encoded = _writes(monkeypatch)
    made = Recorder(transaction)
    made.compare_with(refs)
    made.reserve_row(parent[:100])
    made.reserve(_entry(100, 9))
    made.reserve_row(parent[101:])
    segments, _ = made.finish()
    assert len(encoded) <= 2 * 6
    assert sum(ref in refs for ref in segments) >= len(refs) - 2


def test_a_segment_that_was_cut_short_is_joined_again(transaction: Transaction) -> None:
    """As a backup of touched files leaves one: what it held is written anew, up to where a segment ends."""
    parent = [_entry(number) for number in range(60)]
    refs = _written(transaction, parent)
    cut = next(at for at, ref in enumerate(refs) if ref.entries > 1)
    begin = sum(ref.entries for ref in refs[:cut])
    halves = (
        *_written(transaction, parent[begin : begin + 1]),
        *_written(transaction, parent[begin + 1 : begin + refs[cut].entries]),
    )
    made = Recorder(transaction)
    made.compare_with((*refs[:cut], *halves, *refs[cut + 1 :]))
    made.reserve_row(parent)
    assert made.finish()[0] == refs


def test_a_checkpoint_holds_a_segment_that_is_only_begun(transaction: Transaction) -> None:
    """Its entries so far are in the checkpoint, and named all the same when it is full."""
    parent = [_entry(number) for number in range(60)]
    refs = _written(transaction, parent)
    made = Recorder(transaction)
    made.compare_with(refs)
    within = next(at for at, ref in enumerate(refs) if ref.entries > 2)
    count = sum(ref.entries for ref in refs[:within]) + 2
    made.reserve_row(parent[:count])
    assert sum(ref.entries for ref in made.so_far()[0]) == count
    made.reserve_row(parent[count:])
    assert made.finish()[0] == refs


def test_an_entry_out_of_place_before_a_reused_segment_is_refused(transaction: Transaction) -> None:
    """No manifest that a reader would refuse is made."""
    parent = [_entry(number) for number in range(60)]
    refs = _written(transaction, parent)
    folder = msgspec.structs.replace(_entry(99), path=b"zzz", kind=FOLDER, hash=b"")
    made = Recorder(transaction)
    made.compare_with(refs)
    while made._writer.pending_entries or made._writer.entries_total == 0:
        made.reserve(folder)
        folder = msgspec.structs.replace(folder, path=folder.path + b"z")
    with pytest.raises(IntegrityError, match="out of order"):
        made.reserve_row(parent)

"""The manifest on its way: completed in any order, written in walk order, nothing missing at its end."""

from __future__ import annotations

import random
from collections.abc import Iterator

import pytest
from hypothesis import given
from hypothesis import strategies as st

from engine.base.invariants import BrokenInvariant
from engine.pipeline import recorder
from engine.pipeline.recorder import Recorder, with_chunks
from engine.repository.entry import FILE, INLINE_CHUNKS_MAX, Entry
from engine.repository.manifest import SegmentRef, decode_segment, read_entries
from engine.repository.transaction import Transaction
from engine.repository.vault import WeddingVault
from tests.vaults import WEDDING, Bench

Manifest = tuple[tuple[SegmentRef, ...], bytes]


@pytest.fixture
def vault(bench: Bench) -> Iterator[WeddingVault]:
    """A wedding at work."""
    with bench.repository.vault(WEDDING) as opened:
        yield opened


@pytest.fixture
def transaction(vault: WeddingVault, bench: Bench) -> Transaction:
    """A job of it."""
    return Transaction(vault, bench.entropy)


def _entry(number: int, **more: object) -> Entry:
    path = b"source/%05d" % number
    return Entry(path=path, kind=FILE, mode=0o644, uid=0, gid=0, mtime_ns=number, hash=bytes(32), **more)  # type: ignore[arg-type]


def _read(manifest: Manifest, transaction: Transaction) -> list[Entry]:
    segments, inline = manifest
    if inline:
        assert segments == ()
        return decode_segment(inline, "test")
    held = dict(transaction._metadata)
    return list(read_entries(segments, held.__getitem__))


@given(count=st.integers(0, 40), seed=st.integers(0, 1000), left_out=st.sets(st.integers(0, 40)))
def test_any_order_of_completion_gives_the_walk_order(
    transaction: Transaction, count: int, seed: int, left_out: set[int]
) -> None:
    """Some places are filled at once, some stay empty for good."""
    made = Recorder(transaction)
    waiting = []
    for number in range(count):
        if number % 5 == 0:
            made.reserve(_entry(number))
        else:
            waiting.append((number, made.reserve()))
    random.Random(seed).shuffle(waiting)
    for number, slot in waiting:
        made.complete(slot, None if number in left_out else _entry(number))
    expected = [_entry(number) for number in range(count) if number % 5 == 0 or number not in left_out]
    assert _read(made.finish(), transaction) == expected
    assert made.entries_total == len(expected)


def test_a_place_that_was_never_filled_is_not_passed_over(transaction: Transaction) -> None:
    """All entries behind it would be missing from the snapshot, in silence."""
    made = Recorder(transaction)
    made.reserve(_entry(1))
    made.reserve()
    made.reserve(_entry(3))
    with pytest.raises(BrokenInvariant):
        made.finish()


@pytest.mark.parametrize(("count", "is_inline"), [(0, False), (1, True), (256, True), (257, False)])
def test_a_small_manifest_goes_into_the_snapshot(transaction: Transaction, count: int, is_inline: bool) -> None:
    """Up to 256 entries."""
    made = Recorder(transaction)
    for number in range(count):
        made.reserve(_entry(number))
    segments, inline = made.finish()
    assert (bool(inline), bool(segments)) == (is_inline, count > 0 and not is_inline)
    assert _read((segments, inline), transaction) == [_entry(number) for number in range(count)]


def test_a_manifest_of_few_large_entries_is_no_small_one(transaction: Transaction) -> None:
    """Nor with more than 64 KiB."""
    made = Recorder(transaction)
    entries = [_entry(number, xattrs=((b"user.a", bytes(20_000)),)) for number in range(4)]
    for entry in entries:
        made.reserve(entry)
    manifest = made.finish()
    assert manifest[1] == b""
    assert _read(manifest, transaction) == entries


@pytest.mark.parametrize("count", [3, 300])
def test_a_checkpoint_holds_what_is_done_and_begun(transaction: Transaction, count: int) -> None:
    """Behind a place that is open, too; and recording goes on as if it had not been asked."""
    made = Recorder(transaction)
    for number in range(count):
        made.reserve(_entry(number))
    begun, open_one = made.reserve(), made.reserve()
    begun.unfinished = lambda: _entry(count, chunks=b"half" * 8)
    made.reserve(_entry(count + 2))
    kept = _read(made.so_far(), transaction)
    assert kept[:count] == [_entry(number) for number in range(count)]
    assert [entry.path for entry in kept[count:]] == [_entry(count).path, _entry(count + 2).path]
    made.complete(open_one, None)
    made.complete(begun, _entry(count))
    whole = _read(made.finish(), transaction)
    assert whole == [_entry(number) for number in (*range(count), count, count + 2)]


def test_chunk_lists_hold_ids_in_order(transaction: Transaction, monkeypatch: pytest.MonkeyPatch) -> None:
    """Inline up to 1,024; then in lists, each found by the id that the entry names."""
    monkeypatch.setattr(recorder, "_LIST_BYTES", 32 * 1000)
    ids = b"".join(number.to_bytes(32, "big") for number in range(INLINE_CHUNKS_MAX + 1000))
    inline = with_chunks(_entry(1), ids[: INLINE_CHUNKS_MAX * 32], bytes(32), transaction)
    assert (len(inline.chunks), inline.chunk_lists) == (INLINE_CHUNKS_MAX * 32, b"")
    listed = with_chunks(_entry(1), ids, bytes(32), transaction)
    assert (listed.chunks, len(listed.chunk_lists)) == (b"", 3 * 32)
    held = dict(transaction._metadata)
    assert b"".join(held[listed.chunk_lists[at : at + 32]] for at in range(0, 96, 32)) == ids


def test_the_same_segment_is_kept_once(transaction: Transaction) -> None:
    """Two jobs' manifests, or two places of one, with equal parts."""
    ids = {transaction.add_metadata(b"the same"), transaction.add_metadata(b"the same")}
    assert len(ids) == 1
    assert [content for _, content in transaction._metadata] == [b"the same"]

"""Manifests: entries in walk order, in segments whose ends depend on paths alone."""

from __future__ import annotations

import pytest
from blake3 import blake3
from hypothesis import given
from hypothesis import strategies as st
from msgspec.structs import replace

from engine.base.errors import IntegrityError
from engine.repository import codec
from engine.repository.entry import FOLDER, Entry, entry_problem
from engine.repository.manifest import (
    SEGMENT_BYTES_MAX,
    SEGMENT_ENTRIES_MAX,
    Segment,
    SegmentRef,
    SegmentWriter,
    decode_segment,
    encode_segment,
    read_entries,
    walk_order,
)
from tests.engine.repository.parts import entry_of
from tests.engine.repository.payloads import entries, manifests
from tests.strategies import names


def _segments(listed: list[Entry]) -> list[Segment]:
    writer = SegmentWriter()
    found = [writer.add(entry) for entry in listed]
    found.append(writer.flush())
    assert writer.entries_total == len(listed)
    return [segment for segment in found if segment is not None]


def _refs(segments: list[Segment]) -> tuple[list[SegmentRef], dict[bytes, bytes]]:
    stored = {blake3(segment.data).digest(): segment.data for segment in segments}
    refs = [
        SegmentRef(blake3(segment.data).digest(), segment.first_path, segment.entries, len(segment.data))
        for segment in segments
    ]
    return refs, stored


def _files(count: int) -> list[Entry]:
    return [entry_of(b"srv/%06d" % number, bytes(32), 600) for number in range(count)]


def _ends_by_hash(path: bytes) -> bool:
    return int.from_bytes(blake3(path).digest()[-2:], "big") % 1024 == 0


@given(manifests())
def test_any_manifest_comes_back(listed: list[Entry]) -> None:
    """What the writer takes, the reader takes, whole and in order."""
    refs, stored = _refs(_segments(listed))
    assert list(read_entries(refs, stored.__getitem__)) == listed
    if listed:
        assert decode_segment(encode_segment(listed).data, "it") == listed


@given(entries(), st.sampled_from(Entry.__struct_fields__), st.integers(-2, 2**64 - 1) | st.binary(max_size=33))
def test_writer_and_reader_refuse_the_same(entry: Entry, field: str, value: int | bytes) -> None:
    """A snapshot that was written can be read: no entry passes one and not the other."""
    if type(getattr(entry, field)) is not type(value):
        return
    changed = replace(entry, **{field: value})
    problem = entry_problem(changed)
    writer = SegmentWriter()
    if problem:
        with pytest.raises(IntegrityError):
            writer.add(changed)
        if not isinstance(value, int) or value >= -(2**63):
            with pytest.raises(IntegrityError):
                decode_segment(codec.encode([changed]), "it")
    else:
        writer.add(changed)
        assert decode_segment(codec.encode([changed]), "it") == [changed]


@given(st.lists(st.lists(names(), min_size=1, max_size=3).map(b"/".join), unique=True, max_size=12))
def test_the_order_is_that_of_components(paths: list[bytes]) -> None:
    """A folder, then all it holds, then what comes behind it: a space or a dash does not come between."""
    folders = [Entry(path, FOLDER, 0o755, 0, 0, 0) for path in sorted(paths, key=walk_order)]
    assert sum(segment.entries for segment in _segments(folders)) == len(paths)
    for before, after in zip(folders, folders[1:], strict=False):
        assert before.components < after.components
        writer = SegmentWriter()
        writer.add(after)
        with pytest.raises(IntegrityError):
            writer.add(before)
        with pytest.raises(IntegrityError):
            writer.add(after)


def test_segments_end_by_the_hash_of_the_path() -> None:
    """About every 1,024 entries, at places that no other entry moves."""
    listed = _files(6000)
    segments = _segments(listed)
    ends = [at for at, entry in enumerate(listed, 1) if _ends_by_hash(entry.path)]
    assert len(ends) > 2
    ended = []
    total = 0
    for segment in segments[:-1]:
        total += segment.entries
        ended.append(total)
    assert [end for end in ends if end < 6000] == [end for end in ended if _ends_by_hash(listed[end - 1].path)]
    assert all(segment.entries <= SEGMENT_ENTRIES_MAX for segment in segments)


def test_a_change_rewrites_its_own_segment_only() -> None:
    """All others are byte for byte those of before, so they are stored once."""
    before = _files(6000)
    middle = next(at for at in range(3000, 6000) if not _ends_by_hash(before[at].path))
    changed = [*before[:middle], replace(before[middle], mtime_ns=9), *before[middle + 1 :]]
    added = [*before[:middle], entry_of(before[middle - 1].path + b"+", bytes(32), 600), *before[middle:]]
    removed = [*before[:middle], *before[middle + 1 :]]
    old = {segment.data for segment in _segments(before)}
    for after in (changed, added, removed):
        new = [segment for segment in _segments(after) if segment.data not in old]
        assert len(new) <= 2


def test_segments_are_bounded_by_entries_and_bytes() -> None:
    """Where no path's hash ends one for long, and where entries are large."""
    writer = SegmentWriter()
    plain = (entry for entry in _files(20_000) if not _ends_by_hash(entry.path))
    segment = next(found for found in map(writer.add, plain) if found is not None)
    assert segment.entries == SEGMENT_ENTRIES_MAX
    large = SegmentWriter()
    heavy = (
        replace(entry, xattrs=((b"user.a", bytes(60_000)),)) for entry in _files(100) if not _ends_by_hash(entry.path)
    )
    segment = next(found for found in map(large.add, heavy) if found is not None)
    assert SEGMENT_BYTES_MAX <= len(segment.data) < SEGMENT_BYTES_MAX + 61_000


def test_a_writer_can_be_looked_at_without_ending_its_segment() -> None:
    """As a checkpoint does."""
    writer = SegmentWriter()
    assert writer.peek() is None
    first, second = _files(2)
    writer.add(first)
    seen = writer.peek()
    assert seen == encode_segment([first])
    assert (writer.pending_entries, writer.pending_bytes) == (1, len(seen.data) - 1)
    writer.add(second)
    assert writer.flush() == encode_segment([first, second])
    assert writer.flush() is None


@pytest.mark.parametrize("count", [1, 15, 16, 300])
def test_a_joined_segment_is_the_canonical_array(count: int) -> None:
    """The length in front has the shortest form."""
    listed = _files(count)
    assert encode_segment(listed).data == codec.encode(listed)


# --- reading -----------------------------------------------------------------------------------------


@given(st.integers(0, 299), st.sampled_from((b"", b"/below", b"+")))
def test_reading_begins_at_the_segment_that_may_hold_the_start(number: int, suffix: bytes) -> None:
    """Nothing from `start` on is left out, and what lies before is not fetched."""
    listed = _files(300)
    parts = [encode_segment(listed[at : at + 20]) for at in range(0, 300, 20)]
    refs, stored = _refs(parts)
    fetched: list[bytes] = []

    def fetch(segment_id: bytes) -> bytes:
        fetched.append(segment_id)
        return stored[segment_id]

    start = listed[number].path + suffix
    found = list(read_entries(refs, fetch, start=start))
    assert found == listed[300 - len(found) :]
    assert [entry for entry in listed if entry.components >= walk_order(start)] == [
        entry for entry in found if entry.components >= walk_order(start)
    ]
    assert fetched == [ref.id for ref in refs[number // 20 :]]


@pytest.mark.parametrize(
    "changes", [{"first_path": b"srv/000001"}, {"entries": 19}, {"size_bytes": 7}], ids=["first", "entries", "bytes"]
)
def test_a_segment_has_to_be_the_one_that_is_named(changes: dict[str, object]) -> None:
    """Its first path, its number of entries, its length."""
    refs, stored = _refs([encode_segment(_files(20))])
    with pytest.raises(IntegrityError):
        list(read_entries([replace(refs[0], **changes)], stored.__getitem__))


def test_segments_out_of_order_are_refused() -> None:
    """Also what lies below a file of the segment before."""
    first, second = encode_segment(_files(20)), encode_segment(_files(40)[20:])
    refs, stored = _refs([second, first])
    with pytest.raises(IntegrityError):
        list(read_entries(refs, stored.__getitem__))
    refs, stored = _refs([first, encode_segment([entry_of(b"srv/000019/below", bytes(32), 600)])])
    with pytest.raises(IntegrityError):
        list(read_entries(refs, stored.__getitem__))


def test_whoever_asks_to_be_told_reads_past_a_damaged_segment() -> None:
    """Its entries are lost, and no others."""
    listed = _files(60)
    refs, stored = _refs([encode_segment(listed[at : at + 20]) for at in (0, 20, 40)])
    stored[refs[1].id] = stored[refs[1].id][:-1]
    told: list[SegmentRef] = []
    found = list(read_entries(refs, stored.__getitem__, damaged=lambda ref, what: told.append(ref)))
    assert found == [*listed[:20], *listed[40:]]
    assert told == [refs[1]]

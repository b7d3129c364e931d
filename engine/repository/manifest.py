"""Manifests: entries in walk order, in segments that end by path hash (docs/format.md, section 6.5). Pure."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator

import msgspec

from engine.base.errors import IntegrityError, NotFound
from engine.base.invariants import check
from engine.base.units import MIB, format_count
from engine.repository import codec, crypto
from engine.repository.entry import FOLDER, Entry, entry_problem, path_text

SEGMENT_ENTRIES_MAX = 4096
SEGMENT_BYTES_MAX = 2 * MIB
_SEGMENT_MODULUS = 1024
_HEAD_BYTES_MAX = 5  # what comes before the entries of a segment

_encoder = msgspec.msgpack.Encoder()


class SegmentRef(msgspec.Struct, frozen=True, array_like=True, forbid_unknown_fields=True):
    """What a snapshot keeps of one segment."""

    id: bytes
    first_path: bytes
    entries: int
    size_bytes: int


class Segment(msgspec.Struct, frozen=True):
    """One finished segment."""

    data: bytes
    first_path: bytes
    entries: int


class SegmentWriter:
    """Takes entries in walk order, gives segments back as they end. One thread at a time."""

    def __init__(self) -> None:
        self._encoded: list[bytes] = []
        self._encoded_bytes = 0
        self._first_path = b""
        self._order = _Order()
        self.entries_total = 0

    @property
    def pending_entries(self) -> int:
        """Entries of the segment that has not ended."""
        return len(self._encoded)

    @property
    def pending_bytes(self) -> int:
        """Their size."""
        return self._encoded_bytes

    def add(self, entry: Entry) -> Segment | None:
        """Take one entry; the segment it ended, if it did. Raises IntegrityError for one that no reader would take."""
        problem = entry_problem(entry) or self._order.problem(entry)
        if problem:
            raise IntegrityError(f"the manifest would hold {problem}: {entry.path!r}")
        if not self._encoded:
            self._first_path = entry.path
        encoded = _encoder.encode(entry)
        self._encoded.append(encoded)
        self._encoded_bytes += len(encoded)
        self.entries_total += 1
        return self.flush() if _ends(entry.path, len(self._encoded), self._encoded_bytes) else None

    def pass_over(self, first: Entry, last: Entry) -> None:
        """A whole segment of another manifest comes here. Raises IntegrityError unless it fits in."""
        check(not self._encoded, "a segment begins where another has ended")
        problem = self._order.problem(first)
        if problem:
            raise IntegrityError(f"the manifest would hold {problem}: {first.path!r}")
        self._order = _Order(last)

    def peek(self) -> Segment | None:
        """The segment at hand as it would be now, without ending it."""
        if not self._encoded:
            return None
        return Segment(_join(self._encoded), self._first_path, len(self._encoded))

    def flush(self) -> Segment | None:
        """End the segment at hand; None when it is empty."""
        segment = self.peek()
        self._encoded = []
        self._encoded_bytes = 0
        return segment


def encode_segment(entries: Iterable[Entry]) -> Segment:
    """Entries as one segment."""
    listed = list(entries)
    return Segment(_join([_encoder.encode(entry) for entry in listed]), listed[0].path, len(listed))


def _join(encoded: list[bytes]) -> bytes:
    """A MessagePack array of what is encoded already."""
    count = len(encoded)
    if count < 16:
        head = bytes((0x90 | count,))
    elif count < 1 << 16:
        head = b"\xdc" + count.to_bytes(2, "big")
    else:
        head = b"\xdd" + count.to_bytes(4, "big")
    return head + b"".join(encoded)


def decode_segment(data: bytes, what: str) -> list[Entry]:
    """The entries of a segment. Raises IntegrityError for anything the format does not allow."""
    entries = codec.decode(data, list[Entry], what)
    order = _Order()
    for entry in entries:
        problem = entry_problem(entry) or order.problem(entry)
        if problem:
            raise IntegrityError(f"{what} holds {problem}")
    return entries


class _Order:
    """Entries one after another: each after the one before it, and in no file."""

    __slots__ = ("_above", "_place")

    def __init__(self, last: Entry | None = None) -> None:
        self._place = b""
        self._above = b""  # what nothing may begin with; empty: no bounds
        if last is not None:
            self.problem(last)

    def problem(self, entry: Entry) -> str:
        """What is wrong with `entry` as the next one, as the end of a sentence; empty when nothing is."""
        place = place_of(entry.path)
        if place <= self._place:
            return "an entry out of order"
        if self._above and place.startswith(self._above):
            return "an entry below one that is no folder"
        self._place = place
        self._above = place + b"\0" if entry.kind != FOLDER else b""
        return ""


def is_ended(ref: SegmentRef, last_path: bytes) -> bool:
    """Whether a segment with this last entry ends there whatever follows: not cut short, nor the last of a manifest."""
    return _ends(last_path, ref.entries, ref.size_bytes - _HEAD_BYTES_MAX)


def _ends(path: bytes, entries: int, encoded_bytes: int) -> bool:
    if entries >= SEGMENT_ENTRIES_MAX or encoded_bytes >= SEGMENT_BYTES_MAX:
        return True
    return int.from_bytes(crypto.hash_bytes(path)[-2:], "big") % _SEGMENT_MODULUS == 0


def place_of(path: bytes) -> bytes:
    """Sorts as the path's components do: a name has no NUL, and NUL comes before everything."""
    return path.replace(b"/", b"\0")


def walk_order(path: bytes) -> tuple[bytes, ...]:
    """What entries are sorted by."""
    return tuple(path.split(b"/"))


Damaged = Callable[[SegmentRef, str], None]  # told of a segment that cannot be read, and why


def entries_lost(segment: SegmentRef, what: str) -> str:
    """What a segment that cannot be read means for a person."""
    return f"{format_count(segment.entries, 'entry')} from {path_text(segment.first_path)} on: {what}"


def telling(warnings: list[str]) -> Damaged:
    """Adds what is lost to `warnings`, once each."""

    def damaged(segment: SegmentRef, what: str) -> None:
        said = entries_lost(segment, what)
        if said not in warnings:
            warnings.append(said)

    return damaged


def read_entries(
    segments: Iterable[SegmentRef],
    fetch: Callable[[bytes], bytes],
    *,
    start: bytes = b"",
    damaged: Damaged | None = None,
) -> Iterator[Entry]:
    """Entries of a manifest in walk order, one segment in memory; from the segment that may hold `start` on.

    A segment that cannot be read is passed over when there is somebody to tell, else its error is raised.
    """
    listed = list(segments)
    first = 0
    if start:
        wanted = walk_order(start)
        while first + 1 < len(listed) and walk_order(listed[first + 1].first_path) <= wanted:
            first += 1
    last: Entry | None = None
    for ref in listed[first:]:
        try:
            entries = _read_segment(ref, fetch, last)
        except (IntegrityError, NotFound) as error:
            if damaged is None:
                raise
            damaged(ref, error.message)
            continue
        last = entries[-1]
        yield from entries


def _read_segment(ref: SegmentRef, fetch: Callable[[bytes], bytes], last: Entry | None) -> list[Entry]:
    what = f"manifest segment {ref.id.hex()}"
    data = fetch(ref.id)
    entries = decode_segment(data, what)
    if not entries or (entries[0].path, len(entries), len(data)) != (ref.first_path, ref.entries, ref.size_bytes):
        raise IntegrityError(f"{what} is not the one its snapshot names")
    problem = _Order(last).problem(entries[0])
    if problem:
        raise IntegrityError(f"{what} holds {problem}")
    return entries

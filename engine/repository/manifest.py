"""Manifests: entries in walk order, in segments that end by path hash (docs/format.md, section 6.5). Pure."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass

import msgspec

from engine.base.errors import IntegrityError, NotFound
from engine.base.units import MIB
from engine.repository import codec, crypto
from engine.repository.entry import FOLDER, Entry, entry_problem

SEGMENT_ENTRIES_MAX = 4096
SEGMENT_BYTES_MAX = 2 * MIB
_SEGMENT_MODULUS = 1024

_encoder = msgspec.msgpack.Encoder()


class SegmentRef(msgspec.Struct, frozen=True, array_like=True, forbid_unknown_fields=True):
    """What a snapshot keeps of one segment."""

    id: bytes
    first_path: bytes
    entries: int
    size_bytes: int


@dataclass(frozen=True, slots=True)
class Segment:
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
        self._last: Entry | None = None
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
        problem = entry_problem(entry) or _order_problem(self._last, entry)
        if problem:
            raise IntegrityError(f"the manifest would hold {problem}: {entry.path!r}")
        self._last = entry
        if not self._encoded:
            self._first_path = entry.path
        encoded = _encoder.encode(entry)
        self._encoded.append(encoded)
        self._encoded_bytes += len(encoded)
        self.entries_total += 1
        ends = (
            int.from_bytes(crypto.hash_bytes(entry.path)[-2:], "big") % _SEGMENT_MODULUS == 0
            or len(self._encoded) >= SEGMENT_ENTRIES_MAX
            or self._encoded_bytes >= SEGMENT_BYTES_MAX
        )
        return self.flush() if ends else None

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
    last: Entry | None = None
    for entry in entries:
        problem = entry_problem(entry) or _order_problem(last, entry)
        if problem:
            raise IntegrityError(f"{what} holds {problem}")
        last = entry
    return entries


def _order_problem(last: Entry | None, entry: Entry) -> str:
    """What is wrong with `entry` coming after `last`, as the end of a sentence; empty when nothing is."""
    if last is None:
        return ""
    before, parts = last.components, entry.components
    if parts <= before:
        return "an entry out of order"
    if last.kind != FOLDER and parts[: len(before)] == before:
        return "an entry below one that is no folder"
    return ""


def walk_order(path: bytes) -> tuple[bytes, ...]:
    """What entries are sorted by."""
    return tuple(path.split(b"/"))


Damaged = Callable[[SegmentRef, str], None]  # told of a segment that cannot be read, and why


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
    problem = _order_problem(last, entries[0])
    if problem:
        raise IntegrityError(f"{what} holds {problem}")
    return entries

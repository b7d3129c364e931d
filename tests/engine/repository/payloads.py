"""Hypothesis strategies for what format 1 keeps: every payload struct, and entries that a manifest may hold."""

from __future__ import annotations

import datetime as dt
from typing import Any

from hypothesis import strategies as st

from engine.repository import entry as kinds
from engine.repository.entry import TIME_NS_MAX, TIME_NS_MIN, Entry
from engine.repository.fragment import FragmentObject
from engine.repository.keyring import SealingEpoch, SlotContents, WeddingSecrets
from engine.repository.leases import LeaseObject
from engine.repository.manifest import SegmentRef
from engine.repository.pack import FooterObject, PackEntry
from engine.repository.register import RegisterObject, StoredWedding
from engine.repository.repository import Chunker, ConfigObject
from engine.repository.snapshot import Counts, SnapshotObject, SnapshotWarning
from tests.strategies import names

IDS = st.binary(min_size=32, max_size=32)
WEDDINGS = st.binary(min_size=16, max_size=16)
TEXTS = st.text(st.characters(exclude_categories=["Cs"]), max_size=12)
TIMES_NS = st.integers(TIME_NS_MIN, TIME_NS_MAX)
COUNTS = st.integers(0, 2**63 - 1)

PACKS = st.builds(
    PackEntry, IDS, IDS, st.integers(1, 2**32 - 1), st.sampled_from((10, 11)), COUNTS, st.binary(max_size=99)
)
_EPOCHS = st.lists(st.builds(SealingEpoch, st.integers(1, 9), IDS), max_size=3).map(tuple)
_STORED_WEDDINGS = st.builds(
    StoredWedding,
    WEDDINGS,
    TEXTS,
    st.dates(dt.date(1900, 1, 1), dt.date(2200, 1, 1)),
    TEXTS,
    TEXTS,
    st.none() | st.tuples(st.floats(-90, 90), st.floats(-180, 180)),
    st.booleans(),
    COUNTS,
)
_SNAPSHOTS = st.builds(
    SnapshotObject,
    WEDDINGS,
    COUNTS,
    COUNTS,
    TEXTS,
    st.lists(st.binary(max_size=9), max_size=2).map(tuple),
    st.sampled_from(("same-day", "next-day", "standard")),
    st.lists(TEXTS, max_size=2).map(tuple),
    TEXTS,
    st.booleans(),
    st.lists(st.builds(SegmentRef, IDS, st.binary(max_size=9), COUNTS, COUNTS), max_size=2).map(tuple),
    st.binary(max_size=9),
    st.lists(PACKS, max_size=2).map(tuple),
    st.builds(Counts, COUNTS, COUNTS, COUNTS, COUNTS, COUNTS, COUNTS, COUNTS),
    st.lists(st.builds(SnapshotWarning, st.binary(max_size=9), TEXTS), max_size=2).map(tuple),
    TEXTS,
)


def payloads() -> st.SearchStrategy[Any]:
    """Any payload of a sealed object."""
    return st.one_of(
        st.builds(SlotContents, IDS, TEXTS, COUNTS),
        st.builds(ConfigObject, COUNTS, WEDDINGS, COUNTS, st.just(Chunker()), st.lists(TEXTS, max_size=2).map(tuple)),
        st.builds(WeddingSecrets, IDS, _EPOCHS),
        st.builds(RegisterObject, st.booleans(), st.lists(_STORED_WEDDINGS, max_size=2).map(tuple)),
        st.builds(LeaseObject, TEXTS, TEXTS, COUNTS, COUNTS, COUNTS),
        st.builds(FragmentObject, st.lists(PACKS, max_size=2).map(tuple), st.binary(max_size=64), st.just(b"")),
        st.builds(FooterObject, st.binary(max_size=99)),
        _SNAPSHOTS,
    )


@st.composite
def entries(draw: st.DrawFn, path: bytes | None = None) -> Entry:
    """An entry that a manifest may hold."""
    kind = draw(st.integers(kinds.FOLDER, kinds.BLOCK_DEVICE))
    more: dict[str, Any] = {}
    if kind == kinds.FILE:
        more["size"] = draw(COUNTS)
        more["hash"] = draw(IDS) if draw(st.booleans()) else b"\0" + draw(IDS)
        more[draw(st.sampled_from(("chunks", "chunk_lists")))] = b"".join(draw(st.lists(IDS, max_size=3)))
        more["extents"] = draw(_extents(more["size"]))
        more["link_group"] = draw(COUNTS)
    elif kind == kinds.SYMLINK:
        more["target"] = draw(names())
    elif kind in (kinds.CHARACTER_DEVICE, kinds.BLOCK_DEVICE):
        more["device"] = draw(st.integers(0, 2**64 - 1))
    attributes = st.lists(st.tuples(names(), st.binary(max_size=9)), max_size=2)
    return Entry(
        draw(st.lists(names(), min_size=1, max_size=4).map(b"/".join)) if path is None else path,
        kind,
        draw(st.integers(0, 0o7777)),
        draw(st.integers(0, 2**32 - 1)),
        draw(st.integers(0, 2**32 - 1)),
        draw(TIMES_NS),
        ctime_ns=draw(COUNTS),
        inode=draw(st.integers(0, 2**64 - 1)),
        xattrs=tuple(sorted(draw(attributes))),
        **more,
    )


@st.composite
def _extents(draw: st.DrawFn, size: int) -> tuple[tuple[int, int], ...]:
    points = sorted(draw(st.sets(st.integers(0, size), max_size=6)))
    found = tuple((begin, end - begin) for begin, end in zip(points[::2], points[1::2], strict=False))
    return found or draw(st.sampled_from(((), kinds.ALL_HOLE)))


@st.composite
def manifests(draw: st.DrawFn) -> list[Entry]:
    """Entries in order, everything below folders."""
    drawn = {entry.path: entry for entry in draw(st.lists(entries(), max_size=12))}
    found: list[Entry] = []
    blocked: tuple[bytes, ...] | None = None
    for entry in sorted(drawn.values(), key=lambda each: each.components):
        if blocked is not None and entry.components[: len(blocked)] == blocked:
            continue
        found.append(entry)
        blocked = None if entry.kind == kinds.FOLDER else entry.components
    return found

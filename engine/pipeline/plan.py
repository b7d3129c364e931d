"""What a restore needs: which files, which ranges of which packs. Pure but for reading the manifest and the index.

A batch of files is planned by pack: the blobs they need, sorted by place, near ones joined into one read, so that
each blob is fetched and opened once a batch, whatever the order of the files.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence

import msgspec

from engine.base.errors import IntegrityError, NotFound
from engine.base.units import KIB
from engine.contract.settings import UNIT_BYTES
from engine.pipeline.extents import DataMap
from engine.repository import layout
from engine.repository.crypto import DATA_PACK
from engine.repository.entry import FILE, Entry, path_text
from engine.repository.index import Location
from engine.repository.manifest import Damaged, telling, walk_order
from engine.repository.pack import ALIGNMENT_BYTES
from engine.repository.snapshot import Snapshot
from engine.repository.vault import WeddingVault

GAP_BYTES = 256 * KIB  # what is cheaper to read along than to ask for separately


class Selection(msgspec.Struct, frozen=True):
    """Which entries: all, or those at and below `paths` (no leading slash). `strip_prefix` is the target's business."""

    paths: tuple[bytes, ...] = ()
    strip_prefix: bytes = b""


class Piece(msgspec.Struct, frozen=True, gc=False):
    """Where a chunk goes: `pieces` of the file, in order, take up the chunk end to end."""

    chunk_id: bytes
    owner: int  # which file of the batch
    pieces: tuple[tuple[int, int], ...]  # (offset in the file, length)


class BlobUse(msgspec.Struct):
    """One blob, and what it is needed for."""

    location: Location  # of one of its chunks
    uses: list[tuple[Location, Piece]] = []


class Range(msgspec.Struct):
    """One read of one pack."""

    pack: bytes
    offset: int
    length: int
    blobs: list[BlobUse] = []


def outermost(paths: Iterable[bytes]) -> list[bytes]:
    """Paths in walk order, without those inside another."""
    kept: list[bytes] = []
    for path in sorted({path.strip(b"/") for path in paths}, key=walk_order):
        if not kept or not is_at_or_below(path, kept[-1]):
            kept.append(path)
    return kept


def is_at_or_below(path: bytes, folder: bytes) -> bool:
    """Whether `path` is `folder` or lies in it; the empty folder holds everything."""
    return not folder or path == folder or path.startswith(folder + b"/")


def selected(
    vault: WeddingVault, snapshot: Snapshot, selection: Selection, *, damaged: Damaged | None = None
) -> Iterator[Entry]:
    """The selected entries in walk order; reads only the manifest segments that may hold them.

    Raises IntegrityError, NotFound for a segment that cannot be read, unless there is `damaged` to tell of it.
    """
    if not selection.paths:
        yield from vault.entries(snapshot, damaged=damaged)
        return
    for path in outermost(selection.paths):
        wanted = walk_order(path)
        for entry in vault.entries(snapshot, start=path, damaged=damaged):
            if is_at_or_below(entry.path, path):
                yield entry
            elif entry.components > wanted:
                break


def place_chunks(
    entry: Entry, ids: Sequence[bytes], locations: Sequence[Location | None], *, data_offset: int, owner: int
) -> Iterator[tuple[Location, Piece]]:
    """Where each of a run of a file's chunks goes, holes left out. Stops at a chunk that is missing."""
    layout = DataMap(entry.size, entry.extents)
    for chunk_id, location in zip(ids, locations, strict=True):
        if location is None:
            return
        yield location, Piece(chunk_id, owner, tuple(layout.pieces(data_offset, location.length)))
        data_offset += location.length


def by_pack(needed: Iterable[tuple[Location, Piece]]) -> list[Range]:
    """Ranges to read, each no longer than a stream's buffer, in the order of first need."""
    packs: dict[bytes, dict[int, BlobUse]] = {}
    for location, piece in needed:
        blobs = packs.setdefault(location.pack.name, {})
        blob = blobs.get(location.offset)
        if blob is None:
            blob = blobs[location.offset] = BlobUse(location)
        blob.uses.append((location, piece))
    ranges: list[Range] = []
    for pack, blobs in packs.items():
        current: Range | None = None
        for offset in sorted(blobs):
            blob = blobs[offset]
            end = offset + blob.location.stored_bytes
            joins = (
                current is not None
                and offset - (current.offset + current.length) <= GAP_BYTES
                and _aligned_up(end) - current.offset <= UNIT_BYTES
            )
            if current is None or not joins:
                current = Range(pack, offset - offset % ALIGNMENT_BYTES, 0)
                ranges.append(current)
            current.length = _aligned_up(end) - current.offset
            current.blobs.append(blob)
    return ranges


def _aligned_up(offset: int) -> int:
    """Packs are a multiple of 4,096 bytes long, so a read that begins and ends on one can go past the page cache."""
    return -(-offset // ALIGNMENT_BYTES) * ALIGNMENT_BYTES


class PlanCounts(msgspec.Struct, frozen=True):
    """What a restore needs."""

    files: int
    bytes_restored: int
    packs: int
    bytes_fetched: int
    pack_sizes: dict[str, int] = {}  # by the names of their objects


def pack_sizes(vault: WeddingVault, snapshot: Snapshot | None, selection: Selection) -> dict[str, int]:
    """The data packs that a restore of `selection` reads, by the names of their objects; None: all of the wedding."""
    if snapshot is not None:
        return plan(vault, snapshot, selection, []).pack_sizes
    wedding = vault.keys.wedding
    return {layout.pack(wedding, each.name): each.size for each in vault.index.packs() if each.pack_type == DATA_PACK}


def plan(vault: WeddingVault, snapshot: Snapshot, selection: Selection, warnings: list[str]) -> PlanCounts:
    """Count what a restore of `selection` needs. Blobs shared by files count once; what is lost goes to `warnings`."""
    files = bytes_restored = bytes_fetched = 0
    blobs: set[tuple[bytes, int]] = set()
    sizes: dict[bytes, int] = {}
    groups: set[int] = set()
    for entry in selected(vault, snapshot, selection, damaged=telling(warnings)):
        if entry.kind != FILE:
            continue
        files += 1
        bytes_restored += entry.size
        if entry.link_group:
            if entry.link_group in groups:
                continue
            groups.add(entry.link_group)
        try:
            ids = vault.chunk_ids(entry)
        except (IntegrityError, NotFound) as error:
            warnings.append(f"{path_text(entry.path)}: {error.message}")
            continue
        for location in vault.places([ids[at : at + 32] for at in range(0, len(ids), 32)]):
            if location is not None and (location.pack.name, location.offset) not in blobs:
                blobs.add((location.pack.name, location.offset))
                bytes_fetched += location.stored_bytes
                sizes[location.pack.name] = location.pack.size
    named = {layout.pack(vault.keys.wedding, name): size for name, size in sizes.items()}
    return PlanCounts(files, bytes_restored, len(named), bytes_fetched, named)

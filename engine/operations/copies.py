"""How many copies there are of what one snapshot needs, counted by region. Blocks; on the executor.

Counted is what a listing of each place shows and was read back whole since it was written: packs by the copy catalog,
the snapshot and the key here and now. A place that does not answer has no copies, and says so.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping

import msgspec

from engine.base.errors import WedSyncError
from engine.base.units import format_time
from engine.contract.receipts import PlaceCopies
from engine.contract.weddings import Wedding
from engine.operations import copysurvey
from engine.operations.context import Engine
from engine.repository import crypto, layout
from engine.repository.entry import FILE
from engine.repository.snapshot import Snapshot
from engine.repository.vault import WeddingVault
from engine.storage.locations import Copy, pack_of
from engine.storage.stores.store import ObjectStore

_AT_A_TIME = 1024
_SMALL_BYTES_MAX = 64 << 20


class Needed(msgspec.Struct, frozen=True):
    """What a restore of one snapshot needs."""

    snapshot: Snapshot
    objects: frozenset[str]  # names: packs of both kinds, the wedding's newest key, the snapshot
    missing: int  # chunks that are in no pack

    @property
    def packs(self) -> frozenset[str]:
        """The packs among them."""
        return frozenset(name for name in self.objects if pack_of(name) is not None)


class CopyCount(msgspec.Struct, frozen=True):
    """Regions that hold the object with the fewest: `listed` there, and `read_back`. `places` hold anything of it."""

    listed: tuple[str, ...]
    read_back: tuple[str, ...]
    places: tuple[PlaceCopies, ...]
    problems: tuple[str, ...]


def needed_of(vault: WeddingVault, snapshot: Snapshot) -> Needed:
    """All that a restore of `snapshot` needs."""
    wedding = vault.keys.wedding
    keys = [info.name for info in vault.store.list(layout.wedding_keys(wedding))]
    newest = max(keys, key=lambda name: layout.number_of(name, layout.wedding_keys(wedding)) or 0)
    packs: set[bytes] = set()
    missing = sum(_placed(vault, ids, pack_type, packs) for pack_type, ids in _chunks(vault, snapshot))
    names = (layout.pack(wedding, name) for name in packs)
    return Needed(snapshot, frozenset((layout.snapshots(wedding) + snapshot.id, newest, *names)), missing)


def count_copies(engine: Engine, vault: WeddingVault, wedding: Wedding, needed: Needed) -> CopyCount:
    """The copies of all that is needed, as they are known and listed now."""
    found = copysurvey.survey(engine, wedding)
    problems = [f"{place} does not tell what it holds: {why}" for place, why in sorted(found.silent.items())]
    held = {name: list(found.held.get(name, {}).values()) for name in needed.objects}
    for name in needed.objects - needed.packs:
        held[name] = _compared(vault, name, held[name], copysurvey.places_of(engine))
    if wedding.regions and engine.settings.regions:  # what lies elsewhere is to be taken away from there
        held = {name: [each for each in found if _region(each) in wedding.regions] for name, found in held.items()}
    if lost := sum(not any(copy.state == "good" for copy in copies) for copies in held.values()):
        problems.append(f"{lost} of {len(held)} objects of this snapshot are in no place; run verify")
    if needed.missing:
        problems.append(f"{needed.missing} chunks of this snapshot are missing; run verify")
    packs = [copy for name in needed.packs for copy in held[name]]
    places = sorted({copy.place for copies in held.values() for copy in copies if copy.state == "good"})
    return CopyCount(
        _fewest(_regions(copy for copy in copies if copy.state == "good") for copies in held.values()),
        _fewest(_regions(copy for copy in copies if copysurvey.is_read_back(copy)) for copies in held.values()),
        tuple(_summed(place, [copy for copy in packs if copy.place == place]) for place in places),
        tuple(problems),
    )


def _compared(vault: WeddingVault, name: str, copies: Iterable[Copy], places: Mapping[str, ObjectStore]) -> list[Copy]:
    """The copies of a small object, each read now: it is good where it has the bytes that the repository goes by."""
    right = vault.store.get(name, limit_bytes=_SMALL_BYTES_MAX)
    compared: list[Copy] = []
    for copy in copies:
        try:
            is_good = places[copy.place].get(name, limit_bytes=_SMALL_BYTES_MAX) == right
        except WedSyncError:
            is_good = False
        compared.append(Copy(copy.place, copy.size_bytes, "good" if is_good else "bad", verified_ns=int(is_good)))
    return compared


def _regions(copies: Iterable[Copy]) -> frozenset[str]:
    return frozenset(map(_region, copies))


def _region(copy: Copy) -> str:
    return copy.place.partition("/")[2]


def _fewest(regions: Iterable[frozenset[str]]) -> tuple[str, ...]:
    found: frozenset[str] = min(regions, key=len, default=frozenset())
    return tuple(sorted(found))


def _summed(place: str, copies: Iterable[Copy]) -> PlaceCopies:
    good = [copy for copy in copies if copy.state == "good"]
    read_ns = [copy.verified_ns for copy in good if copysurvey.is_read_back(copy)]
    return PlaceCopies(
        place=place,
        copies=len(good),
        bytes=sum(copy.size_bytes for copy in good),
        read_back=len(read_ns),
        verified=format_time(min(read_ns)) if read_ns else "",
    )


def _chunks(vault: WeddingVault, snapshot: Snapshot) -> Iterator[tuple[int, list[bytes]]]:
    """The chunks of a snapshot by kind of pack, some thousand at a time."""
    metadata = [segment.id for segment in snapshot.body.segments]
    data: list[bytes] = []
    for entry in vault.entries(snapshot):
        if entry.kind != FILE:
            continue
        metadata += _split(entry.chunk_lists)
        data += _split(vault.chunk_ids(entry))
        if len(data) > _AT_A_TIME:
            yield crypto.DATA_PACK, data
            data = []
    yield crypto.DATA_PACK, data
    yield crypto.METADATA_PACK, metadata


def _placed(vault: WeddingVault, ids: list[bytes], pack_type: int, packs: set[bytes]) -> int:
    """Add the packs of these chunks; how many are in none."""
    found = vault.places(ids, pack_type)
    packs.update(location.pack.name for location in found if location is not None)
    return found.count(None)


def _split(ids: bytes) -> list[bytes]:
    return [ids[at : at + 32] for at in range(0, len(ids), 32)]

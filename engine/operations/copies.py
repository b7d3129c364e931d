"""How many copies there are of what one snapshot needs, counted by region. Blocks; on the executor.

Counted is what a listing of each place shows, less what the catalog knows to be bad or half-written. A place that does
not answer has no copies, and says so.
"""

from __future__ import annotations

from collections.abc import Iterator

import msgspec

from engine.base.errors import WedSyncError
from engine.contract.tiers import place_of
from engine.operations.context import Engine
from engine.repository import crypto, layout
from engine.repository.entry import FILE
from engine.repository.snapshot import Snapshot
from engine.repository.vault import WeddingVault
from engine.storage.stores.store import ObjectStore

_AT_A_TIME = 1024


class CopyCount(msgspec.Struct, frozen=True):
    """`fewest`: regions that hold the object with the fewest. `places` hold anything of it."""

    fewest: int
    regions: tuple[str, ...]
    places: tuple[str, ...]
    problems: tuple[str, ...]


def count_copies(engine: Engine, vault: WeddingVault, snapshot: Snapshot) -> CopyCount:
    """The copies of all that a restore of `snapshot` needs."""
    stack = engine.opening.stack
    places = dict(stack.places) if stack is not None else {place_of("hot"): vault.store}
    problems: list[str] = []
    needed = set(_needed(vault, snapshot, problems))
    held: dict[str, set[str]] = {name: set() for name in needed}
    used: set[str] = set()
    for place, store in sorted(places.items()):
        region = place.partition("/")[2]
        try:
            bad = _bad_in(engine, place, vault) if len(places) > 1 else frozenset()
            for name in _listed(store, vault):
                if name in needed and name not in bad:
                    held[name].add(region)
                    used.add(place)
        except WedSyncError as error:
            problems.append(f"{place} does not tell what it holds: {error.message}")
    fewest = min(held.values(), key=len, default=set())
    lost = sum(not regions for regions in held.values())
    if lost:
        problems.append(f"{lost} of {len(held)} objects of this snapshot are in no place; run verify")
    return CopyCount(len(fewest), tuple(sorted(fewest)), tuple(sorted(used)), tuple(problems))


def _needed(vault: WeddingVault, snapshot: Snapshot, problems: list[str]) -> Iterator[str]:
    """Names of objects: the snapshot, the wedding's newest key, packs of metadata and data."""
    wedding = vault.keys.wedding
    yield layout.snapshots(wedding) + snapshot.id
    keys = [info.name for info in vault.store.list(layout.wedding_keys(wedding))]
    yield max(keys, key=lambda name: layout.number_of(name, layout.wedding_keys(wedding)) or 0)
    packs: set[bytes] = set()
    missing = 0
    metadata = [segment.id for segment in snapshot.body.segments]
    data: list[bytes] = []
    for entry in vault.entries(snapshot):
        if entry.kind != FILE:
            continue
        metadata += _split(entry.chunk_lists)
        data += _split(vault.chunk_ids(entry))
        if len(data) > _AT_A_TIME:
            missing += _placed(vault, data, crypto.DATA_PACK, packs)
            data.clear()
    missing += _placed(vault, data, crypto.DATA_PACK, packs)
    missing += _placed(vault, metadata, crypto.METADATA_PACK, packs)
    if missing:
        problems.append(f"{missing} chunks of this snapshot are missing; run verify")
    yield from (layout.pack(wedding, name) for name in packs)


def _placed(vault: WeddingVault, ids: list[bytes], pack_type: int, packs: set[bytes]) -> int:
    """Add the packs of these chunks; how many are in none."""
    found = vault.places(ids, pack_type)
    packs.update(location.pack.name for location in found if location is not None)
    return found.count(None)


def _split(ids: bytes) -> list[bytes]:
    return [ids[at : at + 32] for at in range(0, len(ids), 32)]


def _listed(store: ObjectStore, vault: WeddingVault) -> Iterator[str]:
    return (info.name for info in store.list(layout.wedding_folder(vault.keys.wedding)))


def _bad_in(engine: Engine, place: str, vault: WeddingVault) -> frozenset[str]:
    known = engine.home.locations().of_wedding(vault.keys.wedding.hex())
    return frozenset(
        name for name, copies in known if any(copy.place == place and copy.state != "good" for copy in copies)
    )

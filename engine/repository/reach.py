"""What snapshots reach: the chunks, manifest segments and chunk lists that they need, and so the packs.

In: snapshots of an opened wedding. Out: keys by pack type, 24 bytes of each id, in flat memory. A segment that several
snapshots share is walked once.
"""

from __future__ import annotations

import threading

from engine.base.errors import Unavailable
from engine.repository import layout, snapshot
from engine.repository.crypto import DATA_PACK, METADATA_PACK
from engine.repository.entry import Entry
from engine.repository.index import KEY_BYTES
from engine.repository.manifest import SegmentRef, decode_segment
from engine.repository.snapshot import Snapshot
from engine.repository.table import Table
from engine.repository.vault import WeddingVault


class Reach:
    """The chunks that some snapshots reach. Any thread; `add` reads outside its lock."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self.keys = {pack_type: Table(key_bytes=KEY_BYTES, value_bytes=0) for pack_type in (DATA_PACK, METADATA_PACK)}

    def new_segments(self, snapshots: list[Snapshot]) -> list[SegmentRef]:
        """Segments of these snapshots that were not walked yet, each once."""
        walked = self.keys[METADATA_PACK]
        found = {ref.id: ref for item in snapshots for ref in item.body.segments if ref.id[:KEY_BYTES] not in walked}
        return list(found.values())

    def add(self, vault: WeddingVault, snapshot: Snapshot) -> None:
        """Everything that a snapshot reaches. Raises IntegrityError, NotFound where that cannot be known."""
        for ref in self.new_segments([snapshot]):
            self.add_segment(vault, ref)
        self.add_inline(vault, snapshot)

    def add_inline(self, vault: WeddingVault, snapshot: Snapshot) -> None:
        """What the entries reach that a snapshot carries itself."""
        if snapshot.body.inline_entries:
            what = f"the manifest of snapshot {snapshot.id}"
            self._add_entries(vault, decode_segment(snapshot.body.inline_entries, what))

    def add_segment(self, vault: WeddingVault, ref: SegmentRef) -> None:
        """A segment and what its entries reach."""
        self._add_entries(vault, decode_segment(vault.read_metadata(ref.id), f"manifest segment {ref.id.hex()}"))
        with self._lock:
            self.keys[METADATA_PACK].add(ref.id[:KEY_BYTES], b"")

    def _add_entries(self, vault: WeddingVault, entries: list[Entry]) -> None:
        ids = [vault.chunk_ids(entry) for entry in entries]
        with self._lock:
            chunks, metadata = self.keys[DATA_PACK], self.keys[METADATA_PACK]
            for entry, chunk_ids in zip(entries, ids, strict=True):
                for at in range(0, len(chunk_ids), 32):
                    chunks.add(chunk_ids[at : at + KEY_BYTES], b"")
                for at in range(0, len(entry.chunk_lists), 32):
                    metadata.add(entry.chunk_lists[at : at + KEY_BYTES], b"")

    def ask_footers(self, vault: WeddingVault) -> None:
        """Let the vault look for what the index lacks in packs that no index names."""
        for pack_type, table in self.keys.items():
            keys = [key for key, _ in table.rows()]
            missing = [
                key for key, is_missing in zip(keys, vault.index.missing(keys, pack_type), strict=True) if is_missing
            ]
            if missing:
                vault.places(missing, pack_type)


def require_whole(vault: WeddingVault, committed: Snapshot) -> None:
    """Raise Unavailable, and take the snapshot back, unless everything it reaches is in packs that are there to stay.

    For a snapshot that was written when the engine may have been taken for dead: packs that it reaches may have been
    pruned before it stood. Raises what the store raises.
    """
    if is_whole(vault, committed):
        return
    snapshot.delete(vault.store, vault.keys, committed.id)
    raise Unavailable("what this backup relied on was pruned while its engine did not answer", "it is made anew")


def is_whole(vault: WeddingVault, committed: Snapshot) -> bool:
    """Whether everything that a snapshot reaches is in packs that are in the store, and not marked for deletion."""
    fresh = vault.afresh()
    there = stored_packs(fresh).keys() - fresh.marked()
    reach = Reach()
    reach.add(fresh, committed)
    return all(
        any(place.pack.name in there for place in fresh.index.places(key, pack_type))
        for pack_type, table in reach.keys.items()
        for key, _ in table.rows()
    )


def stored_packs(vault: WeddingVault) -> dict[bytes, tuple[int, int]]:
    """The packs in the store: name → size in bytes, and when the store says they were made, in ns."""
    found = {}
    for info in vault.store.list(layout.packs(vault.keys.wedding)):
        last = info.name.rpartition("/")[2]
        if layout.is_hash(last):
            found[bytes.fromhex(last)] = (info.size_bytes, info.modified_ns)
    return found

"""Records of packs, read again from where they stand: memory keeps only where each chunk lies."""

from __future__ import annotations

import contextlib
from collections.abc import Collection, Iterator

from engine.base.errors import IntegrityError, NotFound
from engine.repository import fragment, snapshot
from engine.repository.pack import PackEntry
from engine.repository.vault import WeddingVault


def with_records(vault: WeddingVault, names: Collection[bytes]) -> list[PackEntry]:
    """The entries of some packs with their records, as far as fragments and snapshots that can be read have them."""
    found: dict[bytes, PackEntry] = {}
    for packs in _listed(vault):
        found |= {entry.name: entry for entry in packs if entry.name in names}
    return list(found.values())


def _listed(vault: WeddingVault) -> Iterator[tuple[PackEntry, ...]]:
    for name in vault.fragments():
        with contextlib.suppress(IntegrityError, NotFound):
            yield fragment.read(vault.store, vault.keys, name).packs
    for item in vault.snapshots(partial=True):
        with contextlib.suppress(IntegrityError, NotFound):
            yield snapshot.read(vault.store, vault.keys, item.id).body.inline_packs

"""Index fragments joined into few, and what no longer counts left out (docs/format.md, section 6.4).

Nothing is deleted before what takes its place was read again and found to hold all of it: compacting an index is where
backup programs have lost data. Two engines may merge at once: what both wrote stands side by side.
"""

from __future__ import annotations

import contextlib

from engine.base.entropy import Entropy
from engine.base.errors import IntegrityError, NotFound
from engine.repository import fragment, layout
from engine.repository.pack import PackEntry
from engine.repository.vault import WeddingVault

MERGED_FROM = 16  # fragments; fewer are as quick to read


def merge(vault: WeddingVault, entropy: Entropy) -> int:
    """Join all fragments if there are many, or some list packs that count no longer; how many took the place of others.

    Raises IntegrityError when what was written does not read back; then nothing is gone.
    """
    inputs = vault.fragments()
    try:
        read = [fragment.read(vault.store, vault.keys, name) for name in inputs]
    except NotFound:
        return 0  # another engine merges
    dropped = frozenset(vault.dropped())
    entries = {entry.name: entry for each in read for entry in each.packs}
    live = {name: entry for name, entry in entries.items() if name not in dropped}
    if len(inputs) < MERGED_FROM and len(live) == len(entries):
        return 0
    outputs = fragment.write(vault.store, vault.keys, live.values(), entropy)
    _prove(vault, outputs, live, frozenset())
    folder = layout.fragments(vault.keys.wedding)
    replaced = frozenset(bytes.fromhex(name.removeprefix(folder)) for name in inputs)
    gone = fragment.Gone(dropped, replaced)  # said apart, and last: from now on readers may pass over what it replaces
    outputs += fragment.write(vault.store, vault.keys, (), entropy, gone)
    _prove(vault, outputs, live, dropped)
    for name in (*inputs, *vault.fragments(replaced=True)):  # also what a merge that was killed has left
        with contextlib.suppress(NotFound):
            vault.store.delete(name)
    return len(inputs)


def _prove(vault: WeddingVault, outputs: list[str], live: dict[bytes, PackEntry], dropped: frozenset[bytes]) -> None:
    """Read what was written as any reader would. Raises IntegrityError, NotFound unless all of it is there."""
    read = [fragment.read(vault.store, vault.keys, name) for name in outputs]
    found = {entry.name: entry for each in read for entry in each.packs}
    left_out = {each.dropped[at : at + 32] for each in read for at in range(0, len(each.dropped), 32)}
    if found != live or left_out != dropped:
        raise IntegrityError("a merged part of the index does not read back as it was written", "check this machine")

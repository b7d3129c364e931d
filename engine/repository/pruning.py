"""What of a wedding may go, and how it goes: facts for the rules, the choice of packs, and each step that deletes.

The steps are those of docs/format.md, section 6.8: snapshots are forgotten, packs that nothing reaches are marked, and
when no engine may rely on them any more they are dropped in the index and then deleted. `engine.pipeline.prune` takes
them in order.
"""

from __future__ import annotations

import contextlib
from collections.abc import Collection, Iterable, Iterator, Mapping

import msgspec

from engine.base.entropy import Entropy
from engine.base.errors import IntegrityError, NotFound, NotPermitted
from engine.base.units import MIB
from engine.repository import fragment, layout, snapshot
from engine.repository.index import Held
from engine.repository.manifest import decode_segment
from engine.repository.pack import PACK_TARGET_BYTES, PackEntry
from engine.repository.retention import Fact
from engine.repository.snapshot import Snapshot
from engine.repository.vault import WeddingVault

REPACKED_BELOW = 0.5  # of a pack's chunks are still needed
SMALL_PACK_BYTES = PACK_TARGET_BYTES // 4
SMALL_PACKS_MIN = 16  # of one type, before it is worth joining them
ORPHAN_AGE_S = 86_400.0  # before a pack that no index names is looked upon as left behind, not as being written
_CHOICE_BYTES_MAX = 1024 * MIB  # read again by one prune; the next one goes on


class Exempt(msgspec.Struct, frozen=True):
    """Packs that are judged otherwise: dropped ones are never young, damaged ones are not moved. `now_ns`: for ages."""

    dropped: Collection[bytes]
    damaged: Collection[bytes]
    now_ns: int


class Choice(msgspec.Struct, frozen=True):
    """Packs that may go: those that nothing reaches, and those whose chunks are worth moving. Name → size in bytes."""

    unreached: dict[bytes, int]
    repacked: dict[bytes, int]
    repacked_live_bytes: int  # about what of them is written again
    young_bytes: int  # of packs that no index names yet, left alone

    @property
    def freed_bytes(self) -> int:
        """About how much less the store will hold."""
        return sum(self.unreached.values()) + sum(self.repacked.values()) - self.repacked_live_bytes


def facts_of(found: Iterable[Snapshot], held: Collection[str]) -> list[Fact]:
    """What the rules need to know. `held`: ids of snapshots that have to stay; with "" all have."""
    return [
        Fact(
            id=item.id,
            series=series_of(item),
            time_ns=item.body.time_ns,
            ended_ns=item.body.ended_ns,
            partial=item.partial,
            held="" in held or item.id in held,
        )
        for item in found
    ]


def series_of(item: Snapshot) -> str:
    """Which snapshots may stand for this one: those of its host and sources; of a stream those of its name."""
    sources = item.body.sources
    if not sources and item.body.inline_entries:
        sources = tuple(entry.path for entry in decode_segment(item.body.inline_entries, "a stream's entry"))
    if not sources:
        return item.id  # nothing says what it is of: it stands alone
    return "\0".join((item.body.host, *(source.decode("utf-8", "surrogateescape") for source in sources)))


def refuse_unknown(vault: WeddingVault) -> None:
    """Raise IntegrityError where not all that snapshots need can be known: then nothing may go."""
    for problem in vault.problems:
        raise IntegrityError(f"nothing is pruned: {problem}", "run repair, or bring the object back from a copy")


def choose(
    held: Mapping[bytes, Held],
    stored: Mapping[bytes, tuple[int, int]],
    known: Mapping[bytes, PackEntry],
    exempt: Exempt,
) -> Choice:
    """Sort the packs. `stored`: size and age of those in the store; `known`: those of the index. Pure.

    The age of orphans only avoids waste: one that is marked while it is being written is spared by its commit.
    """
    unreached: dict[bytes, int] = {}
    partly: list[tuple[float, bytes]] = []
    young_bytes = 0
    for name, (size_bytes, modified_ns) in stored.items():
        if name not in known:
            is_young = name not in exempt.dropped and exempt.now_ns - modified_ns < ORPHAN_AGE_S * 1e9
            if is_young:
                young_bytes += size_bytes
            else:
                unreached[name] = size_bytes
        elif not held[name].wanted_chunks:
            unreached[name] = size_bytes
        elif name not in exempt.damaged:
            partly.append((held[name].wanted_bytes / max(1, held[name].total_bytes), name))
    repacked: dict[bytes, int] = {}
    live_bytes = 0
    for share, name in sorted([*_sparse(partly), *_small(partly, known)]):
        if name not in repacked and live_bytes < _CHOICE_BYTES_MAX:
            repacked[name] = known[name].size
            live_bytes += round(share * known[name].size)
    return Choice(unreached, repacked, live_bytes, young_bytes)


def _sparse(packs: list[tuple[float, bytes]]) -> Iterator[tuple[float, bytes]]:
    return ((share, name) for share, name in packs if share < REPACKED_BELOW)


def _small(packs: list[tuple[float, bytes]], known: Mapping[bytes, PackEntry]) -> Iterator[tuple[float, bytes]]:
    """Packs of a type that has so many small ones that joining them saves requests."""
    by_type: dict[int, list[tuple[float, bytes]]] = {}
    for share, name in packs:
        if known[name].size < SMALL_PACK_BYTES:
            by_type.setdefault(known[name].pack_type, []).append((share, name))
    for small in by_type.values():
        if len(small) >= SMALL_PACKS_MIN:
            yield from small


# --- steps --------------------------------------------------------------------------------------------


def forget(vault: WeddingVault, snapshots: Iterable[Snapshot], entropy: Entropy) -> None:
    """Delete snapshots, once a fragment has the index entries that they carry. Raises NotPermitted."""
    going = list(snapshots)
    carried: list[PackEntry] = []
    for item in going:
        with contextlib.suppress(NotFound):
            carried += snapshot.read(vault.store, vault.keys, item.id).body.inline_packs
    if carried:
        fragment.write(vault.store, vault.keys, carried, entropy)
    with deleting():
        for item in going:
            snapshot.delete(vault.store, vault.keys, item.id)


def drop(vault: WeddingVault, packs: Collection[bytes], entropy: Entropy) -> None:
    """Let packs count no longer, durably; then they may be deleted in any order, by anyone."""
    if packs:
        fragment.write(vault.store, vault.keys, (), entropy, fragment.Gone(frozenset(packs)))


def delete(vault: WeddingVault, packs: Iterable[bytes]) -> None:
    """Delete packs that were dropped. Raises NotPermitted."""
    with deleting():
        for name in packs:
            with contextlib.suppress(NotFound):
                vault.store.delete(layout.pack(vault.keys.wedding, name))


@contextlib.contextmanager
def deleting() -> Iterator[None]:
    """Say in one line that a store lets nothing be deleted. Raises NotPermitted."""
    try:
        yield
    except NotPermitted as error:
        hint = "prune needs rights to delete; nothing is lost, and the next prune goes on"
        raise NotPermitted(f"the store lets nothing be deleted: {error.message}", hint) from None

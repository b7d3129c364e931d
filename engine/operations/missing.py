"""Packs that lie in no place at all, though the index of their wedding names them: looked for once a day, and told.

A pack that is nowhere looks like one that another engine pruned. The index tells them apart: a prune writes down what
it drops before it deletes. So a pack is missing that was named before the places were listed, is named still, and is
not marked for deletion. Rounds on the engine's loop, what blocks on the executor.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from functools import partial

import msgspec

from engine.base.errors import NotFound, Unavailable
from engine.jobs.offload import Means
from engine.repository import layout
from engine.repository.repository import Repository
from engine.repository.vault import WeddingVault
from engine.storage.locations import Locations, packs_of
from engine.storage.stack import Stack

LOOK_FOR_S = 0.2  # one round's share of a second
LOOK_AGAIN_S = 86_400.0  # at a wedding that has all its packs
TRY_AGAIN_S = 60.0  # at one that lacks some, or whose places do not answer

Look = Callable[[str], frozenset[str]]  # at a wedding: the packs that are missing. Blocks
Learn = Callable[[str, frozenset[str]], None]  # of a wedding's missing packs, into the catalog. Blocks


class MissingPacks:
    """What one engine knows of packs that lie nowhere. Engine loop only."""

    def __init__(self, means: Means) -> None:
        self._clock = means.clock
        self._offload = means.offload
        self._due_s: dict[str, float] = {}  # wedding → when it is looked at next
        self.since_ns: dict[str, Mapping[str, int]] = {}  # wedding → its missing packs, each since when that is known

    async def round(self, wedding_ids: Iterable[str], look: Look, learn: Learn) -> None:
        """Look at weddings that were not looked at lately. Raises what a look raises but for stores that are away."""
        wanted = tuple(wedding_ids)
        for gone in self.since_ns.keys() - set(wanted):
            del self.since_ns[gone]
        until_s = self._clock.monotonic_s() + LOOK_FOR_S
        for wedding_id in wanted:
            now_s = self._clock.monotonic_s()
            if now_s >= until_s:
                return
            if now_s < self._due_s.get(wedding_id, now_s):
                continue
            self._due_s[wedding_id] = now_s + TRY_AGAIN_S
            try:
                missing = await self._offload.run("missing", partial(look, wedding_id))
                if missing != self.since_ns.get(wedding_id, {}).keys():
                    await self._offload.run("missing", partial(learn, wedding_id, missing))
            except (Unavailable, NotFound):  # nobody can say now what is there; or the wedding was erased
                continue
            known, now_ns = self.since_ns.pop(wedding_id, {}), self._clock.now_ns()
            if missing:
                self.since_ns[wedding_id] = {name: known.get(name, now_ns) for name in missing}
            else:
                self._due_s[wedding_id] = now_s + LOOK_AGAIN_S


def find_missing(repository: Repository, stack: Stack, wedding_id: str) -> frozenset[str]:
    """The packs of a wedding that its index names and no place has. Blocks.

    Listed twice, for a pack that moved from a place not listed yet to one that was. Raises Unavailable unless every
    place answers.
    """
    with repository.vault(wedding_id) as vault:
        absent = _named(vault) - _listed(stack, wedding_id)
        if not absent:
            return absent
        absent -= _listed(stack, wedding_id)
        fresh = vault.afresh()
        marked = {layout.pack(vault.keys.wedding, name) for name in fresh.marked()}
        return (absent & _named(fresh)) - marked


def take_in(stack: Stack, locations: Locations, wedding_id: str, missing: frozenset[str]) -> None:
    """Let the catalog know that these packs of a wedding are missing, and where those lie that were. Blocks."""
    for place in stack.places:  # as of long ago: what is listed is learned, and no copy is missing for not being so
        locations.rebuild_wedding(place, wedding_id, stack.listed(place, packs_of(wedding_id)), begun_ns=0)
    for name in missing:
        for copy in locations.copies(name):
            if copy.place in stack.places:
                locations.record(name, msgspec.structs.replace(copy, state="missing"))


def _named(vault: WeddingVault) -> frozenset[str]:
    return frozenset(layout.pack(vault.keys.wedding, pack.name) for pack in vault.index.packs())


def _listed(stack: Stack, wedding_id: str) -> frozenset[str]:
    found: set[str] = set()
    for place in stack.places:
        found.update(info.name for info in stack.listed(place, packs_of(wedding_id)))
    return frozenset(found)

"""`TieredStore`: one store over hot, warm and cold. What is written goes to hot; packs may lie in any of them.

Only packs move (`weddings/ID/packs/HASH`), and `migrate` decides which: all else is always hot. A pack is read from the
fastest tier that the copy catalog says has a good copy; a copy that is missing, damaged or not to be had now gives way
to the next. A pack that the catalog does not know is hot, or wherever it is found. One that another engine has moved
is read on from its new place, and what lies where of its wedding is learned on the way, for whoever has to know what
is to be recalled. Any thread but an event loop's.
"""

from __future__ import annotations

import builtins
import heapq
from collections.abc import Callable, Iterator, Mapping, Sequence
from operator import attrgetter
from typing import TypeVar

from engine.base.errors import IntegrityError, NotFound, Unavailable, WedSyncError
from engine.contract.tiers import TIERS, Tier, tier_of
from engine.storage.locations import Locations, pack_of
from engine.storage.stores.names import check_name, check_prefix
from engine.storage.stores.store import ObjectInfo, ObjectStore, Space, StagedObject

Answer = TypeVar("Answer")
Learn = Callable[[str], None]  # by a wedding's id


def ignore_moved(_wedding_id: str) -> None:
    """Nobody moves packs but this engine."""


class TieredStore:
    """A store over tiers. See `ObjectStore` for what the methods promise."""

    def __init__(self, tiers: Mapping[Tier, ObjectStore], locations: Locations, learn: Learn = ignore_moved) -> None:
        """`tiers`: `hot`, and those of the others that are there. `learn`: where a wedding's packs lie by now."""
        self._tiers = {tier: tiers[tier] for tier in TIERS if tier in tiers}
        self._hot = tiers["hot"]
        self._locations = locations
        self._learn = learn

    @property
    def url(self) -> str:
        """See `ObjectStore.url`: of hot."""
        return self._hot.url

    def put(self, name: str, data: bytes) -> None:
        """See `ObjectStore.put`."""
        self._hot.put(name, data)

    def stage(self) -> StagedObject:
        """See `ObjectStore.stage`."""
        return self._hot.stage()

    def get(self, name: str, *, limit_bytes: int) -> bytes:
        """See `ObjectStore.get`."""
        return self._first(name, lambda store: store.get(name, limit_bytes=limit_bytes))

    def read_into(self, name: str, offset: int, buffer: memoryview) -> None:
        """See `ObjectStore.read_into`."""
        self._first(name, lambda store: store.read_into(name, offset, buffer))

    def list(self, prefix: str) -> Iterator[ObjectInfo]:
        """See `ObjectStore.list`: of packs, each once, wherever they lie."""
        check_prefix(prefix)
        if not _may_hold_packs(prefix):
            return self._hot.list(prefix)
        return _each_once(
            [self._hot.list(prefix)]
            + [
                (info for info in store.list(prefix) if pack_of(info.name) is not None)
                for tier, store in self._tiers.items()
                if tier != "hot"
            ]
        )

    def folders(self, prefix: str) -> tuple[str, ...]:
        """See `ObjectStore.folders`: a wedding that has only packs left in warm or cold has its folder in hot, too."""
        return self._hot.folders(prefix)

    def stat(self, name: str) -> ObjectInfo:
        """See `ObjectStore.stat`."""
        return self._first(name, lambda store: store.stat(name))

    def delete(self, name: str) -> None:
        """See `ObjectStore.delete`: every copy; the fastest last, so that one that is left is read like before."""
        check_name(name)
        if pack_of(name) is None:
            self._hot.delete(name)
            return
        found = False
        for store in reversed(self._tiers.values()):
            try:
                store.delete(name)
                found = True
            except NotFound:
                continue
        self._locations.forget(name)
        if not found:
            raise NotFound(f"{name} is not in the store")

    def space(self) -> Space:
        """See `ObjectStore.space`: of hot, where everything new goes."""
        return self._hot.space()

    def close(self) -> None:
        """See `ObjectStore.close`. The catalog stays open: it is not ours."""
        for store in self._tiers.values():
            store.close()

    def _first(self, name: str, ask: Callable[[ObjectStore], Answer]) -> Answer:
        """The answer of the first tier that has one. Raises what says most of why none has."""
        check_name(name)
        if pack_of(name) is None:
            return ask(self._hot)
        named = self._named(name)
        errors: builtins.list[WedSyncError] = []
        for tier in [*named, *(each for each in self._tiers if each not in named)]:
            try:
                found = ask(self._tiers[tier])
            except (NotFound, IntegrityError, Unavailable) as error:
                errors.append(error)
            else:
                if tier not in named:
                    self._learn_moved(name, errors[: len(named)])
                return found
        if len(errors) > len(named) and any(isinstance(error, Unavailable) for error in errors[len(named) :]):
            self._learn_moved(name, errors[: len(named)])  # as where it has to be recalled first
        raise max(errors, key=_gravity)

    def _named(self, name: str) -> builtins.list[Tier]:
        """The tiers in which there is a good copy by the catalog's word, the fastest first; hot, where it has none."""
        good = {tier_of(copy.place) for copy in self._locations.copies(name) if copy.state == "good"}
        return [tier for tier in self._tiers if tier in good] or ["hot"]

    def _learn_moved(self, name: str, errors: Sequence[WedSyncError]) -> None:
        """Somebody else has moved a pack, if no tier that was to have it has it."""
        parts = pack_of(name)
        if parts is not None and all(isinstance(error, NotFound) for error in errors):
            self._learn(parts[0].hex())


def _gravity(error: WedSyncError) -> int:
    """Damage says more than a store that does not answer, that more than one that lacks it."""
    return 2 if isinstance(error, IntegrityError) else 1 if isinstance(error, Unavailable) else 0


def _may_hold_packs(prefix: str) -> bool:
    """Whether packs can stand below a folder: the top, `weddings/`, a wedding's, its packs'."""
    parts = prefix.rstrip("/").split("/")
    return prefix in ("", "weddings/") or (parts[0] == "weddings" and (len(parts) == 2 or parts[2:] == ["packs"]))


def _each_once(listings: list[Iterator[ObjectInfo]]) -> Iterator[ObjectInfo]:
    """Sorted listings as one; of several of a name, the first."""
    last = ""
    for info in heapq.merge(*listings, key=attrgetter("name")):
        if info.name != last:
            last = info.name
            yield info

"""One copy of a pack, read whole where it lies and compared with its name; who keeps copies learns what it is.

The scrub reads copies this way, and so do `verify --copies` and receipts. Blocks; any thread.
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Mapping

import msgspec

from engine.base.clock import Clock
from engine.base.errors import IntegrityError, NotFound, WedSyncError
from engine.contract.tiers import Tier, tier_of
from engine.storage.locations import Copy, Locations
from engine.storage.replicas import ReplicatedStore
from engine.storage.replication import Replication
from engine.storage.stores.store import ObjectStore
from engine.storage.whole import hash_copy

_LOG = logging.getLogger(__name__)

Found = Callable[[str, Copy], None]  # object, what its copy in a place is now


class CopyChecker:
    """Reads single copies."""

    def __init__(self, places: Mapping[str, ObjectStore], locations: Locations, clock: Clock, found: Found) -> None:
        """`places`: the store of each; `found` is told what each copy that was read is now."""
        self.places = places
        self._locations = locations
        self._clock = clock
        self._found = found

    def check(self, name: str, copy: Copy) -> Copy:
        """What a copy is now: good, bad, or missing. Raises Unavailable and the like when it cannot be read now.

        One that is written or changed while it is read counts as read before that.
        """
        now_ns = self._clock.now_ns()
        store = self.places[copy.place]
        try:
            written_ns = store.stat(name).modified_ns
            size_bytes = hash_copy(name, store)
        except IntegrityError:
            found = msgspec.structs.replace(copy, state="bad")
        except NotFound:
            found = msgspec.structs.replace(copy, state="missing")
            if not self._is_expected(name, copy.place):  # let go meanwhile, by a prune or a migration
                return found
        else:
            found = Copy(copy.place, size_bytes, "good", written_ns, now_ns)
        self._found(name, found)
        return found

    def _is_expected(self, name: str, place: str) -> bool:
        return any(known.place == place and known.state == "good" for known in self._locations.copies(name))


class Findings:
    """What is done with what reading copies finds: the catalog keeps it, and what is not good is healed."""

    def __init__(self, replicated: Mapping[Tier, ReplicatedStore], locations: Locations) -> None:
        self._locations = locations
        self._replicated: dict[tuple[Tier, str], Replication] = {}
        for tier, store in replicated.items():
            self._replicated |= {(tier, region): store.shared for region in store.shared.regions}

    def found(self, name: str, copy: Copy) -> None:
        """A copy was read: keep what it is, and have it healed where it is not good."""
        region = copy.place.partition("/")[2]
        shared = self._replicated.get((tier_of(copy.place), region))
        if copy.state != "good":
            _LOG.warning("the copy of %s in %s is %s", name, copy.place, copy.state)
        try:
            self._locations.record(name, copy)
        except WedSyncError as error:
            _LOG.warning("the copy catalog was not told of %s in %s: %s", name, copy.place, error.line())
        if shared is None:
            return
        if copy.state == "good":
            shared.mark_good(name, region)
        elif copy.state == "bad":
            shared.mark_bad(name, region, size_bytes=copy.size_bytes)
        else:
            shared.queue.owe(name, [region], "copy", shared.clock.now_ns(), on_the_way=False)

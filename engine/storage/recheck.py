"""Which copies of a pack are good: each is read whole and compared with the name. For a pack that was read in vain.

A read of a few bytes cannot tell that they are wrong; whoever opens the seal can, and asks here. Afterwards reads go to
a good copy, and the bad ones wait in the catalog to be healed. Blocks; any thread.
"""

from __future__ import annotations

import logging
import mmap
from collections.abc import Mapping

import msgspec

from engine.base.clock import Clock
from engine.base.errors import NotFound, WedSyncError
from engine.contract.tiers import TIERS, tier_of
from engine.storage.locations import Copy, CopyState, Locations, pack_of
from engine.storage.stores.store import ObjectStore
from engine.storage.whole import PIECE_BYTES, is_whole

_LOG = logging.getLogger(__name__)


class Rechecker:
    """Looks at every copy of a pack."""

    def __init__(self, places: Mapping[str, ObjectStore], locations: Locations, clock: Clock) -> None:
        self._places = places
        self._locations = locations
        self._clock = clock

    def recheck(self, name: str) -> bool:
        """Whether there is a good copy; every copy that can be read now is noted as what it is."""
        if pack_of(name) is None:
            return False
        piece = memoryview(mmap.mmap(-1, PIECE_BYTES))
        known = {copy.place: copy for copy in self._locations.copies(name)}
        good = False
        for place, store in self._places.items():
            try:
                copy = self._looked_at(name, place, store, piece)
            except WedSyncError as error:  # it does not answer, or has to be recalled: what is known stays
                _LOG.info("the copy of %s in %s cannot be looked at: %s", name, place, error.line())
                continue
            if copy is None and place not in known:
                continue
            found = copy or msgspec.structs.replace(known[place], state="missing")
            good = good or found.state == "good"
            self._locations.record(name, found)
            if found.state != "good":
                _LOG.warning("the copy of %s in %s is %s", name, place, found.state)
        return good

    def verified(self, name: str) -> None:
        """A pack was read whole and is good: the copy that reads come to first."""
        for copy in sorted(self._locations.copies(name), key=lambda copy: TIERS.index(tier_of(copy.place))):
            if copy.state == "good":
                self._locations.record(name, msgspec.structs.replace(copy, verified_ns=self._clock.now_ns()))
                return

    def _looked_at(self, name: str, place: str, store: ObjectStore, piece: memoryview) -> Copy | None:
        """A copy as it is now; None where there is none."""
        try:
            found = store.stat(name)
            whole = is_whole(store, name, found.size_bytes, piece)
        except NotFound:
            return None
        state: CopyState = "good" if whole else "bad"
        return Copy(place, found.size_bytes, state, found.modified_ns, self._clock.now_ns() if whole else 0)

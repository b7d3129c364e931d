"""`RegionalStore`: one region alone, for who looks at one copy; and how the catalog learns of copies. Any thread."""

from __future__ import annotations

import logging
from collections.abc import Iterator

import msgspec

from engine.base.clock import Clock
from engine.base.errors import WedSyncError
from engine.contract.status import EndpointRow
from engine.storage.locations import Copy, Locations, pack_of
from engine.storage.region import Region
from engine.storage.replication import CopyEvent, NoteCopy, as_seen
from engine.storage.stores.store import ObjectInfo, Space, StagedObject

_LOG = logging.getLogger(__name__)


class RegionalStore:
    """A region as a store. See `ObjectStore` for what the methods promise."""

    def __init__(self, region: Region, *, owns: bool = False) -> None:
        """`owns`: closing it closes the region; else that is the replicated store's."""
        self._region = region
        self._owns = owns

    @property
    def url(self) -> str:
        """See `ObjectStore.url`."""
        return self._region.url

    def endpoints(self) -> tuple[EndpointRow, ...]:
        """See `Region.endpoints`."""
        return self._region.endpoints()

    def put(self, name: str, data: bytes) -> None:
        """See `ObjectStore.put`."""
        self._region.call(lambda store: store.put(name, data))

    def stage(self) -> StagedObject:
        """See `ObjectStore.stage`."""
        return self._region.call(lambda store: store.stage())

    def get(self, name: str, *, limit_bytes: int) -> bytes:
        """See `ObjectStore.get`."""
        return self._region.call(lambda store: store.get(name, limit_bytes=limit_bytes))

    def read_into(self, name: str, offset: int, buffer: memoryview) -> None:
        """See `ObjectStore.read_into`."""
        self._region.call(lambda store: store.read_into(name, offset, buffer))

    def list(self, prefix: str) -> Iterator[ObjectInfo]:
        """See `ObjectStore.list`."""
        return iter(as_seen(self._region.call(lambda store: store.list(prefix))))

    def folders(self, prefix: str) -> tuple[str, ...]:
        """See `ObjectStore.folders`."""
        return self._region.call(lambda store: store.folders(prefix))

    def stat(self, name: str) -> ObjectInfo:
        """See `ObjectStore.stat`."""
        return self._region.call(lambda store: store.stat(name))

    def delete(self, name: str) -> None:
        """See `ObjectStore.delete`."""
        self._region.call(lambda store: store.delete(name))

    def space(self) -> Space:
        """See `ObjectStore.space`."""
        return self._region.call(lambda store: store.space())

    def close(self) -> None:
        """See `ObjectStore.close`."""
        if self._owns:
            self._region.close()


def noting_in(locations: Locations, place_of_region: dict[str, str], clock: Clock) -> NoteCopy:
    """What tells the catalog of a tier's copies. What it cannot take is logged: listings tell it later."""

    def note(name: str, region: str, event: CopyEvent, size_bytes: int) -> None:
        if pack_of(name) is None:
            return
        try:
            _record(locations, name, Copy(place_of_region[region], size_bytes), event, clock.now_ns())
        except WedSyncError as error:
            _LOG.warning("the copy catalog was not told of %s in %s: %s", name, region, error.line())

    return note


def _record(locations: Locations, name: str, copy: Copy, event: CopyEvent, now_ns: int) -> None:
    if event == "gone":
        locations.forget(name, copy.place)
        return
    known = next((found for found in locations.copies(name) if found.place == copy.place), copy)
    size_bytes = copy.size_bytes or known.size_bytes
    if not size_bytes:
        return  # of a copy that nobody has written down nothing is known that could be kept
    if event == "written":
        found = msgspec.structs.replace(copy, written_ns=now_ns)
    elif event == "verified":
        found = msgspec.structs.replace(known, size_bytes=size_bytes, state="good", verified_ns=now_ns)
    else:
        found = msgspec.structs.replace(known, state="bad")
    locations.record(name, found)

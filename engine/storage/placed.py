"""`PlacedStore`: the store of one place; what is done to packs in it, the copy catalog learns.

Published: a copy is there. Deleted: it is not. Read in vain: it is missing, or bad, until somebody heals it. What the
catalog cannot take (its disk is full) is logged: listings tell it later, and no pack is held up for it. Any thread.
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import Future
from contextlib import contextmanager

import msgspec

from engine.base.clock import Clock
from engine.base.errors import IntegrityError, NotFound, WedSyncError
from engine.contract.status import EndpointRow
from engine.storage.locations import Copy, CopyState, Locations, pack_of
from engine.storage.stores.forwarding import ForwardingStage, ForwardingStore
from engine.storage.stores.store import InOrder, ObjectStore, StagedObject

_LOG = logging.getLogger(__name__)


class PlacedStore(ForwardingStore):
    """A store whose packs a catalog knows."""

    def __init__(self, store: ObjectStore, place: str, locations: Locations, clock: Clock) -> None:
        super().__init__(store)
        self.place = place
        self._locations = locations
        self._clock = clock

    def put(self, name: str, data: bytes) -> None:
        """See `ObjectStore.put`."""
        super().put(name, data)
        self._note_written(name, len(data))

    def stage(self) -> StagedObject:
        """See `ObjectStore.stage`."""
        return _PlacedStage(super().stage(), self._note_written)

    def get(self, name: str, *, limit_bytes: int) -> bytes:
        """See `ObjectStore.get`."""
        with self._noting(name):
            return super().get(name, limit_bytes=limit_bytes)

    def read_into(self, name: str, offset: int, buffer: memoryview) -> None:
        """See `ObjectStore.read_into`."""
        with self._noting(name):
            super().read_into(name, offset, buffer)

    def read_order(self, names: Sequence[str]) -> Sequence[str]:
        """See `InOrder.read_order`; where the store below has no order, as they are."""
        return self._store.read_order(names) if isinstance(self._store, InOrder) else names

    def delete(self, name: str) -> None:
        """See `ObjectStore.delete`."""
        try:
            super().delete(name)
        except NotFound:
            self._keep(name, lambda: self._locations.forget(name, self.place))
            raise
        self._keep(name, lambda: self._locations.forget(name, self.place))

    def endpoints(self) -> tuple[EndpointRow, ...]:
        """The ways to the store, where it lies in a bucket; none for any other."""
        ways: tuple[EndpointRow, ...] = getattr(self._store, "endpoints", tuple)()
        return ways

    # --- the catalog ---

    def _note_written(self, name: str, size_bytes: int) -> None:
        """A copy is there. One that is `writing` stays so: whoever copies says when it is known to be good."""

        def record() -> None:
            known = next((copy for copy in self._locations.copies(name) if copy.place == self.place), None)
            if known is None or known.state not in ("writing", "good"):
                self._locations.record(name, Copy(self.place, size_bytes, written_ns=self._clock.now_ns()))

        self._keep(name, record)

    @contextmanager
    def _noting(self, name: str) -> Iterator[None]:
        """Note what a read in vain says of a copy."""
        try:
            yield
        except (NotFound, IntegrityError) as error:
            state: CopyState = "missing" if isinstance(error, NotFound) else "bad"
            self._keep(name, lambda: self._mark(name, state))
            raise

    def _mark(self, name: str, state: CopyState) -> None:
        for copy in self._locations.copies(name):
            if copy.place == self.place and copy.state == "good":
                self._locations.record(name, msgspec.structs.replace(copy, state=state))
                _LOG.warning("the copy of %s in %s is %s", name, self.place, state)

    def _keep(self, name: str, change: Callable[[], None]) -> None:
        if pack_of(name) is None:
            return
        try:
            change()
        except WedSyncError as error:
            _LOG.warning("the copy catalog was not told of %s in %s: %s", name, self.place, error.line())


class _PlacedStage(ForwardingStage):
    def __init__(self, staged: StagedObject, note: Callable[[str, int], None]) -> None:
        super().__init__(staged)
        self._note = note

    def publish(self, name: str) -> Future[None]:
        size_bytes = self.size_bytes
        told: Future[None] = Future()
        told.set_running_or_notify_cancel()

        def done(published: Future[None]) -> None:
            error = published.exception()
            if error is not None:
                told.set_exception(error)
                return
            self._note(name, size_bytes)
            told.set_result(None)

        super().publish(name).add_done_callback(done)
        return told

"""One call to one region, and how what came of it is told. Any thread."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from concurrent.futures import CancelledError, Future
from contextlib import suppress

import msgspec
from blake3 import blake3

from engine.base.errors import Conflict, IntegrityError, NotFound, Unavailable, WedSyncError
from engine.storage.agreement import Answer, Reply
from engine.storage.region import STUCK_S, Region
from engine.storage.stores.store import ObjectInfo, ObjectStore
from engine.storage.tombstones import TOMBSTONES
from engine.storage.whole import hash_of


def create(name: str, data: bytes, store: ObjectStore) -> Answer:
    """Put an object; TAKEN where the name is. One that is there with these bytes is as good as created."""
    try:
        store.put(name, data)
    except Conflict:
        with suppress(NotFound, IntegrityError):
            if store.get(name, limit_bytes=len(data)) == data:
                return Reply.CREATED
        return Reply.TAKEN
    return Reply.CREATED


def tell(name: str, store: ObjectStore, *, limit_bytes: int = 1 << 40) -> Answer:
    """What a region holds under a name. Raises IntegrityError when it is larger, Unavailable."""
    try:
        return store.get(name, limit_bytes=limit_bytes)
    except NotFound:
        return Reply.ABSENT


def answer_of(future: Future[Answer]) -> Answer:
    """What a voter answers; one that fails or keeps us waiting has failed."""
    try:
        return future.result(timeout=STUCK_S)
    except (WedSyncError, TimeoutError, CancelledError):
        return Reply.FAILED


class Listing(msgspec.Struct, frozen=True):
    """What one region says of a folder: its first object, the others, and the marks of what was deleted."""

    head: ObjectInfo | None
    rest: Iterator[ObjectInfo]
    marks: list[str]


def begun(prefix: str, store: ObjectStore) -> Listing:
    """Begin a listing, up to its first object, which is what a bucket takes its time for."""
    found = store.list(prefix)
    head = next(found, None)
    return Listing(head, found, [info.name for info in store.list(TOMBSTONES + prefix)])


def hashed(name: str, store: ObjectStore, *, limit_bytes: int) -> bytes:
    """An object that is named by its hash. Raises NotFound; IntegrityError when it has another."""
    data = store.get(name, limit_bytes=limit_bytes)
    if blake3(data).hexdigest() != hash_of(name):
        raise IntegrityError(f"{name} does not have the hash that is its name", "run verify")
    return data


def outcome_of(future: Future[None]) -> WedSyncError | None:
    """What went wrong with a call, if anything did."""
    try:
        future.result(timeout=STUCK_S)
    except WedSyncError as error:
        return error
    except TimeoutError:
        return Unavailable("a region keeps us waiting")
    return None


def too_few(regions: Sequence[Region]) -> Unavailable:
    """What to raise where no majority of `regions` can be reached."""
    failing = ", ".join(f"{region.name}: {region.failure}" for region in regions if region.failure)
    return Unavailable(
        f"too few regions answer ({failing or 'they keep us waiting'})", "check them and the lines to them"
    )


def keeps_waiting(region: Region) -> Unavailable:
    """What to raise of a region that answers too late."""
    return Unavailable(f"the region {region.name} keeps us waiting", "check it and the line to it")


def first_error(errors: Sequence[WedSyncError]) -> WedSyncError:
    """What to tell of several regions' errors: one that says what is wrong before one that says to wait."""
    return next((error for error in errors if not isinstance(error, Unavailable)), errors[0])

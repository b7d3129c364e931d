"""`CloudStore`: objects in a bucket of an object store (`s3://bucket/prefix`), through obstore.

In: bytes and names. Out: objects, each there whole or not at all, and durable once the service has acknowledged them.
A staged object grows in a nameless file of this machine's temporary folder; publishing it uploads it, several side by
side. Short failures are retried below (obstore: backoff with jitter); what stays is Unavailable. Where the bucket has
several endpoints, the next one goes on with what one stopped at.
"""

from __future__ import annotations

import mmap
import threading
from collections.abc import Callable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import suppress
from operator import attrgetter
from typing import IO, TYPE_CHECKING

from engine.base.errors import Conflict, IntegrityError, NotFound, Unavailable, WedSyncError
from engine.base.invariants import check
from engine.contract.status import EndpointRow
from engine.storage.stores.endpoints import Endpoints
from engine.storage.stores.names import check_name, check_prefix, is_name, is_part
from engine.storage.stores.parts import Sender, upload
from engine.storage.stores.spooled import SpooledObject
from engine.storage.stores.store import ObjectInfo, Space

if TYPE_CHECKING:
    from obstore import Bytes, ObjectMeta
    from obstore.store import S3Store as Client

UPLOADS = 4  # at once; each holds one pack's file
_QUEUE_MAX = 4 * UPLOADS  # publications that wait on this machine's disk before `publish` blocks
_MULTIPART_FROM_BYTES = 64 * 1024 * 1024
_PART_BYTES = 16 * 1024 * 1024
_STREAMED_FROM_BYTES = 1024 * 1024  # so much of a read may be lost when its endpoint stops
_PAGE_NAMES = 1000  # as many as a service gives at once


class CloudStore:
    """A store in a bucket. Any thread but an event loop's. See `ObjectStore` for what the methods promise.

    A bucket has no folders, so an object may be named as another one's folder; our names never are.
    """

    def __init__(self, endpoints: Endpoints, *, url: str) -> None:
        """`endpoints` lead to the bucket and prefix; `url` is shown to people, so it carries no credentials."""
        self._endpoints = endpoints
        self._url = url
        self._uploads = ThreadPoolExecutor(UPLOADS, thread_name_prefix="wedsync-upload")
        self._room = threading.BoundedSemaphore(_QUEUE_MAX)
        self._lock = threading.Lock()
        self._staged: set[SpooledObject] = set()  # guarded by `_lock`
        self._is_closed = False  # only ever set, so it needs no lock

    @property
    def url(self) -> str:
        """See `ObjectStore.url`."""
        return self._url

    def probe(self) -> None:
        """Ask the service for anything at all. Raises NotFound (no such bucket), NotPermitted, Unavailable."""
        self._endpoints.call("", lambda client: next(iter(client.list(chunk_size=1)), None))

    def endpoints(self) -> tuple[EndpointRow, ...]:
        """How each endpoint does."""
        return self._endpoints.figures()

    def put(self, name: str, data: bytes) -> None:
        """See `ObjectStore.put`. A name with just these bytes was taken by an attempt of ours whose answer got lost."""
        check_name(name)
        self.check_open()
        try:
            self._put(name, data, len(data))
        except Conflict:
            if not self._holds(name, data):
                raise

    def stage(self) -> SpooledObject:
        """See `ObjectStore.stage`."""
        self.check_open()
        return SpooledObject(self)

    def get(self, name: str, *, limit_bytes: int) -> bytes:
        """See `ObjectStore.get`."""
        check_name(name)
        self.check_open()

        def ask(client: Client) -> bytes:
            found = client.get(name)
            size = found.meta["size"]
            if size > limit_bytes:
                raise IntegrityError(
                    f"{name} has {size} bytes where {limit_bytes} are the most that can be right", "run verify"
                )
            return bytes(found.bytes())

        return self._endpoints.call(name, ask)

    def read_into(self, name: str, offset: int, buffer: memoryview) -> None:
        """See `ObjectStore.read_into`."""
        check_name(name)
        check(offset >= 0, "an offset is not negative")
        self.check_open()
        target = buffer.cast("B")
        if not target:
            self.stat(name)
            return
        reading = _Reading(name, offset, target)
        self._endpoints.call(name, reading.go_on, size_bytes=len(target))
        if reading.done < len(target):
            end = offset + reading.done
            raise IntegrityError(f"{name} has nothing at byte {end}, where it should go on", "run verify")

    def list(self, prefix: str) -> Iterator[ObjectInfo]:
        """See `ObjectStore.list`. All are asked for before the first is given: services sort in their own ways."""
        check_prefix(prefix)
        self.check_open()
        return self._walk(prefix)

    def folders(self, prefix: str) -> tuple[str, ...]:
        """See `ObjectStore.folders`."""
        check_prefix(prefix)
        self.check_open()
        found = self._endpoints.call("", lambda client: client.list_with_delimiter(prefix or None)["common_prefixes"])
        return tuple(sorted(last for folder in found if is_part(last := folder.rstrip("/").rpartition("/")[2])))

    def stat(self, name: str) -> ObjectInfo:
        """See `ObjectStore.stat`."""
        check_name(name)
        self.check_open()
        return _info(self._endpoints.call(name, lambda client: client.head(name)))

    def delete(self, name: str) -> None:
        """See `ObjectStore.delete`."""
        self.stat(name)  # the service does not mind deleting what is not there; our callers do
        self._endpoints.call(name, lambda client: client.delete(name))

    def space(self) -> Space:
        """See `ObjectStore.space`: a bucket has no bounds that it would tell."""
        self.check_open()
        return Space(None, None, None)

    def close(self) -> None:
        """See `ObjectStore.close`: what was published is uploaded first. Also twice."""
        self._is_closed = True
        self._uploads.shutdown()
        with self._lock:
            staged = list(self._staged)
        for each in staged:
            each.discard()

    def add_staged(self, staged: SpooledObject) -> None:
        """Keep one of our staged objects in mind until it is over. Raises Unavailable."""
        with self._lock:
            self.check_open()  # here: what is added after `close` has looked is discarded by nobody
            self._staged.add(staged)

    def forget_staged(self, staged: SpooledObject) -> None:
        """One of our staged objects is over. Also twice."""
        with self._lock:
            self._staged.discard(staged)

    def publish_file(self, file: IO[bytes], size_bytes: int, name: str) -> Future[None]:
        """Queue the upload of one of our staged objects; its file is ours from now on. Waits while many wait."""
        done: Future[None] = Future()
        done.set_running_or_notify_cancel()  # as the promise says: it cannot be cancelled
        self._room.acquire()
        try:
            self._uploads.submit(self._publish, file, size_bytes, name, done)
        except RuntimeError:  # closed meanwhile
            self._room.release()
            file.close()
            done.set_exception(self._closed())
        return done

    def _publish(self, file: IO[bytes], size_bytes: int, name: str, done: Future[None]) -> None:
        try:
            with file:
                self._upload(file, size_bytes, name)
        except BaseException as error:
            done.set_exception(error)
        else:
            done.set_result(None)
        finally:
            self._room.release()

    def _upload(self, file: IO[bytes], size_bytes: int, name: str) -> None:
        """Send the file. Its name is a hash, so an object that is there with this size is the same."""
        data = mmap.mmap(file.fileno(), size_bytes, prot=mmap.PROT_READ) if size_bytes else b""
        try:
            if size_bytes < _MULTIPART_FROM_BYTES:
                self._put(name, data, size_bytes)
            elif self._size_of(name) != size_bytes:  # parts cannot be told to create only
                self._refuse_other_size(name, size_bytes)
                self._put_in_parts(name, data, size_bytes)
        except Conflict:
            self._refuse_other_size(name, size_bytes)

    def _refuse_other_size(self, name: str, size_bytes: int) -> None:
        there = self._size_of(name)
        if there not in (None, size_bytes):
            raise Conflict(
                f"{name} is in the store already with {there} bytes, not {size_bytes}",
                "run verify: one of the two is damaged",
            )

    def _size_of(self, name: str) -> int | None:
        with suppress(NotFound):
            return self._endpoints.call(name, lambda client: client.head(name)["size"])
        return None

    def _put(self, name: str, data: bytes | mmap.mmap, size_bytes: int) -> None:
        """Create an object in one piece. Raises Conflict."""
        self._endpoints.call(
            name,
            lambda client: client.put(name, data, mode="create", use_multipart=False),
            size_bytes=size_bytes,
        )

    def _put_in_parts(self, name: str, data: bytes | mmap.mmap, size_bytes: int) -> None:
        if not self._endpoints.share_parts:
            self._endpoints.call(
                name,
                lambda client: client.put(name, data, chunk_size=_PART_BYTES, max_concurrency=UPLOADS),
                size_bytes=size_bytes,
            )
            return

        def by(ask: Callable[[Sender], str], moved_bytes: int) -> str:
            return self._endpoints.send(name, ask, size_bytes=moved_bytes)

        with memoryview(data) as view, ThreadPoolExecutor(UPLOADS, thread_name_prefix="wedsync-part") as executor:
            upload(name, view, _PART_BYTES, by, executor)

    def _holds(self, name: str, data: bytes) -> bool:
        with suppress(NotFound, IntegrityError):
            return self.get(name, limit_bytes=len(data)) == data
        return False

    def _walk(self, prefix: str) -> Iterator[ObjectInfo]:
        """The objects that a service names; foreign names are passed over, and those that are gone by their turn."""
        found = self._endpoints.call(
            "", lambda client: [entry for page in client.list(prefix or None, chunk_size=_PAGE_NAMES) for entry in page]
        )
        yield from sorted((_info(entry) for entry in found if is_name(entry["path"])), key=attrgetter("name"))

    def check_open(self) -> None:
        """Raise Unavailable after `close`."""
        if self._is_closed:
            raise self._closed()

    def _closed(self) -> WedSyncError:
        return Unavailable(f"the store {self._url} is closed", "open it again")


class _Reading:
    """A range on its way into memory; another endpoint goes on where one stopped."""

    def __init__(self, name: str, offset: int, target: memoryview) -> None:
        self._name = name
        self._offset = offset
        self._target = target
        self.done = 0

    def go_on(self, client: Client) -> None:
        """Read the rest, or up to the object's end. Raises what obstore raises, with `done` where it stopped."""
        start, end = self._offset + self.done, self._offset + len(self._target)
        if end - start <= _STREAMED_FROM_BYTES:
            self._take(client.get_range(self._name, start=start, end=end))
            return
        for part in client.get(self._name, options={"range": (start, end)}).stream(_STREAMED_FROM_BYTES):
            self._take(part)

    def _take(self, part: Bytes | bytes) -> None:
        found = memoryview(part)[: len(self._target) - self.done]
        self._target[self.done : self.done + len(found)] = found
        self.done += len(found)


def _info(entry: ObjectMeta) -> ObjectInfo:
    return ObjectInfo(entry["path"], entry["size"], round(entry["last_modified"].timestamp() * 1e9))

"""A pack on its way to several regions: spooled while it grows, then uploaded to each of them side by side.

While it has no name nobody knows which regions it may lie in, so it grows in a nameless file of this machine's
temporary folder (sealed bytes only), never in memory. Publishing ends when a quorum of regions has it; the others get
theirs in the background, and what fails then is left to the healing queue. One writer, then the threads of the regions.
"""

from __future__ import annotations

import mmap
import os
import tempfile
import threading
from collections.abc import Iterator
from concurrent.futures import Future
from contextlib import contextmanager
from typing import IO

from engine.base.errors import Conflict, Unavailable, WedSyncError
from engine.base.invariants import check
from engine.base.units import MIB
from engine.storage.asking import first_error, too_few
from engine.storage.region import Region
from engine.storage.replication import PACK_HEAD_BYTES, Replication, closed
from engine.storage.stores.failures import explain
from engine.storage.stores.names import check_name
from engine.storage.stores.store import STAGE_ALIGNMENT_BYTES, ObjectStore

_PIECE_BYTES = MIB
_PACK_MAGIC, _DATA = b"WSPK", b"\x0a"  # on disk, never change


class Publications:
    """Those of one store that are under way."""

    def __init__(self, shared: Replication, *, spools_max: int) -> None:
        """No more than `spools_max` packs are published at once: each keeps a file on this machine's disk."""
        self.shared = shared
        self._room = threading.BoundedSemaphore(spools_max)
        self._changed = threading.Condition()
        self._open: set[Future[None]] = set()  # with the next two, guarded by `_changed`
        self._staged: set[ReplicatedStagedObject] = set()
        self.is_closed = False

    def stage(self) -> ReplicatedStagedObject:
        """Begin an object. Raises LimitReached, NotPermitted, Unavailable."""
        staged = ReplicatedStagedObject(self)
        with self._changed:
            if not self.is_closed:
                self._staged.add(staged)
                return staged
        staged.discard()
        raise closed()

    def forget(self, staged: ReplicatedStagedObject) -> None:
        """One of our staged objects is over. Also twice."""
        with self._changed:
            self._staged.discard(staged)

    def begin(self, spool: IO[bytes], size_bytes: int, name: str) -> Future[None]:
        """Publish a spooled object; the file is ours from now on. Waits while many are under way."""
        self._room.acquire()
        done: Future[None] = Future()
        done.set_running_or_notify_cancel()
        with self._changed:
            is_closed = self.is_closed
            if not is_closed:
                self._open.add(done)
        done.add_done_callback(self._ended)
        publication = Publication(self, spool, size_bytes, name, done)
        try:
            if is_closed:
                raise closed()
            publication.start()
        except WedSyncError as error:
            publication.fail(error)
        return done

    def let_go(self, spool: IO[bytes]) -> None:
        """The last region is done with a file."""
        spool.close()
        self._room.release()

    def close(self) -> None:
        """Take no more, discard what is staged, and come back when all that was begun is acknowledged or has failed."""
        with self._changed:
            self.is_closed = True
            staged = list(self._staged)
            self._changed.wait_for(lambda: not self._open)
        for each in staged:
            each.discard()

    def _ended(self, done: Future[None]) -> None:
        with self._changed:
            self._open.discard(done)
            self._changed.notify_all()


class Publication:
    """One object on its way. Its state changes under its lock; the last upload lets go of the spool."""

    def __init__(
        self, all_of_them: Publications, spool: IO[bytes], size_bytes: int, name: str, done: Future[None]
    ) -> None:
        self._all = all_of_them
        self._shared = all_of_them.shared
        self._spool = spool
        self._size_bytes = size_bytes
        self._name = name
        self._done = done
        self._lock = threading.Lock()
        self._under_way = 1  # uploads, and `start` itself; with all below, guarded by `_lock`
        self._copies = 0
        self._errors: list[WedSyncError] = []
        self._spares: list[Region] = []
        self._quorum = 1

    def start(self) -> None:
        """Write down who is owed a copy, and begin to upload. Raises LimitReached, Unavailable."""
        shared = self._shared
        copies = shared.policy.copies
        if not is_data_pack(os.pread(self._spool.fileno(), PACK_HEAD_BYTES, 0)):
            copies = len(shared.regions)  # metadata goes to every region
        if not shared.revive(self._name):
            raise too_few(shared.allowed(self._name))
        targets, self._spares = shared.to_write(self._name, copies)
        self._quorum = shared.quorum(len(targets))
        self._under_way += len(targets)
        uploads = [(region, region.begin_upload(self._upload)) for region in targets]
        try:
            shared.queue.owe(self._name, [region.name for region in targets], "copy", shared.clock.now_ns())
        finally:
            for region, upload in uploads:
                upload.add_done_callback(lambda upload, region=region: self._uploaded(region, upload))  # type: ignore[misc]
        self._finish_one()

    def fail(self, error: WedSyncError) -> None:
        """It could not be begun."""
        if not self._done.done():
            self._done.set_exception(error)
        self._finish_one()

    def _upload(self, store: ObjectStore) -> None:
        """Send the spool to one region. On a thread of it."""
        staged = store.stage()
        buffer = memoryview(mmap.mmap(-1, _PIECE_BYTES))
        try:
            for offset in range(0, self._size_bytes, _PIECE_BYTES):
                piece = buffer[: min(_PIECE_BYTES, self._size_bytes - offset)]
                with explained_here():
                    _read_exactly(self._spool.fileno(), piece, offset)
                staged.append(piece)
            staged.publish(self._name).result()
        except BaseException:
            staged.discard()
            raise

    def _uploaded(self, region: Region, upload: Future[None]) -> None:
        """One region has it, or has failed."""
        error = closed() if upload.cancelled() else upload.exception()
        if error is None:
            self._shared.queue.paid(self._name, region.name, "copy")
            self._shared.mark_good(self._name, region.name)
            self._shared.note(self._name, region.name, "written", self._size_bytes)
        else:
            self._shared.queue.missed(self._name, region.name)
        spare: Region | None = None
        with self._lock:
            if error is None:
                self._copies += 1
            else:
                self._errors.append(error if isinstance(error, WedSyncError) else Unavailable(str(error)))
                if self._spares and not self._all.is_closed and not isinstance(error, Conflict):
                    spare = self._spares.pop(0)
                    self._under_way += 1
            is_enough = self._copies == self._quorum and not self._done.done()
            is_lost = self._copies + self._under_way - 1 < self._quorum and not self._done.done()
        if is_enough:
            self._done.set_result(None)
        elif is_lost:
            self._done.set_exception(first_error(self._errors))
        if spare is not None:
            self._ask_spare(spare, instead_of=region)
        self._finish_one()

    def _ask_spare(self, spare: Region, *, instead_of: Region) -> None:
        def uploaded(upload: Future[None]) -> None:
            self._uploaded(spare, upload)
            if not upload.cancelled() and upload.exception() is None:
                self._shared.queue.paid(self._name, instead_of.name, "copy")  # there are as many copies without it

        spare.begin_upload(self._upload).add_done_callback(uploaded)

    def _finish_one(self) -> None:
        with self._lock:
            self._under_way -= 1
            is_last = self._under_way == 0
        if is_last:
            self._all.let_go(self._spool)


class ReplicatedStagedObject:
    """An object that grows in a nameless file. See `StagedObject`. One writer; `discard` from any thread."""

    def __init__(self, publications: Publications) -> None:
        """Raises LimitReached, NotPermitted, Unavailable."""
        self._publications = publications
        self._size_bytes = 0
        with explained_here():
            file = tempfile.TemporaryFile(buffering=0)  # noqa: SIM115  it is closed when this object is over
        self._file: IO[bytes] | None = file  # None: published, discarded or failed

    @property
    def size_bytes(self) -> int:
        """See `StagedObject.size_bytes`."""
        return self._size_bytes

    def append(self, data: memoryview) -> None:
        """See `StagedObject.append`."""
        check(data.nbytes % STAGE_ALIGNMENT_BYTES == 0, "what is appended is a multiple of 4,096 bytes")
        rest = data.cast("B")
        file = self._usable()
        try:
            with explained_here():
                while rest:
                    rest = rest[file.write(rest) :]
        except BaseException:
            self.discard()
            raise
        self._size_bytes += data.nbytes

    def publish(self, name: str) -> Future[None]:
        """See `StagedObject.publish`: the future ends when a quorum of regions has it."""
        check_name(name)
        file, self._file = self._usable(), None
        self._publications.forget(self)
        return self._publications.begin(file, self._size_bytes, name)

    def discard(self) -> None:
        """See `StagedObject.discard`; after `publish` it does nothing."""
        file, self._file = self._file, None
        self._publications.forget(self)
        if file is not None:
            file.close()

    def _usable(self) -> IO[bytes]:
        if self._publications.is_closed:
            raise closed()
        check(self._file is not None, "a staged object is not used after publish, discard or a failure")
        assert self._file is not None
        return self._file


def is_data_pack(head: bytes) -> bool:
    """Whether these are the first bytes of a pack of data (docs/format.md, section 4), which lies in few regions."""
    return head[:4] == _PACK_MAGIC and head[5:6] == _DATA


@contextmanager
def explained_here() -> Iterator[None]:
    """Turn what this machine's temporary folder refuses into our errors."""
    try:
        yield
    except OSError as error:
        raise explain(error, tempfile.gettempdir()) from error


def _read_exactly(fd: int, buffer: memoryview, offset: int) -> None:
    while buffer:
        count = os.preadv(fd, [buffer], offset)
        if count == 0:
            raise OSError(5, "the spooled object ends early")
        offset += count
        buffer = buffer[count:]

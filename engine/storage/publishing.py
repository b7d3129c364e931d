"""A pack on its way to several regions: spooled while it grows, then uploaded to each of them side by side.

While it has no name nobody knows which regions it may lie in, so it grows in a nameless file of this machine's
temporary folder (sealed bytes only), never in memory. Publishing ends when a quorum of regions has it; the others get
theirs in the background, and what fails then is left to the healing queue. One writer, then the threads of the regions.
"""

from __future__ import annotations

import mmap
import os
import threading
from concurrent.futures import Future
from typing import IO

from engine.base.errors import Conflict, Unavailable, WedSyncError
from engine.base.units import MIB
from engine.storage.asking import first_error, too_few
from engine.storage.region import Region
from engine.storage.replication import PACK_HEAD_BYTES, Replication, closed
from engine.storage.stores.spooled import SpooledObject, explained_here
from engine.storage.stores.store import ObjectStore

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
        self._staged: set[SpooledObject] = set()
        self.is_closed = False

    def stage(self) -> SpooledObject:
        """Begin an object. Raises LimitReached, NotPermitted, Unavailable."""
        return SpooledObject(self)

    def check_open(self) -> None:
        """See `SpoolKeeper.check_open`."""
        if self.is_closed:
            raise closed()

    def add_staged(self, staged: SpooledObject) -> None:
        """See `SpoolKeeper.add_staged`."""
        with self._changed:
            self.check_open()
            self._staged.add(staged)

    def forget_staged(self, staged: SpooledObject) -> None:
        """See `SpoolKeeper.forget_staged`."""
        with self._changed:
            self._staged.discard(staged)

    def publish_file(self, file: IO[bytes], size_bytes: int, name: str) -> Future[None]:
        """See `SpoolKeeper.publish_file`: the future ends when a quorum of regions has it. Waits while many wait."""
        self._room.acquire()
        done: Future[None] = Future()
        done.set_running_or_notify_cancel()
        with self._changed:
            is_closed = self.is_closed
            if not is_closed:
                self._open.add(done)
        done.add_done_callback(self._ended)
        publication = Publication(self, file, size_bytes, name, done)
        try:
            if is_closed:
                raise closed()
            publication.start()
        except BaseException as error:  # whatever it is: `close` waits for this one
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
        self._is_told = False  # what became of it

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

    def fail(self, error: BaseException) -> None:
        """It could not be begun."""
        with self._lock:
            is_news = not self._is_told
            self._is_told = True
        if is_news:
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
            is_enough = self._copies == self._quorum and not self._is_told
            self._is_told |= is_enough
        if is_enough:
            self._done.set_result(None)
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
        """An upload, or `start`, has ended: it has failed when too few are left for a quorum."""
        with self._lock:
            self._under_way -= 1
            is_last = self._under_way == 0
            is_lost = self._copies + self._under_way < self._quorum and not self._is_told
            self._is_told |= is_lost
        if is_lost:
            self._done.set_exception(first_error(self._errors))
        if is_last:
            self._all.let_go(self._spool)


def is_data_pack(head: bytes) -> bool:
    """Whether these are the first bytes of a pack of data (docs/format.md, section 4), which lies in few regions."""
    return head[:4] == _PACK_MAGIC and head[5:6] == _DATA


def _read_exactly(fd: int, buffer: memoryview, offset: int) -> None:
    while buffer:
        count = os.preadv(fd, [buffer], offset)
        if count == 0:
            raise OSError(5, "the spooled object ends early")
        offset += count
        buffer = buffer[count:]

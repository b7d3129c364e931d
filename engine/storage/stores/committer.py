"""The committer: the one thread of a store that makes things durable, in groups.

In: commits (an object to be published, put or deleted) from any thread. Out: a future each, done once the
commit is on the medium. A group goes in four steps: the bytes of all, the names of all, one fsync of each
folder touched, then the futures; so many small objects share the waits that one would have alone.
"""

from __future__ import annotations

import os
import threading
from collections import deque
from collections.abc import Callable, Sequence
from concurrent.futures import Future
from functools import partial
from typing import Protocol

from engine.base.errors import LimitReached, WedSyncError
from engine.base.invariants import check
from engine.storage.stores import syscalls
from engine.storage.stores.failures import explain, store_closed
from engine.storage.stores.gate import Gate

GROUP_MAX = 64  # commits made durable together
QUEUE_MAX = 1024  # commits waiting; each holds an open file


class Commit(Protocol):
    """One change to be made durable. Its steps are called in this order, by the committer's thread alone.

    First the bytes of `fd`, if it has any, are on the medium.

    A step raises OSError or WedSyncError; after that only `finish` is called.
    """

    needs_folders: bool  # False: it is done, too, when a folder is gone that it touched

    @property
    def fd(self) -> int | None:
        """Whose bytes are to be on the medium before it is revealed."""
        ...

    def reveal(self) -> Sequence[str]:
        """Make or remove the name; the paths of the folders whose fsync makes that last."""
        ...

    def finish(self, *, durable: bool) -> WedSyncError | None:
        """Let go of descriptors and leftovers. If all was made durable: why the change was declined, if it was."""
        ...


class Committer:
    """The queue and its thread, which starts with the first commit and ends with `close`. Any thread."""

    def __init__(
        self, root: str, *, gate: Gate, group_max: int = GROUP_MAX, settle: Callable[[], None] | None = None
    ) -> None:
        """`settle` makes all names of a group last, where no fsync of their folders does. Raises OSError."""
        check(1 <= group_max <= QUEUE_MAX, "a group is not larger than the queue")
        self._root = root  # for messages
        self._gate = gate
        self._group_max = group_max
        self._settle = settle
        self._changed = threading.Condition()
        self._queue: deque[_Queued] = deque()  # with the two below, guarded by `_changed`
        self._thread: threading.Thread | None = None
        self._is_closing = False

    def submit(self, commit: Commit) -> Future[None]:
        """Queue `commit`; waits while the queue is full. What goes wrong is told by the future alone.

        The future cannot be cancelled. Its callbacks run on the committer's thread and must not call the store.
        """
        check(threading.current_thread() is not self._thread, "the committer's own thread queues no commits")
        queued = _Queued(commit)
        with self._changed:
            self._changed.wait_for(lambda: self._is_closing or len(self._queue) < QUEUE_MAX)
            queued.error = self._refusal()
            if queued.error is None:
                self._queue.append(queued)
                self._changed.notify_all()
                return queued.future
        queued.finish()
        queued.answer()
        return queued.future

    def close(self) -> None:
        """Make durable what is queued, then end the thread. Also twice."""
        with self._changed:
            self._is_closing = True
            self._changed.notify_all()
            thread = self._thread
        if thread is not None:
            thread.join()

    def _refusal(self) -> WedSyncError | None:
        """Why nothing can be queued; starts the thread if it does not run. Called under `_changed`."""
        if self._is_closing:
            return store_closed(self._root)
        if self._thread is None:
            # A daemon, so that a program that dies without `close` is not kept alive: to a store that is a crash.
            thread = threading.Thread(target=self._run, name="wedsync-committer", daemon=True)
            try:
                thread.start()
            except RuntimeError:
                return LimitReached("no further thread can be started", "raise this user's limit of processes")
            self._thread = thread
        return None

    def _run(self) -> None:
        while group := self._next_group():
            with self._gate.closed():
                self._make_durable(group)
            for queued in group:
                queued.answer()

    def _next_group(self) -> list[_Queued]:
        """What is queued, up to a group; nothing once the store closes and all is done."""
        with self._changed:
            self._changed.wait_for(lambda: self._is_closing or bool(self._queue))
            group = [self._queue.popleft() for _ in range(min(len(self._queue), self._group_max))]
            self._changed.notify_all()
            return group

    def _make_durable(self, group: Sequence[_Queued]) -> None:
        self._sync_files(group)
        for queued in group:
            if queued.error is None:
                queued.error = self._failure(queued.reveal)
        if self._settle is not None:
            self._settle_all([queued for queued in group if queued.touched], self._settle)
        self._sync_folders(group)
        for queued in group:
            queued.finish()

    def _sync_files(self, group: Sequence[_Queued]) -> None:
        files = {queued: fd for queued in group if (fd := queued.commit.fd) is not None}
        for queued, error in zip(files, syscalls.fsync_files(list(files.values())), strict=True):
            queued.error = None if error is None else explain(error, self._root)

    def _sync_folders(self, group: Sequence[_Queued]) -> None:
        touching: dict[str, list[_Queued]] = {}
        for queued in group:
            for folder in queued.touched:
                touching.setdefault(folder, []).append(queued)
        for (folder, commits), error in zip(touching.items(), syscalls.fsync_folders(list(touching)), strict=True):
            is_needed = any(queued.commit.needs_folders for queued in commits)
            if isinstance(error, FileNotFoundError) and not is_needed and len(folder) > len(self._root):
                failure = self._failure(partial(self._sync_above, os.path.dirname(folder)))
            else:
                failure = None if error is None else explain(error, self._root)
            for queued in commits:
                queued.error = queued.error or failure

    def _settle_all(self, touching: Sequence[_Queued], settle: Callable[[], None]) -> None:
        error = self._failure(settle) if touching else None
        for queued in touching:
            queued.error = queued.error or error
            queued.touched = ()

    def _sync_above(self, folder: str) -> None:
        """Fsync a folder in which one is gone, or, if it is gone too, the one that it was in. Raises OSError."""
        try:
            syscalls.fsync_folder(folder)
        except FileNotFoundError:
            if len(folder) <= len(self._root):
                raise
            self._sync_above(os.path.dirname(folder))

    def _failure(self, step: Callable[[], object]) -> Exception | None:
        """What `step` raises. A bug of ours goes to whoever waits for that commit, and the thread lives on."""
        try:
            step()
        except OSError as error:
            return explain(error, self._root)
        except Exception as error:
            return error
        return None


class _Queued:
    """A commit on its way, with its future and what went wrong so far."""

    __slots__ = ("commit", "error", "future", "touched")

    def __init__(self, commit: Commit) -> None:
        self.commit = commit
        self.error: Exception | None = None
        self.future: Future[None] = Future()
        self.future.set_running_or_notify_cancel()
        self.touched: Sequence[str] = ()

    def reveal(self) -> None:
        self.touched = self.commit.reveal()

    def finish(self) -> None:
        declined = self.commit.finish(durable=self.error is None)
        self.error = self.error or declined

    def answer(self) -> None:
        if self.error is None:
            self.future.set_result(None)
        else:
            self.future.set_exception(self.error)

"""Watched folders: what the kernel tells becomes changes of watches, and changes become backups. Engine loop only.

In: watches (a wedding's folders). Out: `start`, called with the changes that one backup is to take along; its caller
answers with `ended`. Walking for folders runs on the executor, one walk at a time. What may have been missed (the
kernel's queue overflowed, it watches no more folders, the engine did not run) is a look at everything.
"""

from __future__ import annotations

import asyncio
import heapq
import logging
import math
import os
import stat
from collections import deque
from collections.abc import Awaitable, Callable
from functools import partial
from typing import Literal

import msgspec

from engine.base.errors import LimitReached, WedSyncError
from engine.jobs.inotify import Happening, Inotify
from engine.jobs.offload import Means
from engine.jobs.openfiles import OpenFiles, Seen
from engine.jobs.settling import Batch, Pace, Settling
from engine.jobs.watchtree import Folder, Identity, WatchTree
from engine.pipeline.excludes import IGNORE_FILE, Excludes

State = Literal["starting", "watching", "polling", "gone"]
TICK_S = 1.0  # the longest sleep between two looks at what is due
LOOKED_AT_A_TIME = 500  # watches, each second
RUNNING_MAX = 256  # backups of watches under way at once
_WALKS_MAX = 50  # in one call of the executor
_READS_MAX = 4  # of the kernel's queue in one turn of the loop
_KEY = "watch"  # of the executor: one walk at a time
_LOG = logging.getLogger(__name__)


class Watch(msgspec.Struct):
    """What is watched for one wedding. `id` is the wedding's."""

    id: str
    paths: tuple[bytes, ...]
    exclude: tuple[str, ...]
    settling: Settling
    rank: int = 0  # lower ones start first
    state: State = "starting"
    problem: str = ""
    looked_s: float = 0.0  # when everything was last looked at
    protected_ns: int | None = None  # when the newest change was protected that is
    lag_s: float | None = None  # how long that took
    gone: set[bytes] = set()  # of the paths
    is_full: bool = False  # the system watches no more folders

    @property
    def present(self) -> tuple[bytes, ...]:
        """The paths that are there."""
        return tuple(path for path in self.paths if path not in self.gone)


class Times(msgspec.Struct, frozen=True):
    """How often what is done. Seconds."""

    pace: Pace
    rescan_s: float = 86_400.0
    poll_s: float = 60.0


Start = Callable[[Watch, Batch], Awaitable[bool]]  # carry out a backup to its end; whether the changes are protected


class Watcher:
    """All watches of one engine."""

    def __init__(
        self, means: Means, *, times: Callable[[], Times], start: Start, skip: Callable[[], frozenset[Identity]]
    ) -> None:
        """`skip` names folders that are never watched: the store and the home, which the engine itself writes to."""
        self._means = means
        self._clock = means.clock
        self._times = times
        self._start = start
        self._skip = skip
        self.watches: dict[str, Watch] = {}
        self._running = 0
        self._inotify: Inotify | None = None
        self._tree: WatchTree | None = None
        self._walks: deque[Callable[[], None]] = deque()  # for the executor, in order
        self._changed: set[str] = set()  # watches whose changes, or whose backup's end, were not looked at yet
        self._later: list[tuple[float, str]] = []  # a heap: due when, and who
        self._due: list[tuple[int, int, str]] = []  # a heap: rank, since when, and who may start when there is a place
        self._at: dict[str, float] = {}  # watch → its one entry that counts in `_later`; -inf in `_due`
        self._to_look_at: deque[str] = deque()
        self._open = OpenFiles()
        self._look_s = 0.0
        self._wake = asyncio.Event()
        self._walk_wanted = asyncio.Event()
        self.overflows_total = 0

    # --- what is watched ---

    def watch(self, watch: Watch) -> None:
        """Begin to watch; what stands there is looked at once the folders are watched."""
        before = self.watches.get(watch.id)
        self.watches[watch.id] = watch
        if before is not None:
            self._walk(partial(self._drop, before.id))
        self._add(watch)

    def unwatch(self, watch_id: str) -> None:
        """Watch no longer. A backup under way goes on."""
        if self.watches.pop(watch_id, None) is not None:
            self._walk(partial(self._drop, watch_id))

    def folders(self, watch_id: str) -> int:
        """Folders that are watched for a watch."""
        return self._tree.count(watch_id) if self._tree is not None else 0

    # --- the two tasks ---

    async def tend(self) -> None:
        """Start what is due; for ever."""
        while True:
            now_s = self._clock.monotonic_s()
            wait_s = self._start_due(now_s)
            try:
                async with asyncio.timeout(wait_s):
                    await self._wake.wait()
            except TimeoutError:
                pass
            self._wake.clear()

    async def walk(self) -> None:
        """Add and drop folders as asked; for ever."""
        while True:
            await self._walk_wanted.wait()
            self._walk_wanted.clear()
            while self._walks:
                steps = [self._walks.popleft() for _ in range(min(_WALKS_MAX, len(self._walks)))]
                await self._means.offload.run(_KEY, partial(_walk_each, steps))

    def close(self) -> None:
        """Hear nothing more of the kernel."""
        if self._inotify is not None:
            asyncio.get_running_loop().remove_reader(self._inotify.fd)
            self._inotify.close()
            self._inotify = self._tree = None

    # --- due ---

    def _start_due(self, now_s: float) -> float:
        """Start backups that are due; seconds until the next may be."""
        times = self._times()
        self._look_again(times, now_s)
        for watch_id in self._changed:
            self._put_off(watch_id, times.pace)
        self._changed.clear()
        while self._later and self._later[0][0] <= now_s:
            at_s, watch_id = heapq.heappop(self._later)
            if self._at.get(watch_id) != at_s:
                continue  # another entry counts
            del self._at[watch_id]
            watch = self.watches.get(watch_id)
            if watch is None or watch.settling.due_s(times.pace) > now_s:
                self._put_off(watch_id, times.pace)  # it has changed again since
            else:
                self._at[watch_id] = -math.inf
                heapq.heappush(self._due, (watch.rank, watch.settling.unprotected_since_ns or 0, watch_id))
        while self._due and self._running < RUNNING_MAX:
            watch_id = heapq.heappop(self._due)[2]
            del self._at[watch_id]
            watch = self.watches.get(watch_id)
            if watch is None or not watch.present:
                continue
            if watch.settling.due_s(times.pace) > now_s:
                self._put_off(watch_id, times.pace)
            else:
                self._running += 1
                self._means.spawn(self._carry(watch, watch.settling.take(times.pace, now_s)))
        next_s = self._later[0][0] if self._later else math.inf
        return max(0.0, min(TICK_S, next_s - now_s))

    def _put_off(self, watch_id: str, pace: Pace) -> None:
        """Look at a watch when it is due; not at all while it has nothing, or a backup under way."""
        watch = self.watches.get(watch_id)
        due_s = watch.settling.due_s(pace) if watch is not None else math.inf
        if due_s < self._at.get(watch_id, math.inf):
            self._at[watch_id] = due_s
            heapq.heappush(self._later, (due_s, watch_id))

    def _look_again(self, times: Times, now_s: float) -> None:
        """Look at everything where the kernel cannot tell, and once in a long while anyway. A few watches at a time."""
        if now_s < self._look_s:
            return
        self._look_s = now_s + TICK_S
        if still_open := self._open.due(now_s):
            self._walk(partial(self._look_at_open, still_open))
        if not self._to_look_at:
            self._to_look_at.extend(self.watches)
        for _ in range(min(LOOKED_AT_A_TIME, len(self._to_look_at))):
            watch = self.watches.get(self._to_look_at.popleft())
            if watch is None or watch.state == "starting":
                continue
            every_s = times.poll_s if watch.state in ("polling", "gone") else times.rescan_s
            if now_s - watch.looked_s >= every_s:
                watch.looked_s = now_s
                self._add(watch)

    async def _carry(self, watch: Watch, batch: Batch) -> None:
        protected = False
        try:
            protected = await self._start(watch, batch)
        except WedSyncError as error:
            watch.problem = error.line()
            _LOG.warning("a backup of changes could not begin: %s", error.line(), extra={"wedding": watch.id})
        finally:
            self._running -= 1
            now_s = self._clock.monotonic_s()
            watch.settling.ended(protected=protected, now_s=now_s)
            if protected:
                watch.protected_ns = self._clock.now_ns()
                watch.lag_s = max(0.0, (watch.protected_ns - batch.last_ns) / 1e9)
                watch.problem = "" if not watch.gone and not watch.is_full else watch.problem
            self._changed.add(watch.id)
            self._wake.set()

    # --- folders in and out ---

    def _walk(self, step: Callable[[], None]) -> None:
        self._walks.append(step)
        self._walk_wanted.set()

    def _call(self, function: Callable[[], None]) -> None:
        """From the executor: have the loop do something. Nothing, once it has ended."""
        try:
            self._loop.call_soon_threadsafe(function)
        except RuntimeError:
            return

    def _add(self, watch: Watch) -> None:
        self._loop = asyncio.get_running_loop()
        if self._inotify is None:
            try:
                self._inotify = Inotify()
            except LimitReached as error:
                self._added(watch, gone=set(), full=error.line())
                return
            self._tree = WatchTree(self._inotify)
            self._loop.add_reader(self._inotify.fd, self._hear)
        self._walk(partial(self._add_all, self._tree, watch))

    def _add_all(self, tree: WatchTree | None, watch: Watch) -> None:
        """On the executor: watch the paths of a watch."""
        gone: set[bytes] = set()
        full = ""
        for path in watch.paths:
            try:
                if tree is not None:
                    tree.add_root(watch.id, path, self._skip())
            except LimitReached as error:
                full = error.line()
                if not os.path.isdir(path):
                    gone.add(path)
            except OSError:
                gone.add(path)
        self._call(partial(self._added, watch, gone=gone, full=full))

    def _added(self, watch: Watch, *, gone: set[bytes], full: str) -> None:
        """On the loop: the folders are watched as far as they can be; now everything in them is looked at."""
        if self.watches.get(watch.id) is not watch:
            return
        now_s = self._clock.monotonic_s()
        watch.gone, watch.is_full = gone, bool(full)
        watch.state = "polling" if full else "gone" if len(gone) == len(watch.paths) else "watching"
        watch.problem = full or (f"{_shown(min(gone))} is not there" if gone else "")
        watch.looked_s = now_s
        if full:
            _LOG.warning("%s", full, extra={"wedding": watch.id})
        if watch.present:
            watch.settling.note_everything(now_s=now_s, now_ns=self._clock.now_ns())
            self._changed.add(watch.id)
        self._wake.set()

    def _drop(self, watch_id: str) -> None:
        if self._tree is not None and watch_id not in self.watches:
            self._tree.drop(watch_id)

    # --- what the kernel tells ---

    def _hear(self) -> None:
        """The kernel has something: take it in, a few milliseconds' worth at a time."""
        inotify, tree = self._inotify, self._tree
        if inotify is None or tree is None:
            return
        now_s, now_ns = self._clock.monotonic_s(), self._clock.now_ns()
        for _ in range(_READS_MAX):
            happenings = inotify.read()
            if not happenings:
                break
            with tree.lock:
                for happening in happenings:
                    self._take_in(tree, happening, (now_s, now_ns))
        self._wake.set()

    def _take_in(self, tree: WatchTree, happening: Happening, now: tuple[float, int]) -> None:
        if happening.kind == "overflow":
            self._overflowed()
            return
        folder = tree.folder(happening.watch)
        if folder is None:
            return
        if happening.kind in ("gone", "ended"):
            self._folder_ended(tree, folder, tell_kernel=happening.kind == "gone")
            return
        path = folder.path() + (b"/" + happening.name if happening.name else b"")
        if happening.is_folder and happening.name:
            if happening.kind in ("left", "removed") and (inner := folder.below.get(happening.name)) is not None:
                tree.forget(inner, tell_kernel=True)
            if happening.kind in ("made", "arrived"):
                self._walk(partial(self._add_new, tree, folder, happening.name, path))
                return
        elif happening.kind == "made":
            # A file is written next, and told of when it is closed; only what has no bytes to wait for is told now.
            self._open.made(path, folder.watches, now[0])
            self._walk(partial(self._look_at_new, folder, path))
            return
        elif happening.kind != "dressed":
            self._open.closed(path)
        self._note(folder.watches, path, happening.is_folder, now)

    def _note(self, watch_ids: frozenset[str], path: bytes, is_folder: bool, now: tuple[float, int]) -> None:
        for watch_id in watch_ids:
            watch = self.watches.get(watch_id)
            if watch is not None and not _is_excluded(watch, path, is_folder=is_folder):
                watch.settling.note(path, now_s=now[0], now_ns=now[1])
                self._changed.add(watch_id)

    def _note_now(self, folder: Folder, path: bytes, *, is_folder: bool) -> None:
        self._note(folder.watches, path, is_folder, (self._clock.monotonic_s(), self._clock.now_ns()))
        self._wake.set()

    def _add_new(self, tree: WatchTree, folder: Folder, name: bytes, path: bytes) -> None:
        """On the executor: watch a new folder, then tell of all that is in it."""
        try:
            tree.add_below(folder, name, self._skip())
        except LimitReached as error:
            self._call(partial(self._is_full, folder.watches, error.line()))
        self._call(partial(self._note_now, folder, path, is_folder=True))

    def _look_at_new(self, folder: Folder, path: bytes) -> None:
        """On the executor: tell of a new name that nothing is going to be written to."""
        try:
            found = os.lstat(path)
        except OSError:
            return
        if not stat.S_ISREG(found.st_mode) or found.st_nlink > 1:
            self._call(partial(self._note_now, folder, path, is_folder=False))

    def _look_at_open(self, paths: list[bytes]) -> None:
        """On the executor: see whether files grow that nobody closes."""
        self._call(partial(self._looked, {path: _seen(path) for path in paths}))

    def _looked(self, found: dict[bytes, Seen | None]) -> None:
        now = self._clock.monotonic_s(), self._clock.now_ns()
        for path, seen in found.items():
            self._note(self._open.looked(path, seen, now[0]), path, False, now)
        self._wake.set()

    def _is_full(self, watch_ids: frozenset[str], problem: str) -> None:
        for watch_id in watch_ids:
            watch = self.watches.get(watch_id)
            if watch is not None and not watch.is_full:
                watch.is_full, watch.state, watch.problem = True, "polling", problem
                _LOG.warning("%s", problem, extra={"wedding": watch_id})

    def _folder_ended(self, tree: WatchTree, folder: Folder, *, tell_kernel: bool) -> None:
        tree.forget(folder, tell_kernel=tell_kernel)
        for watch_id in folder.watches:
            watch = self.watches.get(watch_id)
            if watch is not None and folder.parent is None and folder.name in watch.paths:
                self._add(watch)  # see whether something else is there in its place

    def _overflowed(self) -> None:
        """Events were lost: new folders may be unwatched, and anything may have changed."""
        self.overflows_total += 1
        _LOG.warning("the kernel's queue of changes has overflowed; everything watched is looked at again")
        for watch in self.watches.values():
            self._add(watch)


def _walk_each(steps: list[Callable[[], None]]) -> None:
    """On the executor."""
    for step in steps:
        try:
            step()
        except WedSyncError as error:
            _LOG.warning("a walk of watched folders failed: %s", error.line())
        except Exception:
            _LOG.exception("a walk of watched folders met a bug")


def _seen(path: bytes) -> Seen | None:
    try:
        found = os.lstat(path)
    except OSError:
        return None
    return (found.st_size, found.st_mtime_ns) if stat.S_ISREG(found.st_mode) else None


def _is_excluded(watch: Watch, path: bytes, *, is_folder: bool) -> bool:
    """Whether the watch's own patterns leave `path` out. What ignore files say is left to the backup."""
    if not watch.exclude:
        return False
    root = next((root for root in watch.paths if path.startswith(root.rstrip(b"/") + b"/")), None)
    if root is None:
        return False
    excludes = Excludes(watch.exclude)
    names = path[len(root.rstrip(b"/")) + 1 :].split(b"/")
    for number, name in enumerate(names, 1):
        if excludes.excludes(name, is_folder=is_folder or number < len(names)):
            return name != IGNORE_FILE
        excludes = excludes.below(name)
    return False


def _shown(path: bytes) -> str:
    return path.decode("utf-8", "backslashreplace")

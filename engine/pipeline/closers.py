"""Closers: threads that end runs. Ending is publishing and committing, that is waiting for the disk.

In: runs with nothing left to do. A few threads take them as they come; more at once would only take the interpreter's
lock from each other at every system call. Where runs wait all the same, because the store takes long or hangs, the
others help: at once if more wait than those few could take next, else after a moment. Threads are begun when they are
needed first. Any thread.
"""

from __future__ import annotations

import threading
from collections import deque
from collections.abc import Callable
from contextlib import closing
from functools import partial
from typing import Any

from engine.pipeline.run import Buffers, Run

CLOSERS = 16  # runs that end at once; what they wait for, the store makes durable in one group
FIRST = 4  # of them, those that take whatever comes
PATIENCE_S = 0.02  # how long a run waits before another closer takes it


class Closers:
    """Runs that wait for their end, and who ends them."""

    def __init__(self, end: Callable[[Run[Any], Buffers], None], buffers: Callable[[], Buffers]) -> None:
        """`end` is called with each run, and with what its thread owns."""
        self._end = end
        self._buffers = buffers
        lock = threading.Lock()
        self._came = threading.Condition(lock)  # two of one lock: for the first closers, and for the others
        self._help_wanted = threading.Condition(lock)
        self._over: deque[Run[Any]] = deque()  # with all below, guarded by the lock
        self._threads: list[threading.Thread] = []
        self._first = self._others = 0  # threads begun
        self._first_resting = self._others_resting = 0
        self._at_work = 0
        self._is_watched = False  # one of the others looks how long the first that waits has to wait
        self._is_closing = False

    def add(self, run: Run[Any]) -> None:
        """A run has nothing left to do but to end."""
        with self._came:
            self._over.append(run)
            if len(self._over) > self._first_resting and self._first < FIRST:
                self._first += 1
                self._begin(is_first=True)
            self._came.notify()
            self._want_help()

    def close(self) -> None:
        """No further run will come; comes back when all that wait have ended."""
        with self._came:
            self._is_closing = True
            self._came.notify_all()
            self._help_wanted.notify_all()
        for thread in self._threads:
            thread.join()

    def _want_help(self) -> None:
        """Have one of the others look, if runs wait that the first closers cannot take now."""
        is_enough = self._at_work + len(self._over) <= FIRST or (self._is_watched and len(self._over) <= FIRST)
        if is_enough or not self._over:
            return
        if not self._others_resting and self._others < CLOSERS - FIRST:
            self._others += 1
            self._begin(is_first=False)
        self._help_wanted.notify()

    def _begin(self, *, is_first: bool) -> None:
        work = partial(self._work, is_first=is_first)
        self._threads.append(threading.Thread(target=work, name="wedsync-closer", daemon=True))
        self._threads[-1].start()

    def _work(self, *, is_first: bool) -> None:
        """What one closer does, from its first run to its last."""
        with closing(self._buffers()) as buffers:
            while (run := self._next(is_first=is_first)) is not None:
                self._end(run, buffers)
                del run  # a thread that waits holds none, nor what hangs on it
                with self._came:
                    self._at_work -= 1

    def _next(self, *, is_first: bool) -> Run[Any] | None:
        with self._came:
            while not self._is_closing and not (self._over if is_first else self._help_is_due()):
                if is_first:
                    self._first_resting += 1
                    self._came.wait()
                    self._first_resting -= 1
            if not self._over:
                return None
            self._at_work += 1
            run = self._over.popleft()
            self._want_help()
            return run

    def _help_is_due(self) -> bool:
        """Whether many runs wait. Else wait until something changes, or to see one stay first for `PATIENCE_S`."""
        if len(self._over) > FIRST:
            return True
        if not self._over or self._is_watched:
            self._others_resting += 1
            self._help_wanted.wait()
            self._others_resting -= 1
            return False
        first = self._over[0]
        self._is_watched = True
        self._help_wanted.wait(PATIENCE_S)
        self._is_watched = False
        return bool(self._over) and self._over[0] is first

"""When the changes of a watch become a backup: soon after they rest, and often enough when they never do. Pure.

A change waits `settle_s` for the next one, at most `CEILING_S` in all. A watch may start `BURST` backups as fast as
its changes come; one is earned back each `busy_s`. So a folder that is written to now and then is saved at once,
and one that is written to without a pause is saved each `busy_s`, not four times a second for a night. While a
backup runs, changes gather for the next one. One thread.
"""

from __future__ import annotations

import math

import msgspec

CEILING_S = 0.25
BURST = 8
PATHS_MAX = 2_000  # changed paths held for one watch; more of them are a look at everything
RETRY_S = 30.0  # after a backup that failed


class Pace(msgspec.Struct, frozen=True):
    """How changes are gathered. Seconds."""

    settle_s: float = 0.1
    busy_s: float = 5.0


class Batch(msgspec.Struct, frozen=True):
    """Changes that one backup takes along. `everything`: what has changed is not known."""

    paths: tuple[bytes, ...]
    everything: bool
    first_ns: int  # when the oldest and the newest of them were seen
    last_ns: int


class _Pending(msgspec.Struct):
    paths: set[bytes] = set()
    everything: bool = False
    first_ns: int = 0
    last_ns: int = 0
    first_s: float = 0.0
    last_s: float = 0.0

    def __bool__(self) -> bool:
        return self.everything or bool(self.paths)


class Settling:
    """The changes of one watch."""

    def __init__(self, now_s: float) -> None:
        self._pending = _Pending()
        self._running: Batch | None = None
        self._credit = float(BURST)
        self._credited_s = now_s
        self._not_before_s = now_s

    @property
    def is_running(self) -> bool:
        """Whether a backup has taken changes along and has not ended."""
        return self._running is not None

    @property
    def has_pending(self) -> bool:
        """Whether there are changes for the next backup."""
        return bool(self._pending)

    @property
    def waiting(self) -> int:
        """Changed paths that are not protected yet, as far as they are known."""
        running = len(self._running.paths) + self._running.everything if self._running else 0
        return running + len(self._pending.paths) + self._pending.everything

    @property
    def unprotected_since_ns(self) -> int | None:
        """When the oldest change was seen that is not protected yet; None when all are."""
        if self._running is not None:
            return self._running.first_ns
        return self._pending.first_ns if self._pending else None

    def note(self, path: bytes, *, now_s: float, now_ns: int) -> None:
        """Something at `path`, or below it, has changed."""
        self._note_time(now_s, now_ns)
        pending = self._pending
        if not pending.everything:
            pending.paths.add(path)
            if len(pending.paths) > PATHS_MAX:
                pending.everything = True
                pending.paths.clear()

    def note_everything(self, *, now_s: float, now_ns: int) -> None:
        """Anything may have changed."""
        self._note_time(now_s, now_ns)
        self._pending.everything = True
        self._pending.paths.clear()

    def due_s(self, pace: Pace) -> float:
        """The moment from which the next backup may start; infinity while there is nothing for one."""
        pending = self._pending
        if not pending or self._running is not None:
            return math.inf
        rested_s = min(pending.last_s + min(pace.settle_s, CEILING_S), pending.first_s + CEILING_S)
        return max(rested_s, self._not_before_s, self._credited_s + max(0.0, 1.0 - self._credit) * pace.busy_s)

    def take(self, pace: Pace, now_s: float) -> Batch:
        """The changes for a backup that starts now; until `ended`, no other one is due."""
        pending, self._pending = self._pending, _Pending()
        earned = (now_s - self._credited_s) / pace.busy_s
        self._credit = min(float(BURST), self._credit + earned) - 1.0
        self._credited_s = now_s
        self._running = Batch(tuple(sorted(pending.paths)), pending.everything, pending.first_ns, pending.last_ns)
        return self._running

    def ended(self, *, protected: bool, now_s: float) -> None:
        """The backup has ended. What it did not protect is due again, after a while."""
        batch, self._running = self._running, None
        if batch is None or protected:
            return
        pending = self._pending
        had_any = bool(pending)
        pending.everything = pending.everything or batch.everything
        pending.paths.update(batch.paths)
        if pending.everything or len(pending.paths) > PATHS_MAX:
            pending.everything = True
            pending.paths.clear()
        pending.first_ns = batch.first_ns
        pending.last_ns = max(pending.last_ns, batch.last_ns)
        if not had_any:
            pending.first_s = pending.last_s = now_s
        self._not_before_s = now_s + RETRY_S

    def _note_time(self, now_s: float, now_ns: int) -> None:
        pending = self._pending
        if not pending:
            pending.first_s, pending.first_ns = now_s, now_ns
        pending.last_s, pending.last_ns = now_s, now_ns

"""The engine's events: the last 1,000 of them, numbered, so that a reader sees what it missed. Any thread."""

from __future__ import annotations

import threading
from collections import deque

import msgspec

from engine.base.clock import Clock
from engine.contract.events import Event, EventBatch, EventKind, EventLevel
from engine.contract.settings import EVENTS_KEPT
from engine.contract.status import JobState
from engine.jobs.job import Job

_JOB_LEVELS: dict[JobState, EventLevel] = {
    "warnings": "warning",
    "failed": "error",
    "cancelled": "warning",
    "interrupted": "warning",
}


class EventLog:
    """A bounded queue of discrete facts."""

    def __init__(self, clock: Clock) -> None:
        self._clock = clock
        self._lock = threading.Lock()
        self._events: deque[Event] = deque(maxlen=EVENTS_KEPT)
        self._seq = 0

    def announce(
        self, kind: EventKind, message: str = "", *, level: EventLevel = "info", wedding: str = "", code: str = ""
    ) -> None:
        """Write down that something happened now."""
        self._append(Event(seq=0, time_ns=0, kind=kind, level=level, message=message, wedding=wedding, code=code))

    def announce_job(self, kind: EventKind, job: Job) -> None:
        """Write down what happened to a job."""
        self._append(
            Event(
                seq=0,
                time_ns=0,
                kind=kind,
                level=_JOB_LEVELS.get(job.state, "info"),
                message=f"{job.kind} of {job.wedding}: {job.state}" + (f": {job.message}" if job.message else ""),
                job=job.id,
                wedding=job.wedding,
                code=job.code,
            )
        )

    def _append(self, event: Event) -> None:
        with self._lock:
            self._seq += 1
            self._events.append(msgspec.structs.replace(event, seq=self._seq, time_ns=self._clock.now_ns()))

    def after(self, seq: int) -> EventBatch:
        """The events after `seq`, and how many after it are no longer kept."""
        with self._lock:
            kept = tuple(event for event in self._events if event.seq > seq)
            oldest = self._events[0].seq if self._events else self._seq + 1
            return EventBatch(events=kept, dropped=max(0, oldest - 1 - max(0, seq)))

    @property
    def newest(self) -> int:
        """The number of the newest event, 0 before the first."""
        with self._lock:
            return self._seq

    @property
    def dropped_total(self) -> int:
        """Events that are no longer kept."""
        with self._lock:
            return self._seq - len(self._events)

"""A job's record and its states. Pure; engine loop only.

```
queued ──→ running ──→ done | warnings | failed | cancelled | interrupted
 ↑ ↑ └──────│───│────→ failed | cancelled | interrupted
 │ └────────┘   │      back in the queue: an attempt failed for a reason that may pass
 └── paused ←───┘      also from queued; a paused job may be resumed, or ended
```
A paused or interrupted backup has left a checkpoint and goes on from there.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import NamedTuple

import msgspec

from engine.base.errors import WedSyncError
from engine.base.invariants import check
from engine.contract.status import JOB_STATES_ENDED, JobKind, JobRow, JobState, JobTurn
from engine.contract.weddings import JobClass
from engine.jobs.measure import Rate, remaining_s

TRANSITIONS: dict[JobState, frozenset[JobState]] = {
    "queued": frozenset({"running", "paused", "failed", "cancelled", "interrupted"}),
    "running": JOB_STATES_ENDED | {"queued", "paused"},
    "paused": frozenset({"queued", "failed", "cancelled", "interrupted"}),
    "done": frozenset(),
    "warnings": frozenset(),
    "failed": frozenset(),
    "cancelled": frozenset(),
    "interrupted": frozenset(),
}


HISTORY_MAX = 60  # turns kept of a job; of more, the oldest go
_TURN_CHARS_MAX = 300


class Turn(NamedTuple):
    """One turn in the course of a job: when, what, and why or from what to what."""

    time_ns: int
    what: JobTurn
    words: str = ""


class Counts(msgspec.Struct, frozen=True):
    """A run's counters, as they stood."""

    files_done: int = 0
    files_total: int | None = None
    bytes_read: int = 0
    bytes_total: int | None = None
    bytes_expected: int | None = None
    bytes_stored: int = 0
    bytes_reused: int = 0
    files_unchanged: int = 0
    warnings: int = 0
    first_warnings: tuple[str, ...] = ()
    current: str = ""
    units: int = 0  # ended, in this attempt


NOTHING = Counts()


def expected_of(counts: Counts) -> int | None:
    """About how many bytes there are, while the total is not known, and until more than that have been seen."""
    expected = counts.bytes_expected
    return expected if counts.bytes_total is None and expected is not None and counts.bytes_read <= expected else None


@dataclass(slots=True)
class Job:
    """One job from its acceptance on. `move` is the only way to change its state."""

    id: str
    kind: JobKind
    wedding_id: str
    wedding: str  # the name it had when the job was accepted
    priority: JobClass
    priority_given: bool  # by the caller, so the register does not change it
    queued_ns: int
    queued_monotonic_s: float
    state: JobState = "queued"
    started_ns: int = 0
    ended_ns: int = 0
    message: str = ""
    code: str = ""
    snapshot: str = ""
    operation: str = ""  # what runs it again after a restart, by name; empty: nothing does
    arguments: str = ""  # of the operation, as `records.arguments_text` wrote them
    attempts: int = 0  # that began
    failures: int = 0  # of these, the ones that failed for a reason that may pass
    retry_ns: int = 0  # while it waits for its next attempt: when that is
    history: list[Turn] = field(default_factory=list, repr=False)  # after its acceptance, oldest first
    warned: tuple[str, ...] = field(default=(), repr=False)  # all warnings, from its end until the journal has them
    was_held_up: bool = False  # by a person, or an engine that stopped: its times say nothing of this engine
    initiation_s: float | None = None
    counts: Counts = NOTHING  # as they stood at the end
    error: WedSyncError | None = field(default=None, repr=False)
    reported: bool = False  # somebody who waited has seen how it ended

    @property
    def ended(self) -> bool:
        """Whether nothing more will happen to it."""
        return self.state in JOB_STATES_ENDED

    def move(self, state: JobState, *, now_ns: int, message: str = "") -> None:
        """Go over into `state` at `now_ns`; `message` says why, or what to do."""
        check(state in TRANSITIONS[self.state], f"a job that is {self.state} cannot become {state}")
        self.note(_turn(self.state, state, message), message if state != "paused" else "", now_ns=now_ns)
        self.state, self.message, self.retry_ns = state, message, 0
        if state == "running":
            self.started_ns = now_ns
            self.attempts += 1
        elif self.ended:
            self.ended_ns = now_ns

    def note(self, what: JobTurn, words: str = "", *, now_ns: int) -> None:
        """Keep a turn in its course."""
        self.history.append(Turn(now_ns, what, words[:_TURN_CHARS_MAX]))
        del self.history[:-HISTORY_MAX]

    def fail(self, error: WedSyncError, *, now_ns: int) -> None:
        """End as failed, with the one line and the code of `error`."""
        self.move("failed", now_ns=now_ns, message=error.line())
        self.error, self.code = error, error.code

    def row(self, counts: Counts | None = None, rate: Rate | None = None) -> JobRow:
        """The job as the status document has it: with `counts` and `rate` while it runs."""
        shown = self.counts if counts is None else counts
        expected = expected_of(shown) if not self.ended else None
        per_s = rate.per_s if rate is not None else self._mean_rate(shown)
        return JobRow(
            id=self.id,
            kind=self.kind,
            wedding=self.wedding,
            state=self.state,
            priority=self.priority,
            queued_ns=self.queued_ns,
            started_ns=self.started_ns,
            ended_ns=self.ended_ns,
            files_done=shown.files_done,
            files_total=shown.files_total,
            bytes_read=shown.bytes_read,
            bytes_total=shown.bytes_total,
            bytes_expected=expected,
            bytes_stored=shown.bytes_stored,
            bytes_reused=shown.bytes_reused,
            files_unchanged=shown.files_unchanged,
            warnings=shown.warnings,
            first_warnings=shown.first_warnings,
            rate_bytes_per_s=per_s,
            eta_s=None if self.ended else remaining_s(shown.bytes_read, shown.bytes_total or expected, per_s),
            initiation_s=self.initiation_s,
            current="" if self.ended else shown.current,
            message=self.message,
            code=self.code,
            snapshot=self.snapshot,
            attempts=self.attempts,
            retry_ns=self.retry_ns or None,
        )

    def _mean_rate(self, counts: Counts) -> float:
        """Over the whole life of a job that has ended."""
        span_s = (self.ended_ns - self.started_ns) / 1e9
        return counts.bytes_read / span_s if self.started_ns and span_s > 0 else 0.0


def _turn(before: JobState, after: JobState, message: str) -> JobTurn:
    """What going from one state into another is called."""
    if after == "running":
        return "started"
    if after == "queued":
        return "attempt-failed" if before == "running" and message else "resumed"
    return after


_LEFT_OFF: dict[JobKind, str] = {
    "store": "the engine stopped; store it again",
    "retrieve": "the engine stopped; retrieve again, with --overwrite changed to go on",
}


def interruption(job: Job, *, goes_on: bool) -> str:
    """What to know of a job that the end of the engine has interrupted; `goes_on`: the next engine goes on with it."""
    if goes_on:
        return "it stays paused" if job.state == "paused" else "the engine stopped; it goes on at the next start"
    if not job.started_ns:
        return "the engine stopped before it began"
    return _LEFT_OFF.get(job.kind, "the engine stopped; begin it again to go on from its checkpoint")

"""What the jobs of an engine show: rates, totals, latencies, deadlines kept. Engine loop only.

Nothing here changes a job's course. Counters of runs are read once a second and when a run ends.
"""

from __future__ import annotations

from collections.abc import Mapping

from engine.base.clock import Clock
from engine.base.metrics import RollingHistogram, Spread
from engine.contract.weddings import JobClass
from engine.jobs.job import Job
from engine.jobs.roster import Active, Roster
from engine.jobs.totals import BACKUP_KINDS, ClassRecord, DeadlineBook, Totals, added

INITIATION_WINDOW_S, INITIATION_SLICES = 3600.0, 60
DEADLINES_S: Mapping[JobClass, float] = {"same-day": 5.0, "retrieval": 5.0, "next-day": 30.0, "standard": 120.0}


class Figures:
    """Figures over the jobs of a roster."""

    def __init__(self, roster: Roster, clock: Clock) -> None:
        self._roster = roster
        self._clock = clock
        self._latencies = RollingHistogram(window_s=INITIATION_WINDOW_S, slices=INITIATION_SLICES)
        self._book = DeadlineBook()
        self._past = Totals()
        self.deadlines_s: Mapping[JobClass, float] = DEADLINES_S  # replaced when the settings change
        self.done_total = 0
        self.failed_total = 0

    def totals(self) -> Totals:
        """Bytes since the start."""
        read = stored = reused = restored = 0
        for active in self._roster.active.values():  # a thousand, perhaps, a few times a second
            if active.run is None:
                continue
            progress = active.run.progress
            if active.job.kind in BACKUP_KINDS:
                read += progress.bytes_read
                stored += progress.bytes_stored
                reused += progress.bytes_reused
            elif active.job.kind == "retrieve":
                restored += progress.bytes_read - progress.bytes_reused
        past = self._past
        return Totals(
            past.bytes_read + read,
            past.bytes_stored + stored,
            past.bytes_reused + reused,
            past.bytes_restored + restored,
        )

    def initiation(self) -> Spread:
        """Request → first sealed byte, over the backups of the last hour."""
        return self._latencies.spread(time_s=self._clock.monotonic_s())

    def deadlines(self) -> Mapping[JobClass, ClassRecord]:
        """How each class keeps its deadline."""
        return self._book.shown(self._clock.monotonic_s())

    def sample(self) -> None:
        """Read the counters of what runs; called once a second."""
        now_s = self._clock.monotonic_s()
        for active in self._roster.active.values():
            if active.run is not None:
                active.rate.sample(active.run.progress.bytes_read, now_s)
                self.note_initiation(active)

    def note_initiation(self, active: Active) -> None:
        """Take in when the first byte of a job was sealed, or restored, if it was, once."""
        job = active.job
        first_s = active.run.progress.first_sealed_monotonic if active.run is not None else None
        if job.initiation_s is None and first_s is not None:
            job.initiation_s = max(0.0, first_s - job.queued_monotonic_s)
            if job.kind in BACKUP_KINDS:
                self._latencies.record(job.initiation_s, time_s=self._clock.monotonic_s())
            elif job.kind == "retrieve":
                self._note_took(job, job.initiation_s)

    def note_left(self, active: Active) -> None:
        """A job is not at work any more: keep its counters."""
        active.job.counts = active.counts()
        if active.run is not None:
            self._past = added(self._past, active.job, active.job.counts)
            counts = active.job.counts
            active.job.warned = active.run.warning_lines() if counts.warnings > len(counts.first_warnings) else ()

    def note_done(self, job: Job) -> None:
        """A job is done: a backup is protected; a retrieval without a byte to restore has kept nobody waiting since."""
        if job.kind in BACKUP_KINDS or (job.kind == "retrieve" and job.initiation_s is None):
            self._note_took(job, self._clock.monotonic_s() - job.queued_monotonic_s)

    def note_ended(self, job: Job) -> None:
        """Count how a job ended."""
        self.done_total += job.state in ("done", "warnings")
        self.failed_total += job.state == "failed"

    def _note_took(self, job: Job, took_s: float) -> None:
        """See whether a job was in time, unless a person (also by another class) or an engine's end held it up."""
        is_in_its_class = (job.kind == "retrieve") == (job.priority == "retrieval")
        if is_in_its_class and not job.was_held_up:
            deadline_s = self.deadlines_s[job.priority]
            self._book.add(job.priority, took_s, deadline_s=deadline_s, time_s=self._clock.monotonic_s())

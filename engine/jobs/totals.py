"""What jobs add up to: counters of a run, bytes over all jobs, times and deadlines of each class. Pure."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Protocol

import msgspec

from engine.contract.status import Percentiles
from engine.contract.weddings import JOB_CLASSES, JobClass
from engine.jobs.job import Counts, Job
from engine.jobs.measure import LatencyWindow

BACKUP_KINDS = frozenset({"backup", "store"})
DATED_KINDS = BACKUP_KINDS | {"retrieve"}  # somebody waits for those by a certain time


class Counters(Protocol):
    """The counters of a run: plain numbers that a stream writes once a unit."""

    files_done: int
    files_total: int | None
    bytes_read: int
    bytes_total: int | None
    bytes_expected: int | None
    bytes_stored: int
    bytes_reused: int
    files_unchanged: int
    warnings: int
    first_warnings: tuple[str, ...]
    current: str


class Totals(msgspec.Struct, frozen=True):
    """Bytes since the start, over all jobs, ended or not."""

    bytes_read: int = 0
    bytes_stored: int = 0
    bytes_reused: int = 0
    bytes_restored: int = 0


def counts_of(progress: Counters, *, units: int = 0) -> Counts:
    """What the counters of a run show now, and how many of its units have ended; each may be a unit old."""
    return Counts(
        files_done=progress.files_done,
        files_total=progress.files_total,
        bytes_read=progress.bytes_read,
        bytes_total=progress.bytes_total,
        bytes_expected=progress.bytes_expected,
        bytes_stored=progress.bytes_stored,
        bytes_reused=progress.bytes_reused,
        files_unchanged=progress.files_unchanged,
        warnings=progress.warnings,
        first_warnings=progress.first_warnings,
        current=progress.current,
        units=units,
    )


def added(total: Totals, job: Job, counts: Counts | Counters) -> Totals:
    """`total` with what one job has done."""
    if job.kind == "retrieve":
        restored_bytes = counts.bytes_read - counts.bytes_reused
        return msgspec.structs.replace(total, bytes_restored=total.bytes_restored + restored_bytes)
    if job.kind not in BACKUP_KINDS:
        return total
    return Totals(
        total.bytes_read + counts.bytes_read,
        total.bytes_stored + counts.bytes_stored,
        total.bytes_reused + counts.bytes_reused,
        total.bytes_restored,
    )


class _ClassTimes(msgspec.Struct):
    took: LatencyWindow = msgspec.field(default_factory=LatencyWindow)
    counted: int = 0
    in_time: int = 0


class ClassRecord(msgspec.Struct, frozen=True):
    """Accepted → protected, or first byte restored, over the last 1,024 jobs of a class; how many of all in time."""

    took: Percentiles
    counted: int
    in_time: int


class DeadlineBook:
    """How each class keeps its deadline."""

    def __init__(self) -> None:
        self._times = {name: _ClassTimes() for name in JOB_CLASSES}

    def add(self, priority: JobClass, took_s: float, *, deadline_s: float, time_s: float) -> None:
        """A job of the class came so far `took_s` after it was accepted, at `time_s` of the engine's clock."""
        times = self._times[priority]
        times.took.add(took_s, time_s=time_s)
        times.counted += 1
        times.in_time += took_s <= deadline_s

    def shown(self, time_s: float) -> Mapping[JobClass, ClassRecord]:
        """Each class as it stands."""
        return {
            name: ClassRecord(times.took.percentiles(time_s), times.counted, times.in_time)
            for name, times in self._times.items()
        }

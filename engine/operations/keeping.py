"""What an engine keeps in its home from one life to the next: jobs, sources, watches, schedules.

All of it stands in the journal. Sources and watches are paths of this machine, so they belong to this home and not
to the repository's register, which other machines read too. Read once, off the loop; then engine loop only.
"""

from __future__ import annotations

import msgspec

from engine.contract.status import Tier
from engine.contract.weddings import JobClass
from engine.jobs.journal import Journal
from engine.jobs.records import Documents, JobTable
from engine.jobs.watcher import Watch, Watcher

RUNS_KEPT = 50  # of each schedule


class SourceDocument(msgspec.Struct, frozen=True, array_like=True):
    """Where a wedding's files lie on this machine."""

    paths: tuple[bytes, ...]  # absolute


class WatchDocument(msgspec.Struct, frozen=True, array_like=True):
    """What is watched for a wedding."""

    paths: tuple[bytes, ...]  # absolute
    exclude: tuple[str, ...]
    created_ns: int


class ReadDocument(msgspec.Struct, frozen=True, array_like=True):
    """When something of a wedding was last retrieved."""

    read_ns: int


class UseDocument(msgspec.Struct, frozen=True, array_like=True):
    """How much of a tier was used: (nanoseconds since 1970, bytes), oldest first."""

    samples: tuple[tuple[int, int], ...]


class ScheduleDocument(msgspec.Struct, frozen=True, array_like=True):
    """A schedule that was added. `arguments` are those of the operation, as JSON."""

    when: str
    timezone: str
    command: str  # as a person wrote it
    operation: str
    arguments: str
    created_ns: int


class ScheduleRun(msgspec.Struct, frozen=True, array_like=True):
    """How one run of a schedule went."""

    started_ns: int
    ended_ns: int
    state: str
    message: str
    caught_up: bool


class ScheduleState(msgspec.Struct, frozen=True, array_like=True):
    """Where a schedule stands: what it is (to see a change), when it is next due, how it went before."""

    when: str
    timezone: str
    anchor_ns: int
    due_ns: int  # 0: never again
    runs: tuple[ScheduleRun, ...] = ()  # newest first


class SafeDocument(msgspec.Struct, frozen=True, array_like=True):
    """When every copy of a wedding's newest snapshot was there."""

    protected_ns: int  # of the snapshot
    safe_ns: int


class DrillDocument(msgspec.Struct, frozen=True, array_like=True):
    """What the newest drill of its size and tier measured."""

    wedding: str
    measured_ns: int
    files: int
    bytes_restored: int
    first_file_s: float
    restored_s: float


class UsageDocument(msgspec.Struct, frozen=True, array_like=True):
    """What was used in a month."""

    counted_s: float = 0.0  # that an engine ran and counted
    peak_workers: int = 0
    worker_s: dict[str, float] = {}  # by class
    tier_byte_s: dict[Tier, float] = {}
    read_bytes: dict[Tier, int] = {}
    writes: int = 0  # requests to stores
    reads: int = 0
    class_cost: dict[JobClass, float] = {}  # work of the streams, bytes and 32 KiB a file


class TuningDocument(msgspec.Struct, frozen=True, array_like=True):
    """The last change that a trial made of a setting."""

    before: str
    after: str
    gain: float  # times as fast, when it was made
    changed_ns: int


class LockDocument(msgspec.Struct, frozen=True, array_like=True):
    """When the locks of all objects of a region's store were last renewed."""

    renewed_ns: int


class WorkerDocument(msgspec.Struct, frozen=True, array_like=True):
    """What workers of a kind did, and took to start, as last measured."""

    bytes_per_s: float
    startups_s: tuple[float, ...] = ()


class Kept(msgspec.Struct):
    """Everything that is kept."""

    journal: Journal
    jobs: JobTable
    sources: Documents[SourceDocument]
    watches: Documents[WatchDocument]
    reads: Documents[ReadDocument]
    uses: Documents[UseDocument]
    schedules: Documents[ScheduleDocument]
    schedule_states: Documents[ScheduleState]
    safe: Documents[SafeDocument]
    locks: Documents[LockDocument]
    drills: Documents[DrillDocument]  # by size and tier
    usages: Documents[UsageDocument]  # by month
    tunings: Documents[TuningDocument]  # by setting
    workers: Documents[WorkerDocument]  # by kind: stream, node
    watcher: Watcher | None = None  # of the engine, once it watches

    @classmethod
    def of(cls, journal: Journal) -> Kept:
        """Read what is in the journal. Blocks."""
        return cls(
            journal=journal,
            jobs=JobTable(journal),
            sources=Documents(journal, "source", SourceDocument),
            watches=Documents(journal, "watch", WatchDocument),
            reads=Documents(journal, "read", ReadDocument),
            uses=Documents(journal, "tier-use", UseDocument),
            schedules=Documents(journal, "schedule", ScheduleDocument),
            schedule_states=Documents(journal, "schedule-state", ScheduleState),
            safe=Documents(journal, "safe", SafeDocument),
            locks=Documents(journal, "locks", LockDocument),
            drills=Documents(journal, "drill", DrillDocument),
            workers=Documents(journal, "worker", WorkerDocument),
            usages=Documents(journal, "usage", UsageDocument),
            tunings=Documents(journal, "tuning", TuningDocument),
        )

    def sources_of(self, wedding_id: str) -> tuple[bytes, ...]:
        """All paths of a wedding: those named for it, and those watched."""
        named, watched = self.sources.get(wedding_id), self.watches.get(wedding_id)
        return tuple(sorted({*(named.paths if named else ()), *(watched.paths if watched else ())}))

    def watch_of(self, wedding_id: str) -> Watch | None:
        """The watch of a wedding, if there is."""
        return self.watcher.watches.get(wedding_id) if self.watcher is not None else None

"""The status document: one immutable, versioned description of everything now (docs/status.md).

The engine publishes it a few times a second; screens, `status`, and the API read it and nothing else.
Sizes are bytes, rates bytes per second, spans seconds, times nanoseconds since 1970 (`…_ns`), shares 0…1.
Lists hold the first 50 rows; `…_total` counts them all.
"""

from __future__ import annotations

import datetime as dt
from typing import Literal

import msgspec

from engine.contract.scaling import DecisionRow
from engine.contract.tiers import RecallKind
from engine.contract.tiers import Tier as Tier
from engine.contract.weddings import JobClass, PriorityClass

STATUS_VERSION = 1

JobState = Literal["queued", "running", "paused", "done", "warnings", "failed", "cancelled", "interrupted"]
JOB_STATES_ENDED: frozenset[JobState] = frozenset({"done", "warnings", "failed", "cancelled", "interrupted"})
JobKind = Literal["backup", "store", "retrieve", "verify", "repair", "drill", "migrate", "recall", "prune", "analyze"]
JobTurn = Literal[
    "accepted", "started", "attempt-failed", "paused", "resumed", "class-changed", "restarted", "node-lost",
    "done", "warnings", "failed", "cancelled", "interrupted",
]  # fmt: skip
Health = Literal["ok", "warning", "critical", "unknown"]


class _Document(msgspec.Struct, frozen=True, kw_only=True, rename="camel"):
    """Common form of every part: frozen, camelCase in JSON."""


class JobRow(_Document, frozen=True, kw_only=True):
    """One job: what it does, how far it is, how fast. Totals are None until the scan has seen everything."""

    id: str
    kind: JobKind
    wedding: str
    state: JobState
    priority: JobClass
    queued_ns: int
    started_ns: int = 0
    ended_ns: int = 0
    files_done: int = 0
    files_total: int | None = None
    bytes_read: int = 0  # bytes of source (or of the snapshot, for a retrieval) dealt with
    bytes_total: int | None = None
    bytes_expected: int | None = None  # about how many, while the scan runs: by a count ahead, or the snapshot before
    bytes_stored: int = 0  # written to the store, after dedup and compression
    bytes_reused: int = 0  # dealt with without storing, because they were there
    files_unchanged: int = 0
    warnings: int = 0
    first_warnings: tuple[str, ...] = ()  # the first 20, as "path: what"
    rate_bytes_per_s: float = 0.0
    eta_s: float | None = None  # by bytes_expected while bytes_total is not known
    initiation_s: float | None = None  # request → first byte sealed; of a retrieval: restored
    current: str = ""  # a path at work
    message: str = ""  # the one line of a failure
    code: str = ""  # its stable code
    snapshot: str = ""  # the snapshot it wrote or read
    attempts: int = 0  # times it was begun; more than one after a pause, a restart, or a failure that may pass
    retry_ns: int | None = None  # while it waits for its next attempt: when that is


class WeddingWatch(_Document, frozen=True, kw_only=True):
    """What is watched of a wedding, and how far behind it is: its recovery point."""

    state: Literal["starting", "watching", "polling", "gone"]
    changes_waiting: int  # changed paths that are not protected yet, as far as known
    unprotected_since_ns: int | None = None  # when the oldest of them was seen; None: everything is protected
    protected_ns: int | None = None  # when the newest change was protected that is
    lag_s: float | None = None  # how long that took after it was seen
    problem: str = ""


class WeddingRow(_Document, frozen=True, kw_only=True):
    """One wedding and how safe it is."""

    name: str
    date: dt.date
    timezone: str
    venue: str
    priority: PriorityClass
    archived: bool = False
    protected_since_ns: int | None = None  # scan start of the newest snapshot
    snapshots: int | None = None  # None: not counted since this engine started
    bytes_source: int | None = None
    running_jobs: int = 0
    safe_since_ns: int | None = None  # when every copy of its newest snapshot was there; None: not safe, or no regions
    copies_owed: int = 0  # objects that a region still lacks
    watch: WeddingWatch | None = None


DrillSize = Literal["files", "first-file", "album", "wedding"]


class AlertRow(_Document, frozen=True, kw_only=True):
    """Something that wants a person."""

    id: str
    level: Literal["warning", "critical"]
    since_ns: int
    subject: str
    message: str
    acknowledged: bool = False


class StreamChange(_Document, frozen=True, kw_only=True):
    """One step of the scaling timeline."""

    time_ns: int
    streams: int
    reason: str


class Infrastructure(_Document, frozen=True, kw_only=True):
    """This machine, as psutil sees it."""

    host: str
    engine_version: str
    started_ns: int
    cpu_share: float
    cpu_cores: int
    memory_used_bytes: int
    memory_total_bytes: int
    engine_memory_bytes: int
    load_one_minute: float
    disk_read_bytes_per_s: float
    disk_write_bytes_per_s: float
    network_sent_bytes_per_s: float
    network_received_bytes_per_s: float
    engine_lag_s: float  # how late the engine's loop ran its last tick
    attached: int = 0  # consoles and commands of other processes that use this engine now


class Percentiles(_Document, frozen=True, kw_only=True):
    """A distribution over a stated window. Seconds."""

    count: int
    window_s: float
    p50_s: float = 0.0
    p95_s: float = 0.0
    p99_s: float = 0.0
    max_s: float = 0.0


NO_PERCENTILES = Percentiles(count=0, window_s=0.0)


class StageTime(_Document, frozen=True, kw_only=True):
    """What one stage of the data plane has cost since the start, and how long a unit spends in it."""

    stage: str  # read | chunk | index | compress | seal | compare | write; fetch | open | place
    thread_s: float
    bytes: int
    unit: Percentiles = NO_PERCENTILES  # seconds of a unit (about 16 MiB), over the last ten minutes


class RatePoint(_Document, frozen=True, kw_only=True):
    """One point of the throughput history."""

    time_ns: int
    read_bytes_per_s: float
    stored_bytes_per_s: float
    restored_bytes_per_s: float


class ClassRow(_Document, frozen=True, kw_only=True):
    """One class of jobs: what it is entitled to, what it gets, and how it keeps its deadline."""

    priority: JobClass
    weight: int
    entitled_share: float  # of the streams, while every class has work
    share: float  # of what streams did in the last 10 s, by cost (bytes + 32 KiB a file)
    limit_bytes_per_s: float | None  # in force now; None: no limit
    jobs_running: int
    jobs_queued: int
    jobs_paused: int
    oldest_queued_s: float  # how long the one that waits longest has waited; 0 when none does
    deadline_s: float  # accepted → protected; of retrievals: → first byte restored
    took: Percentiles  # how long that took
    jobs_counted: int  # backups, or retrievals, that came so far
    jobs_in_time: int


class Performance(_Document, frozen=True, kw_only=True):
    """How fast, measured."""

    read_bytes_per_s: float
    stored_bytes_per_s: float
    restored_bytes_per_s: float
    bytes_read_total: int
    bytes_stored_total: int
    bytes_restored_total: int
    dedup_ratio: float  # source bytes ÷ bytes that had to be stored before compression, since the start
    initiation: Percentiles
    stages: tuple[StageTime, ...] = ()
    bottleneck: str = ""  # the stage that costs most now, or `store`, `limit`, `source`; empty while no job runs
    classes: tuple[ClassRow, ...] = ()
    history: tuple[RatePoint, ...] = ()  # a point a second, newest last


class AutoScaling(_Document, frozen=True, kw_only=True):
    """Streams now, and how they came to be that many."""

    streams: int
    streams_busy: int
    target: int
    mode: Literal["default", "manual", "auto"]
    until_ns: int | None = None  # when the number goes back to what it was
    timeline: tuple[StreamChange, ...] = ()
    reason: str = ""  # of the newest decision; empty unless the mode is auto
    need_queue: int = 0  # workers that the queue needs now
    need_forecast: int = 0  # that the forecast wants, or the season where there is none
    upkeep_held: bool = False  # migration, scrub and prune wait for a valley, or for the end of a freeze
    shortfall_ns: int | None = None  # the first hour for which more is forecast than there may be
    shortfall_workers: int = 0
    decisions: tuple[DecisionRow, ...] = ()  # the last ten, newest last


class TierRow(_Document, frozen=True, kw_only=True):
    """One tier of storage."""

    tier: Tier
    url: str
    used_bytes: int | None  # None until it was measured
    free_bytes: int | None
    capacity_bytes: int | None
    moved_bytes_per_s: float = 0.0  # written and read, over the last 10 s
    limit_bytes_per_s: float | None = None  # in force now; None: no limit
    full_ns: int | None = None  # when it will be full, as it has grown over the last days; None: not soon, or not known
    price_gb_month: float = 0.0
    packs: int | None = None  # good copies that the catalog knows; None: there is one tier, and no catalog
    packs_bytes: int | None = None
    recall: RecallKind = "none"


class MovingRow(_Document, frozen=True, kw_only=True):
    """A migration at work."""

    job: str
    wedding: str
    source: Tier
    target: Tier
    packs_done: int
    packs_total: int
    bytes_done: int
    bytes_total: int
    reason: str


class RecallRow(_Document, frozen=True, kw_only=True):
    """Packs of a wedding that are being recalled."""

    wedding: str
    tier: Tier
    speed: str
    packs_ready: int
    packs_total: int
    bytes_total: int
    begun_ns: int
    eta_ns: int | None  # when all are expected to be readable


class EndpointRow(_Document, frozen=True, kw_only=True):
    """One way to a store in a bucket, since the start."""

    url: str
    bytes_per_s: float | None  # of one stream, a moving mean; None until it was measured
    bytes_moved: int
    failures: int  # calls that another endpoint had to take over, or that failed
    is_resting: bool  # it failed too often in a row: left alone for a while
    congestion: str  # what its connections use, read back; empty while none was seen
    place: str = ""  # whose store it leads to, as warm/home


class CachedTierRow(_Document, frozen=True, kw_only=True):
    """What the read cache did for one tier since the start. Hits and misses are blocks of 256 KiB, or parts of one."""

    tier: Tier
    memory_hits: int
    disk_hits: int
    misses: int
    hit_rate: float  # of all of them; 0 while there are none
    memory: Percentiles  # how long reads took that needed memory only, one in 16 of them
    disk: Percentiles  # that needed the cache's disk
    store: Percentiles  # that needed the store


class CacheStatus(_Document, frozen=True, kw_only=True):
    """The read cache in front of warm and cold."""

    memory_bytes: int
    memory_capacity_bytes: int
    disk_bytes: int
    disk_capacity_bytes: int  # 0: there is none on disk
    tiers: tuple[CachedTierRow, ...]


class RegionRow(_Document, frozen=True, kw_only=True):
    """One region: what lies there, what it is owed. Packs and bytes as the copy catalog knows them."""

    region: str
    at: str = ""  # "LAT,LON"
    tiers: tuple[Tier, ...] = ()
    append_only: bool = False
    answers: bool = True
    failure: str = ""
    failing_since_ns: int | None = None
    packs: int = 0
    bytes_stored: int = 0
    bad: int = 0  # copies that are damaged and not healed yet
    owed: int = 0  # objects it missed: the healing queue
    owed_since_ns: int | None = None  # the oldest of them


class Replication(_Document, frozen=True, kw_only=True):
    """Copies and regions."""

    copies: int  # wanted of a pack
    quorum: int  # that make an object committed
    regions: tuple[RegionRow, ...]
    weddings_not_safe: int  # committed, and a copy of something is owed


class RecoveryRow(_Document, frozen=True, kw_only=True):
    """What the newest drill of its size and tier measured. Seconds are since the drill's first read."""

    size: DrillSize
    tier: Tier  # the slowest that any of it was read from
    wedding: str
    measured_ns: int
    files: int
    bytes_restored: int
    first_file_s: float
    restored_s: float
    projected_100gb_s: float | None  # PROJECTED: a wedding of 100 GB at this rate; None where too little was read


class ScrubAges(_Document, frozen=True, kw_only=True):
    """When the copies in one place were verified; each wedding's count as the one verified longest ago."""

    place: str  # as hot/london
    within_day: int
    within_week: int
    within_month: int
    within_quarter: int
    longer_ago: int
    never: int


class Scrub(_Document, frozen=True, kw_only=True):
    """The scrub: every copy is read again in the background. Figures since the start."""

    enabled: bool
    limit_bytes_per_s: float
    copies_read: int
    bytes_read: int
    bad_found: int
    problem: str  # why a copy could not be read, the last time
    ages: tuple[ScrubAges, ...]


class Storage(_Document, frozen=True, kw_only=True):
    """Where the bytes lie."""

    tiers: tuple[TierRow, ...]
    endpoints: tuple[EndpointRow, ...] = ()  # of stores in buckets
    cache: CacheStatus | None = None  # None: none is needed, or none is wanted
    replication: Replication | None = None  # None: no regions are named, so there is one copy
    recovery: tuple[RecoveryRow, ...] = ()  # measured by drills, the newest first
    scrub: Scrub | None = None  # None: there is one copy of everything, which verify reads
    repository: str  # its id, or empty when there is none yet
    moving: tuple[MovingRow, ...] = ()
    recalls: tuple[RecallRow, ...] = ()


class HealthArea(_Document, frozen=True, kw_only=True):
    """One area's health, with the reason."""

    area: Literal["compute", "memory", "storage", "jobs", "engine"]
    health: Health
    reason: str


class Dashboard(_Document, frozen=True, kw_only=True):
    """The figures at the head of the screen."""

    weddings_total: int
    weddings_today: int
    weddings_today_protected: int
    weddings_today_unknown: int = 0  # of those of today, not looked at since the start
    weddings_unknown: int = 0  # of all, the same
    jobs_running: int
    jobs_queued: int
    jobs_done: int
    jobs_failed: int
    events_dropped: int


class Status(_Document, frozen=True, kw_only=True):
    """The whole document. `seq` grows by one a publication."""

    version: int
    seq: int
    timestamp: str  # ISO 8601, UTC
    status: Literal["starting", "no-repository", "failed", "ready", "draining", "stopped"]
    infrastructure: Infrastructure
    performance: Performance
    auto_scaling: AutoScaling
    storage: Storage
    health: tuple[HealthArea, ...]
    dashboard: Dashboard
    jobs: tuple[JobRow, ...]
    jobs_total: int
    weddings: tuple[WeddingRow, ...]
    weddings_total: int
    alerts: tuple[AlertRow, ...]
    alerts_total: int
    simulated: bool = False

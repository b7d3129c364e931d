"""What an operator may set, as one plain struct read from `config.toml` in the home.

Settings are values, not components: clock, stores and randomness are passed to constructors. Every queue,
retry, cache and loop of the engine has its limit here or beside its owner.
"""

from __future__ import annotations

from typing import Annotated, Any, Literal

import msgspec

from engine.base.invariants import check
from engine.base.units import GIB, KIB, MIB
from engine.contract.caching import COLD_CACHE_SETTINGS, CacheSettings
from engine.contract.cluster import COLD_CLUSTER_SETTINGS, ClusterSettings
from engine.contract.forecasts import CalendarSettings
from engine.contract.prices import InstanceType, Price
from engine.contract.regions import COLD_REGION_SETTINGS, RegionSettings, ReplicationSettings, ScrubSettings
from engine.contract.scaling import ScalingSettings
from engine.contract.tiers import COLD_TIER_SETTINGS, PolicySettings, TiersSettings

Positive = Annotated[int, msgspec.Meta(ge=1)]
Streams = Annotated[int, msgspec.Meta(ge=1, le=256)]

STREAMS_MAX = 256
UNIT_BYTES = 16 * MIB  # what a stream takes at a time
UNIT_FILES_MAX = 256
SEGMENT_BYTES = 64 * MIB  # what of one large file is cut independently of the rest
SMALL_FILE_BYTES = 256 * KIB  # below: the file is one chunk, gathered into bundles
BUNDLE_BYTES = 1 * MIB
CHECKPOINT_STREAM_S = 30.0
CHECKPOINT_BYTES = 1 * GIB
EVENTS_KEPT = 1000
STATUS_ROWS = 50
WARNINGS_TOLD = 20  # of a job, in words; all are counted, and a snapshot keeps more of them
LEASE_RENEWAL_S = 60.0
LEASE_DEATH_S = 600.0

check(SEGMENT_BYTES % UNIT_BYTES == 0, "a segment is a whole number of units")
check(LEASE_RENEWAL_S * 3 < LEASE_DEATH_S, "a lease survives two missed renewals")


class StorageSettings(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """Where objects are kept. An empty `hot` means `repository/` in the home."""

    hot: Annotated[str, msgspec.Meta(description="URL of the hot store, as file:///path; empty: inside the home")] = ""
    capacity: Annotated[str, msgspec.Meta(description="what it may hold, as 2TB; empty: all of the disk")] = ""


class EngineSettings(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """How the data plane works."""

    streams: Annotated[Streams | None, msgspec.Meta(description="worker threads; unset: cores + 1")] = None
    # A Python installation went at 551 MB/s to a quarter (3.83) at level 1, at 384 MB/s to 4.22 at level 3.
    compression_level: Annotated[int, msgspec.Meta(ge=1, le=19, description="zstd level for what compresses")] = 1
    # The next three are for `optimize`, which measures what suits a machine.
    unit: Annotated[
        Literal["4MiB", "8MiB", "16MiB"], msgspec.Meta(description="what a stream takes at a time of a source")
    ] = "16MiB"
    pack: Annotated[Literal["16MiB", "32MiB", "64MiB"], msgspec.Meta(description="how large packs become")] = "32MiB"
    read_ahead: Annotated[
        Literal["32MiB", "64MiB", "128MiB"], msgspec.Meta(description="what a retrieval plans at a time")
    ] = "64MiB"
    compare_after_seal: Annotated[
        bool, msgspec.Meta(description="decrypt and compare each blob before its pack leaves")
    ] = True
    jobs_queued_max: Annotated[Positive, msgspec.Meta(description="jobs accepted and not ended")] = 10_000
    jobs_active_max: Annotated[Positive, msgspec.Meta(description="jobs worked on at once")] = 1_600
    job_attempts_max: Annotated[
        Positive, msgspec.Meta(description="attempts of a job whose store does not answer, before it has failed")
    ] = 10


class ClassSettings(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """The classes of jobs: their share of the streams, and how soon a backup of theirs is to be protected, or the
    first byte of a retrieval restored."""

    same_day_weight: Annotated[Positive, msgspec.Meta(description="share of the streams, same-day")] = 50
    retrieval_weight: Annotated[Positive, msgspec.Meta(description="share of the streams, retrievals")] = 50
    next_day_weight: Annotated[Positive, msgspec.Meta(description="share of the streams, next-day")] = 30
    standard_weight: Annotated[Positive, msgspec.Meta(description="share of the streams, standard")] = 20
    same_day_deadline: Annotated[str, msgspec.Meta(description="accepted → protected, same-day, as 5s")] = "5s"
    retrieval_deadline: Annotated[
        str, msgspec.Meta(description="accepted → first byte restored, retrievals, as 5s")
    ] = "5s"
    next_day_deadline: Annotated[str, msgspec.Meta(description="accepted → protected, next-day, as 30s")] = "30s"
    standard_deadline: Annotated[str, msgspec.Meta(description="accepted → protected, standard, as 2m")] = "2m"


class LimitSettings(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """How fast each class may read (or restore), and what may go to and from the store of a tier: `50MB/s`, or with
    times of the week, `;` between them."""

    same_day: Annotated[str, msgspec.Meta(description='rate of same-day, as "mon..fri 08:00-18:00 50MB/s"')] = ""
    retrieval: Annotated[str, msgspec.Meta(description='rate of retrievals, as "08:00-18:00 50MB/s"')] = ""
    next_day: Annotated[str, msgspec.Meta(description='rate of next-day, as "50MB/s"')] = ""
    standard: Annotated[
        str, msgspec.Meta(description='rate of standard, as "sat,sun 20MB/s; 22:00-06:00 unlimited; 50MB/s"')
    ] = ""
    hot: Annotated[
        str, msgspec.Meta(description='rate of the hot store, read and written, as "08:00-18:00 50MB/s"')
    ] = ""
    warm: Annotated[
        str, msgspec.Meta(description='rate of moves, heals and recalls of warm; retrievals count, as "50MB/s"')
    ] = ""
    cold: Annotated[
        str, msgspec.Meta(description='rate of moves, heals and recalls of cold, as "22:00-06:00 unlimited; 10MB/s"')
    ] = ""
    timezone: Annotated[str, msgspec.Meta(description="time zone of the times, as Europe/London")] = "UTC"


class WatchSettings(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """How changes in watched folders are gathered into backups."""

    settle: Annotated[str, msgspec.Meta(description="a change waits so long for the next one, at most 250ms")] = "100ms"
    busy: Annotated[str, msgspec.Meta(description="a folder that never rests is saved at least so often, as 5s")] = "5s"
    rescan: Annotated[str, msgspec.Meta(description="everything watched is looked at again so often, as 1d")] = "1d"
    poll: Annotated[str, msgspec.Meta(description="where the system watches no more folders: rescan each 60s")] = "60s"


class HookSettings(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """Programs that run before and after each job; a program and its arguments, never a line for a shell."""

    before: Annotated[
        tuple[str, ...], msgspec.Meta(description='before a job, as ["/usr/local/bin/hook", "x"]; its failure ends it')
    ] = ()
    after: Annotated[tuple[str, ...], msgspec.Meta(description="after a job, whatever came of it")] = ()
    timeout: Annotated[str, msgspec.Meta(description="how long one may take, as 60s")] = "60s"


class DrillSettings(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """How often it is to be proven that what is kept comes back."""

    every: Annotated[str, msgspec.Meta(description="a newest drill that is older is an alert, as 30d")] = "30d"


class ConsoleSettings(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """How the screen looks."""

    refresh_hz: Annotated[float, msgspec.Meta(ge=0.5, le=10, description="frames a second")] = 4.0
    theme: Annotated[str, msgspec.Meta(description="theme of the console")] = "wedsync-dark"


class RetentionSettings(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """Which snapshots a prune keeps; without any rule it keeps all of them."""

    keep: Annotated[str, msgspec.Meta(description="rules, as last 3, daily 14, monthly 12, yearly all")] = ""
    weddings: Annotated[
        tuple[str, ...], msgspec.Meta(description='rules of single weddings, as ["smith-jones: yearly all"]')
    ] = ()


class ScheduleSetting(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """One `[[schedules]]` of the file: an operation that runs again and again."""

    name: str
    when: str  # "0 3 * * *" or "every 6h"
    operation: str  # by its name in the API
    timezone: str = "UTC"
    arguments: dict[str, Any] = {}  # wedding = "*": each that is not archived


class Settings(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """The whole of `config.toml`."""

    storage: StorageSettings = StorageSettings()
    tiers: TiersSettings = TiersSettings()
    regions: tuple[RegionSettings, ...] = ()
    replication: ReplicationSettings = ReplicationSettings()
    scrub: ScrubSettings = ScrubSettings()
    policy: PolicySettings = PolicySettings()
    cache: CacheSettings = CacheSettings()
    engine: EngineSettings = EngineSettings()
    classes: ClassSettings = ClassSettings()
    limits: LimitSettings = LimitSettings()
    watch: WatchSettings = WatchSettings()
    hooks: HookSettings = HookSettings()
    drills: DrillSettings = DrillSettings()
    retention: RetentionSettings = RetentionSettings()
    cluster: ClusterSettings = ClusterSettings()
    schedules: tuple[ScheduleSetting, ...] = ()
    scaling: ScalingSettings = ScalingSettings()
    calendar: CalendarSettings = CalendarSettings()
    prices: tuple[Price, ...] = ()
    instances: tuple[InstanceType, ...] = ()
    console: ConsoleSettings = ConsoleSettings()


TABLES = frozenset({"schedules", "regions", "prices", "instances"})  # lists of tables: changed in the file

# Read once at start; changing one while running is accepted, saved, and said to wait for the next start.
COLD_SETTINGS = (
    frozenset({"storage.hot", "engine.jobs_queued_max"})
    | COLD_TIER_SETTINGS
    | COLD_CACHE_SETTINGS
    | COLD_CLUSTER_SETTINGS
    | COLD_REGION_SETTINGS
)

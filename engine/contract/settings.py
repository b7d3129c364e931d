"""What an operator may set, as one plain struct read from `config.toml` in the home.

Settings are values, not components: clock, stores and randomness are passed to constructors. Every queue,
retry, cache and loop of the engine has its limit here or beside its owner.
"""

from __future__ import annotations

from typing import Annotated

import msgspec

from engine.base.invariants import check
from engine.base.units import GIB, KIB, MIB

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
    compression_level: Annotated[int, msgspec.Meta(ge=1, le=19, description="zstd level for what compresses")] = 3
    compare_after_seal: Annotated[
        bool, msgspec.Meta(description="decrypt and compare each blob before its pack leaves")
    ] = True
    jobs_queued_max: Annotated[Positive, msgspec.Meta(description="jobs accepted and not ended")] = 10_000
    jobs_active_max: Annotated[Positive, msgspec.Meta(description="jobs worked on at once")] = 1_250


class ConsoleSettings(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """How the screen looks."""

    refresh_hz: Annotated[float, msgspec.Meta(ge=0.5, le=10, description="frames a second")] = 4.0
    theme: Annotated[str, msgspec.Meta(description="theme of the console")] = "wedsync-dark"


class Settings(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """The whole of `config.toml`."""

    storage: StorageSettings = StorageSettings()
    engine: EngineSettings = EngineSettings()
    console: ConsoleSettings = ConsoleSettings()


# Read once at start; changing one while running is accepted, saved, and said to wait for the next start.
COLD_SETTINGS = frozenset({"storage.hot", "engine.jobs_queued_max"})

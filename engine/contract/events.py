"""Discrete facts, pushed through one bounded queue that counts what it drops."""

from __future__ import annotations

from typing import Literal

import msgspec

EventKind = Literal[
    "engine-started", "engine-stopping", "job-queued", "job-started", "job-checkpoint", "job-paused", "job-ended",
    "streams-changed", "wedding-changed", "settings-changed", "settings-tried", "key-changed",
]  # fmt: skip
EventLevel = Literal["info", "warning", "error"]


class Event(msgspec.Struct, frozen=True, kw_only=True, rename="camel", omit_defaults=True):
    """Something happened. `seq` grows by one an event of this engine's life, so a gap is a drop."""

    seq: int
    time_ns: int
    kind: EventKind
    level: EventLevel = "info"
    message: str = ""
    job: str = ""
    wedding: str = ""
    code: str = ""  # the error's stable code, where one is the reason


class EventBatch(msgspec.Struct, frozen=True, kw_only=True, rename="camel"):
    """The events after a given `seq`, and how many before them are no longer kept."""

    events: tuple[Event, ...]
    dropped: int

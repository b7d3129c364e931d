"""What was decided about the number of workers, and why: the arguments and the answer."""

from __future__ import annotations

from typing import Annotated, Literal

import msgspec

from engine.contract.operations import Operation, Result, _words
from engine.contract.scaling import DecisionRow, ForecastPoint, ScalingMode, ScalingPoint


class ReadScaling(Operation, frozen=True, kw_only=True):
    """How many workers there are and are to be, what was decided and why, and what is to come."""

    hours: Annotated[int, _words("how far back")] = 24
    limit: Annotated[int, _words("how many decisions")] = 50


class WorkerGroup(msgspec.Struct, frozen=True, kw_only=True, rename="camel"):
    """Workers of one class: streams of the engine's own machine, or nodes."""

    worker_class: Literal["stream", "reserved", "spot"]
    ready: int
    starting: int = 0
    draining: int = 0
    running: int = 0  # jobs, of `slots` that they could have
    slots: int = 0
    price_hour: float | None = None  # of one; None: `worker_hour` is not set


class ScalingReport(Result, frozen=True, kw_only=True):
    """Workers now, decisions (newest first), the timeline (oldest first), and what is forecast, in workers."""

    mode: ScalingMode  # what the settings say
    by: Literal["default", "manual", "auto"]  # who set the number that is in force
    workers: int
    target: int
    until: str  # when the number goes back to what it was, ISO 8601; empty: it stays
    reason: str
    season: str
    floor: int
    ceiling: int
    need_queue: int
    need_forecast: int
    rate_bytes_per_s: float  # bytes a second of one worker, as measured; 0: not yet
    startup_p95_s: float
    upkeep: str  # what migration, scrub and prune by themselves may do
    shortfall: str = ""  # the first hour for which more is forecast than there may be
    launch: str = ""  # what is launched next, and when
    of: Literal["streams", "nodes"] = "streams"  # what workers, target and needs count
    worker_hour: float | None = None  # price of an hour of one more, by the mix aimed at; None: not set
    forecast_basis: str = ""  # what the forecast stands on, in words; empty while there is none
    groups: tuple[WorkerGroup, ...] = ()
    decisions: tuple[DecisionRow, ...] = ()
    timeline: tuple[ScalingPoint, ...] = ()
    forecast: tuple[ForecastPoint, ...] = ()

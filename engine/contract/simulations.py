"""Playing a weekend on machines that do not exist: what is asked, and what is told. Everything told is SIMULATED."""

from __future__ import annotations

import datetime as dt
from typing import Annotated, Literal

import msgspec

from engine.contract.operations import Operation, Result, _words

FleetRule = Literal["autoscaler", "reactive", "fixed"]


class Simulate(Operation, frozen=True, kw_only=True):
    """Play a weekend of weddings on SIMULATED nodes with this program's scaler: waits, nodes, cost."""

    date: Annotated[dt.date, _words("the day in its middle, as 2026-07-18", title="DATE")] = dt.date(2026, 7, 18)
    weddings: Annotated[int, _words("weddings a day, in the mean of a year"), msgspec.Meta(ge=1, le=1_000)] = 300
    times: Annotated[int, _words("so many times the weddings on that day"), msgspec.Meta(ge=0, le=20)] = 1
    rule: Annotated[
        FleetRule, _words("who scales: the autoscaler; Kubernetes' reactive rule; nobody, the ceiling all the time")
    ] = "autoscaler"
    floor: Annotated[int, _words("never fewer nodes"), msgspec.Meta(ge=1, le=10_000)] = 48
    ceiling: Annotated[int, _words("never more nodes"), msgspec.Meta(ge=1, le=100_000)] = 480
    calendar: Annotated[bool, _words("with six weddings of ten known beforehand (--no-calendar: none)")] = True
    boot: Annotated[str, _words("half of the nodes start within this time, as 28s", title="SPAN")] = "28s"
    losses: Annotated[
        int, _words("percent of the spot nodes that are taken away that evening at once"), msgspec.Meta(ge=0, le=100)
    ] = 0
    seed: Annotated[int, _words("the same seed gives the same, to the last byte")] = 1


class FleetHour(msgspec.Struct, frozen=True, kw_only=True, rename="camel"):
    """One hour of a simulation, as it was at its end; jobs that came in it."""

    time: str
    jobs: int
    target: int
    ready: int
    starting: int
    queued: int


class SimulationReport(Result, frozen=True, kw_only=True):
    """What a simulation came to. Waits are from a job's coming until it begins. Money by the prices it names."""

    simulated: Literal["SIMULATED"] = "SIMULATED"
    rule: FleetRule
    jobs: int
    failed: int
    late: int  # waited longer than their class tolerates
    wait_p50_s: float
    wait_p99_s: float
    nodes_most: int
    node_hours: float
    spot_share: float  # of the node-hours
    cost: float
    currency: str = "USD"
    ready_p95_s: float  # from a decision until a node is ready
    changes: int  # of the target
    nodes_lost: int
    put_back: int  # jobs that went on elsewhere after a node was taken
    under: float  # θ_U, θ_O, τ_U, τ_O, υ of SPEC, percent
    over: float
    under_time: float
    over_time: float
    instability: float
    assumed: str  # what the machines were taken to be
    trace: str  # SHA-256 of all that happened
    hours: tuple[FleetHour, ...] = ()

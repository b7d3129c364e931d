"""What the autoscaler decides by, and what it decides, as plain values. Pure.

A worker is a stream of this machine, or a node.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass, field

from engine.contract.cluster import NodeClass
from engine.contract.weddings import JobClass
from engine.scaling.outlook import Outlook
from engine.scaling.seasons import OFF_SEASON, Season

WAIT_S = 900.0  # a job may wait so long for a worker that starts: then a fast start makes up for a low forecast
SURGE_MAX = 10  # times the base, whatever is forecast


@dataclass(frozen=True, slots=True)
class Waiting:
    """What jobs of one class still have to do, other than what busy workers hold. Bytes are those of the sources."""

    queued_jobs: int = 0
    queued_bytes: float = 0.0
    oldest_wait_s: float = 0.0
    deadline_s: float = 120.0  # accepted → done


@dataclass(frozen=True, slots=True)
class Workers:
    """The workers of one class, by where they stand."""

    ready: int = 0
    starting: int = 0
    draining: int = 0
    price_hour: float = 0.0  # 0: no price is known


@dataclass(frozen=True, slots=True)
class Tolerant:
    """Work that no one waits for: verification, migration, scrub."""

    bytes: float = 0.0
    oldest_wait_s: float = 0.0


@dataclass(frozen=True, slots=True)
class Manual:
    """How many workers a person wants, until a moment or for good."""

    target: int
    until_ns: int | None = None


@dataclass(frozen=True, slots=True)
class ScalerFacts:
    """What is so now. A rate of 0 is one that was not measured yet.

    `busy` are workers whose job no other worker can take a part of; 0 where jobs are cut into units, as over streams:
    there `waiting` holds what is left of the jobs at work as well.
    """

    now_ns: int
    waiting: Mapping[JobClass, Waiting] = field(default_factory=dict)
    workers: Mapping[NodeClass, Workers] = field(default_factory=dict)  # without `spot`: there are none to be had
    running_jobs: int = 0
    busy: int = 0
    bytes_per_s: float = 0.0  # of one worker at work
    jobs_per_s: float = 0.0  # that one worker ends, by their number alone
    startup_p95_s: float = 0.0  # from asking for a worker until it works
    outlook: Outlook | None = None
    tolerant: Tolerant = Tolerant()
    season: Season = OFF_SEASON
    manual: Manual | None = None
    spent_month: float = 0.0

    @property
    def current(self) -> int:
        """Workers that work, or are about to."""
        return sum(each.ready + each.starting for each in self.workers.values())

    @property
    def is_blind(self) -> bool:
        """Whether nothing says what is to come."""
        return self.outlook is None or self.outlook.basis == "history too short"

    @property
    def queued_jobs(self) -> int:
        """Jobs that wait, of all classes."""
        return sum(each.queued_jobs for each in self.waiting.values())


@dataclass(frozen=True, slots=True)
class Policy:
    """The rules, in numbers. See `ScalingSettings` for what they mean."""

    base: int = 3
    floor: int = 1
    off_season_floor: int = 1
    ceiling: int = 30
    budget_month: float = math.inf
    lookahead_s: float = 7200.0
    margin_s: float = 300.0
    quantile: float = 0.8
    spot_share: float = 0.7

    def level(self, startup_s: float) -> float:
        """The quantile of the forecast that is provided for.

        Where a worker is ready sooner than a job may wait, what exceeds the middle can still be met when it has come;
        a higher quantile costs more there and no job begins any earlier (docs/scaling.md).
        """
        return self.quantile if startup_s > WAIT_S else min(0.5, self.quantile)

    def least(self, season: Season) -> int:
        """The floor in a season."""
        return self.floor if season.is_peak else self.off_season_floor

    @property
    def most(self) -> int:
        """What a surge may reach: the ceiling, and no more than ten times the base."""
        return max(self.floor, min(self.ceiling, SURGE_MAX * self.base))


@dataclass(frozen=True, slots=True)
class Shortfall:
    """The first hour for which more workers are forecast than there may be."""

    when_ns: int
    workers: int


@dataclass(frozen=True, slots=True)
class Launch:
    """What the forecast wants next, within the look-ahead: so many workers ready at `ready_ns`, asked for in time."""

    launch_ns: int
    ready_ns: int
    workers: int


@dataclass(frozen=True, slots=True)
class ScalerState:
    """What a decision leaves for the next one. `needs` are moments and needs, of which each later one is smaller."""

    target: int | None = None  # None: nothing was decided yet
    needs: tuple[tuple[int, int], ...] = ()
    emergency_ns: int | None = None  # when the workers were last doubled
    reviewed_ns: int | None = None  # when the whole forecast was gone through
    reserved: int = 0  # workers that are worth being reserved
    shortfall: Shortfall | None = None


@dataclass(frozen=True, slots=True)
class Need:
    """Workers, before bounds and steps, by what needs them."""

    queue: int
    forecast: int
    launch: Launch | None = None


@dataclass(frozen=True, slots=True)
class Decision:
    """How many workers of each class, when they are expected, and why."""

    time_ns: int
    target: Mapping[NodeClass, int]
    effective_ns: int
    need: Need
    tolerant_workers: int  # how many may do work that no one waits for
    reason: str
    state: ScalerState
    is_change: bool = False
    emergency: bool = False
    ceiling_reached: bool = False
    budget_reached: bool = False

    @property
    def total(self) -> int:
        """Workers of all classes."""
        return sum(self.target.values())

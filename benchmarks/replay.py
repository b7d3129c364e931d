"""SIMULATED replay of a week of jobs, minute by minute, under one rule of scaling; many weeks side by side.

A job is worked on by one worker for `BUSY_MINUTES` and cannot be shared; jobs begin first come, first served. A worker
is paid for from the minute it is asked for. One that is too many ends what it has begun. Lanes are weeks × start-up
times: arrays over lanes, a loop over minutes. The rules of others are `engine.scaling.baselines`, ours is
`engine.scaling.autoscaler.decide` itself, called lane by lane.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from typing import Protocol

import numpy as np

from engine.base.invariants import check
from engine.contract.weddings import JobClass
from engine.scaling.autoscaler import decide
from engine.scaling.baselines import SYNC_S, Counts, Floats, Hpa
from engine.scaling.elasticity import Elasticity, Waits, demanded, elasticity, waits
from engine.scaling.facts import Policy, ScalerFacts, ScalerState, Waiting, Workers
from engine.scaling.outlook import Outlook

BUSY_MINUTES = 20
TOLERATED_MINUTES = 15  # from a job's coming until it begins
WARM_UP, WEEK, TAIL = 1_440, 7 * 1_440, 360  # minutes before, of and after what is judged
MINUTES = WARM_UP + WEEK + TAIL
JOB_BYTES, BYTES_PER_S = 1.2e9, 1e6  # 20 minutes of a worker
MINUTE_NS = 60 * 10**9
RING = 64  # minutes; a start-up takes fewer
WORKERS_MAX = 100_000
DEADLINE_S = (TOLERATED_MINUTES + BUSY_MINUTES) * 60.0
PERIOD_QUICK, PERIOD_SLOW = 3, 5  # minutes between two decisions of ours: the others have one every 15 s


@dataclass(slots=True)
class Week:
    """What came in a week, a day of warm-up before and six hours after it."""

    trace: str
    label: str  # peak, quiet, or what went wrong
    begin_ns: int  # of the warm-up
    arrivals: Counts  # by minute
    peak_workers: int  # the largest demand of the year it is from
    mean_workers: float
    policy: Policy
    floors: dict[str, Floats] = field(default_factory=dict)  # workers by minute, of rules that know some ahead
    outlooks: dict[str, list[Outlook]] = field(default_factory=dict)  # by forecaster: one a day
    losses: dict[int, float] = field(default_factory=dict)  # minute → share of the workers that is gone at once


@dataclass(frozen=True, slots=True)
class Outcome:
    """What one rule made of one lane."""

    waits: Waits
    worker_hours: float
    elasticity: Elasticity
    longest_queue: int


class Lanes:
    """The workers and jobs of all lanes at one minute."""

    def __init__(self, weeks: Sequence[Week], startups: Counts, initial: Counts) -> None:
        self.weeks = weeks
        self.startups = startups
        self.ready = initial.astype(np.int64)
        self.target = self.ready.copy()
        self.queue = np.zeros(len(weeks), dtype=np.int64)
        self.started = np.zeros(len(weeks), dtype=np.int64)
        self.came = np.cumsum(np.stack([week.arrivals for week in weeks]), axis=1)
        self.begun = np.zeros((MINUTES, len(weeks)), dtype=np.int64)  # jobs by the minute they began for good
        self.minute = 0
        self._booting = np.zeros((RING, len(weeks)), dtype=np.int64)  # by the minute they are ready
        self._working = np.zeros((BUSY_MINUTES, len(weeks)), dtype=np.int64)  # by the minute they began
        self._all = np.arange(len(weeks))

    @property
    def busy(self) -> Counts:
        """Workers at work."""
        return np.asarray(self._working.sum(axis=0))

    @property
    def booting(self) -> Counts:
        """Workers asked for that are not ready."""
        return np.asarray(self._booting.sum(axis=0))

    def begin(self, minute: int, arrivals: Counts) -> None:
        """Jobs end, workers are ready, jobs come; workers are lost, and their jobs wait again."""
        self.minute = minute
        self._working[minute % BUSY_MINUTES] = 0
        self.ready += self._booting[minute % RING]
        self._booting[minute % RING] = 0
        self.queue += arrivals
        shares = np.array([week.losses.get(minute, 0.0) for week in self.weeks])
        if shares.any():
            stopped = np.floor(self._working * shares).astype(np.int64)
            self._working -= stopped
            self.begun[[minute - (minute - slot) % BUSY_MINUTES for slot in range(BUSY_MINUTES)]] -= stopped
            self.queue += stopped.sum(axis=0)
            self.started -= stopped.sum(axis=0)
            self.ready = np.maximum(self.busy, self.ready - np.floor(self.ready * shares).astype(np.int64))

    def apply(self, target: Counts) -> None:
        """Ask for workers, or let some go: those that are not ready first, the newest of them; then idle ones."""
        self.target = target
        excess = self.ready + self.booting - target
        ready_at = (self.minute + self.startups) % RING
        self._booting[ready_at, self._all] += np.maximum(-excess, 0)
        excess = np.maximum(excess, 0)
        if (excess * self.booting).any():
            for ahead in range(RING - 1, 0, -1):
                slot = (self.minute + ahead) % RING
                cancelled = np.minimum(self._booting[slot], excess)
                self._booting[slot] -= cancelled
                excess = excess - cancelled
        self.ready -= np.minimum(excess, np.maximum(self.ready - self.busy, 0))

    def start(self) -> None:
        """Jobs begin where a worker is free and is to stay."""
        room = np.maximum(np.minimum(self.ready, self.target) - self.busy, 0)
        begun = np.minimum(room, self.queue)
        self._working[self.minute % BUSY_MINUTES] = begun
        self.queue -= begun
        self.started += begun
        self.begun[self.minute] = begun


class Rule(Protocol):
    """What decides how many workers there are to be."""

    def target(self, lanes: Lanes) -> Counts:
        """Workers for every lane, at the lanes' minute."""
        ...


class Fixed:
    """As many all the time."""

    def __init__(self, workers: Counts) -> None:
        self._workers = workers

    def target(self, lanes: Lanes) -> Counts:
        """See `Rule.target`."""
        return self._workers


class Reactive:
    """Kubernetes' rule, every 15 s; never below a floor that a schedule or a forecast gives."""

    def __init__(self, weeks: Sequence[Week], startups: Counts, floor: str = "") -> None:
        self._hpa = Hpa(len(weeks))
        self._floors = np.zeros((len(weeks), MINUTES), dtype=np.int64)
        if floor:
            self._floors = np.stack(
                [_ahead(week.floors[floor], int(span)) for week, span in zip(weeks, startups, strict=True)]
            )

    def target(self, lanes: Lanes) -> Counts:
        """See `Rule.target`."""
        jobs, current = lanes.queue + lanes.busy, lanes.target
        floor = np.maximum(self._floors[:, lanes.minute], 1)
        for _ in range(60 // SYNC_S):
            current = np.asarray(np.maximum(self._hpa.sync(current, jobs), floor), dtype=np.int64)
        return np.asarray(np.minimum(current, WORKERS_MAX), dtype=np.int64)


def _ahead(floor: Floats, minutes: int) -> Counts:
    """The most that is wanted from now until a worker that is asked for now is ready."""
    padded = np.concatenate([floor, np.full(minutes, floor[-1])])
    windows = np.lib.stride_tricks.sliding_window_view(padded, minutes + 1)
    return np.ceil(windows.max(axis=1)).astype(np.int64)


class Ours:
    """The autoscaler of the engine with one of its forecasts, asked every few minutes."""

    def __init__(self, weeks: Sequence[Week], startups: Counts, forecaster: str, *, quantile: float = 0.0) -> None:
        self._weeks = weeks
        self._forecaster = forecaster
        self._states = [ScalerState() for _ in weeks]
        self._targets = np.ones(len(weeks), dtype=np.int64)
        self._periods = [PERIOD_QUICK if span <= TOLERATED_MINUTES else PERIOD_SLOW for span in startups]
        self._startups_s = [float(span) * 60.0 for span in startups]
        self._policies = [replace(week.policy, quantile=quantile or week.policy.quantile) for week in weeks]

    def target(self, lanes: Lanes) -> Counts:
        """See `Rule.target`."""
        due = [lane for lane, period in enumerate(self._periods) if lanes.minute % period == 0]
        if due:
            columns = (lanes.ready, lanes.booting, lanes.busy, lanes.queue, lanes.started)
            now = [column.tolist() for column in columns]
            for lane in due:
                facts = self._facts(lanes, lane, [column[lane] for column in now])
                decision = decide(self._states[lane], facts, self._policies[lane])
                self._states[lane] = decision.state
                self._targets[lane] = decision.total
        return self._targets.copy()

    def _facts(self, lanes: Lanes, lane: int, now: list[int]) -> ScalerFacts:
        ready, booting, busy, queued, started = now
        week = self._weeks[lane]
        waiting: dict[JobClass, Waiting] = {}
        if queued:
            oldest = int(np.searchsorted(lanes.came[lane], started, side="right"))
            waited_s = max(0, lanes.minute - oldest) * 60.0
            waiting = {"standard": Waiting(queued, queued * JOB_BYTES, waited_s, DEADLINE_S)}
        outlooks = week.outlooks[self._forecaster]
        return ScalerFacts(
            now_ns=week.begin_ns + lanes.minute * MINUTE_NS,
            waiting=waiting,
            workers={"reserved": Workers(ready, booting)},
            running_jobs=busy,
            busy=busy,
            bytes_per_s=BYTES_PER_S,
            startup_p95_s=self._startups_s[lane],
            outlook=outlooks[min(lanes.minute // 1_440, len(outlooks) - 1)],
        )


def replay(weeks: Sequence[Week], startups: Sequence[int], rule: Rule) -> list[Outcome]:
    """Carry out all lanes; `weeks` and `startups` name one a lane."""
    arrivals = np.stack([week.arrivals for week in weeks], axis=1)
    initial = np.array([max(1, round(float(week.arrivals[:120].mean()) * BUSY_MINUTES / 0.8)) for week in weeks])
    lanes = Lanes(weeks, np.array(startups), initial)
    shape = (MINUTES, len(weeks))
    paid, supply, queues = (np.zeros(shape, dtype=np.int64) for _ in range(3))
    for minute in range(MINUTES):
        lanes.begin(minute, arrivals[minute])
        lanes.apply(rule.target(lanes))
        lanes.start()
        supply[minute] = lanes.ready
        paid[minute] = lanes.ready + lanes.booting
        queues[minute] = lanes.queue
    check(bool((lanes.started + lanes.queue == lanes.came[:, -1]).all()), "every job waits or has begun")
    check(bool((lanes.begun.sum(axis=0) == lanes.started).all()), "what began is what was counted")
    check(bool((lanes.busy <= lanes.ready).all()), "who works is paid")
    judged = slice(WARM_UP, WARM_UP + WEEK)
    found = []
    for lane, week in enumerate(weeks):
        demand = demanded(week.arrivals, busy_ticks=BUSY_MINUTES, wait_ticks=TOLERATED_MINUTES)
        found.append(
            Outcome(
                _waits(week.arrivals, lanes.begun[:, lane]),
                float(paid[judged, lane].sum()) / 60,
                elasticity(demand[judged], supply[judged, lane]),
                int(queues[judged, lane].max()),
            )
        )
    return found


def _waits(arrivals: Counts, begun: Counts) -> Waits:
    """Of the jobs that came in the week itself."""
    first, last = int(arrivals[:WARM_UP].sum()), int(arrivals[: WARM_UP + WEEK].sum())
    place = np.cumsum(begun)
    clipped = np.clip(place, first, last)
    starts = clipped - np.concatenate([[first], clipped[:-1]])
    came = arrivals.copy()
    came[:WARM_UP] = came[WARM_UP + WEEK :] = 0
    return waits(came, starts, TOLERATED_MINUTES)

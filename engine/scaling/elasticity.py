"""How well supply followed demand, and what the jobs felt of it. Pure.

In: demanded and supplied workers, arrivals and starts of jobs, tick by tick. Out: the metrics of the SPEC Research
Group (Herbst, Krebs, Oechsner, Kounev et al.: "Ready for Rain? A View from SPEC Research on the Future of Cloud
Metrics", 2016; "BUNGEE", SEAMS 2015), waits, and paired differences with their uncertainty. Any thread.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from engine.base.invariants import check

Floats = NDArray[np.float64]
Counts = NDArray[np.int64]

SHARE_MIN = 0.01  # percent: what a metric of 0 counts as when a ratio of two is taken
DRAWS = 2_000


@dataclass(frozen=True, slots=True)
class Elasticity:
    """Metrics of one stretch, in percent but for `adaptations`."""

    under: float  # θ_U: mean of what was missing, as a share of the demand
    over: float  # θ_O: mean of what was too much, as a share of the demand
    under_time: float  # τ_U: share of the time with too little
    over_time: float  # τ_O: share of the time with too much
    instability: float  # υ: share of the time in which supply and demand moved differently
    adaptations: int  # changes of the supply


def elasticity(demand: Counts | Floats, supply: Counts | Floats) -> Elasticity:
    """The metrics of one stretch, both sampled at the same moments. A demand below one worker counts as one."""
    check(len(demand) == len(supply) and len(demand) > 1, "demand and supply are sampled at the same moments")
    wanted = np.maximum(np.asarray(demand, dtype=np.float64), 1.0)
    given = np.asarray(supply, dtype=np.float64)
    missing = wanted - given
    moved = np.diff(given)
    return Elasticity(
        under=100.0 * float(np.mean(np.maximum(missing, 0.0) / wanted)),
        over=100.0 * float(np.mean(np.maximum(-missing, 0.0) / wanted)),
        under_time=100.0 * float(np.mean(missing > 0)),
        over_time=100.0 * float(np.mean(missing < 0)),
        instability=100.0 * float(np.mean(np.sign(moved) != np.sign(np.diff(wanted)))),
        adaptations=int(np.count_nonzero(moved)),
    )


def speedup(baseline: Elasticity, ours: Elasticity) -> float:
    """ε: how much more elastic than a baseline; above 1 is better. Geometric mean of the ratios of θ and τ.

    A metric that is 0 counts as `SHARE_MIN`, or no ratio could be taken.
    """
    pairs = [
        (baseline.under, ours.under),
        (baseline.over, ours.over),
        (baseline.under_time, ours.under_time),
        (baseline.over_time, ours.over_time),
    ]
    ratios = [max(theirs, SHARE_MIN) / max(own, SHARE_MIN) for theirs, own in pairs]
    return float(np.exp(np.mean(np.log(ratios))))


def demanded(arrivals: Counts, *, busy_ticks: int, wait_ticks: int) -> Counts:
    """The fewest workers that keep up with what arrived of late, by tick; a job takes one for `busy_ticks`.

    What arrived within the tolerated wait has as long to begin: demand is the work of that window over its length.
    """
    check(busy_ticks > 0 and wait_ticks > 0, "jobs take time and may wait")
    sums = np.concatenate([np.zeros(1, dtype=np.int64), np.cumsum(arrivals)])
    ends = np.arange(1, len(arrivals) + 1)
    window = sums[ends] - sums[np.maximum(ends - wait_ticks, 0)]
    return np.asarray(np.ceil(window * busy_ticks / wait_ticks), dtype=np.int64)


@dataclass(frozen=True, slots=True)
class Waits:
    """What the jobs felt: how long they waited, in ticks."""

    jobs: int
    late: int  # waited longer than tolerated
    p50: float
    p99: float
    longest: float

    @property
    def late_share(self) -> float:
        """Of all jobs, 0 … 1."""
        return self.late / max(self.jobs, 1)


def waits(arrivals: Counts, starts: Counts, tolerated: float) -> Waits:
    """Waits of jobs that began first come, first served; those that never began waited until the end."""
    check(len(arrivals) == len(starts), "arrivals and starts are of the same ticks")
    jobs, begun = int(arrivals.sum()), int(starts.sum())
    check(begun <= jobs, "no job begins that did not come")
    ticks = np.arange(len(arrivals))
    came = np.repeat(ticks, arrivals)
    began = np.concatenate([np.repeat(ticks, starts), np.full(jobs - begun, len(arrivals))])
    return waited(began - came, tolerated)


def waited(each: Sequence[float] | Counts, tolerated: float) -> Waits:
    """The same of spans that are known one by one."""
    spans = np.asarray(each, dtype=np.float64)
    if not len(spans):
        return Waits(0, 0, 0.0, 0.0, 0.0)
    p50, p99 = (float(x) for x in np.percentile(spans, (50, 99)))
    return Waits(len(spans), int(np.count_nonzero(spans > tolerated)), p50, p99, float(spans.max()))


@dataclass(frozen=True, slots=True)
class Difference:
    """Ours minus theirs in the mean, with the middle 95 % of the bootstrap."""

    mean: float
    low: float
    high: float

    @property
    def excludes_zero(self) -> bool:
        """Whether chance is an unlikely reason."""
        return self.low > 0 or self.high < 0


def paired(ours: Sequence[float], theirs: Sequence[float], *, seed: int = 1) -> Difference:
    """Paired percentile bootstrap over the units that both were measured on (Efron, Tibshirani 1993, chapter 13)."""
    check(len(ours) == len(theirs) and len(ours) > 0, "pairs belong together")
    apart = np.asarray(ours, dtype=np.float64) - np.asarray(theirs, dtype=np.float64)
    chance = np.random.Generator(np.random.PCG64(seed))
    means = apart[chance.integers(0, len(apart), size=(DRAWS, len(apart)))].mean(axis=1)
    low, high = (float(x) for x in np.percentile(means, (2.5, 97.5)))
    return Difference(float(apart.mean()), low, high)

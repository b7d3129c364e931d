"""What others would do: the rules that the autoscaler is measured against. Pure.

All work on several lanes at once, one an element: so weeks and start-up times are replayed side by side. Any thread.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping

import numpy as np
from numpy.typing import NDArray

from engine.contract.cluster import NodeClass
from engine.scaling.facts import ScalerFacts

Counts = NDArray[np.int64]
Floats = NDArray[np.float64]

SYNC_S = 15
TOLERANCE = 0.1
STABILISATION_S = 300
STEP_WORKERS = 4
UTILISATION = 0.8  # jobs a worker is given, so that those which come find one free
SPOT_SHARE = 0.7
AWS_DAYS = 14
AWS_REFRESH_HOURS = 6


class Hpa:
    """Kubernetes' HorizontalPodAutoscaler with an external metric, by its documented algorithm and defaults.

    desired = ceil(current · metric ÷ (current · target)); nothing within 10 %; each 15 s up by the larger of 100 % and
    4; down to the largest desired of the last 300 s.
    """

    def __init__(self, lanes: int) -> None:
        self._wanted = np.zeros((STABILISATION_S // SYNC_S, lanes), dtype=np.int64)
        self._turn = 0

    def sync(self, current: Counts, jobs: Counts) -> Counts:
        """Workers to ask for: `current` are asked for already, `jobs` are queued or running. Once in 15 s."""
        ratio = jobs / (UTILISATION * np.maximum(current, 1))
        desired = np.ceil(jobs / UTILISATION).astype(np.int64)
        desired = np.where((np.abs(ratio - 1.0) <= TOLERANCE) & (current > 0), current, desired)
        self._wanted[self._turn] = desired
        self._turn = (self._turn + 1) % len(self._wanted)
        steadied = np.minimum(current, self._wanted.max(axis=0))
        up = np.minimum(desired, np.maximum(2 * current, current + STEP_WORKERS))
        return np.asarray(np.where(desired >= current, up, steadied), dtype=np.int64)


def reactive_nodes(floor: int, ceiling: int) -> Callable[[ScalerFacts], Mapping[NodeClass, int]]:
    """The same rule for one fleet, asked once in 15 s; seven of ten of its nodes are spot."""
    hpa = Hpa(1)

    def choose(facts: ScalerFacts) -> Mapping[NodeClass, int]:
        wanted = int(hpa.sync(np.array([facts.current]), np.array([facts.queued_jobs + facts.busy]))[0])
        total = max(floor, min(ceiling, wanted))
        spot = round(SPOT_SHARE * total)
        return {"reserved": total - spot, "spot": spot}

    return choose


def hour_of_week(by_hour: Floats, day: int, hour: int, *, hours: int) -> Floats:
    """The jobs of the coming hours as a predictor with AWS' limits sees them: 14 days of history, no more.

    The algorithm of AWS is not published; this is the mean of the same hour of the week in those two weeks.
    """
    flat = by_hour.ravel()
    now = day * 24 + hour
    ahead = now + np.arange(hours)
    seen = [week for back in (1, 2) if (week := ahead - 168 * back).min() >= max(0, now - AWS_DAYS * 24)]
    if not seen:
        return np.full(hours, flat[max(0, now - 24) : now].mean() if now else 0.0)
    return np.asarray(np.mean([flat[week] for week in seen], axis=0))


def saturday_rule(by_hour: Floats, day: int, weekday: int, *, weeks: int = 8) -> Floats:
    """Jobs of each hour of a day that a fixed schedule provides for; 0 but on Saturdays and Sundays.

    The largest that the same hour of that weekday was in the weeks before; `weekday` is the day's, Monday 0.
    """
    same = [day - 7 * back for back in range(1, weeks + 1) if day - 7 * back >= 0]
    if weekday not in (5, 6) or not same:
        return np.zeros(24)
    return np.asarray(by_hour[same].max(axis=0))

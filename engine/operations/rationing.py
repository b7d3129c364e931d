"""What the settings say of the classes of jobs, handed to streams and figures: weights, deadlines, rate limits.

Once a second, and so that a limit with times of the week begins and ends by itself. Engine loop only.
"""

from __future__ import annotations

import datetime as dt
import functools
from collections import deque
from collections.abc import Callable, Mapping
from typing import TypeVar

import msgspec

from engine.base.units import parse_span
from engine.contract.settings import ClassSettings, LimitSettings, Settings
from engine.contract.status import ClassRow, Tier, TierRow
from engine.contract.weddings import JOB_CLASSES, JobClass
from engine.jobs.bandwidth import Window, limit_at, parse_windows
from engine.jobs.dispatcher import Dispatcher
from engine.jobs.priority import local_time
from engine.pipeline.pool import StreamPool
from engine.storage.stores.metered import Meter

SAMPLES = 11  # one a second: ten seconds
AT_WORK_SHARE = 0.3  # of the streams' time; below, something outside of them holds jobs up
Key = TypeVar("Key", bound=str)


class _Sample(msgspec.Struct, frozen=True):
    """What streams had done at a moment."""

    time_s: float
    served: Mapping[JobClass, float]
    moved: Mapping[Tier, float]  # bytes written and read
    stages: Mapping[str, float]  # thread seconds
    ending: int  # runs that publish and commit


_windows = functools.lru_cache(maxsize=64)(parse_windows)


class Rationing:
    """Keeps streams and figures in step with the settings."""

    def __init__(self, pool: StreamPool, dispatcher: Dispatcher, meters: Mapping[Tier, Meter]) -> None:
        self._pool = pool
        self._meters = meters
        self._dispatcher = dispatcher
        self._classes: ClassSettings | None = None
        self.limits: dict[JobClass, float | None] = dict.fromkeys(JOB_CLASSES)  # in force
        self._samples: deque[_Sample] = deque(maxlen=SAMPLES)

    def apply(self, settings: Settings, now_ns: int) -> None:
        """Bring everything to what holds at `now_ns`."""
        if settings.classes is not self._classes:
            self._classes = settings.classes
            self._dispatcher.figures.deadlines_s = deadlines_of(settings.classes)
            for name, weight in weights_of(settings.classes).items():
                self._pool.set_weight(name, weight)
                self._pool.set_deadline(name, self._dispatcher.figures.deadlines_s[name])
        for name, limit in limits_at(settings.limits, now_ns).items():
            if limit != self.limits[name]:
                self.limits[name] = limit
                self._pool.set_limit(name, limit)
        for tier, limit in tier_limits_at(settings.limits, now_ns).items():
            if limit != self._meters[tier].limit_bytes_per_s:
                self._meters[tier].set_limit(limit)
                self._pool.look_again()

    def sample(self, now_s: float) -> None:
        """Note what the streams have done so far; called once a second."""
        stages: dict[str, float] = {stage: figure.thread_s for stage, figure in self._pool.stages().items()}
        moved: dict[Tier, float] = {
            tier: meter.bytes_written + meter.bytes_read for tier, meter in self._meters.items()
        }
        self._samples.append(_Sample(now_s, dict(self._pool.served), moved, stages, self._pool.ending))

    def classes(self, now_ns: int) -> tuple[ClassRow, ...]:
        """How each class stands."""
        counts, records = self._dispatcher.roster.by_class(), self._dispatcher.figures.deadlines()
        weights = weights_of(self._classes or ClassSettings())
        served = self._grown(lambda sample: sample.served)
        total = sum(served.values())
        return tuple(
            ClassRow(
                priority=name,
                weight=weights[name],
                entitled_share=weights[name] / sum(weights.values()),
                share=served.get(name, 0) / total if total else 0.0,
                limit_bytes_per_s=self.limits[name],
                jobs_running=counts[name].running,
                jobs_queued=counts[name].queued,
                jobs_paused=counts[name].paused,
                oldest_queued_s=(now_ns - counts[name].oldest_ns) / 1e9 if counts[name].oldest_ns else 0.0,
                deadline_s=self._dispatcher.figures.deadlines_s[name],
                took=records[name].took,
                jobs_counted=records[name].counted,
                jobs_in_time=records[name].in_time,
            )
            for name in JOB_CLASSES
        )

    def shown(self, tiers: tuple[TierRow, ...]) -> tuple[TierRow, ...]:
        """Tiers with what they move now, and may."""
        moved, span_s = self._grown(lambda sample: sample.moved), self._span_s()
        return tuple(
            msgspec.structs.replace(
                row,
                moved_bytes_per_s=moved.get(row.tier, 0) / span_s,
                limit_bytes_per_s=self._meters[row.tier].limit_bytes_per_s,
            )
            for row in tiers
        )

    def bottleneck(self) -> str:
        """What holds the streams up most, over the last samples; empty while no job runs."""
        if len(self._samples) < 2:
            return ""
        spent = self._grown(lambda sample: sample.stages)
        if sum(spent.values()) / (self._span_s() * self._pool.size) >= AT_WORK_SHARE:
            return max(spent, key=spent.__getitem__)
        limits = (*self.limits.values(), *(meter.limit_bytes_per_s for meter in self._meters.values()))
        return outside(
            active=len(self._dispatcher.roster.active),
            ending=sum(sample.ending for sample in self._samples) / len(self._samples),
            is_limited=any(limit is not None for limit in limits),
        )

    def _span_s(self) -> float:
        """From the first to the last sample."""
        return max(1e-3, self._samples[-1].time_s - self._samples[0].time_s) if self._samples else 1e-3

    def _grown(self, of: Callable[[_Sample], Mapping[Key, float]]) -> dict[Key, float]:
        """By how much a figure has grown from the first to the last sample."""
        if len(self._samples) < 2:
            return {}
        first, last = of(self._samples[0]), of(self._samples[-1])
        return {key: value - first.get(key, 0) for key, value in last.items()}


# --- pure ---------------------------------------------------------------------------------------------


def outside(*, active: int, ending: float, is_limited: bool) -> str:
    """What holds up jobs whose streams have little to do. `ending`: how many of the active ones publish and commit."""
    if not active:
        return ""
    if ending >= active / 2:
        return "store"
    return "limit" if is_limited else "source"


def weights_of(classes: ClassSettings) -> dict[JobClass, int]:
    """Class → share of the streams."""
    return {
        "same-day": classes.same_day_weight,
        "retrieval": classes.retrieval_weight,
        "next-day": classes.next_day_weight,
        "standard": classes.standard_weight,
    }


def deadlines_of(classes: ClassSettings) -> dict[JobClass, float]:
    """Class → seconds from accepted to protected, or to the first byte restored."""
    return {
        "same-day": parse_span(classes.same_day_deadline),
        "retrieval": parse_span(classes.retrieval_deadline),
        "next-day": parse_span(classes.next_day_deadline),
        "standard": parse_span(classes.standard_deadline),
    }


def check_limits(limits: LimitSettings) -> None:
    """Raises ValueError with a sentence for what means nothing."""
    windows_of(limits)
    tier_windows_of(limits)


def windows_of(limits: LimitSettings) -> dict[JobClass, tuple[Window, ...]]:
    """Class → its limits. Raises ValueError with a sentence."""
    return {
        "same-day": _windows(limits.same_day),
        "retrieval": _windows(limits.retrieval),
        "next-day": _windows(limits.next_day),
        "standard": _windows(limits.standard),
    }


def tier_windows_of(limits: LimitSettings) -> dict[Tier, tuple[Window, ...]]:
    """Tier → its limits. Raises ValueError with a sentence."""
    return {"hot": _windows(limits.hot), "warm": _windows(limits.warm), "cold": _windows(limits.cold)}


def limits_at(limits: LimitSettings, now_ns: int) -> dict[JobClass, float | None]:
    """Class → bytes a second that hold at `now_ns`; None: no limit."""
    local: dt.datetime = local_time(limits.timezone, now_ns)
    return {name: limit_at(windows, local) for name, windows in windows_of(limits).items()}


def tier_limits_at(limits: LimitSettings, now_ns: int) -> dict[Tier, float | None]:
    """Tier → bytes a second that hold at `now_ns`; None: no limit."""
    local: dt.datetime = local_time(limits.timezone, now_ns)
    return {tier: limit_at(windows, local) for tier, windows in tier_windows_of(limits).items()}

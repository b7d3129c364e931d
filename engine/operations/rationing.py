"""What the settings say of the priority classes, handed to streams and figures: weights, deadlines, rate limits.

Once a second, and so that a limit with times of the week begins and ends by itself. Engine loop only.
"""

from __future__ import annotations

import datetime as dt
import functools

from engine.base.units import parse_span
from engine.contract.settings import ClassSettings, LimitSettings, Settings
from engine.contract.weddings import PRIORITY_CLASSES, PriorityClass
from engine.jobs.bandwidth import Window, limit_at, parse_windows
from engine.jobs.dispatcher import Dispatcher
from engine.jobs.priority import local_time
from engine.pipeline.pool import StreamPool

_windows = functools.lru_cache(maxsize=64)(parse_windows)


class Rationing:
    """Keeps streams and figures in step with the settings."""

    def __init__(self, pool: StreamPool, dispatcher: Dispatcher) -> None:
        self._pool = pool
        self._dispatcher = dispatcher
        self._classes: ClassSettings | None = None
        self.limits: dict[PriorityClass, float | None] = dict.fromkeys(PRIORITY_CLASSES)  # in force

    def apply(self, settings: Settings, now_ns: int) -> None:
        """Bring everything to what holds at `now_ns`."""
        if settings.classes is not self._classes:
            self._classes = settings.classes
            self._dispatcher.figures.deadlines_s = deadlines_of(settings.classes)
            for name, weight in weights_of(settings.classes).items():
                self._pool.set_weight(name, weight)
        for name, limit in limits_at(settings.limits, now_ns).items():
            if limit != self.limits[name]:
                self.limits[name] = limit
                self._pool.set_limit(name, limit)


# --- pure ---------------------------------------------------------------------------------------------


def weights_of(classes: ClassSettings) -> dict[PriorityClass, int]:
    """Class → share of the streams."""
    return {
        "same-day": classes.same_day_weight,
        "next-day": classes.next_day_weight,
        "standard": classes.standard_weight,
    }


def deadlines_of(classes: ClassSettings) -> dict[PriorityClass, float]:
    """Class → seconds from accepted to protected."""
    return {
        "same-day": parse_span(classes.same_day_deadline),
        "next-day": parse_span(classes.next_day_deadline),
        "standard": parse_span(classes.standard_deadline),
    }


def windows_of(limits: LimitSettings) -> dict[PriorityClass, tuple[Window, ...]]:
    """Class → its limits. Raises ValueError with a sentence."""
    return {
        "same-day": _windows(limits.same_day),
        "next-day": _windows(limits.next_day),
        "standard": _windows(limits.standard),
    }


def limits_at(limits: LimitSettings, now_ns: int) -> dict[PriorityClass, float | None]:
    """Class → bytes a second that hold at `now_ns`; None: no limit."""
    local: dt.datetime = local_time(limits.timezone, now_ns)
    return {name: limit_at(windows, local) for name, windows in windows_of(limits).items()}

"""How many workers there are to be: `[scaling]` of `config.toml`, and a decision as it is shown."""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import Annotated, Literal

import msgspec

from engine.base.units import parse_span

ScalingMode = Literal["manual", "auto"]
Hemisphere = Literal["north", "south"]
Workers = Annotated[int, msgspec.Meta(ge=1, le=10_000)]
Money = Annotated[float, msgspec.Meta(ge=0)]
Share = Annotated[float, msgspec.Meta(ge=0, le=1)]

_MONTHS = ["jan", "feb", "mar", "apr", "may", "jun", "jul", "aug", "sep", "oct", "nov", "dec"]
_DAYS = ["mon", "tue", "wed", "thu", "fri", "sat", "sun"]
_ORDERS = {"1st": 0, "2nd": 1, "3rd": 2, "4th": 3, "last": -1}
_LINE = re.compile(r"\s*(?P<name>[^:]+?)\s*:\s*(?P<when>.+?)\s+(?P<factor>\d+(?:\.\d+)?)\s*")
_DATE = re.compile(r"(\d\d)-(\d\d)")
_FREEZE = re.compile(r"(mon|tue|wed|thu|fri|sat|sun)(?:\.\.(mon|tue|wed|thu|fri|sat|sun))?")
FACTOR_MAX = 10.0
SEASONS = ("peak season: 05-01..09-30 5",)
SPECIAL_DATES = (
    "Valentine's Day: 02-14 2",
    "New Year: 12-31..01-01 2",
    "12-12: 12-12 2",
    "spring long weekend: last mon may 1.5",
    "autumn long weekend: 1st mon sep 1.5",
)


class ScalingSettings(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """How many workers there are: streams of this machine, or nodes of a cluster."""

    mode: Annotated[ScalingMode, msgspec.Meta(description="manual: as scale says; auto: as the need is")] = "manual"
    base: Annotated[
        Workers | None, msgspec.Meta(description="workers of an ordinary day; unset: cores + 1, or 1 node")
    ] = None
    floor: Annotated[Workers, msgspec.Meta(description="never fewer workers than this")] = 1
    off_season_floor: Annotated[
        Workers | None, msgspec.Meta(description="never fewer outside the seasons; unset: as floor")
    ] = None
    ceiling: Annotated[Workers | None, msgspec.Meta(description="never more workers; unset: ten times the base")] = None
    budget_month: Annotated[
        Money | None, msgspec.Meta(description="what workers may cost a month; then only what is urgent counts")
    ] = None
    lookahead: Annotated[str, msgspec.Meta(description="how far ahead the forecast is asked, as 2h")] = "2h"
    margin: Annotated[str, msgspec.Meta(description="workers are ready so long before they are needed, as 5m")] = "5m"
    quantile: Annotated[
        float, msgspec.Meta(ge=0.5, le=0.99, description="of the forecast that is provided for: higher is dearer")
    ] = 0.8
    spot_share: Annotated[Share, msgspec.Meta(description="of the worker-hours, on machines that may be taken")] = 0.7
    hemisphere: Annotated[Hemisphere, msgspec.Meta(description="south: the seasons are half a year later")] = "north"
    timezone: Annotated[str, msgspec.Meta(description="time zone of the days, as Europe/London")] = "UTC"
    saturday: Annotated[
        float, msgspec.Meta(ge=1, le=FACTOR_MAX, description="times the base on Saturdays, where nothing is forecast")
    ] = 2.0
    seasons: Annotated[
        tuple[str, ...], msgspec.Meta(description='times the base, as ["peak season: 05-01..09-30 5"]')
    ] = SEASONS
    special_dates: Annotated[
        tuple[str, ...],
        msgspec.Meta(description='times the base, as ["12-12: 12-12 2", "May: last mon may 2"]'),
    ] = SPECIAL_DATES
    freeze: Annotated[
        tuple[str, ...], msgspec.Meta(description='days without migration, scrub and prune by themselves, as ["sat"]')
    ] = ("sat",)


class YearlyDays(msgspec.Struct, frozen=True):
    """Days that come each year, and how many times the base they want. Months and days, both ends included.

    With a `weekday` (0 is Monday) it is the `order`-th of the month of `begin`, with the days that join it to the
    weekend before or after: a long weekend.
    """

    name: str
    factor: float
    begin: tuple[int, int]
    end: tuple[int, int]
    order: int | None = None  # 0 … 3 from the first on, -1: the last
    weekday: int = 0


def yearly_days(lines: Sequence[str]) -> tuple[YearlyDays, ...]:
    """`NAME: 05-01..09-30 5`, `NAME: 02-14 2` or `NAME: last mon may 1.5`, each. Raises ValueError with a sentence."""
    return tuple(_yearly(line) for line in lines)


def _yearly(line: str) -> YearlyDays:
    match = _LINE.fullmatch(line)
    if match is None:
        raise ValueError(f"{line!r} is no season; write NAME: 05-01..09-30 5")
    name, words, factor = match["name"], match["when"].lower().split(), float(match["factor"])
    if not 1 <= factor <= FACTOR_MAX:
        raise ValueError(f"{line!r}: the factor is from 1 to {FACTOR_MAX:.0f}")
    if len(words) == 3 and words[0] in _ORDERS and words[1] in _DAYS and words[2] in _MONTHS:
        month = _MONTHS.index(words[2]) + 1
        return YearlyDays(name, factor, (month, 1), (month, 31), _ORDERS[words[0]], _DAYS.index(words[1]))
    ends = [_DATE.fullmatch(part) for part in "".join(words).split("..")]
    days = [(int(end[1]), int(end[2])) for end in ends if end is not None]
    if len(days) != len(ends) or len(days) > 2 or not all(1 <= m <= 12 and 1 <= d <= 31 for m, d in days):
        raise ValueError(f"{line!r} names no days; write 05-01..09-30, 02-14 or last mon may")
    return YearlyDays(name, factor, days[0], days[-1])


def weekdays(words: Sequence[str]) -> frozenset[int]:
    """`sat`, `fri..sun` → 0 (Monday) … 6. Raises ValueError with a sentence."""
    found: set[int] = set()
    for word in words:
        match = _FREEZE.fullmatch(word.strip().lower())
        if match is None:
            raise ValueError(f"{word!r} is no day of the week; write sat or fri..sun")
        first, last = _DAYS.index(match[1]), _DAYS.index(match[2] or match[1])
        found.update((first + ahead) % 7 for ahead in range((last - first) % 7 + 1))
    return frozenset(found)


def check_scaling(settings: ScalingSettings) -> None:
    """Raises ValueError with a sentence that begins with the setting for what means nothing."""
    for key, check in (
        ("lookahead", lambda: parse_span(settings.lookahead)),
        ("margin", lambda: parse_span(settings.margin)),
        ("seasons", lambda: yearly_days(settings.seasons)),
        ("special_dates", lambda: yearly_days(settings.special_dates)),
        ("freeze", lambda: weekdays(settings.freeze)),
    ):
        try:
            check()
        except ValueError as error:
            raise ValueError(f"scaling.{key}: {error}") from None
    if settings.ceiling is not None and settings.ceiling < max(settings.floor, settings.off_season_floor or 1):
        raise ValueError("scaling.ceiling: it is below the floor")


class DecisionRow(msgspec.Struct, frozen=True, kw_only=True, rename="camel"):
    """One decision of the autoscaler, or of a person: where the number of workers goes, when, and why."""

    time_ns: int
    workers: int  # at that moment: ready and starting
    target: int
    reserved: int  # of the target
    spot: int
    effective_ns: int  # when the target is expected to be reached
    need_queue: int
    need_forecast: int  # without a forecast: what the season wants
    reason: str
    emergency: bool = False
    ceiling_reached: bool = False
    budget_reached: bool = False


class ScalingPoint(msgspec.Struct, frozen=True, kw_only=True, rename="camel"):
    """One point of the timeline; it holds until the next one, at least a minute later."""

    time_ns: int
    workers: int
    target: int
    need_queue: int
    need_forecast: int
    queued_jobs: int
    queued_bytes: int


class ForecastPoint(msgspec.Struct, frozen=True, kw_only=True, rename="camel"):
    """One step of what is to come, in workers: at a low quantile, in the middle, at the one that is provided for."""

    time_ns: int
    low: int
    middle: int
    high: int

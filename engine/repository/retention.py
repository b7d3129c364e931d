"""Which snapshots of a wedding stay, and why. Pure: facts and the time in, a verdict on each snapshot out.

Snapshots of one host and the same sources are a *series*; a stream that was stored is one by its name. The rules hold
for each series by itself, or snapshots of one card would push out those of another. The newest whole snapshot of a
series always stays, what is held always stays, and without any rule everything stays.

The rules are those of restic (`restic forget`, doc/060_forget.rst): each keeps the newest snapshot of so many periods
that have one, counted back from the newest; while a rule is not used up it also keeps the oldest snapshot there is.
"""

from __future__ import annotations

import datetime as dt
from collections.abc import Callable, Iterable, Sequence
from typing import Final
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

import msgspec

from engine.base.errors import UsageError
from engine.base.units import format_count

CHECKPOINT_DAYS: Final = 7
_DAY_NS: Final = 86_400 * 10**9
_COUNT_MAX: Final = 100_000
_ALL: Final = "all"
_EXAMPLE: Final = "write it like last 3, daily 14, monthly 12, yearly all"


class Policy(msgspec.Struct, frozen=True):
    """How many to keep by each rule; None is all of them, 0 is not a rule."""

    last: int | None = 0
    hourly: int | None = 0
    daily: int | None = 0
    weekly: int | None = 0
    monthly: int | None = 0
    yearly: int | None = 0

    def __bool__(self) -> bool:
        return any(getattr(self, rule) != 0 for rule in RULES)

    def __str__(self) -> str:
        written = ((rule, getattr(self, rule)) for rule in RULES)
        return ", ".join(f"{rule} {_ALL if count is None else count}" for rule, count in written if count != 0)


class Fact(msgspec.Struct, frozen=True):
    """What a verdict needs to know of a snapshot or checkpoint."""

    id: str
    series: str
    time_ns: int
    ended_ns: int
    partial: bool = False
    held: bool = False


class Verdict(msgspec.Struct, frozen=True):
    """A snapshot and why it stays; without a reason it goes."""

    id: str
    reasons: tuple[str, ...] = ()

    @property
    def stays(self) -> bool:
        """Whether there is a reason to keep it."""
        return bool(self.reasons)


_PERIODS: Final[dict[str, Callable[[dt.datetime], object]]] = {
    "hourly": lambda time: (time.date(), time.hour, time.utcoffset()),  # the hour that comes twice in autumn is two
    "daily": lambda time: time.date(),
    "weekly": lambda time: time.isocalendar()[:2],
    "monthly": lambda time: (time.year, time.month),
    "yearly": lambda time: time.year,
}
RULES: Final = ("last", *_PERIODS)


def parse_policy(text: str) -> Policy:
    """`last 3, daily 14, yearly all` as a policy; empty is one without rules. Raises UsageError."""
    counts: dict[str, int | None] = {}
    for part in filter(None, (part.strip() for part in text.split(","))):
        rule, _, number = part.partition(" ")
        rule, number = rule.strip(), number.strip()
        if rule not in RULES:
            raise UsageError(f"{rule!r} is no rule of what to keep; they are {', '.join(RULES)}", _EXAMPLE)
        if rule in counts:
            raise UsageError(f"{rule} is there twice", _EXAMPLE)
        if number != _ALL and not (number.isascii() and number.isdigit() and 0 < int(number) <= _COUNT_MAX):
            raise UsageError(f"{part!r} does not say how many to keep", _EXAMPLE)
        counts[rule] = None if number == _ALL else int(number)
    return Policy(**counts)


def rules_of(wedding: str, lines: Iterable[str]) -> str | None:
    """What the lines, as `smith-jones: yearly all`, say of a wedding; None when none is of it."""
    named = (line.partition(":") for line in lines)
    return next((rules for name, _, rules in named if name.strip() == wedding), None)


def check_lines(lines: Iterable[str]) -> None:
    """Raise UsageError for a line that does not name a wedding and its rules."""
    for line in lines:
        name, colon, rules = line.partition(":")
        if not name.strip() or not colon:
            raise UsageError(f"{line!r} does not name a wedding", "write it like smith-jones: yearly all")
        parse_policy(rules)


def decide(snapshots: Sequence[Fact], policy: Policy, zone: str, now_ns: int) -> list[Verdict]:
    """A verdict on each, in the order given, which is oldest first. `zone`: of the wedding, for days and their like."""
    series: dict[str, list[Fact]] = {}
    for fact in snapshots:
        series.setdefault(fact.series, []).append(fact)
    reasons: dict[str, list[str]] = {fact.id: ["held"] if fact.held else [] for fact in snapshots}
    for members in series.values():
        whole = [fact for fact in members if not fact.partial]
        _keep_by_rules(whole, policy, known_zone(zone), reasons)
        _keep_checkpoints(members, now_ns, reasons)
    return [Verdict(fact.id, tuple(reasons[fact.id])) for fact in snapshots]


def _keep_by_rules(whole: Sequence[Fact], policy: Policy, zone: dt.tzinfo, reasons: dict[str, list[str]]) -> None:
    """Add the reasons of the rules. `whole`: oldest first."""
    if not whole:
        return
    newest_first = whole[::-1]
    reasons[newest_first[0].id].append("the newest")
    if not policy:
        for fact in newest_first:
            reasons[fact.id].append("no rule says otherwise")
        return
    for fact in newest_first if policy.last is None else newest_first[: policy.last]:
        reasons[fact.id].append("last")
    for rule, period_of in _PERIODS.items():
        periods = [period_of(_local(fact.time_ns, zone)) for fact in newest_first]
        for position, is_oldest in _kept(periods, getattr(policy, rule)):
            reasons[newest_first[position].id].append(f"{rule}, the oldest" if is_oldest else rule)


def _kept(periods: Sequence[object], count: int | None) -> Iterable[tuple[int, bool]]:
    """Positions that a rule keeps, newest first: the first of each of `count` periods, and the very last if it has
    some left; whether it is that one."""
    before: object = None
    left = len(periods) if count is None else count
    for position, period in enumerate(periods):
        if left == 0:
            return
        is_new = period != before
        if is_new or position == len(periods) - 1:
            yield position, not is_new
            before = period
            left -= 1


def _keep_checkpoints(members: Sequence[Fact], now_ns: int, reasons: dict[str, list[str]]) -> None:
    """Add the reasons of checkpoints: they are young, or nothing whole came after them."""
    for fact in members:
        if fact.partial and now_ns - fact.ended_ns < CHECKPOINT_DAYS * _DAY_NS:
            reasons[fact.id].append(f"a checkpoint of the last {format_count(CHECKPOINT_DAYS, 'day')}")
    if members[-1].partial:
        reasons[members[-1].id].append("the newest, though not whole")


def known_zone(name: str) -> dt.tzinfo:
    """A time zone; one that this machine does not know counts as UTC."""
    try:
        return ZoneInfo(name)
    except (ZoneInfoNotFoundError, ValueError):
        return dt.UTC


def _local(time_ns: int, zone: dt.tzinfo) -> dt.datetime:
    return (dt.datetime(1970, 1, 1, tzinfo=dt.UTC) + dt.timedelta(microseconds=time_ns // 1000)).astimezone(zone)

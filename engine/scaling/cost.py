"""What was done and is to be done, in money: lines of a bill, each with its arithmetic. Pure.

Nothing here is a constant: hours, bytes and requests were counted or forecast, prices have a source and a date
(`contract.prices`), and what has no price has no line, but a note. Energy is an ESTIMATE and says so.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

from engine.contract.prices import Price, PriceKey
from engine.contract.tiers import Tier

GB = 1_000_000_000
MONTH_HOURS = 730.0  # 365 × 24 ÷ 12: sellers' gigabyte-months
Prices = Mapping[PriceKey, Price]
WORKER_CLASSES = ("reserved", "spot", "on-demand")


@dataclass(frozen=True, slots=True)
class TierPrice:
    """What a tier costs, from its settings."""

    gb_month: float = 0.0
    retrieval_gb: float = 0.0


@dataclass(frozen=True, slots=True)
class Usage:
    """What was used, or will be, over some span. Hours are of workers at hand, busy or not: they are paid."""

    worker_hours: Mapping[str, float] = field(default_factory=dict)  # by class: reserved, spot, on-demand
    tier_gb_months: Mapping[Tier, float] = field(default_factory=dict)
    read_bytes: Mapping[Tier, int] = field(default_factory=dict)
    writes: int = 0  # requests to stores
    reads: int = 0


@dataclass(frozen=True, slots=True)
class Line:
    """One line of a bill."""

    what: str
    amount: float
    arithmetic: str


@dataclass(frozen=True, slots=True)
class Bill:
    """Lines, their sum, and what could not be priced."""

    lines: tuple[Line, ...]
    notes: tuple[str, ...] = ()

    @property
    def total(self) -> float:
        """The sum of the lines."""
        return sum(line.amount for line in self.lines)


def bill(usage: Usage, prices: Prices, tiers: Mapping[Tier, TierPrice]) -> Bill:
    """What `usage` costs."""
    lines: list[Line] = []
    notes: list[str] = []
    _compute(usage, prices, lines, notes)
    for tier, gb_months in usage.tier_gb_months.items():
        price = tiers.get(tier, TierPrice()).gb_month
        if price:
            lines.append(Line(f"storage, {tier}", gb_months * price, f"{gb_months:,.1f} GB-months × {price:g}"))
        elif gb_months:
            notes.append(f"tiers.{tier}.price_gb_month is not set: {gb_months:,.1f} GB-months are not priced")
    for tier, size_bytes in usage.read_bytes.items():
        price = tiers.get(tier, TierPrice()).retrieval_gb
        if price and size_bytes:
            lines.append(Line(f"retrieval, {tier}", size_bytes / GB * price, f"{size_bytes / GB:,.1f} GB × {price:g}"))
    requests: tuple[tuple[PriceKey, str, int], ...] = (
        ("requests_write", "requests that write", usage.writes),
        ("requests_read", "requests that read", usage.reads),
    )
    for key, what, count in requests:
        if count and (found := prices.get(key)) is not None:
            lines.append(Line(what, count / 1000 * found.value, f"{count:,} ÷ 1,000 × {found.value:g}"))
    return Bill(tuple(lines), tuple(notes))


@dataclass(frozen=True, slots=True)
class Pace:
    """What a month to come is priced by: measured here, and what is there at its beginning."""

    bytes_per_s: float  # of one worker
    stored_share: float  # of a byte that is read
    workers_least: int  # that stand there whatever comes
    hot_gb: float  # kept in the hot tier when the month begins


def month_ahead(size_bytes: float, pace: Pace, prices: Prices, tiers: Mapping[Tier, TierPrice]) -> Bill:
    """What a month costs in which so many bytes are forecast: on-demand workers, and the hot tier that grows evenly.

    What is moved to cheaper tiers meanwhile, and what other tiers hold, is not in it.
    """
    work_h = size_bytes / pace.bytes_per_s / 3600 if pace.bytes_per_s else 0.0
    hours = max(work_h, pace.workers_least * MONTH_HOURS)
    grown = size_bytes * pace.stored_share / GB
    return bill(Usage({"on-demand": hours}, {"hot": pace.hot_gb + grown / 2}), prices, tiers)


def worker_hour(kind: str, prices: Prices) -> tuple[float, str] | None:
    """The price of an hour of a worker of a class and how it comes about; None where no price is set."""
    base = prices.get("worker_hour")
    if base is None:
        return None
    if kind == "spot":
        off, again = prices["spot_discount"].value, prices["rework"].value
        return base.value * (1 - off) * (1 + again), f"{base.value:g} × (1 − {off:g}) × (1 + {again:g} done again)"
    if kind == "reserved":
        off = prices["reserved_discount"].value
        return base.value * (1 - off), f"{base.value:g} × (1 − {off:g})"
    return base.value, f"{base.value:g}"


def savings(
    usage: Usage, prices: Prices, tiers: Mapping[Tier, TierPrice], *, peak_workers: float, hours: float
) -> Bill:
    """What was not paid, thanks to spot and reserved workers, to tiers and to scaling, each against doing without.

    `peak_workers` for `hours` is what a cluster that never scales would be.
    """
    lines: list[Line] = []
    base = prices.get("worker_hour")
    used = sum(usage.worker_hours.values())
    if base is not None and used:
        paid = sum(line.amount for line in _worker_lines(usage, prices))
        lines.append(
            Line("spot and reserved", used * base.value - paid, f"{used:,.1f} h × {base.value:g} − {paid:,.2f}")
        )
        static = peak_workers * hours
        words = f"({peak_workers:g} workers × {hours:,.1f} h − {used:,.1f} h) × {base.value:g}, against a static peak"
        lines.append(Line("scaling", (static - used) * base.value, words))
    hot = tiers.get("hot", TierPrice()).gb_month
    for tier, gb_months in usage.tier_gb_months.items():
        price = tiers.get(tier, TierPrice()).gb_month
        if tier != "hot" and hot and price:
            words = f"{gb_months:,.1f} GB-months × ({hot:g} − {price:g}), against all in hot"
            lines.append(Line(f"tier {tier}", gb_months * (hot - price), words))
    return Bill(tuple(lines))


def energy(worker_hours: float, prices: Prices) -> tuple[float, float] | None:
    """kWh and gCO2e of so many worker-hours, an ESTIMATE by watts and grid that were set; None where they were not."""
    watts, grid = prices.get("worker_watts"), prices.get("grid_gco2_kwh")
    if watts is None or grid is None:
        return None
    kwh = worker_hours * watts.value / 1000
    return kwh, kwh * grid.value


def shared(amount: float, weights: Mapping[str, float]) -> dict[str, float]:
    """An amount shared out by weight (bytes of weddings, of classes); nothing where there is no weight."""
    total = sum(weights.values())
    return {name: amount * weight / total for name, weight in weights.items()} if total > 0 else {}


def _compute(usage: Usage, prices: Prices, lines: list[Line], notes: list[str]) -> None:
    hours = sum(usage.worker_hours.values())
    if not hours:
        return
    if "worker_hour" not in prices:
        notes.append(f"no price of a worker-hour is set: {hours:,.1f} worker-hours are not priced")
        return
    lines.extend(_worker_lines(usage, prices))


def _worker_lines(usage: Usage, prices: Prices) -> list[Line]:
    lines = []
    for kind, hours in usage.worker_hours.items():
        priced = worker_hour(kind, prices)
        if priced is not None and hours:
            price, words = priced
            lines.append(Line(f"workers, {kind}", hours * price, f"{hours:,.1f} h × {words}"))
    return lines

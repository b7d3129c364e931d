"""prices, cost: what a month has cost, what was saved, what it will come to. Engine loop; listing on the executor."""

from __future__ import annotations

import datetime as dt
import re
from collections.abc import Mapping

from engine.base.errors import UsageError
from engine.base.units import format_bytes, format_count
from engine.contract import costs
from engine.contract.costs import CostLine
from engine.contract.prices import DEFAULT_PRICES, UNITS, prices_in_force
from engine.contract.tiers import TIERS, Tier
from engine.operations import forecasting
from engine.operations.context import Engine, Handler
from engine.operations.keeping import UsageDocument
from engine.operations.usage import month_of, usage_of
from engine.scaling.cost import GB, Bill, Line, Pace, TierPrice, bill, energy, month_ahead, savings, shared

_MONTH = re.compile(r"\d{4}-(0[1-9]|1[0-2])")
SHARED_OUT_MAX = 1000  # weddings in a bill


async def list_prices(engine: Engine, operation: costs.ListPrices) -> costs.PriceList:
    """See `costs.ListPrices`."""
    own = {price.key for price in engine.settings.prices}
    rows = [
        costs.PriceRow(
            key=price.key,
            value=price.value,
            unit=price.unit or UNITS[price.key],
            source=price.source,
            as_of=price.as_of,
            own=price.key in own,
        )
        for price in prices_in_force(engine.settings.prices).values()
    ]
    missing: list[str] = [key for key in UNITS if key not in own and all(key != price.key for price in DEFAULT_PRICES)]
    for tier in _tiers(engine):
        settings = getattr(engine.settings.tiers, tier)
        for name, unit in (("price_gb_month", "per GB-month"), ("retrieval_price_gb", "per GB read")):
            value = getattr(settings, name)
            if value:
                words = settings.price_source
                rows.append(
                    costs.PriceRow(key=f"tiers.{tier}.{name}", value=value, unit=unit, source=words, as_of="", own=True)
                )
            elif name == "price_gb_month":
                missing.append(f"tiers.{tier}.{name}")
    return costs.PriceList(prices=tuple(rows), missing=tuple(missing))


async def read_cost(engine: Engine, operation: costs.ReadCost) -> costs.CostReport:
    """See `costs.ReadCost`. Raises UsageError for what is no month."""
    month = operation.month.strip() or month_of(engine.clock.now_ns())
    if not _MONTH.fullmatch(month):
        raise UsageError(f"{operation.month!r} is no month", "write it like 2026-06")
    document = engine.accounts.of(month)
    usage, prices, tiers = usage_of(document), prices_in_force(engine.settings.prices), tier_prices(engine)
    found = bill(usage, prices, tiers)
    hours = document.counted_s / 3600
    if month == month_of(engine.clock.now_ns()):
        await forecasting.make_first(engine)
    estimate = energy(sum(usage.worker_hours.values()), prices)
    saved = savings(usage, prices, tiers, peak_workers=document.peak_workers, hours=hours)
    return costs.CostReport(
        month=month,
        counted_hours=hours,
        total=found.total,
        lines_of_bill=await _lines(engine, operation, document, found),
        saved=_rows(saved.lines),
        ahead=_ahead(engine, month, document, found),
        estimated_kwh=estimate[0] if estimate else None,
        estimated_gco2e=estimate[1] if estimate else None,
        notes=found.notes if hours else ("nothing was counted in this month",),
    )


async def _lines(
    engine: Engine, operation: costs.ReadCost, document: UsageDocument, found: Bill
) -> tuple[CostLine, ...]:
    """The bill as it was asked for: its own lines, or its total shared out."""
    if operation.by == "item":
        return _rows(found.lines)
    if operation.by == "class":
        weights: Mapping[str, float] = {name: cost for name, cost in document.class_cost.items() if cost > 0}
        words = "of the work of the streams"
    else:
        weights = await _bytes_by_wedding(engine)
        words = "of the bytes that are kept"
    total = sum(weights.values())
    largest = sorted(shared(found.total, weights).items(), key=lambda item: -item[1])
    rows = [
        CostLine(what=name, amount=amount, arithmetic=f"{weights[name] / total:.1%} {words}")
        for name, amount in largest[:SHARED_OUT_MAX]
    ]
    if rest := largest[SHARED_OUT_MAX:]:
        amount = sum(each for _, each in rest)
        rows.append(CostLine(what=f"{format_count(len(rest), 'more wedding')}", amount=amount, arithmetic=""))
    return tuple(rows)


async def _bytes_by_wedding(engine: Engine) -> dict[str, float]:
    """Bytes of each wedding's objects in the hot store, by listing it, and of its packs in other tiers."""
    await engine.opening.needed()
    stack = engine.opening.stack
    assert stack is not None  # the repository is open
    names = {wedding.id: wedding.name for wedding in engine.facts.weddings}

    def listed() -> dict[str, float]:
        found: dict[str, float] = {}
        for store in stack.tiers.values():
            for info in store.list("weddings/"):
                wedding = info.name.split("/", 2)[1]
                name = names.get(wedding, wedding)
                found[name] = found.get(name, 0.0) + info.size_bytes
        return found

    return await engine.offload.run("copies", listed)


def _ahead(engine: Engine, month: str, document: UsageDocument, found: Bill) -> tuple[costs.MonthCost, ...]:
    """This month at the rate of what was counted, then the months that are forecast; nothing for one that is over."""
    if month != month_of(engine.clock.now_ns()):
        return ()
    return (*_rest_of_month(engine, month, document, found), *_months(engine, month))


def _rest_of_month(engine: Engine, month: str, document: UsageDocument, found: Bill) -> tuple[costs.MonthCost, ...]:
    now = dt.datetime.fromtimestamp(engine.clock.now_ns() // 10**9, tz=dt.UTC)
    if not document.counted_s or not found.total:
        return ()
    end = (now.replace(day=1, hour=0, minute=0, second=0) + dt.timedelta(days=32)).replace(day=1)
    left_h = (end - now).total_seconds() / 3600
    rate = found.total / (document.counted_s / 3600)
    words = f"{found.total:,.2f} so far + {left_h:,.1f} h left × {rate:,.4f} an hour, as counted"
    return (costs.MonthCost(month=month, amount=found.total + left_h * rate, arithmetic=words),)


def _months(engine: Engine, this_month: str) -> tuple[costs.MonthCost, ...]:
    """Months to come, by the bytes that are forecast for them; PROJECTED."""
    ahead, facts, totals = engine.forecasting.ahead, engine.scaling.facts, engine.dispatcher.figures.totals()
    share = totals.bytes_stored / totals.bytes_read if totals.bytes_read else 1.0
    hot_gb = sum(row.used_bytes or 0 for row in engine.measured.tiers if row.tier == "hot") / GB
    prices, tiers = prices_in_force(engine.settings.prices), tier_prices(engine)
    standing = engine.settings.scaling.floor if facts is None or engine.scaling.is_auto else facts.current
    found: list[costs.MonthCost] = []
    for row in ahead.rows["month"] if ahead is not None else ():
        if row.begin[:7] <= this_month:
            continue
        pace = Pace(facts.bytes_per_s if facts is not None else 0.0, share, standing, hot_gb)
        priced = month_ahead(row.bytes, pace, prices, tiers)
        hot_gb += row.bytes * share / GB
        words = f"PROJECTED from {format_bytes(row.bytes)} forecast: " + "; ".join(
            f"{line.what} {line.arithmetic}" for line in priced.lines
        )
        if priced.lines:
            found.append(costs.MonthCost(month=row.begin[:7], amount=priced.total, arithmetic=words))
    return tuple(found)


def tier_prices(engine: Engine) -> dict[Tier, TierPrice]:
    """What each tier costs, by its settings."""
    return {
        tier: TierPrice(
            gb_month=getattr(engine.settings.tiers, tier).price_gb_month,
            retrieval_gb=getattr(engine.settings.tiers, tier).retrieval_price_gb,
        )
        for tier in TIERS
    }


def _tiers(engine: Engine) -> list[Tier]:
    return [tier for tier in TIERS if tier == "hot" or getattr(engine.settings.tiers, tier).url]


def _rows(lines: tuple[Line, ...]) -> tuple[CostLine, ...]:
    return tuple(CostLine(what=line.what, amount=line.amount, arithmetic=line.arithmetic) for line in lines)


HANDLERS: dict[str, Handler] = {"prices": list_prices, "cost": read_cost}

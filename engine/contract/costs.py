"""What it costs, what it takes, and whether all is ready: arguments and answers.

Money is in the one currency of one's prices, which WedSync never names.
"""

from __future__ import annotations

from typing import Annotated, Literal

import msgspec

from engine.contract.operations import Operation, Result, _words
from engine.contract.prices import PriceKey

CostBy = Literal["item", "class", "wedding"]


class ListPrices(Operation, frozen=True, kw_only=True):
    """The prices in force, each with its source and date."""


class PriceRow(msgspec.Struct, frozen=True, kw_only=True, rename="camel"):
    """One price."""

    key: PriceKey | str  # or as `tiers.warm.price_gb_month`
    value: float
    unit: str
    source: str
    as_of: str
    own: bool  # set in config.toml; else as it was published


class PriceList(Result, frozen=True, kw_only=True):
    """All prices; what is not set is named, and nothing is worked out with it."""

    prices: tuple[PriceRow, ...]
    missing: tuple[str, ...]


class ReadCost(Operation, frozen=True, kw_only=True):
    """What a month has cost so far, what was saved, and what the months to come will cost by the forecast."""

    month: Annotated[str, _words("a month, as 2026-06 (default: this one)", title="MONTH")] = ""
    by: Annotated[CostBy, _words("lines of the bill, or shared out to classes or to weddings")] = "item"


class CostLine(msgspec.Struct, frozen=True, kw_only=True, rename="camel"):
    """One line, with its arithmetic."""

    what: str
    amount: float
    arithmetic: str


class MonthCost(msgspec.Struct, frozen=True, kw_only=True, rename="camel"):
    """A month to come, by the forecast."""

    month: str
    amount: float
    arithmetic: str


class CostReport(Result, frozen=True, kw_only=True):
    """A month's bill. Energy is an ESTIMATE: watts and grid as they were set."""

    month: str
    counted_hours: float  # of the month, that an engine of this home has run and counted
    total: float
    lines_of_bill: tuple[CostLine, ...]
    saved: tuple[CostLine, ...] = ()
    ahead: tuple[MonthCost, ...] = ()
    estimated_kwh: float | None = None
    estimated_gco2e: float | None = None
    notes: tuple[str, ...] = ()  # what could not be priced


class PlanCapacity(Operation, frozen=True, kw_only=True):
    """How many nodes a rate takes, what limits it, and which kind of machine does it for least; by what was measured
    here."""

    rate: Annotated[
        str, _words("what is to be read and protected, as 100TB/h or 800MB/s", title="RATE", positional=True)
    ] = "100TB/h"
    within: Annotated[str, _words("with --size: the time there is for them, as 8h", title="SPAN")] = ""
    size: Annotated[str, _words("instead of a rate: so much, as 40TB; give --within", title="SIZE")] = ""


class NodePlan(msgspec.Struct, frozen=True, kw_only=True, rename="camel"):
    """Nodes of one kind."""

    machine: str
    nodes: int | None  # None: no number is enough
    limited_by: str  # cores | network | disk | store
    node_bytes_per_s: float
    price_hour: float | None  # of all of them; None: not known
    arithmetic: str
    price_from: str = ""  # source and date of its price


class CapacityPlan(Result, frozen=True, kw_only=True):
    """What a rate takes. The cheapest kind of machine stands first."""

    bytes_per_s: float
    measured_bytes: int  # that the figures stand on
    core_bytes_per_s: float  # of one thread that has a core to itself, through every stage
    slowest_stage: str
    stored_share: float
    nodes: tuple[NodePlan, ...]

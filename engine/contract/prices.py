"""What things cost, each price with its source and date: `[[prices]]` and `[[instances]]` of `config.toml`.

Prices that nobody has set are those below, as they were published; what has no published price (a worker-hour of one's
own machines) is not guessed: then the bill has no line for it, and says so. Prices of tiers stand with the tiers.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Annotated, Literal

import msgspec

from engine.base.units import parse_rate

Amount = Annotated[float, msgspec.Meta(ge=0, le=1e9)]
PriceKey = Literal[
    "worker_hour", "spot_discount", "reserved_discount", "rework", "spot_lost_month",
    "requests_write", "requests_read", "worker_watts", "grid_gco2_kwh",
]  # fmt: skip
SHARES: frozenset[PriceKey] = frozenset({"spot_discount", "reserved_discount", "rework", "spot_lost_month"})


class Price(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """One price, or a share or an estimate that prices are worked out with."""

    key: PriceKey
    value: Amount
    unit: str = ""  # as USD per hour; of one's own: that of the key
    source: str  # who says so
    as_of: str  # when it was read, as 2026-06


class InstanceType(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """One kind of machine that could be a node, as its seller lists it."""

    name: str
    cores: Annotated[int, msgspec.Meta(ge=1, le=4096)]
    price_hour: Amount  # on demand
    network: str = ""  # what it can send, as 1.5GB/s; empty: not a limit that is known
    disk: str = ""  # what its disks can read, as 2GB/s
    region: str = ""
    source: str
    as_of: str


UNITS: dict[PriceKey, str] = {
    "worker_hour": "per worker-hour, on demand",
    "spot_discount": "of the price on demand",
    "reserved_discount": "of the price on demand",
    "rework": "of the work of spot workers, done again",
    "spot_lost_month": "of spot workers, taken back in a month",
    "requests_write": "per 1,000 requests that write or list",
    "requests_read": "per 1,000 requests that read",
    "worker_watts": "W of a worker at work (ESTIMATE)",
    "grid_gco2_kwh": "gCO2e per kWh (ESTIMATE)",
}
DEFAULT_PRICES: tuple[Price, ...] = (
    Price(key="spot_discount", value=0.60, source="reported 0.5 to 0.7, sellers up to 0.9", as_of="2026-06"),
    Price(key="reserved_discount", value=0.36, source="one year, nothing upfront, sellers' guides", as_of="2026-06"),
    Price(key="rework", value=0.05, source="assumed; the job log of spot workers measures it", as_of="2026-06"),
    Price(key="spot_lost_month", value=0.05, source="a large seller: 95 % are not interrupted", as_of="2026-06"),
)  # fmt: skip


def prices_in_force(own: Sequence[Price]) -> dict[PriceKey, Price]:
    """Every price there is: one's own before those that were published."""
    found = {price.key: price for price in (*DEFAULT_PRICES, *own)}
    return {key: found[key] for key in UNITS if key in found}


def check_prices(own: Sequence[Price], instances: Sequence[InstanceType]) -> None:
    """Raises ValueError with a sentence for what means nothing."""
    keys = [price.key for price in own]
    if twice := sorted({key for key in keys if keys.count(key) > 1}):
        raise ValueError(f"prices: {twice[0]} stands there twice")
    for price in own:
        if price.key in SHARES and price.value > 1:
            raise ValueError(f"prices: {price.key} is a share, 0 to 1, and not {price.value:g}")
    names = [each.name for each in instances]
    if twice_named := sorted({name for name in names if names.count(name) > 1}):
        raise ValueError(f"instances: {twice_named[0]!r} stands there twice")
    for each in instances:
        if not each.name.strip():
            raise ValueError("instances: one has no name")
        for rate in (each.network, each.disk):
            if rate and parse_rate(rate) <= 0:
                raise ValueError(f"instances: {each.name}: {rate!r} is no rate")

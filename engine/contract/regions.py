"""Regions as an operator sets them: where copies lie, how many there are, and when they are read again.

`[[regions]]`, `[replication]` and `[scrub]` of `config.toml`. Every home of a repository lists the same regions in the
same order: the first of them decide who created a name (docs/regions.md). Without any there is one copy, where
`storage.hot` says.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from typing import Annotated

import msgspec

from engine.base.units import parse_bytes, parse_span
from engine.contract.tiers import TIERS, Tier, TiersSettings

_NAME = re.compile(r"[a-z0-9][a-z0-9-]{0,30}")
Copies = Annotated[int, msgspec.Meta(ge=1, le=9)]


class RegionSettings(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """One `[[regions]]` of the file."""

    name: str  # as eu-west
    hot: str  # URL of its store
    at: str = ""  # "LAT,LON": a wedding's packs go to the regions nearest to its venue
    warm: str = ""  # URL; empty: nothing warm lies here
    cold: str = ""
    append_only: bool = False  # nothing is ever deleted there: objects are locked, or the credentials cannot
    lock_days: int = 0  # an s3:// region that only adds: objects are locked for so long, and the lock is renewed

    def url(self, tier: Tier) -> str:
        """Its store of a tier; empty where there is none."""
        return {"hot": self.hot, "warm": self.warm, "cold": self.cold}[tier]

    @property
    def position(self) -> tuple[float, float] | None:
        """Latitude and longitude in degrees. Raises ValueError."""
        return position_of(self.at) if self.at else None


class ReplicationSettings(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """How many copies there are."""

    copies: Annotated[Copies, msgspec.Meta(description="copies of a pack, each in a region of its own")] = 3
    quorum: Annotated[Copies, msgspec.Meta(description="copies that make an object committed")] = 2
    safe_deadline: Annotated[
        str, msgspec.Meta(description="committed → safe (all copies are there), as 15m; later is an alert")
    ] = "15m"


class ScrubSettings(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """How copies are read again in the background, the oldest first."""

    enabled: Annotated[bool, msgspec.Meta(description="read every copy again now and then")] = True
    rate: Annotated[str, msgspec.Meta(description="how fast at most, as 20MB/s")] = "20MB/s"
    every: Annotated[str, msgspec.Meta(description="a copy is read again after so long, as 30d")] = "30d"


COLD_REGION_SETTINGS = frozenset({"replication.copies", "replication.quorum"})


def position_of(text: str) -> tuple[float, float]:
    """`"51.38,-2.36"` → latitude and longitude in degrees. Raises ValueError with a sentence."""
    parts = text.split(",")
    try:
        latitude, longitude = (float(part) for part in parts)
    except ValueError:
        raise ValueError(f"{text!r} is not a position; write latitude and longitude like 51.38,-2.36") from None
    if not (-90 <= latitude <= 90 and -180 <= longitude <= 180):
        raise ValueError(f"{text!r} is not on the Earth: latitude is -90 to 90, longitude -180 to 180")
    return latitude, longitude


def check_regions(
    regions: Sequence[RegionSettings], replication: ReplicationSettings, scrub: ScrubSettings, others: Sequence[str]
) -> None:
    """Raises ValueError with a sentence that begins with the setting for what means nothing.

    `others` are the URLs of stores that are set without regions.
    """
    for region in regions:
        _check_region(region)
    names = [region.name for region in regions]
    if len(set(names)) < len(names):
        raise ValueError("regions: two are called the same")
    urls = [region.url(tier) for region in regions for tier in TIERS if region.url(tier)]
    if len(set(urls)) < len(urls):
        raise ValueError("regions: two stores have one URL, so what is lost there is lost twice")
    if regions and any(others):
        raise ValueError("regions: storage.hot or tiers name a store as well; set one of the two")
    if len(regions) > 1 and replication.quorum > min(len(regions), replication.copies):
        raise ValueError("replication.quorum: there are fewer copies than that")
    _check_more_than_nothing("replication.safe_deadline", parse_span, replication.safe_deadline)
    _check_more_than_nothing("scrub.every", parse_span, scrub.every)
    _check_more_than_nothing("scrub.rate", parse_bytes, scrub.rate.removesuffix("/s"))


def _check_region(region: RegionSettings) -> None:
    if not _NAME.fullmatch(region.name):
        raise ValueError(f"regions: {region.name!r} cannot name a region; use a-z, 0-9 and dashes, as eu-west")
    if not region.hot:
        raise ValueError(f"regions: {region.name} has no hot store")
    if not 0 <= region.lock_days <= 3650 or (region.lock_days and not region.append_only):
        raise ValueError(f"regions: lock_days of {region.name} goes with append_only, and is at most ten years")
    try:
        _ = region.position
    except ValueError as error:
        raise ValueError(f"regions: {region.name}: {error}") from None


def _check_more_than_nothing(key: str, parse: Callable[[str], float], text: str) -> None:
    try:
        if parse(text) <= 0:
            raise ValueError("it is more than nothing")
    except ValueError as error:
        raise ValueError(f"{key}: {error}") from None


def urls_elsewhere(hot: str, tiers: TiersSettings) -> list[str]:
    """The URLs of stores that are set without regions."""
    return [hot, *(tiers.of(tier).url for tier in TIERS)]

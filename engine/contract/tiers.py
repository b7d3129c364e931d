"""Tiers as an operator sets them: what lies where, what it costs, how it is brought back, and when packs move.

`[tiers.hot]`, `[tiers.warm]`, `[tiers.cold]` and `[policy]` of `config.toml`. A tier without a URL is not there; the
hot one is then what `storage.hot` says. Prices are in one currency, which WedSync never names; GB are 10⁹ bytes.
"""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from typing import Annotated, Literal

import msgspec

from engine.base.units import parse_bytes, parse_span

Tier = Literal["hot", "warm", "cold"]
TIERS: tuple[Tier, ...] = ("hot", "warm", "cold")  # from the fastest to the cheapest
HOME_REGION = "home"  # the one region there is while none are named

RecallKind = Literal["none", "s3-restore", "command"]
RecallClass = Literal["expedited", "standard", "bulk"]
MONTHS = (
    "january", "february", "march", "april", "may", "june",
    "july", "august", "september", "october", "november", "december",
)  # fmt: skip

Price = Annotated[float, msgspec.Meta(ge=0)]
Days = Annotated[int, msgspec.Meta(ge=0, le=36_500)]


def place_of(tier: Tier, region: str = HOME_REGION) -> str:
    """A place, as `hot/home`."""
    return f"{tier}/{region}"


def tier_of(place: str) -> Tier:
    """`warm/eu-west` → `warm`. Raises ValueError for what is no place."""
    for tier in TIERS:
        if place.startswith(f"{tier}/"):
            return tier
    raise ValueError(f"{place!r} is no place; it is written like warm/eu-west")


class TierSettings(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """One tier."""

    url: Annotated[str, msgspec.Meta(description="URL of its store, as s3://bucket/prefix; empty: no such tier")] = ""
    capacity: Annotated[str, msgspec.Meta(description="what it may hold, as 20TB; empty: all there is")] = ""
    price_gb_month: Annotated[Price, msgspec.Meta(description="what keeping a GB for a month costs")] = 0.0
    retrieval_price_gb: Annotated[Price, msgspec.Meta(description="what reading a GB costs, recall included")] = 0.0
    expedited_price_gb: Annotated[
        Price, msgspec.Meta(description="what reading a GB costs when it is recalled fast; 0: three times the other")
    ] = 0.0
    price_source: Annotated[str, msgspec.Meta(description="who lists them and since when, as s3.ia 2026-06")] = ""
    minimum_days: Annotated[Days, msgspec.Meta(description="days that are paid for, however soon a pack leaves")] = 0
    recall: Annotated[
        RecallKind, msgspec.Meta(description="how packs become readable: none (they are), s3-restore, command")
    ] = "none"
    archive_class: Annotated[
        Literal["", "GLACIER", "DEEP_ARCHIVE"],
        msgspec.Meta(
            description="with s3-restore: the class packs get once they were read back; empty: the bucket's rules"
        ),
    ] = ""
    recall_command: Annotated[
        tuple[str, ...], msgspec.Meta(description='the program of recall = "command", as ["/usr/local/bin/robot", "x"]')
    ] = ()
    recall_days: Annotated[int, msgspec.Meta(ge=1, le=365, description="days that a recalled pack stays readable")] = 3
    recall_objective: Annotated[
        str, msgspec.Meta(description="a dearer recall is chosen where the usual one takes longer, as 4h")
    ] = "4h"


class TiersSettings(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """All tiers."""

    hot: TierSettings = TierSettings()
    warm: TierSettings = TierSettings()
    cold: TierSettings = TierSettings()

    def of(self, tier: Tier) -> TierSettings:
        """The settings of one tier."""
        return {"hot": self.hot, "warm": self.warm, "cold": self.cold}[tier]


class PolicySettings(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """When packs move by themselves. Days are counted from the wedding's date."""

    warm_after_days: Annotated[Days, msgspec.Meta(description="days after the wedding until its packs may be warm")] = (
        30
    )
    cold_after_days: Annotated[Days, msgspec.Meta(description="days after the wedding until they may be cold")] = 180
    unused_days: Annotated[Days, msgspec.Meta(description="days that nobody has read them before they move down")] = 14
    season: Annotated[str, msgspec.Meta(description="months with many weddings, as may-sep; empty: none")] = ""
    season_warm_after_days: Annotated[
        Days, msgspec.Meta(description="in these months, days until packs may be warm: hot needs the room")
    ] = 14
    small: Annotated[str, msgspec.Meta(description="smaller packs stay hot: moving them saves nothing, as 1MiB")] = (
        "1MiB"
    )
    anniversary_days: Annotated[
        Days, msgspec.Meta(description="days before the first anniversary that packs are back in warm; 0: never")
    ] = 7


# Read once at start, as the stores are opened then.
COLD_TIER_SETTINGS = frozenset(
    f"tiers.{tier}.{name}" for tier in TIERS for name in ("url", "recall", "recall_command", "archive_class")
)


def season_months(text: str) -> frozenset[int]:
    """`"may-sep"`, `"nov-feb"`, `"may,jul-aug"` → numbers of months. Raises ValueError with a sentence."""
    months: set[int] = set()
    for part in filter(None, (each.strip().lower() for each in text.split(","))):
        first, dash, last = part.partition("-")
        words = first.strip(), last.strip() if dash else first.strip()
        found = [[month for month in MONTHS if len(word) >= 3 and month.startswith(word)] for word in words]
        if not all(found):
            raise ValueError(f"{text!r} is no season; write it like may-sep or may,dec-jan")
        begin, end = (MONTHS.index(months[0]) for months in found)
        months.update((begin + step) % 12 + 1 for step in range((end - begin) % 12 + 1))
    return frozenset(months)


def check_tiers(tiers: TiersSettings, policy: PolicySettings, hot_url: str) -> None:
    """Raises ValueError with a sentence that begins with the setting for what means nothing.

    `hot_url` is `storage.hot`.
    """
    if hot_url and tiers.hot.url not in ("", hot_url):
        raise ValueError("tiers.hot.url: storage.hot names another store; set one of the two")
    for tier in TIERS:
        found = tiers.of(tier)
        with _naming(f"tiers.{tier}.capacity"):
            parse_bytes(found.capacity or "0")
        with _naming(f"tiers.{tier}.recall_objective"):
            if parse_span(found.recall_objective) <= 0:
                raise ValueError("it is more than nothing")
        if (found.recall == "command") != bool(found.recall_command):
            raise ValueError(f'tiers.{tier}.recall: a program in recall_command goes with recall = "command"')
        if found.archive_class and found.recall != "s3-restore":
            raise ValueError(f"tiers.{tier}.archive_class: what is archived is read by s3-restore")
        if found.recall == "s3-restore" and not found.url.startswith("s3://"):
            raise ValueError(f"tiers.{tier}.recall: s3-restore is for a store at s3://")
    if tiers.hot.recall != "none":
        raise ValueError("tiers.hot.recall: hot is read at once, or it is not hot")
    with _naming("policy.season"):
        season_months(policy.season)
    with _naming("policy.small"):
        parse_bytes(policy.small)
    if policy.cold_after_days < policy.warm_after_days:
        raise ValueError("policy.cold_after_days: packs are warm before they are cold")


@contextlib.contextmanager
def _naming(key: str) -> Iterator[None]:
    """Put the setting's name before what is wrong with it."""
    try:
        yield
    except ValueError as error:
        raise ValueError(f"{key}: {error}") from None

"""Where a pack is to lie: facts → a tier, with the reason in words. Pure.

Age moves a pack down (hot → warm → cold), one reading holds it, the run-up to the first anniversary, when couples
look at their photographs again, brings it back to warm. A move that costs more than it saves is not made: what keeping
costs in either tier until the next move that is known, what is paid for leaving before a tier's minimum, for reading
it out, and for having to bring it back. Where no price is set, days alone decide.
"""

from __future__ import annotations

import datetime as dt

import msgspec

from engine.base.units import parse_bytes
from engine.contract.tiers import TIERS, PolicySettings, Tier, TiersSettings, season_months

HORIZON_DAYS = 365  # how far ahead costs are counted
MONTH_DAYS = 30
GB = 10**9


class PlacementFacts(msgspec.Struct, frozen=True, kw_only=True):
    """What is known of a pack. Dates are the venue's."""

    today: dt.date
    event: dt.date
    tier: Tier  # where it lies now: the fastest tier with a good copy
    in_tier_days: int  # since it was written there
    size_bytes: int
    last_read: dt.date | None = None  # None: never, as far as known
    held: bool = False  # a legal hold: nothing of it is touched


class Terms(msgspec.Struct, frozen=True):
    """What placement goes by."""

    present: frozenset[Tier]  # the tiers that are there; hot always is
    tiers: TiersSettings
    policy: PolicySettings


class Goal(msgspec.Struct, frozen=True):
    """Where a pack is to lie, and why. `saves_month`: what that saves in a month of keeping it."""

    tier: Tier
    reason: str
    saves_month: float = 0.0


def goal_of(facts: PlacementFacts, terms: Terms) -> Goal:
    """Where a pack is to lie by the policy."""
    tier, reason = _wanted(facts, terms)
    if TIERS.index(tier) > TIERS.index(facts.tier):
        why_not = _why_not(facts, tier, terms)
        if why_not:
            tier, reason = facts.tier, why_not
    return goal_in(tier, reason, facts, terms)


def goal_in(tier: Tier, reason: str, facts: PlacementFacts, terms: Terms) -> Goal:
    """That tier, and what keeping the pack there saves."""
    return Goal(tier, reason, saved_month(facts.size_bytes, facts.tier, tier, terms))


def saved_month(size_bytes: int, source: Tier, target: Tier, terms: Terms) -> float:
    """What keeping so many bytes for a month costs less in `target` than in `source`."""
    price = terms.tiers.of(source).price_gb_month - terms.tiers.of(target).price_gb_month
    return size_bytes / GB * price


def anniversary_of(event: dt.date) -> dt.date:
    """The first one; of the 29th of February, the 28th."""
    try:
        return event.replace(year=event.year + 1)
    except ValueError:
        return event.replace(year=event.year + 1, day=28)


# --- what the days say ----------------------------------------------------------------------------------


def _wanted(facts: PlacementFacts, terms: Terms) -> tuple[Tier, str]:
    """The tier by days, use and size; never up but for the anniversary."""
    policy, age_days = terms.policy, (facts.today - facts.event).days
    if facts.held:
        return facts.tier, "it is held"
    if facts.size_bytes < parse_bytes(policy.small or "0"):
        return facts.tier, f"smaller than {policy.small}"
    anniversary = anniversary_of(facts.event)
    begins, ends = _anniversary_span(facts.event, policy)
    if policy.anniversary_days and begins <= facts.today < ends and "warm" in terms.present:
        if facts.tier == "cold":
            return "warm", f"its first anniversary is on {anniversary}"
        if facts.tier == "warm":
            return "warm", f"its first anniversary is on {anniversary}, it stays"
    due, reason = _due_by_age(facts.today, age_days, terms)
    if TIERS.index(due) <= TIERS.index(facts.tier):
        return facts.tier, reason if due == facts.tier else f"it stays in {facts.tier}: moving up is asked for by name"
    if facts.last_read is not None and (facts.today - facts.last_read).days < policy.unused_days:
        return facts.tier, f"read on {facts.last_read}"
    return due, reason


def _due_by_age(today: dt.date, age_days: int, terms: Terms) -> tuple[Tier, str]:
    """The coldest tier that is there and that the age allows."""
    policy = terms.policy
    in_season = today.month in season_months(policy.season)
    warm_after = min(policy.season_warm_after_days, policy.warm_after_days) if in_season else policy.warm_after_days
    if "cold" in terms.present and age_days >= policy.cold_after_days:
        return "cold", f"{age_days} days after the wedding, from {policy.cold_after_days} on cold"
    if "warm" in terms.present and age_days >= warm_after:
        season = " in the season" if in_season else ""
        return "warm", f"{age_days} days after the wedding, from {warm_after} on warm{season}"
    return "hot", "the wedding is ahead" if age_days < 0 else f"{age_days} days after the wedding"


def _anniversary_span(event: dt.date, policy: PolicySettings) -> tuple[dt.date, dt.date]:
    """From when and until when the first anniversary keeps packs out of cold."""
    anniversary = anniversary_of(event)
    return anniversary - dt.timedelta(days=policy.anniversary_days), anniversary + dt.timedelta(days=policy.unused_days)


# --- what it costs --------------------------------------------------------------------------------------


def _why_not(facts: PlacementFacts, target: Tier, terms: Terms) -> str:
    """Why a move down does not pay, as a sentence; empty when it does."""
    if not any(terms.tiers.of(tier).price_gb_month for tier in terms.present):
        return ""
    here, there = terms.tiers.of(facts.tier), terms.tiers.of(target)
    begins, _ = _anniversary_span(facts.event, terms.policy)
    ahead_days = (begins - facts.today).days
    comes_back = target == "cold" and terms.policy.anniversary_days > 0 and 0 <= ahead_days < HORIZON_DAYS
    stay_days = ahead_days if comes_back else HORIZON_DAYS
    paid_days = max(stay_days, there.minimum_days)
    cost_here = here.price_gb_month * stay_days / MONTH_DAYS
    cost_there = there.price_gb_month * paid_days / MONTH_DAYS
    leaving_early = here.price_gb_month * max(0, here.minimum_days - facts.in_tier_days) / MONTH_DAYS
    coming_back = there.retrieval_price_gb if comes_back else 0.0
    moving = here.retrieval_price_gb + leaving_early + coming_back
    if cost_here > cost_there + moving:
        return ""
    size_gb = facts.size_bytes / GB
    return (
        f"{target} would cost more than it saves: {size_gb * (cost_there + moving):.4f} against "
        f"{size_gb * cost_here:.4f} in {stay_days} days"
    )

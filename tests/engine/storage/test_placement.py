"""Placement, simulated day by day for a year and more: when packs move, when they stay, and that moves pay."""

from __future__ import annotations

import datetime as dt
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from engine.base.clock import FakeClock
from engine.base.units import MIB
from engine.contract.tiers import TIERS, PolicySettings, Tier, TierSettings, TiersSettings
from engine.storage.placement import PlacementFacts, Terms, anniversary_of, goal_of

EVENT = dt.date(2026, 6, 20)
SIZE = 32 * MIB
DAY_S = 86_400.0
ALL: frozenset[Tier] = frozenset(TIERS)
FREE = Terms(ALL, TiersSettings(), PolicySettings())
PRICED = TiersSettings(
    hot=TierSettings(price_gb_month=0.023),
    warm=TierSettings(price_gb_month=0.0125, retrieval_price_gb=0.01, minimum_days=30),
    cold=TierSettings(price_gb_month=0.0036, retrieval_price_gb=0.03, minimum_days=90),
)


def facts(today: dt.date, tier: Tier = "hot", **more: Any) -> PlacementFacts:
    return PlacementFacts(
        **{"today": today, "event": EVENT, "tier": tier, "in_tier_days": 40, "size_bytes": SIZE} | more
    )


def after(days: int) -> dt.date:
    return EVENT + dt.timedelta(days=days)


def simulated(terms: Terms, *, days: int = 800, event: dt.date = EVENT) -> list[tuple[int, Tier]]:
    """Live through the days after a wedding, doing each move that is asked for: (days after it, the tier then)."""
    clock = FakeClock()
    tier: Tier = "hot"
    since_s = clock.monotonic_s()
    moves: list[tuple[int, Tier]] = []
    for day in range(-30, days):
        in_tier = int((clock.monotonic_s() - since_s) / DAY_S)
        today = event + dt.timedelta(days=day)
        goal = goal_of(
            PlacementFacts(today=today, event=event, tier=tier, in_tier_days=in_tier, size_bytes=SIZE), terms
        )
        if goal.tier != tier:
            tier, since_s = goal.tier, clock.monotonic_s()
            moves.append((day, tier))
        clock.advance(DAY_S)
    return moves


def test_a_year_of_a_wedding_by_days_alone() -> None:
    """Warm after a month, cold after half a year, warm a week before the anniversary, cold when it is over."""
    assert simulated(FREE) == [(30, "warm"), (180, "cold"), (358, "warm"), (379, "cold")]


def test_in_the_season_hot_is_freed_sooner() -> None:
    terms = Terms(ALL, TiersSettings(), PolicySettings(season="may-sep"))
    assert simulated(terms)[0] == (14, "warm")
    assert simulated(terms, event=dt.date(2026, 11, 20))[0] == (30, "warm")


def test_with_prices_it_goes_cold_only_where_that_pays() -> None:
    """178 days of cold before the anniversary pay for 90 and for the way back; 20 days do not."""
    assert simulated(Terms(ALL, PRICED, PolicySettings())) == [
        (30, "warm"),
        (180, "cold"),
        (358, "warm"),
        (379, "cold"),
    ]
    late = PolicySettings(cold_after_days=330)
    assert simulated(Terms(ALL, PRICED, late)) == [(30, "warm"), (379, "cold")]
    goal = goal_of(facts(after(335), "warm"), Terms(ALL, PRICED, late))
    assert goal.tier == "warm"
    assert "cost more than it saves" in goal.reason


@pytest.mark.parametrize(
    ("present", "expected"),
    [
        ({"hot"}, []),
        ({"hot", "warm"}, [(30, "warm")]),
        ({"hot", "cold"}, [(180, "cold")]),
    ],
)
def test_a_tier_that_is_not_there_is_passed_over(present: set[Tier], expected: list[tuple[int, Tier]]) -> None:
    assert simulated(Terms(frozenset(present), TiersSettings(), PolicySettings())) == expected


def test_what_was_read_lately_stays_and_goes_on_later() -> None:
    read = after(178)
    assert goal_of(facts(after(181), "warm", last_read=read), FREE).tier == "warm"
    assert goal_of(facts(after(181), "warm", last_read=read), FREE).reason == f"read on {read}"
    assert goal_of(facts(after(178 + 14), "warm", last_read=read), FREE).tier == "cold"


@pytest.mark.parametrize("tier", TIERS)
def test_what_is_held_or_small_is_left_where_it_is(tier: Tier) -> None:
    assert goal_of(facts(after(400), tier, held=True), FREE).tier == tier
    assert goal_of(facts(after(400), tier, size_bytes=MIB - 1), FREE).reason == "smaller than 1MiB"


def test_a_moved_date_brings_nothing_up_by_itself() -> None:
    goal = goal_of(facts(EVENT - dt.timedelta(days=9), "cold"), FREE)
    assert (goal.tier, goal.reason) == ("cold", "it stays in cold: moving up is asked for by name")


def test_leaving_before_the_minimum_counts() -> None:
    """Warm for 10 of 300 days that are paid for anyway: cold would cost its price besides."""
    tiers = TiersSettings(
        warm=TierSettings(price_gb_month=1.0, minimum_days=300), cold=TierSettings(price_gb_month=0.6)
    )
    terms = Terms(ALL, tiers, PolicySettings(anniversary_days=0))
    assert goal_of(facts(after(400), "warm", in_tier_days=10), terms).tier == "warm"
    assert goal_of(facts(after(400), "warm", in_tier_days=200), terms).tier == "cold"


def test_what_a_month_saves_is_told() -> None:
    terms = Terms(ALL, PRICED, PolicySettings())
    goal = goal_of(facts(after(40), size_bytes=10**9), terms)
    assert goal.reason == "40 days after the wedding, from 30 on warm"
    assert goal.saves_month == pytest.approx(0.0105)


def test_the_anniversary_of_a_leap_day_is_the_28th() -> None:
    assert anniversary_of(dt.date(2028, 2, 29)) == dt.date(2029, 2, 28)


_prices = st.sampled_from((0.0, 0.001, 0.004, 0.0125, 0.023))
_tier = st.builds(
    lambda price, get, days: TierSettings(price_gb_month=price, retrieval_price_gb=get, minimum_days=days),
    _prices,
    st.sampled_from((0.0, 0.01, 0.03, 0.1)),
    st.sampled_from((0, 30, 90, 180)),
)


@settings(max_examples=40)
@given(hot=_tier, warm=_tier, cold=_tier, warm_after=st.integers(0, 60), more=st.integers(0, 400))
def test_no_year_of_moves_costs_more_than_staying_hot(
    hot: TierSettings, warm: TierSettings, cold: TierSettings, warm_after: int, more: int
) -> None:
    """Whatever the prices: all that the moves down of two years cost is less than what staying hot would have."""
    tiers = TiersSettings(hot=hot, warm=warm, cold=cold)
    policy = PolicySettings(warm_after_days=warm_after, cold_after_days=warm_after + more, anniversary_days=0)
    horizon = 900
    moves = simulated(Terms(ALL, tiers, policy), days=horizon)
    if not any(each.price_gb_month for each in (hot, warm, cold)):
        return
    cost, day, tier = 0.0, -30, "hot"
    for at, target in [*moves, (horizon, None)]:
        of = {"hot": hot, "warm": warm, "cold": cold}[tier]
        stayed = at - day
        cost += of.price_gb_month * max(stayed, of.minimum_days if tier != "hot" else 0) / 30
        if target is not None:
            cost += of.retrieval_price_gb
            day, tier = at, target
    assert cost <= hot.price_gb_month * (horizon + 30) / 30 + 1e-9 or not moves

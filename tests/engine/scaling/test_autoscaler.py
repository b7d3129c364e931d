"""The autoscaler: tables of what is so and what is decided, and what holds for every course of demand."""

from __future__ import annotations

import dataclasses
import math

from hypothesis import given
from hypothesis import strategies as st

from engine.contract.cluster import NodeClass
from engine.scaling.autoscaler import (
    EMERGENCY_JOBS,
    STABLE_S,
    Decision,
    Manual,
    Policy,
    ScalerFacts,
    ScalerState,
    Tolerant,
    Waiting,
    Workers,
    decide,
)
from engine.scaling.outlook import Outlook
from engine.scaling.seasons import Season

SECOND_NS = 10**9
HOUR_NS = 3600 * SECOND_NS
NOON_NS = 494_988 * HOUR_NS
MB = 1e6
POLICY = Policy(base=4, floor=1, off_season_floor=1, ceiling=40)


def outlook(*workers: float, begin_ns: int = NOON_NS, low: float = 0.0, basis: str = "calendar") -> Outlook:
    """Hour by hour, for so many workers of 100 MB/s that have nothing else to do."""
    sizes = tuple((low * 360e9, each * 360e9 * 0.95, each * 360e9 * 0.95) for each in workers)
    return Outlook(
        begin_ns=begin_ns,
        step_ns=HOUR_NS,
        levels=(0.1, 0.5, 0.9),
        jobs=tuple((0.0, 0.0, 0.0) for _ in workers),
        size_bytes=sizes,
        booked_share=0.6,
        basis="calendar" if basis == "calendar" else "history too short",
    )


def facts(ready: int = 4, **changes: object) -> ScalerFacts:
    """A quiet moment, with `ready` streams of 100 MB/s."""
    quiet = ScalerFacts(now_ns=NOON_NS, workers={"reserved": Workers(ready)}, bytes_per_s=100 * MB)
    return dataclasses.replace(quiet, **changes)  # type: ignore[arg-type]


def queue(workers: float, *, jobs: int = 10, deadline_s: float = 100.0) -> dict[str, Waiting]:
    """What so many workers of 100 MB/s deal with by the deadline."""
    return {"standard": Waiting(jobs, workers * deadline_s * 100 * MB, 0.0, deadline_s)}


def decided(now: ScalerFacts, before: int | None = None, policy: Policy = POLICY) -> Decision:
    return decide(ScalerState(target=before), now, policy)


# --- the need ---


def test_without_a_forecast_the_season_says_how_many_times_the_base() -> None:
    assert decided(facts()).total == 4
    saturday = decided(facts(season=Season("peak season, Saturday", 10.0, True)))
    assert saturday.total == 40
    assert "no forecast: base 4 × 10; peak season, Saturday × 10" in saturday.reason


def test_the_queue_needs_its_bytes_by_the_rate_of_a_worker_in_the_time_that_is_left() -> None:
    found = decided(facts(waiting=queue(12), outlook=outlook(2, 2, 2)))
    assert (found.need.queue, found.total) == (12, 12)
    assert "10 jobs queued, 0 running, 120 GB left at 100 MB/s a worker: needs 12" in found.reason


def test_without_a_forecast_a_fifth_is_kept_free_for_what_comes() -> None:
    assert decided(facts(waiting=queue(12))).need.queue == 15


def test_work_of_an_early_deadline_and_of_a_late_one_add_up_at_the_late_one() -> None:
    early, late = Waiting(1, 10e9, 0.0, 100.0), Waiting(1, 100e9, 0.0, 1000.0)
    now = facts(0, waiting={"same-day": early, "standard": late}, outlook=outlook(0, 0))
    assert decided(now).need.queue == 2  # 110 GB in 1000 s needs 1.1, 10 GB in 100 s needs 1


def test_what_workers_that_are_there_cannot_do_falls_to_those_that_must_start_first() -> None:
    now = facts(4, waiting=queue(12), outlook=outlook(0, 0), startup_p95_s=50.0)
    assert decided(now).need.queue == 4 + 16  # 80 GB are left for the 50 s that they work


def test_a_queue_that_is_late_already_asks_for_no_wonders() -> None:
    late = {"standard": Waiting(100, 60e9, 3600.0, 100.0)}
    assert decided(facts(0, waiting=late, outlook=outlook(0, 0))).need.queue == 12  # 60 GB in half the deadline


def test_busy_workers_that_share_nothing_are_needed_beside_the_queue() -> None:
    now = facts(10, busy=10, waiting=queue(2), outlook=outlook(0, 0))
    assert decided(now).need.queue == 12


def test_before_any_rate_is_known_each_job_brings_a_worker() -> None:
    now = facts(1, bytes_per_s=0.0, waiting=queue(1, jobs=3), running_jobs=4, outlook=outlook(0, 0))
    assert decided(now).total == 7


# --- the forecast ---


def test_a_worker_is_launched_so_that_it_is_ready_in_time_and_not_before() -> None:
    policy, coming = dataclasses.replace(POLICY, margin_s=300.0), outlook(2, 2, 9)
    early = facts(2, outlook=coming, startup_p95_s=1800.0, now_ns=NOON_NS + HOUR_NS)
    waits = decided(early, 2, policy)
    assert waits.total == 2
    assert waits.need.launch is not None
    assert waits.need.launch.launch_ns == NOON_NS + 2 * HOUR_NS - 2100 * SECOND_NS
    due = decided(dataclasses.replace(early, now_ns=waits.need.launch.launch_ns), 2, policy)
    assert due.total == 9
    assert due.effective_ns == due.time_ns + 1800 * SECOND_NS <= waits.need.launch.ready_ns


def test_a_forecast_is_met_in_one_step_and_the_queue_at_most_doubles() -> None:
    assert decided(facts(4, outlook=outlook(38)), 4).total == 38
    assert decided(facts(4, waiting=queue(38), outlook=outlook(0)), 4).total == 14
    assert decided(facts(14, waiting=queue(38), outlook=outlook(0)), 14).total == 28


def test_the_higher_quantile_is_for_workers_that_start_more_slowly_than_a_job_may_wait() -> None:
    wide = dataclasses.replace(outlook(30), size_bytes=((0.0, 9 * 342e9, 30 * 342e9),))
    assert decided(facts(4, outlook=wide, startup_p95_s=900.0), 4).total == 9
    slow = decided(facts(4, outlook=wide, startup_p95_s=901.0), 4, dataclasses.replace(POLICY, quantile=0.9))
    assert slow.total == 30
    assert "forecast p90" in slow.reason


def test_a_forecast_above_the_ceiling_is_told_as_soon_as_it_is_seen() -> None:
    found = decided(facts(2, outlook=outlook(*[2] * 30, 55, 60)), 2)
    assert found.state.shortfall is not None
    assert found.state.shortfall.when_ns == NOON_NS + 30 * HOUR_NS
    assert "55 wanted on" in found.reason
    assert not found.ceiling_reached


def test_too_short_a_history_is_no_forecast() -> None:
    found = decided(facts(outlook=outlook(30, basis="history too short")))
    assert found.total == 4
    assert "no forecast" in found.reason


# --- bounds ---


def test_the_floor_of_the_season_and_the_ceiling_hold() -> None:
    policy = Policy(base=10, floor=8, off_season_floor=3, ceiling=20)
    peak, low = Season("peak season", 5.0, True), Season()
    assert decided(facts(9, season=peak, outlook=outlook(0)), None, policy).total >= 8
    assert settled(facts(9, season=peak, outlook=outlook(0)), policy).total == 8
    assert settled(facts(9, season=low, outlook=outlook(0)), policy).total == 3
    over = decided(facts(9, outlook=outlook(50)), 9, policy)
    assert (over.total, over.ceiling_reached) == (20, True)


def test_no_surge_is_more_than_ten_times_the_base() -> None:
    assert decided(facts(4, outlook=outlook(90)), 4, Policy(base=4, ceiling=100)).total == 40


def test_a_thousand_jobs_double_the_workers_once_in_each_start_up() -> None:
    state, seen = ScalerState(target=4), []
    for second in range(0, 300, 60):
        now = facts(
            4, now_ns=NOON_NS + second * SECOND_NS, startup_p95_s=120.0, outlook=outlook(0),
            waiting={"standard": Waiting(EMERGENCY_JOBS, 0.0, 0.0, 3600.0)},
        )  # fmt: skip
        found = decide(state, now, POLICY)
        state = found.state
        seen.append(found.total)
        assert found.emergency
        assert found.tolerant_workers == 0
    assert seen == [8, 8, 16, 16, 32]


def test_past_the_budget_only_what_is_urgent_counts() -> None:
    policy = dataclasses.replace(POLICY, budget_month=100.0)
    waiting = {"same-day": Waiting(1, 60e9, 0.0, 100.0), "standard": Waiting(1, 1e12, 0.0, 100.0)}
    found = decided(facts(4, waiting=waiting, outlook=outlook(30), spent_month=100.0), 4, policy)
    assert (found.total, found.budget_reached, found.tolerant_workers) == (6, True, 0)


def test_a_person_is_obeyed_and_the_need_afterwards_is_not_forgotten() -> None:
    by_hand = facts(4, waiting=queue(12), outlook=outlook(2, 2), manual=Manual(3, NOON_NS + HOUR_NS))
    found = decided(by_hand, 4)
    assert found.total == 3
    assert found.reason.startswith("3 workers set by hand until 2026-06-20T13:00Z")
    after = dataclasses.replace(by_hand, now_ns=NOON_NS + 60 * SECOND_NS, manual=None, waiting={})
    assert decide(found.state, after, POLICY).total == 3  # it goes on from there, and gives nothing up


# --- classes ---


def spot(reserved: int, taken: int = 0, **changes: object) -> ScalerFacts:
    """Machines of both classes."""
    return facts(4, workers={"reserved": Workers(reserved), "spot": Workers(taken)}, **changes)


def test_the_reserved_count_is_its_share_of_what_is_needed_at_least_and_they_are_kept_last() -> None:
    day = outlook(*[30] * 24, low=20.0)
    up = decided(spot(0, outlook=day), 0)
    assert up.target == {"reserved": 6, "spot": 24}  # three tenths of 20 (and a twentieth for slack), always on
    assert settled(spot(6, 24, outlook=outlook(*[4] * 24, low=0.0)), POLICY, up.state).target["spot"] == 0


def test_without_a_forecast_three_of_ten_are_reserved() -> None:
    assert decided(spot(0, waiting=queue(8), outlook=None), 0).target == {"reserved": 3, "spot": 7}
    shrunk = settled(spot(3, 7, outlook=None), POLICY)
    assert shrunk.target == {"reserved": 3, "spot": 1}


def test_streams_are_of_one_class() -> None:
    assert decided(facts()).target == {"reserved": 4}


# --- what no one waits for ---


def test_upkeep_gets_the_workers_that_the_queue_does_not_need() -> None:
    assert decided(facts(10, waiting=queue(4), outlook=outlook(10)), 10).tolerant_workers == 6
    full = decided(facts(4, waiting=queue(4), outlook=outlook(4), tolerant=Tolerant(5e9)), 4)
    assert full.tolerant_workers == 0
    assert "5.00 GB of upkeep put off" in full.reason


def test_upkeep_that_waited_a_day_gets_one_worker_but_in_a_freeze() -> None:
    late = Tolerant(5e9, 86_401.0)
    assert decided(facts(4, waiting=queue(4), outlook=outlook(4), tolerant=late), 4).tolerant_workers == 1
    frozen = Season(is_frozen=True)
    assert decided(facts(4, outlook=outlook(4), tolerant=late, season=frozen), 4).tolerant_workers == 0


# --- what holds for every course ---


def settled(now: ScalerFacts, policy: Policy, state: ScalerState | None = None, rounds: int = 40) -> Decision:
    """The decision after the same facts stood for ten minutes, each carried out at once."""
    found = decide(state or ScalerState(), now, policy)
    for at in range(1, rounds + 1):
        found = decide(found.state, carried_out(now, found, at * 15), policy)
    return found


def carried_out(now: ScalerFacts, decision: Decision, after_s: int) -> ScalerFacts:
    workers: dict[NodeClass, Workers] = {name: Workers(count) for name, count in decision.target.items()}
    return dataclasses.replace(now, workers=workers, now_ns=NOON_NS + after_s * SECOND_NS)


demand = st.floats(min_value=0.0, max_value=60.0)


@given(queued=demand, expected=demand, start=st.integers(0, 60), startup_s=st.sampled_from([0.0, 60.0, 1800.0]))
def test_under_constant_demand_nothing_changes_once_it_has_settled(
    queued: float, expected: float, start: int, startup_s: float
) -> None:
    busy = round(queued)
    now = spot(start, 0, busy=busy, outlook=outlook(*[expected] * 30), startup_p95_s=startup_s)
    found = settled(now, POLICY)
    totals = set()
    for at in range(41, 81):
        found = decide(found.state, carried_out(now, found, at * 15), POLICY)
        totals.add(tuple(found.target.items()))
        assert not found.is_change
    assert len(totals) == 1


@given(st.lists(demand, min_size=30, max_size=120), st.integers(1, 60))
def test_after_a_step_up_there_is_none_down_for_five_minutes(courses: list[float], start: int) -> None:
    state, up_ns, before = ScalerState(target=start), -math.inf, start
    for at, queued in enumerate(courses):
        now = facts(before, now_ns=NOON_NS + at * 15 * SECOND_NS, busy=round(queued), outlook=outlook(0, 0, 0))
        found = decide(state, now, POLICY)
        assert POLICY.floor <= found.total <= POLICY.most or before > POLICY.most
        if found.total < before <= POLICY.most:
            assert now.now_ns - up_ns > STABLE_S * SECOND_NS
        up_ns = now.now_ns if found.total > before else up_ns
        state, before = found.state, found.total


@given(st.lists(st.floats(0.95, 1.05), min_size=40, max_size=80), st.integers(1, 40))
def test_noise_of_a_twentieth_never_takes_a_worker_away(noise: list[float], level: int) -> None:
    state, before, changes = ScalerState(), level, 0
    for at, factor in enumerate(noise):
        now = facts(before, now_ns=NOON_NS + at * 30 * SECOND_NS, busy=round(level * factor), outlook=outlook(0, 0, 0))
        found = decide(state, now, dataclasses.replace(POLICY, ceiling=400, base=40))
        assert found.total >= before
        changes += found.is_change
        state, before = found.state, found.total
    assert changes <= 2


@given(queued=demand, expected=demand)
def test_the_same_facts_give_the_same_decision(queued: float, expected: float) -> None:
    now = facts(4, waiting=queue(queued), outlook=outlook(expected))
    assert decide(ScalerState(), now, POLICY) == decide(ScalerState(), now, POLICY)

"""Weighted fair queueing, simulated: shares, bounds, no starvation, limits; the same seed gives the same trace."""

from __future__ import annotations

import math
import random
import weakref
from dataclasses import dataclass

import pytest
from hypothesis import given
from hypothesis import strategies as st

from engine.base.bucket import BURST_S
from engine.contract.settings import UNIT_BYTES, UNIT_FILES_MAX
from engine.contract.weddings import JOB_CLASSES, JobClass
from engine.pipeline.fair import AHEAD_COST, DEFAULT_WEIGHTS, FILE_COST_BYTES, FairTurns

COST_MAX = UNIT_BYTES + UNIT_FILES_MAX * FILE_COST_BYTES


@dataclass(eq=False)
class Flow:
    """A run, as far as turns know it."""

    name: str
    priority: JobClass
    accepted_s: float = -math.inf


def serve(turns: FairTurns[Flow], units: int, chance: random.Random) -> list[tuple[str, int]]:
    """One stream serves `units` units of runs that always have more."""
    trace = []
    for _ in range(units):
        flow = turns.pick(0.0)
        assert flow is not None
        cost = chance.randint(64 * 1024, COST_MAX)
        turns.charge(flow, cost)
        turns.add(flow)
        trace.append((flow.name, cost))
    return trace


def backlogged(counts: dict[JobClass, int]) -> FairTurns[Flow]:
    """Runs of each class, all ready."""
    turns: FairTurns[Flow] = FairTurns()
    for priority, count in counts.items():
        for number in range(count):
            turns.add(Flow(f"{priority} {number}", priority))
    return turns


@given(
    st.fixed_dictionaries({name: st.integers(1, 30) for name in JOB_CLASSES}),
    st.integers(1, 400),
    st.integers(0, 2**32),
)
def test_classes_with_work_never_drift_further_apart_than_the_bound(
    counts: dict[JobClass, int], units: int, seed: int
) -> None:
    """At every moment, and however many runs a class has: the documented bound of start-time fair queueing."""
    turns = backlogged(counts)
    served = dict.fromkeys(JOB_CLASSES, 0)
    for name, cost in serve(turns, units, random.Random(seed)):
        priority = next(each for each in JOB_CLASSES if name.startswith(each))
        served[priority] += cost
        shares = {each: served[each] / DEFAULT_WEIGHTS[each] for each in JOB_CLASSES}
        for one in JOB_CLASSES:
            for other in JOB_CLASSES:
                bound = COST_MAX / DEFAULT_WEIGHTS[one] + COST_MAX / DEFAULT_WEIGHTS[other]
                assert abs(shares[one] - shares[other]) <= bound


@given(st.integers(2, 40), st.integers(0, 2**32))
def test_runs_of_one_class_share_evenly(count: int, seed: int) -> None:
    """No run gets ahead of another by more than two of the dearest units."""
    turns = backlogged({"standard": count})
    served = {f"standard {number}": 0 for number in range(count)}
    for name, cost in serve(turns, count * 10, random.Random(seed)):
        served[name] += cost
        assert max(served.values()) - min(served.values()) <= 2 * COST_MAX


def test_a_turn_that_is_not_above_a_class_is_left_to_it() -> None:
    """Whoever serves higher classes only takes no turn away from the lower ones."""
    turns = backlogged({"same-day": 1, "standard": 1})
    assert turns.pick(0.0, above="same-day") is None
    first = turns.pick(0.0, above="standard")
    assert first is not None
    assert first.priority == "same-day"
    turns.charge(first, COST_MAX)
    turns.add(first)
    assert turns.pick(0.0, above="standard") is None  # it is the turn of the lower class
    other = turns.pick(0.0)
    assert other is not None
    assert other.priority == "standard"


def test_classes_stand_above_each_other_in_their_order() -> None:
    """Same-day before retrievals, those before next-day: whom the spare thread may serve beside whom."""
    for rank, name in enumerate(JOB_CLASSES):
        served_beside = [other for other in JOB_CLASSES if backlogged({name: 1}).pick(0.0, above=other) is not None]
        assert tuple(served_beside) == JOB_CLASSES[rank + 1 :]


def _owing() -> FairTurns[Flow]:
    """It is the turn of the standard class, since one run of same-day, which is ready again, was just served."""
    turns = backlogged({"same-day": 1, "standard": 1})
    first = turns.pick(0.0, above="standard")
    assert first is not None
    turns.charge(first, COST_MAX)
    turns.add(first)
    return turns


def test_a_run_of_a_higher_class_is_begun_out_of_turn_and_its_class_pays() -> None:
    """The highest class first, in it who came first; never one that was served, nor one of no higher class."""
    turns = _owing()
    assert turns.pick_new(0.0, above="standard") is None  # that of same-day was served before
    for name in ("same-day", "next-day", "standard"):
        for number in range(2):
            turns.add(Flow(f"new {name} {number}", name))
    begun = []
    while (flow := turns.pick_new(0.0, above="standard")) is not None:
        begun.append(flow.name)
        turns.charge(flow, COST_MAX)
        turns.add(flow)
    assert begun == ["new same-day 0", "new same-day 1", "new next-day 0", "new next-day 1"]
    served = {"same-day": 3 * COST_MAX, "standard": 0}
    while served["standard"] / DEFAULT_WEIGHTS["standard"] < served["same-day"] / DEFAULT_WEIGHTS["same-day"]:
        flow = turns.pick(0.0)
        assert flow is not None
        assert flow.priority != "same-day"
        turns.charge(flow, COST_MAX)
        turns.add(flow)
        served["standard"] += COST_MAX * (flow.priority == "standard")


def test_a_class_gets_no_further_ahead_by_what_is_begun_out_of_turn_than_the_bound() -> None:
    """However many runs come; where it falls back by what others are served, as many more are begun."""
    turns = backlogged({"standard": 1})
    for number in range(2 * AHEAD_COST // COST_MAX):
        turns.add(Flow(f"{number}", "same-day"))
    begun = 0
    while (flow := turns.pick_new(0.0, above="standard")) is not None:
        begun += COST_MAX
        turns.charge(flow, COST_MAX)
        turns.forget(flow)
    assert AHEAD_COST <= begun < AHEAD_COST + COST_MAX
    serve(turns, 2, random.Random(0))
    assert turns.pick_new(0.0, above="standard") is not None


def test_new_runs_do_not_get_past_those_that_have_begun_for_ever() -> None:
    """Where new ones take all that the class is served, and it is never its turn: that is bounded, then it is."""
    turns = _owing()
    passed = 0
    while True:
        turns.add(Flow(f"{passed}", "same-day"))
        flow = turns.pick_new(0.0, above="standard")
        if flow is None:
            break
        turns.charge(flow, COST_MAX)
        passed += COST_MAX
        other = turns.pick(0.0)
        assert other is not None
        assert other.priority == "standard"
        turns.charge(other, COST_MAX * 39 // 100)  # all but what its weight gives it beside same-day
        turns.add(other)
    assert AHEAD_COST <= passed < AHEAD_COST + COST_MAX
    assert any(name.startswith("same-day") for name, _ in serve(turns, 30, random.Random(0)))


def test_a_limit_of_a_class_holds_for_what_is_begun_out_of_turn_too() -> None:
    """It is over it: nothing of it is begun, and the next class is looked at."""
    turns = backlogged({"same-day": 1, "next-day": 1, "standard": 1})
    turns.set_limit("same-day", 1.0, 0.0)
    flow = turns.pick_new(0.0, above="standard")
    assert flow is not None
    assert flow.priority == "next-day"
    assert turns.pick_new(0.0, above="standard") is None
    flow = turns.pick_new(1.0, above="standard")
    assert flow is not None
    assert flow.priority == "same-day"


@given(st.integers(1, 30), st.integers(0, 2**32))
def test_new_runs_without_end_do_not_starve_those_that_were_served(count: int, seed: int) -> None:
    """Each unit served, a run that was never served yet comes: the others still get their turns, evenly."""
    chance = random.Random(seed)
    turns = backlogged({"same-day": count})
    turns_of: dict[str, int] = dict.fromkeys((f"same-day {number}" for number in range(count)), 0)
    for number in range(count * 60):
        flow = turns.pick(0.0)
        assert flow is not None
        turns.charge(flow, chance.randint(COST_MAX // 2, COST_MAX))
        if flow.name in turns_of:
            turns_of[flow.name] += 1
            turns.add(flow)
        turns.add(Flow(f"new {number}", "same-day"))
    assert min(turns_of.values()) >= 2


def test_a_run_taken_out_is_not_served_until_it_is_back() -> None:
    """Its place in the line is nobody's; back in line it stands there once."""
    turns: FairTurns[Flow] = FairTurns()
    flows = [Flow(str(number), "standard") for number in range(5)]
    for flow in flows:
        turns.add(flow)
    assert turns.remove(flows[0])
    assert not turns.remove(flows[0])
    assert len(turns) == 4
    turns.add(flows[0])
    picked = [turns.pick(0.0) for _ in range(5)]
    assert {id(flow) for flow in picked} == {id(flow) for flow in flows}
    assert turns.pick(0.0) is None


def test_the_same_seed_gives_the_same_trace() -> None:
    """Ties are broken by arrival, never by chance."""
    counts: dict[JobClass, int] = {"same-day": 3, "next-day": 20, "standard": 200}
    assert serve(backlogged(counts), 2000, random.Random(5)) == serve(backlogged(counts), 2000, random.Random(5))


def test_an_urgent_run_is_served_next_beside_a_thousand_of_a_lower_class() -> None:
    """It does not wait for the line: its class has been idle and starts now."""
    turns = backlogged({"standard": 1000})
    serve(turns, 500, random.Random(1))
    turns.add(Flow("urgent", "same-day"))
    assert "urgent" in [name for name, _ in serve(turns, 2, random.Random(2))]


def test_a_class_that_was_idle_has_saved_nothing_up() -> None:
    """After a long pause it gets its share from now on, not what it did not use."""
    turns = backlogged({"standard": 1})
    serve(turns, 1000, random.Random(1))
    turns.add(Flow("same-day 0", "same-day"))
    names = [name for name, _ in serve(turns, 200, random.Random(3))]
    assert names.count("standard 0") > 30


def test_whoever_has_work_gets_all_that_others_leave() -> None:
    """Work-conserving: alone, the lowest class is always served."""
    turns = backlogged({"standard": 2})
    assert len(serve(turns, 100, random.Random(1))) == 100


def test_a_run_whose_class_changes_stands_in_the_new_line() -> None:
    """A moved wedding date counts at once, also for a run that waits for its turn."""
    turns: FairTurns[Flow] = FairTurns()
    bulk = [Flow(f"standard {number}", "standard") for number in range(50)]
    for flow in bulk:
        turns.add(flow)
    serve(turns, 200, random.Random(1))
    bulk[7].priority = "same-day"
    turns.reclassify(bulk[7])
    names = [name for name, _ in serve(turns, 150, random.Random(2))]
    assert "standard 7" in names[:2]
    assert names.count("standard 7") > 95


def dated(turns: FairTurns[Flow], count: int, *, deadline_s: float) -> list[Flow]:
    """Runs of one class with that deadline, accepted one after the other, all ready."""
    turns.set_deadline("standard", deadline_s)
    flows = [Flow(f"standard {number}", "standard", float(number)) for number in range(count)]
    for flow in reversed(flows):
        turns.add(flow)
    return flows


def test_half_of_a_class_goes_to_the_run_whose_deadline_comes_first() -> None:
    """The one accepted first, whoever came into the line first; the others go round evenly."""
    turns: FairTurns[Flow] = FairTurns()
    flows = dated(turns, 10, deadline_s=100)
    served = dict.fromkeys((flow.name for flow in flows), 0)
    for name, cost in serve(turns, 400, random.Random(1)):
        served[name] += cost
    total = sum(served.values())
    assert 0.5 <= served["standard 0"] / total <= 0.6
    assert all(0.04 <= served[flow.name] / total <= 0.06 for flow in flows[1:])


def test_a_run_that_has_no_deadline_any_more_leaves_its_turns_to_the_others() -> None:
    """As a retrieval whose first byte is on its way: half go to the deadlines in order, half round from the end."""
    turns: FairTurns[Flow] = FairTurns()
    dated(turns, 6, deadline_s=100)
    order = []
    for _ in range(6):
        flow = turns.pick(0.0)
        assert flow is not None
        turns.charge(flow, 1000)
        flow.accepted_s = -math.inf
        turns.add(flow)
        order.append(flow.name[-1])
    assert order == ["0", "5", "1", "4", "2", "3"]


def test_a_run_that_is_late_already_takes_its_turn_like_any_other() -> None:
    """What cannot be in time any more must not make others late."""
    turns: FairTurns[Flow] = FairTurns()
    dated(turns, 3, deadline_s=10)
    names = []
    for _ in range(90):
        flow = turns.pick(10.5)
        assert flow is not None
        turns.charge(flow, 1000)
        turns.add(flow)
        names.append(flow.name)
    assert (names.count("standard 0"), names.count("standard 1")) == (15, 60)


def test_a_run_that_has_nothing_to_do_now_gives_up_its_turn_by_deadline() -> None:
    """The next deadline is served meanwhile, and nothing is saved up."""
    turns: FairTurns[Flow] = FairTurns()
    first, second = dated(turns, 2, deadline_s=100)
    assert turns.pick(0.0) is first
    assert turns.pick(0.0) is second
    turns.charge(second, 1000)
    turns.add(second)
    turns.add(first)
    names = [name for name, _ in serve(turns, 100, random.Random(1))]
    assert 60 <= names.count(first.name) <= 90


def test_a_deadline_moves_with_its_run_into_another_class() -> None:
    """And the class it has left is served on."""
    turns: FairTurns[Flow] = FairTurns()
    flows = dated(turns, 5, deadline_s=100)
    turns.set_deadline("same-day", 100)
    other = Flow("same-day 0", "same-day", 50.0)
    turns.add(other)
    flows[0].priority = "same-day"
    names = [name for name, _ in serve(turns, 300, random.Random(1))]
    assert names.count("standard 0") > 2 * names.count("same-day 0") > 0
    assert names.count("standard 1") > 2 * names.count("standard 2") > 0


def test_runs_that_have_ended_are_let_go_of() -> None:
    """A run holds its wedding's keys and lists: turns keep none that was forgotten."""
    turns: FairTurns[Flow] = FairTurns()
    gone = [weakref.ref(flow) for flow in dated(turns, 20, deadline_s=1e6)]

    def end_one() -> None:
        flow = turns.pick(0.0)
        assert flow is not None
        turns.charge(flow, 1000)
        turns.forget(flow)

    for _ in gone:
        end_one()
    assert [ref() for ref in gone if ref() is not None] == []


def test_a_run_whose_class_changes_while_its_unit_is_out_begins_there_now() -> None:
    """How far its old class has come says nothing in the new one, and the unit counts where it was handed out."""
    turns = backlogged({"standard": 2})
    serve(turns, 1000, random.Random(1))
    moved = turns.pick(0.0)
    assert moved is not None
    moved.priority = "same-day"
    before = turns.served()
    turns.charge(moved, 1000)
    assert turns.served() == {**before, "standard": before["standard"] + 1000}
    turns.add(Flow("same-day 0", "same-day"))
    turns.add(moved)
    assert moved.name in [name for name, _ in serve(turns, 6, random.Random(2))]


def test_a_limit_holds_a_class_back_and_lets_others_pass() -> None:
    """10 MB/s over 100 simulated seconds, 1 MB units, beside a class without a limit."""
    turns = backlogged({"standard": 3, "same-day": 1})
    turns.set_limit("standard", 10e6, 0.0)
    served = {"standard": 0, "same-day": 0}
    now_s = 0.0
    while now_s < 100:
        flow = turns.pick(now_s)
        assert flow is not None
        turns.charge(flow, 1_000_000)
        turns.add(flow)
        served[flow.priority] += 1_000_000
        now_s += 0.01
    assert 990e6 <= served["standard"] <= 1000e6 + BURST_S * 10e6 + 1e6
    assert served["same-day"] > 8_000e6


def test_a_limited_class_alone_says_how_long_to_wait() -> None:
    """The stream sleeps exactly until the limit opens; lifting it opens at once."""
    turns = backlogged({"standard": 1})
    turns.set_limit("standard", 1e6, 0.0)
    flow = turns.pick(1.0)
    assert flow is not None
    turns.charge(flow, 3_000_000)
    turns.add(flow)
    assert turns.pick(1.0) is None
    assert turns.wait_s(1.0) == pytest.approx(2.5, abs=0.01)
    assert turns.pick(3.6) is not None
    turns.add(flow)
    turns.charge(flow, 9_000_000)
    turns.set_limit("standard", None, 3.6)
    assert turns.pick(3.6) is flow


def test_nothing_ready_means_nothing_to_wait_for() -> None:
    """An empty line has no next moment."""
    assert FairTurns[Flow]().wait_s(0.0) is None
    assert FairTurns[Flow]().pick(0.0) is None

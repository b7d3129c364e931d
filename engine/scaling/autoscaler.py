"""How many workers there are to be, from when on, and why. Pure.

In: what is measured and expected (`ScalerFacts`), what the last decision left behind (`ScalerState`), the rules
(`Policy`). Out: a `Decision`, with the state for the next one. A worker is a stream of this machine or a node.

The need is the larger of what the queue needs now and what the forecast says for the moment at which a worker that is
launched now is ready: the hours of look-ahead are looked through, not paid for. Where nothing is forecast the season
says how many times the base is wanted. Upwards a need is met at once, from the queue at most doubling; downwards what
was needed at any moment of the last five minutes stays (the rule of Kubernetes' HPA), and a difference of a tenth is
none: so after a step up there is no step down for five minutes, and under constant demand there is no step at all.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import replace

from engine.contract.cluster import NodeClass
from engine.contract.weddings import JobClass
from engine.scaling.facts import Decision as Decision
from engine.scaling.facts import Launch, Need, Shortfall
from engine.scaling.facts import Manual as Manual
from engine.scaling.facts import Policy as Policy
from engine.scaling.facts import ScalerFacts as ScalerFacts
from engine.scaling.facts import ScalerState as ScalerState
from engine.scaling.facts import Tolerant as Tolerant
from engine.scaling.facts import Waiting as Waiting
from engine.scaling.facts import Workers as Workers
from engine.scaling.outlook import Outlook
from engine.scaling.reasons import reason_of

TOLERANCE = 0.1
STABLE_S = 300.0  # what was needed within this time is not given up
STEP_UP = 10  # workers that the queue may add at once, where doubling is less
EMERGENCY_JOBS = 1000  # that wait: then the workers are doubled, once in each start-up time
DRAIN_S = 0.1  # the least time in which a queue that is late already is to be worked off
BUSY_SHARE = 0.8  # of the workers' time that work fills, where nothing says what comes
BUSY_SHARE_FORECAST = 0.95  # the same, where a high quantile says it
LOW_QUANTILE = 0.1  # of the forecast, which reserved workers stand on
PUT_OFF_S = 86_400.0  # for so long work without a deadline waits for a valley
REVIEW_S = 900.0  # how often the whole forecast is gone through
URGENT: frozenset[JobClass] = frozenset({"same-day", "retrieval"})


def decide(state: ScalerState, facts: ScalerFacts, policy: Policy) -> Decision:
    """The decision at `facts.now_ns`. The same state, facts and policy give the same one."""
    state = _reviewed(state, facts, policy)
    before = state.target if state.target is not None else facts.current
    over_budget = facts.spent_month >= policy.budget_month
    need = need_of(facts, policy, urgent_only=over_budget)
    emergency = facts.queued_jobs >= EMERGENCY_JOBS
    wanted, state = _in_emergency(state, facts, max(need.queue, need.forecast), emergency)
    needs = _still_needed(state.needs, facts.now_ns, min(wanted, policy.most))
    if facts.manual is not None:
        total = facts.manual.target
    else:
        total = _stepped(before, needs, need, emergency)
        total = min(policy.most, max(policy.least(facts.season), total))
    decided = Decision(
        time_ns=facts.now_ns,
        target=_by_class(total, facts, state, policy),
        effective_ns=facts.now_ns + (round(facts.startup_p95_s * 1e9) if total > facts.current else 0),
        need=need,
        tolerant_workers=0 if emergency or over_budget else tolerant_workers(facts, policy, need, total),
        reason="",
        state=replace(state, target=total, needs=needs),
        is_change=total != before,
        emergency=emergency,
        ceiling_reached=facts.manual is None and wanted > policy.most,
        budget_reached=over_budget,
    )
    return replace(decided, reason=reason_of(decided, facts, policy, before))


# --- the need ---------------------------------------------------------------------------------------


def need_of(facts: ScalerFacts, policy: Policy, *, urgent_only: bool = False) -> Need:
    """Workers that the queue needs now, and that the forecast, or else the season, wants. Or: urgent ones."""
    waiting = {name: each for name, each in facts.waiting.items() if name in URGENT or not urgent_only}
    share = BUSY_SHARE if facts.is_blind else 1.0  # a forecast brings what is to come itself
    queue = _rounded_up((facts.busy + queue_need(facts, waiting)) / share)
    if urgent_only:
        return Need(queue, 0)
    if facts.is_blind:
        return Need(queue, _rounded_up(policy.base * facts.season.factor))
    return _forecast_need(facts, policy, queue)


def queue_need(facts: ScalerFacts, waiting: Mapping[JobClass, Waiting]) -> float:
    """Workers that bring everything that waits home in time, beside those that are busy.

    Of any deadline: the work that is due by then, divided by the time until then. What those that are there cannot do
    falls to new ones, which work from the end of their start-up on; where even that is too late, they get half the
    deadline for it.
    """
    free = max(0, facts.current - facts.busy)
    found, work_s = 0.0, 0.0
    for each in sorted(waiting.values(), key=lambda each: each.deadline_s - each.oldest_wait_s):
        work_s += work_of(facts, each.queued_bytes, each.queued_jobs)
        window_s = max(DRAIN_S, each.deadline_s / 2)
        left_s = max(each.deadline_s - each.oldest_wait_s, facts.startup_p95_s + window_s)
        missing_s = work_s - free * left_s
        found = max(found, free + missing_s / (left_s - facts.startup_p95_s) if missing_s > 0 else work_s / left_s)
    if not facts.bytes_per_s and not facts.jobs_per_s:  # none was measured yet: a worker for each job
        found = sum(each.queued_jobs for each in waiting.values()) + max(0, facts.running_jobs - facts.busy)
    return found


def work_of(facts: ScalerFacts, size_bytes: float, jobs: float) -> float:
    """Seconds of one worker, by bytes or by jobs, whichever is more; 0 while no rate was measured."""
    by_bytes = size_bytes / facts.bytes_per_s if facts.bytes_per_s else 0.0
    by_jobs = jobs / facts.jobs_per_s if facts.jobs_per_s else 0.0
    return max(by_bytes, by_jobs)


def forecast_at(facts: ScalerFacts, outlook: Outlook, when_ns: int, level: float) -> int:
    """Workers that the forecast wants in the step of `when_ns`, at a quantile."""
    work_s = work_of(facts, outlook.bytes_at(when_ns, level), outlook.jobs_at(when_ns, level))
    return _rounded_up(work_s * 1e9 / outlook.step_ns / BUSY_SHARE_FORECAST)


def _forecast_need(facts: ScalerFacts, policy: Policy, queue: int) -> Need:
    """The most that is wanted until a worker launched now is ready, and the first step after that wants more."""
    outlook = facts.outlook
    if outlook is None:
        return Need(queue, 0)
    lead_ns = round((facts.startup_p95_s + policy.margin_s) * 1e9)
    until_ns = facts.now_ns + max(lead_ns, round(policy.lookahead_s * 1e9))
    now_needed, launch, level = 0, None, policy.level(facts.startup_p95_s)
    begin_ns = outlook.begin_ns + (facts.now_ns - outlook.begin_ns) // outlook.step_ns * outlook.step_ns
    while begin_ns <= until_ns and launch is None:
        workers = forecast_at(facts, outlook, begin_ns, level)
        if begin_ns <= facts.now_ns + lead_ns:
            now_needed = max(now_needed, workers)
        elif workers > max(now_needed, queue):
            launch = Launch(begin_ns - lead_ns, begin_ns, workers)
        begin_ns += outlook.step_ns
    return Need(queue, now_needed, launch)


def _reviewed(state: ScalerState, facts: ScalerFacts, policy: Policy) -> ScalerState:
    """With what the whole forecast says, looked at now and then: the hour that is too much, and the reserved count."""
    outlook = facts.outlook
    if state.reviewed_ns is not None and facts.now_ns - state.reviewed_ns < REVIEW_S * 1e9:
        return state
    state = replace(state, reviewed_ns=facts.now_ns, shortfall=None)
    if outlook is None or facts.is_blind:
        return state
    low = high = 0.0
    shortfall = None
    moments = range(max(facts.now_ns, outlook.begin_ns), outlook.end_ns, outlook.step_ns)
    for when_ns in moments:
        high = forecast_at(facts, outlook, when_ns, policy.quantile)
        low += forecast_at(facts, outlook, when_ns, LOW_QUANTILE)
        if shortfall is None and high > policy.most:
            shortfall = Shortfall(when_ns, round(high))
    reserved = int((1 - policy.spot_share) * low / max(1, len(moments)))
    if abs(reserved - state.reserved) <= TOLERANCE * state.reserved:
        reserved = state.reserved
    return replace(state, reserved=reserved, shortfall=shortfall)


# --- from the need to the target --------------------------------------------------------------------


def _in_emergency(state: ScalerState, facts: ScalerFacts, wanted: int, emergency: bool) -> tuple[int, ScalerState]:
    """With a thousand jobs in the queue: twice the workers, whatever else is said, once in each start-up time."""
    if not emergency:
        return wanted, state
    again_ns = round(max(facts.startup_p95_s, 1.0) * 1e9)
    if state.emergency_ns is not None and facts.now_ns - state.emergency_ns < again_ns:
        return max(wanted, state.target or 0), state
    doubled = max(wanted, 2 * (state.target if state.target is not None else facts.current))
    return doubled, replace(state, emergency_ns=facts.now_ns)


def _still_needed(needs: tuple[tuple[int, int], ...], now_ns: int, workers: int) -> tuple[tuple[int, int], ...]:
    """The needs of the last five minutes with this one, without those that a later one reaches: the first is the most.

    As each is smaller than the one before, there are never more of them than there may be workers.
    """
    kept = [each for each in needs if now_ns - each[0] <= STABLE_S * 1e9 and each[1] > workers]
    return (*kept, (now_ns, workers))


def _stepped(before: int, needs: tuple[tuple[int, int], ...], need: Need, emergency: bool) -> int:
    """From the target before towards what is needed: nothing within the tolerance, from the queue at most doubling."""
    now_needed, lately_needed = needs[-1][1], needs[0][1]
    if emergency or before == 0:
        return max(before, now_needed)
    if now_needed > before + TOLERANCE * before:
        return max(min(now_needed, before + max(before, STEP_UP)), min(now_needed, need.forecast))
    if lately_needed < before - TOLERANCE * before:
        return max(lately_needed, before - math.ceil(before / 2))
    return before


def _by_class(total: int, facts: ScalerFacts, state: ScalerState, policy: Policy) -> dict[NodeClass, int]:
    """Reserved ones first, so they are kept last; without a forecast to count them by, their share of the target."""
    if "spot" not in facts.workers:
        return {"reserved": total}
    if facts.is_blind:
        present = facts.workers.get("reserved", Workers())
        reserved = max(round((1 - policy.spot_share) * total), present.ready + present.starting)
    else:
        reserved = state.reserved
    reserved = min(total, reserved)
    return {"reserved": reserved, "spot": total - reserved}


def tolerant_workers(facts: ScalerFacts, policy: Policy, need: Need, total: int) -> int:
    """How many workers may do now what no one waits for: those that the rest does not need; none in a freeze.

    What has waited for a day gets one worker whatever else there is.
    """
    if facts.season.is_frozen:
        return 0
    ready = sum(each.ready for each in facts.workers.values())
    spare = max(0, min(ready, total) - need.queue)
    overdue = facts.tolerant.oldest_wait_s > PUT_OFF_S
    return min(ready, max(spare, 1)) if overdue else spare


def _rounded_up(workers: float) -> int:
    """Whole workers; a hundredth of one is none."""
    return max(0, math.ceil(workers - 0.01))

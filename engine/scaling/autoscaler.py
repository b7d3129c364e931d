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
from dataclasses import dataclass, field, replace

from engine.base.units import format_bytes, format_count, format_span, format_time
from engine.contract.cluster import NodeClass
from engine.contract.weddings import JobClass
from engine.scaling.outlook import Outlook
from engine.scaling.seasons import OFF_SEASON, Season

TOLERANCE = 0.1
STABLE_S = 300.0  # what was needed within this time is not given up
STEP_UP = 10  # workers that the queue may add at once, where doubling is less
EMERGENCY_JOBS = 1000  # that wait: then the workers are doubled, once in each start-up time
SURGE_MAX = 10  # times the base, whatever is forecast
DRAIN_S = 30.0  # in which a queue that is late already is to be worked off, at least
BUSY_SHARE = 0.8  # of the workers' time that work fills, where nothing says what comes
BUSY_SHARE_FORECAST = 0.95  # the same, where a high quantile says it
LOW_QUANTILE = 0.1  # of the forecast, which reserved workers stand on
PUT_OFF_S = 86_400.0  # for so long work without a deadline waits for a valley
REVIEW_S = 900.0  # how often the whole forecast is gone through
URGENT: frozenset[JobClass] = frozenset({"same-day", "retrieval"})


@dataclass(frozen=True, slots=True)
class Waiting:
    """What jobs of one class still have to do, other than what busy workers hold. Bytes are those of the sources."""

    queued_jobs: int = 0
    queued_bytes: float = 0.0
    oldest_wait_s: float = 0.0
    deadline_s: float = 120.0  # accepted → done


@dataclass(frozen=True, slots=True)
class Workers:
    """The workers of one class, by where they stand."""

    ready: int = 0
    starting: int = 0
    draining: int = 0
    price_hour: float = 0.0


@dataclass(frozen=True, slots=True)
class Tolerant:
    """Work that no one waits for: verification, migration, scrub."""

    bytes: float = 0.0
    oldest_wait_s: float = 0.0


@dataclass(frozen=True, slots=True)
class Manual:
    """How many workers a person wants, until a moment or for good."""

    target: int
    until_ns: int | None = None


@dataclass(frozen=True, slots=True)
class ScalerFacts:
    """What is so now. A rate of 0 is one that was not measured yet.

    `busy` are workers whose job no other worker can take a part of; 0 where jobs are cut into units, as over streams:
    there `waiting` holds what is left of the jobs at work as well.
    """

    now_ns: int
    waiting: Mapping[JobClass, Waiting] = field(default_factory=dict)
    workers: Mapping[NodeClass, Workers] = field(default_factory=dict)  # without `spot`: there are none to be had
    running_jobs: int = 0
    busy: int = 0
    bytes_per_s: float = 0.0  # of one worker at work
    jobs_per_s: float = 0.0  # that one worker ends, by their number alone
    startup_p95_s: float = 0.0  # from asking for a worker until it works
    outlook: Outlook | None = None
    tolerant: Tolerant = Tolerant()
    season: Season = OFF_SEASON
    manual: Manual | None = None
    spent_month: float = 0.0

    @property
    def current(self) -> int:
        """Workers that work, or are about to."""
        return sum(each.ready + each.starting for each in self.workers.values())

    @property
    def queued_jobs(self) -> int:
        """Jobs that wait, of all classes."""
        return sum(each.queued_jobs for each in self.waiting.values())


@dataclass(frozen=True, slots=True)
class Policy:
    """The rules, in numbers. See `ScalingSettings` for what they mean."""

    base: int = 3
    floor: int = 1
    off_season_floor: int = 1
    ceiling: int = 30
    budget_month: float = math.inf
    lookahead_s: float = 7200.0
    margin_s: float = 300.0
    quantile: float = 0.9
    spot_share: float = 0.7

    def least(self, season: Season) -> int:
        """The floor in a season."""
        return self.floor if season.is_peak else self.off_season_floor

    @property
    def most(self) -> int:
        """What a surge may reach: the ceiling, and no more than ten times the base."""
        return max(self.floor, min(self.ceiling, SURGE_MAX * self.base))


@dataclass(frozen=True, slots=True)
class Shortfall:
    """The first hour for which more workers are forecast than there may be."""

    when_ns: int
    workers: int


@dataclass(frozen=True, slots=True)
class Launch:
    """What the forecast wants next, within the look-ahead: so many workers ready at `ready_ns`, asked for in time."""

    launch_ns: int
    ready_ns: int
    workers: int


@dataclass(frozen=True, slots=True)
class ScalerState:
    """What a decision leaves for the next one. `needs` are moments and needs, of which each later one is smaller."""

    target: int | None = None  # None: nothing was decided yet
    needs: tuple[tuple[int, int], ...] = ()
    emergency_ns: int | None = None  # when the workers were last doubled
    reviewed_ns: int | None = None  # when the whole forecast was gone through
    reserved: int = 0  # workers that are worth being reserved
    shortfall: Shortfall | None = None


@dataclass(frozen=True, slots=True)
class Need:
    """Workers, before bounds and steps, by what needs them."""

    queue: int
    forecast: int
    launch: Launch | None = None


@dataclass(frozen=True, slots=True)
class Decision:
    """How many workers of each class, when they are expected, and why."""

    time_ns: int
    target: Mapping[NodeClass, int]
    effective_ns: int
    need: Need
    tolerant_workers: int  # how many may do work that no one waits for
    reason: str
    state: ScalerState
    is_change: bool = False
    emergency: bool = False
    ceiling_reached: bool = False
    budget_reached: bool = False

    @property
    def total(self) -> int:
        """Workers of all classes."""
        return sum(self.target.values())


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
    return replace(decided, reason=_reason(decided, facts, policy, before))


# --- the need ---------------------------------------------------------------------------------------


def need_of(facts: ScalerFacts, policy: Policy, *, urgent_only: bool = False) -> Need:
    """Workers that the queue needs now, and that the forecast, or else the season, wants. Or: urgent ones."""
    waiting = {name: each for name, each in facts.waiting.items() if name in URGENT or not urgent_only}
    share = BUSY_SHARE if _is_blind(facts) else 1.0  # a forecast brings what is to come itself
    queue = _rounded_up((facts.busy + queue_need(facts, waiting)) / share)
    if urgent_only:
        return Need(queue, 0)
    if _is_blind(facts):
        return Need(queue, _rounded_up(policy.base * facts.season.factor))
    return _forecast_need(facts, policy, queue)


def queue_need(facts: ScalerFacts, waiting: Mapping[JobClass, Waiting]) -> float:
    """Workers that bring everything that waits home in time, beside those that are busy.

    Of any deadline: the work that is due by then, divided by the time until then. What those that are there cannot do
    falls to new ones, which work from the end of their start-up on; where even that is too late, they get half the
    deadline (at least 30 s) for it.
    """
    free = max(0, facts.current - facts.busy)
    found, work_s = 0.0, 0.0
    for each in sorted(waiting.values(), key=lambda each: each.deadline_s - each.oldest_wait_s):
        work_s += work_of(facts, each.queued_bytes, each.queued_jobs)
        window_s = max(DRAIN_S, each.deadline_s / 2)
        left_s = max(each.deadline_s - each.oldest_wait_s, facts.startup_p95_s + window_s)
        missing_s = work_s - free * left_s
        found = max(found, free + missing_s / (left_s - facts.startup_p95_s) if missing_s > 0 else work_s / left_s)
    if not work_s and any(each.queued_jobs for each in waiting.values()):
        found = free + 1  # no rate was measured yet
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
    now_needed, launch = 0, None
    begin_ns = outlook.begin_ns + (facts.now_ns - outlook.begin_ns) // outlook.step_ns * outlook.step_ns
    while begin_ns <= until_ns and launch is None:
        workers = forecast_at(facts, outlook, begin_ns, policy.quantile)
        if begin_ns <= facts.now_ns + lead_ns:
            now_needed = max(now_needed, workers)
        elif workers > max(now_needed, queue):
            launch = Launch(begin_ns - lead_ns, begin_ns, workers)
        begin_ns += outlook.step_ns
    return Need(queue, now_needed, launch)


def _is_blind(facts: ScalerFacts) -> bool:
    """Whether nothing says what is to come."""
    return facts.outlook is None or facts.outlook.basis == "history too short"


def _reviewed(state: ScalerState, facts: ScalerFacts, policy: Policy) -> ScalerState:
    """With what the whole forecast says, looked at now and then: the hour that is too much, and the reserved count."""
    outlook = facts.outlook
    if state.reviewed_ns is not None and facts.now_ns - state.reviewed_ns < REVIEW_S * 1e9:
        return state
    state = replace(state, reviewed_ns=facts.now_ns, shortfall=None)
    if outlook is None or _is_blind(facts):
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
    if _is_blind(facts):
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


# --- in words ---------------------------------------------------------------------------------------


def _reason(decision: Decision, facts: ScalerFacts, policy: Policy, before: int) -> str:
    words = [_head(decision, facts, policy, before), _queue_words(decision, facts)]
    words += [_forecast_words(decision, facts, policy), f"{facts.season}, floor {policy.least(facts.season)}"]
    if decision.emergency:
        words.append(f"emergency: {format_count(facts.queued_jobs)} jobs wait, so workers are doubled")
    if decision.budget_reached:
        words.append(f"the month's {policy.budget_month:g} are spent ({facts.spent_month:.2f}): urgent work only")
    if decision.ceiling_reached:
        words.append(f"more would be needed than the {policy.most} there may be")
    if facts.tolerant.bytes and not decision.tolerant_workers:
        words.append(f"{format_bytes(facts.tolerant.bytes)} of upkeep put off")
    return "; ".join(each for each in words if each)


def _head(decision: Decision, facts: ScalerFacts, policy: Policy, before: int) -> str:
    total = decision.total
    if facts.manual is not None:
        until = f" until {format_time(facts.manual.until_ns)[:16]}Z" if facts.manual.until_ns is not None else ""
        return f"{format_count(total, 'worker')} set by hand{until}"
    if total > before:
        ready = f", ready in {format_span(facts.startup_p95_s)}" if facts.startup_p95_s >= 1 else ""
        return f"{before} → {total} workers{ready}"
    if total < before:
        return f"{before} → {total} workers: less was enough for {format_span(STABLE_S)}"
    return f"{format_count(total, 'worker')}, no change"


def _queue_words(decision: Decision, facts: ScalerFacts) -> str:
    size = sum(each.queued_bytes for each in facts.waiting.values())
    busy = f"{facts.busy} busy" if facts.busy else ""
    if not facts.queued_jobs and not size:
        return f"the queue is empty{', ' + busy if busy else ''}" + (f": needs {decision.need.queue}" if busy else "")
    rate = f" at {format_bytes(facts.bytes_per_s)}/s a worker" if facts.bytes_per_s else ", no rate measured yet"
    jobs = f"{format_count(facts.queued_jobs, 'job')} queued, {facts.running_jobs} running"
    return f"{jobs}, {format_bytes(size)} left{rate}: needs {decision.need.queue}"


def _forecast_words(decision: Decision, facts: ScalerFacts, policy: Policy) -> str:
    need, outlook = decision.need, facts.outlook
    if decision.budget_reached:
        return ""
    if outlook is None or _is_blind(facts):
        return f"no forecast: base {policy.base} × {facts.season.factor:g}"
    basis = "with the calendar" if outlook.basis == "calendar" else "without a calendar"
    words = f"forecast p{policy.quantile * 100:.0f} {basis} needs {need.forecast}"
    if need.launch is not None:
        at, asked = format_time(need.launch.ready_ns)[11:16], format_time(need.launch.launch_ns)[11:16]
        words += f", {need.launch.workers} from {at}Z on (launched at {asked}Z)"
    if decision.state.shortfall is not None:
        short = decision.state.shortfall
        words += f"; {short.workers} wanted on {format_time(short.when_ns)[:16]}Z, above the ceiling of {policy.most}"
    return words

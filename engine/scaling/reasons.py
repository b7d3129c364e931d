"""Why so many workers: a decision in words, with its numbers. Pure."""

from __future__ import annotations

from engine.base.units import format_bytes, format_count, format_span, format_time
from engine.scaling.facts import Decision, Policy, ScalerFacts


def reason_of(decision: Decision, facts: ScalerFacts, policy: Policy, before: int) -> str:
    """The sentence; `before` was the target until now."""
    words = [_head(decision, facts, policy, before) + _cost_words(decision, facts), _queue_words(decision, facts)]
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
        return f"{before} → {total} workers: less has been enough for a while"
    return f"{format_count(total, 'worker')}, no change"


def _cost_words(decision: Decision, facts: ScalerFacts) -> str:
    cost = sum(
        count * facts.workers[name].price_hour for name, count in decision.target.items() if name in facts.workers
    )
    return f" at {cost:,.2f} an hour" if cost else ""


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
    if outlook is None or facts.is_blind:
        return f"no forecast: base {policy.base} × {facts.season.factor:g}"
    basis = "with the calendar" if outlook.basis == "calendar" else "without a calendar"
    words = f"forecast p{policy.level(facts.startup_p95_s) * 100:.0f} {basis} needs {need.forecast}"
    if need.launch is not None:
        at, asked = format_time(need.launch.ready_ns)[11:16], format_time(need.launch.launch_ns)[11:16]
        words += f", {need.launch.workers} from {at}Z on (launched at {asked}Z)"
    if decision.state.shortfall is not None:
        short = decision.state.shortfall
        words += f"; {short.workers} wanted on {format_time(short.when_ns)[:16]}Z, above the ceiling of {policy.most}"
    return words

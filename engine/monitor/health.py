"""Health of five areas, each with its reason. Pure."""

from __future__ import annotations

from collections.abc import Sequence

import msgspec

from engine.base.units import format_bytes, format_span
from engine.contract.status import Health, HealthArea, Infrastructure, TierRow

CPU_WARNING = 0.95
MEMORY_WARNING, MEMORY_CRITICAL = 0.90, 0.97
ROOM_WARNING, ROOM_CRITICAL = 0.10, 0.03  # share of a tier's capacity that is left
LAG_WARNING_S, LAG_CRITICAL_S = 0.1, 1.0
QUEUE_WARNING = 0.9


class JobFacts(msgspec.Struct, frozen=True):
    """What health needs to know of the jobs."""

    running: int
    queued: int
    limit: int


def health_of(
    infrastructure: Infrastructure, tiers: Sequence[TierRow], jobs: JobFacts, *, repository_problem: str
) -> tuple[HealthArea, ...]:
    """The five areas."""
    return (
        _compute(infrastructure),
        _memory(infrastructure),
        _storage(tiers, repository_problem),
        _jobs(jobs),
        _engine(infrastructure.engine_lag_s),
    )


def _compute(seen: Infrastructure) -> HealthArea:
    health: Health = "warning" if seen.cpu_share >= CPU_WARNING else "ok"
    reason = f"CPU {seen.cpu_share:.0%} of {seen.cpu_cores} cores, load {seen.load_one_minute:.1f}"
    return HealthArea(area="compute", health=health, reason=reason)


def _memory(seen: Infrastructure) -> HealthArea:
    if not seen.memory_total_bytes:
        return HealthArea(area="memory", health="unknown", reason="not measured yet")
    share = seen.memory_used_bytes / seen.memory_total_bytes
    health: Health = "critical" if share >= MEMORY_CRITICAL else "warning" if share >= MEMORY_WARNING else "ok"
    whole, own = format_bytes(seen.memory_total_bytes), format_bytes(seen.engine_memory_bytes)
    reason = f"{share:.0%} of {whole} used, {own} of it by the engine"
    return HealthArea(area="memory", health=health, reason=reason)


def _storage(tiers: Sequence[TierRow], repository_problem: str) -> HealthArea:
    if repository_problem:
        return HealthArea(area="storage", health="critical", reason=repository_problem)
    for tier in tiers:
        if tier.free_bytes is None or not tier.capacity_bytes:
            continue
        share = tier.free_bytes / tier.capacity_bytes
        health: Health = "critical" if share < ROOM_CRITICAL else "warning" if share < ROOM_WARNING else "ok"
        reason = f"{tier.tier}: {format_bytes(tier.free_bytes)} of {format_bytes(tier.capacity_bytes)} free"
        return HealthArea(area="storage", health=health, reason=reason)
    return HealthArea(area="storage", health="unknown", reason="room was not measured yet")


def _jobs(jobs: JobFacts) -> HealthArea:
    full = (jobs.running + jobs.queued) / jobs.limit
    health: Health = "critical" if full >= 1 else "warning" if full >= QUEUE_WARNING else "ok"
    return HealthArea(area="jobs", health=health, reason=f"{jobs.running} running, {jobs.queued} queued")


def _engine(lag_s: float) -> HealthArea:
    health: Health = "critical" if lag_s >= LAG_CRITICAL_S else "warning" if lag_s >= LAG_WARNING_S else "ok"
    return HealthArea(area="engine", health=health, reason=f"its loop runs {format_span(lag_s)} late")

"""The status document, built a few times a second from what is in memory: nothing here reads a store or blocks.

The work grows with the jobs that run and the rows that are shown, not with the jobs that have ended.
"""

from __future__ import annotations

import itertools
from typing import Literal

import msgspec

from engine.base.units import format_time
from engine.contract.settings import STATUS_ROWS
from engine.contract.status import (
    STATUS_VERSION,
    Dashboard,
    Performance,
    RatePoint,
    Status,
    Storage,
)
from engine.jobs.totals import Totals
from engine.monitor.health import JobFacts, health_of
from engine.operations import recoverytimes, watching
from engine.operations.alerts import alerts_of
from engine.operations.context import Engine
from engine.operations.streams import percentiles_of
from engine.operations.transport import cache_of, endpoints_of


def build(engine: Engine) -> Status:
    """The document as of now."""
    engine.status_seq += 1
    now_ns = engine.clock.now_ns()
    dispatcher, facts = engine.dispatcher, engine.facts
    listing = facts.listing(now_ns)
    running = dispatcher.roster.running_by_wedding()
    alerts = alerts_of(engine)
    jobs = JobFacts(dispatcher.running_count, dispatcher.queued_count, engine.settings.engine.jobs_queued_max)
    failure = engine.opening.failure
    return Status(
        version=STATUS_VERSION,
        seq=engine.status_seq,
        timestamp=format_time(now_ns),
        status=_state(engine),
        infrastructure=msgspec.structs.replace(engine.measured.infrastructure, attached=engine.attached),
        performance=performance_of(engine),
        auto_scaling=engine.scaling.shown(engine.streams.shown()),
        storage=Storage(
            tiers=engine.rationing.shown(engine.measured.tiers),
            endpoints=endpoints_of(engine.opening.stack),
            cache=cache_of(engine.opening.stack),
            scrub=engine.regional.scrubbing.shown(engine.settings),
            replication=engine.regional.shown(engine.settings),
            recovery=recoverytimes.rows(engine),
            repository=engine.opening.repository.id if engine.opening.repository is not None else "",
            moving=engine.tiering.moving_rows(),
            recalls=engine.tiering.recalls.rows(),
        ),
        health=health_of(
            engine.measured.infrastructure,
            engine.measured.tiers,
            jobs,
            repository_problem=failure.line() if failure is not None else "",
        ),
        dashboard=Dashboard(
            weddings_total=len(listing.weddings),
            weddings_today=listing.today,
            weddings_today_protected=listing.today_protected,
            weddings_today_unknown=listing.today_unknown,
            weddings_unknown=listing.unknown,
            jobs_running=jobs.running,
            jobs_queued=jobs.queued,
            jobs_done=dispatcher.figures.done_total,
            jobs_failed=dispatcher.figures.failed_total,
            events_dropped=engine.events.dropped_total,
        ),
        jobs=tuple(dispatcher.row(job) for job in itertools.islice(dispatcher.jobs(), STATUS_ROWS)),
        jobs_total=dispatcher.total,
        weddings=tuple(
            engine.regional.with_copies(
                facts.row(wedding, priority, running.get(wedding.id, 0), watching.shown(engine, wedding.id)), wedding.id
            )
            for wedding, priority in listing.weddings[:STATUS_ROWS]
        ),
        weddings_total=len(listing.weddings),
        alerts=alerts[:STATUS_ROWS],
        alerts_total=len(alerts),
    )


def _state(engine: Engine) -> Literal["starting", "no-repository", "failed", "ready", "draining"]:
    if engine.stopping:
        return "draining"
    if engine.opening.repository is not None:
        return "ready"
    if engine.opening.opening:
        return "starting"
    return "no-repository" if engine.opening.failure is None else "failed"


def performance_of(engine: Engine) -> Performance:
    """Rates, totals, latencies and what the stages cost."""
    totals = engine.dispatcher.figures.totals()
    newest = engine.measured.history[-1] if engine.measured.history else None
    return Performance(
        read_bytes_per_s=newest.read_bytes_per_s if newest else 0.0,
        stored_bytes_per_s=newest.stored_bytes_per_s if newest else 0.0,
        restored_bytes_per_s=newest.restored_bytes_per_s if newest else 0.0,
        bytes_read_total=totals.bytes_read,
        bytes_stored_total=totals.bytes_stored,
        bytes_restored_total=totals.bytes_restored,
        dedup_ratio=dedup_ratio(totals),
        initiation=percentiles_of(engine.dispatcher.figures.initiation()),
        stages=engine.streams.stages(),
        bottleneck=engine.rationing.bottleneck(),
        classes=engine.rationing.classes(engine.clock.now_ns()),
        history=tuple(engine.measured.history),
    )


def dedup_ratio(totals: Totals) -> float:
    """Source bytes ÷ bytes that were not there before; 1 while nothing was read."""
    if not totals.bytes_read:
        return 1.0
    return totals.bytes_read / max(1, totals.bytes_read - totals.bytes_reused)


def rate_point(before: Totals, after: Totals, *, span_s: float, now_ns: int) -> RatePoint:
    """One point of the history: what grew in `span_s` seconds."""
    span_s = max(span_s, 1e-3)
    return RatePoint(
        time_ns=now_ns,
        read_bytes_per_s=max(0, after.bytes_read - before.bytes_read) / span_s,
        stored_bytes_per_s=max(0, after.bytes_stored - before.bytes_stored) / span_s,
        restored_bytes_per_s=max(0, after.bytes_restored - before.bytes_restored) / span_s,
    )

"""readiness: is everything ready for the next weddings? Engine loop only."""

from __future__ import annotations

import datetime as dt

from engine.base.errors import UsageError
from engine.base.units import parse_date, parse_span
from engine.contract import readying
from engine.jobs.priority import local_time
from engine.operations import alerts as alert_list
from engine.operations import coverage, forecasting, freeze
from engine.operations.context import Engine, Handler
from engine.scaling.autoscaler import forecast_at
from engine.scaling.readiness import Facts, readiness

_HOUR_NS = 3600 * 10**9
DAY_HOURS = 30  # a day of weddings ends at 06:00


async def check_readiness(engine: Engine, operation: readying.CheckReadiness) -> readying.ReadinessReport:
    """See `readying.CheckReadiness`. Raises UsageError for what is no day to come."""
    today = _local(engine).date()
    words = operation.day.strip()
    try:
        day = parse_date(words) if words else next_day(engine, today)
    except ValueError as error:
        raise UsageError(str(error)) from None
    if day < today:
        raise UsageError(f"{day} is over", "give a day to come, as 2026-06-20")
    await forecasting.make_first(engine)
    found = readiness(facts_of(engine, day))
    freeze.look(engine)
    frozen = engine.scaling.frozen_until
    return readying.ReadinessReport(
        day=day.isoformat(),
        go=found.go,
        line=found.line,
        frozen_until=frozen.isoformat(timespec="minutes") if frozen is not None else "",
        checks=tuple(
            readying.ReadinessRow(check=check.what, verdict=check.verdict, message=check.words)
            for check in found.checks
        ),
    )


def next_day(engine: Engine, today: dt.date) -> dt.date:
    """The next day that has weddings, today too; today where there is none."""
    coming = [wedding.date for wedding in engine.facts.weddings if wedding.date >= today and not wedding.archived]
    return min(coming, default=today)


def facts_of(engine: Engine, day: dt.date) -> Facts:
    """What is known of a day and of this engine."""
    now_ns = engine.clock.now_ns()
    weddings = [wedding.name for wedding in engine.facts.weddings if wedding.date == day and not wedding.archived]
    bare = {wedding.name for wedding in coverage.bare(engine, now_ns)}
    hot = next((row for row in engine.measured.tiers if row.tier == "hot"), None)
    replication = engine.regional.shown(engine.settings)
    regions = replication.regions if replication is not None else ()
    drilled_ns = max((document.measured_ns for _, document in engine.kept.drills.items()), default=None)
    expected_bytes, workers = _ahead(engine, day)
    return Facts(
        day=day,
        weddings=weddings,
        without_source=sorted(bare & set(weddings)),
        expected_bytes=expected_bytes,
        need_workers=workers,
        ceiling_workers=engine.scaling.policy.most,
        hot_free_bytes=hot.free_bytes if hot is not None else None,
        copies_owed=sum(row.owed for row in regions),
        copies_bad=sum(row.bad for row in regions),
        drill_age_s=None if drilled_ns is None else (now_ns - drilled_ns) / 1e9,
        drill_every_s=parse_span(engine.settings.drills.every),
        critical_alerts=[row.id for row in alert_list.alerts_of(engine) if row.level == "critical"],
        calendar_note=engine.forecasting.note or ("" if engine.forecasting.ahead else "nothing is forecast yet"),
    )


def _ahead(engine: Engine, day: dt.date) -> tuple[float | None, int | None]:
    """Bytes of a day and the night after, and workers at its worst hour, at the quantile that is scaled for."""
    outlook, facts, scaling = engine.scaling.outlook, engine.scaling.facts, engine.settings.scaling
    begin = dt.datetime.combine(day, dt.time(), tzinfo=_local(engine).tzinfo)
    begin_ns = round(begin.timestamp()) * 10**9
    hours = [begin_ns + hour * _HOUR_NS for hour in range(DAY_HOURS)]
    if outlook is None or not outlook.begin_ns <= hours[-1] < outlook.end_ns:
        return _bytes_of(engine, day), None
    size_bytes = sum(outlook.bytes_at(hour, scaling.quantile) for hour in hours)
    if facts is None or not facts.bytes_per_s:
        return size_bytes, None
    return size_bytes, max(forecast_at(facts, outlook, hour, scaling.quantile) for hour in hours)


def _bytes_of(engine: Engine, day: dt.date) -> float | None:
    """What is forecast for a whole day further on, as likely exceeded as not."""
    ahead = engine.forecasting.ahead
    rows = ahead.rows["day"] if ahead is not None else ()
    return next((float(row.bytes) for row in rows if row.begin[:10] == day.isoformat()), None)


def _local(engine: Engine) -> dt.datetime:
    return local_time(engine.settings.scaling.timezone, engine.clock.now_ns())


HANDLERS: dict[str, Handler] = {"readiness": check_readiness}

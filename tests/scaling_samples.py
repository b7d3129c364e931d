"""What the autoscaler tells, what it costs and whether all is ready, made up for tests of doors and screens."""

from __future__ import annotations

import msgspec

from engine.contract.costs import CostLine, CostReport, MonthCost
from engine.contract.decisions import ScalingReport, WorkerGroup
from engine.contract.readying import ReadinessReport, ReadinessRow
from engine.contract.scaling import DecisionRow, ForecastPoint, ScalingPoint
from tests.samples import NOW_NS, SECOND_NS

HOUR_NS = 3_600 * SECOND_NS


def scaling_report() -> ScalingReport:
    """Six workers that became nine for a queue."""
    decided = DecisionRow(
        time_ns=NOW_NS - 60 * SECOND_NS, workers=6, target=9, reserved=9, spot=0, effective_ns=NOW_NS - 60 * SECOND_NS,
        need_queue=9, need_forecast=6, reason="6 → 9 workers; 12 jobs queued, 6 running, 81.0 GB left: needs 9",
    )  # fmt: skip
    return ScalingReport(
        mode="auto", by="auto", workers=9, target=9, until="", reason=decided.reason,
        season="peak season, Saturday × 10",
        floor=1, ceiling=90, need_queue=9, need_forecast=6, rate_bytes_per_s=105e6, startup_p95_s=0.0,
        upkeep="held back: frozen today", decisions=(decided,),
    )  # fmt: skip


def cluster_report() -> ScalingReport:
    """Nodes of a cluster over a Friday night and a Saturday, and two days of forecast."""
    courses = ((20, 4, 4, 2), (14, 4, 12, 40), (13, 12, 12, 9), (6, 12, 6, 0), (5, 6, 6, 1), (1, 6, 9, 12))
    timeline = tuple(
        ScalingPoint(
            time_ns=NOW_NS - hours * HOUR_NS, workers=workers, target=target, need_queue=target, need_forecast=4,
            queued_jobs=queued, queued_bytes=queued * 10**9,
        )
        for hours, workers, target, queued in courses
    )  # fmt: skip
    decisions = tuple(
        DecisionRow(
            time_ns=NOW_NS - hours * HOUR_NS, workers=workers, target=target, reserved=4, spot=target - 4,
            effective_ns=NOW_NS - hours * HOUR_NS + 90 * SECOND_NS, need_queue=target, need_forecast=4,
            emergency=target == 12, reason=f"{workers} → {target} workers; {queued} jobs queued: needs {target}",
        )
        for hours, workers, target, queued in reversed(courses)
        if workers != target
    )  # fmt: skip
    forecast = tuple(
        ForecastPoint(time_ns=NOW_NS + hour * HOUR_NS, low=2 + swell // 2, middle=3 + swell, high=4 + swell * 2)
        for hour in range(48)
        for swell in (max(0, 8 - abs(hour - 9)),)
    )
    groups = (
        WorkerGroup(worker_class="stream", ready=9, running=6, slots=9, price_hour=0.0446),
        WorkerGroup(worker_class="reserved", ready=4, running=4, slots=4, price_hour=0.0285),
        WorkerGroup(worker_class="spot", ready=2, starting=3, draining=1, running=2, slots=3, price_hour=0.0187),
    )
    return msgspec.structs.replace(
        scaling_report(), of="nodes", workers=6, target=9, startup_p95_s=94.0, timeline=timeline, decisions=decisions,
        forecast_basis="with the calendar, which knows 60% of the expected weddings",
        forecast=forecast, groups=groups, worker_hour=0.0217, launch="19 from 2026-06-20T21:00Z on, launched at 20:53Z",
        shortfall="96 workers are forecast for 2026-06-21T22:00Z; there may be 90",
    )  # fmt: skip


def cost_report() -> CostReport:
    """Twenty days of June, and what June will come to."""
    return CostReport(
        month="2026-06",
        counted_hours=470.0,
        total=342.18,
        lines_of_bill=(
            CostLine(what="reserved workers", amount=53.58, arithmetic="1,880.0 h × 0.0285"),
            CostLine(what="storage in hot", amount=288.6, arithmetic="12,548 GB-months × 0.023"),
        ),
        saved=(CostLine(what="reserved workers", amount=30.27, arithmetic="1,880.0 h × (0.0446 − 0.0285)"),),
        ahead=(
            MonthCost(month="2026-06", amount=524.2, arithmetic="342.18 so far + 250.0 h left × 0.7280, as counted"),
        ),
        estimated_kwh=188.0,
        estimated_gco2e=52_640.0,
        notes=("requests_write is not set: 81,204 requests are not priced",),
    )


def readiness_report() -> ReadinessReport:
    """One wedding has no source yet."""
    return ReadinessReport(
        day="2026-06-20",
        go=False,
        line="NO-GO for 2026-06-20: lee-park has neither source, watch nor snapshot",
        frozen_until="2026-06-21T06:00",
        checks=(
            ReadinessRow(check="capacity", verdict="ok", message="19 workers at the worst hour, there may be 90"),
            ReadinessRow(check="drill", verdict="warning", message="the newest drill is 41 days old"),
            ReadinessRow(check="sources", verdict="stop", message="lee-park has neither source, watch nor snapshot"),
        ),
    )

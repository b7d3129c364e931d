"""What the autoscaler tells, made up for tests of doors and screens."""

from __future__ import annotations

from engine.contract.decisions import ScalingReport
from engine.contract.scaling import DecisionRow
from tests.samples import NOW_NS, SECOND_NS


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

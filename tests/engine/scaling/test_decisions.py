"""What the scaler remembers: over a restart, bounded, and no point where nothing has changed."""

from __future__ import annotations

from pathlib import Path

import msgspec

from engine.contract.scaling import DecisionRow, ScalingPoint
from engine.jobs.journal import Journal
from engine.scaling import decisions
from engine.scaling.decisions import Decisions

MINUTE_NS = 60 * 10**9
NOW_NS = 29_699_280 * MINUTE_NS


def row(at_ns: int) -> DecisionRow:
    return DecisionRow(
        time_ns=at_ns, workers=2, target=4, reserved=1, spot=3, effective_ns=at_ns, need_queue=4, need_forecast=2,
        reason="2 → 4 workers",
    )  # fmt: skip


def point(at_ns: int, *, workers: int = 2) -> ScalingPoint:
    return ScalingPoint(
        time_ns=at_ns, workers=workers, target=4, need_queue=4, need_forecast=2, queued_jobs=1, queued_bytes=10
    )


def test_decisions_come_back_after_a_restart_the_newest_first(tmp_path: Path) -> None:
    journal = Journal(tmp_path / "journal.db")
    memory = Decisions(journal)
    for minute in range(3):
        memory.keep(row(NOW_NS + minute * MINUTE_NS))
    journal.close()
    again = Journal(tmp_path / "journal.db")
    found = Decisions(again).decisions(NOW_NS + MINUTE_NS, 10)
    again.close()
    assert found == [row(NOW_NS + 2 * MINUTE_NS), row(NOW_NS + MINUTE_NS)]


def test_a_point_is_kept_once_a_minute_and_only_if_something_is_otherwise() -> None:
    journal = Journal(None)
    memory = Decisions(journal)
    for second in range(0, 180, 10):
        memory.keep_point(point(NOW_NS + second * 10**9, workers=2 if second < 130 else 3))
    times = [(each.time_ns - NOW_NS) // 10**9 for each in memory.points(0, 100)]
    journal.close()
    assert times == [130, 0]


def test_memory_is_bounded_by_age_and_number() -> None:
    journal = Journal(None)
    memory = Decisions(journal)
    memory.keep_point(point(NOW_NS - decisions.POINTS_KEPT_NS - MINUTE_NS))
    for number in range(decisions.DECISIONS_MAX + decisions.TRIMMED_EVERY):
        memory.keep(row(NOW_NS + number))
    kept = len(memory.decisions(0, 10**6)), len(memory.points(0, 100))
    journal.close()
    assert kept[0] <= decisions.DECISIONS_MAX + decisions.TRIMMED_EVERY
    assert kept[1] == 0
    assert msgspec.structs.asdict(row(1))["reason"] == "2 → 4 workers"

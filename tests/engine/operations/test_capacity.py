"""Streams until a moment: how the moment is written, and that the number goes back to what it was."""

from __future__ import annotations

import pytest

from engine.base.clock import FakeClock
from engine.base.errors import UsageError
from engine.contract import operations as ops
from engine.operations.capacity import moment_of
from engine.operations.streams import Streams
from engine.pipeline.pool import StreamPool
from tests.engine.operations.conftest import Asking

NOON_NS = 1_781_956_800 * 10**9  # 2026-06-20T12:00:00Z
HOUR_NS = 3_600 * 10**9


@pytest.mark.parametrize(
    ("text", "hours"),
    [("2h", 2.0), ("90m", 1.5), ("18:00", 6.0), ("06:00", 18.0), ("2026-06-20T14:00", 2.0),
     ("2026-06-20T16:00+02:00", 2.0), (" 2026-06-21T12:00Z ", 24.0), ("2026-06-21", 12.0)],
)  # fmt: skip
def test_a_moment_is_a_span_a_clock_or_a_date(text: str, hours: float) -> None:
    assert moment_of(text, now_ns=NOON_NS) == NOON_NS + round(hours * HOUR_NS)


@pytest.mark.parametrize("text", ["yesterday", "25:00", "2026-06-20T11:00", "400d", "0s", "1e9d"])
def test_what_is_no_moment_to_come_is_refused(text: str) -> None:
    with pytest.raises(UsageError):
        moment_of(text, now_ns=NOON_NS)


def test_the_number_goes_back_to_what_it_was_and_the_timeline_says_so() -> None:
    clock = FakeClock(NOON_NS)
    pool = StreamPool(2, clock=clock)
    streams = Streams(pool, mode="default", clock=clock)
    streams.resize(5, mode="manual", reason="scale 5", until_ns=NOON_NS + HOUR_NS)
    streams.resize(6, mode="manual", reason="scale 6", until_ns=NOON_NS + 2 * HOUR_NS)
    assert (streams.size, streams.shown().until_ns) == (6, NOON_NS + 2 * HOUR_NS)
    clock.advance(3_601.0)
    assert not streams.go_back_if_due()
    clock.advance(3_600.0)
    assert streams.go_back_if_due()
    assert (streams.size, streams.mode, streams.shown().until_ns) == (2, "default", None)
    assert [change.streams for change in streams.shown().timeline] == [2, 5, 6, 2]
    assert not streams.go_back_if_due()
    pool.close()


def test_a_later_choice_without_end_stays() -> None:
    clock = FakeClock(NOON_NS)
    pool = StreamPool(2, clock=clock)
    streams = Streams(pool, mode="default", clock=clock)
    streams.resize(5, mode="manual", reason="scale 5", until_ns=NOON_NS + HOUR_NS)
    streams.resize(4, mode="manual", reason="scale 4")
    clock.advance(7_200.0)
    assert not streams.go_back_if_due()
    assert streams.size == 4
    pool.close()


def test_scale_answers_with_its_end(asking: Asking) -> None:
    result = asking.ask(ops.ScaleInfrastructure(target="3", until="2h"), ops.ScaleResult)
    assert (result.streams, result.mode) == (3, "manual")
    assert result.until is not None
    document = asking.ask(ops.ReadStatus(), ops.StatusResult).document
    assert document.auto_scaling.until_ns is not None
    asking.ask(ops.ScaleInfrastructure(target="2"), ops.ScaleResult)
    with pytest.raises(UsageError, match="auto has no end"):
        asking.ask(ops.ScaleInfrastructure(target="auto", until="2h"), ops.ScaleResult)


def test_measured_stages_use_and_a_new_wedding_are_shown(asking: Asking) -> None:
    document = asking.ask(ops.ReadStatus(), ops.StatusResult).document
    (seal,) = (stage for stage in document.performance.stages if stage.stage == "seal")
    assert seal.thread_s > 0
    assert document.performance.initiation.count >= 1
    assert document.dashboard.weddings_unknown == 0

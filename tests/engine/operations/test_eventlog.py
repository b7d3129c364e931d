"""Events: numbered without a gap, bounded, and honest about what is no longer kept."""

from __future__ import annotations

from engine.base.clock import FakeClock
from engine.contract.settings import EVENTS_KEPT
from engine.jobs.job import Job
from engine.operations.eventlog import EventLog


def test_readers_get_what_came_after_what_they_saw() -> None:
    log = EventLog(FakeClock())
    log.announce("engine-started", "hello")
    log.announce("wedding-changed", "smith-jones was added", wedding="smith-jones")
    batch = log.after(0)
    assert [event.seq for event in batch.events] == [1, 2]
    assert batch.dropped == 0
    assert [event.message for event in log.after(1).events] == ["smith-jones was added"]
    assert log.after(2).events == ()


def test_what_is_no_longer_kept_is_counted() -> None:
    log = EventLog(FakeClock())
    for _ in range(EVENTS_KEPT + 5):
        log.announce("streams-changed")
    assert log.dropped_total == 5
    batch = log.after(0)
    assert (len(batch.events), batch.dropped, batch.events[0].seq) == (EVENTS_KEPT, 5, 6)
    assert log.after(3).dropped == 2
    assert log.after(5).dropped == 0


def test_a_failed_job_is_an_error_with_its_code() -> None:
    log = EventLog(FakeClock())
    job = Job(
        id="ab" * 16, kind="backup", wedding_id="0" * 32, wedding="smith-jones", priority="standard",
        priority_given=False, queued_ns=0, queued_monotonic_s=0.0, state="failed", message="full", code="limit-reached",
    )  # fmt: skip
    log.announce_job("job-ended", job)
    (event,) = log.after(0).events
    assert (event.level, event.code, event.job) == ("error", "limit-reached", "ab" * 16)
    assert event.message == "backup of smith-jones: failed: full"

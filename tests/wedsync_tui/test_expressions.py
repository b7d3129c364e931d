"""The language of `expect`: what it understands, what it says when it does not."""

from __future__ import annotations

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as some

from engine.base.errors import UsageError, WedSyncError
from tests import samples
from wedsync_tui.expressions import ROOTS, Facts, NotThere, Rows, parse_expectation, parse_operand

STATUS = msgspec.to_builtins(samples.status())
FACTS = Facts(
    {
        **STATUS,
        "jobs": Rows(STATUS["jobs"], running=1, failed=1),
        "weddings": Rows(STATUS["weddings"], today=2),
        "last": {"job": {"state": "done", "bytesStored": 67_108_864, "id": "0123", "eta": None}, "warnings": []},
    },
    {"JOB": "0123", "N": "2"},
)


@pytest.mark.parametrize(
    "text",
    [
        "last.job.state == done",
        'last.job.state == "done"',
        "last.job.bytes_stored == 64MiB",
        "last.job.bytesStored >= 67MB and last.job.bytesStored < 68MB",
        "last.job.id == 0123",
        "last.job.id == $JOB",
        "last.job.eta == none",
        "not last.warnings",
        "last.warnings.count == 0",
        "jobs.failed == 1",
        "jobs.count == 5",
        "jobs[0].state == running",
        "jobs[-1].state != failed",
        "weddings[smith-jones].protectedSinceNs > 0",
        "weddings[0].name == walker-hayes",
        "weddings[\"smith-jones\"].date == 2026-06-20",
        "weddings.today == $N",
        "status == ready",
        "simulated == false and not simulated",
        "infrastructure.cpuShare == 42%",
        "performance.initiation.p95S < 500ms",
        "jobs.failed == 0 or (status == ready and not jobs.running == 2)",
        "storage.tiers[0].url contains wedsync",
    ],
)  # fmt: skip
def test_expression_holds(text: str) -> None:
    assert parse_expectation(text).condition.holds(FACTS)


def test_things_without_an_order_are_not_compared() -> None:
    with pytest.raises(UsageError, match='"done" and 3 cannot be compared with <'):
        parse_expectation("last.job.state < $N").condition.holds(Facts(FACTS.roots, {"N": "3"}))


@pytest.mark.parametrize(
    "text",
    [
        "last.job.state == failed",
        "jobs.failed > 1",
        "status != ready",
        "simulated",
        "last.job.state == 1",
        "last.job.eta",
    ],
)
def test_expression_does_not_hold(text: str) -> None:
    assert not parse_expectation(text).condition.holds(FACTS)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("", 'a value is missing at the end; as in expect last.job.state == "done"'),
        ("jbos.failed == 0", 'unknown name "jbos"; did you mean jobs?'),
        ("last.job.state ==", 'a value is missing at the end; as in expect last.job.state == "done"'),
        ("last.job.state = done", 'this is not understood at "= done"; join comparisons with and, or, not'),
        ("(jobs.failed == 0", "a ) is missing at the end"),
        ("jobs[0.state == x", 'this is not understood at "[0.state == x"; join comparisons with and, or, not'),
        ("jobs..x", '"jobs..x" is not a path; write it like jobs[0].state or weddings[smith-jones].date'),
        ("jobs.failed == 0 within soon", "within: 'soon' is not a span of time; write it like 90s, 5m, 1h30m or 2d"),
        ("jobs.failed == 0 jobs", 'this is not understood at "jobs"; join comparisons with and, or, not'),
        ("(" * 60 + "1 == 1" + ")" * 60, "the expression is nested too deeply"),
    ],
)
def test_mistake_in_an_expression_is_one_line(text: str, message: str) -> None:
    with pytest.raises(UsageError) as caught:
        parse_expectation(text)
    assert caught.value.line() == message


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("last.job.sate == done", "last.job has no sate; did you mean state?"),
        ("last.job.state.x == 1", 'last.job.state is "done" and has no x'),
        ("jobs.state == done", "jobs has no state; write jobs[0].state, or one of count, running, failed"),
        ("jobs[7].state == done", "jobs has 5 rows, and so no [7]"),
        ("weddings[nobody].date == x", "weddings has no row named nobody"),
    ],
)
def test_path_that_leads_nowhere_says_where_it_ends(text: str, message: str) -> None:
    with pytest.raises(NotThere) as caught:
        parse_expectation(text).condition.holds(FACTS)
    assert caught.value.line() == message


def test_last_before_any_result_leads_nowhere() -> None:
    with pytest.raises(NotThere, match="no result yet"):
        parse_expectation("last.job.state == done").condition.holds(Facts(STATUS))


def test_within_is_a_span_at_the_end() -> None:
    parsed = parse_expectation("jobs.failed == 0 within 1m30s")
    assert parsed.within_s == 90.0
    assert parse_expectation("jobs.failed == 0").within_s == 0.0


def test_failure_tells_what_stands_there() -> None:
    assert parse_expectation("last.job.state == failed or jobs.failed > 3").condition.found(FACTS) == (
        'last.job.state is "done", jobs.failed is 1'
    )


def test_operand_alone_is_for_let() -> None:
    assert parse_operand("last.job.id").read(FACTS) == "0123"
    with pytest.raises(UsageError, match="not understood"):
        parse_operand("last.job.id == 3")


def test_roots_are_the_parts_of_the_status_document() -> None:
    assert set(ROOTS) == {"last", *STATUS}


@given(some.text(alphabet="lastjob.[]()=!<>\"'$ 0139andornt within5s", max_size=40))
def test_any_text_parses_or_is_a_usage_error(text: str) -> None:
    try:
        condition = parse_expectation(text).condition
        condition.holds(FACTS)
    except WedSyncError as error:
        line = error.line()
    else:
        line = "fine"
    assert line
    assert "\n" not in line

"""The words of the Scaling screen."""

from __future__ import annotations

import msgspec
import pytest

from screens import workers
from screens.text import Line, width_of
from screens.workers import Answers
from tests import samples, scaling_samples

PARTS = (
    workers.now_lines, workers.group_lines, workers.decision_lines, workers.readiness_lines, workers.cost_lines,
)  # fmt: skip
STATUS = samples.status()


def answers() -> Answers:
    return Answers(scaling_samples.cluster_report(), scaling_samples.cost_report(), scaling_samples.readiness_report())


def words(part: workers.Part, given: Answers, width: int = 118) -> str:
    return "\n".join("".join(span.text for span in line).rstrip() for line in part(STATUS, given, width))


def said(lines: tuple[Line, ...]) -> list[str]:
    return ["".join(span.text for span in line) for line in lines]


@pytest.mark.parametrize("width", [30, 48, 78, 118, 198])
@pytest.mark.parametrize("part", PARTS, ids=lambda part: part.__name__)
def test_every_line_takes_exactly_its_width(part: workers.Part, width: int) -> None:
    failed = Answers(problems=(("scaling", "the engine is gone"), ("cost", "you may not"), ("readiness", "x")))
    for given in (Answers(), failed, answers()):
        assert {width_of(line) for line in part(STATUS, given, width)} <= {width}


def test_now_tells_the_number_why_and_what_comes_next() -> None:
    told = words(workers.now_lines, answers())
    assert told.startswith("Now  6 nodes, going to 9, as the need is")
    assert "9 for the queue, 6 for what is forecast; never fewer than 1 or more than 90" in told
    assert "105 MB/s a node, ready 1m 34s after it is asked for (p95)" in told
    assert "▲ 96 workers are forecast" in told


@pytest.mark.parametrize(
    ("basis", "why"), [("", "from the demand that was seen here"), ("without a calendar", "once a rate was")]
)
def test_what_is_missing_for_a_forecast_is_said(basis: str, why: str) -> None:
    report = msgspec.structs.replace(scaling_samples.scaling_report(), forecast_basis=basis)
    assert why in words(workers.now_lines, Answers(report))


def test_workers_stand_by_class_and_state_with_the_price_of_an_hour() -> None:
    lines = words(workers.group_lines, answers()).splitlines()
    assert lines[0] == "Workers  0.628 an hour"
    assert lines[4].split()[:8] == ["spot", "nodes", "2", "3", "1", "2", "of", "3"]
    assert lines[4].endswith("0.112")
    bare = msgspec.structs.replace(scaling_samples.cluster_report(), worker_hour=None)
    assert "worker_hour has no price" in words(workers.group_lines, Answers(bare))


def test_decisions_tell_their_reason_and_when_they_are_in_force() -> None:
    lines = words(workers.decision_lines, answers()).splitlines()
    assert lines[2].split()[:7] == ["↑", "13:00:00", "6", "→", "9", "4", "5"]
    assert "in 1m 30s" in lines[2]
    assert lines[2].endswith("12 jobs queued: needs 9")


def test_ready_is_one_line_and_what_is_not_well() -> None:
    told = words(workers.readiness_lines, answers())
    assert "NO-GO for 2026-06-20" in told
    assert "▲  drill" in told
    assert "worst hour" not in told


def test_what_a_month_will_come_to_says_projected_and_energy_estimate() -> None:
    told = words(workers.cost_lines, answers())
    assert "2026-06: 342.18 so far" in told
    assert "PROJECTED 524.20 for all of 2026-06" in told
    assert "saved 30.27" in told
    assert "ESTIMATE 188.0 kWh, 52.6 kg CO2e" in told
    assert "requests_write is not set" in told


def test_an_answer_that_failed_says_why() -> None:
    given = Answers(problems=(("cost", "you may not see this"),))
    assert words(workers.cost_lines, given) == "Cost  ✗ you may not see this"
    assert words(workers.readiness_lines, given) == "Ready  asking …"


@pytest.mark.parametrize(
    ("target", "cost", "effect"),
    [
        ("12", "0.130 more an hour: 0.260 for all", "6 nodes more than now, ready in about 1m 34s"),
        ("2", "0.087 less an hour", "4 nodes fewer than now: each ends what it has begun"),
        ("6", "0 more an hour", "it stays so"),
        ("auto", "as the need is", "at once"),
        ("x", "6 nodes now", ""),
    ],
)
def test_a_change_tells_what_it_costs_an_hour_and_when_it_is_in_force(target: str, cost: str, effect: str) -> None:
    first, second = said(workers.change_lines(scaling_samples.cluster_report(), target, ""))
    assert cost in first
    assert effect in second


def test_a_change_without_a_price_or_a_measured_start_says_so() -> None:
    report = msgspec.structs.replace(scaling_samples.cluster_report(), worker_hour=None, startup_p95_s=0.0)
    first, second = said(workers.change_lines(report, "12", "2h"))
    assert "worker_hour has no price" in first
    assert "not measured yet" in second
    streams = msgspec.structs.replace(report, of="streams")
    assert "at work within a second" in said(workers.change_lines(streams, "12", ""))[1]

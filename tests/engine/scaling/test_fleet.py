"""The simulated fleet keeps its promises: no job is lost, whatever becomes of the nodes, and one seed is one trace."""

from __future__ import annotations

from collections import deque
from collections.abc import Mapping

import pytest

from engine.contract.cluster import NodeClass
from engine.contract.weddings import JobClass
from engine.scaling.facts import ScalerFacts
from engine.scaling.fleet import Chooser, Control, Fleet, placed_jobs
from engine.scaling.world import FleetJob, FleetRecord, World

MB = 1e6


class FirstCome:
    """A line without turns."""

    def __init__(self) -> None:
        self._ids: deque[str] = deque()

    def line_up(self, job: FleetJob) -> None:
        self._ids.append(job.id)

    def next(self) -> str | None:
        return self._ids.popleft() if self._ids else None


def stairs(facts: ScalerFacts) -> Mapping[NodeClass, int]:
    """Two nodes; twenty in the second hour; two again."""
    hour = facts.now_ns // (3_600 * 10**9)
    return {"reserved": 2, "spot": 18 if hour == 1 else 0}


def jobs(world: World, count: int = 400) -> list[FleetJob]:
    classes: tuple[JobClass, ...] = ("same-day", "next-day", "standard")
    moments = [(25.0 * at, f"w{at % 7}", classes[at % 3], 200 * MB * (1 + at % 5)) for at in range(count)]
    return list(placed_jobs(moments, world))


def world(**changes: object) -> World:
    settings: dict[str, object] = {"hours": 4, "nodes_begin": 2, "losses_hour": 0.0, "node_bytes_per_s": 10 * MB}
    return World(**(settings | changes))  # type: ignore[arg-type]


def carried_out(
    machines: World, sink: list[str] | None = None, *, choose: Chooser = stairs, count: int = 400
) -> FleetRecord:
    fleet = Fleet(
        machines, jobs(machines, count), Control(choose, FirstCome()), sink=None if sink is None else sink.append
    )
    record = fleet.run()
    fleet.validate()
    return record


def test_one_seed_gives_one_trace_byte_for_byte() -> None:
    first: list[str] = []
    second: list[str] = []
    one, other = carried_out(world(losses_hour=2.0), first), carried_out(world(losses_hour=2.0), second)
    assert "".join(first) == "".join(second)
    assert one.digest == other.digest
    assert carried_out(world(losses_hour=2.0, seed=2)).digest != one.digest


def test_no_job_is_lost_on_the_way_up_or_down() -> None:
    record = carried_out(world())
    assert record.failed == 0
    assert all(job.attempts == 1 for job in record.jobs)
    assert max(sample.ready for sample in record.samples) == 20
    assert record.samples[-1].ready == 2


def test_jobs_of_nodes_that_are_taken_go_on_where_they_were() -> None:
    """No byte is read twice: the time at work, at the rate of the place, is the size of all jobs."""
    slow = world(wave=(4_500.0, 1.0), node_bytes_per_s=1 * MB, nodes_begin=18)
    trace: list[str] = []
    record = carried_out(slow, trace, count=200)
    assert record.lost_nodes == 18
    assert record.put_back == sum(job.attempts - 1 for job in record.jobs) > 0
    assert record.failed == 0
    regions, begun, worked = _nodes(trace), {}, 0.0
    for moment, what, number, *rest in (line.split() for line in trace):
        if what == "begin":
            begun[number] = float(moment), 1.0 if regions[rest[1]] == record.jobs[int(number)].region else 0.7
        elif what in ("done", "back"):
            since, share = begun.pop(number)
            worked += (float(moment) - since) * share * MB
    assert worked == pytest.approx(sum(job.left_bytes for job in jobs(slow, 200)), rel=1e-4)


def _nodes(trace: list[str]) -> dict[str, str]:
    """The region of each node."""
    return {words[2]: words[4] for words in (line.split() for line in trace) if words[1] == "ready"}


def test_a_node_is_paid_from_its_decision_until_it_is_gone() -> None:
    record = carried_out(world(boot_median_s=60.0, boot_spread=0.0, starts_per_s=1e9))
    assert {round(span, 3) for span in record.ready_after_s} == {60.0}
    assert 18 * 1.0 <= record.node_hours["spot"] <= 18 * 1.2
    assert record.cost(world()) == sum(
        hours * {"reserved": 0.256, "spot": 0.16}[name] for name, hours in record.node_hours.items()
    )


def test_jobs_begin_near_their_source_where_a_node_is_free() -> None:
    trace: list[str] = []
    machines = world(nodes_begin=20, node_bytes_per_s=20 * MB)
    carried_out(machines, trace, choose=lambda _: {"reserved": 6, "spot": 14})
    regions = {job.number: job.region for job in jobs(machines)}
    nodes = _nodes(trace)
    begun = [line.split() for line in trace if line.split()[1] == "begin"]
    near = sum(nodes[words[4]] == regions[int(words[2])] for words in begun)
    assert near / len(begun) > 0.7

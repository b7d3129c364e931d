"""simulate: a weekend of weddings on SIMULATED nodes, under the engine's own autoscaler, forecaster and queue.

numpy and what stands on it are loaded when the first simulation is asked for.
"""

from __future__ import annotations

import datetime as dt
import functools
from collections.abc import Mapping
from dataclasses import replace
from typing import TYPE_CHECKING

from engine.base.errors import UsageError
from engine.base.units import format_span, parse_span
from engine.contract import operations as ops
from engine.contract.cluster import NodeClass
from engine.contract.scaling import ScalingSettings
from engine.contract.simulations import FleetHour, Simulate, SimulationReport
from engine.jobs.queue import FairQueue, Waiting
from engine.operations.autoscaling import policy_of
from engine.operations.context import Engine, Handler
from engine.scaling.autoscaler import decide
from engine.scaling.facts import Policy, ScalerFacts, ScalerState
from engine.scaling.seasons import Season, season_at

if TYPE_CHECKING:
    from engine.scaling.fleet import Chooser
    from engine.scaling.world import FleetJob, FleetRecord, World

HISTORY_DAYS = 731
DAYS = 3  # the day before, the day, the day after
FIRST_YEAR, LAST_YEAR = 1975, 2200
JOB_BYTES = 24e9  # in the mean
EVENING_S = 86_400.0 + 21 * 3_600.0  # when losses strike


async def simulate(engine: Engine, operation: Simulate) -> ops.Result:
    """See `Simulate`."""
    if operation.floor > operation.ceiling:
        raise UsageError(f"the floor of {operation.floor} is above the ceiling of {operation.ceiling}")
    if not FIRST_YEAR <= operation.date.year <= LAST_YEAR:
        raise UsageError(f"--date: years {FIRST_YEAR} to {LAST_YEAR} can be simulated")
    try:
        parse_span(operation.boot)
    except ValueError as error:
        raise UsageError(f"--boot: {error}") from None
    return await engine.offload.run("simulate", lambda: simulated(operation, engine.settings.scaling))


def simulated(operation: Simulate, settings: ScalingSettings) -> SimulationReport:
    """Carry a simulation out, under the settings but for floor and ceiling. On the executor: seconds of work."""
    from engine.scaling import fleet, rehearsal, world

    demand = rehearsal.weekend(
        operation.date, HISTORY_DAYS, weddings_a_day=operation.weddings, times=operation.times, seed=operation.seed
    )
    machines = world.World(
        begin_ns=rehearsal.begin_ns(operation.date - dt.timedelta(days=1)),
        hours=24 * DAYS,
        nodes_begin=operation.ceiling if operation.rule == "fixed" else operation.floor,
        boot_median_s=parse_span(operation.boot),
        wave=(EVENING_S, operation.losses / 100),
        seed=operation.seed,
    )
    days = range(HISTORY_DAYS - 1, HISTORY_DAYS - 1 + DAYS)
    jobs = list(fleet.placed_jobs(rehearsal.jobs_of(demand, days, job_bytes=JOB_BYTES, seed=operation.seed), machines))
    policy = replace(
        policy_of(settings, operation.floor),
        base=max(operation.floor, operation.ceiling // 10),
        floor=operation.floor,
        off_season_floor=operation.floor,
        ceiling=operation.ceiling,
    )
    control = fleet.Control(
        choose=_chooser(operation, policy),
        line=Line(),
        outlooks=rehearsal.outlooks_of(demand, days, job_bytes=JOB_BYTES, calendar=operation.calendar),
        season_at=functools.partial(_season_at, settings=settings),
    )
    return _report(operation, machines, fleet.Fleet(machines, jobs, control).run())


class Line:
    """The engine's queue, as the fleet asks it."""

    def __init__(self) -> None:
        self._queue = FairQueue()

    def line_up(self, job: FleetJob) -> None:
        """See `fleet.Line.line_up`."""
        self._queue.push(Waiting(job.id, job.wedding, job.priority))

    def next(self) -> str | None:
        """See `fleet.Line.next`."""
        return self._queue.pop()


def _season_at(now_ns: int, settings: ScalingSettings) -> Season:
    return season_at(dt.datetime.fromtimestamp(now_ns // 10**9, tz=dt.UTC), settings)


def _chooser(operation: Simulate, policy: Policy) -> Chooser:
    """Who says how many nodes there are to be."""
    from engine.scaling.baselines import reactive_nodes

    if operation.rule == "autoscaler":
        return Autoscaler(policy).choose
    if operation.rule == "reactive":
        return reactive_nodes(operation.floor, operation.ceiling)
    return lambda _: {"reserved": operation.ceiling, "spot": 0}


class Autoscaler:
    """`decide` with the state it hands on."""

    def __init__(self, policy: Policy) -> None:
        self._policy, self._state = policy, ScalerState()

    def choose(self, facts: ScalerFacts) -> Mapping[NodeClass, int]:
        """Nodes of each class."""
        decision = decide(self._state, facts, self._policy)
        self._state = decision.state
        return decision.target


def _report(operation: Simulate, machines: World, record: FleetRecord) -> SimulationReport:
    from engine.scaling.elasticity import elasticity, waited
    from engine.scaling.rehearsal import at_percentile, minutely

    felt = waited(record.waits_s(), 0.0)
    hours = sum(record.node_hours.values())
    found = elasticity(*minutely(record, machines))
    return SimulationReport(
        rule=operation.rule,
        jobs=len(record.jobs),
        failed=record.failed,
        late=record.late,
        wait_p50_s=round(felt.p50, 3),
        wait_p99_s=round(felt.p99, 3),
        nodes_most=max(sample.ready for sample in record.samples),
        node_hours=round(hours, 3),
        spot_share=round(record.node_hours["spot"] / max(hours, 1e-9), 3),
        cost=round(record.cost(machines), 2),
        ready_p95_s=round(at_percentile(record.ready_after_s, 95), 3),
        changes=record.changes,
        nodes_lost=record.lost_nodes,
        put_back=record.put_back,
        under=round(found.under, 2),
        over=round(found.over, 2),
        under_time=round(found.under_time, 2),
        over_time=round(found.over_time, 2),
        instability=round(found.instability, 2),
        assumed=_assumed(machines),
        trace=record.digest,
        hours=tuple(_hours(machines, record)),
    )


def _assumed(machines: World) -> str:
    prices = ", ".join(f"{name} {price:g}" for name, price in machines.prices.items())
    return (
        f"nodes start in {format_span(machines.boot_median_s)} (lognormal, spread {machines.boot_spread:g}), "
        f"{machines.starts_per_s:g} a second and region; work at {machines.node_bytes_per_s / 1e6:g} MB/s; "
        f"spot nodes are lost at {machines.losses_hour:g} an hour; USD a node-hour: {prices}"
    )


def _hours(machines: World, record: FleetRecord) -> list[FleetHour]:
    per_hour = round(3_600.0 / machines.tick_s)
    came = [0] * machines.hours
    for job in record.jobs:
        came[min(int(job.at_s // 3_600), machines.hours - 1)] += 1
    begin = dt.datetime.fromtimestamp(machines.begin_ns // 10**9, tz=dt.UTC)
    return [
        FleetHour(
            time=f"{begin + dt.timedelta(hours=hour):%Y-%m-%dT%H:%MZ}",
            jobs=came[hour],
            target=sample.target,
            ready=sample.ready,
            starting=sample.starting,
            queued=sample.queued,
        )
        for hour, sample in enumerate(record.samples[per_hour - 1 :: per_hour][: machines.hours])
    ]


HANDLERS: dict[str, Handler] = {"simulate": simulate}

"""capacity: how many nodes a rate takes, by what this engine has measured since it started. Engine loop only."""

from __future__ import annotations

import os

from engine.base.errors import Conflict, UsageError
from engine.base.units import parse_bytes, parse_rate, parse_span
from engine.contract import costs
from engine.contract.prices import InstanceType
from engine.operations.context import Engine, Handler
from engine.scaling.capacity import Machine, Measured, Plan, measured_of, ranked


async def plan_capacity(engine: Engine, operation: costs.PlanCapacity) -> costs.CapacityPlan:
    """See `costs.PlanCapacity`. Raises UsageError; Conflict while too little was measured."""
    size_bytes, within_s = _wanted(operation)
    measured = _measured(engine)
    listed = {each.name: each for each in engine.settings.instances}
    machines = [_machine(each) for each in listed.values()]
    machines.append(Machine(engine.measured.infrastructure.host or "this machine", len(os.sched_getaffinity(0))))
    plans = ranked(machines, measured, size_bytes, within_s)
    return costs.CapacityPlan(
        bytes_per_s=size_bytes / within_s,
        measured_bytes=engine.dispatcher.figures.totals().bytes_read,
        core_bytes_per_s=measured.core_bytes_per_s,
        slowest_stage=measured.slowest_stage,
        stored_share=measured.stored_share,
        nodes=tuple(_row(plan, listed.get(plan.machine.name)) for plan in plans),
    )


def _measured(engine: Engine) -> Measured:
    totals = engine.dispatcher.figures.totals()
    stages = {row.stage: (row.thread_s, row.bytes) for row in engine.streams.stages() if row.stage not in _OF_RESTORES}
    limit = engine.opening.meters["hot"].limit_bytes_per_s  # what was set for the store, of all nodes together
    try:
        return measured_of(stages, read=totals.bytes_read, stored=totals.bytes_stored, store=limit)
    except ValueError as error:
        raise Conflict(str(error), "back something up with this engine, then ask again") from None


_OF_RESTORES = frozenset({"fetch", "open", "place"})


# --- pure ---------------------------------------------------------------------------------------------


def _wanted(operation: costs.PlanCapacity) -> tuple[int, float]:
    """Bytes, and the seconds there are for them."""
    if bool(operation.size) != bool(operation.within):
        raise UsageError("a size and the time there is for it go together", "give --size 40TB --within 8h")
    try:
        if not operation.size:
            size_bytes, within_s = round(parse_rate(operation.rate) * 3600), 3600.0
        else:
            size_bytes, within_s = parse_bytes(operation.size), parse_span(operation.within)
    except (ValueError, OverflowError) as error:
        raise UsageError(str(error)) from None
    if size_bytes < 1 or within_s <= 0:
        raise UsageError("there is nothing to plan for", "give --size 40TB --within 8h")
    return size_bytes, within_s


def _machine(each: InstanceType) -> Machine:
    return Machine(
        each.name,
        each.cores,
        network_bytes_per_s=parse_rate(each.network) if each.network else None,
        disk_bytes_per_s=parse_rate(each.disk) if each.disk else None,
        price_hour=each.price_hour,
    )


def _row(found: Plan, listed: InstanceType | None) -> costs.NodePlan:
    return costs.NodePlan(
        machine=found.machine.name,
        nodes=found.nodes,
        limited_by=found.limit.resource,
        node_bytes_per_s=found.node_bytes_per_s,
        price_hour=found.price_hour,
        arithmetic=found.limit.arithmetic,
        price_from=f"{listed.source}, {listed.as_of}" if listed is not None else "",
    )


HANDLERS: dict[str, Handler] = {"capacity": plan_capacity}

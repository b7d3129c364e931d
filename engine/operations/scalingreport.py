"""scaling: what was decided about the number of workers, and what is to come. Engine loop; reading on the executor."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence

from engine.base.errors import Unavailable, UsageError
from engine.base.units import format_bytes, format_count, format_time
from engine.contract import decisions as asked
from engine.contract.cluster import NODE_CLASSES, NodeRow
from engine.contract.prices import prices_in_force
from engine.contract.scaling import ForecastPoint
from engine.operations.board import Board
from engine.operations.context import Engine, Handler
from engine.scaling.autoscaler import LOW_QUANTILE, forecast_at
from engine.scaling.cost import Prices, worker_hour
from engine.scaling.decisions import DECISIONS_MAX
from engine.scaling.facts import Decision, Policy, ScalerFacts
from engine.scaling.outlook import Outlook

HOURS_MAX = 90 * 24
POINTS_MAX = 8 * 24 * 60


async def read_scaling(engine: Engine, operation: asked.ReadScaling) -> asked.ScalingReport:
    """See `asked.ReadScaling`. Raises UsageError, Unavailable."""
    if not 1 <= operation.hours <= HOURS_MAX:
        raise UsageError(f"{operation.hours} hours back is not possible", f"give 1 to {HOURS_MAX:,}")
    if not 1 <= operation.limit <= DECISIONS_MAX:
        raise UsageError(f"{operation.limit} decisions are not possible", f"give 1 to {DECISIONS_MAX:,}")
    board, since_ns = engine.scaling, engine.clock.now_ns() - operation.hours * 3600 * 10**9
    kept, decision, facts, policy = board.kept, board.newest, board.facts, board.policy
    if kept is None or decision is None or facts is None:
        raise Unavailable("nothing was decided yet", "ask again in a moment")
    decisions = await engine.offload.run("scaling", lambda: kept.decisions(since_ns, operation.limit))
    points = await engine.offload.run("scaling", lambda: kept.points(since_ns, POINTS_MAX))
    prices = prices_in_force(engine.settings.prices)
    streams = stream_group(engine.streams.nodes.nodes(), prices)
    nodes = node_groups(board.nodes.nodes(), prices) if board.nodes is not None else ()
    in_force = board.is_auto or facts.manual is not None
    until_ns = facts.manual.until_ns if facts.manual is not None else None
    return asked.ScalingReport(
        mode=engine.settings.scaling.mode,
        by="manual" if facts.manual is not None else "auto" if board.is_auto else "default",
        workers=facts.current,
        target=decision.total if in_force else facts.current,
        until=format_time(until_ns) if until_ns is not None else "",
        reason=decision.reason,
        season=str(facts.season),
        floor=policy.least(facts.season),
        ceiling=policy.most,
        need_queue=decision.need.queue,
        need_forecast=decision.need.forecast,
        rate_bytes_per_s=facts.bytes_per_s,
        startup_p95_s=facts.startup_p95_s,
        upkeep=upkeep_words(board, decision, facts),
        shortfall=shortfall_words(decision, policy),
        launch=launch_words(decision),
        of="streams" if board.nodes is None else "nodes",
        worker_hour=streams.price_hour if board.nodes is None else mixed_hour(policy.spot_share, prices),
        forecast_basis=basis_words(facts.outlook) if facts.outlook is not None else "",
        groups=(streams, *nodes),
        decisions=tuple(decisions),
        timeline=tuple(reversed(points)),
        forecast=forecast_points(facts, policy),
    )


HANDLERS: dict[str, Handler] = {"scaling": read_scaling}


# --- in words and rows (pure) ---------------------------------------------------------------------------


def stream_group(rows: Sequence[NodeRow], prices: Prices) -> asked.WorkerGroup:
    """The streams of this machine, which the bill counts as on demand."""
    price = worker_hour("on-demand", prices)
    return asked.WorkerGroup(
        worker_class="stream",
        ready=len(rows),
        running=sum(row.running for row in rows),
        slots=len(rows),
        price_hour=price[0] if price is not None else None,
    )


def node_groups(rows: Sequence[NodeRow], prices: Prices) -> tuple[asked.WorkerGroup, ...]:
    """Nodes by class, also of a class that has none."""
    states = Counter((row.node_class, row.state) for row in rows)
    groups = []
    for name in NODE_CLASSES:
        ours, price = [row for row in rows if row.node_class == name], worker_hour(name, prices)
        groups.append(
            asked.WorkerGroup(
                worker_class=name,
                ready=states[name, "ready"],
                starting=states[name, "starting"],
                draining=states[name, "draining"],
                running=sum(row.running for row in ours),
                slots=sum(row.slots for row in ours),
                price_hour=price[0] if price is not None else None,
            )
        )
    return tuple(groups)


def mixed_hour(spot_share: float, prices: Prices) -> float | None:
    """The price of an hour of one node, where `spot_share` of the hours are spot's. None where no price is set."""
    spot, reserved = worker_hour("spot", prices), worker_hour("reserved", prices)
    if spot is None or reserved is None:
        return None
    return spot_share * spot[0] + (1 - spot_share) * reserved[0]


def basis_words(outlook: Outlook) -> str:
    """What a forecast stands on, and why not on more."""
    if outlook.basis == "calendar":
        words = f"with the calendar, which knows {outlook.booked_share:.0%} of the expected weddings"
    else:
        words = "without a calendar" if outlook.basis == "no-calendar" else outlook.basis
    return f"{words}; {outlook.note}" if outlook.note else words


def upkeep_words(board: Board, decision: Decision, facts: ScalerFacts) -> str:
    """What migration, scrub and prune by themselves may do."""
    waiting = f", {format_bytes(facts.tolerant.bytes)} at work or in the queue" if facts.tolerant.bytes else ""
    if not board.is_auto:
        return "as it is due" + waiting
    if not board.holds_upkeep:
        return f"on {format_count(decision.tolerant_workers, 'worker')}{waiting}"
    why = "frozen today" if facts.season.is_frozen else "no worker is to spare"
    return f"held back: {why}{waiting}"


def shortfall_words(decision: Decision, policy: Policy) -> str:
    """The first hour for which more workers are forecast than there may be; empty while there is none."""
    short = decision.state.shortfall
    if short is None:
        return ""
    return f"{short.workers} workers are forecast for {format_time(short.when_ns)[:16]}Z; there may be {policy.most}"


def launch_words(decision: Decision) -> str:
    """What the forecast wants next."""
    launch = decision.need.launch
    if launch is None:
        return ""
    ready, asked_for = format_time(launch.ready_ns)[:16], format_time(launch.launch_ns)[11:16]
    return f"{launch.workers} from {ready}Z on, launched at {asked_for}Z"


def forecast_points(facts: ScalerFacts, policy: Policy) -> tuple[ForecastPoint, ...]:
    """What is to come, in workers of the rate that was measured; nothing without a forecast or a rate."""
    outlook = facts.outlook
    if outlook is None or not (facts.bytes_per_s or facts.jobs_per_s):
        return ()
    moments = range(outlook.begin_ns, outlook.end_ns, outlook.step_ns)
    return tuple(
        ForecastPoint(
            time_ns=when_ns,
            low=forecast_at(facts, outlook, when_ns, LOW_QUANTILE),
            middle=forecast_at(facts, outlook, when_ns, 0.5),
            high=forecast_at(facts, outlook, when_ns, policy.quantile),
        )
        for when_ns in moments
        if when_ns + outlook.step_ns > facts.now_ns
    )

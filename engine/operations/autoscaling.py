"""The autoscaler at work: what is so now, the decision, and the pool that carries it out. Engine loop only.

With `scaling.mode = "auto"` four times a second. Else once a second, and nothing is carried out, but the timeline goes
on, and the needs are shown.
"""

from __future__ import annotations

import functools
import math
from collections import Counter
from collections.abc import Iterable, Mapping
from itertools import islice

from engine.base.units import format_count, parse_span
from engine.contract.cluster import NODE_CLASSES, NodeClass, NodeRow
from engine.contract.prices import prices_in_force
from engine.contract.scaling import ScalingPoint, ScalingSettings
from engine.contract.settings import UNIT_BYTES
from engine.contract.status import JobKind
from engine.contract.weddings import JOB_CLASSES, JobClass
from engine.jobs.job import Counts, Job
from engine.jobs.priority import local_time
from engine.operations.board import decision_row, troubles_of
from engine.operations.capacity import resize
from engine.operations.context import Engine
from engine.operations.keeping import WorkerDocument
from engine.operations.streams import default_streams
from engine.operations.usage import month_of
from engine.scaling.autoscaler import decide
from engine.scaling.cost import Prices, worker_hour
from engine.scaling.decisions import Decisions
from engine.scaling.facts import Decision, Manual, Policy, ScalerFacts, Tolerant, Waiting, Workers
from engine.scaling.pool import NodePool
from engine.scaling.rates import RateMeter, StartupMeter
from engine.scaling.seasons import season_at

TICK_S = 0.25
IDLE_TICK_S = 1.0
SIZED_AGAIN_S = 15.0
ENDED_LOOKED_AT = 50
TOLERANT_KINDS: frozenset[JobKind] = frozenset({"verify", "migrate", "prune", "analyze"})


class Autoscaling:
    """The autoscaler of one engine."""

    def __init__(self, engine: Engine) -> None:
        """Decides once, so that there is always something to show."""
        self._engine = engine
        self._kind = "stream" if engine.scaling.nodes is None else "node"
        self._known = engine.kept.workers.get(self._kind) or WorkerDocument(0.0)
        self._rates = RateMeter(self._known.bytes_per_s)
        self._startups = StartupMeter(self._known.startups_s)
        self._mean_bytes = 0.0  # of a job, as the last ones were
        self._next_sizing_s = 0.0
        self._flags = (False, False, False)
        self._asked: dict[NodeClass, int] = {}  # of the nodes
        self._seen_s = engine.clock.monotonic_s()
        self._worked_s = 0.0  # by nodes
        engine.scaling.kept = Decisions(engine.kept.journal)
        self._decide()

    async def run(self) -> None:
        """Decide again and again, for ever."""
        engine = self._engine
        while True:
            if not engine.stopping:
                self.tick()
            await engine.clock.sleep(TICK_S if engine.settings.scaling.mode == "auto" else IDLE_TICK_S)

    def tick(self) -> Decision:
        """Decide once; with `auto`, carry it out."""
        engine = self._engine
        decision = self._decide()
        self._keep(decision)
        if engine.scaling.nodes is not None:
            self._carry_out_on(engine.scaling.nodes, decision)
        elif engine.scaling.is_auto:
            self._carry_out(decision)
        elif engine.streams.mode == "auto":
            resize(engine, default_streams(), mode="default", reason="scaling.mode is manual")
        return decision

    def _decide(self) -> Decision:
        engine, board = self._engine, self._engine.scaling
        self._measure()
        board.is_auto = engine.settings.scaling.mode == "auto"
        board.policy = policy_of(engine.settings.scaling, 1 if self._is_cluster else default_streams())
        board.facts = self.facts()
        board.newest = decide(board.state, board.facts, board.policy)
        board.state = board.newest.state
        is_priced = worker_hour("reserved", prices_in_force(engine.settings.prices)) is not None
        troubles = troubles_of(board.newest, board.policy, is_priced=is_priced) if board.is_auto else {}
        board.note_troubles(troubles, board.facts.now_ns)
        return board.newest

    def _keep(self, decision: Decision) -> None:
        """Remember what is in force: a decision that changes something, and how things stand."""
        board, facts = self._engine.scaling, self._engine.scaling.facts
        if board.kept is None or facts is None:
            return
        in_force = board.is_auto or facts.manual is not None
        flags = decision.emergency, decision.ceiling_reached, decision.budget_reached
        if in_force and (decision.is_change or flags != self._flags):
            row = decision_row(decision, facts)
            board.kept.keep(row)
            board.recent.append(row)
        self._flags = flags
        board.kept.keep_point(
            ScalingPoint(
                time_ns=facts.now_ns,
                workers=facts.current,
                target=decision.total if in_force else facts.current,
                need_queue=decision.need.queue,
                need_forecast=decision.need.forecast,
                queued_jobs=facts.queued_jobs,
                queued_bytes=round(sum(each.queued_bytes for each in facts.waiting.values())),
            )
        )

    def facts(self) -> ScalerFacts:
        """What is so now."""
        engine = self._engine
        scaling, now_ns = engine.settings.scaling, engine.clock.now_ns()
        waiting, tolerant_bytes = self._waiting(now_ns)
        held_ns = engine.scaling.held_since_ns
        return ScalerFacts(
            now_ns=now_ns,
            waiting=waiting,
            workers=workers_of(self._rows(), prices_in_force(engine.settings.prices), is_mixed=self._is_cluster),
            running_jobs=engine.dispatcher.running_count,
            busy=busy_nodes(self._rows()) if self._is_cluster else 0,
            bytes_per_s=self._rates.bytes_per_s,
            startup_p95_s=self._startups.p95_s,
            outlook=engine.scaling.outlook,
            tolerant=Tolerant(tolerant_bytes, (now_ns - held_ns) / 1e9 if held_ns is not None else 0.0),
            season=season_at(local_time(scaling.timezone, now_ns), scaling),
            manual=self._manual(now_ns),
            spent_month=engine.scaling.spent_month,
        )

    @property
    def _is_cluster(self) -> bool:
        return self._engine.scaling.nodes is not None

    def _rows(self) -> tuple[NodeRow, ...]:
        return (self._engine.scaling.nodes or self._engine.streams.nodes).nodes()

    def _manual(self, now_ns: int) -> Manual | None:
        """What a person wants now."""
        board, streams = self._engine.scaling, self._engine.streams
        if not self._is_cluster:
            return Manual(streams.size, streams.until_ns) if streams.mode == "manual" else None
        if board.manual is not None and board.manual.until_ns is not None and board.manual.until_ns <= now_ns:
            board.manual = None
        return board.manual

    def _carry_out_on(self, nodes: NodePool, decision: Decision) -> None:
        """Bring machines, or let some go, when the target is another one; without `auto` only as a person says."""
        facts, board = self._engine.scaling.facts, self._engine.scaling
        if facts is None or not (board.is_auto or facts.manual is not None) or decision.target == self._asked:
            return
        before = sum(self._asked.values()) if self._asked else facts.current
        nodes.resize(decision.target)
        self._startups.asked(decision.total - before, self._engine.clock.monotonic_s())
        self._asked = dict(decision.target)
        words = format_count(decision.total, "node")
        self._engine.events.announce("streams-changed", f"{words}, {before} before: {decision.reason}")

    def _carry_out(self, decision: Decision) -> None:
        streams = self._engine.streams
        if streams.mode != "manual" and (streams.mode != "auto" or decision.total != streams.size):
            resize(self._engine, decision.total, mode="auto", reason=decision.reason)

    def _measure(self) -> None:
        engine, now_s = self._engine, self._engine.clock.monotonic_s()
        self._startups.see(self._rows(), now_s)
        if self._is_cluster:
            self._worked_s += busy_share(self._rows()) * (now_s - self._seen_s)
        self._seen_s = now_s
        if now_s < self._next_sizing_s:
            return
        totals = engine.dispatcher.figures.totals()
        threads_s = sum(figure.thread_s for figure in engine.pool.stages().values())
        worked_s = self._worked_s if self._is_cluster else threads_s
        self._rates.sample(totals.bytes_read + totals.bytes_restored, worked_s)
        self._mean_bytes = mean_bytes(engine.dispatcher.roster.ended())
        self._keep_measures()
        engine.scaling.spent_month = spent_on_workers(
            engine.accounts.of(month_of(engine.clock.now_ns())).worker_s, prices_in_force(engine.settings.prices)
        )
        self._next_sizing_s = now_s + (SIZED_AGAIN_S if self._rates.bytes_per_s else 0.0)

    def _keep_measures(self) -> None:
        """Remember what was measured, for the next life, when it is another figure by more than a twentieth."""
        known, rate, took_s = self._known, self._rates.bytes_per_s, self._startups.took_s
        if abs(rate - known.bytes_per_s) > known.bytes_per_s / 20 or took_s != known.startups_s:
            self._known = WorkerDocument(rate, took_s)
            self._engine.kept.workers.put(self._kind, self._known)

    def _waiting(self, now_ns: int) -> tuple[dict[JobClass, Waiting], float]:
        """What is left to do by class, and of it what no one waits for. Bytes that are not known: as other jobs had."""
        roster, deadlines_s = self._engine.dispatcher.roster, self._engine.dispatcher.figures.deadlines_s
        left: Counter[JobClass] = Counter()
        queued: Counter[JobClass] = Counter()
        oldest_ns: dict[JobClass, int] = {}
        tolerant = 0.0
        for active in roster.active.values():
            if self._is_cluster and active.place:
                continue  # its node is busy, and no other can take a part of it
            size = bytes_left(active.counts(), self._mean_bytes)
            if active.job.kind in TOLERANT_KINDS:
                tolerant += size
            else:
                left[active.job.priority] += round(size)
        for idle in roster.queued.values():  # ten thousand, perhaps
            job = idle.job
            size = bytes_left(job.counts, self._mean_bytes)
            if job.kind in TOLERANT_KINDS:
                tolerant += size
                continue
            left[job.priority] += round(size)
            queued[job.priority] += 1
            oldest_ns[job.priority] = min(job.queued_ns, oldest_ns.get(job.priority, job.queued_ns))
        return {
            name: Waiting(queued[name], left[name], (now_ns - oldest_ns.get(name, now_ns)) / 1e9, deadlines_s[name])
            for name in JOB_CLASSES
            if left[name] or queued[name]
        }, tolerant


# --- pure ---------------------------------------------------------------------------------------------


@functools.lru_cache(maxsize=8)
def policy_of(settings: ScalingSettings, default: int) -> Policy:
    """The rules that settings mean, where `default` workers are those of an ordinary day."""
    base = settings.base or default
    return Policy(
        base=base,
        floor=settings.floor,
        off_season_floor=settings.off_season_floor or settings.floor,
        ceiling=settings.ceiling or max(settings.floor, 10 * base),
        budget_month=float("inf") if settings.budget_month is None else settings.budget_month,
        lookahead_s=parse_span(settings.lookahead),
        margin_s=parse_span(settings.margin),
        quantile=settings.quantile,
        spot_share=settings.spot_share,
    )


def busy_share(rows: Iterable[NodeRow]) -> float:
    """How many nodes' worth of work is in hand: jobs divided by the slots they could have."""
    return sum(row.running / max(1, row.slots) for row in rows)


def busy_nodes(rows: Iterable[NodeRow]) -> int:
    """The same in whole nodes, of those that are to stay."""
    return math.ceil(busy_share(row for row in rows if row.state == "ready"))


def workers_of(rows: Iterable[NodeRow], prices: Prices, *, is_mixed: bool = False) -> dict[NodeClass, Workers]:
    """Nodes by class and state, with the price of an hour. `is_mixed`: there may be any of a class that has none."""
    counts = Counter((row.node_class, row.state) for row in rows)
    found: dict[NodeClass, Workers] = {}
    for name in NODE_CLASSES:
        ready, starting, draining = counts[name, "ready"], counts[name, "starting"], counts[name, "draining"]
        if ready or starting or draining or is_mixed:
            price = worker_hour(name, prices)
            found[name] = Workers(ready, starting, draining, price[0] if price is not None else 0.0)
    return found


def bytes_left(counts: Counts, mean: float) -> float:
    """What is left of a job: of its total, of a count ahead, or as others had, and then a unit at least."""
    whole = counts.bytes_total if counts.bytes_total is not None else counts.bytes_expected
    if whole is None:
        return max(mean - counts.bytes_read, UNIT_BYTES)
    return max(0.0, float(whole - counts.bytes_read))


def mean_bytes(ended: Iterable[Job]) -> float:
    """Of the jobs that ended last: what one had to deal with."""
    sizes = [job.counts.bytes_read for job in islice(ended, ENDED_LOOKED_AT) if job.kind not in TOLERANT_KINDS]
    return sum(sizes) / len(sizes) if sizes else 0.0


def spent_on_workers(worker_s: Mapping[str, float], prices: Prices) -> float:
    """What so many seconds of workers, by class, have cost; nothing where an hour has no price."""
    hours = {kind: (seconds / 3600, worker_hour(kind, prices)) for kind, seconds in worker_s.items()}
    return sum(amount * price[0] for amount, price in hours.values() if price is not None)

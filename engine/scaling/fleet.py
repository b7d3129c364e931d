"""SIMULATED machines: nodes that boot, work, are taken away and let go, under the fake clock.

In: jobs with their moments, what decides (the engine's autoscaler, unchanged, or a baseline), what lines jobs up (the
engine's queue, unchanged), one seed. Out: waits, cost, how soon nodes were ready, and a digest of all that happened:
the same seed gives the same. What a machine would do by itself is drawn from the distributions in `World`, and nothing
here was measured on one. One thread.

A job is worked on by one node, from where it was left when that node was taken away; near its source at full rate,
else at `FAR_SHARE` of it.
"""

from __future__ import annotations

import hashlib
import heapq
import itertools
import math
import random
from collections import Counter, OrderedDict
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Protocol

from engine.base.clock import FakeClock
from engine.base.invariants import check
from engine.contract.cluster import NODE_CLASSES, NodeClass, NodeState
from engine.contract.weddings import JOB_CLASSES, JobClass
from engine.scaling.facts import ScalerFacts, Waiting, Workers
from engine.scaling.outlook import Outlook
from engine.scaling.seasons import OFF_SEASON, Season
from engine.scaling.world import (
    ATTEMPTS_MAX,
    FAR_SHARE,
    NOTICE_S,
    OVERTIME_S,
    TOLERATED_S,
    FleetJob,
    FleetRecord,
    Sample,
    World,
)


class Line(Protocol):
    """What lines jobs up and says whose turn it is: the engine's queue."""

    def line_up(self, job: FleetJob) -> None:
        """A job waits, for the first time or again."""
        ...

    def next(self) -> str | None:
        """The id of the job whose turn it is, taken out."""
        ...


Chooser = Callable[[ScalerFacts], Mapping[NodeClass, int]]


@dataclass(frozen=True, slots=True)
class Control:
    """What decides in the fleet: none of it knows that the machines are simulated."""

    choose: Chooser  # how many nodes of each class
    line: Line
    outlooks: Sequence[Outlook] = ()  # one a day, from the world's begin on
    season_at: Callable[[int], Season] = lambda _: OFF_SEASON


@dataclass(slots=True)
class _Node:
    number: int
    node_class: NodeClass
    region: str
    decided_s: float
    state: NodeState = "starting"
    job: FleetJob | None = None
    since_s: float = 0.0  # when the job began here


class Fleet:
    """Carries out jobs on simulated nodes."""

    def __init__(
        self, world: World, jobs: Sequence[FleetJob], control: Control, *, sink: Callable[[str], None] | None = None
    ) -> None:
        """`sink` is given each line of the trace."""
        self._world = world
        self._clock = FakeClock(world.begin_ns)
        self._chance = random.Random(world.seed)
        self._control, self._sink = control, sink
        self._events: list[tuple[float, int, Callable[[], None]]] = []
        self._order = itertools.count()
        self._jobs = {job.id: job for job in jobs}
        self._waiting: dict[JobClass, OrderedDict[str, FleetJob]] = {name: OrderedDict() for name in JOB_CLASSES}
        self._waiting_bytes: dict[JobClass, float] = dict.fromkeys(JOB_CLASSES, 0.0)
        self._nodes: OrderedDict[int, _Node] = OrderedDict()
        self._idle: dict[str, OrderedDict[int, _Node]] = {name: OrderedDict() for name in world.regions}
        self._states: Counter[tuple[NodeClass, NodeState]] = Counter()
        self._busy = self._busy_staying = 0  # nodes at work; those of them that do not drain
        self._accepts_s = dict.fromkeys(world.regions, 0.0)  # when a region's provider takes the next order
        self._target = 0
        self._trace = hashlib.sha256()
        self.record = FleetRecord(list(jobs))
        self._left = len(jobs)

    def run(self) -> FleetRecord:
        """From the first tick until the time is over and every job has ended, or the overtime is over too."""
        for number in range(self._world.nodes_begin):
            self._ready(self._launch("reserved" if number % 10 < 3 else "spot", boot=False))
        for job in self.record.jobs:
            self._after(job.at_s, lambda job=job: self._came(job))  # type: ignore[misc]
        self._after(0.0, self._tick)
        moment_s, share = self._world.wave
        if share:
            self._after(moment_s, lambda: self._take_away(share))
        end_s = self._world.hours * 3_600.0
        while self._events:
            at_s, _, event = heapq.heappop(self._events)
            if at_s > end_s and (not self._left or at_s > end_s + OVERTIME_S):
                break
            self._clock.advance(at_s - self._now_s)
            event()
        for node in self._nodes.values():
            self._pay(node)
        self.record.digest = self._trace.hexdigest()
        return self.record

    # --- time and trace ---

    @property
    def _now_s(self) -> float:
        return self._clock.monotonic_s()

    def _after(self, seconds: float, event: Callable[[], None]) -> None:
        heapq.heappush(self._events, (self._now_s + seconds, next(self._order), event))

    def _note(self, *what: object) -> None:
        line = f"{self._now_s:.3f} {' '.join(str(each) for each in what)}\n"
        self._trace.update(line.encode())
        if self._sink is not None:
            self._sink(line)

    # --- jobs ---

    def _came(self, job: FleetJob) -> None:
        self._note("job", job.number, job.priority, job.region)
        self._line_up(job)
        self._hand_out()

    def _line_up(self, job: FleetJob) -> None:
        self._waiting[job.priority][job.id] = job
        self._waiting_bytes[job.priority] += job.left_bytes
        self._control.line.line_up(job)

    def _hand_out(self) -> None:
        while any(self._idle.values()):
            chosen = self._control.line.next()
            if chosen is None:
                return
            self._begin(self._jobs[chosen])

    def _begin(self, job: FleetJob) -> None:
        del self._waiting[job.priority][job.id]
        self._waiting_bytes[job.priority] -= job.left_bytes
        near = self._idle[job.region]
        pool = near or max(self._idle.values(), key=len)
        number, node = pool.popitem()
        job.attempts += 1
        job.began_s = job.began_s if job.began_s >= 0 else self._now_s
        node.job, node.since_s = job, self._now_s
        self._work(node, 1)
        self._note("begin", job.number, "on", number)
        self._after(job.left_bytes / self._rate(node, job), lambda: self._ended(node, job))

    def _rate(self, node: _Node, job: FleetJob) -> float:
        return self._world.node_bytes_per_s * (1.0 if node.region == job.region else FAR_SHARE)

    def _ended(self, node: _Node, job: FleetJob) -> None:
        if node.job is not job:
            return  # it was put back
        node.job, job.left_bytes, job.done_s = None, 0.0, self._now_s
        self._work(node, -1)
        self._left -= 1
        self._note("done", job.number)
        if node.state == "draining":
            self._gone(node)
        else:
            self._idle[node.region][node.number] = node
            self._hand_out()

    def _work(self, node: _Node, step: int) -> None:
        self._busy += step
        self._busy_staying += step if node.state == "ready" else 0

    # --- nodes ---

    def _launch(self, node_class: NodeClass, *, boot: bool = True) -> _Node:
        world, number = self._world, next(self._order)
        region = self._chance.choices(list(world.regions), list(world.regions.values()))[0]
        node = self._nodes[number] = _Node(number, node_class, region, self._now_s)
        self._states[node_class, "starting"] += 1
        if boot:
            accepted_s = max(self._now_s, self._accepts_s[region])
            self._accepts_s[region] = accepted_s + 1.0 / world.starts_per_s
            boot_s = world.boot_median_s * math.exp(self._chance.gauss(0.0, world.boot_spread))
            self._after(accepted_s - self._now_s + boot_s, lambda: self._booted(node))
        return node

    def _booted(self, node: _Node) -> None:
        if node.state == "starting" and node.number in self._nodes:
            self.record.ready_after_s.append(self._now_s - node.decided_s)
            self._ready(node)
            self._hand_out()

    def _become(self, node: _Node, state: NodeState) -> None:
        self._states[node.node_class, node.state] -= 1
        self._states[node.node_class, state] += 1
        node.state = state

    def _ready(self, node: _Node) -> None:
        self._become(node, "ready")
        self._idle[node.region][node.number] = node
        self._note("ready", node.number, node.node_class, node.region)
        if node.node_class == "spot" and self._world.losses_hour:
            life_s = self._chance.expovariate(self._world.losses_hour) * 3_600.0
            if self._now_s + life_s < self._world.hours * 3_600.0:
                self._after(life_s, lambda: self._notice(node))

    def _notice(self, node: _Node) -> None:
        """A spot node is to be taken: nothing new for it, and its job goes on elsewhere if it ends too late."""
        if node.number not in self._nodes:
            return
        self.record.lost_nodes += 1
        self._note("notice", node.number)
        self._drain(node)
        self._after(NOTICE_S, lambda: self._taken(node))

    def _taken(self, node: _Node) -> None:
        if node.number not in self._nodes:
            return
        if node.job is not None:
            self._put_back(node, node.job)
        self._gone(node)
        self._hand_out()

    def _put_back(self, node: _Node, job: FleetJob) -> None:
        """What is stored stays stored: the job goes on where it was."""
        node.job = None
        self._work(node, -1)
        job.left_bytes = max(1.0, job.left_bytes - self._rate(node, job) * (self._now_s - node.since_s))
        self.record.put_back += 1
        self._note("back", job.number)
        if job.attempts < ATTEMPTS_MAX:
            self._line_up(job)
        else:
            self._left -= 1

    def _take_away(self, share: float) -> None:
        spot = [node for node in self._nodes.values() if node.node_class == "spot" and node.state == "ready"]
        for node in self._chance.sample(spot, round(share * len(spot))):
            self._notice(node)

    def _drain(self, node: _Node) -> None:
        if node.state == "draining":
            return
        self._busy_staying -= node.job is not None
        self._become(node, "draining")
        self._idle[node.region].pop(node.number, None)
        if node.job is None:
            self._gone(node)

    def _gone(self, node: _Node) -> None:
        del self._nodes[node.number]
        self._states[node.node_class, node.state] -= 1
        self._idle[node.region].pop(node.number, None)
        self._pay(node)
        self._note("gone", node.number)

    def _pay(self, node: _Node) -> None:
        self.record.node_hours[node.node_class] += (self._now_s - node.decided_s) / 3_600.0

    # --- scaling ---

    def _tick(self) -> None:
        facts = self.facts()
        target = self._control.choose(facts)
        if sum(target.values()) != self._target:
            self._target = sum(target.values())
            self.record.changes += 1
        for name in NODE_CLASSES:
            self._steer(name, target.get(name, 0))
        self._sample()
        if self._now_s < self._world.hours * 3_600.0 + OVERTIME_S:
            self._after(self._world.tick_s, self._tick)

    def _steer(self, node_class: NodeClass, target: int) -> None:
        there = self._states[node_class, "ready"] + self._states[node_class, "starting"]
        if target == there:
            return
        self._note("target", node_class, there, target)
        for _ in range(target - there):
            self._launch(node_class)
        if target < there:
            staying = [
                each for each in self._nodes.values() if each.node_class == node_class and each.state != "draining"
            ]
            # Those that do not work yet go first, then idle ones, then those that will have to end what they do.
            staying.sort(key=lambda each: (each.state == "ready", each.job is not None, -each.number))
            for node in staying[: there - target]:
                self._drain(node)

    def _sample(self) -> None:
        starting = sum(self._states[name, "starting"] for name in NODE_CLASSES)
        queued = sum(len(waiting) for waiting in self._waiting.values())
        self.record.samples.append(
            Sample(self._now_s, self._target, len(self._nodes) - starting, starting, queued, self._busy)
        )

    def facts(self) -> ScalerFacts:
        """What the scaler is told, as it is told of real nodes."""
        world, now_s = self._world, self._now_s
        waiting = {}
        for name, jobs in self._waiting.items():
            if jobs:
                oldest_s = now_s - next(iter(jobs.values())).at_s
                deadline_s = TOLERATED_S[name] + world.job_s
                waiting[name] = Waiting(len(jobs), max(0.0, self._waiting_bytes[name]), oldest_s, deadline_s)
        return ScalerFacts(
            now_ns=self._clock.now_ns(),
            waiting=waiting,
            workers={name: self._counted(name) for name in NODE_CLASSES},
            running_jobs=self._busy,
            busy=self._busy_staying,
            bytes_per_s=world.node_bytes_per_s,
            startup_p95_s=world.boot_p95_s,
            outlook=self._outlook(),
            season=self._control.season_at(self._clock.now_ns()),
        )

    def _outlook(self) -> Outlook | None:
        made = self._control.outlooks
        return made[min(int(self._now_s // 86_400), len(made) - 1)] if made else None

    def _counted(self, node_class: NodeClass) -> Workers:
        ready, starting, draining = (self._states[node_class, state] for state in ("ready", "starting", "draining"))
        return Workers(ready, starting, draining, self._world.prices[node_class])

    def validate(self) -> None:
        """Check the whole structure (tests call it)."""
        check(self._busy == sum(node.job is not None for node in self._nodes.values()), "busy nodes are counted")
        check(
            all(node.job is None and node.state == "ready" for idle in self._idle.values() for node in idle.values()),
            "an idle node is ready and has no job",
        )


def placed_jobs(moments: Iterable[tuple[float, str, JobClass, float]], world: World) -> Iterator[FleetJob]:
    """Jobs with their regions drawn: moment in seconds, wedding, class, bytes. A wedding lies in one region."""
    chance = random.Random(world.seed + 1)
    homes: dict[str, str] = {}
    names, shares = list(world.regions), list(world.regions.values())
    for number, (at_s, wedding, priority, size_bytes) in enumerate(moments):
        if wedding not in homes:
            homes[wedding] = chance.choices(names, shares)[0]
        yield FleetJob(number, at_s, wedding, priority, size_bytes, homes[wedding])

"""What the scheduler promises (docs/jobs.md, "Classes"), checked while a simulation runs. Each broken one asserts."""

from __future__ import annotations

import itertools
import math
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from engine.base.bucket import BURST_S
from engine.contract.weddings import JOB_CLASSES, JobClass
from engine.jobs.figures import DEADLINES_S
from engine.jobs.job import Job
from engine.jobs.shares import OPENING_MAX, SHARES
from engine.jobs.totals import DATED_KINDS
from engine.pipeline.fair import DEFAULT_WEIGHTS, FairTurns
from engine.pipeline.pool import Run
from tests.simulation.mixes import Setting
from tests.simulation.world import OPEN_S, SCAN_S, SimulatedRun, classes_ready

if TYPE_CHECKING:
    from tests.simulation.run import Simulation

_PAIRS = tuple(itertools.combinations(JOB_CLASSES, 2))


@dataclass(slots=True)
class _Wait:
    """A run that waits for its turn: what its class has served since, and to how many others."""

    served: int = 0
    others: set[int] = field(default_factory=set)


@dataclass(slots=True)
class _Limit:
    since_s: float
    served: int
    bytes_per_s: float


@dataclass(slots=True)
class _Demand:
    """What a job's deadline has to hold against: `cost` is accepted no later, is not late itself, and is its own."""

    cost: int
    is_promised: bool = True


class Checks:
    """Follows one simulation."""

    def __init__(self, simulation: Simulation) -> None:
        self._simulation = simulation
        self._cost_max = simulation.mix.cost_max
        self._streams_min, self._streams_max = simulation.mix.streams, simulation.mix.streams
        self._weights = dict(DEFAULT_WEIGHTS)
        self._weights_ever: dict[JobClass, int] = dict(DEFAULT_WEIGHTS)  # the least of each
        self._weights_sum = sum(DEFAULT_WEIGHTS.values())  # the most
        self._served = dict.fromkeys(JOB_CLASSES, 0)
        self._apart: dict[tuple[JobClass, JobClass], tuple[float, float, float]] = {}  # from, least, most
        self._picked_of: dict[int, JobClass] = {}  # its class may change before it has a unit
        self._unpicked = 0
        self._waits: dict[int, _Wait] = {}
        self._limits: dict[JobClass, _Limit] = {}
        self._limited: set[JobClass] = set()  # ever
        self._passed: dict[tuple[JobClass, str], dict[str, int]] = {}
        self._touched: set[int] = set()
        orders = simulation.mix.orders
        self._repeated = {f"{order.wedding:032x}" for order in orders if order.repeats >= 0}  # may go back in line
        self._touched.update(order.repeats for order in orders if order.repeats >= 0)
        self.demands: dict[int, _Demand] = {}
        self.share_error = 0.0  # the largest, as a part of the bound
        self.was_full = False

    # --- streams ---

    def left_the_line(self, turns: FairTurns[Run[object]]) -> set[JobClass]:
        """A class that has no work, be it for a moment, begins anew. Those that have some."""
        ready = classes_ready(turns)
        for pair in [pair for pair in self._apart if not ready.issuperset(pair)]:
            del self._apart[pair]
        return ready

    def before_pick(self, turns: FairTurns[Run[object]]) -> None:
        """Classes that both have work since a while are no further apart than the bound."""
        ready = self.left_the_line(turns)
        for one, other in (pair for pair in _PAIRS if ready.issuperset(pair)):
            pair = one, other
            now = self._served[one] / self._weights[one] - self._served[other] / self._weights[other]
            _, least, most = self._apart.get(pair, (now, now, now))
            self._apart[pair] = now, min(least, now), max(most, now)
            _, least, most = self._apart[pair]
            dearest = self._cost_max * self._streams_max + self._unpicked
            bound = dearest / self._weights_ever[one] + dearest / self._weights_ever[other]
            self.share_error = max(self.share_error, (most - least) / bound)
            assert most - least <= bound, f"{one} and {other} are further apart than the bound"

    def picked(self, run: Run[object]) -> None:
        """A run does not wait for its turn any more."""
        assert isinstance(run, SimulatedRun)
        self._waits.pop(run.number, None)
        self._picked_of[run.number] = run.priority

    def handed_out(self, run: Run[object], cost: int) -> None:
        """No run waits for longer than its class takes to serve each of the others a few units."""
        assert isinstance(run, SimulatedRun)
        if run.number not in self._picked_of:
            self._unpicked += cost  # it is to end, which nobody waits a turn for
        name = self._picked_of.pop(run.number, run.priority)
        self._served[name] += cost
        self._simulation.note("unit", run.number, cost)
        self._check_limit(name)
        waiting = {
            other.number: other
            for other, (line, _) in self._simulation.pool._turns._ready.items()
            if isinstance(other, SimulatedRun) and line == other.priority == name
        }
        for number in [number for number in self._waits if number not in waiting]:
            if self._simulation.jobs[number].priority == name:
                del self._waits[number]
        for number in waiting:
            if number == run.number:
                continue
            wait = self._waits.setdefault(number, _Wait())
            wait.served += cost
            wait.others.add(run.number)
            bound = (4 * len(wait.others) + 2 * self._streams_max + 2) * self._cost_max
            assert wait.served <= bound, f"job {number} starves"

    def _check_limit(self, name: JobClass) -> None:
        limit = self._limits.get(name)
        if limit is None:
            return
        span_s = self._simulation.clock.now_s - limit.since_s
        allowed = limit.bytes_per_s * (span_s + BURST_S) + self._cost_max * (self._streams_max + 1)
        assert self._served[name] - limit.served <= allowed, f"{name} goes over its limit"

    def set(self, setting: Setting) -> None:
        """A setting has changed."""
        if setting.what == "streams":
            count = int(setting.value or 1)
            self._streams_min, self._streams_max = min(self._streams_min, count), max(self._streams_max, count)
        elif setting.what == "weight":
            weight = self._weights[setting.priority] = int(setting.value or 1)
            self._weights_ever[setting.priority] = min(self._weights_ever[setting.priority], weight)
            self._weights_sum = max(self._weights_sum, sum(self._weights.values()))
            self._apart.clear()
        elif setting.value is None:
            self._limits.pop(setting.priority, None)
        else:
            self._limited.add(setting.priority)
            now_s, served = self._simulation.clock.now_s, self._served[setting.priority]
            self._limits[setting.priority] = _Limit(now_s, served, setting.value)

    # --- the queue ---

    def started(self, number: int, job: Job) -> None:
        """Of one class the weddings take turns, and the jobs of a wedding keep their order; classes keep their room."""
        dispatcher, jobs, numbers = self._simulation.dispatcher, self._simulation.jobs, self._simulation.numbers
        lines = dispatcher.roster.queue._turns[job.priority]
        own = self._passed.pop((job.priority, job.wedding_id), {})
        assert all(count <= 1 for count in own.values())
        for wedding_id in lines:
            if wedding_id not in (job.wedding_id, *self._repeated):
                passed = self._passed.setdefault((job.priority, wedding_id), {})
                passed[job.wedding_id] = passed.get(job.wedding_id, 0) + 1
                assert passed[job.wedding_id] <= 1, f"{job.wedding} begins twice while another waits"
        self._forget_who_left()
        for waiting_id in lines.get(job.wedding_id, ()):
            later = numbers[waiting_id]
            assert later > number or self._touched.intersection((later, number)), "a wedding's jobs keep their order"
        orders = self._simulation.mix.orders
        active = [numbers[id] for id in dispatcher.roster.active]
        at_work = [number if orders[number].repeats < 0 else orders[number].repeats for number in active]
        assert len(set(at_work)) == len(at_work), "two jobs are at work on the same"
        limit = self._simulation.mix.jobs_active_max
        assert dispatcher.running_count <= math.ceil(limit * SHARES[job.priority])
        assert dispatcher._opening <= math.ceil(OPENING_MAX * SHARES[job.priority])
        assert all(each.state == "queued" for each in (jobs[numbers[id]] for id in dispatcher.roster.queue))

    def _forget_who_left(self) -> None:
        """A wedding without a job that waits has no turn; the next one stands at the end."""
        turns = self._simulation.dispatcher.roster.queue._turns
        for priority, wedding_id in [key for key in self._passed if key[1] not in turns[key[0]]]:
            del self._passed[priority, wedding_id]

    # --- deadlines ---

    def accepted(self, number: int, job: Job) -> None:
        """Note what a job's deadline has to hold against."""
        order = self._simulation.mix.orders[number]
        if order.errors or order.repeats >= 0:
            self._touched.add(number)  # it may go back in line
        limit = math.ceil(self._simulation.mix.jobs_active_max * SHARES[job.priority])
        self.was_full = self.was_full or (job.state == "queued" and self._simulation.dispatcher.running_count >= limit)
        demand = self.demands[number] = _Demand(self._due(number))
        for earlier in range(number):
            other = self._simulation.jobs[earlier]
            if other.priority == job.priority and not other.ended and self._is_in_time(other):
                demand.cost += self._due(earlier)

    def prioritised(self, number: int, before: JobClass) -> None:
        """A job stands in another class now, before those accepted later."""
        job, cost = self._simulation.jobs[number], self._due(number)
        for later, demand in self.demands.items():
            if later > number and self._simulation.jobs[later].priority == job.priority != before:
                demand.cost += cost

    def _due(self, number: int) -> int:
        """What a job has still to be served for its deadline: all of it, a retrieval its first unit."""
        work, order = self._simulation.works[number], self._simulation.mix.orders[number]
        if order.kind != "retrieve" or order.errors:  # each attempt begins with a first unit
            return work.remaining
        return 0 if work.served else work.first

    def steered(self, number: int) -> None:
        """Somebody has done something to a job: nothing is promised for it."""
        self._touched.add(number)
        self.demands[number].is_promised = False
        self._forget_who_left()
        self.left_the_line(self._simulation.pool._turns)

    def promised_s(self, number: int) -> float:
        """How soon a job has to be done by the promise; infinity where there is none."""
        mix, demand, job = self._simulation.mix, self.demands[number], self._simulation.jobs[number]
        name = job.priority
        is_apart = number in self._touched or name in self._limited or job.kind not in DATED_KINDS
        if is_apart or not demand.is_promised or self.was_full:
            return math.inf
        share = self._weights_ever[name] / self._weights_sum / 2
        capacity = self._streams_min * mix.bytes_per_s
        slack = self._cost_max * self._streams_max * (4 + 3 / share) / capacity + 2 * self._cost_max / mix.bytes_per_s
        return demand.cost / (share * capacity) + slack + self._opening_s() + SCAN_S

    def _opening_s(self) -> float:
        """The longest that jobs of any class may wait for being opened."""
        return (len(self.demands) / math.ceil(OPENING_MAX * SHARES["standard"]) + 2) * OPEN_S * 3

    def _is_in_time(self, job: Job) -> bool:
        return job.queued_monotonic_s + DEADLINES_S[job.priority] > self._simulation.clock.now_s

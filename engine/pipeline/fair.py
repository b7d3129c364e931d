"""Whose turn it is: weighted fair queueing of units over classes; within a class, deadlines and even turns.

Start-time fair queueing (Goyal, Vin, Cheng: "Start-time Fair Queueing", ACM SIGCOMM 1996), on two levels. A flow
that was served cost c at weight w starts again c / w of virtual time later; the flow that starts first is served.
The cost of a unit has to be known only after it was handed out, no flow can save up turns while it has nothing to
do, and whoever has work gets all that others leave (work-conserving).

**Bound.** Between any two classes f and g that both have work, served cost ÷ weight differs by no more than
c_max ÷ w_f + c_max ÷ w_g, with c_max the dearest unit (16 MiB and 256 files: 24 MiB) times the number of streams and
one, since that many units are out at once. The same holds for the turns of two runs of one class.

**Deadlines.** Half of what a class serves goes to the run whose deadline comes first, among those whose deadline is
still ahead (a class has one span from acceptance to deadline, so that is the run accepted first). A retrieval has one
until it was served once: what it owes by then is its first byte. The other half
goes round evenly. So a class that is overrun ends some of its jobs in time, where even turns would end all of them
late together, and no run, however large or late, keeps the others from going on.

**Starts.** Whoever serves higher classes only (`pick_new`) may begin a run out of turn. Its class pays with its next
turns, and is never more than `AHEAD_COST` ahead of them; where runs of the class that have begun wait meanwhile, what
is served so past them is at most `AHEAD_COST` more than what the class is served in turn.

A class may have a limit in bytes a second: a token bucket that may go into debt by one unit, so a unit is never
cut. Pure; the caller locks and passes the time in.
"""

from __future__ import annotations

import heapq
import itertools
import math
from collections import OrderedDict
from collections.abc import Mapping
from typing import Generic, Literal, Protocol, TypeVar

import msgspec

from engine.base.bucket import TokenBucket
from engine.base.invariants import check
from engine.base.units import KIB, MIB
from engine.contract.weddings import JOB_CLASSES, JobClass

FILE_COST_BYTES = 32 * KIB  # what opening a file is worth, in bytes of a large one: some 80 µs of a stream
AHEAD_COST = 512 * MIB  # 200 jobs of 50 files of 20 kB

_RANK = {name: rank for rank, name in enumerate(JOB_CLASSES)}  # the highest class has the lowest rank
DEFAULT_WEIGHTS: Mapping[JobClass, int] = {"same-day": 50, "retrieval": 50, "next-day": 30, "standard": 20}


class Served(Protocol):
    """What takes turns. Its class may change at any moment; -inf as its acceptance means: no deadline (any more)."""

    priority: JobClass
    accepted_s: float  # by the clock that `pick` is given


Flow = TypeVar("Flow", bound=Served)
_Why = Literal["turn", "deadline", "start"]


class _Class(msgspec.Struct, Generic[Flow]):
    """One class: its runs that are ready, by virtual start, and all that have a deadline, by that."""

    name: JobClass
    weight: int
    start: float = 0.0  # virtual, of the whole class
    now: float = 0.0  # virtual time inside the class: goes on by what is served, divided by the runs that share it
    ready_count: int = 0
    turns: list[tuple[float, int, Flow]] = []  # start, place; with entries that hold no more
    new: OrderedDict[Flow, None] = msgspec.field(default_factory=OrderedDict)  # ready, and never were before
    dated: list[tuple[float, int]] = []  # acceptance, number; the same
    deadline_s: float = 0.0  # from acceptance; until it is told, nothing has one
    ahead: float = 0.0  # cost served by deadline, less that served by turn
    past: float = 0.0  # cost of starts out of turn past runs that have begun, less what was served in turn since
    limit: TokenBucket = msgspec.field(default_factory=TokenBucket)
    served_cost: int = 0


class FairTurns(Generic[Flow]):
    """Runs that are ready, and the order they are served in."""

    def __init__(self, weights: Mapping[JobClass, int] = DEFAULT_WEIGHTS) -> None:
        check(all(weight > 0 for weight in weights.values()), "every class has a weight")
        self._classes: dict[JobClass, _Class[Flow]] = {name: _Class(name, weights[name]) for name in JOB_CLASSES}
        self._starts: dict[Flow, tuple[JobClass, float]] = {}  # virtual start in a class, of every run known
        self._ready: dict[Flow, tuple[JobClass, int]] = {}  # the line it stands in, and its place there
        self._numbers: dict[Flow, int] = {}  # of every run that is in a list of deadlines
        self._dated: dict[int, tuple[Flow, JobClass]] = {}  # number → run, and whose list it is in
        self._picked: dict[Flow, tuple[JobClass, _Why]] = {}  # not charged yet: of what, and why
        self._order = itertools.count()
        self._now = 0.0  # virtual time: the start of the class served last

    def __len__(self) -> int:
        return len(self._ready)

    def add(self, flow: Flow) -> None:
        """A run is ready, for the first time or again. Its place is where it left off, or now if that is later."""
        each = self._classes[flow.priority]
        start = self._start(flow, each)
        if flow not in self._starts:
            each.new[flow] = None
        self._starts[flow] = each.name, start
        if not each.ready_count:
            each.start = max(each.start, self._now)  # a class that was idle has saved nothing up
        place = next(self._order)
        heapq.heappush(each.turns, (start, place, flow))
        self._ready[flow] = each.name, place
        each.ready_count += 1
        self._picked.pop(flow, None)
        self._date(flow, each)

    def forget(self, flow: Flow) -> None:
        """A run has ended."""
        self._starts.pop(flow, None)
        self._picked.pop(flow, None)
        self._dated.pop(self._numbers.pop(flow, -1), None)

    def reclassify(self, flow: Flow) -> None:
        """The class of a run has changed: if it is ready it stands in the new line at once."""
        if self.remove(flow):
            self.add(flow)

    def remove(self, flow: Flow) -> bool:
        """Take out one run that is ready; whether it was."""
        place = self._ready.pop(flow, None)
        if place is None:
            return False
        each = self._classes[place[0]]
        each.ready_count -= 1
        each.new.pop(flow, None)
        if not each.ready_count:
            each.turns.clear()  # no entry holds any more
        return True

    def drain(self) -> list[Flow]:
        """Take out all that are ready, in no order."""
        found = list(self._ready)
        for flow in found:
            self.remove(flow)
        return found

    def pick(self, now_s: float, *, above: JobClass | None = None) -> Flow | None:
        """The run whose turn it is, taken out; None when none is ready, or all that are wait for their limit.

        With `above` also None, and nobody's turn is taken away, when that run is not of a higher class.
        """
        while True:
            best: _Class[Flow] | None = None
            for each in self._classes.values():
                if not each.ready_count:
                    continue
                if each.limit.wait_s(now_s) <= 0 and (best is None or each.start < best.start):
                    best = each
            if best is None or (above is not None and _RANK[best.name] >= _RANK[above]):
                return None
            flow, why = self._first(best, now_s)
            self.remove(flow)
            if flow.priority != best.name:
                self.add(flow)  # its class has changed since: it stands in the other line now
                continue
            self._now = max(self._now, best.start)
            self._picked[flow] = best.name, why
            if why == "turn":
                best.now = max(best.now, self._start(flow, best))
            return flow

    def pick_new(self, now_s: float, *, above: JobClass) -> Flow | None:
        """A run of a higher class that was never ready before, taken out though it is not its turn; None: none may be.

        The highest class comes first, and in it who came first.
        """
        for name in JOB_CLASSES[: _RANK[above]]:
            each = self._classes[name]
            ahead = max((each.start - self._now) * each.weight, each.past)
            if not each.new or ahead >= AHEAD_COST or each.limit.wait_s(now_s) > 0:
                continue
            flow = next(iter(each.new))
            if flow.priority == name:  # else its class has changed since, and who changed it says so next
                self.remove(flow)
                self._picked[flow] = name, "start"
                return flow
        return None

    def charge(self, flow: Flow, cost: int) -> None:
        """A unit of `cost` (bytes + 32 KiB a file) was handed out to `flow`."""
        name, why = self._picked.pop(flow, (flow.priority, "turn"))
        each = self._classes[name]
        each.start = max(each.start, self._now) + cost / each.weight
        each.served_cost += cost
        each.limit.take(cost)
        if why == "start":
            each.past += cost if each.ready_count > len(each.new) else 0
        else:
            each.past = max(0.0, each.past - cost)
        if why == "deadline":
            each.ahead += cost
        else:
            self._starts[flow] = name, self._start(flow, each) + cost
            each.ahead -= cost if why == "turn" else 0
            # As in a perfectly fluid system: so runs that come new, however many, do not starve those that were served.
            each.now += cost / (1 + each.ready_count)

    def _start(self, flow: Flow, each: _Class[Flow]) -> float:
        """Where a run begins in a class: where it left off there, or now if that is later."""
        name, start = self._starts.get(flow, (each.name, 0.0))
        return max(start, each.now) if name == each.name else each.now

    def _first(self, each: _Class[Flow], now_s: float) -> tuple[Flow, _Why]:
        """The run of a class that is served next, and why. One is ready."""
        if each.ahead <= 0:
            urgent = self._earliest(each, now_s)
            if urgent is not None:
                return urgent, "deadline"
            each.ahead = 0.0  # without a deadline ahead, nothing is saved up for one
        while True:
            _, place, flow = each.turns[0]
            if self._ready.get(flow) == (each.name, place):
                return flow, "turn"
            heapq.heappop(each.turns)

    def _earliest(self, each: _Class[Flow], now_s: float) -> Flow | None:
        """The run that is ready and has the first deadline of those ahead."""
        while each.dated:
            _, number = each.dated[0]
            flow, listed = self._dated.get(number, (None, None))
            if flow is not None and listed == each.name:
                if flow.accepted_s + each.deadline_s > now_s and self._ready.get(flow, ("",))[0] == each.name:
                    return flow
                del self._dated[number], self._numbers[flow]  # its next `add` puts it back
            heapq.heappop(each.dated)
        return None

    def _date(self, flow: Flow, each: _Class[Flow]) -> None:
        """Have a run in the list of its class's deadlines, once."""
        number = self._numbers.get(flow)
        if flow.accepted_s == -math.inf or (number is not None and self._dated[number][1] == each.name):
            return
        self._dated.pop(-1 if number is None else number, None)
        number = self._numbers[flow] = next(self._order)
        self._dated[number] = flow, each.name
        heapq.heappush(each.dated, (flow.accepted_s, number))

    def wait_s(self, now_s: float) -> float | None:
        """How long until a limit opens for a run that is ready; None when nothing waits for one."""
        return min((each.limit.wait_s(now_s) for each in self._classes.values() if each.ready_count), default=None)

    def set_limit(self, name: JobClass, bytes_per_s: float | None, now_s: float) -> None:
        """Limit a class from now on; None lifts it. What it owes from before stays owed."""
        check(bytes_per_s is None or bytes_per_s > 0, "a limit is more than nothing")
        self._classes[name].limit.set_rate(bytes_per_s, now_s)

    def set_weight(self, name: JobClass, weight: int) -> None:
        """Give a class another share from now on."""
        check(weight > 0, "every class has a weight")
        self._classes[name].weight = weight

    def set_deadline(self, name: JobClass, deadline_s: float) -> None:
        """How long after its acceptance a run of a class is to be through, from now on."""
        self._classes[name].deadline_s = deadline_s

    def served(self) -> dict[JobClass, int]:
        """Cost handed out to each class since the start."""
        return {name: each.served_cost for name, each in self._classes.items()}

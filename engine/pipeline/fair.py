"""Whose turn it is: weighted fair queueing of units over classes, and evenly over the runs of a class.

Start-time fair queueing (Goyal, Vin, Cheng: "Start-time Fair Queueing", ACM SIGCOMM 1996), on two levels. A flow
that was served cost c at weight w starts again c / w of virtual time later; the flow that starts first is served.
The cost of a unit has to be known only after it was handed out, no flow can save up turns while it has nothing to
do, and whoever has work gets all that others leave (work-conserving).

**Bound.** Between any two classes f and g that both have work, served cost ÷ weight differs by no more than
c_max ÷ w_f + c_max ÷ w_g, with c_max the dearest unit (16 MiB and 256 files: 32 MiB) times the number of streams,
since that many units are out at once. The same holds for two runs of one class with equal weights.

A class may have a limit in bytes a second: a token bucket that may go into debt by one unit, so a unit is never
cut. Pure; the caller locks and passes the time in.
"""

from __future__ import annotations

import heapq
import itertools
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Generic, Protocol, TypeVar

from engine.base.invariants import check
from engine.base.units import KIB
from engine.contract.weddings import PRIORITY_CLASSES, PriorityClass

FILE_COST_BYTES = 64 * KIB  # what opening a file is worth, so that many small ones do not count as nothing
BURST_S = 0.5  # how much of a limit may be used at once after a pause

DEFAULT_WEIGHTS: Mapping[PriorityClass, int] = {"same-day": 50, "next-day": 30, "standard": 20}


class Served(Protocol):
    """What takes turns: it has a class, which may change at any moment."""

    priority: PriorityClass


Flow = TypeVar("Flow", bound=Served)


@dataclass(slots=True)
class _Class(Generic[Flow]):
    """One class: its runs that are ready, by virtual start."""

    weight: int
    start: float = 0.0  # virtual, of the whole class
    now: float = 0.0  # virtual time inside the class: the start of the run served last
    ready: list[tuple[float, int, Flow]] = field(default_factory=list)
    limit_bytes_per_s: float | None = None
    tokens: float = 0.0
    refilled_s: float = 0.0
    served_cost: int = 0

    def refill(self, now_s: float) -> None:
        if self.limit_bytes_per_s is not None:
            gained = (now_s - self.refilled_s) * self.limit_bytes_per_s
            self.tokens = min(self.tokens + gained, BURST_S * self.limit_bytes_per_s)
        self.refilled_s = now_s

    def opens_at(self, now_s: float) -> float:
        """The moment from which a unit may be handed out."""
        if self.limit_bytes_per_s is None or self.tokens > 0:
            return now_s
        return now_s - self.tokens / self.limit_bytes_per_s + 0.001


class FairTurns(Generic[Flow]):
    """Runs that are ready, and the order they are served in."""

    def __init__(self, weights: Mapping[PriorityClass, int] = DEFAULT_WEIGHTS) -> None:
        check(all(weight > 0 for weight in weights.values()), "every class has a weight")
        self._classes: dict[PriorityClass, _Class[Flow]] = {name: _Class(weights[name]) for name in PRIORITY_CLASSES}
        self._starts: dict[Flow, float] = {}  # virtual start inside its class, of every run known
        self._order = itertools.count()
        self._now = 0.0  # virtual time: the start of the class served last

    def __len__(self) -> int:
        return sum(len(each.ready) for each in self._classes.values())

    def add(self, flow: Flow) -> None:
        """A run is ready, for the first time or again. Its place is where it left off, or now if that is later."""
        each = self._classes[flow.priority]
        start = max(self._starts.get(flow, 0.0), each.now)
        self._starts[flow] = start
        if not each.ready:
            each.start = max(each.start, self._now)  # a class that was idle has saved nothing up
        heapq.heappush(each.ready, (start, next(self._order), flow))

    def forget(self, flow: Flow) -> None:
        """A run has ended."""
        self._starts.pop(flow, None)

    def remove(self, flow: Flow) -> bool:
        """Take out one run that is ready; whether it was."""
        for each in self._classes.values():
            for at, (_, _, ready) in enumerate(each.ready):
                if ready is flow:
                    del each.ready[at]
                    heapq.heapify(each.ready)
                    return True
        return False

    def drain(self) -> list[Flow]:
        """Take out all that are ready, in no order."""
        found = [flow for each in self._classes.values() for _, _, flow in each.ready]
        for each in self._classes.values():
            each.ready.clear()
        return found

    def pick(self, now_s: float) -> Flow | None:
        """The run whose turn it is, taken out; None when none is ready, or all that are wait for their limit."""
        while True:
            best: tuple[float, PriorityClass] | None = None
            for name, each in self._classes.items():
                if not each.ready:
                    continue
                each.refill(now_s)
                if each.opens_at(now_s) > now_s:
                    continue
                if best is None or each.start < best[0]:
                    best = each.start, name
            if best is None:
                return None
            each = self._classes[best[1]]
            start, _, flow = heapq.heappop(each.ready)
            if flow.priority != best[1]:
                self._starts[flow] = 0.0  # its class has changed since: it stands in the other line now
                self.add(flow)
                continue
            self._now = max(self._now, each.start)
            each.now = max(each.now, start)
            return flow

    def charge(self, flow: Flow, cost: int) -> None:
        """A unit of `cost` (bytes + 64 KiB a file) was handed out to `flow`."""
        each = self._classes[flow.priority]
        each.start = max(each.start, self._now) + cost / each.weight
        self._starts[flow] = max(self._starts.get(flow, 0.0), each.now) + cost
        each.served_cost += cost
        if each.limit_bytes_per_s is not None:
            each.tokens -= cost

    def wait_s(self, now_s: float) -> float | None:
        """How long until a limit opens for a run that is ready; None when nothing waits for one."""
        waits = [each.opens_at(now_s) - now_s for each in self._classes.values() if each.ready]
        return max(0.0, min(waits)) if waits else None

    def set_limit(self, name: PriorityClass, bytes_per_s: float | None, now_s: float) -> None:
        """Limit a class from now on; None lifts it. What it owes from before stays owed."""
        check(bytes_per_s is None or bytes_per_s > 0, "a limit is more than nothing")
        each = self._classes[name]
        each.refill(now_s)
        if each.limit_bytes_per_s is None:
            each.tokens = 0.0
        each.limit_bytes_per_s = bytes_per_s

    def set_weight(self, name: PriorityClass, weight: int) -> None:
        """Give a class another share from now on."""
        check(weight > 0, "every class has a weight")
        self._classes[name].weight = weight

    def served(self) -> dict[PriorityClass, int]:
        """Cost handed out to each class since the start."""
        return {name: each.served_cost for name, each in self._classes.items()}

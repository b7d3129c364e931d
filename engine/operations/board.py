"""What the autoscaler last decided, for whoever shows it or holds back by it. Engine loop only."""

from __future__ import annotations

import datetime as dt
import math
from collections import deque

import msgspec

from engine.base.units import format_time
from engine.contract.scaling import DecisionRow
from engine.contract.status import AlertRow, AutoScaling
from engine.scaling.decisions import Decisions
from engine.scaling.facts import Decision, Manual, Policy, ScalerFacts, ScalerState
from engine.scaling.outlook import Outlook
from engine.scaling.pool import NodePool

DECISIONS_SHOWN = 10


class Board(msgspec.Struct):
    """The newest decision, and what it stands on. Without one nothing is held back."""

    state: ScalerState = ScalerState()
    facts: ScalerFacts | None = None
    policy: Policy = Policy()
    newest: Decision | None = None
    is_auto: bool = False  # it is carried out
    outlook: Outlook | None = None  # what is to come, as last forecast
    frozen_until: dt.datetime | None = None  # while many weddings are near
    nodes: NodePool | None = None  # machines that are brought and let go; None: the streams are the workers
    manual: Manual | None = None  # how many of those a person wants
    spent_month: float = 0.0  # what workers have cost this month
    held_since_ns: int | None = None  # since when upkeep that was due has been held back
    kept: Decisions | None = None  # in the home
    troubles: dict[str, tuple[int, str]] = msgspec.field(default_factory=dict)  # id → since when, and what
    recent: deque[DecisionRow] = msgspec.field(default_factory=lambda: deque(maxlen=DECISIONS_SHOWN))

    @property
    def holds_upkeep(self) -> bool:
        """Whether migration, scrub and prune are not to begin by themselves now."""
        is_full = self.is_auto and self.newest is not None and self.newest.tolerant_workers == 0
        return is_full or self.frozen_until is not None

    def may_do_upkeep(self, now_ns: int) -> bool:
        """Whether something that is due may begin by itself now; if not, it counts as held back from now on."""
        if not self.holds_upkeep:
            self.held_since_ns = None
        elif self.held_since_ns is None:
            self.held_since_ns = now_ns
        return not self.holds_upkeep

    def note_troubles(self, found: dict[str, str], now_ns: int) -> None:
        """What wants a person now, by id; what stood before stands since then."""
        self.troubles = {each: (self.troubles.get(each, (now_ns, ""))[0], words) for each, words in found.items()}

    def alerts(self) -> tuple[AlertRow, ...]:
        """What wants a person."""
        return tuple(
            AlertRow(id=f"scaling-{each}", level="warning", since_ns=since_ns, subject="scaling", message=words)
            for each, (since_ns, words) in self.troubles.items()
        )

    def shown(self, streams: AutoScaling) -> AutoScaling:
        """The streams as the status document has them, with what was decided of them."""
        if self.newest is None:
            return streams
        short = self.newest.state.shortfall
        return msgspec.structs.replace(
            streams,
            reason=self.newest.reason if self.is_auto else "",
            need_queue=self.newest.need.queue,
            need_forecast=self.newest.need.forecast,
            upkeep_held=self.holds_upkeep,
            shortfall_ns=short.when_ns if short is not None else None,
            shortfall_workers=short.workers if short is not None else 0,
            decisions=tuple(self.recent),
        )


def decision_row(decision: Decision, facts: ScalerFacts) -> DecisionRow:
    """A decision as it is kept and shown."""
    return DecisionRow(
        time_ns=decision.time_ns,
        workers=facts.current,
        target=decision.total,
        reserved=decision.target.get("reserved", 0),
        spot=decision.target.get("spot", 0),
        effective_ns=decision.effective_ns,
        need_queue=decision.need.queue,
        need_forecast=decision.need.forecast,
        reason=decision.reason,
        emergency=decision.emergency,
        ceiling_reached=decision.ceiling_reached,
        budget_reached=decision.budget_reached,
    )


def troubles_of(decision: Decision, policy: Policy, *, is_priced: bool) -> dict[str, str]:
    """What of a decision wants a person, by a word for it. `is_priced`: it is known what a worker costs."""
    found: dict[str, str] = {}
    short = decision.state.shortfall
    if short is not None:
        when = format_time(short.when_ns)[:16]
        found["ahead"] = (
            f"{short.workers} workers are forecast for {when}Z, and there may be {policy.most}: raise scaling.ceiling, "
            "or jobs will be late then"
        )
    if decision.ceiling_reached:
        found["ceiling"] = f"more than the {policy.most} workers that there may be are needed now: jobs will be late"
    if decision.budget_reached:
        found["budget"] = f"the month's {policy.budget_month:g} are spent: only what is urgent gets more workers"
    if policy.budget_month < math.inf and not is_priced:
        found["price"] = "scaling.budget_month cannot be kept: there is no price of a worker_hour (prices)"
    return found

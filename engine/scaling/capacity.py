"""How many nodes a rate takes, and what stops more: the arithmetic of measured figures. Pure.

A node's rate is the least of three: its cores by what one thread was measured to do through every stage of the road of
the bytes; its network by what leaves it; its disks by what it reads. A cluster's rate is nodes × that, and never more
than the store takes. The cores are told from measured seconds of a thread a byte, so a stage that waits (for a disk, or
for the interpreter's lock) counts as it was measured here.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from engine.base.invariants import check
from engine.base.units import format_bytes, format_rate

STAGE_BYTES_MIN = 64 << 20  # a stage that has seen less is not measured yet


@dataclass(frozen=True, slots=True)
class Machine:
    """A kind of node. Rates are bytes a second; None: not known, and so never the limit."""

    name: str
    cores: int
    network_bytes_per_s: float | None = None
    disk_bytes_per_s: float | None = None
    price_hour: float | None = None


@dataclass(frozen=True, slots=True)
class Measured:
    """What was measured here. `thread_s_per_byte` is by stage; a byte is one of the source."""

    thread_s_per_byte: Mapping[str, float]
    stored_share: float  # bytes that leave the node for each byte read, after dedup and compression
    store_bytes_per_s: float | None = None  # what the store may take, all nodes together; None: no limit is known

    @property
    def core_bytes_per_s(self) -> float:
        """Bytes a second of one thread that has a core to itself, through every stage."""
        total = sum(self.thread_s_per_byte.values())
        return 1.0 / total if total > 0 else 0.0

    @property
    def slowest_stage(self) -> str:
        """The stage that takes most of a thread's time."""
        return max(self.thread_s_per_byte, key=lambda stage: self.thread_s_per_byte[stage], default="")


@dataclass(frozen=True, slots=True)
class Limit:
    """One thing that bounds a node, in bytes of source a second."""

    resource: str  # cores | network | disk | store
    bytes_per_s: float
    arithmetic: str


@dataclass(frozen=True, slots=True)
class Plan:
    """Nodes of one kind for a rate. `nodes` is None where no number of them is enough."""

    machine: Machine
    nodes: int | None
    node_bytes_per_s: float
    limit: Limit  # what bounds a node, or the cluster where no number is enough
    limits: tuple[Limit, ...]
    price_hour: float | None  # of all nodes


def measured_of(stages: Mapping[str, tuple[float, int]], *, read: int, stored: int, store: float | None) -> Measured:
    """From counters: stage → (thread seconds, bytes), bytes read and stored since the start.

    A stage's seconds are spread over all bytes read: what was unchanged or known costs little, as it will again.
    Raises ValueError with a sentence while too little was measured.
    """
    if read < STAGE_BYTES_MIN:
        raise ValueError(f"only {format_bytes(read)} were backed up since the start, too little to measure by")
    per_byte = {stage: seconds / read for stage, (seconds, size_bytes) in stages.items() if size_bytes and seconds > 0}
    if not per_byte:
        raise ValueError("no stage was measured yet")
    return Measured(per_byte, stored / read, store)


def limits_of(machine: Machine, measured: Measured) -> tuple[Limit, ...]:
    """What bounds one node, the tightest first."""
    core = measured.core_bytes_per_s
    found = [
        Limit(
            "cores",
            core * machine.cores,
            f"{machine.cores} × {format_rate(core)} a core (most of it {measured.slowest_stage})",
        )
    ]
    if machine.network_bytes_per_s is not None and measured.stored_share > 0:
        rate = machine.network_bytes_per_s / measured.stored_share
        words = f"{format_rate(machine.network_bytes_per_s)} ÷ {measured.stored_share:.2f} stored of each byte read"
        found.append(Limit("network", rate, words))
    if machine.disk_bytes_per_s is not None:
        found.append(Limit("disk", machine.disk_bytes_per_s, "what its disks read"))
    return tuple(sorted(found, key=lambda limit: limit.bytes_per_s))


def plan(machine: Machine, measured: Measured, bytes_per_s: float) -> Plan:
    """How many of `machine` read and protect `bytes_per_s`. Linear in nodes: nothing but the store is shared."""
    check(bytes_per_s > 0, "a rate to plan for is more than nothing")
    limits = limits_of(machine, measured)
    node = limits[0].bytes_per_s
    store = _store_limit(measured)
    if node <= 0:
        return Plan(machine, None, 0.0, limits[0], limits, None)
    if store is not None and store.bytes_per_s < bytes_per_s:
        return Plan(machine, None, node, store, (*limits, store), None)
    nodes = math.ceil(bytes_per_s / node - 1e-9)
    price = machine.price_hour * nodes if machine.price_hour is not None else None
    return Plan(machine, nodes, node, limits[0], limits if store is None else (*limits, store), price)


def ranked(machines: Sequence[Machine], measured: Measured, size_bytes: int, deadline_s: float) -> list[Plan]:
    """Plans that protect `size_bytes` within the deadline: the cheapest first, those without a price behind."""
    plans = [plan(machine, measured, size_bytes / deadline_s) for machine in machines]
    return sorted(plans, key=lambda each: (each.nodes is None, each.price_hour is None, each.price_hour or 0.0))


def _store_limit(measured: Measured) -> Limit | None:
    if measured.store_bytes_per_s is None or measured.stored_share <= 0:
        return None
    rate = measured.store_bytes_per_s / measured.stored_share
    words = f"{format_rate(measured.store_bytes_per_s)} ÷ {measured.stored_share:.2f} stored of each byte read"
    return Limit("store", rate, words)

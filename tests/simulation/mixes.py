"""Random mixes of jobs: who asks for what at which moment, and what happens to it. SIMULATED work, from one seed."""

from __future__ import annotations

import math
import random
from dataclasses import dataclass, field
from typing import Literal

from engine.base.errors import IntegrityError, Unavailable
from engine.base.units import KIB, MIB
from engine.contract.status import JobKind
from engine.contract.weddings import JOB_CLASSES, PRIORITY_CLASSES, JobClass
from engine.jobs.figures import DEADLINES_S

LENGTH_S = 20.0  # in which jobs are asked for
_UNITS_MAX = 400  # of one mix

Deed = Literal["pause", "resume", "cancel", "prioritise"]


@dataclass(frozen=True, slots=True)
class Order:
    """One job that is asked for."""

    at_s: float
    wedding: int
    priority: JobClass
    kind: JobKind
    costs: tuple[int, ...]
    errors: tuple[tuple[int, Exception], ...] = ()
    repeats: int = -1  # the order that it asks the same as, if any


@dataclass(frozen=True, slots=True)
class Steering:
    """What somebody does to a job."""

    at_s: float
    order: int
    deed: Deed
    priority: JobClass = "standard"


@dataclass(frozen=True, slots=True)
class Setting:
    """A change of the streams, of a class's weight, or of its limit (None: lifted)."""

    at_s: float
    what: Literal["streams", "weight", "limit"]
    value: float | None
    priority: JobClass = "standard"


@dataclass(slots=True)
class Mix:
    """All that happens in one simulation."""

    seed: int
    streams: int
    cost_max: int  # of a unit
    bytes_per_s: float = 0.0  # of one stream
    jobs_active_max: int = 1600
    orders: list[Order] = field(default_factory=list)
    steerings: list[Steering] = field(default_factory=list)
    settings: list[Setting] = field(default_factory=list)


def make_mix(seed: int) -> Mix:
    """The mix of a seed."""
    chance = random.Random(seed)
    if chance.random() < 0.2:
        return _overrun(seed, chance)
    mix = Mix(
        seed=seed,
        streams=chance.randint(1, 8),
        cost_max=chance.choice([2, 8, 32]) * MIB,
        jobs_active_max=chance.choice([3, 8, 1600, 1600]),
    )
    weights = [chance.random() ** 3 + 0.02 for _ in JOB_CLASSES]
    bulk_share = chance.choice([0.02, 0.1, 0.3])
    is_burst = chance.random() < 0.3
    moment_s, units_left = 0.0, _UNITS_MAX
    for _ in range(chance.randint(3, 40)):
        moment_s += chance.expovariate(2.0 if not is_burst or chance.random() < 0.1 else 1000.0)
        costs = _costs(chance, bulk_share, mix.cost_max)[: max(1, units_left)]
        units_left -= len(costs)
        priority = chance.choices(JOB_CLASSES, weights)[0]
        order = Order(
            at_s=moment_s,
            wedding=chance.randrange(1 + chance.randrange(8)),
            priority=priority,
            kind=_kind(chance, priority),
            costs=tuple(costs),
            errors=_errors(chance, sum(costs)),
        )
        if mix.orders and chance.random() < 0.05:
            number = chance.randrange(len(mix.orders))
            before = mix.orders[number]
            order = Order(
                order.at_s, before.wedding, before.priority, before.kind, order.costs, order.errors,
                repeats=number if before.repeats < 0 else before.repeats,
            )  # fmt: skip
        mix.orders.append(order)
    total = sum(sum(order.costs) for order in mix.orders)
    mix.bytes_per_s = total / mix.streams / math.exp(chance.uniform(0.0, 5.0))  # all of it in 1 … 150 s
    _steer(mix, chance)
    _set(mix, chance)
    return mix


def _overrun(seed: int, chance: random.Random) -> Mix:
    """More of one class at once than its deadline allows, beside a little of everything."""
    mix = Mix(seed=seed, streams=chance.randint(1, 2), cost_max=2 * MIB)
    flooded = chance.choice(JOB_CLASSES)
    moment_s = 0.0
    for _ in range(30):
        moment_s += chance.random() * 0.02
        costs = tuple(chance.randint(1 * MIB, mix.cost_max) for _ in range(chance.randint(6, 14)))
        priority = flooded if chance.random() < 0.8 else chance.choice(JOB_CLASSES)
        kind: JobKind = "retrieve" if priority == "retrieval" else "backup"
        mix.orders.append(Order(moment_s, chance.randrange(8), priority, kind, costs))
    total = sum(sum(order.costs) for order in mix.orders)
    mix.bytes_per_s = total / mix.streams / (DEADLINES_S[flooded] * chance.uniform(1.5, 4.0))
    _steer(mix, chance)
    return mix


def _kind(chance: random.Random, priority: JobClass) -> JobKind:
    if priority == "retrieval":
        return "retrieve"
    return "backup" if chance.random() < 0.9 else "verify"


def _costs(chance: random.Random, bulk_share: float, cost_max: int) -> list[int]:
    """Costs of the units of one job: a small one, a card, or a bulk upload."""
    draw = chance.random()
    if draw < bulk_share:
        return [chance.randint(cost_max // 2, cost_max) for _ in range(chance.randint(30, 120))]
    if draw < 0.5:
        return [chance.randint(64 * KIB, cost_max)]
    return [chance.randint(1 * MIB, cost_max) for _ in range(chance.randint(1, 6))]


def _errors(chance: random.Random, total: int) -> tuple[tuple[int, Exception], ...]:
    """Costs served after which something goes wrong: the store does not answer for once or twice, or for good."""
    if chance.random() > 0.08:
        return ()
    if chance.random() < 0.2:
        return ((chance.randrange(total), IntegrityError("damaged")),)
    first = chance.randrange(total)
    return tuple((first, Unavailable("the store does not answer")) for _ in range(chance.randint(1, 3)))


def _steer(mix: Mix, chance: random.Random) -> None:
    for number, order in enumerate(mix.orders):
        if chance.random() > 0.15:
            continue
        moment_s = order.at_s + chance.expovariate(1.0)
        deed: Deed = chance.choice(["pause", "cancel", "prioritise", "prioritise"])
        classes: tuple[JobClass, ...] = JOB_CLASSES if order.kind == "retrieve" else PRIORITY_CLASSES
        mix.steerings.append(Steering(moment_s, number, deed, chance.choice(classes)))
        if deed == "pause":
            mix.steerings.append(Steering(moment_s + chance.expovariate(0.5), number, "resume"))


def _set(mix: Mix, chance: random.Random) -> None:
    if chance.random() < 0.3:
        for _ in range(chance.randint(1, 3)):
            mix.settings.append(Setting(chance.uniform(0, LENGTH_S), "streams", chance.randint(1, 8)))
    if chance.random() < 0.2:
        priority = chance.choice(JOB_CLASSES)
        mix.settings.append(Setting(chance.uniform(0, LENGTH_S), "weight", chance.randint(1, 100), priority))
    if chance.random() < 0.3:
        priority = chance.choice(JOB_CLASSES)
        moment_s = chance.uniform(0, LENGTH_S)
        mix.settings.append(Setting(moment_s, "limit", chance.uniform(0.1, 2.0) * mix.bytes_per_s, priority))
        if chance.random() < 0.5:
            mix.settings.append(Setting(moment_s + chance.uniform(0, 10), "limit", None, priority))

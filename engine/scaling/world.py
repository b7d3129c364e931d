"""SIMULATED: what the machines and jobs of a fleet are like, and what is recorded of them. Pure.

Every figure in `World` is an assumption with a name; nothing here was measured on a machine.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass, field

from engine.contract.cluster import NODE_CLASSES, NodeClass
from engine.contract.weddings import JobClass

FAR_SHARE = 0.7  # of the rate, to a source in another region
NOTICE_S = 120.0  # from the word that a spot node is taken until it is gone
ATTEMPTS_MAX = 100  # then a job has failed
OVERTIME_S = 86_400.0  # in which what is left at the end may be done
TOLERATED_S: Mapping[JobClass, float] = {
    "same-day": 900.0, "retrieval": 900.0, "next-day": 3_600.0, "standard": 14_400.0,
}  # fmt: skip


@dataclass(frozen=True, slots=True)
class World:
    """What the machines are like. Times in seconds, prices per node-hour."""

    regions: Mapping[str, float] = field(default_factory=lambda: {"east": 0.5, "west": 0.3, "south": 0.2})
    begin_ns: int = 0
    hours: int = 48
    tick_s: float = 15.0
    nodes_begin: int = 48
    boot_median_s: float = 28.0  # of a lognormal: machines from a warm image
    boot_spread: float = 0.25  # of its logarithm
    starts_per_s: float = 40.0  # that a region's provider accepts
    losses_hour: float = 0.002  # rate at which a spot node is taken away: forty times what providers tell
    wave: tuple[float, float] = (0.0, 0.0)  # moment, and share of the spot nodes that are taken then
    node_bytes_per_s: float = 20e6
    job_s: float = 1_200.0  # of one node, in the mean
    prices: Mapping[NodeClass, float] = field(default_factory=lambda: {"reserved": 0.256, "spot": 0.16})
    seed: int = 1

    @property
    def boot_p95_s(self) -> float:
        """What a scaler that has measured start-ups would know."""
        return self.boot_median_s * math.exp(1.6448536 * self.boot_spread) + 10.0


@dataclass(slots=True)
class FleetJob:
    """A job, and how far it is."""

    number: int
    at_s: float
    wedding: str
    priority: JobClass
    left_bytes: float
    region: str
    attempts: int = 0
    began_s: float = -1.0  # for the first time
    done_s: float = -1.0

    @property
    def id(self) -> str:
        """As the queue knows it."""
        return f"{self.number:08x}"


@dataclass(frozen=True, slots=True)
class Sample:
    """The fleet at a moment."""

    at_s: float
    target: int
    ready: int
    starting: int
    queued: int
    running: int


@dataclass(slots=True)
class FleetRecord:
    """What happened."""

    jobs: list[FleetJob]
    samples: list[Sample] = field(default_factory=list)
    ready_after_s: list[float] = field(default_factory=list)  # of each node, from the decision on
    node_hours: dict[NodeClass, float] = field(default_factory=lambda: dict.fromkeys(NODE_CLASSES, 0.0))
    lost_nodes: int = 0
    put_back: int = 0  # jobs that went on elsewhere
    changes: int = 0
    digest: str = ""

    @property
    def failed(self) -> int:
        """Jobs that did not end."""
        return sum(job.done_s < 0 for job in self.jobs)

    def waits_s(self) -> list[float]:
        """From each job's coming until it first began."""
        return [job.began_s - job.at_s for job in self.jobs if job.began_s >= 0]

    @property
    def late(self) -> int:
        """Jobs that waited longer than their class tolerates, or never began."""
        return sum(job.began_s < 0 or job.began_s - job.at_s > TOLERATED_S[job.priority] for job in self.jobs)

    def cost(self, world: World) -> float:
        """Money, by the prices of the world."""
        return sum(hours * world.prices[name] for name, hours in self.node_hours.items())

"""Regions for tests: in memory or in folders, each behind a faulty store that can be told to fail."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from engine.base.clock import FakeClock
from engine.base.errors import Unavailable
from engine.storage.distance import Allowed, Placing
from engine.storage.healing import Healer
from engine.storage.healqueue import HealQueue
from engine.storage.region import Region
from engine.storage.replicas import ReplicatedStore
from engine.storage.replication import Policy, Replication
from engine.storage.stores.breaker import REST_S
from engine.storage.stores.memory import MemoryObjects, MemoryStore
from tests.faults import Fail, FaultyStore, Method, Rule

NAMES = ("alpha", "beta", "gamma", "delta")
METHODS: tuple[Method, ...] = (
    "put", "stage", "append", "publish", "get", "read_into", "list", "folders", "stat", "delete", "space",
)  # fmt: skip


def everywhere(names: Sequence[str]) -> Placing:
    """Every object may lie in every region."""
    allowed = Allowed(tuple(names), tuple(names))
    return lambda name: allowed


@dataclass
class World:
    """Some regions' media, and the engines on them."""

    count: int = 3
    policy: Policy = field(default_factory=Policy)
    clock: FakeClock = field(default_factory=FakeClock)
    append_only: frozenset[str] = frozenset()
    queue_path: Path | None = None

    def __post_init__(self) -> None:
        self.names = NAMES[: self.count]
        self.media = {name: MemoryObjects() for name in self.names}
        self.doors: list[dict[str, FaultyStore]] = []
        self._opened: list[ReplicatedStore] = []

    def open(self) -> ReplicatedStore:
        """One more engine's store on these regions."""
        doors = {name: FaultyStore(MemoryStore(self.media[name])) for name in self.names}
        self.doors.append(doors)
        regions = [
            Region(name, lambda name=name: doors[name], self.clock, append_only=name in self.append_only)  # type: ignore[misc]
            for name in self.names
        ]
        shared = Replication(
            regions, everywhere(self.names), HealQueue(self.queue_path), self.clock, policy=self.policy
        )
        store = ReplicatedStore(shared)
        self._opened.append(store)
        return store

    def fail(self, name: str, *, after: bool = False) -> None:
        """A region is gone, for every engine."""
        for doors in self.doors:
            for method in METHODS:
                doors[name].add(Rule(method, Fail(Unavailable(f"{name} is gone"), after=after), times=None))

    def come_back(self, name: str) -> None:
        """It answers again, and whoever left it alone tries it once more."""
        for doors in self.doors:
            doors[name].heal()
        self.clock.advance(REST_S + 1)

    def held(self, name: str, prefix: str = "") -> dict[str, bytes]:
        """What a region really holds."""
        return {each: self.media[name].find(each)[0] for each in self.media[name].names() if each.startswith(prefix)}

    def close(self) -> None:
        """End all engines."""
        for store in self._opened:
            store.close()


def heal_all(store: ReplicatedStore) -> None:
    """Heal until nothing is left that can be, once what is on its way has arrived or failed."""
    assert store.shared.queue.is_quiet(30.0)
    healer = Healer(store)
    while healer.heal(100):
        pass


@contextlib.contextmanager
def world(count: int = 3, **options: object) -> Iterator[World]:
    """A world that is closed at the end."""
    made = World(count, **options)  # type: ignore[arg-type]
    try:
        yield made
    finally:
        made.close()

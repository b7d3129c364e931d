"""Regions against a model: whatever goes, comes back, rots, is lost or dies, what was acknowledged is read.

Two engines write to three regions in memory behind faulty stores, each with a healing queue on disk. In any order:
puts, packs, deletions, packs once more, a region that goes and comes back, copies that rot or are lost, healing,
engines that die.
"""

from __future__ import annotations

import tempfile
from pathlib import Path

from blake3 import blake3
from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, precondition, rule

from engine.base.errors import Conflict, NotFound, Unavailable
from engine.storage.healing import Healer
from engine.storage.replicas import ReplicatedStore
from tests.engine.storage.regions import World, heal_all
from tests.suites.object_store import names_in, pattern, publish

FOLDER = "weddings/" + "0f" * 16 + "/"
ENGINES = 2
regions = st.sampled_from(("alpha", "beta", "gamma"))
engines = st.integers(0, ENGINES - 1)
names = st.integers(1, 6).map(lambda number: f"{FOLDER}key/{number}")


class Regions(RuleBasedStateMachine):
    """The world, and what it must hold."""

    def __init__(self) -> None:
        super().__init__()
        self.folder = tempfile.TemporaryDirectory()
        self.world = World(3)
        self.kept: dict[str, bytes] = {}  # acknowledged
        self.unsure: dict[str, set[bytes]] = {}  # refused for want of regions: it may be there all the same
        self.gone: set[str] = set()
        self.away: str | None = None
        self.packs: dict[str, bytes] = {}  # all there ever were
        self.stores: list[ReplicatedStore] = []

    @initialize()
    def start(self) -> None:
        for number in range(ENGINES):
            self.stores.append(self._open(number))

    def _open(self, number: int) -> ReplicatedStore:
        self.world.queue_path = Path(self.folder.name) / f"{number}.db"
        store = self.world.open()
        if self.away:
            self.world.fail(self.away)
        return store

    def teardown(self) -> None:
        if self.away:
            self.come_back()
        for _ in range(2):
            for store in self.stores:
                heal_all(store)
                Healer(store).compare("")
        for name in self.kept:  # as a scrub that has read all of them would
            if "/packs/" in name:
                self.stores[0].shared.queue.owe(name, self.world.names, "copy", 0, on_the_way=False)
        for store in self.stores:
            heal_all(store)
        for name, data in self.kept.items():
            assert [region for region in self.world.names if self.world.held(region).get(name) != data] == [], name
        for region in self.world.names:
            assert not self.gone & set(self.world.held(region))
        self.world.close()
        self.folder.cleanup()

    # --- writing ---

    @rule(engine=engines, name=names, data=st.binary(min_size=1, max_size=8))
    def put(self, engine: int, name: str, data: bytes) -> None:
        if name in self.gone:
            return  # numbers are never used again
        try:
            self.stores[engine].put(name, data)
        except Conflict:
            assert name in self.kept or name in self.unsure
        except Unavailable:
            self.unsure.setdefault(name, set()).add(data)
        else:
            assert self.kept.get(name, data) == data  # nobody else was told so
            assert name not in self.kept or self.kept[name] == data
            self.kept[name] = data

    @rule(engine=engines)
    def publish(self, engine: int) -> None:
        data = pattern(4096, seed=len(self.packs) + 1)
        name = f"{FOLDER}packs/{blake3(data).hexdigest()}"
        publish(self.stores[engine], name, data)
        self.kept[name] = self.packs[name] = data

    @precondition(lambda self: any("/packs/" in name for name in self.gone))
    @rule(engine=engines, at=st.integers(0, 99))
    def publish_again(self, engine: int, at: int) -> None:
        """As a pack that is moved back to a tier that it has left."""
        packs = sorted(name for name in self.gone if "/packs/" in name)
        name = packs[at % len(packs)]
        publish(self.stores[engine], name, self.packs[name])
        self.gone.remove(name)
        self.kept[name] = self.packs[name]

    @precondition(lambda self: self.kept)
    @rule(engine=engines, at=st.integers(0, 99))
    def delete(self, engine: int, at: int) -> None:
        name = sorted(self.kept)[at % len(self.kept)]
        for store in self.stores:
            assert store.shared.queue.is_quiet(30.0)
        self.stores[engine].delete(name)
        del self.kept[name]
        self.unsure.pop(name, None)
        self.gone.add(name)

    # --- what befalls regions ---

    @precondition(lambda self: self.away is None)
    @rule(region=regions)
    def go_away(self, region: str) -> None:
        if all(self._is_elsewhere(name, region) for name in self.kept):
            self.world.fail(region)
            self.away = region

    @precondition(lambda self: self.away)
    @rule()
    def come_back(self) -> None:
        assert self.away is not None
        self.world.come_back(self.away)
        self.away = None

    @precondition(lambda self: any("/packs/" in name for name in self.kept))
    @rule(region=regions, at=st.integers(0, 99), rots=st.booleans())
    def spoil(self, region: str, at: int, rots: bool) -> None:
        """A copy of a pack rots or is lost, while another that can be read is good."""
        packs = sorted(name for name in self.kept if "/packs/" in name)
        name = packs[at % len(packs)]
        for store in self.stores:
            assert store.shared.queue.is_quiet(30.0)
        if region == self.away or not self._is_elsewhere(name, region) or name not in self.world.held(region):
            return
        self.world.media[region].remove(name)
        if rots:
            self.world.media[region].add(name, b"\xff" + self.kept[name][1:], 0)

    def _is_elsewhere(self, name: str, region: str) -> bool:
        others = [each for each in self.world.names if each not in (region, self.away)]
        return any(self.world.held(each).get(name) == self.kept[name] for each in others)

    @rule(engine=engines)
    def heal(self, engine: int) -> None:
        heal_all(self.stores[engine])

    @precondition(lambda self: self.away is None)
    @rule(engine=engines)
    def compare(self, engine: int) -> None:
        assert self.stores[engine].shared.queue.is_quiet(30.0)
        Healer(self.stores[engine]).compare("")

    @rule(engine=engines)
    def die(self, engine: int) -> None:
        """An engine ends, and another begins with its healing queue."""
        self.stores[engine].close()
        self.stores[engine] = self._open(engine)

    # --- what must hold ---

    @invariant()
    def everything_acknowledged_is_read(self) -> None:
        for store in self.stores:
            for name, data in self.kept.items():
                assert store.get(name, limit_bytes=len(data)) == data

    @invariant()
    def lists_hide_nothing_and_show_nothing_that_was_deleted(self) -> None:
        for store in self.stores:
            listed = set(names_in(store, FOLDER))
            assert self.kept.keys() <= listed
            assert not listed & self.gone
            for name in self.gone:
                if "/packs/" not in name:
                    try:
                        store.get(name, limit_bytes=99)
                    except (NotFound, Unavailable):
                        continue
                    raise AssertionError(f"{name} came back")


TestRegions = Regions.TestCase
TestRegions.settings = settings(
    max_examples=25, stateful_step_count=25, deadline=None, suppress_health_check=[HealthCheck.too_slow]
)

"""The scrub: oldest first, below its rate, and what is bad is told."""

from __future__ import annotations

from blake3 import blake3

from engine.base.clock import FakeClock
from engine.base.errors import Unavailable
from engine.storage.copycheck import CopyChecker
from engine.storage.locations import Copy, Locations
from engine.storage.scrub import Scrubber
from engine.storage.stores.memory import MemoryObjects, MemoryStore
from tests.faults import Fail, FaultyStore, Rule
from tests.suites.object_store import pattern

FOLDER = "weddings/" + "0f" * 16 + "/packs/"
PACK_BYTES = 8192
DAY_S = 86_400.0


class Scene:
    """Two places with the same packs, a catalog of them, and a scrub that keeps it."""

    def __init__(self, packs: int) -> None:
        self.clock = FakeClock()
        self.locations = Locations(None)
        self.media = {"hot/a": MemoryObjects(), "hot/b": MemoryObjects()}
        self.doors = {place: FaultyStore(MemoryStore(objects)) for place, objects in self.media.items()}
        self.names = []
        for seed in range(packs):
            data = pattern(PACK_BYTES, seed=seed)
            self.names.append(FOLDER + blake3(data).hexdigest())
            for place, objects in self.media.items():
                objects.add(self.names[-1], data, 0)
                self.locations.record(self.names[-1], Copy(place, PACK_BYTES, written_ns=1))
        self.told: list[tuple[str, str, str]] = []
        checker = CopyChecker(self.doors, self.locations, self.clock, self._found)
        self.scrubber = Scrubber(checker, self.locations, self.clock)
        assert self.scrub() == 0  # at the start nothing may be read yet

    def _found(self, name: str, copy: Copy) -> None:
        self.told.append((name, copy.place, copy.state))
        self.locations.record(name, copy)

    def spoil(self, place: str, name: str) -> None:
        """Turn a bit of one copy over."""
        data = bytearray(self.media[place].find(name)[0])
        data[100] ^= 1
        self.media[place].remove(name)
        self.media[place].add(name, bytes(data), 0)

    def scrub(self, bytes_per_s: float = 1e9) -> int:
        return self.scrubber.scrub(bytes_per_s=bytes_per_s, every_s=30 * DAY_S, rest_s=60.0)


def test_every_copy_of_every_place_is_read_once_in_its_time() -> None:
    scene = Scene(packs=5)
    scene.clock.advance(1)
    assert scene.scrub() == 10
    assert {(name, place) for name, place, _ in scene.told} == {
        (name, place) for name in scene.names for place in scene.media
    }
    scene.clock.advance(29 * DAY_S)
    assert scene.scrub() == 0
    scene.clock.advance(1 * DAY_S + 1)
    assert scene.scrub() == 10
    verified = {copy.verified_ns for name in scene.names for copy in scene.locations.copies(name)}
    assert verified == {scene.clock.now_ns() // 10**9 * 10**9}


def test_what_was_verified_longest_ago_comes_first() -> None:
    scene = Scene(packs=4)
    now_ns = scene.clock.now_ns()
    for age_days, name in zip((40, 90, 60, 31), scene.names, strict=True):
        scene.locations.record(name, Copy("hot/a", PACK_BYTES, verified_ns=now_ns - round(age_days * DAY_S * 1e9)))
        scene.locations.forget(name, "hot/b")
    scene.clock.advance(1)
    scene.scrub()
    assert [name for name, _, _ in scene.told] == [scene.names[at] for at in (1, 2, 0, 3)]


def test_it_reads_no_faster_than_it_may() -> None:
    scene = Scene(packs=50)
    seconds = 20
    for _ in range(seconds * 10):
        scene.clock.advance(0.1)
        scene.scrub(bytes_per_s=PACK_BYTES)
    assert seconds - 1 <= scene.scrubber.figures.copies <= seconds + 2


def test_a_copy_that_is_bad_or_gone_is_told_and_not_read_again() -> None:
    scene = Scene(packs=3)
    scene.spoil("hot/a", scene.names[0])
    scene.media["hot/b"].remove(scene.names[1])
    scene.clock.advance(1)
    scene.scrub()
    wrong = {entry for entry in scene.told if entry[2] != "good"}
    assert wrong == {(scene.names[0], "hot/a", "bad"), (scene.names[1], "hot/b", "missing")}
    assert scene.scrubber.figures.bad == 1
    scene.told.clear()
    scene.clock.advance(31 * DAY_S)
    scene.scrub()
    assert len(scene.told) == 4
    assert {state for _, _, state in scene.told} == {"good"}


def test_what_was_deleted_meanwhile_is_not_missed() -> None:
    scene = Scene(packs=1)
    for place, objects in scene.media.items():
        objects.remove(scene.names[0])
        if place == "hot/a":
            scene.scrubber.scrub(bytes_per_s=1e9, every_s=1.0, rest_s=60.0)  # looked it up before it was deleted
    scene.told.clear()
    scene.locations.forget(scene.names[0])
    scene.clock.advance(61)
    scene.scrub()
    assert scene.told == []


def test_a_place_that_does_not_answer_holds_nobody_up() -> None:
    scene = Scene(packs=3)
    scene.doors["hot/a"].add(Rule("stat", Fail(Unavailable("gone")), times=None))
    scene.clock.advance(1)
    scene.scrub()
    assert {place for _, place, _ in scene.told} == {"hot/b"}
    assert scene.scrubber.figures.problem == "gone"
    scene.doors["hot/a"].heal()
    scene.clock.advance(61)
    scene.scrub()
    assert {place for _, place, _ in scene.told} == {"hot/a", "hot/b"}


def test_ages_are_told_by_place() -> None:
    scene = Scene(packs=2)
    scene.clock.advance(1)
    assert scene.locations.ages(scene.clock.now_ns(), (3600,)) == {"hot/a": [0, 0, 2], "hot/b": [0, 0, 2]}
    scene.scrub()
    for place in scene.media:
        scene.locations.oldest_verified(place, 1)  # which learns the bound
    assert scene.locations.ages(scene.clock.now_ns(), (3600,)) == {"hot/a": [2, 0, 0], "hot/b": [2, 0, 0]}
    scene.clock.advance(3601)
    assert scene.locations.ages(scene.clock.now_ns(), (3600,)) == {"hot/a": [0, 2, 0], "hot/b": [0, 2, 0]}

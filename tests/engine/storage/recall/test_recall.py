"""Recalls: from moto's archive classes, by a robot's program, and where none is needed."""

from __future__ import annotations

import itertools
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from engine.base.clock import FakeClock
from engine.base.errors import NotPermitted, Unavailable
from engine.storage.recall.command import CommandRecall
from engine.storage.recall.driver import NoRecall, Offer, chosen
from engine.storage.recall.s3 import S3Restore, standing_of
from engine.storage.stores.memory import MemoryStore
from engine.storage.stores.open import open_store
from tests.s3_servers import S3Server
from tests.suites.object_store import pattern, publish
from tests.suites.recall_driver import NOWHERE, Place, RecallDriverSuite

PACK = f"weddings/{'0a' * 16}/packs/{'01' * 32}"
LOST = f"weddings/{'0a' * 16}/packs/{'ff' * 32}"
DATA = pattern(8192)
ROBOT = (sys.executable, str(Path(__file__).with_name("robot.py")))
_prefixes = (f"recall-{number}" for number in itertools.count())


@pytest.fixture(autouse=True)
def _keys(s3_keys: None, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("AWS_DEFAULT_REGION", "us-east-1")


class TestS3(RecallDriverSuite):
    """The archive classes of a bucket."""

    @pytest.fixture
    def place(self, moto: S3Server) -> Iterator[Place]:
        url = moto.url(next(_prefixes))
        store, driver = open_store(url, create=True), S3Restore(url, "GLACIER")
        publish(store, PACK, DATA)
        driver.archive(PACK)
        yield Place(driver, store, PACK, DATA)
        driver.close()
        store.close()

    def test_what_is_archived_is_refused_until_head_says_that_it_came(self, place: Place) -> None:
        assert place.standing() is not None
        assert place.standing().state == "archived"  # type: ignore[union-attr]
        with pytest.raises(Unavailable, match="archive class"):
            place.store.get(PACK, limit_bytes=len(DATA))
        assert place.standing(NOWHERE) is None


class TestCommand(RecallDriverSuite):
    """A program that speaks JSON lines."""

    @pytest.fixture
    def place(self) -> Iterator[Place]:
        store, driver = MemoryStore(), CommandRecall(ROBOT, FakeClock())
        publish(store, PACK, DATA)
        yield Place(driver, store, PACK, DATA)
        driver.close()
        store.close()


class TestNone(RecallDriverSuite):
    """A tier that is read at once."""

    @pytest.fixture
    def place(self) -> Iterator[Place]:
        store = MemoryStore()
        publish(store, PACK, DATA)
        yield Place(NoRecall(), store, PACK, DATA)
        store.close()


def _robot(*words: str) -> Iterator[tuple[CommandRecall, FakeClock]]:
    clock = FakeClock()
    driver = CommandRecall((*ROBOT, *words), clock)
    yield driver, clock
    driver.close()


@pytest.fixture
def slow() -> Iterator[tuple[CommandRecall, FakeClock]]:
    yield from _robot("slow")


@pytest.fixture
def quitting() -> Iterator[tuple[CommandRecall, FakeClock]]:
    yield from _robot("quit")


def test_a_robot_tells_how_long_it_still_takes_and_what_it_cannot_find(
    slow: tuple[CommandRecall, FakeClock],
) -> None:
    place = Place(slow[0], MemoryStore(), PACK, DATA)
    place.ask()
    assert place.await_state(lambda found: found is not None and found.eta_s is not None).eta_s == 90.0  # type: ignore[union-attr]
    slow[0].request([LOST], speed="", days=1)
    lost = Place(slow[0], MemoryStore(), LOST, DATA)
    found = lost.await_state(lambda found: found is not None and bool(found.problem))
    assert found is not None
    assert (found.state, found.problem) == ("archived", "the cartridge is not in the library")


def test_a_program_that_ended_is_started_again_and_asked_for_what_had_not_come(
    quitting: tuple[CommandRecall, FakeClock],
) -> None:
    """It ends after the first; the second is asked of the next one."""
    driver = quitting[0]
    first = Place(driver, MemoryStore(), PACK, DATA)
    first.ask()
    first.await_state(lambda found: found is not None and found.state == "readable")
    other = Place(driver, MemoryStore(), NOWHERE, DATA)
    for _ in range(50):  # the first one may still be ending: then it takes nothing, and is asked again
        try:
            other.ask()
        except Unavailable:
            continue
        if driver.standing([NOWHERE])[NOWHERE].state != "archived":
            break
    driver.request([PACK.replace("01", "02")], speed="", days=1)
    other.await_state(lambda found: found is not None and found.state == "readable")


def test_what_came_is_readable_for_its_days_only(quitting: tuple[CommandRecall, FakeClock]) -> None:
    driver, clock = quitting
    place = Place(driver, MemoryStore(), PACK, DATA)
    place.ask(days=2)
    place.await_state(lambda found: found is not None and found.state == "readable")
    clock.advance(2 * 86_400.0)
    assert place.standing().state == "archived"  # type: ignore[union-attr]


def test_a_program_that_is_not_there_is_said_in_one_line() -> None:
    with pytest.raises(NotPermitted, match="cannot be run"):
        CommandRecall(("/nowhere/robot",), FakeClock()).request([PACK], speed="", days=1)


@pytest.mark.parametrize(
    ("head", "state"),
    [
        ({}, "readable"),
        ({"StorageClass": "STANDARD_IA"}, "readable"),
        ({"StorageClass": "GLACIER"}, "archived"),
        ({"StorageClass": "DEEP_ARCHIVE", "Restore": 'ongoing-request="true"'}, "coming"),
        ({"StorageClass": "GLACIER", "Restore": 'ongoing-request="false", expiry-date="x"'}, "readable"),
    ],
)
def test_head_alone_says_how_far_a_restore_is(head: dict[str, str], state: str) -> None:
    assert standing_of(head).state == state


SPEEDS = (Offer("bulk", 43_200.0), Offer("standard", 18_000.0), Offer("expedited", 300.0, expedited=True))


@pytest.mark.parametrize(
    ("objective_h", "speed", "kept"),
    [(24, "bulk", True), (6, "standard", True), (4, "expedited", True), (0.05, "expedited", False)],
)
def test_a_dearer_speed_is_taken_only_where_the_objective_asks_for_it(
    objective_h: float, speed: str, kept: bool
) -> None:
    offer, meets = chosen(SPEEDS, objective_h * 3600)
    assert (offer.speed, meets) == (speed, kept)
    assert chosen((Offer("", None),), 3600.0) == (Offer("", None), False)

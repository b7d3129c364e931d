"""What is being recalled is asked for once, whoever wants it, and each recall ends when its own packs are there."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import pytest

from engine.base.clock import FakeClock
from engine.base.errors import Unavailable
from engine.contract.settings import Settings
from engine.contract.tiers import TIERS, Tier, TierSettings, TiersSettings
from engine.operations import recalling
from engine.operations.recalling import NOTHING_NEEDED, Need, Recalls
from engine.storage.locations import Locations, pack_name
from engine.storage.recall.driver import NoRecall, Offer, RecallDriver, RecallState, Standing
from engine.storage.stores.metered import Meter

PACKS = {pack_name("0a" * 16, bytes([number]) * 32): 4096 for number in range(3)}
NAMES = list(PACKS)


class Shelf:
    """A driver that writes down what it is asked for."""

    offers = (Offer("bulk", 7200.0), Offer("fast", 60.0, expedited=True))

    def __init__(self) -> None:
        self.asked: list[tuple[tuple[str, ...], str]] = []
        self.readable: set[str] = set()
        self.refuses = False

    def request(self, names: Sequence[str], *, speed: str, days: int) -> None:
        """See `RecallDriver.request`."""
        if self.refuses:
            raise Unavailable("the shelf is locked")
        self.asked.append((tuple(names), speed))

    def standing(self, names: Sequence[str]) -> Mapping[str, Standing]:
        """See `RecallDriver.standing`."""
        return {name: Standing(self._state(name)) for name in names}

    def _state(self, name: str) -> RecallState:
        return "readable" if name in self.readable else "coming"

    def archive(self, name: str) -> None:
        """See `RecallDriver.archive`."""

    def close(self) -> None:
        """See `RecallDriver.close`."""


@pytest.fixture
def shelf(monkeypatch: pytest.MonkeyPatch) -> Shelf:
    made = Shelf()
    drivers: dict[Tier, RecallDriver] = {"hot": NoRecall(), "warm": NoRecall(), "cold": made}
    monkeypatch.setattr(recalling, "open_drivers", lambda tiers, clock: drivers)
    return made


@pytest.fixture
def meters() -> dict[Tier, Meter]:
    clock = FakeClock()
    return {tier: Meter(clock) for tier in TIERS}


@pytest.fixture
def recalls(shelf: Shelf, meters: dict[Tier, Meter]) -> Recalls:
    cold = TierSettings(url="memory://cold", recall="s3-restore")
    settings = Settings(tiers=TiersSettings(cold=cold))
    locations = Locations(None)
    clock = meters["cold"]._clock
    return Recalls(lambda: locations, clock, lambda: settings, meters)


def need_of(*names: str, speed: str = "bulk") -> Need:
    return Need({"cold": {name: PACKS[name] for name in names}}, 0, speed, 0.0, 0.0, True)


def test_two_jobs_that_want_the_same_packs_ask_once(recalls: Recalls, shelf: Shelf) -> None:
    recalls.begin("smith-jones", need_of(*NAMES[:2]))
    recalls.begin("smith-jones", need_of(*NAMES))
    recalls.begin("smith-jones", need_of(*NAMES))
    assert shelf.asked == [(tuple(NAMES[:2]), "bulk"), ((NAMES[2],), "bulk")]
    assert [row.packs_total for row in recalls.rows()] == [2, 1]
    recalls.begin("smith-jones", NOTHING_NEEDED)
    assert len(shelf.asked) == 2


def test_what_is_on_its_way_is_asked_for_again_at_another_speed(recalls: Recalls, shelf: Shelf) -> None:
    recalls.begin("smith-jones", need_of(NAMES[0]))
    recalls.begin("smith-jones", need_of(NAMES[0], speed="fast"))
    recalls.begin("smith-jones", need_of(NAMES[0], speed="fast"))
    assert shelf.asked == [((NAMES[0],), "bulk"), ((NAMES[0],), "fast")]


def test_what_was_refused_is_waited_for_by_nobody_and_asked_for_again(recalls: Recalls, shelf: Shelf) -> None:
    shelf.refuses = True
    with pytest.raises(Unavailable):
        recalls.begin("smith-jones", need_of(NAMES[0]))
    assert recalls.is_ready(NAMES[0])
    shelf.refuses = False
    recalls.begin("smith-jones", need_of(NAMES[0]))
    assert not recalls.is_ready(NAMES[0])


def test_a_recall_ends_when_its_own_packs_are_there(recalls: Recalls, shelf: Shelf) -> None:
    recalls.begin("smith-jones", need_of(NAMES[0]))
    recalls.begin("smith-jones", need_of(NAMES[1]))
    first, second = recalls._recalls
    shelf.readable = {NAMES[1]}
    recalls.poll()
    assert recalls._recalls == [first] != [second]
    assert list(map(recalls.is_ready, NAMES[:2])) == [False, True]
    shelf.readable = set(NAMES)
    recalls.poll()
    assert recalls.rows() == ()
    assert all(map(recalls.is_ready, NAMES))


def test_the_limit_of_a_tier_holds_recalls_and_never_who_waits(
    recalls: Recalls, shelf: Shelf, meters: dict[Tier, Meter]
) -> None:
    """One pack a second at this limit; a retrieval that needs the last of them asks at once, and nobody asks twice."""
    clock = meters["cold"]._clock
    assert isinstance(clock, FakeClock)
    meters["cold"].set_limit(PACKS[NAMES[0]])
    clock.advance(1)
    recalls.begin("smith-jones", need_of(*NAMES), held=True)
    assert shelf.asked == [((NAMES[0],), "bulk")]
    assert not any(map(recalls.is_ready, NAMES))
    assert not recalls._unasked()
    recalls.begin("smith-jones", need_of(NAMES[2]))
    assert shelf.asked[1:] == [((NAMES[2],), "bulk")]
    clock.advance(1)
    assert recalls.is_time()
    recalls.tend()
    assert shelf.asked[2:] == [((NAMES[1],), "bulk")]
    clock.advance(60)
    recalls.tend()
    assert len(shelf.asked) == 3

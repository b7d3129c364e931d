"""What every `RecallDriver` promises. A test class derives from `RecallDriverSuite` and gives a driver and a pack."""

from __future__ import annotations

import time
from collections.abc import Callable

import pytest

from engine.storage.recall.driver import RecallDriver, Standing
from engine.storage.stores.store import ObjectStore

ANSWER_S = 30.0
NOWHERE = f"weddings/{'0e' * 16}/packs/{'09' * 32}"


class Place:
    """A driver, the store it brings packs back in, and a pack that was put there and archived."""

    def __init__(self, driver: RecallDriver, store: ObjectStore, pack: str, data: bytes) -> None:
        self.driver = driver
        self.store = store
        self.pack = pack
        self.data = data

    def standing(self, name: str = "") -> Standing | None:
        """How far a pack is."""
        return self.driver.standing([name or self.pack]).get(name or self.pack)

    def ask(self, days: int = 2) -> None:
        """Ask for the pack at the first speed there is."""
        self.driver.request([self.pack], speed=self.driver.offers[0].speed, days=days)

    def await_state(self, holds: Callable[[Standing | None], bool]) -> Standing | None:
        """Look again and again until a standing is as it should be."""
        deadline_s = time.monotonic() + ANSWER_S
        while not holds(found := self.standing()) and time.monotonic() < deadline_s:
            time.sleep(0.01)
        assert holds(found), found
        return found


class RecallDriverSuite:
    """The promises, one test each."""

    @pytest.fixture
    def place(self) -> Place:
        """Say what is recalled, and how."""
        raise NotImplementedError

    def test_what_was_asked_for_becomes_readable_and_is_what_it_was(self, place: Place) -> None:
        place.ask()
        place.await_state(lambda found: found is not None and found.state == "readable")
        assert place.store.get(place.pack, limit_bytes=len(place.data)) == place.data

    def test_asked_twice_is_asked_once(self, place: Place) -> None:
        place.ask()
        place.ask()
        place.await_state(lambda found: found is not None and found.state == "readable")
        place.ask()
        found = place.standing()
        assert found is not None
        assert found.state == "readable"

    def test_offers_come_the_cheapest_first_and_the_expedited_last(self, place: Place) -> None:
        offers = place.driver.offers
        assert offers
        assert [offer.expedited for offer in offers] == sorted(offer.expedited for offer in offers)

    def test_archiving_twice_is_archiving_once(self, place: Place) -> None:
        place.driver.archive(place.pack)
        place.driver.archive(place.pack)
        place.ask()
        place.await_state(lambda found: found is not None and found.state == "readable")

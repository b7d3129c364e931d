"""What a wedding asks for is learned from those that are over; before, it is assumed."""

from __future__ import annotations

import numpy as np
import pytest

from engine.scaling.bookings import DEMAND_HOURS, Held, Traits
from engine.scaling.profiles import asked_for, assumed_curve, learned


def test_before_any_wedding_is_over_all_is_assumed() -> None:
    profiles = learned([])
    assert profiles.weddings == 0
    assert profiles.jobs.curve.sum() == pytest.approx(1.0)
    assert profiles.size_bytes.expected(Traits(photographers=4)) == 2 * profiles.size_bytes.expected(Traits())


def test_size_follows_guests_photographers_and_package() -> None:
    chance = np.random.default_rng(1)
    held = []
    for _ in range(400):
        traits = Traits(
            int(chance.integers(30, 300)), int(chance.integers(1, 4)), str(chance.choice(["gold", "plain"]))
        )
        size = 1e9 * traits.guests**0.5 * traits.photographers * (2 if traits.package == "gold" else 1)
        held.append(Held(traits, {14: 8.0}, {14: size * float(chance.lognormal(-0.32, 0.8))}))
    expected = learned(held).size_bytes.expected
    assert expected(Traits(100, 2, "gold")) == pytest.approx(1e9 * 10 * 2 * 2, rel=0.2)
    assert expected(Traits(100, 2, "plain")) == pytest.approx(1e9 * 10 * 2, rel=0.2)
    assert expected(Traits(100, 3, "plain")) / expected(Traits(100, 1, "plain")) == pytest.approx(3, rel=0.2)


def test_the_curve_is_that_of_the_weddings_and_of_few_partly_the_assumed_one() -> None:
    many = learned([Held(Traits(), {20: 6.0, 50: 2.0}, {})] * 990).jobs.curve
    assert many[20] == pytest.approx(0.75, abs=0.01)
    assert many[50] == pytest.approx(0.25, abs=0.01)
    few = learned([Held(Traits(), {20: 6.0, 50: 2.0}, {})]).jobs.curve
    assert few[20] < 0.2
    assert few.sum() == pytest.approx(1.0)
    assert len(few) == DEMAND_HOURS


def test_weddings_ask_hour_by_hour_after_their_midnights() -> None:
    midnights = np.zeros(24 * 20)
    midnights[24] = 10.0
    asked = asked_for(midnights, assumed_curve())
    assert asked[:24].sum() == 0.0
    assert asked.sum() == pytest.approx(10.0)
    assert asked[24 + 12 : 24 + 23].sum() == pytest.approx(2.5)  # during the day

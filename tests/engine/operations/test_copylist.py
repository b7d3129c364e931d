"""What `copies` counts."""

from __future__ import annotations

from engine.operations import copylist
from engine.storage.locations import Copy

PLACES = ("hot/london", "hot/paris", "warm/london", "warm/paris")


def test_two_tiers_of_one_region_hold_one_copy() -> None:
    """A fire in London takes both."""
    found = (Copy("hot/london", 4096), Copy("warm/london", 4096)), (Copy("hot/london", 4096), Copy("warm/paris", 4096))
    counted = copylist._counted(((f"pack-{n}", copies) for n, copies in enumerate(found)), 2, PLACES)
    assert (counted.packs, counted.fewest, counted.short) == (2, 1, 1)
    assert {place: row.packs for place, row in counted.places.items()} == dict(zip(PLACES, (2, 0, 1, 1), strict=True))

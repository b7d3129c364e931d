"""A prune and a migration over two regions of two tiers: a seeded sample of kills; `make crash` takes them all."""

from __future__ import annotations

import random
from pathlib import Path

import pytest

from tests.crash import spread

SEED = 20261125
KILLS = 2  # of each work; each is looked at as killed, after a power cut, and after one by chance


@pytest.mark.parametrize("name", spread.WORKS)
def test_a_kill_at_a_change_to_any_store_loses_nothing_and_the_work_comes_to_its_end(name: str, folder: Path) -> None:
    base, boundaries = spread.made(name, folder)
    places = {boundary.split()[1].rpartition("/weddings")[0] for boundary in boundaries if "/weddings/" in boundary}
    assert places == {f"{tier}/{region}" for tier in spread.USED for region in spread.NAMES}
    killed = 0
    for seed, boundary in enumerate(random.Random(SEED).sample(boundaries, KILLS)):
        is_killed, found = spread.killed_at(base, name, boundary, seed)
        killed += is_killed
        for ground in found:
            spread.examine(ground, name)
    assert killed > 0

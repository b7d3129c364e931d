"""Near hashes: what the bands find is what comparing all with all finds."""

from __future__ import annotations

import random

from hypothesis import given
from hypothesis import strategies as st

from engine.pipeline.alike import groups_of


def _by_comparing_all(hashes: list[int], distance: int) -> set[frozenset[int]]:
    """Connected parts, by the book."""
    parts = [{place} for place in range(len(hashes))]
    for one in range(len(hashes)):
        for other in range(one):
            if (hashes[one] ^ hashes[other]).bit_count() <= distance:
                first = next(part for part in parts if one in part)
                second = next(part for part in parts if other in part)
                if first is not second:
                    parts.remove(second)
                    first |= second
    return {frozenset(part) for part in parts if len(part) > 1}


@given(st.integers(0, 16), st.lists(st.integers(0, 3), max_size=30), st.integers(0, 2**32))
def test_no_near_pair_is_missed_and_no_far_one_joined(distance: int, families: list[int], seed: int) -> None:
    """Families of hashes, each some bits away from its head, about as many as may differ."""
    chance = random.Random(seed)
    heads = [chance.getrandbits(64) for _ in range(4)]
    hashes = [heads[family] for family in families]
    for place in range(len(hashes)):
        for bit in chance.sample(range(64), chance.randint(0, distance + 1)):
            hashes[place] ^= 1 << bit
    assert {frozenset(group) for group in groups_of(hashes, distance)} == _by_comparing_all(hashes, distance)


def test_groups_are_told_in_order() -> None:
    """The largest first, places as they came: the same input gives the same words."""
    assert groups_of([0, 2**64 - 1, 1, 2**63, 2**64 - 2, 3], 1) == [[0, 2, 3, 5], [1, 4]]
    assert groups_of([], 5) == groups_of([7], 5) == []

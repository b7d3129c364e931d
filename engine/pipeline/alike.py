"""Which of many 64-bit hashes are near each other. Pure.

Two hashes that differ in at most d bits are equal in at least one of d + 1 bands (pigeonhole), so only hashes with a
band in common are compared. What is near is joined, and so is what is near to that (Tarjan 1975, union-find).
"""

from __future__ import annotations

from collections.abc import Sequence

from engine.base.invariants import check

BITS = 64


def groups_of(hashes: Sequence[int], distance: int) -> list[list[int]]:
    """Places of hashes that are near another, group by group, each in order; the largest group first."""
    check(0 <= distance < BITS, "a distance is of fewer bits than there are")
    heads = list(range(len(hashes)))
    edges = [BITS * band // (distance + 1) for band in range(distance + 2)]
    for low, high in zip(edges, edges[1:], strict=False):
        mask = (1 << (high - low)) - 1
        buckets: dict[int, list[int]] = {}
        for place, value in enumerate(hashes):
            buckets.setdefault(value >> low & mask, []).append(place)
        for bucket in buckets.values():
            _join_near(bucket, hashes, distance, heads)
    found: dict[int, list[int]] = {}
    for place in range(len(hashes)):
        found.setdefault(_head(heads, place), []).append(place)
    return sorted((group for group in found.values() if len(group) > 1), key=lambda group: (-len(group), group))


def _join_near(bucket: list[int], hashes: Sequence[int], distance: int, heads: list[int]) -> None:
    for at, place in enumerate(bucket):
        value = hashes[place]
        for other in bucket[:at]:
            if (value ^ hashes[other]).bit_count() <= distance:
                first, second = _head(heads, place), _head(heads, other)
                heads[max(first, second)] = min(first, second)


def _head(heads: list[int], place: int) -> int:
    while heads[place] != place:
        heads[place] = heads[heads[place]]
        place = heads[place]
    return place

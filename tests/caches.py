"""Caches to compare with, on a trace of numbers: each is told how many it may keep, and gives its hits."""

from __future__ import annotations

import bisect
import heapq
import itertools
import random
from collections import OrderedDict


def zipf_trace(objects: int, exponent: float, reads: int, *, chance: random.Random) -> list[int]:
    """Independent reads of objects; the k-th, from 0, has a share in proportion to (k + 1)^-`exponent`."""
    heights = list(itertools.accumulate((rank + 1) ** -exponent for rank in range(objects)))
    return [bisect.bisect_left(heights, chance.random() * heights[-1]) for _ in range(reads)]


def lru_hits(trace: list[int], room: int) -> int:
    """Of a cache that lets go of what was read longest ago."""
    kept: OrderedDict[int, None] = OrderedDict()
    hits = 0
    for number in trace:
        if number in kept:
            kept.move_to_end(number)
            hits += 1
            continue
        kept[number] = None
        if len(kept) > room:
            kept.popitem(last=False)
    return hits


def belady_hits(trace: list[int], room: int) -> int:
    """Of a cache that knows what comes (Belady's MIN, 1966: lets go of what is wanted latest): the most of all."""
    following, seen = [0] * len(trace), dict.fromkeys(trace, len(trace))
    for at in range(len(trace) - 1, -1, -1):
        following[at], seen[trace[at]] = seen[trace[at]], at
    kept: dict[int, int] = {}  # object → when it is wanted next
    latest: list[tuple[int, int]] = []  # a heap by that, which also holds what is out of date
    hits = 0
    for number, wanted_at in zip(trace, following, strict=True):
        if number in kept:
            hits += 1
        elif len(kept) >= room:
            while kept.get(latest[0][1]) != -latest[0][0]:
                heapq.heappop(latest)
            if -latest[0][0] <= wanted_at:
                continue  # the new one is wanted latest: it is not kept
            del kept[heapq.heappop(latest)[1]]
        kept[number] = wanted_at
        heapq.heappush(latest, (-wanted_at, number))
    return hits

"""What a wedding asks for, and when: learned from the weddings that are over. Pure.

In: of each wedding that is over, its guests, photographers and package, and its demand by hour since the midnight its
day began with, in its own time. Out: what is expected of one to come, and how that arrives. Any thread.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from engine.scaling.bookings import DEMAND_HOURS, Held, Traits
from engine.scaling.regression import TINY, Floats, poisson

PACKAGES_MAX = 20  # the most frequent ones have a factor of their own
_DOUBT = 10.0  # weddings' worth of the curve below, until there are many
_USUAL_GUESTS = 100.0
_USUAL_BYTES = 60e9  # ASSUMED while no wedding is over: two photographers, some 2,000 raw files
_USUAL_JOBS = 8.0

# ASSUMED while few weddings are over: during the day, the night after, the photographer's upload days later.
_ASSUMED = ((12, 23, 0.25), (23, 34, 0.40), (2 * 24 + 9, 2 * 24 + 20, 0.15), (4 * 24 + 9, 4 * 24 + 20, 0.20))


class Profile:
    """What one kind of demand, jobs or bytes, is like."""

    def __init__(self, held: Sequence[tuple[Traits, Mapping[int, float]]], usual: float) -> None:
        """`usual` is expected of a wedding while none is over."""
        table = np.zeros((len(held), DEMAND_HOURS))
        for row, (_, hours) in enumerate(held):
            for hour, amount in hours.items():
                if 0 <= hour < DEMAND_HOURS:
                    table[row, hour] += amount
        totals = table.sum(axis=1)
        shares = table / np.maximum(totals, TINY)[:, None]  # each wedding counts the same, whatever its size
        seen = float((totals > 0).sum())
        self.curve: Floats = (shares.sum(axis=0) + _DOUBT * assumed_curve()) / (seen + _DOUBT)
        packages = [traits.package for traits, _ in held]
        known = sorted(set(packages) - {""}, key=lambda name: (-packages.count(name), name))
        self._packages = known[:PACKAGES_MAX]
        self._usual = usual
        self._fit = None
        if seen:
            features = np.array([self._features(traits) for traits, _ in held])
            self._fit = poisson(features, totals)

    def expected(self, traits: Traits) -> float:
        """Of a wedding like this, over all its days. What its traits lead to is held within a tenth and ten times."""
        if self._fit is None:
            return self._usual * max(1, traits.photographers) / 2 if traits.photographers else self._usual
        features = np.array([self._features(Traits()), self._features(traits)])
        plain, own = self._fit.mean(features)
        return float(np.clip(own, plain / 10, plain * 10))

    def _features(self, traits: Traits) -> list[float]:
        guests = math.log(traits.guests / _USUAL_GUESTS) if traits.guests > 0 else 0.0
        crew = math.log(traits.photographers / 2) if traits.photographers > 0 else 0.0
        return [1.0, guests, crew, *(float(traits.package == name) for name in self._packages)]


@dataclass(frozen=True, slots=True)
class Profiles:
    """What weddings ask for in jobs and in bytes, and how many it was learned from."""

    jobs: Profile
    size_bytes: Profile
    weddings: int


def learned(held: Sequence[Held]) -> Profiles:
    """What the weddings that are over tell of those to come."""
    jobs = Profile([(each.traits, each.jobs) for each in held], _USUAL_JOBS)
    return Profiles(jobs, Profile([(each.traits, each.size_bytes) for each in held], _USUAL_BYTES), len(held))


def assumed_curve() -> Floats:
    """The share of each hour since the wedding's day began, before any wedding is over."""
    curve = np.zeros(DEMAND_HOURS)
    for begin, end, share in _ASSUMED:
        curve[begin:end] += share / (end - begin)
    return curve


def asked_for(midnights: Floats, curve: Floats) -> Floats:
    """By hour: what weddings ask for whose days begin in these hours, each entry the demand of those of that hour."""
    return np.asarray(np.convolve(midnights, curve)[: len(midnights)])

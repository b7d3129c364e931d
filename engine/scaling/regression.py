"""Least squares for counts: Poisson regression, non-negative weights, and bands from past errors. Pure.

In and out: numpy arrays. Nothing here knows of days or weddings.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float64]

TINY = 1e-9
_STEPS_MAX = 25
_ENOUGH = 1e-8
_ETA_MAX = 30.0  # exp of more is no forecast
_RIDGE = 0.3  # rows' worth of doubt that a column matters; 0.1 and 1 are no better by more than 0.1 points


@dataclass(frozen=True, slots=True)
class PoissonFit:
    """Coefficients of a Poisson regression with logarithmic link, and what each row would be without itself."""

    coefficients: Floats
    without_itself: Floats

    def mean(self, features: Floats) -> Floats:
        """What is expected for these rows."""
        return _mean(features, self.coefficients)


def _mean(features: Floats, coefficients: Floats) -> Floats:
    return np.asarray(np.exp(np.clip(features @ coefficients, -_ETA_MAX, _ETA_MAX)))


def poisson(features: Floats, counts: Floats) -> PoissonFit:
    """Poisson regression by iteratively reweighted least squares (McCullagh & Nelder, Generalized Linear Models, 2.5).

    The first column is the constant. `counts` need not be whole: only their mean follows the model. A small ridge
    keeps columns apart that say the same.
    """
    scale = max(float(counts.mean()), TINY)
    counts = counts / scale
    ridge = np.full(features.shape[1], _RIDGE)
    ridge[0] = TINY
    coefficients = np.zeros(features.shape[1])
    mean, inverse = _mean(features, coefficients), np.diag(ridge)
    for _ in range(_STEPS_MAX):
        inverse = np.linalg.inv(features.T @ (features * mean[:, None]) + np.diag(ridge))
        step = inverse @ (features.T @ (counts - mean) - ridge * coefficients)
        size = float(np.abs(step).max())
        coefficients = coefficients + step * min(1.0, 3.0 / max(size, TINY))  # by more than e³ at once is a jump
        mean = _mean(features, coefficients)
        if size < _ENOUGH:
            break
    # Each row's fit had the row not been there: one step of Newton back (Pregibon, Annals of Statistics 9, 1981).
    leverage = np.clip(mean * np.sum((features @ inverse) * features, axis=1), 0.0, 0.9)
    pull = leverage / (1.0 - leverage) * (counts - mean) / np.maximum(mean, TINY)
    coefficients[0] += np.log(scale)
    return PoissonFit(coefficients, mean * np.exp(-np.clip(pull, -1.0, 1.0)) * scale)


def non_negative_pair(first: Floats, second: Floats, target: Floats, *, weights: Floats) -> tuple[float, float]:
    """`a, b ≥ 0` with `a · first + b · second` nearest to `target`, by weighted least squares."""
    aa, bb = float(weights @ first**2), float(weights @ second**2)
    at, bt = float(weights @ (first * target)), float(weights @ (second * target))
    ab = float(weights @ (first * second))
    determinant = aa * bb - ab * ab
    if determinant > 1e-12 * aa * bb:
        a, b = (at * bb - bt * ab) / determinant, (bt * aa - at * ab) / determinant
        if a >= 0 and b >= 0:
            return a, b
    only_first = max(at, 0.0) / aa if aa > 0 else 0.0
    only_second = max(bt, 0.0) / bb if bb > 0 else 0.0
    return (only_first, 0.0) if only_first * at > only_second * bt else (0.0, only_second)


@dataclass(frozen=True, slots=True)
class Prediction:
    """What is expected of rows to come, and how far off such expectations were."""

    mean: Floats  # a row a day or month, a column a step of it
    spread: Floats  # of the same shape: one unit of score
    scores: Floats  # past errors in such units, rising
    booked_share: float = 0.0  # of the expected demand, what stands on bookings that are known

    def quantile(self, level: float) -> Floats:
        """What is not exceeded with probability `level`, 0 < level < 1.

        Split conformal prediction with its finite-sample correction (Lei et al., JASA 113, 2018), each side by itself.
        """
        count = len(self.scores)
        rank = level * (count + 1) - (0 if level >= 0.5 else 1)
        place = rank - 1 if level >= 0.5 else rank
        score = float(np.interp(place, np.arange(count), self.scores))
        return np.maximum(self.mean + score * self.spread, 0.0)


def banded(mean: Floats, *, expected: Floats, actual: Floats, booked_share: float = 0.0) -> Prediction:
    """`mean` with bands as wide as what was `expected` in the past was off from what was `actual`.

    The variance of a count around its mean is taken as `φ · mean + ψ · mean²`: what falls out by chance, and what
    moves whole days.
    """
    floor = max(float(expected.mean()) * 1e-3, TINY)
    past = np.maximum(expected, floor)
    squares = (actual - expected) ** 2
    weights = 1.0 / (past**2 * (1.0 + (past / max(float(past.mean()), TINY)) ** 2))
    linear, square = non_negative_pair(past.ravel(), past.ravel() ** 2, squares.ravel(), weights=weights.ravel())
    if linear + square == 0.0:
        linear = TINY

    def spread(at: Floats) -> Floats:
        at = np.maximum(at, floor)
        return np.sqrt(linear * at + square * at**2)

    return Prediction(mean, spread(mean), np.sort(((actual - expected) / spread(expected)).ravel()), booked_share)

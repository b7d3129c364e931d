"""Counts are regressed, pairs of weights stay above zero, bands hold what they promise."""

from __future__ import annotations

import numpy as np
import pytest

from engine.scaling.regression import banded, non_negative_pair, poisson


def test_a_regression_finds_the_coefficients_that_made_the_counts() -> None:
    chance = np.random.default_rng(1)
    features = np.column_stack([np.ones(4000), chance.normal(size=(4000, 2))])
    counts = chance.poisson(np.exp(features @ [3.0, 0.5, -0.2])).astype(float)
    fit = poisson(features, counts)
    assert fit.coefficients == pytest.approx([3.0, 0.5, -0.2], abs=0.02)
    assert fit.mean(features[:1])[0] == pytest.approx(np.exp(features[0] @ fit.coefficients))


def test_a_row_without_itself_is_what_a_regression_without_it_says() -> None:
    chance = np.random.default_rng(2)
    features = np.column_stack([np.ones(40), chance.normal(size=40)])
    counts = chance.poisson(np.exp(2 + 0.5 * features[:, 1])).astype(float)
    counts[7] *= 3  # pulls
    fit, rest = poisson(features, counts), np.arange(40) != 7
    expected = poisson(features[rest], counts[rest]).mean(features[7:8])[0]
    assert fit.without_itself[7] == pytest.approx(expected, rel=0.02)
    assert abs(fit.mean(features[7:8])[0] / expected - 1) > 0.05  # it does pull


def test_counts_that_are_all_zero_are_expected_to_stay_so() -> None:
    fit = poisson(np.ones((60, 1)), np.zeros(60))
    assert fit.mean(np.ones((1, 1)))[0] < 1e-6


@pytest.mark.parametrize(
    ("target", "pair"),
    [((5.0, 8.0, 5.0), (2.0, 1.0)), ((2.0, 4.0, 2.0), (0.0, 2.0)), ((1.0, -3.0, 1.0), (0.0, 0.0))],
    ids=["both", "one alone", "neither below zero"],
)
def test_the_pair_is_the_nearest_that_is_not_negative(target: tuple[float, ...], pair: tuple[float, float]) -> None:
    first, second = np.array([2.0, 3.0, 2.0]), np.array([1.0, 2.0, 1.0])
    found = non_negative_pair(first, second, np.array(target), weights=np.ones(3))
    assert found == pytest.approx(pair, abs=1e-6)


@pytest.mark.parametrize("spread", [0.0, 0.3], ids=["counts by chance", "days that move as a whole"])
def test_bands_hold_as_many_as_they_promise_for_small_and_large(spread: float) -> None:
    chance = np.random.default_rng(3)
    means = np.tile([10.0, 1000.0], 3000)[:, None]

    def drawn() -> np.ndarray:
        return chance.poisson(means * chance.gamma(1 / spread**2, spread**2, means.shape) if spread else means)

    said = banded(means, expected=means, actual=drawn().astype(float))
    actual = drawn()
    inside = (actual >= said.quantile(0.025)) & (actual <= said.quantile(0.975))
    assert 0.93 <= inside[::2].mean() <= 0.975
    assert 0.93 <= inside[1::2].mean() <= 0.975
    assert (said.quantile(0.9) >= said.quantile(0.5)).all()


def test_a_few_errors_never_promise_less_than_the_worst_of_them() -> None:
    said = banded(np.array([[100.0]]), expected=np.full((9, 1), 100.0), actual=np.arange(96.0, 105.0)[:, None])
    assert said.quantile(0.975)[0, 0] == pytest.approx(104.0)
    assert said.quantile(0.025)[0, 0] == pytest.approx(96.0)

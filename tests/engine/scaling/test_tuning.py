"""A change is kept only when every pair of runs says so."""

from __future__ import annotations

import pytest

from engine.scaling.tuning import Run, candidates, is_hopeless, judged

Pairs = list[tuple[Run, Run]]


def pairs(*seconds: tuple[float, float], stored: tuple[int, int] = (100, 100)) -> Pairs:
    return [(Run(before, stored[0]), Run(after, stored[1])) for before, after in seconds]


@pytest.mark.parametrize(
    ("measured", "verdict"),
    [
        (pairs(*[(2.0, 1.0), (1.2, 1.0), (5.0, 4.0), (1.1, 1.0), (1.05, 1.0)]), "better beyond noise"),
        (pairs(*[(2.0, 1.0), (1.2, 1.0), (5.0, 4.0), (1.1, 1.0), (0.99, 1.0)]), "no difference"),  # one says otherwise
        (pairs(*[(1.02, 1.0)] * 5), "no difference"),  # a trifle
        (pairs(*[(1.0, 1.2)] * 5), "worse beyond noise"),
        (pairs(*[(3.0, 1.0)] * 4), "4 pairs from 3.00 to 3.00: too few pairs"),
        (pairs((1.0, 1.2)), "1 pair from 0.83 to 0.83: no better"),  # and so no more of them were run
        (pairs(*[(3.0, 1.0)] * 5, stored=(100, 102)), "stores 1.02 × as much"),
    ],
)
def test_a_change_is_better_only_beyond_noise(measured: Pairs, verdict: str) -> None:
    found = judged(measured)
    assert verdict in found.words
    assert found.is_better == (verdict == "better beyond noise")
    assert found.is_worse == (verdict == "worse beyond noise")


def test_one_pair_that_says_otherwise_ends_the_trial() -> None:
    assert not is_hopeless(pairs((2.0, 1.0), (1.5, 1.4)))
    assert is_hopeless(pairs((2.0, 1.0), (1.0, 1.0)))


def test_only_neighbours_of_what_is_set_are_tried() -> None:
    assert candidates("engine.streams", "3", cores=2) == ("4", "2")
    assert candidates("engine.streams", "1", cores=2) == ("2", "4")
    assert candidates("engine.compression_level", "1", cores=2) == ("3", "6")
    assert candidates("engine.unit", "16MiB", cores=2) == ("8MiB",)
    assert candidates("engine.pack", "32MiB", cores=2) == ("64MiB", "16MiB")

"""Tiers in words: seasons over the turn of the year, places taken apart."""

from __future__ import annotations

import pytest

from engine.contract.tiers import place_of, season_months, tier_of


@pytest.mark.parametrize(
    ("text", "months"),
    [
        ("", set()),
        ("may-sep", {5, 6, 7, 8, 9}),
        ("nov-feb", {11, 12, 1, 2}),
        ("may, July-aug", {5, 7, 8}),
        ("dec", {12}),
    ],
)
def test_a_season_is_a_set_of_months(text: str, months: set[int]) -> None:
    assert season_months(text) == months


@pytest.mark.parametrize("text", ["summer", "may-", "5-9", "may/june"])
def test_what_is_no_season_is_said(text: str) -> None:
    with pytest.raises(ValueError, match="no season"):
        season_months(text)


def test_a_place_is_a_tier_and_a_region() -> None:
    assert place_of("warm", "eu-west") == "warm/eu-west"
    assert tier_of("warm/eu-west") == "warm"
    with pytest.raises(ValueError, match="no place"):
        tier_of("tepid/eu-west")

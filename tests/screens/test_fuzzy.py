"""A few letters find the name: those that begin so first, then words inside, then letters in order."""

from __future__ import annotations

import pytest

from screens.fuzzy import NO_MATCH, distance, ranked

NAMES = ("jones-smith", "okafor-lind", "smith-jones", "blacksmith-lee", "sanchez-jimenez")


@pytest.mark.parametrize(
    ("typed", "found"),
    [
        ("smith", ["smith-jones", "jones-smith", "blacksmith-lee"]),
        ("SMI", ["smith-jones", "jones-smith", "blacksmith-lee"]),
        ("sjo", ["smith-jones"]),
        ("okl", ["okafor-lind"]),
        ("qq", []),
        ("", list(NAMES)),
    ],
)
def test_names_are_ranked(typed: str, found: list[str]) -> None:
    assert ranked(typed, NAMES) == found


def test_one_letter_is_no_pattern() -> None:
    assert distance("h", "smith") == 2
    assert distance("x", "smith") == NO_MATCH

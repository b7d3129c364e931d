"""Numbers as people read them."""

from __future__ import annotations

import pytest

from engine.base.units import format_count


@pytest.mark.parametrize(
    ("count", "noun", "words"),
    [
        (12345, "", "12,345"),
        (0, "file", "0 files"),
        (1, "file", "1 file"),
        (1, "entry", "1 entry"),
        (12345, "entry", "12,345 entries"),
        (2, "key", "2 keys"),
        (2, "more job", "2 more jobs"),
    ],
)
def test_what_is_counted_is_one_or_many(count: int, noun: str, words: str) -> None:
    """With the separator of thousands, and an English plural."""
    assert format_count(count, noun) == words

"""Promises that stay checked in production, also under `python -O`."""

from __future__ import annotations


class BrokenInvariant(AssertionError):
    """A promise of our own code did not hold: a bug of ours, never the user's doing."""


def check(condition: bool, sentence: str) -> None:
    """Raise `BrokenInvariant` with `sentence` unless `condition` holds."""
    if not condition:
        raise BrokenInvariant(sentence)

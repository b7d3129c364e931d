"""Which of many names a few letters mean: `sjo` finds smith-jones. Pure; any thread."""

from __future__ import annotations

from collections.abc import Iterable

NO_MATCH = 10_000


def distance(wanted: str, text: str) -> int:
    """How far `text` is from what was typed: 0 for one that begins so, then inside, then letters in order.

    Case is no matter. `NO_MATCH` when the letters do not stand in `text` in this order.
    """
    wanted, text = wanted.casefold(), text.casefold()
    if text.startswith(wanted):
        return 0
    at = text.find(wanted)
    if at > 0:
        return 1 if not text[at - 1].isalnum() else 2
    if len(wanted) < 2:
        return NO_MATCH
    first = at = text.find(wanted[0])
    for letter in wanted[1:]:
        at = text.find(letter, at + 1)
        if at < 0:
            return NO_MATCH
    return 3 + at - first if first >= 0 else NO_MATCH


def ranked(wanted: str, names: Iterable[str]) -> list[str]:
    """Those names that fit, the nearest first; of two as near, as they came."""
    found = [(distance(wanted, name), name) for name in names]
    return [name for near, name in sorted(found, key=lambda pair: pair[0]) if near < NO_MATCH]

"""What stands in regions about names that were deleted (docs/regions.md, "Deleting"). Pure.

A name's marks are numbered: `deleted/NAME` is the first, `deleted/NAME.1` the second. An even one says that the name is
deleted, an odd one that it was published again; the highest that any region tells of is what holds. So a mark that
cannot be removed, or that comes back with a region, does not beat a later one. Only what is named by its hash is
published again; any other name has the first mark at most, which is taken away when the name is used again.
"""

from __future__ import annotations

import re
from collections.abc import Iterable

TOMBSTONES = "deleted/"  # at the top of a region; on disk, never change
_NUMBERED = re.compile(r"(?P<name>(?:.*/)?[0-9a-f]{64})\.(?P<number>[1-9][0-9]*)")


def mark(name: str, number: int) -> str:
    """The object that is a name's mark of this number, from 0."""
    return f"{TOMBSTONES}{name}.{number}" if number else TOMBSTONES + name


def says_deleted(number: int) -> bool:
    """What a name's highest mark says; -1: it has none."""
    return number % 2 == 0


def deleted_names(marks: Iterable[str]) -> set[str]:
    """The names that are deleted by what is listed under `TOMBSTONES` in all regions."""
    highest: dict[str, int] = {}
    for each in marks:
        name, number = each.removeprefix(TOMBSTONES), 0
        if (numbered := _NUMBERED.fullmatch(name)) is not None:
            name, number = numbered["name"], int(numbered["number"])
        highest[name] = max(highest.get(name, 0), number)
    return {name for name, number in highest.items() if says_deleted(number)}

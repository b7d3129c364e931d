"""Writes the golden vectors: `python -m tests.golden.make`. The same bytes at every run, on every machine.

A vector that changes is a change of the format: it needs a decision record, not a new file.
"""

from __future__ import annotations

from collections.abc import Iterator

from tests.golden import objects, packs, segments
from tests.golden.vector import FOLDER, Vector, path_of, titles


def vectors() -> Iterator[Vector]:
    """Every vector."""
    yield from objects.vectors()
    yield from segments.vectors()
    yield from packs.vectors()


def main() -> None:
    """Write what is new or has changed, remove what is no longer made."""
    FOLDER.mkdir(exist_ok=True)
    made = {vector.title: vector.encode() for vector in vectors()}
    for title in set(titles()) - made.keys():
        path_of(title).unlink()
    for title, raw in made.items():
        path_of(title).write_bytes(raw)


if __name__ == "__main__":
    main()

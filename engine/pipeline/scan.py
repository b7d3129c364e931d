"""The walk joined with the parent snapshot: what is as it was, what has to be read, what is metadata only.

In: two streams in manifest order, the walk's items and the parent's entries. Out: one stream in that order.
Reads nothing itself; `describe` is handed in. One thread.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass

from engine.pipeline.walk import WalkItem, WalkWarning
from engine.repository.entry import Entry

Describe = Callable[[WalkItem], tuple[Entry, tuple[str, ...]]]


@dataclass(frozen=True, slots=True)
class Unchanged:
    """A file as the parent has it: size, mtime, trusted ctime and inode agree, so the parent's entry holds whole."""

    item: WalkItem
    entry: Entry


@dataclass(frozen=True, slots=True)
class Changed:
    """A file to read. `previous` is the parent's entry of this path, of whatever kind."""

    item: WalkItem
    previous: Entry | None


@dataclass(frozen=True, slots=True)
class Metadata:
    """Anything but a regular file: its entry is all there is."""

    item: WalkItem
    entry: Entry


Scanned = Unchanged | Changed | Metadata | WalkWarning


class Scan:
    """An iterator over `Scanned`; afterwards `gone` counts the parent's entries that no longer stand."""

    gone: int

    def __init__(
        self, items: Iterator[WalkItem | WalkWarning], parent: Iterator[Entry], *, describe: Describe
    ) -> None:
        """`describe` is `entry_of` for anything but regular files; it may raise SourceProblem."""
        raise NotImplementedError

    def __iter__(self) -> Iterator[Scanned]:
        raise NotImplementedError

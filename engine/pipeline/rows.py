"""What stands as the parent snapshot has it, taken together: rows of entries instead of one after another.

In: what a scan gives. Out: the same in the same order, where things that follow each other unchanged are one `Row`,
asked for in the index and recorded at once. A file whose contents the index lacks is one to read. One thread.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator

import msgspec

from engine.pipeline.scan import Changed, Metadata, Scanned, Unchanged
from engine.pipeline.touched import Part
from engine.pipeline.walk import WalkWarning
from engine.repository.entry import FILE, Entry

ROW_ENTRIES_MAX = 500


class Row(msgspec.Struct, frozen=True, gc=False):
    """Entries that hold whole, in manifest order. `are_parents`: each is the parent's own, to the last byte."""

    entries: list[Entry]
    are_parents: bool = True

    @property
    def path(self) -> bytes:
        """That of the last."""
        return self.entries[-1].path

    @property
    def files(self) -> list[Entry]:
        """Those of files."""
        return [entry for entry in self.entries if entry.kind == FILE]


def in_rows(
    scanned: Iterable[Scanned | Part], lacks: Callable[[Iterable[Entry]], bool]
) -> Iterator[Changed | Metadata | WalkWarning | Part | Row]:
    """`lacks` says whether the contents of one of some entries are missing from the index."""
    standing: list[Unchanged | Metadata] = []
    for each in scanned:
        if isinstance(each, (Unchanged, Metadata)) and each.is_parents:
            standing.append(each)
            if len(standing) < ROW_ENTRIES_MAX:
                continue
        elif isinstance(each, WalkWarning):
            yield each
            continue
        if standing:
            yield from _checked(standing, lacks)
            standing = []
        if isinstance(each, Unchanged):
            if not each.is_parents:
                yield from _checked([each], lacks)
        elif not isinstance(each, Metadata) or not each.is_parents:
            yield each
    if standing:
        yield from _checked(standing, lacks)


def _checked(
    standing: list[Unchanged | Metadata], lacks: Callable[[Iterable[Entry]], bool]
) -> Iterator[Changed | Metadata | Row]:
    row = Row([each.entry for each in standing], standing[0].is_parents)
    if not lacks(row.files):
        yield row
        return
    for each in standing:
        if isinstance(each, Metadata):
            yield each
        elif lacks((each.entry,)):
            yield Changed(each.item, None)  # the parent's chunks are gone: read it again
        else:
            yield Row([each.entry], are_parents=False)

"""Whole segments of the parent's manifest, found again among entries that were taken over from it.

In: the parent's own entries, in manifest order. Out: a segment that may be named as it is, or its entries back, to
be written anew. What is named is what writing would give, byte for byte. Pure; one thread.
"""

from __future__ import annotations

from collections.abc import Sequence
from itertools import pairwise

from engine.repository.entry import Entry
from engine.repository.manifest import SegmentRef, is_ended, place_of


class SegmentReuse:
    """The segment at hand: begun with its first entry, full with as many as it has."""

    def __init__(self, parent: Sequence[SegmentRef]) -> None:
        """The last segment ends where the manifest does, so it is none to reuse: more may follow in a newer one."""
        self._known = {ref.first_path: (ref, following.first_path) for ref, following in pairwise(parent)}
        self._ref: SegmentRef | None = None
        self._following = b""  # the first path of the next segment
        self.entries: list[Entry] = []

    def begin(self, first: Entry) -> bool:
        """Whether a segment of the parent begins with this entry; then it is the one at hand, still empty."""
        found = self._known.get(first.path)
        if found is not None:
            self._ref, self._following = found
        return found is not None

    @property
    def wanted(self) -> int:
        """How many entries it lacks; 0 when none is at hand."""
        return self._ref.entries - len(self.entries) if self._ref is not None else 0

    def end(self) -> tuple[SegmentRef | None, list[Entry]]:
        """The segment, None when it is not to be named, and what was taken for it. None is at hand afterwards."""
        ref, entries = self._ref, self.entries
        self._ref, self.entries = None, []
        if ref is None or len(entries) < ref.entries:
            return None, entries
        # As many as it has, from its first on and before the next one's: exactly its own, none gone, none new.
        is_own = place_of(entries[-1].path) < place_of(self._following)
        return ref if is_own and is_ended(ref, entries[-1].path) else None, entries

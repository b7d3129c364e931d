"""A selection walked again and again until each of its files could be read: for a retrieval of packs that are recalled.

The first pass takes every file all of whose packs can be read now, and marks the others; each pass after it takes, of
the marked ones, those whose packs have come. A byte an entry is all that is kept in between. One stream at a time.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Protocol

from engine.base.errors import IntegrityError, NotFound
from engine.repository import layout
from engine.repository.entry import FILE, Entry
from engine.repository.vault import WeddingVault


class Readable(Protocol):
    """Which packs can be read now; the others are being recalled."""

    def is_ready(self, name: str) -> bool:
        """Whether a pack, by the name of its object, can be read now. Any thread; does not block."""
        ...


class Passes:
    """The entries of a selection, each file when it can be read."""

    def __init__(self, vault: WeddingVault, walk: Callable[[bool], Iterator[Entry]], readable: Readable) -> None:
        """`walk` begins at the first entry, and gives the same ones each time; told whether it is the first time."""
        self._vault = vault
        self._walk = walk
        self._readable = readable
        self._left = bytearray()  # a byte for each entry: 1 if it is left for a later pass
        self._awaited: set[str] = set()  # packs that files of the last pass waited for

    @property
    def awaited(self) -> int:
        """How many packs the files that are left wait for, as far as known."""
        return len(self._awaited)

    @property
    def may_go_on(self) -> bool:
        """Whether another pass would find something: a pack has come that a file waits for."""
        return any(map(self._readable.is_ready, self._awaited))

    def first(self) -> Iterator[Entry]:
        """Everything that is no file, and each file that can be read now."""
        for entry in self._walk(True):
            waits = self._waits(entry)
            self._left.append(waits)
            if not waits:
                yield entry

    def another(self) -> Iterator[Entry]:
        """Of the files that are left, those that can be read now."""
        self._awaited.clear()
        for number, entry in enumerate(self._walk(False)):
            if number < len(self._left) and self._left[number] and not self._waits(entry):
                self._left[number] = 0
                yield entry

    def in_order(self) -> Iterator[Entry | None]:
        """Everything in its order, for an archive; None again and again while the next one waits."""
        for entry in self._walk(True):
            while self._waits(entry):
                yield None
            self._awaited.clear()
            yield entry

    def _waits(self, entry: Entry) -> bool:
        """Whether a file needs a pack that cannot be read yet. What is lost or damaged waits for nothing."""
        if entry.kind != FILE:
            return False
        try:
            ids = self._vault.chunk_ids(entry)
        except (IntegrityError, NotFound):
            return False
        places = self._vault.places([ids[at : at + 32] for at in range(0, len(ids), 32)])
        packs = {place.pack.name for place in places if place is not None}
        names = (layout.pack(self._vault.keys.wedding, pack) for pack in packs)
        waiting = [name for name in names if not self._readable.is_ready(name)]
        self._awaited.update(waiting)
        return bool(waiting)

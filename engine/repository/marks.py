"""Deletion marks: packs that nothing reached when a mark was made (docs/format.md, section 6.8).

A mark is a numbered object that stands until its packs are deleted or spared. Numbers only grow, so the highest is
never removed: when the last mark is done with, one without packs takes its place.
"""

from __future__ import annotations

import contextlib
from collections.abc import Iterable

import msgspec

from engine.base.errors import Conflict, IntegrityError, NotFound
from engine.base.ids import WEDDING_ID_BYTES
from engine.repository import codec, crypto, layout, numbered

_NAME_BYTES = 32


class MarkObject(msgspec.Struct, frozen=True, array_like=True, forbid_unknown_fields=True):
    """Payload of a mark: weddings, and the names of packs, end to end."""

    packs: tuple[tuple[bytes, bytes], ...]

    def of(self, wedding: bytes) -> frozenset[bytes]:
        """The names of a wedding's packs."""
        return frozenset(
            names[at : at + _NAME_BYTES]
            for owner, names in self.packs
            if owner == wedding
            for at in range(0, len(names), _NAME_BYTES)
        )

    @property
    def weddings(self) -> frozenset[bytes]:
        """Whose packs it names."""
        return frozenset(owner for owner, _ in self.packs)


def read(sealed: numbered.MasterSealed, number: int) -> MarkObject:
    """One mark. Raises NotFound, IntegrityError."""
    payload = sealed.read(layout.MARKS, number, crypto.MARK)
    mark = codec.decode(payload, MarkObject, f"{layout.MARKS}{number}")
    if any(len(owner) != WEDDING_ID_BYTES or len(names) % _NAME_BYTES for owner, names in mark.packs):
        raise IntegrityError(f"{layout.MARKS}{number} holds a broken list of names")
    return mark


def create(sealed: numbered.MasterSealed, wedding: bytes, packs: Iterable[bytes]) -> int:
    """Mark packs of a wedding, durably; returns the mark's number. Raises what the store raises."""
    names = b"".join(sorted(packs))
    return _create(sealed, MarkObject(((wedding, names),) if names else ()))


def remove(sealed: numbered.MasterSealed, done: Iterable[int]) -> None:
    """Take away marks that are done with, and those without packs; the highest number stays taken."""
    gone = set(done)
    numbers = sealed.numbers(layout.MARKS)
    if numbers and numbers[-1] in gone:
        numbers.append(_create(sealed, MarkObject(())))
    for number in numbers[:-1]:
        with contextlib.suppress(NotFound, IntegrityError):
            if number in gone or not read(sealed, number).packs:
                sealed.store.delete(f"{layout.MARKS}{number}")


def _create(sealed: numbered.MasterSealed, mark: MarkObject) -> int:
    for _ in numbered.attempts():
        number = max(sealed.numbers(layout.MARKS), default=0) + 1
        with contextlib.suppress(Conflict):
            sealed.create(layout.MARKS, number, crypto.MARK, codec.encode(mark))
            return number
    raise numbered.give_up("the marks")

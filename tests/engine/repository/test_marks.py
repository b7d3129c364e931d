"""Deletion marks: numbered upwards for ever, whole or not at all."""

from __future__ import annotations

import pytest

from engine.base.errors import IntegrityError
from engine.repository import layout, marks
from engine.storage.stores.memory import MemoryObjects, MemoryStore
from tests.engine.repository.parts import damage, sealed_store
from tests.golden import world

PACKS = frozenset(bytes([number]) * 32 for number in range(3))


def test_a_mark_says_whose_packs_it_names() -> None:
    """And of others nothing."""
    sealed = sealed_store()
    number = marks.create(sealed, world.WEDDING, PACKS)
    mark = marks.read(sealed, number)
    assert (number, mark.of(world.WEDDING), mark.of(world.OTHER_WEDDING)) == (1, PACKS, frozenset())
    assert mark.weddings == {world.WEDDING}


def test_numbers_never_go_back() -> None:
    """Or a lease would name a mark that was never read: an empty one takes the place of the last."""
    sealed = sealed_store()
    first, second = (marks.create(sealed, world.WEDDING, PACKS) for _ in range(2))
    marks.remove(sealed, {second})
    assert sealed.numbers(layout.MARKS) == [first, 3]
    marks.remove(sealed, {first})
    assert sealed.numbers(layout.MARKS) == [3]
    assert marks.read(sealed, 3).packs == ()
    assert marks.create(sealed, world.WEDDING, PACKS) == 4
    marks.remove(sealed, {4})
    assert sealed.numbers(layout.MARKS) == [5]


def test_a_damaged_mark_stays() -> None:
    """Nobody knows what it names."""
    sealed = sealed_store()
    for _ in range(2):
        marks.create(sealed, world.WEDDING, PACKS)
    damage(sealed.store, f"{layout.MARKS}1")
    marks.remove(sealed, {2})
    assert sealed.numbers(layout.MARKS) == [1, 3]
    with pytest.raises(IntegrityError):
        marks.read(sealed, 1)


class _Contested(MemoryStore):
    """A store where another pruner is quicker, once."""

    is_quicker = True

    def put(self, name: str, data: bytes) -> None:
        if self.is_quicker:
            self.is_quicker = False
            super().put(name, b"another's")
        super().put(name, data)


def test_a_number_that_another_pruner_took_is_passed_over() -> None:
    """Both marks stand."""
    sealed = sealed_store(_Contested(MemoryObjects()))
    assert marks.create(sealed, world.WEDDING, PACKS) == 2
    assert sealed.numbers(layout.MARKS) == [1, 2]

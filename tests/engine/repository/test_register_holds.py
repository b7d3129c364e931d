"""What is held stands in the register, and no change of another engine undoes it."""

from __future__ import annotations

import datetime as dt

import msgspec
import pytest

from engine.base.errors import NotFound
from engine.contract.weddings import Hold, Wedding
from engine.repository.register import Register
from engine.storage.stores.memory import MemoryObjects, MemoryStore
from tests.engine.repository.parts import sealed_store


def _register(objects: MemoryObjects) -> Register:
    register = Register(sealed_store(MemoryStore(objects)))
    register.refresh()
    return register


def _wedding(number: int, **more: object) -> Wedding:
    return Wedding(id=f"{number:032x}", name=f"w{number}", date=dt.date(2026, 1, 1), **more)  # type: ignore[arg-type]


def test_what_is_held_comes_back_with_its_reasons() -> None:
    """Beside regions and without; what is released leaves nothing behind."""
    objects = MemoryObjects()
    holds = (Hold(reason="claim 7", since_ns=5), Hold(snapshot="5f" * 16, reason="the album", since_ns=6))
    held = _wedding(7, holds=holds)
    placed = _wedding(8, holds=holds[:1], regions=("paris",))
    _register(objects).put(held, placed)
    found = _register(objects)
    assert (found.by_id(held.id), found.by_id(placed.id)) == (held, placed)
    assert (placed.held("any"), held.held("5f" * 16), held.held()) == ("claim 7", "claim 7", "claim 7")
    assert _wedding(9, holds=holds[1:]).held("60" * 16) == ""
    found.change(held.id, lambda before: msgspec.structs.replace(before, holds=()))
    assert _register(objects).by_id(held.id) == _wedding(7)


def test_a_change_undoes_nothing_that_another_engine_changes_meanwhile() -> None:
    """A hold is placed between the look at a wedding and the writing of its new date."""
    objects = MemoryObjects()
    first, second = _register(objects), _register(objects)
    first.put(_wedding(1))
    hold = Hold(reason="claim 7", since_ns=5)
    tried = []

    def later(before: Wedding) -> Wedding:
        tried.append(before)
        if len(tried) == 1:
            second.change(before.id, lambda wedding: msgspec.structs.replace(wedding, holds=(hold,)))
        return msgspec.structs.replace(before, date=dt.date(2030, 1, 1))

    first.change(_wedding(1).id, later)
    found = _register(objects).by_id(_wedding(1).id)
    assert (found.date, found.holds) == (dt.date(2030, 1, 1), (hold,))
    with pytest.raises(NotFound):
        first.change(_wedding(2).id, later)

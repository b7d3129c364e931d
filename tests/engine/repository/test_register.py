"""The register of weddings: a log that many may write, whole again after 64 changes, tolerant of a damaged change."""

from __future__ import annotations

import contextlib
import datetime as dt
import threading
from collections.abc import Iterable, Iterator

import msgspec
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from engine.base.errors import Conflict, IntegrityError, NotFound
from engine.contract.weddings import Wedding
from engine.repository import codec, crypto
from engine.repository.register import Register, RegisterObject
from engine.storage.stores.memory import MemoryObjects, MemoryStore
from engine.storage.stores.store import ObjectInfo
from tests.engine.repository.parts import damage, sealed_store


def _register(objects: MemoryObjects) -> Register:
    register = Register(sealed_store(MemoryStore(objects)))
    register.refresh()
    return register


def _wedding(number: int, name: str = "", **more: object) -> Wedding:
    date = dt.date(2026, 1, 1) + dt.timedelta(days=number % 300)
    return Wedding(id=f"{number:032x}", name=name or f"w{number}", date=date, **more)  # type: ignore[arg-type]


def _objects(objects: MemoryObjects) -> list[RegisterObject]:
    sealed = sealed_store(MemoryStore(objects))
    return [
        codec.decode(sealed.read("register/", number, crypto.REGISTER), RegisterObject, "it")
        for number in sealed.numbers("register/")
    ]


def test_a_wedding_comes_back_whole() -> None:
    """Every field, through the store."""
    objects = MemoryObjects()
    whole = _wedding(
        7, "o'neil", timezone="Europe/Dublin", venue="Cork, \u00c9ire", latitude=51, longitude=-8.5, archived=True,
        created_ns=99,
    )  # fmt: skip
    plain = _wedding(1)
    _register(objects).put(whole)
    _register(objects).put(plain)
    found = _register(objects)
    assert found.all() == (plain, whole)
    assert found.get("o'neil") == whole


def test_weddings_are_listed_by_date_then_name() -> None:
    """As people look for them."""
    objects = MemoryObjects()
    _register(objects).put(_wedding(3, "c"), _wedding(303, "b"), _wedding(1, "z"))
    assert [wedding.name for wedding in _register(objects).all()] == ["z", "b", "c"]


def test_an_unknown_name_is_not_found() -> None:
    """Also in an empty register."""
    with pytest.raises(NotFound):
        _register(MemoryObjects()).get("smith")


def test_a_name_is_one_weddings_only() -> None:
    """Among those that stand, and within one change; a wedding keeps its own name."""
    register = _register(MemoryObjects())
    register.put(_wedding(1, "a"))
    with pytest.raises(Conflict):
        register.put(_wedding(2, "a"))
    with pytest.raises(Conflict):
        register.put(_wedding(2, "b"), _wedding(3, "b"))
    register.put(_wedding(1, "a", venue="moved"))
    assert [(wedding.name, wedding.venue) for wedding in register.all()] == [("a", "moved")]


def test_a_renamed_wedding_sets_its_name_free() -> None:
    """For another wedding, in the next change."""
    register = _register(MemoryObjects())
    register.put(_wedding(1, "a"))
    register.put(_wedding(1, "b"))
    with pytest.raises(NotFound):
        register.get("a")
    register.put(_wedding(2, "a"))
    assert register.get("a").id == f"{2:032x}"


def test_two_writers_see_each_other() -> None:
    """A change is made to the newest state, whoever wrote it."""
    objects = MemoryObjects()
    first, second = _register(objects), _register(objects)
    first.put(_wedding(1, "a"))
    with pytest.raises(Conflict):
        second.put(_wedding(2, "a"))
    second.put(_wedding(2, "b"))
    first.refresh()
    assert {wedding.name for wedding in first.all()} == {"a", "b"}


def test_writers_at_once_lose_nothing() -> None:
    """Each number is written once, each change is kept."""
    objects = MemoryObjects()
    start = threading.Barrier(4)

    def write(writer: int) -> None:
        register = _register(objects)
        start.wait()
        for number in range(10):
            register.put(_wedding(writer * 100 + number))

    threads = [threading.Thread(target=write, args=(writer,)) for writer in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(_register(objects).all()) == 40
    assert len(_objects(objects)) == 40


def test_after_64_changes_the_next_is_a_full_state() -> None:
    """So a reader needs 65 objects at most, whatever became of the older ones."""
    objects = MemoryObjects()
    register = _register(objects)
    for number in range(140):
        register.put(_wedding(number))
    full = [number for number, item in enumerate(_objects(objects), 1) if item.full]
    assert full == [65, 130]
    store = MemoryStore(objects)
    for number in range(1, 130):
        store.delete(f"register/{number}")
    assert len(_register(objects).all()) == 140


def _with_changes(objects: MemoryObjects, count: int, *, damaged: Iterable[int]) -> Register:
    """The register after so many changes, each of another wedding, as it reads when some of them are damaged."""
    register = _register(objects)
    for number in range(1, count + 1):
        register.put(_wedding(number))
    for number in damaged:
        damage(MemoryStore(objects), f"register/{number}")
    return _register(objects)


def _names(register: Register) -> set[str]:
    return {wedding.name for wedding in register.all()}


@pytest.mark.parametrize("damaged", [(3,), (3, 4), (1,), (6,)])
def test_a_damaged_change_is_told_of_and_costs_nothing(damaged: tuple[int, ...]) -> None:
    """The two changes after it say again what it said; only after the newest there are none."""
    found = _with_changes(MemoryObjects(), 6, damaged=damaged)
    assert _names(found) == {f"w{number}" for number in range(1, 7) if damaged != (6,) or number != 6}
    assert found.problems == [f"register/{number} is damaged or does not belong here" for number in damaged[::-1]]


def test_three_damaged_changes_cost_the_first() -> None:
    """And the others count, the next one too."""
    objects = MemoryObjects()
    found = _with_changes(objects, 6, damaged=(2, 3, 4))
    assert _names(found) == {"w1", "w3", "w4", "w5", "w6"}
    found.put(_wedding(9))
    assert len(_objects_after(objects, 6)) == 1
    assert _names(_register(objects)) == {"w1", "w3", "w4", "w5", "w6", "w9"}


def test_a_change_says_again_no_more_than_the_two_before_it() -> None:
    """Or each would hold all; a writer that has just opened the register knows which these are, too."""
    objects = MemoryObjects()
    for number in range(1, 8):
        _register(objects).put(_wedding(number))
    held = [[int.from_bytes(stored.id, "big") for stored in item.weddings] for item in _objects(objects)]
    assert held == [[1], [1, 2], [2, 1, 3], [3, 2, 4], [4, 3, 5], [5, 4, 6], [6, 5, 7]]


def test_an_import_is_not_said_again() -> None:
    """A change stays small."""
    objects = MemoryObjects()
    register = _register(objects)
    register.put(*map(_wedding, range(1, 66)))
    register.put(_wedding(70))
    register.put(_wedding(71))
    assert [len(item.weddings) for item in _objects(objects)] == [65, 1, 2]


def test_nothing_is_said_again_over_a_change_that_could_not_be_read() -> None:
    """It may have changed the same wedding: who reads it again must find what it said, not what was before."""
    objects = MemoryObjects()
    register = _register(objects)
    register.put(_wedding(1, "a", venue="before"))
    store, sealed = MemoryStore(objects), sealed_store(MemoryStore(objects))
    register.put(_wedding(1, "a", venue="after"))
    whole = store.get("register/2", limit_bytes=10_000)
    damage(store, "register/2")
    blind = Register(sealed)
    blind.refresh()
    blind.put(_wedding(3))
    store.delete("register/2")
    store.put("register/2", whole)
    assert _register(objects).get("a").venue == "after"


def test_nothing_is_said_again_that_another_engine_changed_meanwhile() -> None:
    """A writer that lost the race for a number reads on before it writes."""
    objects = MemoryObjects()
    first, second = _register(objects), _register(objects)
    first.put(_wedding(1, "a"))
    second.put(_wedding(2, "b"))
    second.put(_wedding(1, "renamed"))
    first.put(_wedding(3, "c"))
    assert _names(_register(objects)) == {"renamed", "b", "c"}


def _objects_after(objects: MemoryObjects, number: int) -> list[int]:
    return [each for each in sealed_store(MemoryStore(objects)).numbers("register/") if each > number]


def test_a_damaged_full_state_falls_back_to_the_one_before() -> None:
    """And to all changes since, the damaged one's own left out."""
    objects = MemoryObjects()
    register = _register(objects)
    for number in range(70):
        register.put(_wedding(number))
    damage(MemoryStore(objects), "register/65")
    assert len(_register(objects).all()) == 70


def test_a_register_of_which_nothing_is_readable_says_so() -> None:
    """So that it does not look as if no wedding had ever been there; what is written next counts."""
    objects = MemoryObjects()
    _register(objects).put(_wedding(1))
    damage(MemoryStore(objects), "register/1")
    found = _register(objects)
    assert (found.all(), found.problems) == ((), ["register/1 is damaged or does not belong here"])
    found.put(_wedding(2))
    assert _names(_register(objects)) == {"w2"}


# --- weddings that lost their names -----------------------------------------------------------------------

LOST_ID = bytes.fromhex("1a2b3c4d" + "00" * 12)
DAY = dt.date(2026, 6, 20)


def test_a_lost_wedding_has_a_name_of_its_id_and_can_be_given_another() -> None:
    """Through any writer, for good."""
    objects = MemoryObjects()
    found = _with_changes(objects, 1, damaged=(1,))
    assert found.unnamed([LOST_ID]) == [LOST_ID]
    found.bring_back(LOST_ID, DAY)
    assert found.unnamed([LOST_ID]) == []
    lost = found.get("lost-1a2b3c4d")
    assert (lost.id, lost.date, found.all()) == (LOST_ID.hex(), DAY, (lost,))
    assert found.problems[0] == "register/1 is damaged or does not belong here"
    assert "wedding edit lost-1a2b3c4d --rename NAME" in found.problems[1]
    found.put(msgspec.structs.replace(lost, name="smith-jones"))
    assert len(found.problems) == 1
    assert _register(objects).get("smith-jones").id == LOST_ID.hex()


def test_a_lost_wedding_takes_more_digits_where_the_name_is_taken() -> None:
    """By another lost one, or by a wedding somebody named so; and its name is nobody else's."""
    register = _register(MemoryObjects())
    register.put(_wedding(1, "lost-1a2b3c4d"))
    other_id = bytes.fromhex("1a2b3c4d01" + "00" * 11)
    register.bring_back(LOST_ID, DAY)
    register.bring_back(other_id, DAY)
    assert _names(register) == {"lost-1a2b3c4d", "lost-1a2b3c4d0", "lost-1a2b3c4d01"}
    with pytest.raises(Conflict):
        register.put(_wedding(2, "lost-1a2b3c4d0"))


def test_healing_writes_all_that_is_known_as_a_full_state() -> None:
    """After it nobody has a problem, neither who reads it anew nor who goes on."""
    objects = MemoryObjects()
    found = _with_changes(objects, 1, damaged=(1,))
    found.put(_wedding(2))
    other = _register(objects)
    found.bring_back(LOST_ID, DAY)
    assert [wedding.name for wedding in found.heal()] == ["lost-1a2b3c4d"]
    assert found.heal() == ()
    other.refresh()
    for register in (found, other, _register(objects)):
        assert (_names(register), register.problems) == ({"lost-1a2b3c4d", "w2"}, [])
    assert [item.full for item in _objects_readable(objects)] == [False, True]


def test_a_register_with_problems_is_written_whole_by_nobody_but_a_repair() -> None:
    """What is damaged may be brought back from a copy, and then has to count."""
    objects = MemoryObjects()
    found = _with_changes(objects, 1, damaged=())
    whole = MemoryStore(objects).get("register/1", limit_bytes=10_000)
    damage(MemoryStore(objects), "register/1")
    found = _register(objects)
    for number in range(2, 70):
        found.put(_wedding(number))
    assert not any(item.full for item in _objects_readable(objects))
    MemoryStore(objects).delete("register/1")
    MemoryStore(objects).put("register/1", whole)
    assert _register(objects).get("w1")


def _objects_readable(objects: MemoryObjects) -> list[RegisterObject]:
    sealed = sealed_store(MemoryStore(objects))
    found = []
    for number in sealed.numbers("register/"):
        with contextlib.suppress(IntegrityError):
            found.append(codec.decode(sealed.read("register/", number, crypto.REGISTER), RegisterObject, "it"))
    return found


def test_a_lost_rename_takes_no_other_name_away() -> None:
    """Two weddings may then have one name until one is renamed; both stay in the list."""
    objects = MemoryObjects()
    register = _register(objects)
    register.put(_wedding(1, "a"))
    register.put(_wedding(1, "b"))
    register.put(*map(_wedding, range(10, 80)))  # too many to say the rename again after them
    register.put(_wedding(2, "a"))
    damage(MemoryStore(objects), "register/2")
    damage(MemoryStore(objects), "register/3")
    found = _register(objects)
    assert [wedding.name for wedding in found.all()] == ["a", "a"]
    found.put(_wedding(1, "c"))
    assert found.get("a").id == f"{2:032x}"


def test_ten_thousand_weddings_at_once_are_one_object() -> None:
    """As an import makes them."""
    objects = MemoryObjects()
    _register(objects).put(*map(_wedding, range(10_000)))
    assert len(_objects(objects)) == 1
    assert len(_register(objects).all()) == 10_000


def test_a_change_lists_nothing_unless_somebody_else_wrote() -> None:
    """So the cost of a change does not grow with the changes before it."""
    objects = MemoryObjects()
    listed: list[str] = []

    class Listed(MemoryStore):
        def list(self, prefix: str) -> Iterator[ObjectInfo]:
            listed.append(prefix)
            return super().list(prefix)

    register = Register(sealed_store(Listed(objects)))
    register.refresh()
    listed.clear()
    for number in range(3):
        register.put(_wedding(number))
    assert listed == []
    _register(objects).put(_wedding(3))
    register.put(_wedding(4))
    assert listed == ["register/"]
    assert len(_register(objects).all()) == 5


def test_a_name_that_somebody_else_set_free_can_be_taken() -> None:
    """Though this register had not heard of it yet."""
    objects = MemoryObjects()
    register = _register(objects)
    register.put(_wedding(1, "a"))
    _register(objects).put(_wedding(1, "b"))
    register.put(_wedding(2, "a"))
    assert register.get("a").id == f"{2:032x}"


def test_a_register_that_was_set_back_is_refused() -> None:
    """By whoever saw more."""
    objects = MemoryObjects()
    register = _register(objects)
    register.put(_wedding(1))
    register.put(_wedding(2))
    store = MemoryStore(objects)
    store.delete("register/2")
    again = Register(register._sealed)
    with pytest.raises(IntegrityError):
        again.refresh()


def test_a_number_that_is_no_change_is_not_remembered() -> None:
    """Or whoever can write to the store could make every home refuse it for good."""
    objects = MemoryObjects()
    register = _register(objects)
    register.put(_wedding(1))
    store = MemoryStore(objects)
    store.put("register/999", b"noise")
    again = Register(register._sealed)
    again.refresh()
    assert len(again.problems) == 1
    store.delete("register/999")
    Register(register._sealed).refresh()


def test_a_damaged_newest_change_does_not_lock_out_who_saw_it() -> None:
    """It is there, and told of; nothing was set back."""
    objects = MemoryObjects()
    register = _register(objects)
    register.put(_wedding(1))
    register.put(_wedding(2))
    damage(MemoryStore(objects), "register/2")
    again = Register(register._sealed)
    again.refresh()
    assert [wedding.name for wedding in again.all()] == ["w1"]
    again.put(_wedding(3))
    assert len(_register(objects).all()) == 2


CHANGES = st.lists(st.tuples(st.integers(0, 1), st.integers(0, 5), st.sampled_from("abcdef")), max_size=25)


@given(CHANGES)
@settings(max_examples=25)
def test_any_changes_by_two_writers_are_those_of_a_dict(changes: list[tuple[int, int, str]]) -> None:
    """With a name refused exactly when it is another's."""
    objects = MemoryObjects()
    writers = [_register(objects), _register(objects)]
    model: dict[int, str] = {}
    for writer, number, name in changes:
        taken = any(other != number and held == name for other, held in model.items())
        if taken:
            with pytest.raises(Conflict):
                writers[writer].put(_wedding(number, name))
        else:
            writers[writer].put(_wedding(number, name))
            model[number] = name
    expected = sorted(model.values())
    assert sorted(wedding.name for wedding in _register(objects).all()) == expected

"""The copy catalog: what is recorded is found, listings tell what it lost, the oldest-verified come first."""

from __future__ import annotations

import random
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest

from engine.base.errors import IntegrityError
from engine.storage import locations
from engine.storage.locations import Copy, Locations, Rebuilt, Total, pack_name, pack_of
from engine.storage.stores.store import ObjectInfo

S = 10**9
ANN, BEN = "0a" * 16, "0b" * 16


def name(number: int, wedding: str = ANN) -> str:
    return pack_name(wedding, number.to_bytes(32, "big"))


@pytest.fixture
def catalog() -> Iterator[Locations]:
    found = Locations(None)
    yield found
    found.close()


def test_a_pack_has_the_copies_that_were_recorded_each_place_once(catalog: Locations) -> None:
    hot, warm = Copy("hot/home", 100, written_ns=5 * S), Copy("warm/home", 100, "writing")
    catalog.record(name(1), hot, warm)
    assert catalog.copies(name(1)) == (hot, warm)
    good = Copy("warm/home", 100, written_ns=6 * S, verified_ns=7 * S)
    catalog.record(name(1), good)
    assert catalog.copies(name(1)) == (hot, good)
    assert catalog.copies(name(1, BEN)) == catalog.copies(name(2)) == catalog.copies("config/1") == ()


def test_a_copy_is_forgotten_or_all_of_a_pack(catalog: Locations) -> None:
    for number in (1, 2):
        catalog.record(name(number), Copy("hot/home", 9), Copy("cold/home", 9))
    catalog.forget(name(1), "hot/home")
    catalog.forget(name(2))
    catalog.forget(name(3))
    catalog.forget("config/1")
    assert [copy.place for copy in catalog.copies(name(1))] == ["cold/home"]
    assert catalog.copies(name(2)) == ()


def test_a_wedding_s_packs_come_by_name_across_pages(catalog: Locations, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(locations, "PAGE_ROWS", 3)
    catalog.record_all(
        (name(number), Copy(place, number)) for number in range(7, 0, -1) for place in ("warm/a", "hot/a")
    )
    catalog.record(name(1, BEN), Copy("hot/a", 1))
    found = list(catalog.of_wedding(ANN))
    assert [each for each, _ in found] == [name(number) for number in range(1, 8)]
    assert all([copy.place for copy in copies] == ["hot/a", "warm/a"] for _, copies in found)
    assert list(catalog.of_wedding("0c" * 16)) == []


def test_totals_count_good_copies_through_every_change(catalog: Locations) -> None:
    chance = random.Random(4)
    truth: dict[tuple[str, int, str], Copy] = {}
    for _ in range(300):
        wedding, number, place = chance.choice((ANN, BEN)), chance.randrange(9), chance.choice(("hot/a", "warm/a"))
        if chance.random() < 0.3:
            catalog.forget(name(number, wedding), place)
            truth.pop((wedding, number, place), None)
        else:
            copy = Copy(place, chance.randrange(100), chance.choice(("good", "good", "bad", "writing", "missing")))
            catalog.record(name(number, wedding), copy)
            truth[wedding, number, place] = copy
    for only in (ANN, BEN, None):
        expected: dict[str, Total] = {}
        for (of, _, place), copy in truth.items():
            if copy.state == "good" and only in (of, None):
                before = expected.get(place, Total())
                expected[place] = Total(before.packs + 1, before.size_bytes + copy.size_bytes)
        assert catalog.totals(only) == expected
    assert sorted(catalog.weddings()) == [ANN, BEN]


def test_what_is_not_good_is_found_without_a_search(catalog: Locations) -> None:
    catalog.record_all((name(number), Copy("hot/a", 1)) for number in range(50))
    bad = Copy("warm/a", 1, "bad", written_ns=3 * S)
    catalog.record(name(7, BEN), bad)
    assert catalog.in_state("bad", 10) == [(name(7, BEN), bad)]
    catalog.record(name(7, BEN), Copy("warm/a", 1))
    assert catalog.in_state("bad", 10) == []


def test_the_oldest_verified_come_first_whatever_was_verified_meanwhile(catalog: Locations) -> None:
    chance = random.Random(8)
    truth: dict[str, int] = {}
    for step in range(120):
        each = name(chance.randrange(12), chance.choice((ANN, BEN)))
        verified = chance.choice((0, step, step * 7 % 50))
        catalog.record(each, Copy("hot/a", 1, verified_ns=verified * S), Copy("warm/a", 1, verified_ns=S))
        truth[each] = verified
        n = chance.randrange(1, 6)
        found = catalog.oldest_verified("hot/a", n)
        assert [copy.verified_ns // S for _, copy in found] == sorted(truth.values())[:n]
        assert all(truth[one] == copy.verified_ns // S and copy.place == "hot/a" for one, copy in found)
    assert catalog.oldest_verified("cold/a", 3) == []


def test_a_listing_tells_what_the_catalog_lost_and_keeps_what_it_knows(catalog: Locations) -> None:
    known = Copy("warm/a", 10, written_ns=2 * S, verified_ns=9 * S)
    catalog.record(name(1), known, Copy("hot/a", 10))
    catalog.record(name(2), Copy("warm/a", 20, written_ns=2 * S))  # gone from the store
    catalog.record(name(3), Copy("warm/a", 30, written_ns=60 * S))  # written since the listing began
    catalog.record(name(4), Copy("warm/a", 40, "missing"))
    catalog.record(name(5), Copy("warm/a", 50, "bad"))
    catalog.record(name(1, BEN), Copy("warm/a", 5))  # of a wedding that is gone as a whole
    listing = [
        ObjectInfo("config/1", 1, S),
        *(ObjectInfo(name(number), number * 10, 3 * S) for number in (1, 4, 5, 6)),
    ]
    assert catalog.listed_ns("warm/a") == 0
    assert catalog.rebuild("warm/a", listing, begun_ns=50 * S) == Rebuilt(listed=4, added=2, missing=2)
    assert (catalog.listed_ns("warm/a"), catalog.listed_ns("hot/a")) == (50 * S, 0)
    states = {n: next(c.state for c in catalog.copies(name(n)) if c.place == "warm/a") for n in range(1, 7)}
    assert states == {1: "good", 2: "missing", 3: "good", 4: "good", 5: "bad", 6: "good"}
    assert catalog.copies(name(1)) == (Copy("hot/a", 10), known)
    assert catalog.copies(name(6)) == (Copy("warm/a", 60, written_ns=3 * S),)
    assert catalog.copies(name(1, BEN))[0].state == "missing"


@pytest.mark.parametrize("home", ["home", "newer"])  # a folder's name says nothing of what is in it
def test_it_outlives_the_process_and_a_damaged_one_is_made_anew(tmp_path: Path, home: str) -> None:
    (tmp_path / home).mkdir()
    path = tmp_path / home / "copies.db"
    first = Locations(path)
    first.record(name(1), Copy("hot/a", 1))
    first.close()
    second = Locations(path)
    assert second.copies(name(1)) == (Copy("hot/a", 1),)
    second.close()
    path.write_bytes(b"not a database at all" * 100)
    third = Locations(path)
    assert third.copies(name(1)) == ()
    third.close()
    assert path.with_name("copies.db.damaged").exists()


def test_one_of_a_newer_program_is_left_alone(tmp_path: Path) -> None:
    path = tmp_path / "copies.db"
    newer = Locations(path)
    newer._connection.execute("PRAGMA user_version = 99")
    newer.close()
    with pytest.raises(IntegrityError, match="newer"):
        Locations(path)


def test_a_page_that_fails_leaves_nothing_of_it(catalog: Locations) -> None:
    with pytest.raises(Exception, match="names no pack"):
        catalog.record_all([(name(1), Copy("hot/new", 1)), ("config/1", Copy("hot/a", 1))])
    assert catalog.copies(name(1)) == ()
    catalog.record(name(1), Copy("hot/other", 1))
    assert catalog.copies(name(1)) == (Copy("hot/other", 1),)


def test_many_threads_may_record_and_look_at_once(catalog: Locations) -> None:
    def work(number: int) -> None:
        for step in range(40):
            catalog.record(name(number * 100 + step), Copy("hot/a", 1))
            assert catalog.copies(name(number * 100 + step))

    threads = [threading.Thread(target=work, args=(number,)) for number in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert catalog.totals() == {"hot/a": Total(160, 160)}


@pytest.mark.parametrize(
    "other", ["", "config/1", "weddings/x", name(1)[:-1], name(1) + "0", name(1).replace("0a", "zz"), "x" * 112]
)
def test_only_packs_are_named(other: str) -> None:
    assert pack_of(other) is None
    assert pack_of(name(1)) == (bytes.fromhex(ANN), (1).to_bytes(32, "big"))

"""Several engines on one repository at once: nobody locks, nobody waits, nothing is lost."""

from __future__ import annotations

from pathlib import Path

import pytest

from engine.base.errors import IntegrityError
from engine.storage.stores.local import LocalStore
from tests.crash import work
from tests.crash.trials import run_children
from tests.crash.work import Place
from tests.trees import build, describe
from tests.vaults import OTHER_WEDDING, WEDDING, Bench

ROUNDS = 6


@pytest.fixture
def places(folder: Path) -> tuple[Place, Place]:
    """One repository, and a source for each of two engines."""
    first, second = (Place(folder / "shared", folder / name) for name in ("source1", "source2"))
    first.folder.mkdir()
    for number, place in enumerate((first, second)):
        build(place.source, work.photos(number))
        (folder / f"home{number}").mkdir()
    with work.opened(first):
        pass
    return first, second


def _leases(place: Place) -> list[Path]:
    return [path for path in (place.store / "leases").rglob("*") if path.is_file()]


def _work_side_by_side(places: tuple[Place, Place], folder: Path, weddings: tuple[str, str]) -> None:
    jobs = [
        (work.work_beside_others, place, folder / f"home{number}", wedding, ROUNDS)
        for number, (place, wedding) in enumerate(zip(places, weddings, strict=True))
    ]
    assert run_children(*jobs) == [0, 0]


def test_two_engines_back_up_two_weddings(places: tuple[Place, Place], folder: Path) -> None:
    """In two processes, from two homes: every snapshot verifies and the last of each restores."""
    _work_side_by_side(places, folder, (WEDDING, OTHER_WEDDING))
    with work.opened(places[0]) as bench:
        for place, wedding in zip(places, (WEDDING, OTHER_WEDDING), strict=True):
            assert len(bench.snapshots(wedding=wedding)) == ROUNDS
            assert bench.verify(wedding=wedding).problems == []
            snapshot = bench.backup(place.source, wedding=wedding)  # the change behind the last round
            back = folder / wedding
            bench.retrieve(back, strip=place.source, wedding=wedding, snapshot=snapshot.id)
            assert describe(back) == describe(place.source)


def test_two_engines_back_up_the_same_wedding(places: tuple[Place, Place], folder: Path) -> None:
    """Which neither has a key for at the start: one of them makes it, and all is sealed under that one."""
    _work_side_by_side(places, folder, (WEDDING, WEDDING))
    assert len(list((places[0].store / "weddings" / WEDDING / "key").iterdir())) == 1
    with work.opened(places[0]) as bench:
        assert len(bench.snapshots()) == 2 * ROUNDS
        assert bench.verify().problems == []
        for number, place in enumerate(places):
            snapshot = bench.backup(place.source)
            bench.retrieve(folder / f"back{number}", strip=place.source, snapshot=snapshot.id)
            assert describe(folder / f"back{number}") == describe(place.source)


def test_no_change_of_the_register_is_lost(places: tuple[Place, Place], folder: Path) -> None:
    """Each engine adds its weddings under numbers that the other wants too."""
    with work.opened(places[0]) as bench:
        bench.repository.register.put(work.couple(), work.couple("brown-lee", OTHER_WEDDING))
    _work_side_by_side(places, folder, (WEDDING, OTHER_WEDDING))
    with work.opened(places[0]) as bench:
        names = {wedding.name for wedding in bench.repository.register.all()}
        added = {f"home{home}-{number}" for home in (0, 1) for number in range(ROUNDS)}
        assert names == {work.COUPLE, "brown-lee", *added}
        assert bench.repository.warnings == []
    assert _leases(places[0]) == []


def test_each_engine_has_a_lease_while_it_runs(places: tuple[Place, Place]) -> None:
    """Renewed by a higher number, gone with the engine; others are not touched."""
    first, second = (Bench(LocalStore(places[0].store, create=False)) for _ in range(2))
    assert len(_leases(places[0])) == 2
    for _ in range(3):
        first.repository.presence.renew()
    assert sorted(path.name for path in _leases(places[0])) == ["1", "4"]
    first.close()
    assert [path.name for path in _leases(places[0])] == ["1"]
    second.close()
    assert _leases(places[0]) == []


def test_an_engine_that_was_fenced_learns_it(places: tuple[Place, Place]) -> None:
    """Its next number is taken: it was thought dead. It goes on with a new lease, and knows what it cannot rely on."""
    with work.opened(places[0]) as bench:
        (lease,) = _leases(places[0])
        lease.with_name("2").write_bytes(b"fenced")
        presence = bench.repository.presence
        assert not presence.is_protected_since(0)
        presence.renew()
        assert len({path.parent for path in _leases(places[0])}) == 2
        assert not presence.is_protected_since(0)
        assert presence.is_protected_since(1)


def test_one_wedding_seen_by_two_vaults_is_kept_up_to_date(places: tuple[Place, Place]) -> None:
    """What the other engine committed is found by the next job, and its chunks are not stored again."""
    with work.opened(places[0]) as first, Bench(LocalStore(places[0].store, create=False)) as second:
        with second.repository.vault(WEDDING) as vault:
            made = first.backup(places[0].source)
            assert [item.id for item in vault.snapshots()] == [made.id]
            again = second.backup(places[0].source)
            assert again.body.parent == made.id
            assert (again.body.counts.bytes_stored, again.body.counts.files_unchanged) == (0, made.body.counts.files)


def test_homes_remember_for_themselves(places: tuple[Place, Place], folder: Path) -> None:
    """A home that saw a number refuses less; one that saw nothing cannot know."""
    for name in ("a", "b"):
        with Bench(LocalStore(places[0].store, create=False), seen=folder / "home0" / "seen.json") as bench:
            bench.repository.register.put(work.couple(name))
    (places[0].store / "register" / "2").unlink()
    with pytest.raises(IntegrityError, match="this home has seen"):
        Bench(LocalStore(places[0].store, create=False), seen=folder / "home0" / "seen.json")
    with Bench(LocalStore(places[0].store, create=False), seen=folder / "home1" / "seen.json") as bench:
        assert [wedding.name for wedding in bench.repository.register.all()] == ["a"]

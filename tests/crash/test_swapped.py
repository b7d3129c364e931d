"""Objects put where they do not belong, or back to an older time, are refused: what is sealed binds its meaning."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest

from engine.base.errors import IntegrityError, NotFound, WedSyncError, WrongPassphrase
from engine.repository import crypto, fragment, layout, transaction
from engine.repository.pack import read_footer
from engine.repository.repository import Repository
from engine.storage.stores.local import LocalStore
from tests.crash import work
from tests.crash.work import COUPLE, Place
from tests.trees import build, describe, file
from tests.vaults import OTHER_WEDDING, WEDDING, Bench

OLDER, NEWER = "aa" * 16, "bb" * 16


@pytest.fixture
def place(folder: Path) -> Place:
    """Two weddings with two snapshots each, of much the same files."""
    made = Place(folder / "trial", folder / "source")
    made.folder.mkdir()
    for version, job in enumerate((OLDER, NEWER)):
        build(made.source / f"{version}", {b"a": file(b"%d" % version * 5000), b"b": file(b"same")})
        with work.opened(made) as bench:
            for wedding in (WEDDING, OTHER_WEDDING):
                bench.backup(made.source, wedding=wedding, job_id=job)
    return made


def _objects(place: Place, wedding: str, kind: str) -> list[Path]:
    return sorted((place.store / "weddings" / wedding / kind).iterdir())


def _swap(first: Path, second: Path) -> None:
    kept = first.read_bytes()
    first.write_bytes(second.read_bytes())
    second.write_bytes(kept)


def _is_noticed(place: Place, wedding: str = WEDDING) -> bool:
    """By opening the wedding, or by verifying it."""
    with work.opened(place) as bench:
        try:
            return bench.verify(wedding=wedding).problems != []
        except IntegrityError:
            return True


def _restored(bench: Bench, place: Place, back: Path, job: str) -> bool:
    """Whether a snapshot was restored; whatever was, is right."""
    try:
        bench.retrieve(back, strip=place.source, snapshot=job)
    except (IntegrityError, NotFound):
        return False
    things = {path: thing for path, thing in describe(back).items() if thing.kind == "file"}
    source = describe(place.source)
    assert things == {path: source[path] for path in things}
    return True


@pytest.mark.parametrize("kind", ["key", "snapshots", "packs"])
def test_an_object_of_another_wedding_is_refused(place: Place, kind: str) -> None:
    """Under the right name, in the right folder, sealed by the same engine minutes before."""
    own, other = (_objects(place, wedding, kind) for wedding in (WEDDING, OTHER_WEDDING))
    _swap(own[0], other[0])
    assert _is_noticed(place)
    assert _is_noticed(place, OTHER_WEDDING)


@pytest.mark.parametrize("kind", ["snapshots", "packs"])
def test_an_older_object_in_the_place_of_a_newer_is_refused(place: Place, kind: str) -> None:
    """Of the same wedding: an older snapshot does not become the newest by its name."""
    older, newer = _objects(place, WEDDING, kind)[:2]
    newer.write_bytes(older.read_bytes())
    assert _is_noticed(place)
    with work.opened(place) as bench:
        _restored(bench, place, place.folder / "older", OLDER)
        _restored(bench, place, place.folder / "newer", NEWER)


def test_a_snapshot_does_not_pass_for_a_checkpoint_or_another_job(place: Place) -> None:
    """Its name is part of what is sealed."""
    older, _ = _objects(place, WEDDING, "snapshots")
    for name in (f"{OLDER}-1", "cc" * 16):
        shutil.copyfile(older, older.with_name(name))
    with work.opened(place) as bench:
        assert [item.id for item in bench.snapshots(partial=True)] == [OLDER, NEWER]
        assert len(bench.verify().problems) == 2


def test_a_fragment_of_another_wedding_is_refused(place: Place) -> None:
    """Its name is only a hash, so the wedding in what is authenticated has to tell."""
    with work.opened(place) as bench, bench.repository.vault(OTHER_WEDDING) as vault:
        packs = [read_footer(vault.store, vault.keys, pack.name) for pack in vault.index.packs()]
        (name,) = fragment.write(vault.store, vault.keys, packs, bench.entropy)
    own = place.store / layout.fragments(bytes.fromhex(WEDDING)) / name.rpartition("/")[2]
    own.parent.mkdir(exist_ok=True)
    shutil.copyfile(place.store / name, own)
    assert _is_noticed(place)
    with work.opened(place) as bench:
        assert _restored(bench, place, place.folder / "back", NEWER)


@pytest.mark.parametrize("name", ["config/1", "keys/*", "register/1", f"weddings/{WEDDING}/key/1"])
def test_an_object_of_another_repository_is_refused(place: Place, name: str) -> None:
    """Made by the same engine with the same passphrase and the same weddings, under another master key."""
    other = Place(place.folder / "other", place.source)
    other.folder.mkdir()
    for made in (place, other):
        with work.opened(made) as bench:
            bench.repository.register.put(work.couple(COUPLE))
            bench.backup(place.source, wedding=WEDDING)
    (own,), (foreign,) = (list(made.store.glob(name)) for made in (place, other))
    own.write_bytes(foreign.read_bytes())
    with pytest.raises((IntegrityError, WrongPassphrase)), work.opened(place) as bench:
        bench.verify()
        raise IntegrityError(bench.repository.warnings[0])  # without the register all the rest can be had


def test_a_key_slot_under_another_name_opens_nothing(place: Place) -> None:
    """Its name is part of what is sealed: a removed slot does not come back as another."""
    (slot,) = (place.store / "keys").iterdir()
    slot.rename(slot.with_name("ab" * 16))
    with pytest.raises(WedSyncError):
        work.opened(place)


# --- set back to an older time ----------------------------------------------------------------------------


@pytest.mark.parametrize("is_swapped", [True, False])
def test_an_older_part_of_the_index_is_told_and_costs_nothing(
    place: Place, is_swapped: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    """In the place of the newer, whose name is the hash of other bytes; or the newer taken away."""
    monkeypatch.setattr(transaction, "INLINE_RECORDS_MAX", 0)
    index = place.store / "weddings" / WEDDING / "index"
    before: set[Path] = set()
    for job in ("cc" * 16, "dd" * 16):
        (place.source / job).write_bytes(job.encode() * 500)
        before = set(index.iterdir()) if index.exists() else set()
        with work.opened(place) as bench:
            bench.backup(place.source, job_id=job)
    (newer,) = set(index.iterdir()) - before
    (older,) = before
    if is_swapped:
        newer.write_bytes(older.read_bytes())
    else:
        newer.unlink()
    assert _is_noticed(place)
    with work.opened(place) as bench:
        for job in (OLDER, NEWER, "cc" * 16, "dd" * 16):
            assert _restored(bench, place, place.folder / job, job)


def test_a_config_that_was_set_back_is_refused(place: Place) -> None:
    """Whether the newer is gone, or the older stands in its place too."""
    with work.opened(place) as bench:
        sealed = bench.repository._sealed
        sealed.create(layout.CONFIG, 2, crypto.CONFIG, sealed.read(layout.CONFIG, 1, crypto.CONFIG))
    with work.opened(place) as bench:
        assert bench.verify().problems == []
    (place.store / "config" / "2").write_bytes((place.store / "config" / "1").read_bytes())
    with pytest.raises(IntegrityError, match="this home has seen config/2"):
        work.opened(place)
    (place.store / "config" / "2").unlink()
    with pytest.raises(IntegrityError, match="this home has seen config/2"):
        work.opened(place)


def test_an_older_change_of_the_register_in_the_place_of_a_newer_is_told(place: Place) -> None:
    """It would take a change back, and nobody would miss it."""
    with work.opened(place) as bench:
        for name in ("a", "b"):
            bench.repository.register.put(work.couple(name))
    register = place.store / "register"
    (register / "2").write_bytes((register / "1").read_bytes())
    with work.opened(place) as bench:
        assert bench.repository.warnings[0] == "register/2 is damaged or does not belong here"


def test_a_whole_repository_set_back_behind_a_change_of_the_register_is_refused(place: Place) -> None:
    """An older copy of everything, consistent in itself, as of before a wedding was added."""
    shutil.copytree(place.store, place.folder / "copy")
    with work.opened(place) as bench:
        bench.repository.register.put(work.couple(COUPLE))
        bench.backup(place.source)
    shutil.rmtree(place.store)
    shutil.copytree(place.folder / "copy", place.store)
    with pytest.raises(IntegrityError, match="this home has seen register/1"):
        work.opened(place)


def _add_epoch(place: Place) -> None:
    with work.opened(place) as bench:
        work.add_epoch(bench)


def test_a_new_epoch_seals_and_the_old_one_still_opens(place: Place) -> None:
    """Rotation touches no chunk: what is stored is found again, what is new is under the new secret."""
    _add_epoch(place)
    (place.source / "2").mkdir()
    (place.source / "2" / "c").write_bytes(b"after the rotation" * 1000)
    with work.opened(place) as bench:
        snapshot = bench.backup(place.source)
        assert snapshot.body.counts.files_unchanged == 4
        assert bench.verify().problems == []
        assert _restored(bench, place, place.folder / "back", "latest")
        with bench.repository.vault(WEDDING) as vault:
            assert {pack.epoch for pack in vault.index.packs()} == {1, 2}


def test_an_older_key_is_refused_by_a_home_that_saw_the_newer(place: Place) -> None:
    """Number 2 taken away: what is sealed from now on would be under a secret that was given up."""
    _add_epoch(place)
    with work.opened(place) as bench:
        assert bench.verify().problems == []
    (place.store / "weddings" / WEDDING / "key" / "2").unlink()
    with work.opened(place) as bench:
        with pytest.raises(IntegrityError, match="this home has seen"):
            bench.backup(place.source)
        assert bench.verify(wedding=OTHER_WEDDING).problems == []


def test_an_older_key_under_the_newer_number_is_refused(place: Place) -> None:
    """Its number is part of what is sealed."""
    _add_epoch(place)
    keys = place.store / "weddings" / WEDDING / "key"
    (keys / "2").write_bytes((keys / "1").read_bytes())
    assert _is_noticed(place)


def test_a_missing_key_is_never_made_anew_over_snapshots(place: Place) -> None:
    """A fresh key would make all that is stored unreadable for good; also for a home that has seen nothing."""
    (place.store / "weddings" / WEDDING / "key" / "1").unlink()
    for seen in (place.seen, place.folder / "fresh.json"):
        with Bench(LocalStore(place.store, create=False), seen=seen) as bench:
            with pytest.raises(IntegrityError):
                bench.backup(place.source)
    assert not (place.store / "weddings" / WEDDING / "key" / "1").exists()


def test_a_register_that_was_set_back_is_refused(place: Place) -> None:
    """A wedding would be gone from the list, and nobody would miss it."""
    with work.opened(place) as bench:
        bench.repository.register.put(work.couple(COUPLE))
        bench.repository.register.put(work.couple("brown-lee", OTHER_WEDDING))
    (place.store / "register" / "2").unlink()
    with pytest.raises(IntegrityError, match="this home has seen"):
        work.opened(place)


def test_a_change_taken_out_of_the_register_is_told(place: Place) -> None:
    """The numbers of what is left have a gap."""
    with work.opened(place) as bench:
        bench.repository.register.put(work.couple("brown-lee", OTHER_WEDDING))
        for name in ("a", "b", "c"):
            bench.repository.register.put(work.couple(name))
    (place.store / "register" / "2").unlink()
    with work.opened(place) as bench:
        assert bench.repository.warnings == ["register/2 is missing, and what it changed"]
        assert bench.repository.register.get("c").id == WEDDING


def test_a_repository_without_its_config_is_not_made_anew(place: Place) -> None:
    """Its key slots and weddings would be worth nothing afterwards."""
    shutil.rmtree(place.store / "config")
    with pytest.raises(WedSyncError, match="config is gone"):
        work.opened(place)
    store = LocalStore(place.store, create=False)
    assert not Repository.exists(store)
    store.close()
    assert len(list((place.store / "keys").iterdir())) == 1

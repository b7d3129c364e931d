"""A repository: made once, opened with any of its passphrases, shared by engines, its weddings opened when at work."""

from __future__ import annotations

import datetime as dt
import threading
from pathlib import Path

import pytest
from msgspec.structs import replace

from engine.base.errors import Conflict, IntegrityError, NotFound, UsageError, WrongPassphrase
from engine.contract.weddings import Wedding
from engine.repository import codec, crypto, keyring, layout, repository
from engine.repository.repository import Repository
from engine.repository.seen import SeenNumbers
from engine.storage.stores.memory import MemoryObjects, MemoryStore
from tests.engine.repository.parts import CHEAP, ENTROPY, create, damage, names, reopen
from tests.golden import world

WEDDING = world.WEDDING.hex()


def _config(repository: Repository, number: int, **changes: object) -> None:
    """Another engine writes a config."""
    payload = codec.encode(replace(repository.config, **changes))
    repository._sealed.create(layout.CONFIG, number, crypto.CONFIG, payload)


# --- making and opening ------------------------------------------------------------------------------


def test_what_was_made_is_opened() -> None:
    """The same id, config and register, from another home."""
    objects = MemoryObjects()
    assert not Repository.exists(MemoryStore(objects))
    made = create(objects)
    made.register.put(Wedding(id=WEDDING, name="smith", date=dt.date(2026, 6, 20)))
    assert Repository.exists(MemoryStore(objects))
    opened = reopen(objects)
    assert (opened.id, opened.config) == (made.id, made.config)
    assert opened.register.all() == made.register.all()
    assert opened.warnings == []


def test_a_store_holds_one_repository() -> None:
    """The first stands, and its only slot is its own."""
    objects = MemoryObjects()
    create(objects)
    with pytest.raises(Conflict):
        create(objects, "second")
    assert len(names(MemoryStore(objects), "keys/")) == 1
    reopen(objects)


def test_makers_at_once_make_one() -> None:
    """Whoever creates the config; the slots of the others are gone."""
    objects = MemoryObjects()
    start = threading.Barrier(4)
    made: list[str] = []

    def make(number: int) -> None:
        start.wait()
        try:
            made.append(create(objects, f"passphrase {number}").id)
        except Conflict:
            pass

    threads = [threading.Thread(target=make, args=(number,)) for number in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(made) == 1
    assert len(names(MemoryStore(objects), "keys/")) == 1
    assert names(MemoryStore(objects), "config/") == ["config/1"]


@pytest.mark.parametrize("passphrase", ["", " ", "\t\n"])
def test_an_empty_passphrase_protects_nothing(passphrase: str) -> None:
    """Refused before anything is written."""
    objects = MemoryObjects()
    with pytest.raises(UsageError):
        create(objects, passphrase)
    assert names(MemoryStore(objects), "") == []


def test_nothing_to_open_is_not_found() -> None:
    """An empty store, or one with other things in it."""
    objects = MemoryObjects()
    MemoryStore(objects).put("config/readme", b"")
    with pytest.raises(NotFound):
        reopen(objects)


def test_a_wrong_passphrase_says_so() -> None:
    """And says when slots are damaged besides."""
    objects = MemoryObjects()
    create(objects)
    with pytest.raises(WrongPassphrase):
        reopen(objects, "wrong")
    MemoryStore(objects).put("keys/" + "0" * 32, b"damaged")
    with pytest.raises(WrongPassphrase, match="1 more"):
        reopen(objects, "wrong")


def test_a_damaged_slot_among_good_ones_is_a_warning() -> None:
    """Opening goes on with the next."""
    objects = MemoryObjects()
    create(objects)
    MemoryStore(objects).put("keys/" + "0" * 32, b"damaged")
    assert len(reopen(objects).warnings) == 1


def test_without_any_readable_slot_that_is_an_integrity_error() -> None:
    """No passphrase could help."""
    objects = MemoryObjects()
    create(objects)
    store = MemoryStore(objects)
    (slot,) = names(store, "keys/")
    store.delete(slot)
    with pytest.raises(IntegrityError):
        reopen(objects)
    store.put(slot, b"damaged")
    with pytest.raises(IntegrityError):
        reopen(objects)


def test_a_slot_that_leads_nowhere_is_passed_over() -> None:
    """As a maker leaves it that was killed before its config: same passphrase, another master key."""
    objects = MemoryObjects()
    store = MemoryStore(objects)
    contents = keyring.SlotContents(ENTROPY.token(32), "left behind", 0)
    for name in ("keys/" + "0" * 32, "keys/" + "f" * 32):
        store.put(name, keyring.seal_slot(contents, "first", name=name, cost=CHEAP, entropy=ENTROPY))
    made = create(objects)
    for name in ("keys/" + "0" * 32, "keys/" + "f" * 32):
        if name not in names(store, "keys/"):
            store.put(name, keyring.seal_slot(contents, "first", name=name, cost=CHEAP, entropy=ENTROPY))
    assert reopen(objects).id == made.id


@pytest.mark.parametrize("first", ["0", "f"])
def test_an_unknown_feature_is_said_though_other_slots_do_not_open(first: str) -> None:
    """The passphrase was right: to say it was wrong would send people looking for another."""
    objects = MemoryObjects()
    made = create(objects)
    store = MemoryStore(objects)
    name = "keys/" + first * 32
    contents = keyring.SlotContents(made._sealed.master, "other", 0)
    store.put(name, keyring.seal_slot(contents, "second", name=name, cost=CHEAP, entropy=ENTROPY))
    _config(made, 2, features=("prune-2",))
    with pytest.raises(IntegrityError, match="prune-2") as refused:
        reopen(objects)
    assert "update" in refused.value.hint


def test_a_damaged_config_falls_back_to_the_one_before() -> None:
    """With a warning, for a home that did not see the damaged one."""
    objects = MemoryObjects()
    made = create(objects)
    _config(made, 2)
    damage(MemoryStore(objects), "config/2")
    assert len(reopen(objects).warnings) == 1


def test_a_repository_that_was_set_back_is_refused_by_who_saw_more(tmp_path: Path) -> None:
    """Config, register and wedding keys alike."""
    seen = SeenNumbers(tmp_path / "seen.json")
    objects = MemoryObjects()
    made = create(objects, seen=seen)
    _config(made, 2)
    MemoryStore(objects).delete("config/2")
    with pytest.raises(IntegrityError, match="has seen config/2"):
        reopen(objects, seen=seen)
    reopen(objects)


def test_a_home_makes_its_repository_anew(tmp_path: Path) -> None:
    """After the old one was deleted: what was seen of that does not count."""
    seen = SeenNumbers(tmp_path / "seen.json")
    objects = MemoryObjects()
    old = create(objects, seen=seen)
    for number in range(3):
        old.register.put(Wedding(id=f"{number:032x}", name=f"w{number}", date=dt.date(2026, 6, 20)))
    new = MemoryObjects()
    made = create(new, seen=seen)
    made.register.put(Wedding(id=WEDDING, name="smith", date=dt.date(2026, 6, 20)))
    assert reopen(new, seen=seen).id == made.id


# --- key slots ---------------------------------------------------------------------------------------


def test_every_slot_opens_the_same_repository() -> None:
    """And is told apart by its id; the label only of the one that opened it."""
    objects = MemoryObjects()
    made = create(objects)
    added = made.add_slot("second", "the safe", CHEAP)
    opened = reopen(objects, "second")
    assert opened.id == made.id
    current = [slot for slot in opened.slots() if slot.current]
    assert [(slot.id, slot.label) for slot in current] == [(added.id, "the safe")]
    assert [slot.label for slot in opened.slots() if not slot.current] == [""]


def test_a_removed_slot_opens_nothing() -> None:
    """By the first digits of its id."""
    objects = MemoryObjects()
    made = create(objects)
    added = made.add_slot("second", "", CHEAP)
    made.remove_slot(added.id[:8])
    with pytest.raises(WrongPassphrase):
        reopen(objects, "second")
    reopen(objects)


def test_the_last_slot_stays() -> None:
    """A damaged one does not count as another."""
    objects = MemoryObjects()
    made = create(objects)
    (slot,) = made.slots()
    MemoryStore(objects).put("keys/" + "0" * 32, b"damaged")
    with pytest.raises(Conflict):
        made.remove_slot(slot.id)
    assert [each.kdf.partition(":")[0] for each in made.slots() if each.id != slot.id] == ["unreadable"]
    made.remove_slot("0" * 32)


def test_a_slot_has_to_be_meant() -> None:
    """Neither none, nor several."""
    made = create(MemoryObjects())
    for name in ("aa" + "0" * 30, "aa" + "1" * 30):
        made.store.put("keys/" + name, b"")
    for prefix in ("", "zz"):
        with pytest.raises(NotFound):
            made.remove_slot(prefix)
    with pytest.raises(UsageError):
        made.remove_slot("aa")


# --- weddings ----------------------------------------------------------------------------------------


def test_a_wedding_is_opened_once_for_all_its_jobs() -> None:
    """And kept a while after the last."""
    made = create(MemoryObjects())
    with made.vault(WEDDING) as first:
        with made.vault(WEDDING) as second:
            assert first is second
        with made.vault(WEDDING) as third:
            assert first is third
    with made.vault(WEDDING) as later:
        assert later is first
    assert made._used == {}


def test_a_wedding_whose_key_has_changed_is_opened_anew() -> None:
    """Or whose vault met something damaged, which may be mended by then."""
    made = create(MemoryObjects())
    with made.vault(WEDDING) as first:
        pass
    folder = f"weddings/{WEDDING}/key/"
    made.store.put(folder + "2", made.store.get(folder + "1", limit_bytes=1 << 20))
    with made.vault(WEDDING) as second:
        assert second is not first
        made.store.put(f"weddings/{WEDDING}/snapshots/{'5f' * 16}", b"damaged")
        second.refresh()
    with made.vault(WEDDING) as third:
        assert third is not second


def test_few_vaults_are_kept(monkeypatch: pytest.MonkeyPatch) -> None:
    """The ones used last."""
    monkeypatch.setattr(repository, "RESTING_MAX", 3)
    made = create(MemoryObjects())
    weddings = [f"{number:032x}" for number in range(1, 6)]
    for wedding in weddings:
        with made.vault(wedding):
            pass
    assert [key.hex() for key in made._resting] == weddings[2:]
    monkeypatch.setattr(repository, "RESTING_BYTES_MAX", 0)
    with made.vault(weddings[0]):
        pass
    assert not made._resting


def test_engines_at_once_agree_on_a_new_weddings_key() -> None:
    """One makes it, the others read it."""
    objects = MemoryObjects()
    create(objects)
    start = threading.Barrier(4)
    keys: list[bytes] = []

    def open_wedding() -> None:
        engine = reopen(objects)
        start.wait()
        with engine.vault(WEDDING) as vault:
            keys.append(vault.keys.chunk_key)

    threads = [threading.Thread(target=open_wedding) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(keys) == 4
    assert len(set(keys)) == 1


def test_weddings_share_no_key_and_no_chunk() -> None:
    """The same file in two weddings is two chunks."""
    objects = MemoryObjects()
    made = create(objects)
    with made.vault(WEDDING) as one, made.vault(world.OTHER_WEDDING.hex()) as other:
        ids = [crypto.chunk_id(b"same", vault.keys.chunk_key) for vault in (one, other)]
        assert ids[0] != ids[1]
        assert one.keys.secret != other.keys.secret
        assert one.keys.chunker_seed != other.keys.chunker_seed
    assert len({made.new_wedding_id() for _ in range(9)}) == 9


def test_a_missing_key_of_a_wedding_with_snapshots_is_not_made_anew() -> None:
    """A new one would open nothing of what is there, and hide that the old one is gone."""
    objects = MemoryObjects()
    made = create(objects)
    with made.vault(world.OTHER_WEDDING.hex()) as vault:
        key = vault.keys
    assert key.epoch == 1
    store = MemoryStore(objects)
    store.put(layout.snapshots(world.WEDDING) + "0" * 32, b"something")
    with pytest.raises(IntegrityError, match="key"), reopen(objects).vault(WEDDING):
        pass
    assert names(store, layout.wedding_keys(world.WEDDING)) == []


def test_a_damaged_wedding_key_is_an_integrity_error() -> None:
    """Other weddings are not touched by it."""
    objects = MemoryObjects()
    made = create(objects)
    with made.vault(world.OTHER_WEDDING.hex()):
        pass
    with made.vault(WEDDING):
        pass
    damage(MemoryStore(objects), layout.wedding_keys(world.WEDDING) + "1")
    opened = reopen(objects)
    with pytest.raises(IntegrityError), opened.vault(WEDDING):
        pass
    with opened.vault(world.OTHER_WEDDING.hex()) as vault:
        assert vault.problems == []


def test_snapshots_are_listed_without_opening_the_wedding() -> None:
    """Those that can be read; before the first backup there is not even a key."""
    objects = MemoryObjects()
    made = create(objects)
    assert made.snapshots(WEDDING) == []
    assert names(MemoryStore(objects), "weddings/") == []


def test_a_closed_repository_leaves_no_lease() -> None:
    """While it is open there is one."""
    objects = MemoryObjects()
    made = create(objects)
    assert len(names(MemoryStore(objects), "leases/")) == 1
    made.close()
    assert names(MemoryStore(objects), "leases/") == []

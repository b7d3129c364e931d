"""Tombstones: what is published again stays, what was deleted last is gone, whichever region comes back with what."""

from __future__ import annotations

from pathlib import Path

import pytest
from blake3 import blake3

from engine.storage.healing import Healer
from engine.storage.replication import Policy
from engine.storage.tombstones import deleted_names
from tests.engine.storage.regions import everywhere, heal_all, world
from tests.suites.object_store import names_in, pattern, publish

FOLDER = "weddings/" + "0f" * 16 + "/packs/"
PACK = FOLDER + "ab" * 32


def hashed(size_bytes: int, seed: int = 1) -> tuple[str, bytes]:
    """A pack's name, and its bytes."""
    data = pattern(size_bytes, seed=seed)
    return FOLDER + blake3(data).hexdigest(), data


@pytest.mark.parametrize(
    ("marks", "deleted"),
    [
        ([PACK], {PACK}),
        ([PACK, f"{PACK}.1"], set()),
        ([f"{PACK}.1", PACK, f"{PACK}.2"], {PACK}),
        ([f"{PACK}.10", f"{PACK}.9"], {PACK}),
        (["marks/1.1"], {"marks/1.1"}),  # no number: it has no hash for a name
    ],
)
def test_the_highest_mark_holds(marks: list[str], deleted: set[str]) -> None:
    assert deleted_names(f"deleted/{each}" for each in marks) == deleted


@pytest.mark.parametrize("turns", [1, 2])
@pytest.mark.parametrize("append_only", [frozenset(), frozenset({"gamma"})])
@pytest.mark.parametrize("away", ["", "beta", "gamma"])
def test_a_pack_that_was_deleted_and_is_published_again_stays(
    append_only: frozenset[str], away: str, turns: int, tmp_path: Path
) -> None:
    """As one that is moved down and up again; a region is away when it is deleted, another process publishes it."""
    with world(3, append_only=append_only, queue_path=tmp_path / "queue.db") as made:
        name, data = hashed(8192)
        for _ in range(turns):
            store = made.open()
            publish(store, name, data)
            heal_all(store)
            if away:
                made.fail(away)
            store.delete(name)
            assert names_in(store) == []
            store.close()
            if away:
                made.come_back(away)
        store = made.open()
        publish(store, name, data)
        assert names_in(store) == [name]
        for _ in range(2):
            Healer(store).compare("")
            heal_all(store)
        assert [made.held(each).get(name) for each in made.names] == [data] * 3
        assert names_in(store) == [name]
        assert store.get(name, limit_bytes=8192) == data


@pytest.mark.parametrize("append_only", [frozenset(), frozenset({"gamma"})])
@pytest.mark.parametrize("away", ["alpha", "beta"])
def test_an_old_tombstone_does_not_come_back_with_a_region(
    append_only: frozenset[str], away: str, tmp_path: Path
) -> None:
    """The region has it and is away while the pack is published again; another engine still wants to delete it."""
    with world(3, append_only=append_only, queue_path=tmp_path / "mine.db") as made:
        name, data = hashed(8192)
        mine = made.open()
        publish(mine, name, data)
        heal_all(mine)
        made.queue_path = tmp_path / "other.db"
        other = made.open()
        made.fail("gamma")
        other.delete(name)
        made.come_back("gamma")
        made.fail(away)
        assert mine.shared.is_buried(name)
        publish(mine, name, data)
        made.come_back(away)
        for store in (other, mine, other, mine):
            Healer(store).compare("")
            heal_all(store)
        assert [made.held(each).get(name) for each in made.names] == [data] * 3
        assert names_in(mine) == names_in(other) == [name]
        assert other.get(name, limit_bytes=8192) == mine.get(name, limit_bytes=8192) == data


def test_a_pack_that_only_silent_regions_know_deleted_is_published_again_for_good(tmp_path: Path) -> None:
    with world(2, policy=Policy(2, 1), queue_path=tmp_path / "queue.db") as made:
        name, data = hashed(8192)
        store = made.open()
        publish(store, name, data)
        heal_all(store)
        made.fail("beta")
        store.delete(name)
        made.come_back("beta")
        made.fail("alpha")
        publish(store, name, data)
        made.come_back("alpha")
        Healer(store).compare("")
        heal_all(store)
        assert [made.held(each).get(name) for each in made.names] == [data] * 2


def test_what_was_deleted_again_does_not_come_back_with_a_region(tmp_path: Path) -> None:
    """As the pack of a wedding that is erased after it was moved down and up."""
    with world(3, append_only=frozenset({"gamma"}), queue_path=tmp_path / "queue.db") as made:
        name, data = hashed(8192)
        store = made.open()
        for _ in range(2):
            publish(store, name, data)
            heal_all(store)
            store.delete(name)
        made.media["alpha"].add(name, data, 0)  # a disk of before the deletion
        Healer(store).compare("")
        heal_all(store)
        assert names_in(store) == names_in(made.open()) == []
        assert name not in made.held("alpha")
        assert name not in made.held("beta")


def test_what_a_region_that_only_adds_should_not_have_is_deleted_nowhere() -> None:
    """A wedding may not lie there any more."""
    with world(3, append_only=frozenset({"gamma"})) as made:
        name, data = hashed(8192)
        store = made.open()
        publish(store, name, data)
        heal_all(store)
        store.shared.placing = everywhere(("alpha", "beta"))
        store.shared.queue.owe(name, ["gamma"], "delete", 0, on_the_way=False)
        for _ in range(2):
            Healer(store).compare("")
            heal_all(store)
        assert [made.held(each) for each in made.names] == [{name: data}] * 3

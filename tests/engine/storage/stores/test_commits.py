"""Folders that go with their last object, and creators who come to such a folder at that moment."""

from __future__ import annotations

import os
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest

from engine.base.errors import Unavailable
from engine.storage.stores import syscalls
from engine.storage.stores.local import LocalStore


@pytest.fixture
def root(tmp_path: Path) -> Path:
    """The folder of the store."""
    return tmp_path / "store"


@pytest.fixture
def stores(root: Path) -> Iterator[tuple[LocalStore, LocalStore]]:
    """The same store as two engines have it open."""
    opened = LocalStore(root, create=True), LocalStore(root, create=True)
    yield opened
    for store in opened:
        store.close()


def test_a_folder_goes_with_the_last_object_of_who_made_it(root: Path, stores: tuple[LocalStore, LocalStore]) -> None:
    """As that of a lease; the folders that all engines share stay."""
    store, _ = stores
    for name in ("leases/a/1", "leases/a/2", "config/1", "weddings/w/packs/p"):
        store.put(name, b"x")
    for name in ("leases/a/1", "config/1", "weddings/w/packs/p"):
        store.delete(name)
    assert (root / "leases/a").is_dir()
    store.delete("leases/a/2")
    assert sorted(name for name in (str(path.relative_to(root)) for path in root.rglob("*")) if name[:3] != "tmp") == [
        "config", "leases", "weddings", "weddings/w", "weddings/w/packs",
    ]  # fmt: skip
    store.put("leases/a/3", b"x")
    assert [info.name for info in store.list("leases/")] == ["leases/a/3"]


def test_who_did_not_make_a_folder_leaves_it(root: Path, stores: tuple[LocalStore, LocalStore]) -> None:
    """Its owner may be about to write there."""
    first, second = stores
    first.put("leases/a/1", b"x")
    second.delete("leases/a/1")
    assert (root / "leases/a").is_dir()


def test_a_folder_that_somebody_removed_is_made_again(stores: tuple[LocalStore, LocalStore]) -> None:
    """Though this engine has used it before."""
    first, second = stores
    first.put("leases/a/1", b"x")
    second.put("leases/a/2", b"y")
    second.delete("leases/a/2")
    first.delete("leases/a/1")
    second.put("leases/a/3", b"z")
    assert [info.name for info in first.list("leases/")] == ["leases/a/3"]


@pytest.mark.parametrize("published", [False, True])
def test_a_folder_removed_before_the_name_is_in_it_is_made_again(
    root: Path, stores: tuple[LocalStore, LocalStore], published: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    """At every moment between."""
    store, _ = stores
    step = "rename" if published else "link"
    enter = getattr(syscalls, step)
    lost = iter(range(3))

    def enter_late(source: str, target: str) -> None:
        if next(lost, None) is not None:
            os.rmdir(root / "leases/a")
        enter(source, target)

    monkeypatch.setattr(syscalls, step, enter_late)
    if published:
        staged = store.stage()
        staged.publish("leases/a/1").result()
    else:
        store.put("leases/a/1", b"")
    assert store.get("leases/a/1", limit_bytes=9) == b""


def test_a_folder_that_is_removed_again_and_again_is_an_error_in_the_end(
    root: Path, stores: tuple[LocalStore, LocalStore], monkeypatch: pytest.MonkeyPatch
) -> None:
    """And no endless loop."""
    link = syscalls.link

    def never(source: str, target: str) -> None:
        os.rmdir(root / "leases/a")
        link(source, target)

    monkeypatch.setattr(syscalls, "link", never)
    with pytest.raises(Unavailable):
        stores[0].put("leases/a/1", b"x")


def test_a_deletion_is_done_when_its_folder_is_gone_with_it(
    root: Path, stores: tuple[LocalStore, LocalStore], monkeypatch: pytest.MonkeyPatch
) -> None:
    """As soon as that lasts: the folder above is fsynced instead."""
    first, second = stores
    first.put("leases/a/1", b"x")
    synced: list[str] = []
    fsync = syscalls.fsync_folder

    def fsync_late(path: str) -> None:
        if path.endswith("leases/a"):
            os.rmdir(path)
        fsync(path)
        synced.append(path)

    monkeypatch.setattr(syscalls, "fsync_folder", fsync_late)
    second.delete("leases/a/1")
    assert synced == [str(root / "leases")]


def test_owners_and_others_in_one_folder_lose_nothing(root: Path) -> None:
    """An owner who comes and goes, and another engine that writes there meanwhile."""
    start = threading.Barrier(2)
    kept: list[str] = []

    def owner() -> None:
        store = LocalStore(root, create=True)
        start.wait()
        for number in range(60):
            store.put(f"leases/a/{number}", b"x")
            store.delete(f"leases/a/{number}")
        store.close()

    def other() -> None:
        store = LocalStore(root, create=True)
        start.wait()
        for number in range(1000, 1030):
            store.put(f"leases/a/{number}", b"y")
            kept.append(f"leases/a/{number}")
            if number % 3:
                store.delete(kept.pop())
        store.close()

    threads = [threading.Thread(target=work) for work in (owner, other)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    store = LocalStore(root, create=False)
    assert [info.name for info in store.list("")] == kept
    store.close()

"""A store that was there is recognised: no empty mount point is ever filled in its stead."""

from __future__ import annotations

import errno
from collections.abc import Callable
from pathlib import Path

import pytest

from engine.base.errors import NotFound, Unavailable
from engine.storage import known as module
from engine.storage.known import MARKER, KnownStores
from engine.storage.stores.store import ObjectStore


class Scene:
    """A home that opens a store in a folder which may be mounted, or not."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder / "mnt"
        self.disk = folder / "disk"
        self.stores = KnownStores(folder / "stores.json")
        self.home = folder / "stores.json"

    def open(self, *, create: bool = True, holds: Callable[[], bool] = lambda: False) -> ObjectStore:
        return self.stores.open(f"file://{self.folder}", create=create, holds=holds)

    def unmount(self) -> None:
        """The disk goes; the mount point stays, empty."""
        self.folder.rename(self.disk)
        self.folder.mkdir()

    def mount(self) -> None:
        self.folder.rmdir()
        self.disk.rename(self.folder)

    def start_anew(self) -> None:
        """Another life of the engine."""
        self.stores = KnownStores(self.home)


@pytest.fixture
def scene(tmp_path: Path) -> Scene:
    made = Scene(tmp_path)
    store = made.open()
    store.put("weddings/1", b"x")
    store.close()
    return made


def test_an_empty_mount_point_is_not_the_store(scene: Scene) -> None:
    """Nor is a mount point that is gone; nothing is written to either, and the disk is known again when it is back."""
    scene.start_anew()
    scene.unmount()
    with pytest.raises(Unavailable, match="is not there") as caught:
        scene.open()
    assert f"make an empty file {scene.folder}/{MARKER}" in caught.value.hint
    assert list(scene.folder.iterdir()) == []
    scene.folder.rmdir()
    with pytest.raises(Unavailable, match="is not there"):
        scene.open()
    assert not scene.folder.exists()
    scene.disk.rename(scene.folder)
    assert scene.open().get("weddings/1", limit_bytes=9) == b"x"


def test_another_disk_at_the_same_place_is_not_the_store(scene: Scene, tmp_path: Path) -> None:
    other = Scene(tmp_path / "elsewhere")
    other.folder.parent.mkdir()
    other.open().close()
    scene.folder.rename(scene.disk)
    other.folder.rename(scene.folder)
    with pytest.raises(Unavailable, match="another store than before"):
        scene.open()


def test_a_disk_is_filled_anew_where_somebody_says_so(scene: Scene) -> None:
    """By an empty marker; from then on it is the store."""
    scene.unmount()
    (scene.folder / MARKER).touch()
    store = scene.open()
    assert list(store.list("")) == []
    store.close()
    scene.start_anew()
    scene.open().close()
    assert (scene.folder / MARKER).read_text() == (scene.disk / MARKER).read_text()


def test_a_store_of_before_gets_its_marker(tmp_path: Path) -> None:
    """What has objects is a store; a bare folder in its place is none where copies are known to lie there."""
    scene = Scene(tmp_path)
    (scene.folder / "weddings").mkdir(parents=True)
    scene.open(holds=lambda: True).close()
    assert (scene.folder / MARKER).exists()
    fresh = Scene(tmp_path / "fresh")
    fresh.folder.mkdir(parents=True)
    with pytest.raises(Unavailable, match="is not there"):
        fresh.open(holds=lambda: True)
    with pytest.raises(Unavailable):
        KnownStores(None).open(f"file://{tmp_path}/none", create=True, holds=lambda: True)
    assert list(fresh.folder.iterdir()) == []


def test_what_is_not_there_and_not_to_be_made_is_not_found(tmp_path: Path) -> None:
    with pytest.raises(NotFound):
        Scene(tmp_path).open(create=False)


def test_another_home_takes_the_word_that_is_there(scene: Scene, tmp_path: Path) -> None:
    second = KnownStores(tmp_path / "second.json")
    second.open(f"file://{scene.folder}", create=True, holds=lambda: False).close()
    assert (tmp_path / "second.json").read_bytes() == scene.home.read_bytes()


def test_a_medium_that_takes_no_marker_is_opened_all_the_same(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """As one that can only be read, or is full."""

    def refuse(*_: object, **__: object) -> None:
        raise OSError(errno.EROFS, "read-only")

    monkeypatch.setattr(module, "replace_file", refuse)
    scene = Scene(tmp_path)
    (scene.folder / "weddings").mkdir(parents=True)
    scene.open().close()
    assert not (scene.folder / MARKER).exists()


def test_a_damaged_list_is_as_good_as_none(scene: Scene) -> None:
    scene.home.write_bytes(b"{")
    scene.start_anew()
    scene.open().close()
    assert scene.stores.is_known(f"file://{scene.folder}")

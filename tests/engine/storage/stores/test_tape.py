"""`TapeStore` on a robot that keeps LTFS's rules, against the shared suite; and what only a tape does."""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path

import pytest

from engine.base.errors import Conflict, NotFound, Unavailable, UsageError
from engine.storage.stores import syscalls
from engine.storage.stores.open import open_store
from engine.storage.stores.tape import START_BLOCK, SYNC, VOLUME, TapeStore
from tests.robot import MOUNT_S, UNMOUNT_S, Robot
from tests.suites.object_store import ObjectStoreSuite, OpenEngine, names_in, pattern, publish

MIB = 1 << 20


@pytest.fixture
def robot(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Robot:
    """With TAPE01 in the drive."""
    made = Robot(tmp_path, monkeypatch)
    made.load("TAPE01")
    return made


class TestTapeStore(ObjectStoreSuite):
    """The promises every store makes."""

    @pytest.fixture
    def open_engine(self, robot: Robot) -> Iterator[OpenEngine]:
        opened: list[TapeStore] = []

        def open_one() -> TapeStore:
            opened.append(TapeStore(robot.mount))
            return opened[-1]

        yield open_one
        for store in opened:
            store.close()


@pytest.fixture
def store(robot: Robot) -> Iterator[TapeStore]:
    """An empty cartridge."""
    made = TapeStore(robot.mount)
    yield made
    made.close()


def test_what_is_acknowledged_outlives_the_power(robot: Robot, store: TapeStore) -> None:
    """The index is forced before a put or a publication is done: fsync alone would have lost both."""
    publish(store, "weddings/a/packs/" + "0" * 64, pattern(MIB))
    store.put("config/1", b"config")
    store.stage().append(memoryview(bytearray(4096)))
    robot.lose_power()
    assert [name for name in names_in(store) if not name.startswith("tmp")] == [
        "config/1", "weddings/a/packs/" + "0" * 64,
    ]  # fmt: skip
    assert store.get("config/1", limit_bytes=100) == b"config"


def test_a_group_of_packs_forces_one_index(robot: Robot, store: TapeStore) -> None:
    """Each costs the drive a rewind, so those that wait together share it."""
    staged = [store.stage() for _ in range(20)]
    for number, each in enumerate(staged):
        each.append(memoryview(bytearray(4096 * (number + 1))))
    done = [each.publish(f"packs/{number:02}") for number, each in enumerate(staged)]
    for future in done:
        future.result()
    assert 1 <= robot.syncs < 20


def test_an_index_that_cannot_be_written_is_no_success(
    robot: Robot, store: TapeStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    """As on a cartridge whose end is near."""
    store.put("config/1", b"one")

    def refuse(path: str, name: str, value: bytes) -> None:
        raise OSError(5, os.strerror(5))

    with monkeypatch.context() as patched:
        patched.setattr(syscalls, "set_attribute", refuse)
        other = TapeStore(robot.mount)
        with pytest.raises(Unavailable):
            other.put("config/2", b"two")
        other.close()


def test_deleting_frees_nothing(robot: Robot, store: TapeStore) -> None:
    """The name goes; the blocks stay written until the cartridge is formatted."""
    publish(store, "packs/a", pattern(MIB))
    used = robot.used_blocks
    store.delete("packs/a")
    with pytest.raises(NotFound):
        store.stat("packs/a")
    publish(store, "packs/b", pattern(MIB))
    assert robot.used_blocks == 2 * used


def test_reading_in_the_order_of_the_tape_winds_it_once(robot: Robot, store: TapeStore) -> None:
    """Packs lie in the order in which they were written, which is not that of their names."""
    names = [f"packs/{letter}" for letter in "qwertzuiopasdfghjklyxcvbnm"]
    for number, name in enumerate(names):
        publish(store, name, pattern(256 * 1024, number + 1))

    def took(order: list[str]) -> float:
        robot.unload()
        robot.load("TAPE01")
        before = robot.seconds
        for name in order:
            store.get(name, limit_bytes=MIB)
        return robot.seconds - before

    order = list(store.read_order(sorted(names)))
    assert order == names
    by_name, by_place = took(sorted(names)), took(order)
    assert by_place < by_name / 5
    assert store.read_order(["packs/nothing", "packs/q"]) == ["packs/q", "packs/nothing"]


def test_without_a_cartridge_everything_waits(robot: Robot, store: TapeStore) -> None:
    """Unavailable, never "not found": nobody may take an empty mount point for an empty tape."""
    publish(store, "packs/a", pattern(4096))
    robot.unload()
    for call in (
        lambda: store.get("packs/a", limit_bytes=MIB),
        lambda: store.read_into("packs/a", 0, memoryview(bytearray(1))),
        lambda: store.stat("packs/a"),
        lambda: names_in(store),
        lambda: store.folders(""),
        lambda: store.delete("packs/a"),
        lambda: store.put("packs/b", b""),
        store.stage,
        store.space,
        lambda: store.read_order(["packs/a"]),
    ):
        with pytest.raises(Unavailable, match="not mounted") as caught:
            call()
        assert "robot" in caught.value.hint
    assert list(robot.mount.iterdir()) == []
    robot.load("TAPE01")
    assert store.get("packs/a", limit_bytes=MIB) == pattern(4096)
    assert robot.seconds >= 2 * MOUNT_S + UNMOUNT_S


def test_a_cartridge_that_goes_while_it_is_listed_is_no_short_list(robot: Robot, store: TapeStore) -> None:
    for number in range(5):
        publish(store, f"packs/{number}", pattern(4096, number + 1))
    listed = store.list("")
    assert next(listed).name == "packs/0"
    robot.unload()
    with pytest.raises(Unavailable, match="not mounted"):
        list(listed)


def test_another_cartridge_is_another_store(robot: Robot, store: TapeStore) -> None:
    """Where the URL names one, the others do not count; where it does not, what is mounted is read."""
    publish(store, "packs/a", pattern(4096))
    robot.load("TAPE02")
    assert names_in(store) == []
    named = open_store(f"tape://{robot.mount}?volume=TAPE01", create=False)
    with pytest.raises(Unavailable, match="the cartridge TAPE01 is not mounted"):
        named.stat("packs/a")
    with pytest.raises(Unavailable):
        named.put("packs/b", b"")
    robot.load("TAPE01")
    assert named.stat("packs/a").size_bytes == 4096
    assert named.url == f"tape://{robot.mount}?volume=TAPE01"
    named.close()


def test_a_taken_name_stays_with_its_bytes_without_hard_links(store: TapeStore) -> None:
    """As on a disk, where a link decides."""
    store.put("config/1", b"first")
    with pytest.raises(Conflict):
        store.put("config/1", b"second")
    assert store.get("config/1", limit_bytes=100) == b"first"


@pytest.mark.parametrize("url", ["tape://relative", "tape:///a/../b", "tape:///a?drive=1", "tape:///a?volume=x#y"])
def test_a_url_that_names_no_mount_point_is_refused(url: str) -> None:
    with pytest.raises(UsageError):
        open_store(url, create=False)


def test_the_attributes_are_those_of_the_file_system(tmp_path: Path) -> None:
    """No robot here: what is asked of the kernel, on a folder that has such attributes."""
    mount = tmp_path / "mount"
    mount.mkdir()
    store = TapeStore(mount)
    with pytest.raises(Unavailable, match="not mounted"):
        store.stat("packs/a")
    os.setxattr(mount, VOLUME, b"uuid")
    publish(store, "packs/a", pattern(4096))
    publish(store, "packs/b", pattern(4096, 2))
    assert os.getxattr(mount, SYNC) == b"1"
    os.setxattr(mount / "packs" / "a", START_BLOCK, b"20")
    os.setxattr(mount / "packs" / "b", START_BLOCK, b"3")
    assert store.read_order(["packs/a", "packs/b"]) == ["packs/b", "packs/a"]
    store.close()

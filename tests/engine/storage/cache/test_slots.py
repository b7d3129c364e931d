"""The level on disk: what is there after a restart and a kill, what damage does to it, its bound, and forgetting."""

from __future__ import annotations

import errno
import os
import random
import signal
import subprocess
import sys
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from engine.base.errors import LimitReached
from engine.storage.cache import slots
from engine.storage.cache.blocks import BLOCK_BYTES, Block
from engine.storage.cache.slots import DiskBlocks, open_disk_blocks

NAME = "weddings/" + "ab" * 16 + "/packs/" + "cd" * 32
ROOM = 8 * (BLOCK_BYTES + 512)


def block(number: int, size_bytes: int = 5000) -> Block:
    """Bytes that no other number has."""
    return Block.of(random.Random(number).randbytes(size_bytes))


def add(level: DiskBlocks, name: str, number: int, size_bytes: int = 5000) -> None:
    level.add((name, number), block(number, size_bytes), level.mark())


def test_a_block_comes_back_also_after_a_restart(tmp_path: Path) -> None:
    level = DiskBlocks(tmp_path, ROOM)
    for number, size_bytes in enumerate((1, 16384, 16385, BLOCK_BYTES)):
        add(level, NAME, number, size_bytes)
    for opened in (level, DiskBlocks(tmp_path, ROOM)):
        for number, size_bytes in enumerate((1, 16384, 16385, BLOCK_BYTES)):
            found = opened.find((NAME, number))
            assert found is not None
            assert bytes(found.view) == bytes(block(number, size_bytes).view)
        assert opened.find((NAME, 9)) is opened.find(("weddings/other", 0)) is None


def test_the_files_never_pass_the_bound_and_no_more_blocks_are_kept_than_fit(tmp_path: Path) -> None:
    level = DiskBlocks(tmp_path, ROOM)
    for number in range(100):
        add(level, NAME, number, BLOCK_BYTES)
        assert sum(path.stat().st_blocks * 512 for path in tmp_path.iterdir()) <= ROOM
        assert level.used_bytes <= level.capacity_bytes <= ROOM
    assert sum(level.peek((NAME, number)) is not None for number in range(100)) == 8


def test_a_smaller_bound_at_the_next_start_is_kept(tmp_path: Path) -> None:
    level = DiskBlocks(tmp_path, ROOM)
    for number in range(8):
        add(level, NAME, number, BLOCK_BYTES)
    smaller = DiskBlocks(tmp_path, ROOM // 2)
    assert sum(path.stat().st_size for path in tmp_path.iterdir()) <= ROOM // 2
    kept = [number for number in range(8) if smaller.find((NAME, number)) is not None]
    assert len(kept) == 4


def test_a_longer_block_takes_the_place_of_a_shorter_one(tmp_path: Path) -> None:
    level = DiskBlocks(tmp_path, ROOM)
    level.add((NAME, 0), block(1, 100), level.mark())
    level.add((NAME, 0), block(1, 20_000), level.mark())
    for opened in (level, DiskBlocks(tmp_path, ROOM)):
        found = opened.find((NAME, 0))
        assert found is not None
        assert len(found.view) == 20_000
        assert opened.used_bytes == opened.capacity_bytes // 8


def test_any_damage_to_the_files_costs_blocks_and_never_gives_wrong_bytes(tmp_path: Path) -> None:
    level = DiskBlocks(tmp_path, ROOM)
    for number in range(8):
        add(level, NAME, number)
    whole = {path: path.read_bytes() for path in sorted(tmp_path.iterdir())}

    @given(file=st.sampled_from(sorted(whole)), at=st.floats(0, 1), garbage=st.binary(min_size=1, max_size=2000))
    def holds(file: Path, at: float, garbage: bytes) -> None:
        for path, data in whole.items():
            path.write_bytes(data)
        with file.open("r+b") as damaged:
            damaged.seek(int(at * len(whole[file])))
            damaged.write(garbage)
        opened = DiskBlocks(tmp_path, ROOM)
        for number in range(8):
            found = opened.find((NAME, number))
            assert found is None or bytes(found.view) == bytes(block(number).view)

    holds()


def test_blocks_that_changed_places_are_not_taken_for_each_other(tmp_path: Path) -> None:
    level = DiskBlocks(tmp_path, ROOM)
    add(level, NAME, 0)
    add(level, NAME, 1)
    with (tmp_path / "blocks").open("r+b") as blocks:
        first = blocks.read(BLOCK_BYTES)
        second = blocks.read(BLOCK_BYTES)
        blocks.seek(0)
        blocks.write(second + first)
    assert level.find((NAME, 0)) is level.find((NAME, 1)) is None
    assert level.used_bytes == 0


WRITER = """
import sys, random
from pathlib import Path
from engine.storage.cache.blocks import Block
from engine.storage.cache.slots import DiskBlocks
level = DiskBlocks(Path(sys.argv[1]), int(sys.argv[2]))
chance = random.Random(1)
for turn in range(10**9):
    number = chance.randrange(40)
    level.add((sys.argv[3], number), Block.of(random.Random(number).randbytes(5000)), level.mark())
    if turn == 20:
        print("under way", flush=True)
"""


def test_a_kill_in_the_middle_leaves_only_blocks_that_are_right(tmp_path: Path) -> None:
    for _ in range(3):
        words = [sys.executable, "-c", WRITER, str(tmp_path), str(ROOM), NAME]
        with subprocess.Popen(words, stdout=subprocess.PIPE, cwd=Path(slots.__file__).parents[3]) as writer:
            assert writer.stdout is not None
            writer.stdout.readline()
            writer.send_signal(signal.SIGKILL)
        level = DiskBlocks(tmp_path, ROOM)
        found = {number: level.find((NAME, number)) for number in range(40)}
        there = {number: each for number, each in found.items() if each is not None}
        assert len(there) >= 6
        assert all(bytes(each.view) == bytes(block(number).view) for number, each in there.items())


def test_what_is_forgotten_is_on_the_disk_no_more(tmp_path: Path) -> None:
    other = NAME.replace("ab", "ac")
    level = DiskBlocks(tmp_path, ROOM)
    for number in range(4):
        add(level, NAME, number)
        level.add((other, number), block(100 + number), level.mark())
    level.forget(NAME.partition("packs/")[0])
    on_disk = b"".join(path.read_bytes() for path in tmp_path.iterdir())
    for number in range(4):
        assert bytes(block(number).view)[:64] not in on_disk
        assert bytes(block(100 + number).view)[:64] in on_disk
    for opened in (level, DiskBlocks(tmp_path, ROOM)):
        assert [opened.find((NAME, number)) for number in range(4)] == [None] * 4
        assert all(opened.find((other, number)) is not None for number in range(4))


def test_a_block_that_was_read_before_its_object_was_forgotten_is_not_taken_in_after(tmp_path: Path) -> None:
    level = DiskBlocks(tmp_path, ROOM)
    mark = level.mark()
    level.forget(NAME)
    level.add((NAME, 0), block(0), mark)
    assert level.find((NAME, 0)) is None
    assert bytes(block(0).view)[:64] not in (tmp_path / "blocks").read_bytes()


def test_a_full_disk_ends_the_taking_in_and_nothing_else(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    level = DiskBlocks(tmp_path, ROOM)
    add(level, NAME, 0)

    def full(*_: object) -> int:
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    with monkeypatch.context() as context:
        context.setattr(os, "pwrite", full)
        add(level, NAME, 1)
        with pytest.raises(LimitReached):
            level.forget(NAME.partition("packs/")[0])
    add(level, NAME, 2)
    assert level.find((NAME, 1)) is level.find((NAME, 2)) is None


def test_a_folder_that_cannot_be_used_means_no_level_on_disk(tmp_path: Path) -> None:
    (tmp_path / "file").write_bytes(b"")
    assert open_disk_blocks(tmp_path / "file" / "cache", ROOM) is None


@pytest.mark.parametrize(("free_bytes", "kept_blocks"), [(2 * ROOM, 8), (ROOM, 4), (BLOCK_BYTES, None)])
def test_half_of_what_is_free_on_the_disk_stays_free(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, free_bytes: int, kept_blocks: int | None
) -> None:
    room = list(os.statvfs(tmp_path))
    room[1], room[4] = 1, free_bytes
    with monkeypatch.context() as context:
        context.setattr(os, "statvfs", lambda _: os.statvfs_result(room))
        level = open_disk_blocks(tmp_path, ROOM)
    assert (level.capacity_bytes // BLOCK_BYTES if level is not None else None) == kept_blocks


def test_a_closed_level_takes_nothing_in(tmp_path: Path) -> None:
    level = DiskBlocks(tmp_path, ROOM)
    level.close()
    add(level, NAME, 0)
    assert level.find((NAME, 0)) is None

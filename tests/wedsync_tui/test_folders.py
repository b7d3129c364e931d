"""Folders are read aside: at once where they answer, never waited for where they do not."""

from __future__ import annotations

import asyncio
import threading
from pathlib import Path

from tests.consoles import eventually
from wedsync_tui.aside import HANGING_MAX, Aside
from wedsync_tui.folders import Folders


async def test_names_come_a_moment_later_and_say_so(tmp_path: Path) -> None:
    (tmp_path / "DCIM").mkdir()
    changed = asyncio.Event()
    folders = Folders(Aside(), time_s=lambda: 0.0)
    folders.changed = changed.set
    assert list(folders.names(str(tmp_path))) == []
    assert folders.is_reading
    async with asyncio.timeout(5):
        await changed.wait()
    assert list(folders.names(str(tmp_path))) == ["DCIM/"]


async def test_a_mount_that_hangs_holds_nothing_up_and_is_asked_no_more_than_a_few_times() -> None:
    answer = threading.Event()
    asked: list[str] = []

    def hang(folder: str) -> list[str]:
        asked.append(folder)
        answer.wait(20)
        return ["late"]

    aside = Aside()
    folders = Folders(aside, time_s=lambda: 0.0)
    folders.read = hang
    begun = asyncio.get_running_loop().time()
    for number in range(HANGING_MAX + 5):
        assert list(folders.names(f"/mnt/{number}")) == []
        assert list(folders.names(f"/mnt/{number}")) == []
    assert asyncio.get_running_loop().time() - begun < 5
    assert not aside.run(lambda: None, lambda _: None)
    answer.set()
    await eventually(lambda: not folders.is_reading)
    assert len(asked) == HANGING_MAX
    assert list(folders.names("/mnt/0")) == ["late"]


async def test_what_fails_just_does_not_come() -> None:
    def fail() -> None:
        raise OSError("gone")

    aside = Aside()
    came: list[None] = []
    assert aside.run(fail, came.append)
    await eventually(lambda: not aside._running)
    assert came == []

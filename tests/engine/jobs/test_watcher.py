"""Which watch starts a backup next, on a fake clock. The kernel and the engine: operations/test_watching."""

from __future__ import annotations

import asyncio

import pytest

from engine.base.clock import FakeClock
from engine.base.entropy import SystemEntropy
from engine.jobs.offload import Means, Offload
from engine.jobs.settling import Batch, Pace, Settling
from engine.jobs.watcher import RUNNING_MAX, Times, Watch, Watcher


class Watched:
    """A watcher of many folders that nothing has to be walked for; its backups end when a test says so."""

    def __init__(self, count: int, group: asyncio.TaskGroup) -> None:
        self.clock = FakeClock()
        self.started: list[str] = []
        self.ends: dict[str, asyncio.Future[bool]] = {}
        means = Means(self.clock, SystemEntropy(), Offload(threads=1), group.create_task)
        self.watcher = Watcher(means, times=lambda: Times(Pace()), start=self._start, skip=frozenset)
        for number in range(count):
            watch = Watch(f"w{number}", (b"/card",), (), Settling(0.0), rank=number % 3, state="watching")
            self.watcher.watches[watch.id] = watch

    async def _start(self, watch: Watch, batch: Batch) -> bool:
        self.started.append(watch.id)
        self.ends[watch.id] = asyncio.get_running_loop().create_future()
        return await self.ends[watch.id]

    def change(self, name: str) -> None:
        """A file of a watch was closed."""
        now = self.clock.monotonic_s(), self.clock.now_ns()
        self.watcher._note(frozenset({name}), b"/card/a.jpg", False, now)

    async def turn(self, seconds: float = 0.0) -> float:
        """Let time pass, and what is due begin; how long there is nothing more to do."""
        self.clock.advance(seconds)
        wait_s = self.watcher._start_due(self.clock.monotonic_s())
        await asyncio.sleep(0)
        return wait_s

    async def end(self, name: str) -> None:
        """The backup of a watch has ended well."""
        self.ends.pop(name).set_result(True)
        await asyncio.sleep(0)
        await asyncio.sleep(0)


async def test_a_change_begins_its_backup_when_it_has_settled() -> None:
    async with asyncio.TaskGroup() as group:
        world = Watched(2, group)
        world.change("w1")
        assert await world.turn() == pytest.approx(0.1)
        world.change("w0")
        await world.turn(0.11)
        assert sorted(world.started) == ["w0", "w1"]
        for name in ("w0", "w1"):
            await world.end(name)
        assert await world.turn() == pytest.approx(1.0)


async def test_changes_during_a_backup_begin_the_next_one_when_it_has_ended() -> None:
    async with asyncio.TaskGroup() as group:
        world = Watched(1, group)
        world.change("w0")
        await world.turn()
        await world.turn(0.2)
        world.change("w0")
        await world.turn(5.0)
        assert world.started == ["w0"]
        await world.end("w0")
        await world.turn()
        assert world.started == ["w0", "w0"]
        await world.end("w0")


async def test_when_every_place_is_taken_the_lowest_rank_is_next() -> None:
    """And of a rank, whoever has waited longest."""
    async with asyncio.TaskGroup() as group:
        world = Watched(RUNNING_MAX + 30, group)
        for number in range(RUNNING_MAX):
            world.change(f"w{number}")
        await world.turn()
        await world.turn(0.2)
        assert len(world.started) == RUNNING_MAX
        later = [f"w{number}" for number in range(RUNNING_MAX, RUNNING_MAX + 30)]
        for name in reversed(later):
            world.change(name)
            await world.turn(0.01)
        await world.turn(0.2)
        for name in list(world.ends):
            await world.end(name)
            await world.turn()
        longest = later[::-1]
        ranked = sorted(longest, key=lambda name: world.watcher.watches[name].rank)
        assert world.started[RUNNING_MAX:] == ranked
        for name in later:
            await world.end(name)


async def test_a_change_looks_at_its_own_watch_and_not_at_thousands(monkeypatch: pytest.MonkeyPatch) -> None:
    """With every place taken and all watches waiting, one more change costs the same as in an empty house."""
    looked_at: list[Settling] = []
    due_s = Settling.due_s

    def counted(settling: Settling, pace: Pace) -> float:
        looked_at.append(settling)
        return due_s(settling, pace)

    monkeypatch.setattr(Settling, "due_s", counted)
    async with asyncio.TaskGroup() as group:
        world = Watched(2000, group)
        for number in range(2000):
            world.change(f"w{number}")
        await world.turn()
        await world.turn(0.2)
        looked_at.clear()
        world.change("w1999")
        await world.turn(0.01)
        assert len(looked_at) <= 2
        for name in list(world.ends):
            await world.end(name)

"""A migration as a run: one unit at a time, held by limits, waiting for recalls, telling what it could not move."""

from __future__ import annotations

import mmap
from typing import cast

import pytest

from engine.base.clock import FakeClock
from engine.base.errors import IntegrityError, Unavailable, WedSyncError
from engine.pipeline.migrate import MigrateRun
from engine.pipeline.pool import Buffers
from engine.storage.moving import Move, Mover

NAMES = [f"weddings/{'0a' * 16}/packs/{number:064x}" for number in range(4)]


class Movers:
    """Stands in for `Mover`: notes what it is asked, and refuses what it is told to."""

    def __init__(self) -> None:
        self.copied: list[str] = []
        self.dropped: list[str] = []
        self.refuses: dict[str, WedSyncError] = {}

    def copy(self, move: Move, buffer: memoryview) -> None:
        if move.name in self.refuses:
            raise self.refuses[move.name]
        self.copied.append(move.name)

    def drop(self, move: Move) -> bool:
        self.dropped.append(move.name)
        return True


class Buffer:
    """What of a stream's buffers a migration uses."""

    def __init__(self) -> None:
        self.source = memoryview(mmap.mmap(-1, 4096))
        self.now_s = FakeClock().monotonic_s

    def spent(self, stage: str, seconds: float, size_bytes: int) -> None:
        """Nothing is measured."""


class Held:
    """Which packs are being recalled, how long a limit holds, whether somebody reads."""

    def __init__(self) -> None:
        self.recalled: set[str] = set()
        self.wait_s = 0.0
        self.is_read = False
        self.movers = Movers()

    def is_ready(self, name: str) -> bool:
        return name not in self.recalled

    def run(self) -> MigrateRun:
        moves = [Move(name, 100, "cold", "warm", ("hot",), "it is time") for name in NAMES]
        return MigrateRun(
            cast(Mover, self.movers),
            moves,
            may_drop=lambda: not self.is_read,
            wait_s=lambda: self.wait_s,
            readable=self,
        )


@pytest.fixture
def held() -> Held:
    return Held()


def step(run: MigrateRun) -> bool:
    """One unit, if there is one now."""
    unit = run.take(idle=True)
    if unit is not None:
        unit(cast(Buffers, Buffer()))
    return unit is not None


def test_packs_go_one_after_the_other_and_the_run_ends(held: Held) -> None:
    run = held.run()
    assert run.take(idle=False) is None  # one unit is in flight: none beside it
    while step(run):
        pass
    assert (held.movers.copied, held.movers.dropped) == (NAMES, NAMES)
    assert run.is_over
    outcome = run.conclude(cast(Buffers, Buffer()))
    assert (outcome.packs, outcome.bytes, outcome.left, outcome.hot_bytes) == (4, 400, 0, 400)
    assert (run.progress.files_done, run.progress.bytes_read, run.progress.bytes_total) == (4, 400, 400)


def test_nothing_moves_while_a_tier_has_moved_more_than_it_may_and_the_run_does_not_end(held: Held) -> None:
    run = held.run()
    held.wait_s = 2.0
    assert not step(run)
    assert (run.is_over, run.is_waiting, held.movers.copied) == (False, True, [])
    held.wait_s = 0.0
    assert step(run)


def test_what_is_being_recalled_is_waited_for_and_the_others_go_first(held: Held) -> None:
    run = held.run()
    held.recalled = {NAMES[0], NAMES[2]}
    while step(run):
        pass
    assert held.movers.copied == [NAMES[1], NAMES[3]]
    assert (run.is_over, run.progress.current) == (False, "2 packs wait to be recalled")
    held.recalled.clear()
    while step(run):
        pass
    assert (sorted(held.movers.copied), run.is_over) == (NAMES, True)


def test_a_damaged_pack_is_a_warning_and_a_store_that_does_not_answer_ends_the_attempt(held: Held) -> None:
    run = held.run()
    held.movers.refuses = {NAMES[1]: IntegrityError("it is damaged")}
    while step(run):
        pass
    assert held.movers.copied == [NAMES[0], *NAMES[2:]]
    assert run.warning_lines() == (f"/{NAMES[1]}: it is damaged",)
    other = held.run()
    held.movers.refuses = {NAMES[0]: Unavailable("the store does not answer")}
    with pytest.raises(Unavailable):
        step(other)


def test_while_somebody_reads_the_wedding_copies_are_left_and_counted(held: Held) -> None:
    run = held.run()
    held.is_read = True
    step(run)
    held.is_read = False
    step(run)
    assert held.movers.dropped == [NAMES[1]]
    assert run.conclude(cast(Buffers, Buffer())).left == 1

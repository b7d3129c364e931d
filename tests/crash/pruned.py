"""A prune for trials: the state it begins with, its steps, and what it must have left at its end.

Runs in the child and in the parent. Its clock runs ahead, so that the lease of a process that was killed is dead at
the second look, and packs that it left behind are old enough to go.
"""

from __future__ import annotations

import random
from pathlib import Path

from engine.pipeline.pool import Buffers
from engine.pipeline.prune import Engaged, PruneRun
from engine.repository import pruning, retention
from engine.repository.snapshot import Snapshot
from tests import vaults
from tests.vaults import WEDDING, Bench, LaterClock, new_job

DAY_NS = 86_400 * 10**9
JUMP_S = 400.0


class HastyClock(LaterClock):
    """Days ahead, and each look at it takes minutes."""

    def __init__(self) -> None:
        super().__init__()
        self._jumped_s = 0.0

    def now_ns(self) -> int:
        """See `Clock.now_ns`."""
        return super().now_ns() + 3 * DAY_NS

    def monotonic_s(self) -> float:
        """See `Clock.monotonic_s`."""
        self._jumped_s += JUMP_S
        return super().monotonic_s() + self._jumped_s

    def boottime_s(self) -> float:
        """See `Clock.boottime_s`."""
        self._jumped_s += JUMP_S
        return super().boottime_s() + self._jumped_s


def overgrow(bench: Bench, source: Path) -> None:
    """Two snapshots to be forgotten: of a pack of the first a part is needed on, of one of the second nothing."""
    for number in range(2):
        gone = source / f"gone-{number}.nef"
        gone.write_bytes(random.Random(number).randbytes(8 << 20))
        bench.backup(source, job_id=new_job())
        gone.unlink()


def run_prune(bench: Bench) -> None:
    """Keep the newest snapshot, unit by unit as a stream would."""
    clock, presence = HastyClock(), bench.repository.presence
    buffers = Buffers(clock, 1)

    def decide(found: list[Snapshot]) -> list[retention.Verdict]:
        policy = retention.parse_policy("last 1")
        return retention.decide(pruning.facts_of(found, ()), policy, "UTC", clock.now_ns())

    with presence.using(bytes.fromhex(WEDDING)) as use, bench.repository.used_vault(WEDDING) as vault:
        run = PruneRun(vault, Engaged(presence, use, clock, bench.entropy), decide, dry_run=False)
        try:
            while (unit := run.next_unit(idle=True)) is not None or run.is_waiting:
                if unit is not None:
                    unit(buffers)
        except BaseException:
            run.abort()
            raise


def check_nothing_is_left(bench: Bench) -> None:
    """The store holds exactly the packs that snapshots reach, and no mark names any."""
    with bench.repository.vault(WEDDING) as vault:
        vaults.check_nothing_is_left(vault)

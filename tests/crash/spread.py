"""A prune, or a migration, over two regions with two tiers each, killed at a change to any of the four stores.

Runs in the child and in the test. In: a folder with the stores of hot and warm of both regions, and the copy catalog
and the healing queues of a home. Out: the same, wherever the child died; the newest snapshot must come back, and the
work, done again, must come to its end in both regions.
"""

from __future__ import annotations

import mmap
import random
import shutil
import signal
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from engine.base.clock import SystemClock
from engine.contract.caching import CacheSettings
from engine.contract.regions import RegionSettings, ReplicationSettings
from engine.contract.tiers import TIERS, Tier, TiersSettings
from engine.storage.distance import nowhere
from engine.storage.healing import Healer
from engine.storage.healqueue import HealQueue
from engine.storage.locations import Locations, packs_of
from engine.storage.moving import Mover, move_of
from engine.storage.placement import Goal
from engine.storage.stack import Regions, Stack, Wanted, build_stack
from engine.storage.stores.metered import Meter
from tests.crash import pruned, work
from tests.crash.disk import PowerCut
from tests.crash.seam import Cut, Seam, read_log
from tests.crash.trials import run_child
from tests.trees import build, describe
from tests.vaults import WEDDING, Bench

NAMES = ("alpha", "beta")
USED: tuple[Tier, ...] = ("hot", "warm")
JOB = "7e" * 16
WORKS = ("migration", "prune")


@dataclass(frozen=True)
class Ground:
    """Where one trial lies."""

    folder: Path
    source: Path

    @property
    def stores(self) -> Path:
        """All four, as `warm/beta`."""
        return self.folder / "stores"

    @property
    def logs(self) -> Path:
        """What the seam has seen."""
        return self.folder / "logs"

    def copied(self, name: str) -> Ground:
        """A fresh trial; objects are never written again, so names of the same files will do."""
        ground = Ground(self.folder.with_name(name), self.source)
        shutil.copytree(self.stores, ground.stores, copy_function=_link)
        for path in self.folder.glob("*.db*"):
            shutil.copyfile(path, ground.folder / path.name)
        return ground

    def packs(self, tier: Tier, region: str) -> set[str]:
        """The packs in one of its stores."""
        return {path.name for path in (self.stores / tier / region / packs_of(WEDDING)).glob("*")}


@contextmanager
def opened(ground: Ground) -> Iterator[tuple[Stack, Locations]]:
    """The stores of a trial, assembled as an engine does it; a home that lost its catalog learns it from listings."""
    clock, is_new = SystemClock(), not (ground.folder / "copies.db").exists()
    locations = Locations(ground.folder / "copies.db")
    regions = tuple(
        RegionSettings(name=name, hot=f"file://{ground.stores}/hot/{name}", warm=f"file://{ground.stores}/warm/{name}")
        for name in NAMES
    )
    named = Regions(
        regions, ReplicationSettings(copies=2), nowhere, lambda tier: HealQueue(ground.folder / f"healing-{tier}.db")
    )
    meters = {tier: Meter(clock) for tier in TIERS}
    cache = CacheSettings(memory="0", disk="0")
    wanted = Wanted("", TiersSettings(), meters, lambda: locations, clock, cache=cache, regional=named)
    stack = build_stack(wanted, create=True)
    try:
        for place in stack.places if is_new else ():
            locations.rebuild(place, stack.listed(place, "weddings/"), begun_ns=clock.now_ns())
        yield stack, locations
    finally:
        stack.close()
        locations.close()


def prepare(ground: Ground, name: str) -> None:
    """Child: a wedding in hot; for the prune with snapshots to be forgotten, and half of its packs in warm."""
    work.tighten()
    for tier in USED:
        for region in NAMES:
            (ground.stores / tier / region).mkdir(parents=True)
    with opened(ground) as (stack, _), Bench(stack.store, streams=1) as bench:
        bench.backup(ground.source)
        if name == "prune":
            pruned.overgrow(bench, ground.source)
        bench.backup(ground.source, job_id=JOB)
        heal(stack)
    if name == "prune":
        migrate(ground, sorted(ground.packs("hot", "alpha"))[::2])


def heal(stack: Stack) -> None:
    """Everything that is owed is done, and the regions are compared."""
    for store in stack.replicated.values():
        assert store.shared.queue.is_quiet(30.0)
        healer = Healer(store)
        healer.compare("")
        while healer.heal(100):
            pass
        assert not healer.problem


def migrate(ground: Ground, packs: list[str]) -> None:
    """These packs from hot to warm, in both regions."""
    with opened(ground) as (stack, locations):
        clock = SystemClock()
        mover = Mover(stack, locations, meters={tier: Meter(clock) for tier in TIERS}, clock=clock)
        buffer = memoryview(mmap.mmap(-1, 1 << 20))
        for name in (packs_of(WEDDING) + pack for pack in packs):
            size_bytes = stack.store.stat(name).size_bytes
            move = move_of(name, size_bytes, locations.copies(name), Goal("warm", "it is time"))
            if move is not None:
                mover.copy(move, buffer)
                assert mover.drop(move)


def all_packs(ground: Ground) -> list[str]:
    """Wherever they lie."""
    return sorted(set().union(*(ground.packs(tier, region) for tier in USED for region in NAMES)))


def carry_out(ground: Ground, name: str, cut: Cut) -> None:
    """Child: the work behind the seam, dying at `cut`."""
    work.tighten()
    ground.logs.mkdir(exist_ok=True)
    Seam(ground.stores, ground.logs, cut)
    do(ground, name)


def do(ground: Ground, name: str) -> None:
    """The work of a scenario."""
    if name == "migration":
        migrate(ground, all_packs(ground))
        return
    with opened(ground) as (stack, _), Bench(stack.store, streams=1) as bench:
        pruned.run_prune(bench)


def made(name: str, folder: Path) -> tuple[Ground, list[str]]:
    """A scenario made ready, and the boundaries of its work when nobody disturbs it."""
    ground = Ground(folder / "base", folder / "source")
    ground.folder.mkdir(parents=True)
    build(ground.source, work.photos(1))
    assert run_child(prepare, ground, name) == 0
    undisturbed = ground.copied("undisturbed")
    assert run_child(carry_out, undisturbed, name, Cut()) == 0
    found = [boundary for (boundary,) in read_log(undisturbed.logs / "boundaries")]
    examine(undisturbed, name)
    return ground, found


def killed_at(base: Ground, name: str, boundary: str, seed: int) -> tuple[bool, list[Ground]]:
    """A trial killed at a boundary: whether it came there, and what may be found of it.

    Regions are written to side by side, so a boundary may have another name in another run; the work is done then. The
    power fails at that moment: what was not fsynced is gone, or some of it by chance; the home's files are as they
    were, or (by chance) all of them gone.
    """
    ground = base.copied(f"killed-{seed}")
    exit_code = run_child(carry_out, ground, name, Cut(boundary))
    assert exit_code in (-signal.SIGKILL, 0), boundary
    cut = PowerCut(base.stores, ground.stores, ground.logs)
    found = [ground]
    for by_chance in (None, random.Random(seed)):
        trial = Ground(ground.folder.with_name(f"cut-{seed}-{by_chance is None}"), base.source)
        trial.folder.mkdir()
        if by_chance is None:
            for path in ground.folder.glob("*.db*"):
                shutil.copyfile(path, trial.folder / path.name)
        cut.leave(trial.stores, by_chance)
        found.append(trial)
    return exit_code != 0, found


def examine(ground: Ground, name: str) -> None:
    """The newest snapshot comes back at once; once the work is done again both regions hold the same, and all of it.

    The trial is removed afterwards.
    """
    with opened(ground) as (stack, _), Bench(stack.store, streams=1) as bench:
        check_snapshot(ground, bench, "before")
        heal(stack)
    do(ground, name)
    with opened(ground) as (stack, _), Bench(stack.store, streams=1) as bench:
        heal(stack)
        check_snapshot(ground, bench, "after")
        if name == "prune":
            assert [item.id for item in bench.snapshots()] == [JOB]
            pruned.check_nothing_is_left(bench)
    for tier in USED:
        assert ground.packs(tier, "alpha") == ground.packs(tier, "beta")
    assert name == "prune" or not ground.packs("hot", "alpha")
    shutil.rmtree(ground.folder)


def check_snapshot(ground: Ground, bench: Bench, back: str) -> None:
    """Nothing of the repository is damaged, and the newest snapshot is the source."""
    assert bench.verify().problems == []
    bench.retrieve(ground.folder / back, strip=ground.source, snapshot=JOB)
    assert describe(ground.folder / back) == describe(ground.source)


def _link(source: str, target: str) -> None:
    Path(target).hardlink_to(source)

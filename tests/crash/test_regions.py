"""Killed while writing to regions, or while healing one: what was promised is in all of them once they were healed."""

from __future__ import annotations

import itertools
import os
import random
import shutil
import signal
from collections.abc import Callable
from pathlib import Path

import pytest

from engine.base.clock import SystemClock
from engine.storage.healing import Healer
from engine.storage.healqueue import HealQueue
from engine.storage.region import Region
from engine.storage.replicas import ReplicatedStore
from engine.storage.replication import Policy, Replication
from engine.storage.stores import syscalls
from engine.storage.stores.local import LocalStore
from tests.crash import work
from tests.crash.trials import run_child
from tests.engine.storage.regions import everywhere, heal_all
from tests.trees import build, describe
from tests.vaults import Bench

NAMES = ("alpha", "beta", "gamma")
KILLS = 6  # of each scenario, at changes of any region drawn by chance
JOB = "7e" * 16
SEED = 20261124
NEVER = 1 << 30


def regional(folder: Path) -> ReplicatedStore:
    """The regions below a folder, whose stores have to be there, with the healing queue beside them."""

    def region(name: str) -> Region:
        return Region(name, lambda: LocalStore(folder / name, create=False), SystemClock())

    queue = HealQueue(folder / "healing.db")
    return ReplicatedStore(
        Replication(list(map(region, NAMES)), everywhere(NAMES), queue, SystemClock(), policy=Policy())
    )


def die_at(change: int, count_to: Path) -> None:
    """Kill this process before its change number `change` to any region; how many there were is written down."""
    numbers = itertools.count(1)

    def watched(function: Callable[..., object]) -> Callable[..., object]:
        def call(*arguments: object, **options: object) -> object:
            number = next(numbers)
            count_to.write_text(str(number))
            if number == change:
                os.kill(os.getpid(), signal.SIGKILL)
            return function(*arguments, **options)

        return call

    for name in syscalls.CHANGES:
        setattr(syscalls, name, watched(getattr(syscalls, name)))


def back_up(folder: Path, source: Path, change: int) -> None:
    """In the child: one backup; `committed` is made when it has said so."""
    work.tighten()
    die_at(change, folder / "changes")
    with Bench(regional(folder)) as bench:
        bench.backup(source, job_id=JOB)
        (folder / "committed").touch()


def heal(folder: Path, change: int) -> None:
    """In the child: everything that is owed is done, and the regions are compared."""
    die_at(change, folder / "changes")
    store = regional(folder)
    heal_all(store)
    Healer(store).compare("")
    heal_all(store)
    store.close()


@pytest.fixture(scope="module")
def source(shared_folder: Path) -> Path:
    """What is backed up."""
    build(shared_folder / "source", work.photos(1))
    return shared_folder / "source"


def made(folder: Path) -> Path:
    """Three regions with a repository; then gamma is away."""
    for name in NAMES:
        (folder / name).mkdir(parents=True)
    with Bench(regional(folder)):
        pass
    assert run_child(heal, folder, NEVER) == 0
    (folder / "gamma").rename(folder / "away")
    return folder


def examine(folder: Path, source: Path, *, committed: bool) -> None:
    """Gamma is back: heal, and each region on its own is a whole repository."""
    if (folder / "away").exists():
        (folder / "away").rename(folder / "gamma")
    assert run_child(heal, folder, NEVER) == 0
    for name in NAMES:
        with Bench(LocalStore(folder / name, create=False)) as bench:
            snapshots = [snapshot.id for snapshot in bench.snapshots()]
            assert snapshots == [JOB] if committed else snapshots in ([], [JOB])
            assert bench.verify().problems == []
            if snapshots:
                bench.retrieve(folder / f"back-{name}", strip=source)
                assert describe(folder / f"back-{name}") == describe(source)


def test_a_kill_while_backing_up_without_a_region_loses_nothing_promised(folder: Path, source: Path) -> None:
    base = made(folder / "base")
    whole = folder / "whole"
    shutil.copytree(base, whole)
    assert run_child(back_up, whole, source, NEVER) == 0
    changes = int((whole / "changes").read_text())
    examine(whole, source, committed=True)
    for change in random.Random(SEED).sample(range(1, changes + 1), KILLS):
        trial = folder / str(change)
        shutil.copytree(base, trial)
        assert run_child(back_up, trial, source, change) in (-signal.SIGKILL, 0)
        examine(trial, source, committed=(trial / "committed").exists())


def test_a_kill_while_healing_costs_nothing(folder: Path, source: Path) -> None:
    base = made(folder / "base")
    assert run_child(back_up, base, source, NEVER) == 0
    (base / "away").rename(base / "gamma")
    whole = folder / "whole"
    shutil.copytree(base, whole)
    assert run_child(heal, whole, NEVER) == 0
    changes = int((whole / "changes").read_text())
    for change in random.Random(SEED).sample(range(1, changes + 1), KILLS):
        trial = folder / str(change)
        shutil.copytree(base, trial)
        assert run_child(heal, trial, change) in (-signal.SIGKILL, 0)
        examine(trial, source, committed=True)

"""Packs that move between two stores: killed at every change to either, and after a power cut, none is lost."""

from __future__ import annotations

import random
import shutil
import signal
from collections.abc import Iterator

import pytest

from tests.crash import moving
from tests.crash.disk import PowerCut
from tests.crash.moving import Ground
from tests.crash.seam import Cut, read_log
from tests.crash.trials import run_child
from tests.memory import quick_folder


@pytest.fixture(scope="module")
def base() -> Iterator[Ground]:
    """Packs in hot, and the boundaries of moving them in the logs of a trial that nobody disturbed."""
    with quick_folder() as folder:
        ground = Ground(folder / "base")
        ground.folder.mkdir()
        moving.prepare(ground)
        undisturbed = copied(ground, "undisturbed")
        assert run_child(moving.carry_out, undisturbed, Cut()) == 0
        yield ground


def copied(base: Ground, name: str) -> Ground:
    """A fresh trial."""
    ground = Ground(base.folder.with_name(name))
    shutil.copytree(base.folder, ground.folder)
    return ground


def boundaries(base: Ground) -> list[str]:
    """Every change that the moves make."""
    return [boundary for (boundary,) in read_log(Ground(base.folder.with_name("undisturbed")).logs / "boundaries")]


def test_a_kill_or_a_power_cut_at_any_change_loses_no_pack_and_the_moves_go_on(base: Ground) -> None:
    """After a power cut what was not fsynced is gone, or by chance some of it is; the catalog is as it was, or gone."""
    found = boundaries(base)
    assert {name.split()[0] for name in found} >= {"create_file", "write_at", "fsync_file", "rename", "unlink"}
    for number, boundary in enumerate(found):
        ground = copied(base, f"killed-{number}")
        assert run_child(moving.carry_out, ground, Cut(boundary)) == -signal.SIGKILL, boundary
        cut = PowerCut(base.stores, ground.stores, ground.logs)
        for by_chance in (None, random.Random(number)):
            trial = Ground(ground.folder.with_name(f"cut-{number}-{by_chance is None}"))
            trial.folder.mkdir()
            if by_chance is None:
                for path in ground.folder.glob("copies.db*"):
                    shutil.copyfile(path, trial.folder / path.name)
            cut.leave(trial.stores, by_chance)
            moving.examine(trial, catalog=True)
            shutil.rmtree(trial.folder)
        moving.examine(ground, catalog=bool(number % 2))
        shutil.rmtree(ground.folder)

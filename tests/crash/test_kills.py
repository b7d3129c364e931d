"""A seeded sample of kills, power cuts and refused calls; `make crash` takes them all."""

from __future__ import annotations

import errno
import random
from pathlib import Path

import pytest

from tests.crash import trials, work
from tests.crash.seam import Cut
from tests.crash.trials import Base, run_child
from tests.crash.work import SCENARIOS

SEED = 20260620
KILLS = 3  # of each scenario; each is looked at as killed, after a power cut, and after one by chance
REFUSALS = 2
PACKING = ("checkpoints", "key epoch", "damaged packs", "prune")  # and the backups


@pytest.fixture(scope="module", params=SCENARIOS)
def base(request: pytest.FixtureRequest, shared_folder: Path) -> Base:
    """A scenario made ready."""
    return Base.made(request.param, shared_folder / request.param.replace(" ", "-"))


def _sample(base: Base, count: int, seed: int) -> list[str]:
    return random.Random(f"{base.name} {seed}").sample(base.boundaries, count)


def test_a_kill_at_a_boundary_loses_nothing_promised(base: Base) -> None:
    """Nor does the power cut that drops what was not fsynced at that moment."""
    for at, boundary in enumerate(_sample(base, KILLS, SEED)):
        place = trials.killed_at(base, Cut(boundary))
        for found in trials.states_after(base, place, SEED + at, by_chance=1).values():
            trials.examine(base, found)


def test_a_write_torn_in_half_is_never_taken_for_whole(base: Base) -> None:
    """The last write of the work, which belongs to what commits it."""
    boundary = [name for name in base.boundaries if name.startswith("write_at")][-1]
    place = trials.killed_at(base, Cut(boundary, torn=True))
    for found in trials.states_after(base, place, SEED, by_chance=1).values():
        trials.examine(base, found)


@pytest.mark.parametrize("number", [errno.ENOSPC, errno.EIO])
def test_a_refused_call_is_one_error_and_can_be_tried_again(base: Base, number: int) -> None:
    """A full disk, or one that fails, at one call: said in one line, nothing left behind, done at the second go."""
    for boundary in _sample(base, REFUSALS, SEED + number):
        place = trials.refused_at(base, Cut(boundary, refuse=number))
        trials.examine(base, place)


def test_every_kind_of_change_is_among_the_boundaries(base: Base) -> None:
    """What the seam calls a change is cut at; nothing else writes to a store, or replaces a small file of the home."""
    kinds = {boundary.split()[0] for boundary in base.boundaries}
    packs = {"rename"} if "backup" in base.name or base.name in PACKING else set()
    always = {"create_file", "write_at", "fsync_file", "fsync_folder", "link", "unlink", "make_folder", "remove_folder"}
    home = {"home_open", "home_write", "home_fsync", "home_rename"}
    told = ("init", "first backup", "key epoch", "register", "damaged packs", "prune", "hold")
    news = home if base.name in told else set()
    assert kinds == always | packs | news


def test_a_backup_killed_again_and_again_gets_done(folder: Path) -> None:
    """Three streams, killed at moments nobody chose, the same job each time: it goes on from its checkpoints."""
    place = trials.killed_again_and_again(folder, SEED, kills=6)
    sealings, twice = trials.sealed_twice(place)
    assert twice == 0
    assert sealings > 20


def test_no_key_and_nonce_seal_twice_across_kills(folder: Path) -> None:
    """Every sealing of every life of a job is recorded before it is made."""
    base = Base.made("first backup", folder / "base")
    place = base.copied()
    for boundary in ("write_at tmp/P/2 3", "rename weddings/*/packs/* 1", "link weddings/*/snapshots/* 1"):
        assert run_child(work.carry_out, base.name, place, Cut(boundary)) != 0
    assert run_child(work.carry_out, base.name, place, Cut()) == 0
    sealings, twice = trials.sealed_twice(place)
    assert twice == 0
    assert sealings > 20

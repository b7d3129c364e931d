"""Every boundary of every scenario, and counts of what was covered: `make crash`, `make corrupt`. A program.

In: `kills` or `corrupt`, and a seed for what is left to chance. Out: a table on standard output; exit code 1 when a
trial failed, which is told with the seed that brings it back.
"""

from __future__ import annotations

import errno
import random
import sys
import traceback
from collections import Counter
from collections.abc import Callable, Iterator
from pathlib import Path

from engine.base.clock import SystemClock
from engine.base.entropy import SystemEntropy
from tests.crash import trials, work
from tests.crash.seam import Cut
from tests.crash.trials import Base, quick_folder
from tests.trees import build, describe

BY_CHANCE = 3  # power cuts that leave some of what was not fsynced
RANDOM_KILLS = 60


def _say(text: str) -> None:
    sys.stdout.write(text + "\n")
    sys.stdout.flush()


class Score:
    """Counts of trials, and the failures among them."""

    def __init__(self) -> None:
        self.counts: Counter[str] = Counter()
        self.failures = 0

    def attempt(self, what: str, trial: Callable[[], object]) -> None:
        """Count one trial; a failure is told and does not stop the others."""
        self.counts[what.partition(":")[0]] += 1
        try:
            trial()
        except Exception:
            self.failures += 1
            _say(f"FAILED {what}\n{traceback.format_exc(limit=-4)}")


def _cuts(base: Base) -> Iterator[Cut]:
    for boundary in base.boundaries:
        yield Cut(boundary)
        if boundary.startswith("write_at"):
            yield Cut(boundary, torn=True)


def _kill(base: Base, seed: int, score: Score) -> None:
    """Kill at every boundary and look at what is left, by itself and after power cuts."""
    for at, cut in enumerate(_cuts(base)):
        try:
            place = trials.killed_at(base, cut)
        except AssertionError as error:
            score.failures += 1
            _say(f"FAILED {error}")
            continue
        score.counts["kills"] += 1
        for label, found in trials.states_after(base, place, seed + 10 * at, by_chance=BY_CHANCE).items():
            score.attempt(f"states examined: {base.name}, {cut}, {label}", lambda found=found: trials.examine(base, found))


def _refuse(base: Base, score: Score) -> None:
    """Refuse every call once, for want of room and for a failing disk."""
    for boundary in base.boundaries:
        for number in (errno.ENOSPC, errno.EIO):
            cut = Cut(boundary, refuse=number)
            score.attempt(f"calls refused: {base.name}, {cut}", lambda cut=cut: trials.examine(base, trials.refused_at(base, cut)))


def _random_kills(folder: Path, seed: int, score: Score) -> None:
    """The larger wedding with three streams, killed at random moments, again and again until it is done."""
    chance = random.Random(seed)
    place = work.Place(folder / "random", folder / "album")
    place.folder.mkdir()
    build(place.source, work.album(seed))
    clock = SystemClock()
    begin_s = clock.monotonic_s()
    assert trials.run_child(work.carry_on, place) == 0
    whole_s = clock.monotonic_s() - begin_s
    for number in range(RANDOM_KILLS):
        wedding = SystemEntropy().token(16).hex()
        score.attempt(f"random kills: {number}, seed {seed}", lambda: trials.killed_in_passing(place, wedding, whole_s * chance.random()))

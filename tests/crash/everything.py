"""Every boundary of every scenario, or much damage to every object, and counts of it: `make crash`, `make corrupt`.

A program: `python -m tests.crash.everything kills|damage [SEED]`. Out: counts on standard output; exit code 1 when a
trial failed, which is told with what brings it back.
"""

from __future__ import annotations

import errno
import logging
import random
import sys
import traceback
from collections import Counter
from collections.abc import Callable, Iterator
from functools import partial

from tests.crash import damage, spread, trials
from tests.crash.seam import Cut
from tests.crash.trials import Base
from tests.crash.work import SCENARIOS, Place
from tests.memory import quick_folder

SEED = 1
BY_CHANCE = 3  # power cuts a kill that leave some of what was not fsynced
CHAINS, KILLS = 20, 6  # larger backups, and how often each is killed at a random moment
FLIPS = 40  # bits of each object


class Score:
    """Counts of trials, and the failures among them."""

    def __init__(self) -> None:
        self.counts: Counter[str] = Counter()
        self.failures = 0

    def attempt(self, counted_as: str, what: object, trial: Callable[[], object]) -> object:
        """Carry out one trial; a failure is told and does not stop the others."""
        try:
            result = trial()
        except Exception:
            self.failures += 1
            say(f"FAILED {what}\n{traceback.format_exc(limit=-4)}")
            return None
        self.counts[counted_as] += 1
        return result

    def tell(self, title: str) -> None:
        """Print the counts under `title`, and forget them."""
        say(title)
        for name, count in self.counts.items():
            say(f"  {count:7,}  {name}")
        self.counts.clear()


def say(text: str) -> None:
    """One line of the report."""
    sys.stdout.write(text + "\n")
    sys.stdout.flush()


def _cuts(base: Base) -> Iterator[Cut]:
    for boundary in base.boundaries:
        yield Cut(boundary)
        if boundary.startswith(("write_at", "home_write")):
            yield Cut(boundary, torn=True)


def _kill(base: Base, seed: int, score: Score) -> None:
    """At every boundary: a kill, and power cuts at that moment."""
    for at, cut in enumerate(_cuts(base)):
        what = f"{base.name}: {cut}, seed {seed}"
        place = score.attempt("torn writes" if cut.torn else "kills", what, partial(trials.killed_at, base, cut))
        if not isinstance(place, Place):
            continue
        for label, found in trials.states_after(base, place, seed + 10 * at, by_chance=BY_CHANCE).items():
            score.attempt("states examined", f"{what}, {label}", partial(trials.examine, base, found))


def _refuse(base: Base, score: Score) -> None:
    """At every boundary: the call refused once, for want of room and by a failing disk."""
    for boundary in base.boundaries:
        for number in (errno.ENOSPC, errno.EIO):
            cut = Cut(boundary, refuse=number)
            place = score.attempt("calls refused", f"{base.name}: {cut}", partial(trials.refused_at, base, cut))
            if isinstance(place, Place):
                score.attempt("states examined", f"{base.name}: {cut}", partial(trials.examine, base, place))


def _kill_spread(seed: int, score: Score) -> None:
    """At every boundary of what is done over regions and tiers: a kill, and power cuts at that moment."""
    for name in spread.WORKS:
        with quick_folder() as folder:
            base, boundaries = spread.made(name, folder / "base")
            for at, boundary in enumerate(boundaries):
                what = f"{name} over regions and tiers: {boundary}, seed {seed + at}"
                trial = partial(spread.killed_at, base, name, boundary, seed + at)
                result = score.attempt("boundaries tried", what, trial)
                if not isinstance(result, tuple):
                    continue
                score.counts["kills"] += result[0]
                for ground in result[1]:
                    score.attempt("states examined", what, partial(spread.examine, ground, name))
            score.tell(f"{name} over two regions and two tiers: {len(boundaries)} boundaries")


def kills(seed: int) -> int:
    """Kill and refuse everywhere; the number of failures."""
    score = Score()
    _kill_spread(seed, score)
    for name in SCENARIOS:
        with quick_folder() as folder:
            base = Base.made(name, folder / "base")
            kinds = Counter(boundary.split()[0] for boundary in base.boundaries)
            _kill(base, seed, score)
            _refuse(base, score)
            covered = ", ".join(f"{count} {kind}" for kind, count in sorted(kinds.items()))
            score.tell(f"{name}: {len(base.boundaries)} boundaries ({covered})")
    for chain in range(CHAINS):
        with quick_folder() as folder:
            trial = partial(trials.killed_again_and_again, folder, seed + chain, KILLS)
            score.attempt(f"backups killed {KILLS} times at random moments", f"seed {seed + chain}", trial)
    score.tell("three streams")
    return score.failures


def damages(seed: int) -> int:
    """Damage everything; the number of failures."""
    score = Score()
    with quick_folder() as folder:
        specimen = damage.Specimen(folder / "specimen")
        chance = random.Random(seed)
        for kind, name, size in specimen.objects:
            for each in damage.damages(kind, name, size, chance, flips=FLIPS):
                what = f"{each.name}: {each.what}, seed {seed}"
                notice = score.attempt(f"{kind}: damages", what, partial(damage.examine, specimen, each))
                score.counts[f"{kind}: {notice}"] += 1
        score.tell(f"{len(specimen.objects)} objects")
    return score.failures


def main(arguments: list[str]) -> int:
    """See the module's words."""
    seed = int(arguments[1]) if len(arguments) > 1 else SEED
    logging.getLogger().addHandler(logging.NullHandler())  # thousands of lines that say what was done to a trial
    failures = {"kills": kills, "damage": damages}[arguments[0]](seed)
    say(f"{failures} failures" if failures else "all held")
    return int(failures > 0)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))

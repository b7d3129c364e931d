"""What one backup costs beside thousands of other weddings: a repository of N against an empty one, alternating.

    python -m benchmarks.many_weddings [--weddings N] [--rounds N] [--megabytes N] [--work FOLDER]

Every wedding has a key, a data pack and a snapshot, made by the engine itself, in memory and then copied to the disk
under test, since ten thousand commits would wait for it long. Prints medians and the ratio; the promise is at most
1.1 ×, since a wedding never pays for others. At 10,000 weddings and seven rounds of 200 MB: 3.5 GB of disk.
"""

from __future__ import annotations

import argparse
import datetime as dt
import json
import os
import random
import shutil
import statistics
import tempfile
import time
from dataclasses import dataclass
from pathlib import Path

from benchmarks.trees import write_random
from benchmarks.vaults import Vaults
from engine.contract.weddings import Wedding
from engine.storage.stores.open import open_store

_MEMORY = Path("/dev/shm")


def make(folder: Path, weddings: int, source: Path) -> None:
    """A repository with so many weddings, each with a snapshot of a small folder."""
    with Vaults(open_store(f"file://{folder}", create=True), streams=1) as made:
        day = dt.date(2026, 1, 1)
        listed = [
            Wedding(
                id=made.repository.new_wedding_id(), name=f"wedding-{number}", date=day + dt.timedelta(number % 700)
            )
            for number in range(weddings)
        ]
        if listed:
            made.repository.register.put(*listed)
        for wedding in listed:
            made.back_up(wedding.id, source)


@dataclass(frozen=True)
class Figure:
    """One opening and one backup."""

    open_s: float
    backup_s: float
    backup_cpu_s: float


def timed(folder: Path, source: Path) -> Figure:
    """Open the repository, and back up a new wedding in it."""
    os.sync()
    begin_s = time.perf_counter()
    with Vaults(open_store(f"file://{folder}", create=False), streams=3) as found:
        opened_s, opened_cpu_s = time.perf_counter(), time.process_time()
        found.back_up(found.repository.new_wedding_id(), source)
        ended_s, ended_cpu_s = time.perf_counter(), time.process_time()
    return Figure(opened_s - begin_s, ended_s - opened_s, ended_cpu_s - opened_cpu_s)


def measured(work: Path, weddings: int, rounds: int, megabytes: int) -> dict[str, object]:
    """Make both repositories in `work`, measure in turn, each as often first."""
    chance = random.Random(1)
    small, large = work / "small", work / "large"
    small.mkdir()
    large.mkdir()
    write_random(small / "a.jpg", 1_000, chance)
    for number in range(max(1, megabytes // 5)):
        write_random(large / f"{number}.jpg", 5_000_000, chance)
    begin = time.perf_counter()
    with tempfile.TemporaryDirectory(prefix="wedsync-many-", dir=_MEMORY if _MEMORY.is_dir() else work) as memory:
        for kind, count in (("many", weddings), ("empty", 0)):
            make(Path(memory, kind), count, small)
            shutil.copytree(Path(memory, kind), work / kind)
    os.sync()
    made_s = time.perf_counter() - begin
    figures: dict[str, list[Figure]] = {"empty": [], "many": []}
    for number in range(rounds):
        for kind in ("empty", "many") if number % 2 else ("many", "empty"):
            figures[kind].append(timed(work / kind, large))
    told: dict[str, object] = {"weddings": weddings, "made_s": round(made_s)}
    for what in ("backup_s", "backup_cpu_s"):
        pairs = zip(figures["many"], figures["empty"], strict=True)
        ratios = [getattr(many, what) / getattr(empty, what) for many, empty in pairs]
        told[f"ratio of {what}"] = round(statistics.median(ratios), 3)
    for kind, found in figures.items():
        told[kind] = {name: round(statistics.median(getattr(each, name) for each in found), 3)
                      for name in ("open_s", "backup_s", "backup_cpu_s")}  # fmt: skip
    return told


def main() -> None:
    """Print JSON."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--weddings", type=int, default=10_000)
    parser.add_argument("--rounds", type=int, default=7)
    parser.add_argument("--megabytes", type=int, default=200)
    parser.add_argument("--work", type=Path, default=None, help="a folder on the disk under test")
    options = parser.parse_args()
    with tempfile.TemporaryDirectory(prefix="wedsync-many-", dir=options.work) as name:
        print(json.dumps(measured(Path(name), options.weddings, options.rounds, options.megabytes), indent=1))


if __name__ == "__main__":
    main()

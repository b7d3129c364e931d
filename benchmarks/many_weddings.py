"""What one backup costs beside thousands of other weddings: a repository of N against an empty one, alternating.

Every wedding has a key, a data pack and a snapshot, made by the engine itself. Prints medians and the ratio; the
promise is at most 1.1 ×, since a wedding never pays for others.
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
from pathlib import Path

from benchmarks.trees import write_random
from engine.base.clock import SystemClock
from engine.base.entropy import SystemEntropy
from engine.contract.settings import EngineSettings
from engine.contract.weddings import Wedding
from engine.pipeline.backup import BackupRequest, BackupRun
from engine.pipeline.pool import StreamPool
from engine.repository.keyring import KdfCost
from engine.repository.repository import Home, Repository
from engine.repository.seen import SeenNumbers
from engine.storage.stores.open import open_store

CHEAP = KdfCost(1, 64, 1)


def make(folder: Path, weddings: int, source: Path) -> None:
    """A repository with so many weddings, each with a snapshot of a small folder."""
    store = open_store(f"file://{folder}", create=True)
    home = Home(SystemClock(), SystemEntropy(), SeenNumbers(None))
    repository = Repository.create(store, "benchmark", label="", home=home, cost=CHEAP)
    day = dt.date(2026, 1, 1)
    listed = [
        Wedding(id=repository.new_wedding_id(), name=f"wedding-{number}", date=day + dt.timedelta(days=number % 700))
        for number in range(weddings)
    ]
    if listed:
        repository.register.put(*listed)
    pool = StreamPool(8, clock=home.clock)
    for wedding in listed:
        _back_up(repository, pool, wedding.id, source)
    pool.close()
    repository.close()
    store.close()


def _back_up(repository: Repository, pool: StreamPool, wedding_id: str, source: Path) -> None:
    request = BackupRequest(job_id=os.urandom(16).hex(), sources=(os.fsencode(source),), host="here")
    with repository.vault(wedding_id) as vault:
        run = BackupRun(vault, request, clock=SystemClock(), entropy=SystemEntropy(), settings=EngineSettings())
        pool.submit(run)
        run.done.result()


def timed(folder: Path, source: Path) -> tuple[float, float]:
    """Seconds to open the repository, and to back up a new wedding in it."""
    os.sync()
    begin = time.perf_counter()
    store = open_store(f"file://{folder}", create=False)
    home = Home(SystemClock(), SystemEntropy(), SeenNumbers(None))
    repository = Repository.open(store, "benchmark", home=home)
    opened = time.perf_counter()
    pool = StreamPool(3, clock=home.clock)
    _back_up(repository, pool, repository.new_wedding_id(), source)
    ended = time.perf_counter()
    pool.close()
    repository.close()
    store.close()
    return opened - begin, ended - opened


def main() -> None:
    """Make both repositories, measure in turn."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--weddings", type=int, default=10_000)
    parser.add_argument("--rounds", type=int, default=7)
    parser.add_argument("--megabytes", type=int, default=200)
    options = parser.parse_args()
    with tempfile.TemporaryDirectory(prefix="wedsync-many-") as name:
        work = Path(name)
        small, large = work / "small", work / "large"
        small.mkdir()
        large.mkdir()
        chance = random.Random(1)
        write_random(small / "a.jpg", 20_000, chance)
        for number in range(options.megabytes // 5):
            write_random(large / f"{number}.jpg", 5_000_000, chance)
        make(work / "many", options.weddings, small)
        make(work / "empty", 0, small)
        figures: dict[str, list[tuple[float, float]]] = {"empty": [], "many": []}
        for _ in range(options.rounds):
            for kind, found in figures.items():
                found.append(timed(work / kind, large))
        medians = {
            kind: {
                "open_s": statistics.median(opened for opened, _ in found),
                "backup_s": statistics.median(backup for _, backup in found),
            }
            for kind, found in figures.items()
        }
        ratio = statistics.median(
            many[1] / empty[1] for many, empty in zip(figures["many"], figures["empty"], strict=True)
        )
        print(json.dumps({"weddings": options.weddings, "ratio": round(ratio, 3), **medians}, indent=1))
        shutil.rmtree(work / "many", ignore_errors=True)


if __name__ == "__main__":
    main()

"""One large file against many smaller ones of the same bytes, on the same streams, alternating.

    python -m benchmarks.one_file [--gigabytes N] [--rounds N] [--streams N] [--work FOLDER]

Each round backs both up into new repositories, in turn first; sources warm, a sync before and inside each. Prints
medians and the ratio pair by pair: one film is promised to be at least as fast as the photographs of a card. At 2 GB:
8 GB of disk.
"""

from __future__ import annotations

import argparse
import json
import os
import random
import shutil
import statistics
import tempfile
import time
from pathlib import Path

from benchmarks.trees import write_random
from benchmarks.vaults import Vaults
from engine.storage.stores.open import open_store

SMALLER_BYTES = 8_000_000


def make(folder: Path, size: int) -> dict[str, Path]:
    """A folder with one file of `size` bytes, and one with the same bytes in files of 8 MB."""
    folders = {"one": folder / "one", "many": folder / "many"}
    for each in folders.values():
        each.mkdir()
    film = folders["one"] / "film.mp4"
    write_random(film, size, random.Random(5))
    with film.open("rb") as whole:
        for number, part in enumerate(iter(lambda: whole.read(SMALLER_BYTES), b"")):
            (folders["many"] / f"IMG_{number:05}.CR3").write_bytes(part)
    return folders


def timed(store: Path, source: Path, streams: int) -> tuple[float, float]:
    """Wall and CPU seconds of a first backup into a new repository, a sync included."""
    for path in source.iterdir():
        path.read_bytes()
    with Vaults(open_store(f"file://{store}", create=True), streams=streams) as made:
        os.sync()
        begin_s, begin_cpu_s = time.perf_counter(), time.process_time()
        made.back_up(made.repository.new_wedding_id(), source)
        os.sync()
        took = time.perf_counter() - begin_s, time.process_time() - begin_cpu_s
    shutil.rmtree(store)
    return took


def main() -> None:
    """Print JSON."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--gigabytes", type=float, default=2.0)
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--streams", type=int, default=3)
    parser.add_argument("--work", type=Path, default=None, help="a folder on the disk under test")
    options = parser.parse_args()
    with tempfile.TemporaryDirectory(prefix="wedsync-one-", dir=options.work) as name:
        work = Path(name)
        sources = make(work, int(options.gigabytes * 1e9))
        figures: dict[str, list[tuple[float, float]]] = {"one": [], "many": []}
        for number in range(options.rounds):
            for kind in ("one", "many") if number % 2 else ("many", "one"):
                figures[kind].append(timed(work / "store", sources[kind], options.streams))
    ratios = [one[0] / many[0] for one, many in zip(figures["one"], figures["many"], strict=True)]
    medians = {
        kind: {
            "wall_s": statistics.median(wall for wall, _ in each),
            "cpu_s": statistics.median(cpu for _, cpu in each),
        }
        for kind, each in figures.items()
    }
    print(json.dumps({"ratio": round(statistics.median(ratios), 3), "ratios": ratios, **medians}, indent=1))


if __name__ == "__main__":
    main()

"""How long it takes to get something back: one file and an album of 2 GB, from each tier, in a folder and in a bucket.

    python -m benchmarks.recovery FOLDER [--store file|s3] [--tier hot|warm] [--rounds 3]

In: a folder on the disk to be measured, which is left as it was. One wedding of 2.3 GB of photographs that do not
compress is backed up to the store, moved to the tier, and drilled: `drill --size first-file`, then `--size album`, each
round anew. `s3` is SeaweedFS on this machine, so its disk and processor are shared and the line is the loopback. Out:
one JSON object on standard output. What 100 GB would take is PROJECTED from the album's rate.
"""

from __future__ import annotations

import argparse
import contextlib
import json
import os
import statistics
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path

from benchmarks.houses import House, make_home
from benchmarks.trees import photo_tree
from engine.contract import drills, placements
from engine.contract import operations as ops
from engine.contract.status import DrillSize
from tests import s3_servers

WEDDING = "measured"
SOURCE_BYTES = 2_300_000_000
NO_CACHE = '[cache]\nmemory = "0"\ndisk = "0"\n'  # as for a wedding that nobody has read lately
VOLUMES = 80  # of 64 MB each, in SeaweedFS
MS = 1000.0


def main(arguments: list[str]) -> int:
    """Measure, and print what was measured."""
    parser = argparse.ArgumentParser(prog="benchmarks.recovery", description=(__doc__ or "").splitlines()[0])
    parser.add_argument("folder", type=Path)
    parser.add_argument("--store", choices=("file", "s3"), default="file")
    parser.add_argument("--tier", choices=("hot", "warm"), default="hot")
    parser.add_argument("--rounds", type=int, default=3)
    options = parser.parse_args(arguments)
    with tempfile.TemporaryDirectory(dir=options.folder) as name, _store(options.store, Path(name)) as url:
        sys.stdout.write(json.dumps(_measured(Path(name), url, options), indent=2) + "\n")
    return 0


@contextlib.contextmanager
def _store(kind: str, folder: Path) -> Iterator[str]:
    """The URL of a store of this kind, for as long as the block lasts."""
    if kind == "file":
        yield f"file://{folder}/store"
        return
    os.environ.update(s3_servers.CREDENTIALS)
    (folder / "weed").mkdir()
    with s3_servers.seaweed(folder / "weed", volumes=VOLUMES) as server:
        yield server.url("measured")


def _measured(folder: Path, url: str, options: argparse.Namespace) -> dict[str, object]:
    source = photo_tree(folder / "source", SOURCE_BYTES)
    config = f'[storage]\nhot = "{url}"\n' if options.tier == "hot" else f'[tiers.warm]\nurl = "{url}"\n{NO_CACHE}'
    make_home(folder / "home", [WEDDING], config, url=url if options.tier == "hot" else "")
    house = House(folder / "home")
    try:
        house.ask(ops.StartBackup(wedding=WEDDING, sources=(str(source),), wait=True))
        if options.tier == "warm":
            house.ask(placements.Migrate(wedding=WEDDING, tier="warm"))
        first = [_drilled(house, "first-file") for _ in range(3 * options.rounds)]
        album = [_drilled(house, "album") for _ in range(options.rounds)]
    finally:
        house.close()
    return {
        "store": options.store,
        "tier": options.tier,
        "first_file_ms": [round(each.first_file_s * MS, 1) for each in first],
        "album_first_file_ms": [round(each.first_file_s * MS, 1) for each in album],
        "album_bytes": album[0].bytes_restored,
        "album_s": [round(each.restored_s, 2) for each in album],
        "album_mb_per_s": round(statistics.median(each.bytes_restored / each.restored_s / 1e6 for each in album)),
        "projected_100gb_s": round(statistics.median(each.projected_100gb_s or 0.0 for each in album)),
    }


def _drilled(house: House, size: DrillSize) -> drills.DrillReport:
    report = house.ask(drills.Drill(wedding=WEDDING, size=size))
    if not isinstance(report, drills.DrillReport) or report.problems:
        raise SystemExit(f"the drill went wrong: {report}")
    return report


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))

"""The copy catalog at a petabyte: lookup, bytes a row, rebuild, scan of all for the policy, and memory.

31 million packs with three copies (`--short`: 1 million) over 10,000 weddings, made by rebuilding it from three
listings. Run in a process of its own, whose peak is told.
"""

from __future__ import annotations

import json
import random
import re
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

from benchmarks.report import Report, at_share
from engine.storage.locations import Locations, pack_name
from engine.storage.stores.store import ObjectInfo

PACKS, SHORT_PACKS = 31_000_000, 1_000_000
WEDDINGS = 10_000
PLACES = ("hot/home", "warm/eu-west", "cold/us-east")
LOOKUPS = 20_000
PACK_BYTES = 32 * 1024 * 1024
WRITTEN_NS = 1_780_000_000_000_000_000


def measure(folder: Path, report: Report, *, short: bool) -> None:
    """Every figure, by a process of its own."""
    packs = SHORT_PACKS if short else PACKS
    words = [sys.executable, "-m", "benchmarks.catalog_scale", str(folder / "copies.db"), str(packs)]
    found = json.loads(subprocess.run(words, check=True, stdout=subprocess.PIPE).stdout)
    name = f"catalog, {packs / 1e6:g} million packs × {len(PLACES)}"
    report.add(f"{name}: lookup p50", None, found["lookup_p50_us"], "µs")
    report.add(f"{name}: lookup p99", None, found["lookup_p99_us"], "µs")
    report.add(f"{name}: on disk", None, found["bytes_a_row"], "B/row")
    report.add(f"{name}: made from a listing", None, found["added_per_s"] / 1e3, "k/s")
    report.add(f"{name}: rebuilt where all is known", None, found["relisted_per_s"] / 1e3, "k/s")
    report.add(f"{name}: all packs scanned for the policy", None, found["scanned_per_s"] / 1e3, "k/s")
    report.add(f"{name}: the 1,000 oldest verified", None, found["oldest_s"], "s")
    report.add(f"{name}: peak resident", 300.0, found["peak_mb"], "MB")


def listing(packs: int) -> Iterator[ObjectInfo]:
    """What a place lists, sorted by name."""
    a_wedding = packs // WEDDINGS
    for wedding in range(WEDDINGS):
        chance = random.Random(wedding)
        for pack in sorted(chance.randbytes(32) for _ in range(a_wedding)):
            yield ObjectInfo(pack_name(f"{wedding:032x}", pack), PACK_BYTES, WRITTEN_NS)


def main(path: Path, packs: int) -> dict[str, float]:
    """Make it, ask it, and tell."""
    catalog = Locations(path)
    begin_s = time.perf_counter()
    for place in PLACES:
        added = catalog.rebuild(place, listing(packs), begun_ns=WRITTEN_NS).added
        assert added == packs // WEDDINGS * WEDDINGS
    made_s = time.perf_counter() - begin_s
    chance, took = random.Random(1), []
    for _ in range(LOOKUPS):
        wedding = chance.randrange(WEDDINGS)
        own = random.Random(wedding)
        name = pack_name(f"{wedding:032x}", [own.randbytes(32) for _ in range(chance.randrange(1, 20))][-1])
        begin_s = time.perf_counter()
        copies = catalog.copies(name)
        took.append(time.perf_counter() - begin_s)
        assert len(copies) == len(PLACES)
    begin_s = time.perf_counter()
    catalog.rebuild(PLACES[0], listing(packs), begun_ns=WRITTEN_NS)
    relisted_s = time.perf_counter() - begin_s
    begin_s = time.perf_counter()
    scanned = sum(1 for wedding in catalog.weddings() for _ in catalog.of_wedding(wedding))
    scanned_s = time.perf_counter() - begin_s
    begin_s = time.perf_counter()
    catalog.oldest_verified(PLACES[0], 1000)
    oldest_s = time.perf_counter() - begin_s
    catalog.close()
    return {
        "lookup_p50_us": at_share(took, 0.5) * 1e6,
        "lookup_p99_us": at_share(took, 0.99) * 1e6,
        "bytes_a_row": path.stat().st_size / (packs * len(PLACES)),
        "added_per_s": packs * len(PLACES) / made_s,
        "relisted_per_s": packs / relisted_s,
        "scanned_per_s": scanned / scanned_s,
        "oldest_s": oldest_s,
        "peak_mb": _peak_mb(),
    }


def _peak_mb() -> float:
    """Of this process since its program began; the kernel's `ru_maxrss` would tell of its parent, too."""
    found = re.search(r"VmHWM:\s+(\d+) kB", Path("/proc/self/status").read_text())
    assert found is not None
    return int(found[1]) / 1024


if __name__ == "__main__":
    sys.stdout.write(json.dumps(main(Path(sys.argv[1]), int(sys.argv[2]))))

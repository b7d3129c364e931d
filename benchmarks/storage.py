"""The stores: read cache, hot tier, restore, upload, disks at depth, congestion control, copy catalog.

    python -m benchmarks.storage FOLDER [--short] [--only NAME…] [--json FILE]

In: a folder on the disk to be measured, with room for some 10 GB (3 GB with --short); what is made in it is removed.
Out: a line a target with what was measured and the verdict, and exit code 1 when one was missed. Without --short the
catalog has 31 million packs and takes ten minutes and 8 GB.
"""

from __future__ import annotations

import argparse
import json
import os
import sys
import tempfile
from pathlib import Path

from benchmarks import cache_hits, catalog_scale, disks, lines, uploads
from benchmarks.load import Report

MEASURES = {
    "cache": cache_hits.measure,
    "hot": disks.hot_read,
    "sequence": disks.sequence,
    "upload": uploads.measure,
    "tiers": disks.tiers,
    "lines": lines.measure,
    "catalog": catalog_scale.measure,
}


def main(arguments: list[str]) -> int:
    """Measure, and print what was measured."""
    parser = argparse.ArgumentParser(prog="benchmarks.storage", description=(__doc__ or "").splitlines()[0])
    parser.add_argument("folder", type=Path)
    parser.add_argument("--short", action="store_true", help="a sample: some two minutes")
    parser.add_argument("--json", type=Path, help="write the figures here too")
    parser.add_argument("--only", nargs="+", choices=MEASURES, default=list(MEASURES))
    options = parser.parse_args(arguments)
    options.folder.mkdir(parents=True, exist_ok=True)
    sys.setswitchinterval(0.0005)  # as the program does at its start
    report, load = Report(), os.getloadavg()[0]
    report.say(f"{os.cpu_count()} cores, load {load:.1f} before the first measurement")
    for name in options.only:
        with tempfile.TemporaryDirectory(dir=options.folder, prefix=f"storage-{name}-") as folder:
            MEASURES[name](Path(folder).resolve(), report, short=options.short)
    if options.json:
        options.json.write_text(json.dumps({"load_before": load, "rows": report.rows}, indent=2) + "\n")
    return 0 if report.is_met else 1


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))

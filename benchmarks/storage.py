"""The stores: read cache, hot tier, restore, upload, disks at depth, congestion control, copy catalog.

    python -m benchmarks.storage FOLDER [--short] [--only NAME…] [--json FILE]

In: a folder on the disk to be measured, with room for some 10 GB (3 GB with --short); what is made in it is removed.
Out: a line a target with what was measured and the verdict, and exit code 1 when one was missed. Without --short the
catalog has 31 million packs and takes some twenty minutes and 6 GB.
"""

from __future__ import annotations

import sys
from functools import partial

from benchmarks import cache_hits, catalog_scale, disks, lines, uploads
from benchmarks.report import carry_out, parser_of

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
    options = parser_of(
        "benchmarks.storage", __doc__, short="a sample: some two minutes", measures=MEASURES
    ).parse_args(arguments)
    sys.setswitchinterval(0.0005)  # as the program does at its start
    return carry_out(options, {name: partial(each, short=options.short) for name, each in MEASURES.items()})


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))

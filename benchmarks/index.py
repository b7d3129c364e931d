"""What the chunk index costs: memory a chunk, filled and while it grows, and time a chunk to fill, ask and locate.

    python -m benchmarks.index [CHUNKS...]

In: numbers of chunks (default 600,000, 1,000,000 and 1,050,000). Out: one JSON object on standard output. Each size
is measured in a process of its own, by the resident memory of the whole process, peaks included; random ids of
packs of 1,000 chunks, as a wedding of large files has them.
"""

from __future__ import annotations

import argparse
import json
import resource
import subprocess
import sys
from pathlib import Path

from engine.base.clock import SystemClock
from engine.base.entropy import SystemEntropy
from engine.repository import crypto
from engine.repository.index import Index
from engine.repository.pack import PACK_BYTES_MAX, RECORD, PackEntry

PACK_CHUNKS = 1000
ASKED_AT_ONCE = 256  # about what a unit of small files asks
DEFAULT_CHUNKS = (600_000, 1_000_000, 1_050_000)

_clock = SystemClock()
_entropy = SystemEntropy()


def main(arguments: list[str]) -> int:
    """Measure each size in a process of its own, and print what was measured."""
    parser = argparse.ArgumentParser(prog="benchmarks.index", description=(__doc__ or "").splitlines()[0])
    parser.add_argument("chunks", type=int, nargs="*", default=DEFAULT_CHUNKS)
    parser.add_argument("--here", action="store_true", help="in this process: one size only")
    options = parser.parse_args(arguments)
    if options.here:
        sys.stdout.write(json.dumps(_measure(options.chunks[0])) + "\n")
        return 0
    measured = {}
    for chunks in options.chunks:
        command = [sys.executable, "-m", "benchmarks.index", "--here", str(chunks)]
        measured[str(chunks)] = json.loads(subprocess.run(command, check=True, capture_output=True).stdout)
    sys.stdout.write(json.dumps(measured, indent=2) + "\n")
    return 0


def _pack(number: int) -> PackEntry:
    ids = _entropy.token(32 * PACK_CHUNKS)
    records = b"".join(
        RECORD.pack(ids[32 * at : 32 * at + 32], 4096 + 20 * at, 20, 0, 4, 0) for at in range(PACK_CHUNKS)
    )
    name = crypto.hash_bytes(number.to_bytes(8, "little"))
    return PackEntry(name, _entropy.token(32), 1, crypto.DATA_PACK, PACK_BYTES_MAX, records)


def _measure(chunks: int) -> dict[str, float]:
    warm = Index()
    warm.add([_pack(0)])
    before = _resident_bytes()
    index, sample = Index(), b""
    fill_s = 0.0
    for number in range(chunks // PACK_CHUNKS):
        pack = _pack(number)
        sample = pack.records
        begin_s = _clock.monotonic_s()
        index.add([pack])
        fill_s += _clock.monotonic_s() - begin_s
    ids = [sample[at : at + 32] for at in range(0, ASKED_AT_ONCE * RECORD.size, RECORD.size)]
    begin_s = _clock.monotonic_s()
    index.missing(ids)
    asked_s = _clock.monotonic_s()
    index.locate(ids)
    located_s = _clock.monotonic_s()
    return {
        "bytes_a_chunk": round((_resident_bytes() - before) / len(index), 1),
        "bytes_a_chunk_at_the_peak": round((_peak_bytes() - before) / len(index), 1),
        "fill_us_a_chunk": round(fill_s / len(index) * 1e6, 2),
        "ask_us_a_chunk": round((asked_s - begin_s) / len(ids) * 1e6, 2),
        "locate_us_a_chunk": round((located_s - asked_s) / len(ids) * 1e6, 2),
    }


def _resident_bytes() -> int:
    return int(Path("/proc/self/statm").read_text().split()[1]) * resource.getpagesize()


def _peak_bytes() -> int:
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024


if __name__ == "__main__":
    raise SystemExit(main(sys.argv[1:]))

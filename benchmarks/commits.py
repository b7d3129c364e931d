"""How fast a store on a disk is: small durable objects alone and beside bulk writers, and bulk writing itself.

    python -m benchmarks.commits FOLDER [SECONDS]

In: a folder on the disk to be measured, which is left as it was. Out: one JSON object on standard output. Each
figure is of one run of SECONDS (default 3); alternate runs on a quiet machine before comparing two versions.
"""

from __future__ import annotations

import argparse
import json
import mmap
import sys
import tempfile
import threading
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager, nullcontext
from functools import partial
from pathlib import Path
from unittest import mock

from engine.base.clock import SystemClock
from engine.base.entropy import SystemEntropy
from engine.base.units import KIB, MIB
from engine.storage.stores.gate import Gate
from engine.storage.stores.local import LocalStore

OBJECT_BYTES = 4 * KIB
BULK_BYTES = 16 * MIB
BULK_WRITERS = 3
PACK_BYTES = 32 * MIB

_clock = SystemClock()
_entropy = SystemEntropy()


def main(arguments: list[str]) -> int:
    """Measure, and print what was measured."""
    parser = argparse.ArgumentParser(prog="benchmarks.commits", description=(__doc__ or "").splitlines()[0])
    parser.add_argument("folder", type=Path)
    parser.add_argument("seconds", type=float, nargs="?", default=3.0)
    options = parser.parse_args(arguments)
    sys.setswitchinterval(0.0005)  # as the program does at its start
    measured: dict[str, object] = {"seconds": options.seconds}
    for threads in (1, 16):
        measured[f"puts_{threads}_alone"] = _measure(options, partial(_puts, threads=threads))
    for gate in ("gate", "no_gate"):
        with nullcontext() if gate == "gate" else mock.patch.object(Gate, "enter", return_value=None):
            for threads in (1, 16):
                measured[f"puts_{threads}_beside_bulk_{gate}"] = _measure(
                    options, partial(_puts_beside_bulk, threads=threads)
                )
    for direct in (True, False):
        name = "bulk_direct" if direct else "bulk_buffered"
        measured[name] = _measure(options, _bulk_alone, direct=direct)
    sys.stdout.write(json.dumps(measured, indent=2) + "\n")
    return 0


def _measure(
    options: argparse.Namespace, run: Callable[[LocalStore, float], dict[str, float]], *, direct: bool = True
) -> dict[str, float]:
    with tempfile.TemporaryDirectory(dir=options.folder) as folder:
        store = LocalStore(Path(folder).resolve(), create=False, direct_io=direct)
        try:
            return run(store, options.seconds)
        finally:
            store.close()


def _puts(store: LocalStore, seconds: float, threads: int) -> dict[str, float]:
    """Objects a second, and how long one took."""
    end_s = _clock.monotonic_s() + seconds

    def put_all(thread: int) -> list[float]:
        data = _entropy.token(OBJECT_BYTES)
        took: list[float] = []
        while (start_s := _clock.monotonic_s()) < end_s:
            store.put(f"small/{thread}-{len(took)}", data)
            took.append(_clock.monotonic_s() - start_s)
        return took

    with ThreadPoolExecutor(threads) as pool:
        took = sorted(one for some in pool.map(put_all, range(threads)) for one in some)
    return {
        "puts_per_s": round(len(took) / seconds, 1),
        "p50_ms": round(took[len(took) // 2] * 1000, 2),
        "p99_ms": round(took[len(took) * 99 // 100] * 1000, 2),
    }


def _puts_beside_bulk(store: LocalStore, seconds: float, threads: int) -> dict[str, float]:
    with _bulk_writers(store) as written_bytes:
        start_bytes = written_bytes()
        figures = _puts(store, seconds, threads)
        figures["bulk_mb_per_s"] = round((written_bytes() - start_bytes) / seconds / 1e6, 1)
    return figures


def _bulk_alone(store: LocalStore, seconds: float) -> dict[str, float]:
    with _bulk_writers(store) as written_bytes:
        start_bytes, start_s = written_bytes(), _clock.monotonic_s()
        threading.Event().wait(seconds)
        return {"mb_per_s": round((written_bytes() - start_bytes) / (_clock.monotonic_s() - start_s) / 1e6, 1)}


@contextmanager
def _bulk_writers(store: LocalStore) -> Iterator[Callable[[], int]]:
    """Three threads that write packs of two units each, for the length of the block; how much so far."""
    is_over = threading.Event()
    counts = [0] * BULK_WRITERS

    def write(writer: int) -> None:
        unit = mmap.mmap(-1, BULK_BYTES)
        unit[:] = _entropy.token(BULK_BYTES)
        number = 0
        while not is_over.is_set():
            staged = store.stage()
            while staged.size_bytes < PACK_BYTES and not is_over.is_set():
                with memoryview(unit) as view:
                    staged.append(view)
                counts[writer] += BULK_BYTES
            name = f"bulk/{writer}-{number}"
            staged.publish(name).result()
            store.delete(name)
            number += 1
        unit.close()

    with ThreadPoolExecutor(BULK_WRITERS) as pool:
        running = [pool.submit(write, writer) for writer in range(BULK_WRITERS)]
        try:
            yield lambda: sum(counts)
        finally:
            is_over.set()
        for one in running:
            one.result()


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))

"""Uploads of packs to an S3 service: the cloud store beside obstore alone, in turn, with as many at once.

What obstore sends lies ready in memory; what the store sends has grown in the temporary folder, whose writing is told
apart: the engine seals meanwhile. The service runs on the same cores.
"""

from __future__ import annotations

import mmap
import os
import statistics
import time
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack
from functools import partial
from pathlib import Path
from unittest import mock

import psutil
from obstore.store import S3Store

from benchmarks.report import Report
from engine.base.units import MIB
from engine.storage.stores.cloud import UPLOADS, CloudStore
from engine.storage.stores.open import open_store
from tests import s3_servers

PACK_BYTES = 32 * MIB
UNIT_BYTES = 16 * MIB


def measure(folder: Path, report: Report, *, short: bool) -> None:
    """The share of obstore's own rate that a pack reaches from its first unit to its acknowledgement."""
    packs, rounds = (4, 3) if short else (8, 5)
    unit = mmap.mmap(-1, UNIT_BYTES)
    unit[:] = os.urandom(UNIT_BYTES)
    data = bytes(unit) * (PACK_BYTES // UNIT_BYTES)
    for kind, server_of in (("moto", s3_servers.moto), ("SeaweedFS", partial(s3_servers.seaweed, volumes=100))):
        with ExitStack() as stack:
            stack.enter_context(mock.patch.dict(os.environ, s3_servers.CREDENTIALS))
            (folder / kind).mkdir()
            server = stack.enter_context(server_of(folder / kind))
            client = S3Store(s3_servers.BUCKET, endpoint=server.endpoint, client_options={"allow_http": True})
            store = open_store(server.url("ours"), create=True)
            assert isinstance(store, CloudStore)
            stack.callback(store.close)
            alone, ours, grown = [], [], []
            for number in range(rounds):
                alone.append(_obstore_alone(client, data, packs, number))
                growing, uploading = _our_store(store, unit, packs, number)
                grown.append(growing)
                ours.append(uploading)
        _tell(report, kind, alone, ours, packs * PACK_BYTES)
        _tell_one(report, f"upload to {kind}: packs growing in the temporary folder", grown, packs * PACK_BYTES)


def _tell(
    report: Report, kind: str, alone: list[tuple[float, float]], ours: list[tuple[float, float]], size_bytes: int
) -> None:
    _tell_one(report, f"upload to {kind}: obstore alone", alone, size_bytes)
    _tell_one(report, f"upload to {kind}: the store", ours, size_bytes)
    alone_s, ours_s = (statistics.median(wall_s for wall_s, _ in each) for each in (alone, ours))
    report.add(f"upload to {kind}: the store ÷ obstore alone", 0.8, alone_s / ours_s, "×", at_least=True)


def _tell_one(report: Report, name: str, taken: list[tuple[float, float]], size_bytes: int) -> None:
    report.add(name, None, size_bytes / statistics.median(wall_s for wall_s, _ in taken) / 1e6, "MB/s")
    report.add(f"{name}: CPU", None, statistics.median(cpu_s for _, cpu_s in taken) * 1e9 / size_bytes, "s/GB")


def _obstore_alone(client: S3Store, data: bytes, packs: int, turn: int) -> tuple[float, float]:
    """Wall and CPU seconds of this process."""
    begin_s, begin_cpu_s = time.perf_counter(), _cpu_s()
    with ThreadPoolExecutor(UPLOADS) as pool:
        for _ in pool.map(lambda n: client.put(f"alone/{turn}-{n}", data, use_multipart=False), range(packs)):
            pass
    return time.perf_counter() - begin_s, _cpu_s() - begin_cpu_s


def _our_store(
    store: CloudStore, unit: mmap.mmap, packs: int, turn: int
) -> tuple[tuple[float, float], tuple[float, float]]:
    """The same, of growing and of uploading."""
    begin_s, begin_cpu_s = time.perf_counter(), _cpu_s()
    grown = [store.stage() for _ in range(packs)]
    for staged in grown:
        for _ in range(PACK_BYTES // UNIT_BYTES):
            staged.append(memoryview(unit))
    grown_s, grown_cpu_s = time.perf_counter(), _cpu_s()
    for waiting in [staged.publish(f"packs/{turn}-{number}") for number, staged in enumerate(grown)]:
        waiting.result()
    growing = grown_s - begin_s, grown_cpu_s - begin_cpu_s
    return growing, (time.perf_counter() - grown_s, _cpu_s() - grown_cpu_s)


def _cpu_s() -> float:
    times = psutil.Process().cpu_times()
    return times.user + times.system

"""A store on a disk and in a bucket, random and in sequence, at several depths, beside what fio does on the same disk.

Depth: so many threads that each wait for their answer; fio's `iodepth` with libaio, and for writes as many threads.
Random reads are past the page cache, but for the hot read of 16 KiB, which is as the store does it, on files that
nobody has read, and again. A random write is a small object that is durable when it counts: a file is made, synced,
named, and its folder synced; fio writes into one file in place and syncs it. Packs are written in units of 16 MiB and
read in ranges of 16 MiB, as the engine does.
"""

from __future__ import annotations

import json
import mmap
import os
import random
import shutil
import statistics
import subprocess
import tempfile
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from contextlib import AbstractContextManager, ExitStack
from functools import partial
from pathlib import Path
from typing import Any
from unittest import mock

from benchmarks.report import Report, at_share
from benchmarks.vaults import Vaults
from engine.base.clock import SystemClock
from engine.base.entropy import SystemEntropy
from engine.base.units import KIB, MIB
from engine.pipeline.targets.archive import TarTarget
from engine.pipeline.targets.folder import FolderTarget
from engine.storage.cache.blocks import MemoryBlocks
from engine.storage.cache.slots import DiskBlocks
from engine.storage.cached import BlockCache, CachedStore
from engine.storage.stores import local
from engine.storage.stores.local import LocalStore
from engine.storage.stores.open import open_store
from engine.storage.stores.store import ObjectStore
from tests import s3_servers

DEPTHS = (1, 8, 32)
SIZES = (4 * KIB, 16 * KIB)
PACK_BYTES = 32 * MIB
UNIT_BYTES = 16 * MIB
ROUNDS = 3
FIO = ("fio", "--output-format=json", "--direct=1", "--time_based")
Job = dict[str, Any]  # of fio's report


def tiers(folder: Path, report: Report, *, short: bool) -> None:
    """IOPS and latency of the hot tier on this disk beside fio, and of a cold one in an S3 service on this machine."""
    seconds, packs = (1.0, 4) if short else (3.0, 16)
    store = _filled(folder / "hot", packs)
    has_fio = shutil.which("fio") is not None
    if not has_fio:
        report.say("fio is not installed: its figures are left out")
    for size in SIZES:
        for depth in DEPTHS:
            what = f"{size // KIB} KiB, depth {depth}"
            with mock.patch.multiple(local, _DIRECT_FROM_BYTES=4 * KIB), _nothing_cached():
                _tell(report, f"hot read {what}", _reads(store, packs, size, depth, seconds))
            if has_fio:
                _tell_fio(report, f"fio  read {what}", _fio(folder, "randread", size, depth, seconds), "read")
            _tell(report, f"hot write {what}", _writes(store, size, depth, seconds))
            if has_fio:
                _tell_fio(report, f"fio  write+fsync {what}", _fio(folder, "randwrite", size, depth, seconds), "write")
    cache = BlockCache(MemoryBlocks(packs * PACK_BYTES // 4), DiskBlocks(folder / "cache", packs * PACK_BYTES))
    warm = CachedStore(store, cache, SystemClock())
    for depth in DEPTHS:
        took = _reads(warm, packs, 16 * KIB, depth, seconds)
        _tell(report, f"warm (this disk, a quarter fits into the cache's memory) read 16 KiB, depth {depth}", took)
    warm.close()
    with ExitStack() as stack:
        stack.enter_context(mock.patch.dict(os.environ, s3_servers.CREDENTIALS))
        (folder / "s3").mkdir()
        server = stack.enter_context(s3_servers.seaweed(folder / "s3"))
        cold = open_store(server.url("bench"), create=True)
        stack.callback(cold.close)
        _fill(cold, 2)
        for depth in DEPTHS:
            what = f"16 KiB, depth {depth}"
            _tell(report, f"cold (SeaweedFS here) read {what}", _reads(cold, 2, 16 * KIB, depth, seconds))
            _tell(report, f"cold (SeaweedFS here) write {what}", _writes(cold, 16 * KIB, depth, seconds))
    report.say("arrays of disks: nothing of the kind is here; a figure for them would be PROJECTED, and none is given")


def hot_read(folder: Path, report: Report, *, short: bool) -> None:
    """One blob of 16 KiB at a random place of a pack, at depth 1: in the page cache, and on the disk."""
    packs, reads = (4, 500) if short else (16, 3000)
    store = _filled(folder / "hot", packs)
    places = _places(packs, 16 * KIB, reads, align=512)
    buffer = memoryview(mmap.mmap(-1, 16 * KIB))
    for what in ("from the disk", "from the page cache"):
        took = []
        for name, offset in places:
            begin_s = time.perf_counter()
            store.read_into(name, offset, buffer)
            took.append(time.perf_counter() - begin_s)
        report.add(f"hot read of a 16 KiB blob, {what}: p50", 100.0, at_share(took, 0.5) * 1e6, "µs")
        report.add(f"hot read of a 16 KiB blob, {what}: p99", None, at_share(took, 0.99) * 1e6, "µs")
    store.close()


def sequence(folder: Path, report: Report, *, short: bool) -> None:
    """Packs written and read one after the other, and a whole restore, beside fio and cat on the same disk."""
    packs, seconds = (8, 2.0) if short else (32, 5.0)
    begin_s = time.perf_counter()
    store = _filled(folder / "hot", packs)
    report.add("hot: packs written, durable", None, packs * PACK_BYTES / (time.perf_counter() - begin_s) / 1e9, "GB/s")
    for depth in (1, 3):
        report.add(f"hot: packs read, {depth} streams", None, _read_packs(store, packs, depth) / 1e9, "GB/s")
    store.close()
    for mode in ("write", "read") if shutil.which("fio") else ():
        job = _fio(folder, mode, MIB, 8, seconds)
        report.add(f"fio: {mode} in sequence, 1 MiB, depth 8", None, job[mode]["bw_bytes"] / 1e9, "GB/s")
    _restore(folder, report, size_bytes=1024 * MIB)


def _restore(folder: Path, report: Report, *, size_bytes: int) -> None:
    """A wedding restored into memory, and as an archive to nowhere, beside `cat` of its packs. Cold page cache."""
    source = folder / "source"
    source.mkdir()
    for number in range(size_bytes // (16 * MIB)):
        (source / f"IMG_{number:04}.CR3").write_bytes(os.urandom(16 * MIB))
    with Vaults(LocalStore(folder / "repository", create=True), streams=3) as vaults:
        wedding = vaults.repository.new_wedding_id()
        vaults.back_up(wedding, source)
        packs = [path for path in (folder / "repository").rglob("packs/*") if path.stat().st_size > MIB]
        rates: dict[str, list[float]] = {"cat of the same packs": [], "into memory": [], "archive to nowhere": []}
        for _ in range(ROUNDS):
            for name, run in (
                ("cat of the same packs", partial(_cat, packs)),
                ("into memory", partial(_into_memory, vaults, wedding)),
                ("archive to nowhere", partial(_to_nowhere, vaults, wedding)),
            ):
                _drop(packs)
                with tempfile.TemporaryDirectory(dir="/dev/shm") as memory:
                    begin_s = time.perf_counter()
                    run(os.fsencode(memory))
                    rates[name].append(size_bytes / (time.perf_counter() - begin_s))
    cat, restored, archive = (statistics.median(each) for each in rates.values())
    report.add("cat of the same packs", None, cat / 1e9, "GB/s")
    report.add("restore into memory: read, opened, checked, written", None, restored / 1e9, "GB/s")
    report.add("restore into memory ÷ cat", 0.8, restored / cat, "×", at_least=True)
    report.add("restore as an archive, one unit after the other", None, archive / 1e9, "GB/s")


def _into_memory(vaults: Vaults, wedding: str, folder: bytes) -> None:
    vaults.restore(wedding, FolderTarget(folder, entropy=SystemEntropy()))


def _to_nowhere(vaults: Vaults, wedding: str, _: bytes) -> None:
    with Path(os.devnull).open("wb", buffering=0) as nowhere:
        vaults.restore(wedding, TarTarget(nowhere))


def _cat(packs: list[Path], _: bytes) -> None:
    subprocess.run(["sh", "-c", 'cat -- "$@" | cat >/dev/null', "sh", *map(str, packs)], check=True)


def _nothing_cached() -> AbstractContextManager[object]:
    """As the store reads large ranges that the page cache does not hold; small ones it reads through the page cache."""
    return mock.patch.object(LocalStore, "_read_cached", return_value=False)


def _drop(paths: list[Path]) -> None:
    """Let the page cache forget files."""
    for path in paths:
        fd = os.open(path, os.O_RDONLY)
        os.posix_fadvise(fd, 0, 0, os.POSIX_FADV_DONTNEED)
        os.close(fd)


def _reads(store: ObjectStore, packs: int, size: int, depth: int, seconds: float) -> list[float]:
    """How long each read took, of all that `depth` threads made in the time."""
    end_s = time.perf_counter() + seconds

    def run(thread: int) -> list[float]:
        places, took = _places(packs, size, 5000, align=4 * KIB, seed=thread), []
        buffer = memoryview(mmap.mmap(-1, size))
        for name, offset in places * 100:
            begin_s = time.perf_counter()
            if begin_s >= end_s:
                break
            store.read_into(name, offset, buffer)
            took.append(time.perf_counter() - begin_s)
        return took

    return _at_once(depth, run)


def _writes(store: ObjectStore, size: int, depth: int, seconds: float) -> list[float]:
    end_s = time.perf_counter() + seconds
    mark = time.monotonic_ns()

    def run(thread: int) -> list[float]:
        took: list[float] = []
        while (begin_s := time.perf_counter()) < end_s:
            store.put(f"small/{mark}-{thread}-{len(took)}", os.urandom(size))
            took.append(time.perf_counter() - begin_s)
        return took

    return _at_once(depth, run)


def _at_once(depth: int, run: Callable[[int], list[float]]) -> list[float]:
    with ThreadPoolExecutor(depth) as pool:
        return [one for some in pool.map(run, range(depth)) for one in some]


def _tell(report: Report, name: str, took: list[float]) -> None:
    report.add(f"{name}: IOPS", None, len(took) / max(1e-9, sum(took)) * int(name.rpartition(" ")[2]), "/s")
    report.add(f"{name}: p50", None, at_share(took, 0.5) * 1e6, "µs")
    report.add(f"{name}: p99", None, at_share(took, 0.99) * 1e6, "µs")


def _tell_fio(report: Report, name: str, job: Job, way: str) -> None:
    """Of a write: with the fsync after it."""
    report.add(f"{name}: IOPS", None, job[way]["iops"], "/s")
    for share in ("50.000000", "99.000000"):
        took = job[way]["clat_ns"]["percentile"][share]
        took += job["sync"]["lat_ns"]["percentile"][share] if way == "write" else 0
        report.add(f"{name}: p{share[:2]}", None, took / 1e3, "µs")


def _fio(folder: Path, mode: str, size: int, depth: int, seconds: float) -> Job:
    """One job of fio on a file of 512 MiB in `folder`: its own report of it."""
    words = [*FIO, "--name=x", f"--filename={folder / 'fio'}", "--size=512m", f"--rw={mode}", f"--bs={size}"]
    words += [f"--runtime={seconds}"]
    if mode == "randwrite":
        words += ["--ioengine=psync", "--fsync=1", "--thread", f"--numjobs={depth}", "--group_reporting"]
    else:
        words += ["--ioengine=libaio", f"--iodepth={depth}"]
    found = subprocess.run(words, check=True, capture_output=True, text=True, cwd=folder).stdout
    job: Job = json.loads(found[found.index("{") :])["jobs"][0]
    return job


def _places(packs: int, size: int, count: int, *, align: int, seed: int = 0) -> list[tuple[str, int]]:
    chance = random.Random(seed)
    return [
        (_pack(chance.randrange(packs)), chance.randrange((PACK_BYTES - size) // align) * align) for _ in range(count)
    ]


def _read_packs(store: ObjectStore, packs: int, streams: int) -> float:
    """Bytes a second of all packs, each read from its start to its end."""

    def run(stream: int) -> list[float]:
        buffer = memoryview(mmap.mmap(-1, UNIT_BYTES))
        for number in range(stream, packs, streams):
            for offset in range(0, PACK_BYTES, UNIT_BYTES):
                store.read_into(_pack(number), offset, buffer)
        return []

    begin_s = time.perf_counter()
    _at_once(streams, run)
    return packs * PACK_BYTES / (time.perf_counter() - begin_s)


def _filled(folder: Path, packs: int) -> LocalStore:
    store = LocalStore(folder, create=True)
    _fill(store, packs)
    return store


def _fill(store: ObjectStore, packs: int) -> None:
    unit = mmap.mmap(-1, UNIT_BYTES)
    unit[:] = os.urandom(UNIT_BYTES)
    for number in range(packs):
        staged = store.stage()
        for _ in range(PACK_BYTES // UNIT_BYTES):
            staged.append(memoryview(unit))
        staged.publish(_pack(number)).result()


def _pack(number: int) -> str:
    return f"weddings/{'ab' * 16}/packs/{number:064x}"

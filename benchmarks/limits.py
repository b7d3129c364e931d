"""What the bare parts reach on this machine, one thread, and the limit that they set to a backup of photographs."""

from __future__ import annotations

import mmap
import os
import time
from collections.abc import Callable
from pathlib import Path

import pyfastcdc
import zstandard
from blake3 import blake3
from cryptography.hazmat.primitives.ciphers.aead import AESGCM

_MIB = 1024 * 1024
_UNIT = 16 * _MIB
_ROUNDS = 5


def _rate(work: Callable[[], object], size: int) -> float:
    """Median MB/s of some rounds."""
    took = []
    for _ in range(_ROUNDS):
        begin = time.perf_counter()
        work()
        took.append(time.perf_counter() - begin)
    return size / sorted(took)[_ROUNDS // 2] / 1e6


def measure(folder: Path, sample: Path) -> dict[str, float]:
    """MB/s of each part. `sample` is a large file in the page cache; `folder` is on the disk under test."""
    buffer = memoryview(mmap.mmap(-1, _UNIT))
    sealed = memoryview(mmap.mmap(-1, _UNIT + 4096))
    fd = os.open(sample, os.O_RDONLY)
    try:
        read = _rate(lambda: os.preadv(fd, [buffer], 0), _UNIT)
    finally:
        os.close(fd)
    cutter = pyfastcdc.FastCDC(_MIB, min_size=_MIB // 4, max_size=4 * _MIB, seed=1)
    aead, nonce = AESGCM(bytes(32)), bytes(12)
    press = zstandard.ZstdCompressor(level=1)
    text = (b"Bath, 20 June: first look at the weir, speeches, sparklers. " * 20000)[:_MIB]
    return {
        "read": read,
        "fastcdc": _rate(lambda: [chunk.length for chunk in cutter.cut_buf(buffer)], _UNIT),
        "blake3": _rate(lambda: blake3(buffer).digest(), _UNIT),
        "blake3 keyed, 1 MiB": _rate(lambda: blake3(buffer[:_MIB], key=bytes(32)).digest(), _MIB),
        "aes-256-gcm": _rate(lambda: aead.encrypt_into(nonce, buffer, b"", sealed[: _UNIT + 16]), _UNIT),
        "zstd-1 on text": _rate(lambda: press.compress(text), len(text)),
        "write + fsync, direct": _rate(lambda: _write(folder / "limit", buffer, os.O_DIRECT), _UNIT),
        "write + fsync, buffered": _rate(lambda: _write(folder / "limit", buffer, 0), _UNIT),
    }


# How often a byte of a photograph meets each part: it is cut, hashed as a chunk, as a file and as a pack, sealed, and
# opened to compare. Nothing compresses it.
STAGES = {"read": 1, "fastcdc": 1, "blake3 keyed, 1 MiB": 3, "aes-256-gcm": 2}
DISK = "write + fsync, direct"


def limit(bare: dict[str, float], cores: int) -> tuple[float, float]:
    """MB/s of a backup of photographs: what the disk allows, and what `cores` allow that do the bare stages only."""
    cost_s = sum(times / bare[part] for part, times in STAGES.items())  # of a MB
    return bare[DISK], cores / cost_s


def _write(path: Path, data: memoryview, flag: int) -> None:
    fd = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_TRUNC | flag, 0o600)
    try:
        os.pwrite(fd, data, 0)
        os.fsync(fd)
    finally:
        os.close(fd)
        path.unlink()

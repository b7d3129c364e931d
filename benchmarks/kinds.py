"""What dedup and compression give by kind of file, and what the processor's extensions have in the speed.

Kinds are made here (JPEG-like and RAW-like noise, video, sidecars, documents, a database dump), stored twice with one
percent changed in between. AES with its extensions masked runs in a child (`OPENSSL_ia32cap`); BLAKE3's library
chooses its own at run time and offers no mask, and zstd has no part in them beyond plain SIMD.
"""

from __future__ import annotations

import json
import os
import random
import subprocess
import sys
import tempfile
from collections.abc import Callable
from pathlib import Path

from benchmarks.vaults import Vaults
from engine.storage.stores.memory import MemoryStore

_MB = 1_000_000
_MASKED = {"OPENSSL_ia32cap": "~0x200000200000000"}  # AES-NI and carry-less multiplication
_AES = (
    "import time;from cryptography.hazmat.primitives.ciphers.aead import AESGCM;a=AESGCM(bytes(32));"
    "d=bytes(1<<20);o=bytearray((1<<20)+16);t=time.perf_counter();"
    "[a.encrypt_into(bytes(12),d,b'',o) for _ in range(64)];print(64*1.048576/(time.perf_counter()-t))"
)


def make_kinds(root: Path, chance: random.Random) -> list[Path]:
    """A folder a kind, 20 MB each."""
    words = [f"word{number}".encode() for number in range(5000)]
    kinds: dict[str, Callable[[], bytes]] = {
        "jpeg": lambda: chance.randbytes(5 * _MB),
        "raw": lambda: chance.randbytes(20 * _MB),
        "video": lambda: chance.randbytes(20 * _MB),
        "sidecars": lambda: b"<x:xmpmeta>" + b"".join(b"<li>%d</li>" % chance.randrange(10**6) for _ in range(400)),
        "documents": lambda: b" ".join(chance.choices(words, k=150_000)),
        "database dump": lambda: b"".join(
            b"INSERT INTO guest VALUES (%d,'%s',%d);\n" % (row, chance.choice(words), chance.randrange(90))
            for row in range(400_000)
        ),
    }
    folders = []
    for kind, content in kinds.items():
        folder = root / kind
        folder.mkdir()
        size = number = 0
        while size < 20 * _MB and number < 2000:
            data = content()
            (folder / f"{number}.{ {'jpeg': 'jpg', 'raw': 'CR3', 'video': 'mp4'}.get(kind, 'txt') }").write_bytes(data)
            size += len(data)
            number += 1
        folders.append(folder)
    return folders


def stored(folder: Path, chance: random.Random) -> dict[str, float]:
    """Bytes of source and store for a first backup, and for one after a small change in the middle of each file."""
    with Vaults(MemoryStore(), streams=2) as made:
        wedding = made.repository.new_wedding_id()
        sizes = []
        for _ in range(2):
            counts = made.back_up(wedding, folder)
            sizes.append((counts.bytes_source, counts.bytes_stored))
            for path in list(folder.iterdir())[:: max(1, len(list(folder.iterdir())) // 20)]:
                data = bytearray(path.read_bytes())
                middle = len(data) // 2
                data[middle:middle] = chance.randbytes(100)  # an insertion: everything behind it moves
                path.write_bytes(data)
    (source, first), (_, second) = sizes
    return {
        "source_mb": source / _MB,
        "stored_mb": first / _MB,
        "ratio": source / first,
        "after_change_mb": second / _MB,
    }


def main() -> None:
    """Print JSON."""
    chance = random.Random(11)
    with tempfile.TemporaryDirectory(prefix="wedsync-kinds-") as name:
        kinds = {folder.name: stored(folder, chance) for folder in make_kinds(Path(name), chance)}
    aes = {}
    for how, extra in (("with AES-NI", {}), ("masked", _MASKED)):
        found = subprocess.run(
            [sys.executable, "-c", _AES], env={**os.environ, **extra}, capture_output=True, text=True, check=True
        )
        aes[how] = round(float(found.stdout))
    print(json.dumps({"kinds": kinds, "aes_256_gcm_mb_per_s": aes}, indent=1))


if __name__ == "__main__":
    main()

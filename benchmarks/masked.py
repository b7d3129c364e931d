"""What the processor's extensions have in the speed of AES-256-GCM and BLAKE3: measured with them, and masked.

    python -m benchmarks.masked [BLAKE3_C]

BLAKE3_C is a folder with the C sources of BLAKE3 (`c/` of its repository; Debian has them in librust-blake3-dev). The
library that WedSync uses picks its instructions when it is loaded and offers no mask; it calls the same assembly as
these sources, which are compiled here so that the choice can be set. AES is masked by OpenSSL's own variable. zstd has
nothing to mask: it uses no more than what every x86-64 has. Prints JSON, MB/s of one thread, medians.
"""

from __future__ import annotations

import ctypes
import json
import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

from blake3 import blake3

_MIB = 1024 * 1024
_SIZES = {"16 MiB": 16 * _MIB, "1 MiB": _MIB}
_ROUNDS = 9
_HASHER_BYTES = 4096  # more than the 1,912 of its state
_AES_MASK = {"OPENSSL_ia32cap": "~0x200000200000000"}  # AES-NI and carry-less multiplication
_AES_NI_ONLY = {"OPENSSL_ia32cap": ":~0x60000000000"}  # neither VAES nor VPCLMULQDQ
_CHOICES = {"portable C": 0, "SSE2": 0b1, "SSE4.1": 0b111, "AVX2": 0b11111, "AVX-512": 0b1111111}
_SOURCES = ("blake3.c", "blake3_dispatch.c", "blake3_portable.c")


def rate(work: Callable[[], object], size: int) -> float:
    """Median MB/s."""
    took = []
    for _ in range(_ROUNDS):
        begin = time.perf_counter()
        for _ in range(max(1, 16 * _MIB // size)):
            work()
        took.append((time.perf_counter() - begin) / max(1, 16 * _MIB // size))
    return round(size / sorted(took)[_ROUNDS // 2] / 1e6)


def aes(environment: dict[str, str]) -> float:
    """In a child, since OpenSSL looks at its variable when it is loaded."""
    command = [sys.executable, "-m", "benchmarks.masked", "--aes"]
    done = subprocess.run(command, env={**os.environ, **environment}, check=True, capture_output=True, text=True)
    return float(done.stdout)


def aes_here() -> float:
    """AES-256-GCM over 1 MiB, as the engine calls it."""
    from cryptography.hazmat.primitives.ciphers.aead import AESGCM

    cipher, nonce = AESGCM(bytes(32)), bytes(12)
    data, out = memoryview(bytearray(_MIB)), memoryview(bytearray(_MIB + 16))
    return rate(lambda: cipher.encrypt_into(nonce, data, b"", out), _MIB)


def compiled(sources: Path, folder: Path) -> ctypes.CDLL:
    """The C sources as a library whose choice of instructions can be set."""
    library = folder / "blake3.so"
    assembly = sorted(sources.glob("*_x86-64_unix.S"))
    files = [*(sources / name for name in _SOURCES), *assembly]
    subprocess.run(["cc", "-O3", "-DBLAKE3_TESTING", "-shared", "-fPIC", "-o", library, *files], check=True)
    return ctypes.CDLL(str(library))


def hashed(library: ctypes.CDLL, data: memoryview) -> bytes:
    """The BLAKE3 of `data` by the compiled sources."""
    state, out = ctypes.create_string_buffer(_HASHER_BYTES), ctypes.create_string_buffer(32)
    library.blake3_hasher_init(state)
    library.blake3_hasher_update(state, (ctypes.c_char * len(data)).from_buffer(data), ctypes.c_size_t(len(data)))
    library.blake3_hasher_finalize(state, out, ctypes.c_size_t(32))
    return out.raw


def masked_blake3(library: ctypes.CDLL) -> dict[str, dict[str, float]]:
    """MB/s for each choice of instructions, each proven to give the right hash."""
    choice = ctypes.c_int.in_dll(library, "g_cpu_features")
    found: dict[str, dict[str, float]] = {}
    for name, features in _CHOICES.items():
        choice.value = features
        found[name] = {}
        for words, size in _SIZES.items():
            data = memoryview(bytearray(os.urandom(size)))
            if hashed(library, data) != blake3(data).digest():
                raise SystemExit(f"{name} gives another hash")
            found[name][words] = rate(lambda data=data: hashed(library, data), size)  # type: ignore[misc]
    return found


def main(arguments: list[str]) -> None:
    """See the module's words."""
    if arguments == ["--aes"]:
        sys.stdout.write(str(aes_here()))
        return
    measured: dict[str, object] = {
        "aes-256-gcm, 1 MiB": {"all": aes({}), "AES-NI without VAES": aes(_AES_NI_ONLY), "masked": aes(_AES_MASK)},
        "blake3, as WedSync uses it": {
            words: rate(lambda data=bytes(size): blake3(data).digest(), size)  # type: ignore[misc]
            for words, size in _SIZES.items()
        },
    }
    if arguments:
        with tempfile.TemporaryDirectory(prefix="wedsync-masked-") as folder:
            measured["blake3, compiled here"] = masked_blake3(compiled(Path(arguments[0]), Path(folder)))
    sys.stdout.write(json.dumps(measured, indent=1) + "\n")


if __name__ == "__main__":
    main(sys.argv[1:])

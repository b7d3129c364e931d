"""The small fixed world of the vectors: its secrets, its entropy, and seals that hold whatever they are given.

The seals here are made from docs/format.md once more, since the engine's own refuse to write what is wrong.
"""

from __future__ import annotations

import struct
from collections.abc import Iterable

from blake3 import blake3
from cryptography.hazmat.primitives.ciphers.aead import AESGCM

from engine.repository.keyring import SealingEpoch, WeddingKeys, WeddingSecrets
from tests.golden import stranger


class RecordedEntropy:
    """Entropy that is the same at every run: keys and salts from a seed, padding of zeros. For golden files only."""

    def __init__(self, seed: str) -> None:
        self._stream = blake3(b"wedsync golden " + seed.encode())
        self._at = 0

    def token(self, size_bytes: int) -> bytes:
        """See `Entropy.token`."""
        if size_bytes > 64:
            return bytes(size_bytes)
        self._at += 64
        return self._stream.digest(length=size_bytes, seek=self._at)


class ReplayedEntropy:
    """Entropy that gives back what an object was made with, to make it again."""

    def __init__(self, tokens: Iterable[bytes]) -> None:
        self._tokens = list(tokens)

    def token(self, size_bytes: int) -> bytes:
        """See `Entropy.token`."""
        token = self._tokens.pop(0)
        assert len(token) == size_bytes
        return token


_entropy = RecordedEntropy("world")
MASTER, IDENTITY, *SEALING = (_entropy.token(32) for _ in range(4))
WEDDING, OTHER_WEDDING, REPOSITORY, LEASE, JOB, SLOT = (_entropy.token(16) for _ in range(6))
PASSPHRASE = "correct horse \u00e9"
NOW_NS = 1_780_000_000_000_000_000

SECRETS = WeddingSecrets(IDENTITY, tuple(SealingEpoch(number, secret) for number, secret in enumerate(SEALING, 1)))
KEYS = WeddingKeys.of(WEDDING, SECRETS)


def salt(seed: str) -> bytes:
    """A salt of a name."""
    return RecordedEntropy(seed).token(32)


def frame(payload: bytes, *, codec: int = 0, length: int | None = None) -> bytes:
    """The plaintext of a sealed object, also a wrong one."""
    return struct.pack("<BI", codec, len(payload) if length is None else length) + payload


def seal(
    kind: int,
    plaintext: bytes,
    *,
    secret: bytes,
    epoch: int,
    name: str = "",
    wedding: bytes = bytes(16),
    salt: bytes,
) -> bytes:
    """A sealed object around any plaintext; without a name its id is empty."""
    key = stranger.derive(f"wedsync 1 {stranger.CONTEXTS[kind]}", secret + salt)
    header = b"WSOB\x01" + bytes([kind]) + epoch.to_bytes(4, "little") + salt
    return header + AESGCM(key).encrypt(bytes(12), plaintext, header + wedding + name.encode())


def zstd_stored(content: bytes) -> bytes:
    """A zstd frame that carries its size and holds `content` unpressed: the same bytes with every zstd library."""
    assert len(content) < 1 << 17
    block = (len(content) << 3 | 1).to_bytes(3, "little")
    return b"\x28\xb5\x2f\xfd\xa0" + len(content).to_bytes(4, "little") + block + content


def zstd_repeated(byte: int, size: int) -> bytes:
    """A zstd frame of `size` times the same byte, four bytes a 128 KiB."""
    frame_bytes = b"\x28\xb5\x2f\xfd\xa0" + size.to_bytes(4, "little")
    for at in range(0, size, 1 << 17):
        length = min(1 << 17, size - at)
        is_last = at + length == size
        frame_bytes += (length << 3 | 1 << 1 | is_last).to_bytes(3, "little") + bytes([byte])
    return frame_bytes


def flip(data: bytes, at: int, bit: int = 0) -> bytes:
    """`data` with one bit changed; `at` may count from the end."""
    changed = bytearray(data)
    changed[at] ^= 1 << bit
    return bytes(changed)

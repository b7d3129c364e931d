"""Every sealing of a process noted before it is made, so that no key and nonce can be used twice unseen.

Runs in the child. Out: a file of (key, nonce) pairs that outlives it, the key as a hash.
"""

from __future__ import annotations

import hashlib
import os
from pathlib import Path

from cryptography.hazmat.primitives.ciphers.aead import AESGCM

from engine.repository import crypto, keyring

Bytes = bytes | memoryview


class _RecordedCipher:
    """AES-256-GCM that notes each (key, nonce) before it seals with it."""

    fd = -1

    def __init__(self, key: bytes) -> None:
        self._real = AESGCM(key)
        self._key = hashlib.blake2b(key, digest_size=20).digest()

    def _note(self, nonce: bytes) -> None:
        os.write(_RecordedCipher.fd, self._key + nonce)

    def encrypt(self, nonce: bytes, data: bytes, associated_data: bytes) -> bytes:
        """As AESGCM has it, here and below."""
        self._note(nonce)
        return self._real.encrypt(nonce, data, associated_data)

    def encrypt_into(self, nonce: bytes, data: Bytes, associated_data: bytes, buf: memoryview) -> int:
        self._note(nonce)
        return self._real.encrypt_into(nonce, data, associated_data, buf)

    def decrypt(self, nonce: bytes, data: bytes, associated_data: bytes) -> bytes:
        return self._real.decrypt(nonce, data, associated_data)

    def decrypt_into(self, nonce: bytes, data: Bytes, associated_data: bytes, buf: memoryview) -> int:
        return self._real.decrypt_into(nonce, data, associated_data, buf)


SEAL_BYTES = 20 + 12


def record_seals(path: Path) -> None:
    """Note the (key, nonce) of every sealing of this process in `path`, behind those of others."""
    _RecordedCipher.fd = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o600)
    for module in (crypto, keyring):
        module.AESGCM = _RecordedCipher  # type: ignore[attr-defined]

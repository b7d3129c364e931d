"""Randomness that secrets are made of: keys, salts, ids, padding, pack choice. Always the operating system's.

It is a type of its own so that a seeded `random.Random` (simulations, jitter) can never be passed where a
key is made. Tests pass `RecordedEntropy` only to make golden files.
"""

from __future__ import annotations

import os
from typing import Protocol


class Entropy(Protocol):
    """A source of unpredictable bytes. Any thread."""

    def token(self, size_bytes: int) -> bytes:
        """`size_bytes` fresh random bytes."""
        ...


class SystemEntropy:
    """`os.urandom`."""

    def token(self, size_bytes: int) -> bytes:
        """See `Entropy.token`."""
        return os.urandom(size_bytes)

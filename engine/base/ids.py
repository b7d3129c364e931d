"""Names of things as types of their own, so that mypy refuses a pack where a snapshot is meant."""

from __future__ import annotations

from typing import NewType

WeddingId = NewType("WeddingId", bytes)  # 16 random bytes, 32 hex digits in names
SnapshotId = NewType("SnapshotId", str)  # 32 hex digits of the job that wrote it; a checkpoint adds "-N"
JobId = NewType("JobId", str)  # 32 hex digits, drawn when a job is accepted
ChunkId = NewType("ChunkId", bytes)  # 32 bytes, keyed BLAKE3 of the plaintext
PackName = NewType("PackName", bytes)  # 32 bytes, BLAKE3 of the stored bytes
KeyEpoch = NewType("KeyEpoch", int)  # 1, 2, 3 … per wedding

WEDDING_ID_BYTES = 16
CHUNK_ID_BYTES = 32
JOB_ID_BYTES = 16

"""The hash of a file on a disk, as the manifest has it (docs/format.md, section 6.5). One thread, its own buffer."""

from __future__ import annotations

import os
from collections.abc import Callable

from blake3 import blake3

from engine.contract.settings import SEGMENT_BYTES
from engine.pipeline.extents import DataMap


def hash_of_data(fd: int, layout: DataMap, buffer: memoryview, pause: Callable[[], None] = lambda: None) -> bytes:
    """BLAKE3 of the data: of the only 64 MiB segment, else of the segments' BLAKE3s. Empty when the file ends early.

    `pause` is called once a buffer, and may raise to end it. Raises OSError.
    """
    segments: list[bytes] = []
    hasher, in_segment = blake3(), 0
    for offset, length in layout.pieces(0, layout.data_bytes):
        end = offset + length
        while offset < end:
            pause()
            room = buffer[: min(end - offset, SEGMENT_BYTES - in_segment)]
            count = os.preadv(fd, [room], offset)
            if not count:
                return b""
            hasher.update(room[:count])
            offset += count
            in_segment += count
            if in_segment == SEGMENT_BYTES:
                segments.append(hasher.digest())
                hasher, in_segment = blake3(), 0
    if in_segment or not segments:
        segments.append(hasher.digest())
    return segments[0] if len(segments) == 1 else blake3(b"".join(segments)).digest()

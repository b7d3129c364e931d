"""Cut points and names: FastCDC and keyed BLAKE3 over a stream's buffer (docs/format.md, section 4).

One instance a run and stream call; the cutter holds no state between calls, so segments may be cut in any order.
"""

from __future__ import annotations

from typing import Final

import pyfastcdc
from blake3 import blake3

from engine.base.errors import WedSyncError

CHUNK_BYTES_MIN = 256 * 1024
CHUNK_BYTES_NOMINAL = 1024 * 1024
CHUNK_BYTES_MAX = 4 * 1024 * 1024
_NORMALISATION: Final = 1


def refuse_slow_chunker() -> None:
    """Raise WedSyncError when pyfastcdc came without its compiled part: its Python twin is hundreds of times slower."""
    if pyfastcdc.FastCDC.__module__.startswith("pyfastcdc.py"):
        raise WedSyncError("pyfastcdc is installed without its compiled part", "install the wheel for this platform")


class Cutter:
    """Cuts data of one wedding. Not to be shared by two threads at once; cheap to make."""

    def __init__(self, seed: int) -> None:
        self._cutter = pyfastcdc.FastCDC(
            CHUNK_BYTES_NOMINAL,
            min_size=CHUNK_BYTES_MIN,
            max_size=CHUNK_BYTES_MAX,
            normalized_chunking=_NORMALISATION,
            seed=seed,
        )

    def cut(self, data: memoryview, *, is_end: bool) -> list[int]:
        """Lengths of the chunks at the front of `data`.

        Unless `is_end`, the last one is left out when it touches the end of the buffer: more data could move its
        cut. What the lengths do not cover is to be cut again, with more data behind it.
        """
        lengths = [chunk.length for chunk in self._cutter.cut_buf(data)]
        if not is_end and lengths and lengths[-1] < CHUNK_BYTES_MAX:
            lengths.pop()
        return lengths


def name_chunks(data: memoryview, lengths: list[int], chunk_key: bytes) -> list[bytes]:
    """The id of each chunk at the front of `data`."""
    ids = []
    at = 0
    for length in lengths:
        ids.append(blake3(data[at : at + length], key=chunk_key).digest())
        at += length
    return ids

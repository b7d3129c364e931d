"""Cut points and names: FastCDC and keyed BLAKE3 over a stream's buffer (docs/format.md, section 4).

One instance a run and stream call; the cutter holds no state between calls, so segments may be cut in any order.
"""

from __future__ import annotations

from collections.abc import Iterator
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
        return list(self._lengths(data, is_end=is_end))

    def cut_and_name(
        self, data: memoryview, chunk_key: bytes, hasher: blake3, *, is_end: bool
    ) -> tuple[list[int], list[bytes]]:
        """Lengths as `cut` gives them, and the ids; `hasher` is updated with all they cover.

        Each chunk is cut, named and hashed before the next is touched: it is still in the processor's cache then,
        where hashing is twice as fast as from memory.
        """
        lengths: list[int] = []
        ids: list[bytes] = []
        at = 0
        for length in self._lengths(data, is_end=is_end):
            chunk = data[at : at + length]
            ids.append(blake3(chunk, key=chunk_key).digest())
            hasher.update(chunk)
            lengths.append(length)
            at += length
        return lengths, ids

    def _lengths(self, data: memoryview, *, is_end: bool) -> Iterator[int]:
        at = 0
        for chunk in self._cutter.cut_buf(data):
            at += chunk.length
            if is_end or at < len(data) or chunk.length == CHUNK_BYTES_MAX:
                yield chunk.length

"""Chunks of one file that follow each other, gathered in memory and written in one go.

A blob that is one whole chunk is opened straight to where it will be written from, so restoring it copies nothing;
the memory lies as the file does within a page, so that the target may write it past the page cache. One stream.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence

from engine.pipeline.plan import BlobUse, Piece
from engine.pipeline.pool import Buffers
from engine.repository import codec
from engine.repository.pack import ALIGNMENT_BYTES

Write = Callable[[Sequence[Piece], memoryview | None, str], None]


def joined(pieces: Sequence[Piece]) -> Iterator[tuple[int, int]]:
    """(offset, length) of all pieces, those that adjoin as one."""
    begin = end = -1
    for piece in pieces:
        for offset, length in piece.pieces:
            if offset != end:
                if end > begin:
                    yield begin, end - begin
                begin = offset
            end = offset + length
    if end > begin:
        yield begin, end - begin


class Stretch:
    """What of one file is gathered and not written yet."""

    def __init__(self, buffers: Buffers, write: Write) -> None:
        self._buffers = buffers
        self._memory = buffers.packs[0]
        self._write = write
        self._pieces: list[Piece] = []
        self._start = 0  # in the memory; as far into a page as the first byte is in the file
        self._length = 0
        self._offered: Piece | None = None  # its blob is being opened behind what is gathered

    def room(self, blob: BlobUse) -> memoryview:
        """Where to open a blob: behind what is gathered if it goes there, at the front if it begins something new."""
        self._offered = None
        location = blob.location
        piece = blob.uses[0][1]
        is_one_chunk = (
            len(blob.uses) == 1
            and len(piece.pieces) == 1
            and location.codec_used == codec.RAW
            and location.inner_offset == 0
            and location.stored_bytes > location.length
        )
        if not is_one_chunk:
            return self._buffers.scratch
        end = self._start + self._length
        if not self._follows(piece) or end + location.length > len(self._memory):
            self.flush()
            self._start = end = piece.pieces[0][0] % ALIGNMENT_BYTES
        self._offered = piece
        return self._memory[end:]

    def _follows(self, piece: Piece) -> bool:
        if not self._pieces:
            return False
        last = self._pieces[-1]
        return last.owner == piece.owner and sum(last.pieces[-1]) == piece.pieces[0][0]

    def takes(self, piece: Piece, data: memoryview | None) -> bool:
        """Whether `data` is what was opened into the room that was given, and so is gathered now."""
        if data is None or piece is not self._offered or data.obj is not self._memory.obj:
            return False
        self._pieces.append(piece)
        self._length += len(data)
        return True

    def flush(self) -> None:
        """Write what is gathered."""
        if self._pieces:
            self.write(self._pieces, self._memory[self._start : self._start + self._length], "")
        self._pieces, self._length = [], 0

    def write(self, pieces: Sequence[Piece], data: memoryview | None, what: str) -> None:
        """Hand pieces on to be written, and note the time."""
        begin_s = self._buffers.now_s()
        self._write(pieces, data, what)
        self._buffers.spent("place", self._buffers.now_s() - begin_s, len(data) if data is not None else 0)

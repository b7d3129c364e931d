"""One thing of the source, read: the bytes of a file, and the metadata of anything as an `Entry`.

In: a `WalkItem`. Out: an `Entry` (without contents: the pipeline fills them in) and the data stream of a file.
What is read is always the thing that was stat'ed: a descriptor is opened first, all else is asked of it.
Any thread; one `SourceFile` at a time by one thread.
"""

from __future__ import annotations

import os

from engine.pipeline.extents import Extents
from engine.pipeline.walk import WalkItem
from engine.repository.entry import Entry


class SourceProblem(Exception):
    """The thing cannot be read; `what` is a short sentence for a warning, without the path."""

    def __init__(self, what: str) -> None:
        super().__init__(what)
        self.what = what


class SourceFile:
    """A regular file, open for reading; also a context manager."""

    fd: int
    stat: os.stat_result  # of the descriptor, at the open
    extents: Extents  # (): all data

    def __init__(self, item: WalkItem) -> None:
        """Raises SourceProblem."""
        raise NotImplementedError

    @property
    def data_bytes(self) -> int:
        """Length of the data stream."""
        raise NotImplementedError

    def read_into(self, buffer: memoryview, data_offset: int) -> int:
        """Fill `buffer` from `data_offset` of the data stream; fewer bytes than it holds only at the end of the file.

        Raises SourceProblem.
        """
        raise NotImplementedError

    def changed(self) -> bool:
        """Has the file been written to, or its metadata changed, since the open?"""
        raise NotImplementedError

    def close(self) -> None:
        """Let go of the descriptor. Twice is allowed."""
        raise NotImplementedError


def entry_of(item: WalkItem, source: SourceFile | None, *, now_ns: int) -> tuple[Entry, tuple[str, ...]]:
    """The metadata of `item`, and sentences on what of it could not be read. A regular file needs its `source`.

    A ctime within a second of `now_ns` is recorded as 0: the thing may change again within the same tick. Raises
    SourceProblem when it vanished or has become something else.
    """
    raise NotImplementedError

"""The gate of a store: bulk writers pass it piece by piece, and stand back while a group is made durable.

So an fsync never queues behind 16 MiB of somebody's video. It cannot deadlock: the committer never waits for
a writer, and a writer waits for the end of one group at most, even when the next has begun meanwhile, and no
longer than `GATE_WAIT_S`. So neither side can starve the other, not even on a disk whose fsyncs take a second.
"""

from __future__ import annotations

import threading
from collections.abc import Iterator
from contextlib import contextmanager

GATE_PIECE_BYTES = 1024 * 1024  # what a bulk writer writes at once
GATE_PIECES = 4  # of that between two looks at the gate
GATE_WAIT_S = 0.05  # the longest wait for a piece: each bulk writer keeps 20 MiB a second


class Gate:
    """Where bulk writers wait while a group is made durable. Any thread."""

    def __init__(self, *, wait_s: float = GATE_WAIT_S) -> None:
        self._wait_s = wait_s
        self._changed = threading.Condition()
        self._is_closed = False
        self._groups = 0  # how often it was closed; with `_is_closed`, guarded by `_changed`

    def enter(self) -> None:
        """Come back when no group is being made durable, the one that was at the call has ended, or it takes long."""
        with self._changed:
            met = self._groups
            self._changed.wait_for(lambda: not self._is_closed or self._groups != met, self._wait_s)

    @contextmanager
    def closed(self) -> Iterator[None]:
        """Hold writers back for the length of the block. The committer only."""
        with self._changed:
            self._is_closed = True
            self._groups += 1
        try:
            yield
        finally:
            with self._changed:
                self._is_closed = False
                self._changed.notify_all()

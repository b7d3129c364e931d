"""One migration as a run: a wedding's packs, one after the other, from tier to tier.

One unit is in flight at a time, and none while a tier has moved more than it may: so whatever else there is goes first.
What is wrong with a pack is a warning, and the others are moved; a store that does not answer ends the attempt.
"""

from __future__ import annotations

import threading
from collections import deque
from collections.abc import Callable, Iterable
from functools import partial

import msgspec

from engine.base.errors import IntegrityError, NotFound
from engine.contract.settings import WARNINGS_TOLD
from engine.pipeline.passes import Readable
from engine.pipeline.pool import Buffers, Run, Unit
from engine.repository.snapshot import WARNINGS_KEPT
from engine.storage.moving import Move, Mover


class MigrateOutcome(msgspec.Struct):
    """What was moved. `left`: packs that lie at the target, and whose other copies stay: somebody reads them, or the
    target has fewer copies yet than there must be."""

    packs: int = 0
    bytes: int = 0
    left: int = 0
    hot_bytes: int = 0  # that hot let go


LOOKS_MAX = 30  # seconds that copies still on their way to other regions are waited for


class MigrateRun(Run[MigrateOutcome]):
    """One migration of a wedding."""

    def __init__(
        self,
        mover: Mover,
        moves: Iterable[Move],
        *,
        may_drop: Callable[[], bool],
        wait_s: Callable[[], float],
        readable: Readable | None = None,
    ) -> None:
        """`may_drop`: whether nobody reads the wedding now; `wait_s`: how long a tier's limit holds. Any thread."""
        super().__init__()
        self._mover = mover
        self._moves = deque(moves)
        self._may_drop = may_drop
        self._wait_s = wait_s
        self._readable = readable
        self._late: deque[Move] = deque()  # copied, and not yet in as many regions as they must be
        self._looks = LOOKS_MAX
        self._has_rested = False
        self._lock = threading.Lock()
        self._warnings: list[str] = []  # under the lock
        self._outcome = MigrateOutcome()
        self.progress.files_total = len(self._moves)
        self.progress.bytes_total = sum(move.size_bytes for move in self._moves)

    def next_unit(self, *, idle: bool) -> Unit | None:
        """See `Run.next_unit`."""
        if not idle or self._wait_s() > 0:
            return None
        if not self._moves:
            self._take_late()
        move = self._next_ready()
        if move is None and not self._moves:
            return None
        if move is None:
            self.progress.current = f"{len(self._moves)} packs wait to be recalled"
            return None
        self.cost = move.size_bytes
        self.progress.current = f"{move.source or move.target} → {move.target}: {move.reason}"
        return partial(self._move, move)

    @property
    def is_waiting(self) -> bool:
        """See `Run.is_waiting`: for the limit of a tier, for packs that are recalled, for copies on their way."""
        return bool(self._moves or (self._late and self._looks))

    def _take_late(self) -> None:
        """Once a second, look again at what lacked copies: they are on their way to the other regions."""
        if not self._late or not self._looks:
            return
        if not self._has_rested:
            self._has_rested = True  # it is asked again in a second
            return
        self._has_rested = False
        self._looks -= 1
        self._moves, self._late = self._late, deque()

    def _next_ready(self) -> Move | None:
        """The first that can be read; those that cannot go to the end of the line."""
        for _ in range(len(self._moves)):
            move = self._moves.popleft()
            if move.source is None or self._readable is None or self._readable.is_ready(move.name):
                return move
            self._moves.append(move)
        return None

    def _move(self, move: Move, buffers: Buffers) -> None:
        try:
            begin_s = buffers.now_s()
            self._mover.copy(move, buffers.source)
            buffers.spent("write", buffers.now_s() - begin_s, move.size_bytes)
            may_drop = not move.drops or self._may_drop()
            gone = not move.drops or (may_drop and self._mover.drop(move))
        except (IntegrityError, NotFound) as error:
            with self._lock:
                self._warnings.append(f"/{move.name}: {error.message}")
                self.progress.warnings += 1
                self.progress.first_warnings = tuple(self._warnings[:WARNINGS_TOLD])
        else:
            if may_drop and not gone and self._looks:
                self._late.append(move)
                return
            self._outcome.packs += 1
            self._outcome.bytes += move.size_bytes
            self._outcome.left += not gone
            self._outcome.hot_bytes += move.size_bytes * (gone and "hot" in move.drops)
        self.progress.files_done += 1
        self.progress.bytes_read += move.size_bytes

    def warning_lines(self) -> tuple[str, ...]:
        """See `Run.warning_lines`."""
        with self._lock:
            return tuple(self._warnings[:WARNINGS_KEPT])

    def conclude(self, buffers: Buffers) -> MigrateOutcome:
        """See `Run.conclude`."""
        return self._outcome

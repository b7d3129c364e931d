"""A run: one job's supply of units, and what a stream owns to carry them out.

Subclasses give units; the pool asks for them, one stream at a time, and ends the run when there are no more.
"""

from __future__ import annotations

import logging
import math
import mmap
import traceback
from collections.abc import Callable
from concurrent.futures import Future
from functools import cached_property
from typing import Any, Generic, Literal, TypeVar

import msgspec
import zstandard

from engine.base.clock import Clock
from engine.base.units import KIB, MIB
from engine.contract.settings import UNIT_BYTES
from engine.contract.weddings import JobClass
from engine.pipeline.companion import Companion
from engine.pipeline.stagetimes import Stage

Outcome = TypeVar("Outcome")

_LOG = logging.getLogger(__name__)
SCRATCH_BYTES = 8 * MIB + 64 * KIB
PACK_BUFFER_BYTES = UNIT_BYTES + 512 * KIB


class Cancelled(Exception):
    """A run ended because it was asked to."""


def _page_aligned(size_bytes: int) -> memoryview:
    """Anonymous memory: page-aligned for direct I/O, and no page of it counts before it is touched."""
    return memoryview(mmap.mmap(-1, size_bytes))


class Buffers:
    """What one stream owns: memory, compression contexts, and the time its stages took. Made when first needed."""

    def __init__(self, clock: Clock, compression_level: int) -> None:
        self._level = compression_level
        self.now_s = clock.monotonic_s
        self.stages: dict[Stage, tuple[float, int]] = {}

    @cached_property
    def companion(self) -> Companion:
        """Who reads into `source` for the stream."""
        return Companion(UNIT_BYTES)

    @cached_property
    def source(self) -> memoryview:
        """A unit of the source, or of a pack."""
        return self.companion.unit

    @cached_property
    def packs(self) -> tuple[memoryview, memoryview]:
        """What is sealed of a unit."""
        return _page_aligned(PACK_BUFFER_BYTES), _page_aligned(PACK_BUFFER_BYTES)

    @cached_property
    def scratch(self) -> memoryview:
        """One blob."""
        return _page_aligned(SCRATCH_BYTES)

    @cached_property
    def compressor(self) -> zstandard.ZstdCompressor:
        """At the level asked for last."""
        return zstandard.ZstdCompressor(level=self._level)

    @cached_property
    def prober(self) -> zstandard.ZstdCompressor:
        """At the quickest level, to see whether anything can be compressed."""
        return zstandard.ZstdCompressor(level=1)

    @cached_property
    def decompressor(self) -> zstandard.ZstdDecompressor:
        """Of any level."""
        return zstandard.ZstdDecompressor()

    def close(self) -> None:
        """The stream ends."""
        if "companion" in self.__dict__:
            self.companion.close()

    def compress_at(self, level: int) -> None:
        """Use another level of zstd from now on; asked before each unit."""
        if level != self._level:
            self._level = level
            self.__dict__.pop("compressor", None)

    def spent(self, stage: Stage, seconds: float, size_bytes: int) -> None:
        """Note time and bytes of a stage; called a few times a unit."""
        before_s, before_bytes = self.stages.get(stage, (0.0, 0))
        self.stages[stage] = (before_s + seconds, before_bytes + size_bytes)


Unit = Callable[[Buffers], None]


class Progress(msgspec.Struct):
    """How far a run is: plain numbers, written once a unit, read by anyone."""

    files_done: int = 0
    files_total: int | None = None
    bytes_read: int = 0
    bytes_total: int | None = None
    bytes_expected: int | None = None  # about how many, while the total is not known
    bytes_stored: int = 0
    bytes_reused: int = 0
    files_unchanged: int = 0
    warnings: int = 0
    first_warnings: tuple[str, ...] = ()  # up to WARNINGS_TOLD, as "path: what"
    first_sealed_monotonic: float | None = None
    current: str = ""


class Run(Generic[Outcome]):
    """One job's supply of units. Subclasses give `next_unit`, `conclude`, and perhaps `checkpoint` and `abort`."""

    is_due_by_first_unit = False  # its deadline is for the first unit with bytes, not for its end

    def __init__(self) -> None:
        self.progress = Progress()
        self.done: Future[Outcome] = Future()
        self.in_flight = 0  # the pool's, under its lock
        self.units_ended = 0  # the pool's, under its lock
        self.priority: JobClass = "standard"  # once it was submitted `reclassify` changes it
        self.accepted_s = -math.inf  # of a clock's monotonic seconds; its deadline counts from there, while it has one
        self.cost = 0  # of the unit handed out last: bytes + 32 KiB a file; set by `next_unit`
        self._stop: Literal["", "cancel", "interrupt"] = ""
        self._error: BaseException | None = None
        self.is_over = False  # no unit will follow: it is to be ended
        self.kept: Unit | None = None  # the pool's: asked for out of turn, handed out in turn
        self._tell: Callable[[Run[Any]], None] | None = None

    # --- what subclasses give ---------------------------------------------------------------------------

    def next_unit(self, *, idle: bool) -> Unit | None:
        """The next unit; None when there is none now. `idle`: no unit is in flight, so None means the end."""
        raise NotImplementedError

    @property
    def may_be_over(self) -> bool:
        """Whether it is worth asking at once when no unit is in flight: its end then waits for nobody's turn.

        Any thread, while nobody asks for a unit. False where the answer takes long and is not likely to be the end.
        """
        return True

    @property
    def is_waiting(self) -> bool:
        """Whether it has no unit now though it is not at its end, since something outside of it has yet to come.

        No stream stands still for it; whoever knows that it has come calls `look_again`, and does so now and then.
        """
        return False

    def conclude(self, buffers: Buffers) -> Outcome:
        """All units have ended well: finish the work."""
        raise NotImplementedError

    def checkpoint(self, buffers: Buffers) -> None:
        """Keep what was done so far, because the run is interrupted. No unit is in flight."""

    def abort(self) -> None:
        """Let go of everything; called once when the run ends without `conclude` having succeeded."""

    def warning_lines(self) -> tuple[str, ...]:
        """What it has warned of so far, as `/path: what`: all that is kept of it. Any thread."""
        return self.progress.first_warnings

    # --- what callers use -------------------------------------------------------------------------------

    def cancel(self) -> None:
        """End soon, keeping only what is checkpointed; `done` raises Cancelled."""
        self._stop = "cancel"
        self._wake()

    def interrupt(self) -> None:
        """Checkpoint and end soon; `done` raises Cancelled."""
        self._stop = self._stop or "interrupt"
        self._wake()

    def reclassify(self, priority: JobClass) -> None:
        """Take turns with another class from now on. Any thread."""
        self.priority = priority
        self._wake()

    def look_again(self) -> None:
        """Ask it again for a unit, if it waits. Any thread."""
        self._wake()

    def _wake(self) -> None:
        if self._tell is not None:
            self._tell(self)

    # --- what the pool uses -----------------------------------------------------------------------------

    def attach(self, tell: Callable[[Run[Any]], None]) -> None:
        """Whom to tell that it is to stop, or of another class."""
        self._tell = tell

    def take(self, *, idle: bool) -> Unit | None:
        """The next unit; None when there is none now, or, once it `is_over`, ever."""
        if self._error is None and not self._stop:
            unit, self.kept = self.kept, None
            if unit is not None:
                return unit
            self.cost = 0
            unit = self.next_unit(idle=idle)
            if unit is not None:
                if self.is_due_by_first_unit and self.cost:
                    self.accepted_s = -math.inf  # it needs no further turn for its deadline
                return unit
        self.is_over = idle and (self.is_stopping or not self.is_waiting)
        return None

    @property
    def is_stopping(self) -> bool:
        """Whether it gives no further unit."""
        return bool(self._stop) or self._error is not None

    def fail(self, error: BaseException) -> None:
        """A unit failed: the first reason counts."""
        self._error = self._error or error

    def give_up(self, error: BaseException) -> None:
        """Let go of everything and tell whoever waits, who is told even when that fails."""
        try:
            self.abort()
        except Exception:
            _LOG.exception("a run that ended could not let go of everything")
        _let_go(error)
        self.done.set_exception(error)

    def end(self, buffers: Buffers) -> None:
        """Conclude, or let go, and tell whoever waits. Waits for the disk; no unit is in flight."""
        stop = self._stop  # one that comes from now on finds the run at its end, and nothing to checkpoint
        try:
            if self._error is not None:
                raise self._error
            if stop == "interrupt":
                self.checkpoint(buffers)
            if stop:
                raise Cancelled
            outcome = self.conclude(buffers)
        except BaseException as error:
            self.give_up(error)
        else:
            self.done.set_result(outcome)


def _let_go(error: BaseException) -> None:
    """Empty the frames that an error came through: files and descriptors of theirs would stay open as long as it is."""
    seen: BaseException | None = error
    while seen is not None:
        traceback.clear_frames(seen.__traceback__)
        seen = seen.__context__

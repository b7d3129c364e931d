"""Compressing: at the level that is set, also when that changes while streams work."""

from __future__ import annotations

from engine.base.clock import SystemClock
from engine.pipeline.pool import Buffers, Run, StreamPool, Unit

ENDED_S = 60.0


class Pressing(Run[int]):
    """Compresses the same content once; its outcome is the length."""

    length = 0

    def next_unit(self, *, idle: bool) -> Unit | None:
        """One."""
        return None if self.length else self._press

    def _press(self, buffers: Buffers) -> None:
        self.length = len(buffers.compressor.compress(b"".join(b"photo %d " % (n * n) for n in range(20_000))))

    def conclude(self, buffers: Buffers) -> int:
        """How much came out."""
        return self.length


def test_another_compression_level_holds_from_the_next_unit_on() -> None:
    """For streams that work already."""
    pool = StreamPool(1, clock=SystemClock())
    lengths = []
    for level in (1, 19, 1):
        pool.compression_level = level
        run = Pressing()
        pool.submit(run)
        lengths.append(run.done.result(ENDED_S))
    pool.close()
    assert lengths[0] == lengths[2] > lengths[1]

"""What is to come, as the scaler, the capacity model and the screens read it: quantiles of demand, step by step. Pure.

The forecaster makes it; a perfect forecast, a plain average and a dead calendar have the same shape, so whoever reads
one can be tried with all.
"""

from __future__ import annotations

import bisect
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

from engine.base.invariants import check

Basis = Literal["calendar", "no-calendar", "history too short"]


@dataclass(frozen=True, slots=True)
class Outlook:
    """Demand of each step from `begin_ns` on. `jobs[i][k]` and `size_bytes[i][k]` belong to step i and `levels[k]`.

    `levels` are quantiles, rising, as 0.025 … 0.975. `basis` says what it stands on, `note` why not on more.
    """

    begin_ns: int  # nanoseconds since 1970, of the first step
    step_ns: int
    levels: tuple[float, ...]
    jobs: Sequence[Sequence[float]]
    size_bytes: Sequence[Sequence[float]]
    booked_share: float  # of the expected weddings that the calendar already knows, 0 … 1
    basis: Basis
    note: str = ""

    def __post_init__(self) -> None:
        check(len(self.jobs) == len(self.size_bytes), "an outlook has jobs and bytes for each step")
        check(list(self.levels) == sorted(self.levels), "the quantiles of an outlook rise")

    @property
    def end_ns(self) -> int:
        """Nanoseconds since 1970, where it ends."""
        return self.begin_ns + len(self.jobs) * self.step_ns

    def jobs_at(self, when_ns: int, level: float) -> float:
        """Jobs of the step that holds `when_ns`, at a quantile; 0 outside. Between two levels: a straight line."""
        return self._at(self.jobs, when_ns, level)

    def bytes_at(self, when_ns: int, level: float) -> float:
        """Bytes of the step that holds `when_ns`, at a quantile; 0 outside."""
        return self._at(self.size_bytes, when_ns, level)

    def _at(self, rows: Sequence[Sequence[float]], when_ns: int, level: float) -> float:
        if not self.begin_ns <= when_ns < self.end_ns:
            return 0.0
        row = rows[(when_ns - self.begin_ns) // self.step_ns]
        above = bisect.bisect_left(self.levels, level)
        if above == 0:
            return float(row[0])
        if above == len(self.levels):
            return float(row[-1])
        low, high = self.levels[above - 1], self.levels[above]
        part = (level - low) / (high - low)
        return float(row[above - 1] + (row[above] - row[above - 1]) * part)

"""What ended since it was last written down, by hour, class and wedding. Pure. Engine loop only."""

from __future__ import annotations

from collections import defaultdict

from engine.contract.weddings import JobClass

HOUR_NS = 3600 * 10**9


class Gathered:
    """Jobs and bytes by hour since 1970 and class, and by wedding and hour."""

    def __init__(self) -> None:
        self.hours: defaultdict[tuple[int, JobClass], list[float]] = defaultdict(lambda: [0.0, 0.0])
        self.weddings: defaultdict[tuple[str, int], list[float]] = defaultdict(lambda: [0.0, 0.0])

    def add(self, asked_ns: int, priority: JobClass, wedding: str, size_bytes: int) -> None:
        """A job that was asked for at `asked_ns` and turned out to be of so many bytes."""
        hour = asked_ns // HOUR_NS
        for amount in (self.hours[hour, priority], self.weddings[wedding, hour]):
            amount[0] += 1.0
            amount[1] += size_bytes

"""What was used, month by month: worker-hours, gigabyte-months, recalls; counted once a second, kept in the home.

A month is one document of the journal. What is counted is what an engine of this home has seen: `counted_s` says for
how long. Engine loop only.
"""

from __future__ import annotations

import datetime as dt
from collections.abc import Iterable, Mapping

import msgspec

from engine.base.clock import Clock
from engine.contract.status import Tier, TierRow
from engine.contract.weddings import JobClass
from engine.jobs.records import Documents
from engine.operations.keeping import UsageDocument
from engine.pipeline.pool import StreamPool
from engine.scaling.cost import GB, MONTH_HOURS, Usage
from engine.storage.stores.metered import Meter

Meters = Mapping[Tier, Meter]
KEEP_EVERY_S = 300.0
MONTHS_KEPT = 36
GAP_S_MAX = 30.0  # a longer one between two rounds was a machine asleep: nothing is made up for it


class _Counting(msgspec.Struct):
    month: str
    counted_s: float
    peak_workers: int
    worker_s: dict[str, float]
    tier_byte_s: dict[Tier, float]
    read_bytes: dict[Tier, int]
    writes: int
    reads: int
    class_cost: dict[JobClass, float]


class _Moved(msgspec.Struct, frozen=True):
    """What a meter had counted at a moment."""

    read_bytes: int
    writes: int
    reads: int

    @classmethod
    def by(cls, meter: Meter) -> _Moved:
        return cls(meter.bytes_read, meter.writes, meter.reads)


class Accounts:
    """The books of one engine."""

    def __init__(self, usages: Documents[UsageDocument], pool: StreamPool, meters: Meters, clock: Clock) -> None:
        self._usages = usages
        self._pool = pool
        self._meters = meters
        self._clock = clock
        self._now_s = self._kept_s = clock.monotonic_s()
        self._served: Mapping[JobClass, float] = dict(pool.served)
        self._moved = {tier: _Moved.by(meter) for tier, meter in meters.items()}
        self._month = self._begun(month_of(clock.now_ns()))

    def round(self, tiers: Iterable[TierRow], workers: Mapping[str, int]) -> None:
        """Count what was used since the last round: the tiers as measured last, the workers that are paid, by class."""
        before_s, self._now_s = self._now_s, self._clock.monotonic_s()
        if (month := month_of(self._clock.now_ns())) != self._month.month:
            self.keep()
            self._month = self._begun(month)
        if 0 < self._now_s - before_s <= GAP_S_MAX:
            self._count(self._now_s - before_s, tiers, workers)
        self._count_work()
        if self._now_s - self._kept_s >= KEEP_EVERY_S:
            self.keep()

    def keep(self) -> None:
        """Write the month down."""
        self._kept_s = self._now_s
        if not self._month.counted_s:
            return
        self._usages.put(self._month.month, _document(self._month))
        for month, _ in sorted(self._usages.items())[:-MONTHS_KEPT]:
            self._usages.remove(month)

    def of(self, month: str) -> UsageDocument:
        """What was used in a month, as far as it was counted."""
        if month == self._month.month:
            return _document(self._month)
        return self._usages.get(month) or UsageDocument()

    def _count(self, span_s: float, tiers: Iterable[TierRow], workers: Mapping[str, int]) -> None:
        month = self._month
        month.counted_s += span_s
        month.peak_workers = max(month.peak_workers, sum(workers.values()))
        for kind, count in workers.items():
            month.worker_s[kind] = month.worker_s.get(kind, 0.0) + count * span_s
        for row in tiers:
            if row.used_bytes is not None:
                month.tier_byte_s[row.tier] = month.tier_byte_s.get(row.tier, 0.0) + row.used_bytes * span_s

    def _count_work(self) -> None:
        month, served = self._month, dict(self._pool.served)
        for name, cost in served.items():
            month.class_cost[name] = month.class_cost.get(name, 0.0) + cost - self._served.get(name, 0.0)
        self._served = served
        for tier, meter in self._meters.items():
            before, now = self._moved[tier], _Moved.by(meter)
            month.read_bytes[tier] = month.read_bytes.get(tier, 0) + now.read_bytes - before.read_bytes
            month.writes += now.writes - before.writes
            month.reads += now.reads - before.reads
            self._moved[tier] = now

    def _begun(self, month: str) -> _Counting:
        kept = self._usages.get(month) or UsageDocument()
        return _Counting(
            month,
            kept.counted_s,
            kept.peak_workers,
            dict(kept.worker_s),
            dict(kept.tier_byte_s),
            dict(kept.read_bytes),
            kept.writes,
            kept.reads,
            dict(kept.class_cost),
        )


# --- pure ---------------------------------------------------------------------------------------------


def month_of(now_ns: int) -> str:
    """`2026-06`, UTC."""
    return f"{dt.datetime.fromtimestamp(now_ns // 10**9, tz=dt.UTC):%Y-%m}"


def usage_of(document: UsageDocument) -> Usage:
    """A month's document in the units of a bill."""
    return Usage(
        worker_hours={kind: seconds / 3600 for kind, seconds in document.worker_s.items()},
        tier_gb_months={tier: seconds / GB / 3600 / MONTH_HOURS for tier, seconds in document.tier_byte_s.items()},
        read_bytes=dict(document.read_bytes),
        writes=document.writes,
        reads=document.reads,
    )


def _document(counting: _Counting) -> UsageDocument:
    return UsageDocument(
        counted_s=counting.counted_s,
        peak_workers=counting.peak_workers,
        worker_s=dict(counting.worker_s),
        tier_byte_s=dict(counting.tier_byte_s),
        read_bytes=dict(counting.read_bytes),
        writes=counting.writes,
        reads=counting.reads,
        class_cost=dict(counting.class_cost),
    )

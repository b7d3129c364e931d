"""Regions that only take additions: their objects' locks are renewed long before they end. Engine loop."""

from __future__ import annotations

import logging
from collections.abc import Sequence
from typing import Literal

from engine.base.clock import Clock
from engine.base.errors import WedSyncError
from engine.contract.regions import RegionSettings
from engine.contract.status import AlertRow
from engine.contract.tiers import TIERS
from engine.jobs.offload import Means
from engine.jobs.records import Documents
from engine.operations.keeping import LockDocument
from engine.storage.locks import Locks

TRY_AGAIN_S = 600.0
Level = Literal["warning", "critical"]
_DAY_NS = 86_400 * 10**9
_LOG = logging.getLogger(__name__)


class Locking:
    """The locks of one engine's regions. Engine loop only."""

    def __init__(self, kept: Documents[LockDocument], means: Means) -> None:
        self._kept = kept
        self._clock = means.clock
        self._offload = means.offload
        self._open: dict[str, Locks] = {}  # renewals under way, by URL
        self._problems: dict[str, str] = {}  # region → what is wrong
        self._not_before_s = 0.0

    async def round(self, regions: Sequence[RegionSettings]) -> None:
        """Renew one page of the locks that are a quarter through, if any are."""
        if self._clock.monotonic_s() < self._not_before_s:
            return
        for region in regions:
            for url in filter(None, map(region.url, TIERS)):
                if region.lock_days and url.startswith("s3://") and self._is_due(region, url):
                    await self._renew(region, url)
                    return

    def alerts(self, regions: Sequence[RegionSettings]) -> tuple[AlertRow, ...]:
        """Locks that cannot be renewed; critical once half of the time is over."""
        now_ns = self._clock.now_ns()
        rows = []
        for region in regions:
            problem = self._problems.get(region.name)
            if problem is not None:
                renewed = [self._kept.get(url) for url in filter(None, map(region.url, TIERS))]
                oldest_ns = min((found.renewed_ns if found is not None else 0 for found in renewed), default=0)
                is_late = now_ns - oldest_ns > region.lock_days * _DAY_NS // 2
                words = f"the locks in {region.name} are not renewed: {problem}"
                level: Level = "critical" if is_late else "warning"
                rows.append(_alert(f"locks-{region.name}", level, region.name, words, now_ns))
        return tuple(rows)

    def _is_due(self, region: RegionSettings, url: str) -> bool:
        kept = self._kept.get(url)
        since_ns = self._clock.now_ns() - (kept.renewed_ns if kept is not None else 0)
        return since_ns > region.lock_days * _DAY_NS // 4

    async def _renew(self, region: RegionSettings, url: str) -> None:
        try:
            locks = self._open.get(url)
            if locks is None:
                locks = await self._offload.run("locks", lambda: _checked(url, region.lock_days, self._clock))
                self._open[url] = locks
            begun_ns = self._clock.now_ns()
            if await self._offload.run("locks", locks.renew):
                self._kept.put(url, LockDocument(begun_ns))
                self._open.pop(url).close()
                self._problems.pop(region.name, None)
        except WedSyncError as error:
            _LOG.warning("the locks in %s are not renewed: %s", region.name, error.line())
            self._problems[region.name] = error.line()
            self._not_before_s = self._clock.monotonic_s() + TRY_AGAIN_S


def _checked(url: str, days: int, clock: Clock) -> Locks:
    locks = Locks(url, days, clock)
    try:
        locks.check()
    except BaseException:
        locks.close()
        raise
    return locks


def _alert(key: str, level: Level, subject: str, words: str, since_ns: int) -> AlertRow:
    return AlertRow(id=key, level=level, since_ns=since_ns, subject=subject, message=words)

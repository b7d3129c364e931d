"""Locks are renewed long before they end, and what keeps them from it is told."""

from __future__ import annotations

import asyncio
import datetime as dt

import pytest

from engine.base.clock import FakeClock
from engine.base.entropy import SystemEntropy
from engine.contract.regions import RegionSettings
from engine.jobs.journal import Journal
from engine.jobs.offload import Means, Offload
from engine.jobs.records import Documents
from engine.operations.keeping import LockDocument
from engine.operations.locking import TRY_AGAIN_S, Locking
from engine.storage.stores.open import open_store
from tests.engine.storage.test_locks import DAYS, Bucket
from tests.s3_servers import S3Server

DAY_S = 86_400.0


@pytest.mark.usefixtures("s3_keys")
async def test_locks_are_renewed_each_quarter_of_their_time_and_failures_told(weed: S3Server) -> None:
    good, bad = Bucket(weed), Bucket(weed, default_days=None)
    store = open_store(good.url, create=False)
    store.put("config/1", b"sealed")
    store.close()
    clock, offload, journal = FakeClock(), Offload(), Journal(None)
    clock.advance(3650 * DAY_S)
    means = Means(clock, SystemEntropy(), offload, lambda work: asyncio.get_running_loop().create_task(work))
    locking = Locking(Documents(journal, "locks", LockDocument), means)
    vault = RegionSettings(name="vault", hot=good.url, append_only=True, lock_days=DAYS)
    other = RegionSettings(name="other", hot=bad.url, append_only=True, lock_days=DAYS)

    def kept_for_days() -> int:
        now = dt.datetime.fromtimestamp(clock.now_ns() // 10**9, tz=dt.UTC)
        return (good.until("config/1") - now).days

    await locking.round([vault])
    assert kept_for_days() == DAYS
    clock.advance(DAYS / 5 * DAY_S)
    await locking.round([vault])
    assert kept_for_days() == DAYS - DAYS / 5
    clock.advance(DAYS / 10 * DAY_S)
    await locking.round([vault])
    assert kept_for_days() == DAYS
    assert locking.alerts([vault, other]) == ()
    await locking.round([vault, other])
    (alert,) = locking.alerts([vault, other])
    assert (alert.level, alert.subject) == ("critical", "other")
    assert "does not lock what is new" in alert.message
    clock.advance(TRY_AGAIN_S)
    await locking.round([other])  # it is asked again, and says the same
    assert len(locking.alerts([other])) == 1
    offload.close()
    journal.close()

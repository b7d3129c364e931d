"""A real engine whose jobs are held up: their class owes minutes to its limit, so what is begun stays at work."""

from __future__ import annotations

import contextlib
import datetime as dt
import os
from collections.abc import Iterator, Sequence
from pathlib import Path

from engine.contract import operations as ops
from engine.contract import steering
from engine.local import LocalEngine
from tests.engine.homes import PASSPHRASE, home_with_repository
from tests.suites.engine_handle import ANSWER_S, eventually

SPENT = "spent"  # a wedding with a backup that is done and a verification that was cancelled


@contextlib.contextmanager
def held_engine(folder: Path, weddings: Sequence[str], *, active: int) -> Iterator[LocalEngine]:
    """An engine that works on `active` jobs at once and gets nowhere with them; their card is in `folder`."""
    (folder / "card").mkdir()
    (folder / "card" / "a.raw").write_bytes(os.urandom(200_000))
    engine = LocalEngine.start(home_with_repository(folder / "home"), PASSPHRASE, streams=1)

    def ask(operation: ops.Operation) -> ops.Result:
        return engine.call(operation).result(ANSWER_S)

    def units_done(job: str) -> int:
        detail = ask(steering.ReadJob(job=job))
        assert isinstance(detail, steering.JobDetail)
        return detail.units_done

    try:
        for name in (SPENT, *weddings):
            ask(ops.AddWedding(name=name, date=dt.date(2027, 6, 20)))
        ask(ops.StartBackup(wedding=SPENT, sources=(str(folder / "card"),), wait=True))
        ask(ops.Configure(key="limits.standard", value="1KB/s"))
        ask(ops.Configure(key="engine.jobs_active_max", value=str(active)))
        assert eventually(lambda: engine.status().performance.classes[-1].limit_bytes_per_s is not None)
        debtor = ask(ops.Verify(wedding=SPENT, wait=False))
        assert isinstance(debtor, ops.JobResult)
        assert eventually(lambda: units_done(debtor.job.id) > 0)
        ask(ops.CancelJob(job=debtor.job.id))  # the class owes minutes from here on
        yield engine
    finally:
        engine.close(drain_s=0.0).result(ANSWER_S)

"""An engine on a home with many weddings in its register, and asking it many things; shared by benchmarks."""

from __future__ import annotations

import concurrent.futures
import datetime as dt
import time
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path

from engine.base.clock import SystemClock
from engine.base.entropy import SystemEntropy
from engine.contract import operations as ops
from engine.contract import steering
from engine.contract.status import JobRow
from engine.contract.weddings import Wedding
from engine.local import LocalEngine
from engine.repository.keyring import KdfCost
from engine.repository.repository import Home, Repository
from engine.repository.seen import SeenNumbers
from engine.storage.stores.open import open_store

PASSPHRASE = "benchmark"
ANSWER_S = 900.0
AT_ONCE = 200  # calls that wait for their answer


def make_home(home: Path, names: Sequence[str], config: str = "", *, url: str = "") -> None:
    """Make a home and its repository (in `url`, else in the home), with weddings of the coming two years."""
    home.mkdir()
    (home / "config.toml").write_text(config)
    store = open_store(url or f"file://{home / 'repository'}", create=True)
    around = Home(SystemClock(), SystemEntropy(), SeenNumbers(None))
    repository = Repository.create(store, PASSPHRASE, label="", home=around, cost=KdfCost(1, 64, 1))
    day = dt.datetime.now(tz=dt.UTC).date()
    repository.register.put(
        *(
            Wedding(id=repository.new_wedding_id(), name=name, date=day + dt.timedelta(days=number % 700))
            for number, name in enumerate(names)
        )
    )
    repository.close()
    store.close()


class House:
    """One engine."""

    def __init__(self, home: Path) -> None:
        self._home = home
        self.start()

    def start(self) -> None:
        """Start it, and come back when its repository is open."""
        self.engine = LocalEngine.start(self._home, PASSPHRASE)
        self.until(lambda: self.engine.status().status == "ready")

    def close(self) -> None:
        """Stop it."""
        self.engine.close(drain_s=0.0).result(ANSWER_S)

    def ask(self, operation: ops.Operation) -> ops.Result:
        """The answer."""
        return self.engine.call(operation).result(ANSWER_S)

    def ask_all(self, operations: Iterator[ops.Operation]) -> float:
        """Ask many things, some at once; seconds until all are answered."""
        begin_s = time.monotonic()
        waiting: set[concurrent.futures.Future[ops.Result]] = set()
        for operation in operations:
            waiting.add(self.engine.call(operation))
            if len(waiting) >= AT_ONCE:
                done, waiting = concurrent.futures.wait(waiting, return_when=concurrent.futures.FIRST_COMPLETED)
                for each in done:
                    each.result()
        for each in waiting:
            each.result(ANSWER_S)
        return time.monotonic() - begin_s

    def until(self, condition: Callable[[], bool]) -> float:
        """Seconds until `condition` holds."""
        begin_s = time.monotonic()
        while not condition():
            if time.monotonic() - begin_s > ANSWER_S:
                raise TimeoutError("it never came to it")
            time.sleep(0.05)
        return time.monotonic() - begin_s

    def watches(self) -> tuple[steering.WatchRow, ...]:
        """All watches."""
        listed = self.ask(steering.ListWatches())
        assert isinstance(listed, steering.WatchList)
        return listed.watches

    def settle(self) -> float:
        """Seconds until every watch has begun and nothing waits."""
        return self.until(lambda: all(row.changes_waiting == 0 and row.state != "starting" for row in self.watches()))

    def jobs(self, **asked: object) -> tuple[JobRow, ...]:
        """Jobs, by what `jobs` can be asked for."""
        page = self.ask(ops.ListJobs(**{"limit": 100_000, **asked}))  # type: ignore[arg-type]
        assert isinstance(page, ops.JobPage)
        return page.jobs

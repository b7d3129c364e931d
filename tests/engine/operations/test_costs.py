"""The books of an engine: what a month cost, shared out; and what a rate takes, once something was measured."""

from __future__ import annotations

import datetime as dt
from collections.abc import Iterator
from pathlib import Path
from typing import TypeVar

import pytest

from engine.base.clock import FakeClock
from engine.contract import costs
from engine.contract import operations as ops
from engine.contract.forecasts import DemandTaken, ImportDemand
from engine.contract.readying import CheckReadiness, ReadinessReport
from engine.contract.status import TierRow
from engine.jobs.journal import Journal
from engine.local import LocalEngine
from engine.operations.keeping import Kept
from engine.operations.usage import Accounts, usage_of
from engine.pipeline.pool import StreamPool
from tests.engine.homes import PASSPHRASE, home_with_repository
from tests.suites.engine_handle import eventually

LAST_NIGHT_OF_JUNE_NS = round(dt.datetime(2026, 6, 30, 23, 59, 50, tzinfo=dt.UTC).timestamp()) * 10**9
HOT = TierRow(tier="hot", url="memory://", used_bytes=10**12, free_bytes=None, capacity_bytes=None)
ANSWER_S = 60.0
CONFIG = """
[tiers.hot]
price_gb_month = 0.023
price_source = "a list of prices, 2026-06"
[[prices]]
key = "worker_hour"
value = 3600.0
source = "our own"
as_of = "2026-06"
[[instances]]
name = "eight"
cores = 8
price_hour = 0.4
network = "1GB/s"
source = "a list of prices"
as_of = "2026-06"
"""


def test_each_month_has_its_own_book_and_outlives_the_engine(tmp_path: Path) -> None:
    clock, journal = FakeClock(LAST_NIGHT_OF_JUNE_NS), Journal(tmp_path / "journal.db")
    pool = StreamPool(1, clock=clock)
    accounts = Accounts(Kept.of(journal).usages, pool, {}, clock)
    for _ in range(20):
        clock.advance(1.0)
        accounts.round([HOT], {"reserved": 2, "spot": 3})
    clock.advance(8 * 3600.0)  # the machine slept: nothing is made up for it
    accounts.round([HOT], {"reserved": 2, "spot": 3})
    accounts.keep()
    journal.close()
    pool.close()
    again = Kept.of(Journal(tmp_path / "journal.db"))
    june, july = again.usages.get("2026-06"), again.usages.get("2026-07")
    assert june is not None
    assert july is not None
    assert (june.counted_s, july.counted_s) == (9.0, 11.0)
    assert july.worker_s == {"reserved": 22.0, "spot": 33.0}
    assert usage_of(july).tier_gb_months["hot"] == pytest.approx(1000 * 11 / 3600 / 730)
    again.journal.close()


@pytest.fixture(scope="module")
def engine(tmp_path_factory: pytest.TempPathFactory) -> Iterator[LocalEngine]:
    """An engine that has backed up 70 MB."""
    folder = tmp_path_factory.mktemp("costs")
    home = home_with_repository(folder / "home")
    (home / "config.toml").write_text(CONFIG)
    source = folder / "source"
    source.mkdir()
    noise = bytes(range(256)) * 4096
    for number in range(70):
        (source / f"{number}.raw").write_bytes(number.to_bytes(4, "big") + noise)
    made = LocalEngine.start(home, PASSPHRASE, streams=2)
    try:
        made.call(ops.AddWedding(name="smith-jones", date=dt.date(2026, 6, 20))).result(ANSWER_S)
        backup = ops.StartBackup(wedding="smith-jones", sources=(str(source),), wait=True)
        made.call(backup).result(ANSWER_S)
        yield made
    finally:
        made.close(drain_s=0.0).result(ANSWER_S)


Answer = TypeVar("Answer", bound=ops.Result)


def asked(engine: LocalEngine, operation: ops.Operation, kind: type[Answer]) -> Answer:
    found = engine.call(operation).result(ANSWER_S)
    assert isinstance(found, kind)
    return found


def test_the_kinds_of_machine_are_ranked_by_what_was_measured(engine: LocalEngine) -> None:
    found = asked(engine, costs.PlanCapacity(rate="100TB/h"), costs.CapacityPlan)
    assert found.bytes_per_s == pytest.approx(100e12 / 3600)
    eight, own = found.nodes
    assert (eight.machine, eight.price_from) == ("eight", "a list of prices, 2026-06")
    assert eight.nodes is not None
    assert eight.nodes * eight.node_bytes_per_s >= found.bytes_per_s > (eight.nodes - 1) * eight.node_bytes_per_s
    assert eight.price_hour == pytest.approx(eight.nodes * 0.4)
    assert own.price_hour is None


def test_no_number_of_nodes_goes_past_the_limit_of_the_store(engine: LocalEngine) -> None:
    asked(engine, ops.Configure(key="limits.hot", value="1MB/s"), ops.ConfigureResult)
    try:
        found = asked(engine, costs.PlanCapacity(rate="100TB/h"), costs.CapacityPlan)
        assert {(row.nodes, row.limited_by) for row in found.nodes} == {(None, "store")}
    finally:
        asked(engine, ops.Configure(key="limits.hot", value="unset"), ops.ConfigureResult)


def test_the_whole_bill_is_shared_out_to_weddings(engine: LocalEngine) -> None:
    assert eventually(lambda: asked(engine, costs.ReadCost(), costs.CostReport).total > 0)
    whole = asked(engine, costs.ReadCost(), costs.CostReport)
    assert any(line.what == "workers, on-demand" for line in whole.lines_of_bill)
    shared = asked(engine, costs.ReadCost(by="wedding"), costs.CostReport)
    assert [line.what for line in shared.lines_of_bill] == ["smith-jones"]
    assert sum(line.amount for line in shared.lines_of_bill) == pytest.approx(shared.total)


def test_what_is_asked_just_after_the_start_has_its_forecast(engine: LocalEngine, tmp_path: Path) -> None:
    end = dt.datetime.now(dt.UTC).replace(minute=0, second=0, microsecond=0)
    rows = (f"{(end - dt.timedelta(hours=hour)).isoformat()},2,9000\n" for hour in range(24 * 600))
    (tmp_path / "history.csv").write_text("hour,jobs,bytes\n" + "".join(rows))
    asked(engine, ImportDemand(file=str(tmp_path / "history.csv")), DemandTaken)
    ahead = asked(engine, costs.ReadCost(), costs.CostReport).ahead
    assert len(ahead) >= 11
    assert "workers, on-demand 1,460.0 h × 3600" in ahead[-1].arithmetic  # both streams stand there, busy or not
    readied = asked(engine, CheckReadiness(), ReadinessReport)
    assert "nothing is forecast yet" not in [row.message for row in readied.checks if row.check == "calendar"]


def test_every_price_has_its_source_and_what_is_missing_is_named(engine: LocalEngine) -> None:
    found = asked(engine, costs.ListPrices(), costs.PriceList)
    own = {row.key: row.source for row in found.prices if row.own}
    assert own == {"worker_hour": "our own", "tiers.hot.price_gb_month": "a list of prices, 2026-06"}
    assert all(row.source and row.unit for row in found.prices)
    assert found.missing == ("requests_write", "requests_read", "worker_watts", "grid_gco2_kwh")

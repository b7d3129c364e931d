"""While weddings are near, prune and migration wait, unless a person says otherwise; readiness says how it stands."""

from __future__ import annotations

import datetime as dt
from collections.abc import Iterator

import pytest

from engine.contract import operations as ops
from engine.contract import placements, readying
from engine.contract.retention import Prune, PruneReport
from engine.local import LocalEngine
from tests.engine.homes import PASSPHRASE, home_with_repository, memory_url
from tests.engine.operations.conftest import ANSWER_S, Asking


@pytest.fixture(scope="module")
def near(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Asking]:
    """An engine with a wedding tomorrow, whatever day of the week that is."""
    folder = tmp_path_factory.mktemp("near")
    home = home_with_repository(folder / "home", url=memory_url())
    with (home / "config.toml").open("a") as config:
        config.write('[scaling]\nfreeze = ["mon..sun"]\n')
    engine = LocalEngine.start(home, PASSPHRASE, streams=1)
    made = Asking(engine, folder)
    tomorrow = dt.datetime.now(dt.UTC).date() + dt.timedelta(days=1)
    try:
        made.ask(ops.AddWedding(name="smith-jones", date=tomorrow), ops.WeddingResult)
        yield made
    finally:
        engine.close(drain_s=0.0).result(ANSWER_S)


def test_prune_and_migration_wait_and_say_until_when(near: Asking) -> None:
    assert near.ask(readying.CheckReadiness(), readying.ReadinessReport).frozen_until
    pruned = near.ask(Prune(), PruneReport)
    moved = near.ask(placements.Migrate(wedding="smith-jones"), placements.MigrationReport)
    for report in (pruned, moved):
        assert "for the weddings to be over" in report.warnings[0]
    assert pruned.weddings == ()
    assert moved.jobs == ()


def test_who_means_it_goes_on_all_the_same(near: Asking) -> None:
    assert not near.ask(Prune(anyway=True), PruneReport).warnings
    assert not near.ask(Prune(dry_run=True), PruneReport).warnings
    assert len(near.ask(placements.Migrate(wedding="smith-jones", anyway=True), placements.MigrationReport).jobs) == 1


def test_a_wedding_tomorrow_that_nothing_protects_is_no_go(near: Asking) -> None:
    found = near.ask(readying.CheckReadiness(), readying.ReadinessReport)
    assert not found.go
    assert "nothing is set to be backed up of smith-jones" in found.line
    assert [row.check for row in found.checks] == [
        "capacity", "space", "copies", "drill", "sources", "alerts", "calendar"
    ]  # fmt: skip

"""migrate and tiers: what an operator sees beforehand, what then lies where, and that everything comes back."""

from __future__ import annotations

import datetime as dt
import filecmp
import shutil
from collections.abc import Iterator
from pathlib import Path

import pytest

from engine import local
from engine.base.errors import UsageError
from engine.contract import operations as ops
from engine.contract import placements
from engine.contract.retention import HoldList, HoldWedding
from engine.operations import migrating
from tests.engine.homes import home_with_repository
from tests.engine.operations.conftest import Asking, backup_of, fresh_wedding, make_source
from tests.engine.operations.test_damage import engine_on
from tests.engine.operations.tiered import packs_in, tiered_engine, until

LONG_AGO = dt.date(2020, 6, 20)


@pytest.fixture(scope="module")
def tiered(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Asking]:
    with tiered_engine(tmp_path_factory.mktemp("tiers")) as asking:
        yield asking


def old_wedding(asking: Asking, name: str) -> str:
    """One of long ago, with a source of its own under `name`."""
    source = asking.folder / f"{name}-source"
    source.mkdir()
    (source / "dance.jpg").write_bytes(name.encode() * 9000)
    fresh_wedding(asking, name, LONG_AGO)
    asking.ask(backup_of(name, source), ops.JobResult)
    return name


def retrieved(asking: Asking, name: str) -> bool:
    """Whether the wedding comes back byte for byte."""
    to = asking.folder / f"{name}-back"
    shutil.rmtree(to, ignore_errors=True)
    source = asking.folder / f"{name}-source"
    operation = ops.RetrieveWeddingData(wedding=name, to=str(to), strip_prefix=str(source), overwrite="always")
    assert asking.ask(operation, ops.JobResult).job.state == "done"
    return filecmp.cmp(source / "dance.jpg", to / "dance.jpg", shallow=False)


def test_a_dry_run_says_what_would_move_why_and_what_it_saves(tiered: Asking) -> None:
    name = old_wedding(tiered, "dry-old")
    before = packs_in(tiered, "hot", name)
    plan = tiered.ask(placements.Migrate(wedding=name, dry_run=True), placements.MigrationPlan)
    (move,) = plan.moves
    assert (move.source, move.target, move.packs) == ("hot", "cold", 1)
    assert "from 180 on cold" in move.reason
    assert plan.saves_month == pytest.approx(move.bytes / 1e9 * 0.019)
    assert packs_in(tiered, "hot", name) == before
    assert packs_in(tiered, "cold", name) == []


def test_the_data_of_an_old_wedding_goes_cold_what_lists_it_stays_hot_and_all_of_it_comes_back(tiered: Asking) -> None:
    name = old_wedding(tiered, "old")
    report = tiered.ask(placements.Migrate(wedding=name), placements.MigrationReport)
    assert [(job.kind, job.state) for job in report.jobs] == [("migrate", "done")]
    assert (report.packs, report.left) == (1, 0)
    assert len(packs_in(tiered, "cold", name)) == 1
    assert not set(packs_in(tiered, "cold", name)) & set(packs_in(tiered, "hot", name))
    assert retrieved(tiered, name)
    again = tiered.ask(placements.Migrate(wedding=name), placements.MigrationReport)
    assert again.packs == 0
    (row,) = (row for row in tiered.ask(placements.ListTiers(wedding=name), placements.TierList).copies
              if row.place == "cold/home")  # fmt: skip
    assert row.packs == 1
    verified = tiered.ask(ops.Verify(wedding=name, all=True), ops.VerifyReport)
    assert verified.problems == ()


def test_a_wedding_that_was_just_read_stays_and_nothing_moves_of_it(tiered: Asking) -> None:
    name = old_wedding(tiered, "read")
    assert retrieved(tiered, name)
    plan = tiered.ask(placements.Migrate(wedding=name, dry_run=True), placements.MigrationPlan)
    assert plan.moves == ()
    assert plan.stays[0].reason.startswith("read on ")
    named = tiered.ask(placements.Migrate(wedding=name, tier="warm"), placements.MigrationReport)
    assert named.packs == 1
    assert packs_in(tiered, "warm", name)


def test_a_damaged_copy_gives_way_to_a_good_one_in_another_tier(tiered: Asking) -> None:
    """Moved up, the copy below stays; when the upper one rots, the file still comes back, and verify finds it sound."""
    name = old_wedding(tiered, "rotten")
    tiered.ask(placements.Migrate(wedding=name, tier="cold"), placements.MigrationReport)
    tiered.ask(placements.Migrate(wedding=name, tier="warm"), placements.MigrationReport)
    (pack,) = packs_in(tiered, "warm", name)
    assert packs_in(tiered, "cold", name) == [pack]
    (path,) = (tiered.folder / "warm").glob(f"weddings/*/packs/{pack}")
    data = bytearray(path.read_bytes())
    data[200] ^= 1
    path.write_bytes(data)
    assert retrieved(tiered, name)
    assert tiered.ask(ops.Verify(wedding=name), ops.VerifyReport).problems == ()


def test_without_a_name_each_that_is_due_moves_and_only_those(tiered: Asking) -> None:
    old, new = old_wedding(tiered, "due"), fresh_wedding(tiered, "ahead", dt.date(2126, 6, 20))
    tiered.ask(backup_of(new, tiered.folder / "due-source"), ops.JobResult)
    report = tiered.ask(placements.Migrate(), placements.MigrationReport)
    moved = {job.wedding for job in report.jobs}
    assert old in moved
    assert new not in moved
    assert packs_in(tiered, "cold", old)
    assert not packs_in(tiered, "cold", new)


def test_the_tiers_are_told_with_price_and_what_lies_in_each(tiered: Asking) -> None:
    old_wedding(tiered, "told")
    tiered.ask(placements.Migrate(wedding="told"), placements.MigrationReport)
    rows = {row.tier: row for row in tiered.ask(placements.ListTiers(), placements.TierList).tiers}
    assert list(rows) == ["hot", "warm", "cold"]
    assert rows["cold"].price_gb_month == 0.001
    assert (rows["cold"].packs or 0) >= 1
    assert (rows["hot"].packs or 0) >= 1
    assert rows["cold"].url == f"file://{tiered.folder}/cold"


def test_what_is_retrieved_from_cold_again_comes_out_of_the_cache(tiered: Asking) -> None:
    name = old_wedding(tiered, "asked-for-twice")
    tiered.ask(placements.Migrate(wedding=name), placements.MigrationReport)
    assert retrieved(tiered, name)
    (cold,) = packs_in(tiered, "cold", name)
    before = {row.tier: row for row in tiered.ask(placements.ListTiers(), placements.TierList).cached}["cold"]
    assert retrieved(tiered, name)
    after = {row.tier: row for row in tiered.ask(placements.ListTiers(), placements.TierList).cached}["cold"]
    assert after.memory_hits > before.memory_hits
    assert after.misses == before.misses >= 1
    cache = tiered.ask(ops.ReadStatus(), ops.StatusResult).document.storage.cache
    assert cache is not None
    assert 0 < cache.memory_bytes <= cache.memory_capacity_bytes
    assert cold in packs_in(tiered, "cold", name)


def test_a_copy_is_not_let_go_while_a_job_reads_the_wedding(tiered: Asking) -> None:
    name = old_wedding(tiered, "being-read")
    rows = tiered.ask(ops.ListWeddings(match=name), ops.WeddingList).weddings
    tiering = tiered.engine._life._engine.tiering
    with tiering.readers.reading(rows[0].wedding.id):
        report = tiered.ask(placements.Migrate(wedding=name), placements.MigrationReport)
    assert (report.packs, report.left) == (1, 1)
    (cold,) = packs_in(tiered, "cold", name)
    assert cold in packs_in(tiered, "hot", name)
    report = tiered.ask(placements.Migrate(wedding=name), placements.MigrationReport)
    assert (report.packs, report.left) == (1, 0)
    assert cold not in packs_in(tiered, "hot", name)


def test_a_lost_catalog_is_told_again_by_listings_at_the_next_start(tmp_path: Path) -> None:
    with tiered_engine(tmp_path) as asking:
        name = old_wedding(asking, "forgotten")
        asking.ask(placements.Migrate(wedding=name), placements.MigrationReport)
    for path in (tmp_path / "home").glob("copies.db*"):
        path.unlink()
    with tiered_engine(tmp_path) as asking:
        assert retrieved(asking, name)

        def known() -> dict[str, int]:
            rows = asking.ask(placements.ListTiers(wedding=name), placements.TierList).copies
            return {row.place: row.packs for row in rows}

        until(lambda: known().get("cold/home") == 1)  # it is listed in the background
        assert asking.ask(placements.Migrate(wedding=name), placements.MigrationReport).packs == 0


def test_one_place_asks_for_no_catalog(tmp_path: Path) -> None:
    """Neither at the start nor for a backup; a receipt remembers in it what it read."""
    with engine_on(home_with_repository(tmp_path / "home")) as alone:
        alone.ask(backup_of(fresh_wedding(alone, "smith-jones"), make_source(tmp_path / "source")), ops.JobResult)
        alone.engine._life._engine.tiering.learn()
        assert not (tmp_path / "home" / "copies.db").exists()


def test_a_tier_that_is_not_there_is_said(asking: Asking) -> None:
    with pytest.raises(UsageError, match="no warm tier"):
        asking.ask(placements.Migrate(wedding="smith-jones", tier="warm"), placements.MigrationReport)
    assert asking.ask(placements.Migrate(), placements.MigrationReport).jobs == ()


REGION = """
[[regions]]
name = "{name}"
hot = "file://{folder}/{name}/hot"
warm = "file://{folder}/{name}/warm"
"""


def test_with_regions_every_copy_at_the_target_is_read_back_and_every_other_goes(tmp_path: Path) -> None:
    names = ("london", "paris")
    home = home_with_repository(tmp_path / "home", url=f"file://{tmp_path}/london/hot")
    regions = "".join(REGION.format(name=name, folder=tmp_path) for name in names)
    (home / "config.toml").write_text(f"[replication]\ncopies = 2\n{regions}")

    for name in names:
        (tmp_path / name / "hot").mkdir(parents=True, exist_ok=True)

    def packs(tier: str, region: str) -> set[str]:
        return {path.name for path in (tmp_path / region / tier).glob("weddings/*/packs/*")}

    with engine_on(home) as asking:
        name = old_wedding(asking, "far")
        report = asking.ask(placements.Migrate(wedding=name, tier="warm"), placements.MigrationReport)
        assert (report.packs, report.left, report.jobs[0].state) == (1, 0, "done")
        (moved,) = packs("warm", "london")
        assert packs("warm", "paris") == {moved}
        assert moved not in packs("hot", "london") | packs("hot", "paris")
        assert retrieved(asking, name)


def test_moving_never_leaves_fewer_copies_than_there_must_be(tmp_path: Path) -> None:
    names = ("london", "paris")
    home = home_with_repository(tmp_path / "home", url=f"file://{tmp_path}/london/hot")
    (tmp_path / "paris" / "hot").mkdir(parents=True)
    regions = REGION.format(name="london", folder=tmp_path) + REGION.format(name="paris", folder=tmp_path).replace(
        f'warm = "file://{tmp_path}/paris/warm"\n', ""
    )
    (home / "config.toml").write_text(f"[replication]\ncopies = 2\n{regions}")
    with engine_on(home) as asking:
        name = old_wedding(asking, "scarce")
        with pytest.raises(UsageError, match="2 copies are kept of each pack"):
            asking.ask(placements.Migrate(wedding=name, tier="warm", dry_run=True), placements.MigrationPlan)
        plan = asking.ask(placements.Migrate(wedding=name, dry_run=True), placements.MigrationPlan)
        assert plan.moves == ()
        for region in names:
            assert list((tmp_path / region / "hot").glob("weddings/*/packs/*"))
        assert not list((tmp_path / "london" / "warm").glob("weddings/*/packs/*"))


def test_it_moves_by_itself_what_is_due(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(local, "SAMPLE_S", 0.02)
    with tiered_engine(tmp_path) as asking:
        name = old_wedding(asking, "by-itself")
        hot = packs_in(asking, "hot", name)
        monkeypatch.setattr(migrating, "LOOK_EVERY_S", 0.0)
        asking.engine._life._standing._migrating._next_s = 0.0
        until(lambda: bool(packs_in(asking, "cold", name)))
        asking.ask(ops.WaitForJobs(), ops.JobList)
        (cold,) = packs_in(asking, "cold", name)
        assert cold in hot
        jobs = asking.ask(ops.ListJobs(kind="migrate"), ops.JobPage).jobs
        assert [(job.wedding, job.state, job.priority) for job in jobs] == [(name, "done", "standard")]
        for _ in range(50):
            asking.ask(ops.ReadStatus(), ops.StatusResult)
        assert (
            asking.ask(ops.ListJobs(kind="migrate"), ops.JobPage).known == asking.ask(ops.ListJobs(), ops.JobPage).known
        )


def test_what_a_tier_has_no_room_for_is_not_begun_and_what_failed_not_begun_again_at_once(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(migrating, "LOOK_EVERY_S", 0.0)
    monkeypatch.setattr(local, "SAMPLE_S", 0.02)
    monkeypatch.setattr(local, "ROOM_S", 0.02)
    with tiered_engine(tmp_path, cold='capacity = "1kB"\n') as asking:
        asking.ask(placements.ListTiers(), placements.TierList)
        name = old_wedding(asking, "crowded")
        looked = asking.engine._life._standing._migrating._looked
        wedding_id = asking.ask(ops.ListWeddings(match=name), ops.WeddingList).weddings[0].wedding.id
        until(lambda: wedding_id in looked and bool(looked[wedding_id][-1]))
        asking.ask(ops.WaitForJobs(), ops.JobList)
        assert asking.ask(ops.ListJobs(kind="migrate"), ops.JobPage).jobs == ()
        assert packs_in(asking, "cold", name) == []


def test_what_is_held_moves_only_by_name(tiered: Asking) -> None:
    name = old_wedding(tiered, "held")
    tiered.ask(HoldWedding(wedding=name, reason="Smith v. Jones"), HoldList)
    plan = tiered.ask(placements.Migrate(wedding=name, dry_run=True), placements.MigrationPlan)
    assert (plan.moves, plan.stays[0].reason) == ((), "it is held")
    tiered.ask(HoldWedding(wedding=name, release=True), HoldList)
    assert tiered.ask(placements.Migrate(wedding=name, dry_run=True), placements.MigrationPlan).moves


def test_a_warm_disk_that_is_not_mounted_is_told_and_never_filled(tmp_path: Path) -> None:
    """The engine goes on without it: backups are made, an alert tells; when it is back its packs are read again."""
    source = make_source(tmp_path / "source")
    with tiered_engine(tmp_path) as asking:
        asking.ask(backup_of(fresh_wedding(asking, "away"), source), ops.JobResult)
        asking.ask(placements.Migrate(wedding="away", tier="warm"), placements.MigrationReport)
        assert packs_in(asking, "warm", "away")
    (tmp_path / "warm").rename(tmp_path / "disk")
    (tmp_path / "warm").mkdir()
    with tiered_engine(tmp_path) as asking:
        asking.ask(backup_of(fresh_wedding(asking, "meanwhile"), source), ops.JobResult)
        until(lambda: any("is not there" in alert.message for alert in asking.engine.status().alerts))
        assert list((tmp_path / "warm").iterdir()) == []
    (tmp_path / "warm").rmdir()
    (tmp_path / "disk").rename(tmp_path / "warm")
    with tiered_engine(tmp_path) as asking:
        assert asking.ask(ops.Verify(wedding="away", all=True), ops.VerifyReport).problems == ()

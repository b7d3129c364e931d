"""Packs that lie nowhere: told, counted and forgotten again; what a prune deleted is none of them."""

from __future__ import annotations

import random
import shutil
from pathlib import Path

import pytest

from engine import local
from engine.contract import copies
from engine.contract import operations as ops
from engine.contract.retention import Prune, PruneReport
from engine.contract.tiers import place_of
from engine.operations import missing, standing
from engine.pipeline import prune
from engine.repository.repository import Repository
from engine.storage.stack import Stack
from engine.storage.stores.local import LocalStore
from tests.crash import pruned
from tests.engine.operations.conftest import backup_of, fresh_wedding, make_source
from tests.engine.operations.test_damage import engine_on
from tests.engine.operations.test_regions import data_packs, home_in_regions, lost_alerts, objects_in, soon
from tests.engine.operations.tiered import tiered_engine
from tests.trees import describe
from tests.vaults import WEDDING, Bench


@pytest.fixture(autouse=True)
def _quick_rounds(monkeypatch: pytest.MonkeyPatch) -> None:
    """What an engine does each second it does here each twentieth; what it does each day, each tenth."""
    for module, name in ((local, "SAMPLE_S"), (local, "PUBLISH_S"), (standing, "HEAL_S"), (standing, "SCRUB_S")):
        monkeypatch.setattr(module, name, 0.05)
    for name in ("LOOK_AGAIN_S", "TRY_AGAIN_S"):
        monkeypatch.setattr(missing, name, 0.1)


def test_a_pack_that_is_in_no_region_is_told_until_it_is_back_or_repaired(tmp_path: Path) -> None:
    home, source = home_in_regions(tmp_path, more="[scrub]\nenabled = false\n"), make_source(tmp_path / "source")
    with engine_on(home) as asking:
        fresh_wedding(asking, "smith-jones")
        asking.ask(backup_of("smith-jones", source), ops.JobResult)
        soon(
            lambda: objects_in(tmp_path / "london") == objects_in(tmp_path / "paris") == objects_in(tmp_path / "sydney")
        )
        assert lost_alerts(asking) == []
        name = min(data_packs(tmp_path / "paris"))
        (pack,) = (tmp_path / "paris").glob(f"weddings/*/packs/{name}")
        kept = pack.read_bytes()
        for region in ("london", "paris", "sydney"):
            (gone,) = (tmp_path / region).glob(f"weddings/*/packs/{name}")
            gone.unlink()
        soon(lambda: lost_alerts(asking) != [])
        (told,) = lost_alerts(asking)
        assert (told.level, told.subject) == ("critical", "smith-jones")
        assert told.message.startswith("no good copy of 1 pack of smith-jones is left in any region; verify")
        listed = asking.ask(copies.ListCopies(wedding="smith-jones"), copies.CopyList)
        assert (listed.fewest, listed.safe, {row.missing for row in listed.places}) == (0, "", {1})
        pack.write_bytes(kept)  # it turns up again
        soon(lambda: lost_alerts(asking) == [])
        pack.unlink()
        soon(lambda: lost_alerts(asking) != [])
        assert asking.ask(ops.Repair(wedding="smith-jones"), ops.RepairReport).losses != ()
        soon(lambda: lost_alerts(asking) == [])
        assert asking.ask(backup_of("smith-jones", source), ops.JobResult).job.state == "done"
        back = ops.RetrieveWeddingData(wedding="smith-jones", to=str(tmp_path / "back"), wait=True)
        assert asking.ask(back, ops.JobResult).job.warnings == 0
        assert describe(tmp_path / "back" / source.relative_to("/")) == describe(source)


def test_a_pack_that_is_in_no_tier_is_told(tmp_path: Path) -> None:
    source = make_source(tmp_path / "source")
    with tiered_engine(tmp_path) as asking:
        fresh_wedding(asking, "smith-jones")
        asking.ask(backup_of("smith-jones", source), ops.JobResult)
        (tmp_path / "home" / "repository").glob("weddings/*/packs/*").__next__().unlink()
        soon(lambda: lost_alerts(asking) != [])
        assert lost_alerts(asking)[0].message.startswith("no good copy of 1 pack of smith-jones is left in any tier")


def test_what_another_engine_prunes_is_not_told_before_nor_while_nor_after(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    home, source = home_in_regions(tmp_path, more="[scrub]\nenabled = false\n"), make_source(tmp_path / "source")
    looks: list[frozenset[str]] = []
    find = missing.find_missing

    def counted(repository: Repository, stack: Stack, wedding_id: str) -> frozenset[str]:
        looks.append(find(repository, stack, wedding_id))
        return looks[-1]

    monkeypatch.setattr(missing, "find_missing", counted)
    monkeypatch.setattr(local, "LEASE_RENEWAL_S", 0.1)
    monkeypatch.setattr(prune, "LOOK_S", 0.05)
    with engine_on(home) as asking:
        fresh_wedding(asking, "smith-jones")
        asking.ask(backup_of("smith-jones", source), ops.JobResult)
        (source / "once.nef").write_bytes(random.Random(1).randbytes(1 << 20))
        asking.ask(backup_of("smith-jones", source), ops.JobResult)
        (source / "once.nef").unlink()
        asking.ask(backup_of("smith-jones", source), ops.JobResult)
        other = adopted(tmp_path, home)
        with engine_on(other) as pruning:
            before = data_packs(tmp_path / "london")
            pruning.ask(Prune(wedding="smith-jones", keep="last 1"), PruneReport)
            soon(lambda: data_packs(tmp_path / "london") < before)
        count = len(looks)
        soon(lambda: len(looks) > count + 1)
        assert not any(looks)
        assert lost_alerts(asking) == []


def test_what_is_pruned_between_the_index_and_the_listing_is_not_missing(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The other engine takes the one that looks for dead, so nothing holds its prune up."""
    list_places = missing._listed
    source = make_source(tmp_path / "source")
    pruned_packs: list[str] = []
    with (
        Bench(LocalStore(tmp_path / "store", create=True)) as bench,
        Bench(LocalStore(tmp_path / "store", create=False)) as other,
    ):
        bench.backup(source)
        pruned.overgrow(bench, source)
        bench.backup(source)
        stack = Stack(bench.store, {"hot": bench.store}, {place_of("hot"): bench.store})

        def listed_late(stack: Stack, wedding_id: str) -> frozenset[str]:
            before = list_places(stack, wedding_id)
            if not pruned_packs:
                pruned.run_prune(other)
                pruned_packs.extend(before - list_places(stack, wedding_id))
            return list_places(stack, wedding_id)

        monkeypatch.setattr(missing, "_listed", listed_late)
        assert missing.find_missing(bench.repository, stack, WEDDING) == frozenset()
        assert pruned_packs != []
        (tmp_path / "store" / min(list_places(stack, WEDDING))).unlink()
        assert len(missing.find_missing(bench.repository, stack, WEDDING)) == 1


def adopted(folder: Path, home: Path) -> Path:
    """Another home on the same regions."""
    other = folder / "other"
    shutil.copytree(home, other, ignore=shutil.ignore_patterns("*.sock", "*.db*", "lock*"))
    return other

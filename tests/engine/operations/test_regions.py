"""Regions in a whole engine: one goes, one comes back, and nothing is lost; who may lie where."""

from __future__ import annotations

import datetime as dt
import shutil
import time
from collections.abc import Callable
from pathlib import Path

import pytest

from engine import local
from engine.base.errors import Conflict, NotFound, UsageError
from engine.contract import copies
from engine.contract import operations as ops
from engine.contract.retention import Prune, PruneReport
from engine.contract.status import AlertRow, RegionRow, WeddingRow
from engine.operations import standing
from engine.operations.regions import is_elsewhere
from engine.repository.crypto import DATA_PACK
from engine.storage.locations import Copy, Locations
from tests.engine.homes import home_with_repository
from tests.engine.operations.conftest import Asking, backup_of, fresh_wedding, make_source
from tests.engine.operations.test_damage import engine_on, flip
from tests.trees import describe

NAMES = ("london", "paris", "sydney")
PLACES = {"london": "51.5,-0.1", "paris": "48.9,2.35", "sydney": "-33.9,151.2"}
SOON_S = 30.0


@pytest.fixture(autouse=True)
def _quick_rounds(monkeypatch: pytest.MonkeyPatch) -> None:
    """What an engine does each second it does here each twentieth."""
    for module, name in ((local, "SAMPLE_S"), (local, "PUBLISH_S"), (standing, "HEAL_S")):
        monkeypatch.setattr(module, name, 0.05)


def home_in_regions(folder: Path, names: tuple[str, ...] = NAMES, *, more: str = "") -> Path:
    """A home whose repository lies in folders, one a region; the first of them was made by itself."""
    for name in names:
        (folder / name).mkdir(parents=True)
    home = home_with_repository(folder / "home", url=f"file://{folder}/{names[0]}")
    tables = "".join(
        f'[[regions]]\nname = "{name}"\nat = "{PLACES.get(name, "")}"\nhot = "file://{folder}/{name}"\n'
        for name in names
    )
    (home / "config.toml").write_text(more + tables)
    return home


def rows(asking: Asking) -> dict[str, RegionRow]:
    """The regions as shown."""
    found = asking.engine.status().storage.replication
    return {row.region: row for row in found.regions} if found is not None else {}


def soon(holds: Callable[[], bool]) -> None:
    """Come back when something has become so."""
    until_s = time.monotonic() + SOON_S
    while not holds():
        assert time.monotonic() < until_s, "it did not come to be"
        time.sleep(0.02)


def objects_in(folder: Path) -> set[str]:
    """What a region holds, but for what comes and goes."""
    found = {str(path.relative_to(folder)) for path in folder.rglob("*") if path.is_file()}
    return {name for name in found if not name.startswith(("tmp/", "leases/", "deleted/"))}


def test_a_region_goes_and_comes_back_and_has_everything(tmp_path: Path) -> None:
    home, source = home_in_regions(tmp_path), make_source(tmp_path / "source")
    with engine_on(home) as asking:
        fresh_wedding(asking, "smith-jones")
        soon(lambda: objects_in(tmp_path / "london") == objects_in(tmp_path / "sydney") != set())
        (tmp_path / "paris").rename(tmp_path / "away")
        asking.ask(backup_of("smith-jones", source), ops.JobResult)
        soon(lambda: [name for name, row in rows(asking).items() if not row.answers] == ["paris"])
        assert any(alert.subject == "paris" for alert in asking.engine.status().alerts)
        asking.ask(ops.RetrieveWeddingData(wedding="smith-jones", to=str(tmp_path / "back"), wait=True), ops.JobResult)
        assert describe(tmp_path / "back" / source.relative_to("/")) == describe(source)
        soon(lambda: rows(asking)["paris"].owed > 0)
    (tmp_path / "away").rename(tmp_path / "paris")
    with engine_on(home) as asking:
        soon(lambda: objects_in(tmp_path / "london") == objects_in(tmp_path / "paris"))
        soon(lambda: bool(rows(asking)) and not any(row.owed for row in rows(asking).values()))
    for gone in ("london", "sydney"):
        shutil.rmtree(tmp_path / gone)
    (home / "config.toml").write_text(f'[storage]\nhot = "file://{tmp_path}/paris"\n')
    with engine_on(home) as asking:  # on its own
        assert asking.ask(ops.Verify(wedding="smith-jones", all=True), ops.VerifyReport).problems == ()


def test_a_wedding_lies_in_the_regions_it_names_and_in_no_other(tmp_path: Path) -> None:
    home, source = home_in_regions(tmp_path, (*NAMES, "tokyo")), make_source(tmp_path / "source")
    with engine_on(home) as asking:
        named = ops.AddWedding(name="smith-jones", date=dt.date(2026, 6, 20), regions=("paris", "london"))
        assert asking.ask(named, ops.WeddingResult).wedding.regions == ("london", "paris")
        asking.ask(backup_of("smith-jones", source), ops.JobResult)
        soon(lambda: objects_in(tmp_path / "london") == objects_in(tmp_path / "paris"))
        for elsewhere in ("sydney", "tokyo"):
            assert not [name for name in objects_in(tmp_path / elsewhere) if name.startswith("weddings/")]
        with pytest.raises(UsageError, match="atlantis"):
            asking.ask(ops.EditWedding(name="smith-jones", regions=("atlantis",)), ops.WeddingResult)
        with pytest.raises(UsageError, match="stands alone"):
            asking.ask(ops.EditWedding(name="smith-jones", regions=("any", "paris")), ops.WeddingResult)
        changed = asking.ask(ops.EditWedding(name="smith-jones", regions=("any",)), ops.WeddingResult)
        assert changed.wedding.regions == ()
    with engine_on(home) as asking:
        soon(lambda: any(name.startswith("weddings/") for name in objects_in(tmp_path / "sydney")))


def test_a_wedding_moves_to_another_region_by_way_of_both_and_not_at_once(tmp_path: Path) -> None:
    home = home_in_regions(tmp_path, more="[replication]\ncopies = 1\nquorum = 1\n")
    source = make_source(tmp_path / "source")
    with engine_on(home) as asking:
        added = ops.AddWedding(name="smith-jones", date=dt.date(2026, 6, 20), regions=("london",))
        asking.ask(added, ops.WeddingResult)
        asking.ask(backup_of("smith-jones", source), ops.JobResult)
        with pytest.raises(Conflict, match="lie in none of sydney"):
            asking.ask(ops.EditWedding(name="smith-jones", regions=("sydney",)), ops.WeddingResult)
        both = ops.EditWedding(name="smith-jones", regions=("london", "sydney"))
        asking.ask(both, ops.WeddingResult)
        soon(lambda: wedding_objects(tmp_path / "sydney") >= wedding_objects(tmp_path / "london") - packs(tmp_path))
    config = (home / "config.toml").read_text().replace("copies = 1", "copies = 2")
    (home / "config.toml").write_text(config)
    with engine_on(home) as asking:
        soon(lambda: wedding_objects(tmp_path / "sydney") == wedding_objects(tmp_path / "london"))
        asking.ask(ops.EditWedding(name="smith-jones", regions=("sydney",)), ops.WeddingResult)
        soon(lambda: not wedding_objects(tmp_path / "london"))
        found = asking.ask(copies.ListCopies(wedding="smith-jones"), copies.CopyList)
        assert (found.copies_wanted, found.packs_short) == (1, 0)
        asking.ask(ops.RetrieveWeddingData(wedding="smith-jones", to=str(tmp_path / "back"), wait=True), ops.JobResult)
        assert describe(tmp_path / "back" / source.relative_to("/")) == describe(source)


def wedding_objects(folder: Path) -> set[str]:
    """What a region holds of weddings."""
    return {name for name in objects_in(folder) if name.startswith("weddings/")}


def packs(folder: Path) -> set[str]:
    """The packs of any region, by name."""
    return {str(path.relative_to(path.parents[3])) for path in folder.glob("*/weddings/*/packs/*")}


def test_packs_go_to_the_regions_that_are_nearest_to_the_venue(tmp_path: Path) -> None:
    home = home_in_regions(tmp_path, ("sydney", "london", "paris"), more="[replication]\ncopies = 2\n")
    source = make_source(tmp_path / "source")
    with engine_on(home) as asking:
        added = ops.AddWedding(name="smith-jones", date=dt.date(2026, 6, 20), at="51.38,-2.36")
        asking.ask(added, ops.WeddingResult)
        asking.ask(backup_of("smith-jones", source), ops.JobResult)
        soon(lambda: data_packs(tmp_path / "london") == data_packs(tmp_path / "paris") != set())
        assert data_packs(tmp_path / "sydney") == set()


def data_packs(folder: Path) -> set[str]:
    """The packs of data in a region."""
    return {path.name for path in folder.glob("weddings/*/packs/*") if path.read_bytes()[5] == DATA_PACK}


def test_the_scrub_finds_a_bad_copy_and_it_is_healed_from_a_good_one(tmp_path: Path) -> None:
    home, source = home_in_regions(tmp_path, more='[scrub]\nevery = "1s"\n'), make_source(tmp_path / "source")
    with engine_on(home) as asking:
        fresh_wedding(asking, "smith-jones")
        asking.ask(backup_of("smith-jones", source), ops.JobResult)
        soon(lambda: data_packs(tmp_path / "paris") == data_packs(tmp_path / "london") != set())
        (pack,) = (tmp_path / "paris").glob(f"weddings/*/packs/{min(data_packs(tmp_path / 'paris'))}")
        before = pack.read_bytes()
        flip(pack)
        soon(lambda: pack.exists() and pack.read_bytes() == before)
        soon(lambda: (scrub := asking.engine.status().storage.scrub) is not None and scrub.bad_found >= 1)
        asking.ask(ops.RetrieveWeddingData(wedding="smith-jones", to=str(tmp_path / "back"), wait=True), ops.JobResult)


def test_a_bad_copy_in_a_region_that_only_adds_is_not_counted_as_safe_where_no_other_region_is_free(
    tmp_path: Path,
) -> None:
    home = home_in_regions(tmp_path, more='[scrub]\nevery = "1s"\n')
    config = (home / "config.toml").read_text()
    (home / "config.toml").write_text(
        config.replace(f'{tmp_path}/paris"\n', f'{tmp_path}/paris"\nappend_only = true\n')
    )
    source = make_source(tmp_path / "source")

    def row(asking: Asking) -> WeddingRow:
        soon(lambda: any(each.name == "smith-jones" for each in asking.engine.status().weddings))
        return next(each for each in asking.engine.status().weddings if each.name == "smith-jones")

    with engine_on(home) as asking:
        fresh_wedding(asking, "smith-jones")
        asking.ask(backup_of("smith-jones", source), ops.JobResult)
        soon(lambda: row(asking).safe_since_ns is not None)
        (pack,) = (tmp_path / "paris").glob(f"weddings/*/packs/{min(data_packs(tmp_path / 'paris'))}")
        flip(pack)
        soon(lambda: row(asking).safe_since_ns is None and row(asking).copies_owed > 0)
        soon(lambda: any(each.id == "short" for each in asking.engine.status().alerts))
    with engine_on(home) as asking:
        soon(lambda: any(each.id == "short" for each in asking.engine.status().alerts))
        assert row(asking).safe_since_ns is None


def test_a_bad_copy_in_a_region_that_only_adds_is_made_up_for_in_a_free_one(tmp_path: Path) -> None:
    home = home_in_regions(tmp_path, (*NAMES, "tokyo"), more='[scrub]\nevery = "1s"\n')
    config = (home / "config.toml").read_text()
    (home / "config.toml").write_text(
        config.replace(f'{tmp_path}/paris"\n', f'{tmp_path}/paris"\nappend_only = true\n')
    )
    source = make_source(tmp_path / "source")
    with engine_on(home) as asking:
        fresh_wedding(asking, "smith-jones")
        asking.ask(backup_of("smith-jones", source), ops.JobResult)
        soon(lambda: data_packs(tmp_path / "paris") == data_packs(tmp_path / "london") != set())
        name = min(data_packs(tmp_path / "paris"))
        assert name not in data_packs(tmp_path / "tokyo")
        (pack,) = (tmp_path / "paris").glob(f"weddings/*/packs/{name}")
        flip(pack)
        soon(lambda: name in data_packs(tmp_path / "tokyo"))
        soon(lambda: any(each.id == "bad-paris" for each in asking.engine.status().alerts))
        told = next(each for each in asking.engine.status().alerts if each.id == "bad-paris")
        assert told.message.startswith("1 damaged copy in paris, which only adds: never read again")


def lost_alerts(asking: Asking) -> list[AlertRow]:
    """What is told of packs that no good copy is left of."""
    return [each for each in asking.engine.status().alerts if each.id.startswith("lost-")]


def test_a_pack_without_any_good_copy_is_told_until_it_is_pruned(tmp_path: Path) -> None:
    home, source = home_in_regions(tmp_path, more="[scrub]\nenabled = false\n"), make_source(tmp_path / "source")
    with engine_on(home) as asking:
        fresh_wedding(asking, "smith-jones")
        asking.ask(backup_of("smith-jones", source), ops.JobResult)
        soon(
            lambda: data_packs(tmp_path / "paris") == data_packs(tmp_path / "london") == data_packs(tmp_path / "sydney")
        )
        name = min(data_packs(tmp_path / "paris"))
        for region in NAMES:
            (pack,) = (tmp_path / region).glob(f"weddings/*/packs/{name}")
            flip(pack, 60)
        assert asking.ask(ops.Verify(wedding="smith-jones", all=True), ops.VerifyReport).problems != ()
        soon(lambda: lost_alerts(asking) != [])
        (told,) = lost_alerts(asking)
        assert (told.level, told.subject) == ("critical", "smith-jones")
        assert told.message.startswith(
            "no good copy of 1 pack of smith-jones is left in any region; verify smith-jones"
        )
        assert not [each for each in asking.engine.status().alerts if "healed from others" in each.message]
    with engine_on(home) as asking:
        soon(lambda: [each.message for each in lost_alerts(asking)] == [told.message])
        again = asking.ask(backup_of("smith-jones", source), ops.JobResult).job
        assert again.state == "done"
        back = ops.RetrieveWeddingData(wedding="smith-jones", to=str(tmp_path / "back"), wait=True)
        assert asking.ask(back, ops.JobResult).job.warnings == 0
        assert describe(tmp_path / "back" / source.relative_to("/")) == describe(source)
        asking.ask(Prune(wedding="smith-jones", keep="last 1"), PruneReport)
        soon(lambda: lost_alerts(asking) == [])


@pytest.mark.parametrize(
    ("copy", "holds"),
    [
        (Copy("cold/london", 4096), True),
        (Copy("hot/paris", 4096), False),  # what the healers of its own tier say counts
        (Copy("cold/london", 4096, "bad"), False),
        (Copy("cold/given-up", 4096), False),
    ],
)
def test_a_good_copy_in_another_tier_keeps_a_pack_from_being_lost(copy: Copy, holds: bool) -> None:
    name = f"weddings/{'0f' * 16}/packs/{'5a' * 32}"
    locations = Locations(None)
    try:
        locations.record(name, Copy("hot/london", 4096, "bad"), copy)
        assert is_elsewhere(name, "hot", {"hot/london", "hot/paris", "cold/london"}, locations) == holds
    finally:
        locations.close()


@pytest.mark.parametrize("look", ["retrieve", "verify", "repair"])
def test_a_copy_that_is_spoilt_costs_nothing_and_is_healed(tmp_path: Path, look: str) -> None:
    home, source = home_in_regions(tmp_path, more="[scrub]\nenabled = false\n"), make_source(tmp_path / "source")
    with engine_on(home) as asking:
        fresh_wedding(asking, "smith-jones")
        asking.ask(backup_of("smith-jones", source), ops.JobResult)
        soon(lambda: objects_in(tmp_path / "paris") == objects_in(tmp_path / "london"))
        packs = sorted((tmp_path / "london").glob("weddings/*/packs/*"))
        before = [pack.read_bytes() for pack in packs]
        for pack in packs:
            flip(pack, 60)  # in its first blob
        if look == "retrieve":
            back = ops.RetrieveWeddingData(wedding="smith-jones", to=str(tmp_path / "back"), wait=True)
            assert asking.ask(back, ops.JobResult).job.warnings == 0
            assert describe(tmp_path / "back" / source.relative_to("/")) == describe(source)
        elif look == "verify":
            report = asking.ask(ops.Verify(wedding="smith-jones", all=True), ops.VerifyReport)
            assert report.problems == ()
            assert len(report.warnings) == len(packs)
        else:
            repaired = asking.ask(ops.Repair(wedding="smith-jones", all=True), ops.RepairReport)
            assert (repaired.packs_dropped, repaired.losses) == (0, ())
        soon(lambda: all(pack.exists() for pack in packs) and [pack.read_bytes() for pack in packs] == before)


def test_init_makes_the_store_of_each_region_that_is_named(tmp_path: Path) -> None:
    home = tmp_path / "home"
    home.mkdir()
    (home / "config.toml").write_text(
        "".join(f'[[regions]]\nname = "{name}"\nhot = "file://{tmp_path}/{name}"\n' for name in NAMES)
    )
    source = make_source(tmp_path / "source")
    with engine_on(home) as asking:
        with pytest.raises(NotFound, match="there is no repository yet"):
            asking.ask(ops.ListSnapshots(wedding="smith-jones"), ops.SnapshotList)
        asking.ask(ops.InitRepository(), ops.RepositoryInfo)
        fresh_wedding(asking, "smith-jones")
        asking.ask(backup_of("smith-jones", source), ops.JobResult)
        soon(lambda: objects_in(tmp_path / "london") == objects_in(tmp_path / "sydney") != set())
    with engine_on(home) as asking:  # which has counted nothing yet
        assert asking.ask(copies.ListCopies(wedding="smith-jones"), copies.CopyList).committed != ""
        assert len(asking.ask(ops.ListSnapshots(wedding="smith-jones"), ops.SnapshotList).snapshots) == 1


def test_a_wedding_is_committed_then_safe_and_its_copies_are_listed(tmp_path: Path) -> None:
    home, source = home_in_regions(tmp_path), make_source(tmp_path / "source")
    with engine_on(home) as asking:
        asking.ask(ops.AddWedding(name="smith-jones", date=dt.date(2026, 6, 20), at="51.38,-2.36"), ops.WeddingResult)
        (tmp_path / "paris").rename(tmp_path / "away")
        asking.ask(backup_of("smith-jones", source), ops.JobResult)
        soon(lambda: (row := rows(asking).get("paris")) is not None and row.owed > 0 and not row.answers)
        listed = asking.ask(copies.ListCopies(wedding="smith-jones"), copies.CopyList)
        assert (listed.copies_wanted, listed.fewest, listed.packs_short, listed.safe) == (3, 2, listed.packs, "")
        assert listed.committed
        by_place = {row.place: row for row in listed.places}
        assert by_place["hot/paris"].packs == 0
        assert by_place["hot/paris"].missing >= listed.packs
        assert (by_place["hot/london"].packs, by_place["hot/london"].distance_km) == (listed.packs, 157)
        (before,) = asking.ask(ops.ListSnapshots(wedding="smith-jones"), ops.SnapshotList).snapshots
        assert before.committed
        assert before.safe == ""
        row = next(each for each in asking.engine.status().weddings if each.name == "smith-jones")
        assert row.copies_owed > 0
        assert row.safe_since_ns is None
    (tmp_path / "away").rename(tmp_path / "paris")
    with engine_on(home) as asking:
        soon(lambda: bool(rows(asking)) and not any(row.owed for row in rows(asking).values()))
        asking.ask(backup_of("smith-jones", source), ops.JobResult)
        soon(lambda: asking.ask(copies.ListCopies(wedding="smith-jones"), copies.CopyList).safe != "")
        listed = asking.ask(copies.ListCopies(wedding="smith-jones"), copies.CopyList)
        assert (listed.fewest, listed.packs_short) == (3, 0)
        assert all(
            each.safe for each in asking.ask(ops.ListSnapshots(wedding="smith-jones"), ops.SnapshotList).snapshots
        )


def test_a_region_that_was_given_up_has_no_copies(tmp_path: Path) -> None:
    home, source = home_in_regions(tmp_path, more="[replication]\ncopies = 3\n"), make_source(tmp_path / "source")
    with engine_on(home) as asking:
        fresh_wedding(asking, "smith-jones")
        asking.ask(backup_of("smith-jones", source), ops.JobResult)
        soon(lambda: asking.ask(copies.ListCopies(wedding="smith-jones"), copies.CopyList).fewest == 3)
    config = (home / "config.toml").read_text()
    (home / "config.toml").write_text(config[: config.rindex("[[regions]]")])
    with engine_on(home) as asking:
        listed = asking.ask(copies.ListCopies(wedding="smith-jones"), copies.CopyList)
        assert listed.fewest == 2
        assert [row.place for row in listed.places] == ["hot/london", "hot/paris"]


@pytest.mark.parametrize(("count", "named"), [(1, "1 region is named"), (2, "2 regions are named"), (3, "")])
def test_more_copies_than_there_are_regions_are_told(tmp_path: Path, count: int, named: str) -> None:
    """Three are wanted where nobody says otherwise."""
    with engine_on(home_in_regions(tmp_path, NAMES[:count])) as asking:
        soon(lambda: len(rows(asking)) == count)
        told = [each for each in asking.engine.status().alerts if each.id == "copies"]
        assert [(each.level, each.subject) for each in told] == ([("warning", "copies")] if named else [])
        assert all(
            each.message == f"replication.copies is 3, and {named}: no pack has more copies than that; "
            f"name another region in config.toml, or set replication.copies to {count}"
            for each in told
        )

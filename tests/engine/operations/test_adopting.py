"""recover --from: one store or several, of one repository and no other, and what they do not hold is said."""

from __future__ import annotations

import datetime as dt
import shutil
from pathlib import Path

import pytest

from engine.base.errors import NotFound, UsageError
from engine.contract import operations as ops
from engine.contract.placements import Migrate, MigrationReport
from engine.contract.recovery import Incomplete, Recover, Recovery
from engine.operations.adopting import Sources, parsed
from engine.storage.known import MARKER
from tests.engine.homes import home_with_repository
from tests.engine.operations.conftest import Asking, backup_of, fresh_wedding, make_source
from tests.engine.operations.test_damage import engine_on
from tests.engine.operations.test_regions import PLACES, data_packs, objects_in, soon
from tests.engine.operations.tiered import tiered_engine

SMITH = "smith-jones"


@pytest.mark.parametrize(
    ("given", "found"),
    [
        (["file:///a"], Sources("file:///a", {}, {})),
        (["s3://b/c?endpoint=https://d"], Sources("s3://b/c?endpoint=https://d", {}, {})),
        (["file:///a", "warm=file:///w"], Sources("file:///a", {}, {"warm": "file:///w"})),
        (["rome=file:///r", "oslo=s3://o?x=y"], Sources("", {"rome": "file:///r", "oslo": "s3://o?x=y"}, {})),
    ],
)
def test_sources_are_read_as_people_write_them(given: list[str], found: Sources) -> None:
    assert parsed(given) == found


@pytest.mark.parametrize(
    "given",
    [["file:///a", "file:///b"], ["rome=file:///a", "rome=file:///b"], ["warm=file:///w"],
     ["rome=file:///a", "file:///b"], ["rome=file:///a", "oslo=file:///b", "warm=file:///w"]],
)  # fmt: skip
def test_sources_that_say_too_little_are_refused(given: list[str]) -> None:
    with pytest.raises(UsageError):
        parsed(given)


def _lost_machine(folder: Path) -> None:
    """Three regions, two of which have the packs of smith-jones; the home is gone."""
    home = folder / "home"
    for name in ("home", *PLACES):
        (folder / name).mkdir()
    tables = (
        f'[[regions]]\nname = "{name}"\nat = "{PLACES[name]}"\nhot = "file://{folder}/{name}"\n' for name in PLACES
    )
    (home / "config.toml").write_text("[replication]\ncopies = 2\n" + "".join(reversed(list(tables))))
    with engine_on(home) as asking:
        asking.ask(ops.InitRepository(), ops.RepositoryInfo)
        asking.ask(ops.AddWedding(name=SMITH, date=dt.date(2026, 6, 20), at="51.38,-2.36"), ops.WeddingResult)
        asking.ask(backup_of(SMITH, make_source(folder / "source")), ops.JobResult)
        soon(lambda: data_packs(folder / "london") == data_packs(folder / "paris") != set())
        soon(lambda: len({frozenset(_but_data(folder / name)) for name in PLACES}) == 1)
    shutil.rmtree(home)


def _but_data(region: Path) -> set[str]:
    """What every region has."""
    return {name for name in objects_in(region) if "/packs/" not in name and MARKER not in name}


def _recover(asking: Asking, *sources: str) -> Recovery:
    return asking.ask(Recover(sources=sources), Recovery)


def test_what_one_region_alone_lacks_is_said(tmp_path: Path) -> None:
    _lost_machine(tmp_path)
    with engine_on(tmp_path / "alone") as asking:
        told = _recover(asking, f"file://{tmp_path}/sydney")
        assert [(row.name, row.packs_missing > 0) for row in told.incomplete] == [(SMITH, True)]
        assert any("in none of these stores; name the others" in line for line in told.warnings)


def test_several_regions_are_recovered_as_regions(tmp_path: Path) -> None:
    """With nothing missing where all are named; with copies short where one is not; and the files come back."""
    _lost_machine(tmp_path)
    with engine_on(tmp_path / "two") as asking:
        told = _recover(asking, f"sydney=file://{tmp_path}/sydney", f"paris=file://{tmp_path}/paris")
        (row,) = told.incomplete
        assert (row.packs_missing, row.packs_short > 0) == (0, True)
    with engine_on(tmp_path / "all") as asking:
        told = _recover(asking, *(f"{name}=file://{tmp_path}/{name}" for name in ("sydney", "london", "paris")))
        soon(lambda: asking.engine.status().storage.replication is not None)
        asking.ask(ops.RetrieveWeddingData(wedding=SMITH, to=str(tmp_path / "back"), wait=True), ops.JobResult)
    assert list((tmp_path / "back").rglob("first dance.jpg"))
    with engine_on(tmp_path / "all") as asking:  # config.toml names them from now on
        assert asking.ask(ops.Verify(wedding=SMITH, copies=True), ops.VerifyReport).problems == ()


def test_two_repositories_are_never_taken_for_regions_of_one(tmp_path: Path) -> None:
    """Healing would write one over the other. Nothing is written, neither there nor in the home."""
    for name in ("one", "other"):
        home_with_repository(tmp_path / name, url=f"file://{tmp_path}/{name}-store")
    (tmp_path / "none").mkdir()
    before = {path: path.read_bytes() for path in tmp_path.glob("*-store/**/*") if path.is_file()}
    with engine_on(tmp_path / "new") as asking:
        with pytest.raises(UsageError, match="oslo holds another repository than rome"):
            _recover(asking, f"rome=file://{tmp_path}/one-store", f"oslo=file://{tmp_path}/other-store")
        with pytest.raises(NotFound, match="no repository in the store of oslo"):
            _recover(asking, f"rome=file://{tmp_path}/one-store", f"oslo=file://{tmp_path}/none")
    assert {path: path.read_bytes() for path in tmp_path.glob("*-store/**/*") if path.is_file()} == before
    assert not (tmp_path / "new" / "config.toml").exists()


def test_a_warm_store_that_is_not_named_is_missed(tmp_path: Path) -> None:
    with tiered_engine(tmp_path) as asking:
        asking.ask(backup_of(fresh_wedding(asking, SMITH), make_source(tmp_path / "source")), ops.JobResult)
        asking.ask(Migrate(wedding=SMITH, tier="warm"), MigrationReport)
    hot = f"file://{tmp_path}/home/repository"
    with engine_on(tmp_path / "without") as asking:
        (row,) = _recover(asking, hot).incomplete
        assert row == Incomplete(name=SMITH, packs=row.packs, packs_missing=1, packs_short=0)
    with engine_on(tmp_path / "with") as asking:
        assert _recover(asking, hot, f"warm=file://{tmp_path}/warm").incomplete == ()
        assert asking.ask(ops.Verify(wedding=SMITH, all=True), ops.VerifyReport).problems == ()

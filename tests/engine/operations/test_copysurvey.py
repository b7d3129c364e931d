"""verify --copies: each copy of each pack is read where it lies, and what is wrong with one is found and healed."""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path

import pytest

from engine.base.errors import IntegrityError, UsageError
from engine.contract import copies
from engine.contract import operations as ops
from tests.engine.operations.conftest import Asking, backup_of, fresh_wedding, make_source
from tests.engine.operations.test_damage import engine_on, flip
from tests.engine.operations.test_regions import NAMES, home_in_regions, soon

SMITH = "smith-jones"


@pytest.fixture
def three(tmp_path: Path) -> Iterator[Asking]:
    """A wedding with three copies of everything, and no scrub that would look at them first."""
    with engine_on(home_in_regions(tmp_path, more="[scrub]\nenabled = false\n")) as asking:
        wedding = fresh_wedding(asking, SMITH)
        asking.ask(backup_of(wedding, make_source(tmp_path / "source")), ops.JobResult)
        soon(lambda: len({tuple(packs(tmp_path, name)) for name in NAMES}) == 1)
        yield asking


def packs(folder: Path, region: str) -> list[str]:
    """The packs in a region, by their paths below it."""
    root = folder / region
    return sorted(str(path.relative_to(root)) for path in root.glob("weddings/*/packs/*"))


def verify_copies(asking: Asking) -> ops.VerifyReport:
    return asking.ask(ops.Verify(wedding=SMITH, copies=True), ops.VerifyReport)


def test_every_copy_is_read_where_it_lies_and_that_is_remembered(three: Asking, tmp_path: Path) -> None:
    count = len(packs(tmp_path, "paris"))
    report = verify_copies(three)
    assert (report.packs, report.copies, report.problems, report.warnings) == (count, 3 * count, (), ())
    assert report.bytes_checked == sum(
        (tmp_path / name / pack).stat().st_size for name in NAMES for pack in packs(tmp_path, name)
    )
    listed = three.ask(copies.ListCopies(wedding=SMITH), copies.CopyList)
    assert all(row.never_verified == 0 and row.verified for row in listed.places)


def test_a_copy_that_rotted_unseen_is_found_and_healed(three: Asking, tmp_path: Path) -> None:
    """Its size and times are as they were; a missing one beside it is found as well."""
    verify_copies(three)
    (first, *_), (*_, last) = packs(tmp_path, "sydney"), packs(tmp_path, "paris")
    rotten, gone = tmp_path / "sydney" / first, tmp_path / "paris" / last
    stood = rotten.stat()
    flip(rotten)
    os.utime(rotten, ns=(stood.st_atime_ns, stood.st_mtime_ns))
    gone.unlink()
    report = verify_copies(three)
    told = "\n".join(report.warnings)
    assert report.problems == ()
    assert "bad in hot/sydney" in told
    assert "missing in hot/paris" in told
    soon(
        lambda: gone.exists() and rotten.exists() and rotten.read_bytes() == (tmp_path / "london" / first).read_bytes()
    )


def test_a_pack_without_a_good_copy_is_a_problem(three: Asking, tmp_path: Path) -> None:
    (first, *_) = packs(tmp_path, "london")
    for name in NAMES:
        flip(tmp_path / name / first)
    report = verify_copies(three)
    assert any(first in problem for problem in report.problems)
    assert report.job.code == IntegrityError("").code


def test_a_region_that_is_away_is_told(three: Asking, tmp_path: Path) -> None:
    (tmp_path / "paris").rename(tmp_path / "away")
    try:
        report = verify_copies(three)
    finally:
        (tmp_path / "away").rename(tmp_path / "paris")
    assert report.copies == 2 * report.packs
    assert any(line.startswith("hot/paris was not read") for line in report.warnings)
    assert any("with fewer than 3 good copies" in line for line in report.warnings)


def test_files_and_copies_are_two_questions(asking: Asking) -> None:
    with pytest.raises(UsageError, match="--copies every copy"):
        asking.ask(ops.Verify(wedding=SMITH, all=True, copies=True), ops.VerifyReport)

"""analyze --photos: what an operator is told of photographs that look alike."""

from __future__ import annotations

import shutil
import sys
from pathlib import Path

import pytest

from engine.base.errors import NotFound
from engine.contract import operations as ops
from engine.contract.photos import AnalyzePhotos, PhotoReport
from engine.pipeline import lookalikes
from tests.engine.operations.conftest import Asking, backup_of, fresh_wedding
from tests.engine.pipeline.test_pictures import encoded, scene


@pytest.fixture(scope="module")
def wedding(asking: Asking, tmp_path_factory: pytest.TempPathFactory) -> str:
    """Two scenes in several dresses, one alone, a copy, a blank, a bomb of a file, damage, a raw file."""
    source = tmp_path_factory.mktemp("photos")
    (source / "a.jpg").write_bytes(encoded(scene(1), quality=92))
    (source / "a-small.jpg").write_bytes(encoded(scene(1).resize((180, 120))))
    (source / "a.png").write_bytes(encoded(scene(1), "PNG"))
    (source / "b.JPG").write_bytes(encoded(scene(2)))
    (source / "b-web.webp").write_bytes(encoded(scene(2), "WEBP"))
    (source / "alone.jpg").write_bytes(encoded(scene(3)))
    shutil.copy(source / "a.jpg", source / "a copy.jpg")
    (source / "cap.jpg").write_bytes(encoded(scene(4).point(lambda _: 7)))
    (source / "cut.jpg").write_bytes(encoded(scene(5))[:1000])
    (source / "IMG_1.CR3").write_bytes(b"raw" * 1000)
    name = fresh_wedding(asking, "photographed")
    asking.ask(backup_of(name, source), ops.JobResult)
    return name


def test_what_looks_alike_is_told_in_groups(asking: Asking, wedding: str) -> None:
    """With every file of it, also those that are the same to the last byte; the rest is counted."""
    before = asking.ask(ops.ListSnapshots(wedding=wedding), ops.SnapshotList)
    report = asking.ask(AnalyzePhotos(photos=wedding), PhotoReport)
    names = [[Path(path).name for path in group.paths] for group in report.groups]
    assert sorted(map(sorted, names)) == [
        ["a copy.jpg", "a-small.jpg", "a.jpg", "a.png"], ["b-web.webp", "b.JPG"],
    ]  # fmt: skip
    assert (report.photographs, report.alike, report.groups_total, report.same_files) == (6, 5, 2, 1)
    assert (report.damaged, report.refused, report.blank, report.passed_over) == (1, 0, 1, 1)
    assert report.groups[0].size_bytes >= report.groups[1].size_bytes
    assert asking.ask(ops.ListSnapshots(wedding=wedding), ops.SnapshotList) == before


def test_a_distance_of_nothing_asks_for_the_same_hash(asking: Asking, wedding: str) -> None:
    strict = asking.ask(AnalyzePhotos(photos=wedding, distance=0), PhotoReport)
    loose = asking.ask(AnalyzePhotos(photos=wedding, distance=16), PhotoReport)
    assert strict.alike <= loose.alike


def test_a_file_that_is_too_large_is_refused(asking: Asking, wedding: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(lookalikes, "FILE_BYTES_MAX", 1000)
    assert asking.ask(AnalyzePhotos(photos=wedding), PhotoReport).refused > 0


def test_more_photographs_than_are_looked_at_fail_the_job(
    asking: Asking, wedding: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(lookalikes, "PHOTOGRAPHS_MAX", 3)
    result = asking.ask(AnalyzePhotos(photos=wedding), ops.JobResult)
    assert (result.job.state, result.job.code) == ("failed", "limit-reached")


def test_without_the_extra_nothing_is_begun(asking: Asking, wedding: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "imagehash", None)
    with pytest.raises(NotFound, match="needs the extra photos"):
        asking.ask(AnalyzePhotos(photos=wedding), PhotoReport)

"""drill: what an operator is told, and that nothing of it stays behind."""

from __future__ import annotations

import shutil

import pytest

from engine.base.errors import UsageError
from engine.contract import drills
from engine.contract import operations as ops
from tests.engine.operations.conftest import Asking, backup_of, fresh_wedding, make_source


def test_a_drill_tells_what_came_back_and_leaves_nothing_behind(asking: Asking) -> None:
    wedding, scratch = fresh_wedding(asking, "drilled"), asking.folder / "new-disk"
    scratch.mkdir()
    source = make_source(asking.folder / "drill-source")
    asking.ask(backup_of(wedding, source), ops.JobResult)
    report = asking.ask(drills.Drill(wedding=wedding, files=3, to=str(scratch)), drills.DrillReport)
    assert (report.job.state, report.job.kind, report.problems) == ("done", "drill", ())
    assert report.files == report.compared_with_source == 3
    assert report.job.message.startswith("3 files, ")
    assert list(scratch.iterdir()) == []
    assert [path for path in (asking.folder / "home").iterdir() if path.name.startswith("drill")] == []


def test_a_pack_that_is_gone_fails_the_drill(asking: Asking) -> None:
    wedding, source = fresh_wedding(asking, "drill-lost"), make_source(asking.folder / "drill-lost-source")
    asking.ask(backup_of(wedding, source), ops.JobResult)
    rows = asking.ask(ops.ListWeddings(match=wedding), ops.WeddingList).weddings
    for pack in (asking.folder / "home" / "repository" / "weddings" / rows[0].wedding.id).glob("packs/*"):
        pack.unlink()
    result = asking.ask(drills.Drill(wedding=wedding), ops.JobResult)
    assert (result.job.state, result.job.code) == ("failed", "integrity")


def test_a_sample_that_would_crowd_the_disk_is_refused(asking: Asking, monkeypatch: pytest.MonkeyPatch) -> None:
    usage = shutil.disk_usage(asking.folder)
    monkeypatch.setattr(shutil, "disk_usage", lambda _: usage._replace(free=1000))
    result = asking.ask(drills.Drill(wedding="smith-jones"), ops.JobResult)
    assert (result.job.state, result.job.code) == ("failed", "limit-reached")
    assert "has 1.00 kB free" in result.job.message
    assert [path for path in (asking.folder / "home").iterdir() if path.name.startswith("drill")] == []


def test_no_files_are_no_drill(asking: Asking) -> None:
    with pytest.raises(UsageError, match="at least one"):
        asking.ask(drills.Drill(wedding="smith-jones", files=0), drills.DrillReport)

"""verify: a clean wedding, and one with a flipped bit."""

from __future__ import annotations

from pathlib import Path

from engine.contract import operations as ops
from tests.engine.operations.conftest import Asking, backup_of, fresh_wedding, make_source


def test_a_clean_wedding_has_no_problems_and_its_files_are_counted(asking: Asking) -> None:
    report = asking.ask(ops.Verify(wedding="smith-jones", all=True), ops.VerifyReport)
    assert (report.job.state, report.problems, report.files) == ("done", (), 5)
    assert report.snapshots >= 1


def test_without_wait_the_job_comes_back_at_once(asking: Asking) -> None:
    job = asking.ask(ops.Verify(wedding="smith-jones", wait=False), ops.JobResult).job
    (row,) = asking.ask(ops.WaitForJobs(job=job.id), ops.JobList).jobs
    assert row.state == "done"


def test_a_flipped_bit_is_told_in_the_report_and_fails_the_job(asking: Asking) -> None:
    wedding = fresh_wedding(asking, "damaged")
    asking.ask(backup_of(wedding, make_source(asking.folder / "damage-source")), ops.JobResult)
    largest = max((path for path in _folder_of(asking, wedding).glob("packs/*")), key=lambda path: path.stat().st_size)
    data = bytearray(largest.read_bytes())
    data[5000] ^= 1
    largest.chmod(0o600)
    largest.write_bytes(data)
    report = asking.ask(ops.Verify(wedding=wedding), ops.VerifyReport)
    assert (report.job.state, report.job.code) == ("failed", "integrity")
    assert report.problems
    assert report.job.message.startswith(report.problems[0])


def _folder_of(asking: Asking, name: str) -> Path:
    rows = asking.ask(ops.ListWeddings(match=name), ops.WeddingList).weddings
    return asking.folder / "home" / "repository" / "weddings" / rows[0].wedding.id

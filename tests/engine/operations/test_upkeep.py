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
    _flip_a_bit_of_the_largest_pack(asking, wedding)
    report = asking.ask(ops.Verify(wedding=wedding), ops.VerifyReport)
    assert (report.job.state, report.job.code) == ("failed", "integrity")
    assert report.problems
    assert report.job.message.startswith(report.problems[0])


def test_the_backup_after_the_verification_heals_what_its_source_has(asking: Asking) -> None:
    """The next verification is clean, and says what is left to be tidied up."""
    wedding, source = fresh_wedding(asking, "healed"), make_source(asking.folder / "healing-source")
    asking.ask(backup_of(wedding, source), ops.JobResult)
    _flip_a_bit_of_the_largest_pack(asking, wedding)
    found = asking.ask(ops.Verify(wedding=wedding), ops.VerifyReport)
    assert "; a backup stores again what its source still has" in found.job.message
    asking.ask(backup_of(wedding, source), ops.JobResult)
    report = asking.ask(ops.Verify(wedding=wedding, all=True), ops.VerifyReport)
    assert (report.job.state, report.problems) == ("done", ())
    (warning,) = report.warnings
    assert warning.endswith("is damaged, but all of it is stored elsewhere too; repair takes it out")


def _flip_a_bit_of_the_largest_pack(asking: Asking, wedding: str) -> None:
    largest = max((path for path in _folder_of(asking, wedding).glob("packs/*")), key=lambda path: path.stat().st_size)
    data = bytearray(largest.read_bytes())
    data[5000] ^= 1
    largest.chmod(0o600)
    largest.write_bytes(data)


def _folder_of(asking: Asking, name: str) -> Path:
    rows = asking.ask(ops.ListWeddings(match=name), ops.WeddingList).weddings
    return asking.folder / "home" / "repository" / "weddings" / rows[0].wedding.id

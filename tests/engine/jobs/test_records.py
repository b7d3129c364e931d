"""What the journal keeps of jobs: every field comes back, ended ones stay within bounds, odd names too."""

from __future__ import annotations

import dataclasses
import datetime as dt
import os
from collections.abc import Iterator
from pathlib import Path

import msgspec
import pytest

from engine.base.errors import UsageError
from engine.contract import operations as ops
from engine.jobs import records
from engine.jobs.job import Counts, Job, Turn
from engine.jobs.journal import Journal
from engine.jobs.records import Documents, JobRecord, JobTable, arguments_text, job_of, operation_of, record_of

RECORD = JobRecord(
    id="5f" * 16,
    operation="start_backup",
    arguments='{"wedding":"smith-jones"}',
    kind="backup",
    wedding_id="1" * 32,
    wedding="smith-jones",
    priority="next-day",
    priority_given=True,
    state="paused",
    attempts=3,
    queued_ns=1_780_000_000_000_000_001,
    started_ns=1_780_000_000_000_000_002,
    message="resume lets it go on",
    counts=Counts(files_done=7, files_total=9, bytes_read=1 << 40, units=3),
    history=(Turn(1_780_000_000_000_000_003, "paused"), Turn(1_780_000_000_000_000_004, "class-changed", "a → b")),
)


class Note(msgspec.Struct, frozen=True):
    """A document of a test."""

    text: str
    path: bytes = b""


@pytest.fixture
def journal(tmp_path: Path) -> Iterator[Journal]:
    made = Journal(tmp_path / "journal.db")
    yield made
    made.close()


def ended(number: int, *, ended_ns: int = 0) -> JobRecord:
    return msgspec.structs.replace(RECORD, id=f"{number:032x}", state="done", ended_ns=ended_ns or number)


def test_a_record_comes_back_as_it_was(journal: Journal) -> None:
    table = JobTable(journal)
    table.put(RECORD).result(10)
    assert table.open_jobs() == [RECORD]
    assert table.ended_jobs(10) == []


def test_a_job_becomes_a_record_and_a_job_again() -> None:
    job = job_of(RECORD, monotonic_s=5.0)
    assert (job.state, job.attempts, job.was_held_up, job.queued_monotonic_s) == ("paused", 3, True, 5.0)
    assert record_of(job) == RECORD


def test_a_job_at_work_is_written_as_one_that_waits(journal: Journal) -> None:
    job = dataclasses.replace(job_of(RECORD, monotonic_s=0.0), state="running")
    assert record_of(job).state == "queued"


def test_open_jobs_come_in_the_order_of_their_acceptance_and_ended_ones_newest_first(journal: Journal) -> None:
    table = JobTable(journal)
    for number in (3, 1, 2):
        table.put(msgspec.structs.replace(RECORD, id=f"{number:032x}", queued_ns=number))
        table.put(ended(10 + number))
    assert [record.queued_ns for record in table.open_jobs()] == [1, 2, 3]
    assert [record.ended_ns for record in table.ended_jobs(2)] == [13, 12]


def test_all_warnings_of_an_ended_job_are_kept_beside_it_as_long_as_it_is(journal: Journal) -> None:
    table = JobTable(journal)
    lines = tuple(f"/card/{number}.jpg: caf\\xe9 is gone" for number in range(1_000))
    table.put(msgspec.structs.replace(ended(1), warned=lines)).result(10)
    table.put(msgspec.structs.replace(ended(2))).result(10)
    assert table.warnings_of(f"{1:032x}") == lines
    assert table.warnings_of(f"{2:032x}") == ()
    table.trim(records.ENDED_KEPT_NS + 10)
    assert table.ended_jobs(9) == []
    assert table.warnings_of(f"{1:032x}") == ()


def test_a_course_that_cannot_be_read_is_none(journal: Journal) -> None:
    table = JobTable(journal)
    table.put(RECORD)
    journal.write("UPDATE jobs SET history = '[[1'").result(10)
    assert table.open_jobs() == [msgspec.structs.replace(RECORD, history=())]


def test_an_end_replaces_the_acceptance(journal: Journal) -> None:
    table = JobTable(journal)
    table.put(RECORD)
    table.put(msgspec.structs.replace(RECORD, state="failed", ended_ns=9, code="integrity")).result(10)
    assert table.open_jobs() == []
    assert table.ended_jobs(9)[0].code == "integrity"


def test_ended_jobs_are_let_go_over_a_number_and_over_an_age(journal: Journal, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(records, "ENDED_KEPT_MAX", 5)
    monkeypatch.setattr(records, "TRIMMED_EVERY", 20)
    table = JobTable(journal)
    table.put(RECORD)
    for number in range(1, 21):
        table.put(ended(number))
    assert [record.ended_ns for record in table.ended_jobs(100)] == [20, 19, 18, 17, 16]
    table.put(ended(21, ended_ns=records.ENDED_KEPT_NS + 19))
    table.trim(records.ENDED_KEPT_NS + 19)
    assert [record.ended_ns for record in table.ended_jobs(100)] == [records.ENDED_KEPT_NS + 19, 20, 19]
    assert table.open_jobs() == [RECORD]


def test_long_arguments_are_let_go_when_the_job_has_ended(journal: Journal) -> None:
    table = JobTable(journal)
    long = msgspec.structs.replace(RECORD, arguments="x" * 50_000)
    table.put(long)
    assert table.open_jobs()[0].arguments == long.arguments
    table.put(msgspec.structs.replace(long, state="done", ended_ns=1)).result(10)
    assert table.ended_jobs(1)[0].arguments == ""


def test_arguments_keep_names_of_any_bytes() -> None:
    operation = ops.StartBackup(
        wedding="smith-jones", sources=(os.fsdecode(b"/cards/caf\xe9"), "/cards/日本"), tags=("raw",)
    )
    assert operation_of(arguments_text(operation), ops.StartBackup) == operation
    added = ops.AddWedding(name="a", date=dt.date(2026, 6, 20))
    assert operation_of(arguments_text(added), ops.AddWedding) == added


def test_arguments_that_are_too_long_are_refused() -> None:
    with pytest.raises(UsageError, match="too long"):
        arguments_text(ops.StartBackup(wedding="a", sources=tuple(f"/cards/{n:040}" for n in range(8000))))


@pytest.mark.parametrize("text", ["", "[]", "{", '{"wedding": 5}', '{"no_such": 1}'])
def test_arguments_that_are_not_understood_are_a_usage_error(text: str) -> None:
    with pytest.raises(UsageError, match="cannot be understood"):
        operation_of(text, ops.StartBackup)


def test_documents_are_kept_by_kind_and_id(tmp_path: Path) -> None:
    journal = Journal(tmp_path / "journal.db")
    notes = Documents(journal, "notes", Note)
    notes.put("a", Note("one", b"\xff"))
    notes.put("b", Note("two"))
    notes.put("a", Note("three", b"\xfe"))
    notes.remove("b")
    Documents(journal, "others", Note).put("a", Note("other"))
    journal.write("INSERT INTO documents VALUES ('notes', 'broken', x'c1')")
    journal.close()
    again = Journal(tmp_path / "journal.db")
    kept = Documents(again, "notes", Note)
    assert kept.items() == [("a", Note("three", b"\xfe"))]
    assert (len(kept), kept.get("a"), kept.get("b")) == (1, Note("three", b"\xfe"), None)
    again.close()


def test_every_field_of_a_job_that_matters_after_a_restart_is_in_its_record() -> None:
    kept = {field.name for field in msgspec.structs.fields(JobRecord)}
    passing = {"queued_monotonic_s", "retry_ns", "failures", "was_held_up", "initiation_s", "error", "reported"}
    assert {field.name for field in dataclasses.fields(Job)} - passing == kept

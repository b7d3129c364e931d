"""The journal: durable before it is told, whole or not at all, and never in the way of a start."""

from __future__ import annotations

import os
import signal
import sqlite3
import subprocess
import sys
from collections.abc import Iterator
from concurrent.futures import Future
from pathlib import Path

import pytest

from engine.base.errors import IntegrityError, Unavailable
from engine.jobs import journal as module
from engine.jobs.journal import _SCHEMA, VERSION, Journal, open_journal
from engine.jobs.records import JobTable

PUT = "INSERT OR REPLACE INTO documents (kind, id, body) VALUES ('test', ?, ?)"
READ = "SELECT id, body FROM documents ORDER BY id"


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "journal.db"


@pytest.fixture
def journal(path: Path) -> Iterator[Journal]:
    made = Journal(path)
    yield made
    made.close()


def _all_done(futures: list[Future[None]]) -> None:
    for future in futures:
        future.result(10)


def test_what_is_written_is_there_when_it_is_opened_again(path: Path) -> None:
    first = Journal(path)
    first.write(PUT, ("a", b"one")).result(10)
    first.close()
    second = Journal(path)
    assert second.read(READ) == [("a", b"one")]
    second.close()
    second.close()


def test_many_statements_at_once_share_few_groups(journal: Journal) -> None:
    _all_done([journal.write(PUT, (f"{number:04}", b"x")) for number in range(2000)])
    assert len(journal.read(READ)) == 2000
    assert journal.groups_total < 200


def test_statements_take_effect_in_the_order_they_were_given(journal: Journal) -> None:
    _all_done([journal.write(PUT, ("same", str(number).encode())) for number in range(300)])
    assert journal.read(READ) == [("same", b"299")]


def test_closing_writes_what_was_given(path: Path) -> None:
    journal = Journal(path)
    futures = [journal.write(PUT, (str(number), b"")) for number in range(100)]
    journal.close()
    _all_done(futures)
    with pytest.raises(Unavailable):
        journal.write(PUT, ("late", b"")).result(10)


def test_a_statement_that_fails_takes_its_group_with_it_and_no_other(journal: Journal) -> None:
    journal.write(PUT, ("before", b"")).result(10)
    with pytest.raises(Unavailable):
        journal.write("INSERT INTO documents (kind, id, body) VALUES ('test', 'before', x'00')").result(10)
    journal.write(PUT, ("after", b"")).result(10)
    assert [row[0] for row in journal.read(READ)] == ["after", "before"]


@pytest.mark.parametrize("content", [b"no database at all" * 100, b"SQLite format 3\0" + b"\xff" * 4096])
def test_a_damaged_journal_is_set_aside_and_a_new_one_begun(path: Path, content: bytes) -> None:
    path.write_bytes(content)
    journal = Journal(path)
    journal.write(PUT, ("a", b"")).result(10)
    journal.close()
    assert path.with_name("journal.db.damaged-1").read_bytes() == content
    assert "set aside as journal.db.damaged-1" in journal.warnings[0]


def test_a_journal_of_a_newer_program_is_left_alone(path: Path) -> None:
    connection = sqlite3.connect(path)
    connection.execute("PRAGMA user_version = 99")
    connection.close()
    with pytest.raises(IntegrityError, match="version 99"):
        open_journal(path)
    assert os.listdir(path.parent) == ["journal.db"]


def test_an_engine_starts_without_a_place_for_its_journal_and_says_so(tmp_path: Path) -> None:
    journal = open_journal(tmp_path / "missing" / "journal.db")
    journal.write(PUT, ("a", b"")).result(10)
    assert journal.read(READ) == [("a", b"")]
    assert "do not outlive this engine" in journal.warnings[0]
    journal.close()


def test_only_its_owner_may_read_it(path: Path, journal: Journal) -> None:
    journal.write(PUT, ("a", b"")).result(10)
    assert {oct(file.stat().st_mode & 0o777) for file in path.parent.iterdir()} == {"0o600"}


_WRITER = f"""
import sys
from pathlib import Path
from engine.jobs.journal import Journal
journal = Journal(Path(sys.argv[1]))
number = 0
while True:
    futures = [journal.write({PUT!r}, (f"{{number + at:08}}", b"x" * 100)) for at in range(20)]
    for at, future in enumerate(futures):
        future.result()
        print(number + at, flush=True)
    number += 20
"""


def test_what_was_acknowledged_survives_a_kill(path: Path) -> None:
    root = Path(module.__file__).parents[2]
    for life in range(1, 4):
        process = subprocess.Popen([sys.executable, "-c", _WRITER, str(path)], cwd=root, stdout=subprocess.PIPE)
        assert process.stdout is not None
        told = [int(process.stdout.readline()) for _ in range(37 * life)]
        process.send_signal(signal.SIGKILL)
        told += [int(line) for line in process.stdout.read().split(b"\n")[:-1]]
        process.wait()
        process.stdout.close()
        journal = Journal(path)
        kept = {int(str(key)) for key, _ in journal.read(READ)}
        journal.close()
        assert set(told) <= kept
        assert journal.warnings == []


def _of_version(path: Path, version: int, *jobs: tuple[str, str, int]) -> None:
    """A journal as an earlier WedSync left it, with jobs that wait: kind, class, whether that was given."""
    before = sqlite3.connect(path)
    for statement in _SCHEMA:
        before.execute(statement if version > 1 else statement.replace(", history TEXT NOT NULL DEFAULT ''", ""))
    columns = "id, operation, arguments, kind, wedding_id, wedding, priority, priority_given, state, attempts, "
    columns += "queued_ns, started_ns, ended_ns, message, code, snapshot, counts"
    for number, (kind, priority, given) in enumerate(jobs):
        before.execute(
            f"INSERT INTO jobs ({columns}) VALUES ('5f{number}', '{kind}', '{{}}', '{kind}', '11', 'smith-jones', "
            f"'{priority}', {given}, 'queued', 0, {number}, 0, 0, '', '', '', '{{}}')"
        )
    before.execute(f"PRAGMA user_version = {version}")
    before.commit()
    before.close()


def test_a_journal_of_the_version_before_is_brought_up_with_its_jobs(path: Path) -> None:
    _of_version(path, 1, ("verify", "standard", 0))
    journal = Journal(path)
    (record,) = JobTable(journal).open_jobs()
    assert (record.wedding, record.history) == ("smith-jones", ())
    assert journal.read("PRAGMA user_version") == [(VERSION,)]
    assert journal.warnings == []
    journal.close()


@pytest.mark.parametrize("version", [1, 2])
def test_retrievals_of_a_version_without_a_class_of_theirs_go_on_in_it(path: Path, version: int) -> None:
    """All of them ran as same-day, if nobody moved them; where the date had chosen, it does so no more."""
    _of_version(
        path, version, ("retrieve", "same-day", 1), ("retrieve", "standard", 1), ("retrieve", "next-day", 0),
        ("backup", "same-day", 1), ("backup", "next-day", 0),
    )  # fmt: skip
    journal = Journal(path)
    assert [(record.priority, record.priority_given) for record in JobTable(journal).open_jobs()] == [
        ("retrieval", True), ("standard", True), ("retrieval", True), ("same-day", True), ("next-day", False),
    ]  # fmt: skip
    journal.close()
    again = Journal(path)
    assert again.read("PRAGMA user_version") == [(VERSION,)]
    again.close()

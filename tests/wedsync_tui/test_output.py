"""What is written where, and which exit code comes of it."""

from __future__ import annotations

import io
import json
import os
import subprocess
import sys

import msgspec
import pytest

from engine.base import errors
from engine.base.errors import EXIT_DONE, EXIT_FAILED, EXIT_INTEGRITY, EXIT_NOT_PERMITTED, EXIT_USAGE, EXIT_WARNINGS
from engine.base.invariants import BrokenInvariant
from engine.contract import events as ev
from engine.contract import operations as ops
from engine.contract.status import JobRow
from tests import samples
from tests.fakes import FakeEngine
from wedsync_tui.output import Output, exit_code_of, exit_code_of_error, failure_of, worse
from wedsync_tui.script import Place

LOST = msgspec.structs.replace(samples.job_row(state="failed"), code="integrity")
BACKUP = ops.StartBackup(wedding="smith-jones", sources=("/card",), wait=True)


def written(act: object = None, *, debug: bool = False) -> tuple[Output, io.BytesIO, io.StringIO]:
    """An output, and what it writes to."""
    stdout, stderr = io.BytesIO(), io.StringIO()
    return Output(stdout, stderr, debug=debug), stdout, stderr


def report(**changes: object) -> ops.VerifyReport:
    """A verification that found nothing wrong."""
    values = {"snapshots": 1, "packs": 2, "blobs": 3, "files": 4, "bytes_checked": 5} | changes
    return ops.VerifyReport(job=samples.job_row(state="done", kind="verify"), **values)  # type: ignore[arg-type]


def repaired(job: JobRow) -> ops.RepairReport:
    """A repair, as `job` ended."""
    return ops.RepairReport(
        job=job, packs=2, packs_recovered=0, packs_dropped=1, chunks_saved=3, fragments_replaced=0, losses_total=1
    )


def test_result_is_one_json_line_and_a_sentence_for_people() -> None:
    output, stdout, stderr = written()
    result = ops.JobResult(job=samples.job_row(state="done"))
    assert output.result("backup smith-jones --from /card --wait", BACKUP, result) == EXIT_DONE
    line = json.loads(stdout.getvalue())
    assert (line["type"], line["operation"], line["result"]["job"]["state"]) == ("result", "start_backup", "done")
    assert stderr.getvalue() == (
        "backup of smith-jones is done: 200 files, 4.00 GB dealt with, 3.60 GB stored, 200 MB there already, 39 s\n"
    )


def test_event_is_one_json_line_and_silent_unless_people_asked_or_it_is_bad() -> None:
    output, stdout, stderr = written()
    output.event(ev.Event(seq=1, time_ns=2, kind="job-queued", message="queued"), tell=False)
    output.event(ev.Event(seq=2, time_ns=3, kind="settings-changed", level="error", message="broke"), tell=False)
    assert [json.loads(line)["event"]["seq"] for line in stdout.getvalue().splitlines()] == [1, 2]
    assert stderr.getvalue() == "broke\n"


def test_error_is_one_line_with_its_place_and_hint() -> None:
    output, stdout, stderr = written()
    error = errors.UsageError('unknown verb "bakcup"', "did you mean backup?")
    assert output.error(error, Place("tour.wed", 7)) == EXIT_USAGE
    assert stderr.getvalue() == 'wedsync-tui: tour.wed:7: unknown verb "bakcup"; did you mean backup?\n'
    assert json.loads(stdout.getvalue()) == {
        "type": "error", "code": "usage", "message": 'unknown verb "bakcup"', "hint": "did you mean backup?",
        "exitCode": 2, "source": "tour.wed", "line": 7,
    }  # fmt: skip


def test_terminal_is_never_sent_a_control_character() -> None:
    output, _, stderr = written()
    output.error(errors.NotFound("no file \x1b[31m\nred"))
    output.note("a\x07b")
    assert all(line.isprintable() for line in stderr.getvalue().splitlines())


def test_name_that_json_cannot_carry_is_written_out() -> None:
    output, stdout, _ = written()
    output.result("browse a /b\udce9", ops.Browse(wedding="a"), ops.EntryList(entries=()))
    assert json.loads(stdout.getvalue())["command"] == "browse a /b\\xe9"


def test_bug_is_one_line_that_says_whose_fault_it_is() -> None:
    output, stdout, stderr = written()
    assert output.bug(BrokenInvariant("packs stay under 64 MiB"), "/home/w/logs/engine.jsonl") == EXIT_FAILED
    assert stderr.getvalue() == (
        "wedsync-tui: internal error, a fault of WedSync and not yours: BrokenInvariant: packs stay under 64 MiB; "
        "please report it with /home/w/logs/engine.jsonl\n"
    )
    assert json.loads(stdout.getvalue())["code"] == "internal"


def test_bug_shows_its_traceback_only_when_debugging() -> None:
    output, _, stderr = written(debug=True)
    output.bug(ValueError("x"), "")
    assert "ValueError: x" in stderr.getvalue().splitlines()[-1]


def test_raw_output_writes_no_json_line() -> None:
    output, stdout, _ = written()
    output.raw = True
    output.result("weddings", ops.ListWeddings(), ops.WeddingList(weddings=()))
    output.error(errors.NotFound("no"))
    assert stdout.getvalue() == b""


def test_reader_that_went_away_does_not_stop_the_work() -> None:
    code = (
        "import sys\n"
        "from engine.contract import operations as ops\n"
        "from wedsync_tui.output import Output\n"
        "output = Output.of_process(debug=False)\n"
        "for _ in range(3): output.result('weddings', ops.ListWeddings(), ops.WeddingList(weddings=()))\n"
        "sys.exit(output.exit_code)\n"
    )
    reading, writing = os.pipe()
    os.close(reading)
    done = subprocess.run([sys.executable, "-c", code], stdout=writing, stderr=subprocess.PIPE, check=False)
    os.close(writing)
    assert (done.returncode, done.stderr) == (0, b"none\nnone\nnone\n")


def test_full_disk_behind_standard_output_is_told_once() -> None:
    class Full(io.BytesIO):
        def write(self, data: object) -> int:
            raise OSError(28, "No space left on device")

    stderr = io.StringIO()
    output = Output(Full(), stderr)
    output.held("expect 1 == 1")
    output.held("expect 1 == 1")
    assert stderr.getvalue().count("No space left on device") == 1
    assert output.exit_code == EXIT_FAILED


@pytest.mark.parametrize(
    ("operation", "result", "code"),
    [
        (BACKUP, ops.JobResult(job=samples.job_row(state="done")), EXIT_DONE),
        (BACKUP, ops.JobResult(job=samples.job_row(state="queued")), EXIT_DONE),
        (BACKUP, ops.JobResult(job=samples.job_row(state="warnings")), EXIT_WARNINGS),
        (BACKUP, ops.JobResult(job=samples.job_row(state="failed")), EXIT_FAILED),
        (BACKUP, ops.JobResult(job=samples.job_row(state="cancelled")), EXIT_FAILED),
        (BACKUP, ops.JobResult(job=samples.job_row(state="interrupted")), EXIT_FAILED),
        (ops.CancelJob(job="1"), ops.JobResult(job=samples.job_row(state="cancelled")), EXIT_DONE),
        (ops.ListWeddings(), ops.WeddingList(weddings=(), warnings=("one",)), EXIT_WARNINGS),
        (ops.Verify(wedding="a"), report(), EXIT_DONE),
        (ops.Verify(wedding="a"), report(problems=("pack 1 is damaged",)), EXIT_INTEGRITY),
        (ops.Repair(wedding="a"), repaired(LOST), EXIT_INTEGRITY),
        (ops.Repair(wedding="a"), repaired(samples.job_row(state="done")), EXIT_DONE),
        (ops.WaitForJobs(), ops.JobList(jobs=(samples.job_row(state="failed"),), total=1), EXIT_FAILED),
        (ops.ListJobs(), ops.JobList(jobs=(samples.job_row(state="failed"),), total=1), EXIT_DONE),
    ],
)  # fmt: skip
def test_result_has_its_exit_code(operation: ops.Operation, result: ops.Result, code: int) -> None:
    assert exit_code_of(operation, result) == code
    assert (failure_of(operation, result) is None) == (code in {EXIT_DONE, EXIT_WARNINGS})


@pytest.mark.parametrize(
    ("code", "exit_code"),
    [
        ("integrity", EXIT_INTEGRITY), ("wrong-passphrase", EXIT_NOT_PERMITTED), ("limit-reached", EXIT_FAILED),
        ("usage", EXIT_USAGE), ("never-heard-of", EXIT_FAILED), ("", EXIT_FAILED),
    ],
)  # fmt: skip
def test_failed_job_ends_with_the_exit_code_of_its_error(code: str, exit_code: int) -> None:
    assert exit_code_of_error(code) == exit_code


def test_graver_code_wins() -> None:
    assert worse(EXIT_WARNINGS, EXIT_FAILED) == EXIT_FAILED
    assert worse(EXIT_FAILED, EXIT_DONE) == EXIT_FAILED
    assert worse(EXIT_WARNINGS, EXIT_DONE) == EXIT_WARNINGS
    assert worse(EXIT_INTEGRITY, EXIT_NOT_PERMITTED) == EXIT_INTEGRITY


def test_long_list_is_cut_for_people_and_whole_in_json() -> None:
    output, stdout, stderr = written()
    row = FakeEngine().call(ops.Browse(wedding="smith-jones")).result()
    assert isinstance(row, ops.EntryList)
    output.result("browse", ops.Browse(wedding="a"), ops.EntryList(entries=row.entries * 40, truncated=True))
    assert len(json.loads(stdout.getvalue())["result"]["entries"]) == 120
    assert stderr.getvalue().splitlines()[-2:] == [
        "and 70 more; standard output has them all",
        "there is more; --limit shows it",
    ]


def test_status_is_told_in_a_few_lines() -> None:
    output, _, stderr = written()
    output.result("status", ops.ReadStatus(), ops.StatusResult(document=samples.status()))
    lines = stderr.getvalue().splitlines()
    assert lines[1] == "weddings: 6, of today 2 of 2 protected"
    assert "critical: tanaka-mori: not protected, and the wedding is tomorrow" in lines
    assert len(lines) <= 10


def test_progress_is_drawn_only_where_a_person_sits_and_is_erased_by_words() -> None:
    class Terminal(io.StringIO):
        def isatty(self) -> bool:
            return True

    terminal, pipe = Terminal(), io.StringIO()
    for stderr in (terminal, pipe):
        output = Output(io.BytesIO(), stderr)
        output.progress(samples.status())
        output.progress(samples.status())
        output.note("done")
    drawn = terminal.getvalue()
    assert drawn.count("50 %  2.00 GB of 4.00 GB  240 MB/s  8.3 s left") == 1
    assert drawn.endswith("\r\x1b[Kdone\n")
    assert pipe.getvalue() == "done\n"

"""The only writer of standard output and standard error, and the owner of exit codes.

Standard output carries JSON lines, one a result, event or error (docs/cli.md), or a page of help; standard error
carries people's words: a summary of each result, a line of progress where a person sits, errors in one line.
Main thread. Writing never fails the work: a reader that has gone is noticed once and then ignored.
"""

from __future__ import annotations

import os
import sys
import traceback
from typing import BinaryIO, NoReturn, TextIO

import msgspec

from engine.base import errors
from engine.base.errors import EXIT_DONE, EXIT_FAILED, EXIT_GRAVITY, EXIT_INTEGRITY, EXIT_WARNINGS, WedSyncError
from engine.base.units import format_count
from engine.contract import drills, photos, placements, recovery, retention
from engine.contract import operations as ops
from engine.contract.catalog import BY_ARGUMENTS
from engine.contract.events import Event
from engine.contract.status import JobRow, Status
from screens.text import clean
from wedsync_tui import people
from wedsync_tui.script import Place

PROGRAM = "wedsync-tui"


class JobFailed(WedSyncError):
    """A job that a command waited for did not end well."""


def worse(one: int, other: int) -> int:
    """The graver of two exit codes."""
    return max(one, other, key=EXIT_GRAVITY.index)


def exit_code_of_error(code: str) -> int:
    """The exit code of an error known by its stable `code`, as in a job's row."""
    return next((kind.exit_code for kind in _kinds(WedSyncError) if kind.code == code), EXIT_FAILED)


def exit_code_of(operation: ops.Operation, result: ops.Result) -> int:
    """What a result means for the exit code: 0, 3 for warnings, or that of the failure of a job it waited for."""
    code = EXIT_WARNINGS if result.warnings else EXIT_DONE
    if isinstance(operation, ops.CancelJob):
        return code
    if isinstance(result, ops.VerifyReport) and result.problems:
        return EXIT_INTEGRITY
    for job in _jobs_waited_for(operation, result):
        code = worse(code, _exit_code_of_job(job))
    if isinstance(result, recovery.Recovery):
        for row in result.restored:
            code = worse(code, _exit_code_of_state(row.state, row.code))
    return code


def failure_of(operation: ops.Operation, result: ops.Result) -> WedSyncError | None:
    """The error that a result stands for, where a job it waited for failed or found problems."""
    if isinstance(result, ops.VerifyReport) and result.problems:
        return errors.IntegrityError(
            f"{result.job.wedding}: {format_count(len(result.problems), 'problem')} found",
            "back the wedding up again, and keep the store",
        )
    if isinstance(result, recovery.Recovery):
        return _not_recovered(result)
    bad = [
        job for job in _jobs_waited_for(operation, result) if _exit_code_of_job(job) not in {EXIT_DONE, EXIT_WARNINGS}
    ]
    if not bad or isinstance(operation, ops.CancelJob):
        return None
    worst = max(bad, key=lambda job: EXIT_GRAVITY.index(_exit_code_of_job(job)))
    kind = next((kind for kind in _kinds(WedSyncError) if kind.code == worst.code), JobFailed)
    ended = worst.state if worst.state == "failed" else f"was {worst.state}"
    return kind(f"{worst.kind} of {worst.wedding} {ended}: {worst.message}".removesuffix(": "))


class Output:
    """Writes what happens. One a process; main thread."""

    def __init__(self, stdout: BinaryIO, stderr: TextIO, *, debug: bool = False) -> None:
        self.exit_code = EXIT_DONE  # the gravest so far
        self.raw = False  # standard output carries a restored file: no JSON lines between
        self._stdout: BinaryIO | None = stdout
        self._stderr = stderr
        self._debug = debug
        self._is_terminal = stderr.isatty()
        self._progress = ""

    @classmethod
    def of_process(cls, *, debug: bool) -> Output:
        """The process's own streams."""
        return cls(sys.stdout.buffer, sys.stderr, debug=debug)

    # --- what happens ---

    def result(self, command: str, operation: ops.Operation, result: ops.Result) -> int:
        """Write a result and what people read of it. Returns its exit code."""
        name = BY_ARGUMENTS[type(operation)].name
        self._json({"type": "result", "command": command, "operation": name, "result": result})
        told_as_error = isinstance(result, ops.JobResult) and failure_of(operation, result) is not None
        for line in [] if told_as_error else people.lines_of(operation, result):
            self._words(line)
        for line in people.warnings_of(result):
            self._words(f"warning: {line}")
        code = exit_code_of(operation, result)
        self.exit_code = worse(self.exit_code, code)
        return code

    def held(self, command: str) -> None:
        """Write that an expectation held."""
        self._json({"type": "result", "command": command, "operation": "expect", "result": {"held": True}})

    def event(self, event: Event, *, tell: bool) -> None:
        """Write an event; people read it with `tell`, or when it is bad and no result will say it."""
        self._json({"type": "event", "event": event})
        is_news = event.level != "info" and not event.kind.startswith("job-")
        line = people.event_line(event) if tell or is_news else ""
        if line:
            self._words(line)

    def error(self, error: WedSyncError, place: Place | None = None) -> int:
        """Write an error. Returns its exit code."""
        fields: dict[str, object] = {
            "type": "error",
            "code": error.code,
            "message": error.message,
            "hint": error.hint,
            "exitCode": error.exit_code,
        }
        if place is not None and place.source:
            fields |= {"source": place.source, "line": place.line}
        self._json(fields)
        self._words(f"{PROGRAM}: {place or ''}{clean(error.line())}")
        self.exit_code = worse(self.exit_code, error.exit_code)
        return error.exit_code

    def bug(self, error: BaseException, log: str) -> int:
        """Write that something failed that should not be able to fail. Returns the exit code."""
        message = f"internal error, a fault of WedSync and not yours: {type(error).__name__}: {error}"
        hint = f"please report it with {log}" if log else "WEDSYNC_DEBUG=1 shows where"
        self.error(_Internal(message, hint))
        if self._debug:
            self._words("".join(traceback.format_exception(error)).rstrip())
        return EXIT_FAILED

    def note(self, words: str) -> None:
        """Write a line for people that is no result."""
        self._words(clean(words))

    def question(self, words: str) -> str:
        """Put a question on standard error and read the answer of a person. Blocks."""
        self._put(clean(words))
        return sys.stdin.readline().strip()

    def page(self, text: str) -> None:
        """Write a page of help, as it is, on standard output."""
        self._write(f"{text}\n".encode())

    def progress(self, status: Status) -> None:
        """Redraw the line of progress, where a person sits at a terminal."""
        if self._is_terminal:
            self._draw(people.progress_line(status, _width() - 1))

    def leave_at_once(self) -> NoReturn:
        """End the process now, whatever still runs in it: somebody asked three times."""
        self._words(f"{PROGRAM}: ended at once; what was not checkpointed is read again by the next backup")
        os._exit(EXIT_FAILED)

    # --- writing ---

    def _json(self, fields: dict[str, object]) -> None:
        if self.raw:
            return
        try:
            line = msgspec.json.encode(fields)
        except UnicodeEncodeError:  # a name that is not UTF-8, which JSON cannot carry
            line = msgspec.json.encode(_printable(msgspec.to_builtins(fields)))
        self._write(line + b"\n")

    def _write(self, data: bytes) -> None:
        if self._stdout is None:
            return
        try:
            self._stdout.write(data)
            self._stdout.flush()
        except BrokenPipeError:
            # The reader has gone. Work goes on; at exit Python must not trip over the same pipe.
            self._stdout = None
            os.dup2(os.open(os.devnull, os.O_WRONLY), 1)
        except OSError as problem:
            self._stdout = None
            self._words(f"{PROGRAM}: standard output cannot be written: {problem.strerror}; results go unrecorded")
            self.exit_code = worse(self.exit_code, EXIT_FAILED)

    def _words(self, line: str) -> None:
        shown, self._progress = self._progress, ""
        erase = "\r\x1b[K" if shown else ""
        self._put(f"{erase}{line}\n")

    def _draw(self, line: str) -> None:
        if line != self._progress:
            self._progress = line
            self._put(f"\r\x1b[K{line}")

    def _put(self, text: str) -> None:
        try:
            self._stderr.write(text)
            self._stderr.flush()
        except (OSError, ValueError):
            self._is_terminal = False  # nobody reads: say nothing more


class _Internal(WedSyncError):
    """A bug of ours at the top door."""

    code = "internal"


def _jobs_waited_for(operation: ops.Operation, result: ops.Result) -> tuple[JobRow, ...]:
    match result:
        case (
            ops.JobResult(job=job)
            | ops.VerifyReport(job=job)
            | ops.RepairReport(job=job)
            | drills.DrillReport(job=job)
            | placements.RecallReport(job=job)
            | photos.PhotoReport(job=job)
        ):
            return (job,)
        case ops.JobList(jobs=jobs) if isinstance(operation, ops.WaitForJobs):
            return jobs
        case placements.MigrationReport(jobs=jobs) | retention.PruneReport(jobs=jobs):
            return jobs
    return ()


def _exit_code_of_job(job: JobRow) -> int:
    return _exit_code_of_state(job.state, job.code)


def _exit_code_of_state(state: str, code: str) -> int:
    if state == "warnings":
        return EXIT_WARNINGS
    if state == "failed":
        return exit_code_of_error(code)
    return EXIT_FAILED if state in {"cancelled", "interrupted"} else EXIT_DONE


def _not_recovered(result: recovery.Recovery) -> WedSyncError | None:
    bad = [row for row in result.restored if row.state in {"failed", "cancelled", "interrupted"}]
    if not bad:
        return None
    kind = next((kind for kind in _kinds(WedSyncError) if kind.code == bad[0].code), JobFailed)
    more = f", and {format_count(len(bad) - 1, 'more wedding')}" if len(bad) > 1 else ""
    what = f"{bad[0].name} {bad[0].state}: {bad[0].message}".removesuffix(": ")
    return kind(f"not all is recovered: {what}{more}", "say the same again: what is restored stays")


def _kinds(kind: type[WedSyncError]) -> list[type[WedSyncError]]:
    return [kind, *(deeper for below in kind.__subclasses__() for deeper in _kinds(below))]


def _printable(value: object) -> object:
    if isinstance(value, str):
        return clean(value)
    if isinstance(value, dict):
        return {str(_printable(key)): _printable(inner) for key, inner in value.items()}
    if isinstance(value, list | tuple):
        return [_printable(inner) for inner in value]
    return value


def _width() -> int:
    try:
        return max(20, os.get_terminal_size(2).columns)
    except OSError:
        return 80

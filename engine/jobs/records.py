"""What the journal keeps of each job, and of other things by id: rows in, rows out.

A job is written when it is accepted, when it is paused, resumed or given another class, when an attempt fails, and
when it ends; what of it is not ended is run again at the next start. Ended ones are kept up to a number and an age.
Any thread; reading blocks.
"""

from __future__ import annotations

import json
from collections.abc import Iterable
from concurrent.futures import Future
from typing import Generic, TypeVar, cast, get_args

import msgspec

from engine.base.errors import UsageError
from engine.base.shapes import convert, msgpack_decoder
from engine.base.units import KIB
from engine.contract.operations import Operation
from engine.contract.status import JobKind, JobState, JobTurn
from engine.contract.weddings import JOB_CLASSES, JobClass
from engine.jobs.job import NOTHING, Counts, Job, Turn
from engine.jobs.journal import Journal, Row, Value

ENDED_KEPT_MAX = 10_000
ENDED_KEPT_NS = 30 * 24 * 3600 * 10**9
TRIMMED_EVERY = 1000  # jobs ended between two looks at the bounds
ARGUMENTS_CHARS_MAX = 256 * KIB
_ENDED_ARGUMENTS_CHARS_MAX = 4 * KIB  # of an ended job, longer ones are let go
_MESSAGE_CHARS_MAX = 1000

_COLUMNS = (
    "id, operation, arguments, kind, wedding_id, wedding, priority, priority_given, state, attempts, queued_ns, "
    "started_ns, ended_ns, message, code, snapshot, counts, history"
)
_PUT = f"INSERT OR REPLACE INTO jobs ({_COLUMNS}) VALUES ({', '.join('?' * 18)})"
_OPEN = f"SELECT {_COLUMNS} FROM jobs WHERE ended_ns = 0 ORDER BY queued_ns, id"
_ENDED = f"SELECT {_COLUMNS} FROM jobs WHERE ended_ns > 0 ORDER BY ended_ns DESC LIMIT ?"
_TRIM_AGE = "DELETE FROM jobs WHERE ended_ns > 0 AND ended_ns < ?"
_TRIM_COUNT = (
    "DELETE FROM jobs WHERE ended_ns > 0 AND ended_ns < "
    "(SELECT ended_ns FROM jobs WHERE ended_ns > 0 ORDER BY ended_ns DESC LIMIT 1 OFFSET ?)"
)
_PUT_WARNINGS = "INSERT OR REPLACE INTO documents (kind, id, body) VALUES ('job-warnings', ?, ?)"
_WARNINGS = "SELECT body FROM documents WHERE kind = 'job-warnings' AND id = ?"
_TRIM_WARNINGS = "DELETE FROM documents WHERE kind = 'job-warnings' AND id NOT IN (SELECT id FROM jobs)"


class JobRecord(msgspec.Struct, frozen=True):
    """One job as it stands in the journal. `operation` and `arguments` are what runs it again."""

    id: str
    operation: str
    arguments: str
    kind: JobKind
    wedding_id: str
    wedding: str
    priority: JobClass
    priority_given: bool
    state: JobState
    attempts: int
    queued_ns: int
    started_ns: int = 0
    ended_ns: int = 0
    message: str = ""
    code: str = ""
    snapshot: str = ""
    counts: Counts = NOTHING
    history: tuple[Turn, ...] = ()
    warned: tuple[str, ...] = ()  # with the end of a job: all its warnings, where the counts do not have them


def record_of(job: Job) -> JobRecord:
    """What the journal keeps of a job as it stands. One at work is written as one that waits: it may not end here."""
    return JobRecord(
        id=job.id,
        operation=job.operation,
        arguments=job.arguments,
        kind=job.kind,
        wedding_id=job.wedding_id,
        wedding=job.wedding,
        priority=job.priority,
        priority_given=job.priority_given,
        state="queued" if job.state == "running" else job.state,
        attempts=job.attempts,
        queued_ns=job.queued_ns,
        started_ns=job.started_ns,
        ended_ns=job.ended_ns,
        message=job.message,
        code=job.code,
        snapshot=job.snapshot,
        counts=job.counts,
        history=tuple(job.history),
        warned=job.warned,
    )


def job_of(record: JobRecord, *, monotonic_s: float) -> Job:
    """The job that an earlier engine wrote down; `monotonic_s` is now."""
    return Job(
        id=record.id,
        kind=record.kind,
        wedding_id=record.wedding_id,
        wedding=record.wedding,
        priority=record.priority,
        priority_given=record.priority_given,
        queued_ns=record.queued_ns,
        queued_monotonic_s=monotonic_s,
        state=record.state,
        started_ns=record.started_ns,
        ended_ns=record.ended_ns,
        message=record.message,
        code=record.code,
        snapshot=record.snapshot,
        operation=record.operation,
        arguments=record.arguments,
        attempts=record.attempts,
        was_held_up=True,
        counts=record.counts,
        history=list(record.history),
        reported=bool(record.ended_ns),
    )


class JobTable:
    """The jobs in the journal."""

    def __init__(self, journal: Journal) -> None:
        self._journal = journal
        self._ended_since_trim = 0

    def put(self, record: JobRecord) -> Future[None]:
        """Write a job as it now stands; the future is done when that is durable."""
        if record.ended_ns and record.warned:
            self._journal.write(_PUT_WARNINGS, (record.id, msgspec.msgpack.encode(record.warned)))
        future = self._journal.write(_PUT, _row(record))
        if record.ended_ns:
            self._ended_since_trim += 1
            if self._ended_since_trim >= TRIMMED_EVERY:
                self.trim(record.ended_ns)
        return future

    def open_jobs(self) -> list[JobRecord]:
        """Those accepted and not ended, in order of acceptance."""
        return [_record(row) for row in self._journal.read(_OPEN)]

    def ended_jobs(self, limit: int) -> list[JobRecord]:
        """The newest that ended, newest first."""
        return [_record(row) for row in self._journal.read(_ENDED, (limit,))]

    def warnings_of(self, job_id: str) -> tuple[str, ...]:
        """All warnings of a job that ended, where its counts do not have them; else none. Blocks."""
        rows = self._journal.read(_WARNINGS, (job_id,))
        try:
            return msgpack_decoder(tuple[str, ...]).decode(cast("bytes", rows[0][0])) if rows else ()
        except msgspec.DecodeError:
            return ()

    def trim(self, now_ns: int) -> None:
        """Let go of ended jobs over the bounds."""
        self._ended_since_trim = 0
        self._journal.write(_TRIM_AGE, (now_ns - ENDED_KEPT_NS,))
        self._journal.write(_TRIM_COUNT, (ENDED_KEPT_MAX - 1,))
        self._journal.write(_TRIM_WARNINGS)


Body = TypeVar("Body", bound=msgspec.Struct)


class Documents(Generic[Body]):
    """Structs of one kind by id, in the journal and in memory: watches, sources, schedules. One thread."""

    def __init__(self, journal: Journal, kind: str, body: type[Body]) -> None:
        """Reads what is there; blocks. What cannot be read any more is left alone and not shown."""
        self._journal = journal
        self._kind = kind
        self._bodies: dict[str, Body] = {}
        decoder = msgpack_decoder(body)
        for key, data in journal.read("SELECT id, body FROM documents WHERE kind = ? ORDER BY id", (kind,)):
            try:
                self._bodies[str(key)] = decoder.decode(cast("bytes", data))
            except msgspec.DecodeError:
                continue

    def __len__(self) -> int:
        return len(self._bodies)

    def get(self, key: str) -> Body | None:
        """The one with this id, if there is."""
        return self._bodies.get(key)

    def items(self) -> list[tuple[str, Body]]:
        """All of them with their ids."""
        return list(self._bodies.items())

    def put(self, key: str, body: Body) -> Future[None]:
        """Keep `body` under `key`, in place of what was there; done when it is durable."""
        self._bodies[key] = body
        return self._journal.write(
            "INSERT OR REPLACE INTO documents (kind, id, body) VALUES (?, ?, ?)",
            (self._kind, key, msgspec.msgpack.encode(body)),
        )

    def remove(self, key: str) -> Future[None]:
        """Forget what is kept under `key`."""
        self._bodies.pop(key, None)
        return self._journal.write("DELETE FROM documents WHERE kind = ? AND id = ?", (self._kind, key))


# --- operations as text (names of files may hold any bytes, so not everything is UTF-8) ----------------


def arguments_text(operation: Operation) -> str:
    """The arguments of `operation` as JSON in ASCII. Raises UsageError when they are too many to be kept."""
    text = json.dumps(msgspec.to_builtins(operation), separators=(",", ":"))
    if len(text) > ARGUMENTS_CHARS_MAX:
        raise UsageError("the arguments are too long to be kept", "name the folder above instead of each file")
    return text


def operation_of(text: str, kind: type[Operation]) -> Operation:
    """The operation that `arguments_text` wrote. Raises UsageError when this WedSync does not understand it."""
    try:
        return convert(json.loads(text), kind)
    except (ValueError, msgspec.ValidationError) as error:
        raise UsageError(f"what the journal has of a job cannot be understood: {error}") from None


# --- rows ---------------------------------------------------------------------------------------------


def _row(record: JobRecord) -> tuple[Value, ...]:
    arguments = record.arguments
    if record.ended_ns and len(arguments) > _ENDED_ARGUMENTS_CHARS_MAX:
        arguments = ""
    return (
        record.id,
        record.operation,
        arguments,
        record.kind,
        record.wedding_id,
        record.wedding,
        record.priority,
        int(record.priority_given),
        record.state,
        record.attempts,
        record.queued_ns,
        record.started_ns,
        record.ended_ns,
        _storable(record.message[:_MESSAGE_CHARS_MAX]),
        record.code,
        record.snapshot,
        _counts_text(record.counts),
        json.dumps(record.history),
    )


def _record(row: Row) -> JobRecord:
    texts = [str(value) for value in row]
    numbers = [int(value) for value in row[9:13]]
    return JobRecord(
        id=texts[0],
        operation=texts[1],
        arguments=texts[2],
        kind=_one_of(texts[3], get_args(JobKind)),
        wedding_id=texts[4],
        wedding=texts[5],
        priority=_one_of(texts[6], JOB_CLASSES),
        priority_given=bool(row[7]),
        state=_one_of(texts[8], get_args(JobState)),
        attempts=numbers[0],
        queued_ns=numbers[1],
        started_ns=numbers[2],
        ended_ns=numbers[3],
        message=texts[13],
        code=texts[14],
        snapshot=texts[15],
        counts=_counts(texts[16]),
        history=_history(texts[17]),
    )


Word = TypeVar("Word", bound=str)


def _one_of(text: str, words: Iterable[Word]) -> Word:
    """`text` as one of the words this program knows; the last of them for one that it does not."""
    known = list(words)
    return next((word for word in known if word == text), known[-1])


def _counts_text(counts: Counts) -> str:
    shown = msgspec.to_builtins(counts)
    return json.dumps({name: value for name, value in shown.items() if value and name != "current"})


def _counts(text: str) -> Counts:
    try:
        return convert(json.loads(text), Counts)
    except (ValueError, msgspec.ValidationError):
        return NOTHING


def _history(text: str) -> tuple[Turn, ...]:
    try:
        return tuple(
            Turn(int(time_ns), _one_of(what, get_args(JobTurn)), str(words))
            for time_ns, what, words in json.loads(text)
        )
    except (ValueError, TypeError):
        return ()


def _storable(text: str) -> str:
    return text.encode("utf-8", "backslashreplace").decode("utf-8")

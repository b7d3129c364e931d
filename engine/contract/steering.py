"""Operations that steer what runs by itself: jobs that are paused or moved up, watched folders, schedules.

As in `engine.contract.operations`, of which this is a part: one struct of arguments and one of results each.
"""

from __future__ import annotations

from typing import Annotated, Literal

import msgspec

from engine.contract.operations import JobName, Operation, Paths, Result, WeddingName, _words
from engine.contract.status import JobKind, JobRow, JobState, JobTurn
from engine.contract.weddings import JobClass

# --- jobs ---------------------------------------------------------------------------------------------


class PauseJob(Operation, frozen=True, kw_only=True):
    """Take a job from the streams; checkpointed, it goes on when it is resumed, also after a restart."""

    job: JobName


class ResumeJob(Operation, frozen=True, kw_only=True):
    """Let a paused job go on."""

    job: JobName


class PrioritiseJob(Operation, frozen=True, kw_only=True):
    """Give a job another class, at once."""

    job: JobName
    priority: Annotated[
        Literal[JobClass, "auto"],
        _words("same-day, next-day, standard, or retrieval if it is one; auto: what it began in", positional=True),
    ]


class RetryJob(Operation, frozen=True, kw_only=True):
    """Begin a job again that failed, or was stopped; or the next attempt now."""

    job: JobName


JobAction = Literal["cancel", "pause", "resume", "retry", JobClass, "auto"]


class SteerJobs(Operation, frozen=True, kw_only=True):
    """Do one thing with many jobs: those named, or all that fit what is said of them."""

    action: Annotated[JobAction, _words("what; a class moves them there, auto: as the date gives", positional=True)]
    jobs: Annotated[tuple[str, ...], _words("their ids or first digits", title="JOB", positional=True)] = ()
    wedding: Annotated[str, _words("those of this wedding", title="WEDDING")] = ""
    state: Annotated[JobState | None, _words("those in this state")] = None
    kind: Annotated[JobKind | None, _words("those of this kind")] = None
    match: Annotated[str, _words("those with these words, as in jobs", title="TEXT")] = ""


class Refusal(msgspec.Struct, frozen=True, kw_only=True, rename="camel"):
    """Why something was not done with so many jobs: `had ended already`."""

    reason: str
    jobs: int


class SteerResult(Result, frozen=True, kw_only=True):
    """With how many jobs it was done, and why not with the others."""

    action: JobAction
    done: int
    refused: tuple[Refusal, ...] = ()


class ReadJob(Operation, frozen=True, kw_only=True):
    """All that is known of one job: its course, its warnings, what made it."""

    job: JobName
    offset: Annotated[int, _words("leave out so many warnings first", title="N"), msgspec.Meta(ge=0)] = 0
    limit: Annotated[int, _words("at most so many warnings", title="N"), msgspec.Meta(ge=0)] = 1_000


class JobMoment(msgspec.Struct, frozen=True, kw_only=True, rename="camel"):
    """One turn in the course of a job."""

    time_ns: int
    what: JobTurn
    words: str = ""  # why, or from what to what


class JobDetail(Result, frozen=True, kw_only=True):
    """One job as a whole. `lines` are its warnings from `offset` on, as `/path: what`; the first 1,000 are kept."""

    job: JobRow
    deadline_s: float | None  # by its class: accepted → protected; of a retrieval: → its first byte restored
    operation: str  # in the API; empty where nothing can begin it again
    arguments: str  # of that, as JSON
    units_done: int
    units_at_work: int  # each on a stream of its own
    history: tuple[JobMoment, ...]
    offset: int = 0
    lines: tuple[str, ...] = ()
    lines_total: int = 0  # that are kept


# --- watched folders ----------------------------------------------------------------------------------


class WatchWedding(Operation, frozen=True, kw_only=True):
    """Watch folders, and back up within a second what is changed in them; goes on after a restart."""

    wedding: WeddingName
    paths: Annotated[
        Paths, _words("folders to watch; none: the wedding's sources", title="PATH", positional=True, path=True)
    ] = ()
    exclude: Annotated[Paths, _words("leave out what matches, as .gitignore would", title="GLOB")] = ()


class UnwatchWedding(Operation, frozen=True, kw_only=True):
    """Watch folders no longer."""

    wedding: WeddingName
    paths: Annotated[
        Paths, _words("folders to let go; none: all of the wedding", title="PATH", positional=True, path=True)
    ] = ()


class ListWatches(Operation, frozen=True, kw_only=True):
    """The watched folders, and how far behind they are."""

    wedding: Annotated[str, _words("only of this wedding", title="WEDDING", positional=True)] = ""


class WatchRow(msgspec.Struct, frozen=True, kw_only=True, rename="camel"):
    """What is watched for one wedding."""

    wedding: str
    paths: tuple[str, ...]
    exclude: tuple[str, ...]
    state: Literal["starting", "watching", "polling", "gone"]  # polling: the system watches no more folders
    folders: int
    changes_waiting: int  # changed and not protected yet, as far as known
    lag_s: float | None  # the newest change that is protected: how long it took
    problem: str = ""


class WatchList(Result, frozen=True, kw_only=True):
    """Watches by wedding."""

    watches: tuple[WatchRow, ...]


# --- schedules ----------------------------------------------------------------------------------------


class AddSchedule(Operation, frozen=True, kw_only=True):
    """Run an operation again and again; one of the same name is replaced."""

    name: Annotated[str, _words("what it is called", title="NAME", positional=True)]
    when: Annotated[str, _words('as "0 3 * * *" (minute hour day month weekday), or "every 6h"', title="WHEN")]
    timezone: Annotated[str, _words("the time zone of the times", title="ZONE", flag="--tz")] = "UTC"
    run: Annotated[str, _words('the command, as in a script: "verify smith-jones"', title="COMMAND")] = ""
    operation: Annotated[str, _words("instead of --run: the operation's name in the API", title="NAME")] = ""
    arguments: Annotated[str, _words("its arguments as JSON", title="JSON")] = "{}"


class RemoveSchedule(Operation, frozen=True, kw_only=True):
    """Forget a schedule."""

    name: Annotated[str, _words("what it is called", title="NAME", positional=True)]


class ListSchedules(Operation, frozen=True, kw_only=True):
    """The schedules: when each runs next, and how it went."""

    name: Annotated[str, _words("only this one, with its runs", title="NAME", positional=True)] = ""


class ScheduleRow(msgspec.Struct, frozen=True, kw_only=True, rename="camel"):
    """One schedule."""

    name: str
    when: str
    timezone: str
    command: str
    next: str | None  # ISO 8601; None: never
    last: str | None  # when it ran last
    last_state: str = ""  # done, failed, …, as a job's
    last_message: str = ""
    is_configured: bool = False  # it stands in config.toml


class ScheduleRunRow(msgspec.Struct, frozen=True, kw_only=True, rename="camel"):
    """One run of a schedule."""

    started: str
    ended: str
    state: str
    message: str = ""
    caught_up: bool = False  # it was due while no engine ran


class ScheduleList(Result, frozen=True, kw_only=True):
    """Schedules by name; with one of them, its runs from the newest on."""

    schedules: tuple[ScheduleRow, ...]
    runs: tuple[ScheduleRunRow, ...] = ()

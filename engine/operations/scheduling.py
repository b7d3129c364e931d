"""schedule add, schedules, schedule remove; and the clock that runs what is due. Engine loop only.

Schedules stand in `config.toml` (`[[schedules]]`) or were added; a configured one wins over an added one of its name.
A run is the operation itself, waited for where it can be; `*` for its wedding means each that is not archived, one
after the other. What was due while no engine ran is run once, when it has started.
"""

from __future__ import annotations

import asyncio
import json
import logging
from collections.abc import Awaitable, Callable, Iterator, Mapping

import msgspec

from engine.base.errors import Conflict, NotFound, UsageError, WedSyncError
from engine.base.shapes import convert
from engine.base.units import format_count, format_time
from engine.contract import operations as ops
from engine.contract import steering
from engine.contract.catalog import BY_NAME, Role
from engine.contract.paths import check_absolute
from engine.contract.settings import ScheduleSetting
from engine.contract.status import JobRow
from engine.jobs.offload import Means
from engine.jobs.priority import zone_problem
from engine.jobs.schedules import is_caught_up, next_ns, parse_when
from engine.operations.context import Caller, Engine, Handler
from engine.operations.keeping import RUNS_KEPT, ScheduleDocument, ScheduleRun, ScheduleState

EACH_WEDDING = "*"
SCHEDULES_MAX = 1000
_NAME_CHARS_MAX = 64
Run = Callable[[Engine, ops.Operation, Caller], Awaitable[ops.Result]]
_LOG = logging.getLogger(__name__)
_SAID_MAX = 500


class Scheduler:
    """Runs what is due."""

    def __init__(self, engine: Engine, means: Means, run: Run) -> None:
        """`run` carries out an operation for a caller, as at any door."""
        self._engine = engine
        self._means = means
        self._carry_out = run
        self._running: set[str] = set()

    def round(self) -> None:
        """Begin what is due; called once a second, from when the weddings are known."""
        engine, now_ns = self._engine, self._engine.clock.now_ns()
        states = engine.kept.schedule_states
        for name, schedule in schedules_of(engine):
            state = state_of(engine, name, schedule)
            if not state.due_ns or state.due_ns > now_ns or engine.stopping:
                continue
            following = _following(schedule, state.anchor_ns, now_ns)
            states.put(name, msgspec.structs.replace(state, due_ns=following))
            if name in self._running:
                _note(engine, name, ScheduleRun(now_ns, now_ns, "skipped", "the run before has not ended", False))
                continue
            self._running.add(name)
            self._means.spawn(self._run(name, schedule, caught_up=is_caught_up(state.due_ns, now_ns)))

    async def _run(self, name: str, schedule: ScheduleDocument, *, caught_up: bool) -> None:
        engine = self._engine
        started_ns = engine.clock.now_ns()
        state, said = "failed", ""
        try:
            state, said = await self._outcome(name, schedule)
        except WedSyncError as error:
            said = error.line()
        except asyncio.CancelledError:
            state, said = "interrupted", "the engine stopped"
            raise
        finally:
            self._running.discard(name)
            run = ScheduleRun(started_ns, engine.clock.now_ns(), state, said[:_SAID_MAX], caught_up)
            _note(engine, name, run)
        if state == "failed":
            _LOG.warning("the schedule %s failed: %s", name, said)

    async def _outcome(self, name: str, schedule: ScheduleDocument) -> tuple[str, str]:
        """State and words of one run, over all its weddings."""
        failed: list[str] = []
        warnings = count = 0
        for operation in expanded(self._engine, operation_of(schedule)):
            count += 1
            try:
                result = await self._carry_out(self._engine, operation, Caller(f"schedule {name}", Role.ADMIN))
            except WedSyncError as error:
                failed.append(f"{getattr(operation, 'wedding', '')}: {error.line()}".removeprefix(": "))
                continue
            job: JobRow | None = getattr(result, "job", None)
            if job is not None and job.state not in ("done", "warnings", "queued", "running"):
                failed.append(f"{job.wedding}: {job.message or job.state}")
            warnings += bool(result.warnings) or (job is not None and job.state == "warnings")
        if failed:
            return "failed", f"{len(failed)} of {count} failed: {failed[0]}" if count > 1 else failed[0]
        return ("warnings" if warnings else "done"), format_count(count, "wedding") if count != 1 else ""


# --- what there is ------------------------------------------------------------------------------------


def schedules_of(engine: Engine) -> Iterator[tuple[str, ScheduleDocument]]:
    """Every schedule by name: those of the settings, then the added ones."""
    configured = {each.name: _configured(each) for each in engine.settings.schedules}
    yield from configured.items()
    yield from ((name, each) for name, each in engine.kept.schedules.items() if name not in configured)


def _configured(setting: ScheduleSetting) -> ScheduleDocument:
    arguments = json.dumps(setting.arguments)
    return ScheduleDocument(setting.when, setting.timezone, setting.operation, setting.operation, arguments, 0)


def state_of(engine: Engine, name: str, schedule: ScheduleDocument) -> ScheduleState:
    """Where a schedule stands; begun anew when it was changed."""
    state = engine.kept.schedule_states.get(name)
    if state is not None and (state.when, state.timezone) == (schedule.when, schedule.timezone):
        return state
    now_ns = engine.clock.now_ns()
    runs = state.runs if state is not None else ()
    made = ScheduleState(schedule.when, schedule.timezone, now_ns, _following(schedule, now_ns, now_ns), runs)
    engine.kept.schedule_states.put(name, made)
    return made


def _following(schedule: ScheduleDocument, anchor_ns: int, now_ns: int) -> int:
    return next_ns(parse_when(schedule.when), schedule.timezone, after_ns=now_ns, anchor_ns=anchor_ns) or 0


def _note(engine: Engine, name: str, run: ScheduleRun) -> None:
    state = engine.kept.schedule_states.get(name)
    if state is not None:
        engine.kept.schedule_states.put(name, msgspec.structs.replace(state, runs=(run, *state.runs)[:RUNS_KEPT]))


# --- what is run (pure but for the register) ----------------------------------------------------------


def operation_of(schedule: ScheduleDocument | ScheduleSetting) -> ops.Operation:
    """The operation of a schedule; one that can be waited for is. Raises UsageError."""
    spec = BY_NAME.get(schedule.operation)
    if spec is None:
        raise UsageError(f"there is no operation {schedule.operation!r}", "see the catalog for its name")
    arguments = schedule.arguments
    values = json.loads(arguments) if isinstance(arguments, str) else arguments
    if not isinstance(values, Mapping):
        raise UsageError("arguments are a JSON object", 'write them like {"wedding": "smith-jones"}')
    try:
        operation = convert(values, spec.arguments)
    except msgspec.ValidationError as error:
        raise UsageError(f"{spec.verb}: {error}") from None
    check_absolute(operation)
    if isinstance(operation, ops.Shutdown | steering.AddSchedule | ops.WaitForJobs):
        raise UsageError(f"{spec.verb} cannot be scheduled")
    return msgspec.structs.replace(operation, wait=True) if hasattr(operation, "wait") else operation


def expanded(engine: Engine, operation: ops.Operation) -> Iterator[ops.Operation]:
    """The operation itself, or one for each wedding where it says so; for a backup, each that has sources here."""
    if getattr(operation, "wedding", None) != EACH_WEDDING:
        yield operation
        return
    needs_sources = isinstance(operation, ops.StartBackup) and not operation.sources
    for wedding in engine.facts.weddings:
        if not wedding.archived and not (needs_sources and not engine.kept.sources_of(wedding.id)):
            yield msgspec.structs.replace(operation, wedding=wedding.name)


def check_schedule(schedule: ScheduleDocument | ScheduleSetting) -> None:
    """Refuse a schedule that could never run. Raises UsageError."""
    try:
        parse_when(schedule.when)
    except ValueError as error:
        raise UsageError(str(error)) from None
    problem = zone_problem(schedule.timezone)
    if problem:
        raise UsageError(problem, "write it like Europe/London")
    try:
        operation_of(schedule)
    except json.JSONDecodeError as error:
        raise UsageError(f"arguments are no JSON: {error.msg}") from None


# --- operations ---------------------------------------------------------------------------------------


async def add(engine: Engine, operation: steering.AddSchedule) -> steering.ScheduleList:
    """See `steering.AddSchedule`. Raises UsageError, NotFound, Conflict."""
    name = operation.name
    if not name or len(name) > _NAME_CHARS_MAX or not name.isprintable():
        raise UsageError(f"a schedule's name is up to {_NAME_CHARS_MAX} printable characters")
    if not operation.operation:
        raise UsageError("nothing to run", 'give --run "verify smith-jones"')
    _refuse_configured(engine, name)
    if engine.kept.schedules.get(name) is None and len(engine.kept.schedules) >= SCHEDULES_MAX:
        raise UsageError(f"there are {SCHEDULES_MAX} schedules already", "remove some")
    document = ScheduleDocument(
        operation.when, operation.timezone, operation.run or operation.operation, operation.operation,
        operation.arguments, engine.clock.now_ns(),
    )  # fmt: skip
    check_schedule(document)
    wedding = getattr(operation_of(document), "wedding", EACH_WEDDING)
    if wedding not in ("", EACH_WEDDING):
        engine.facts.find(wedding)
    await asyncio.wrap_future(engine.kept.schedules.put(name, document))
    state_of(engine, name, document)
    return _listed(engine, name)


async def remove(engine: Engine, operation: steering.RemoveSchedule) -> steering.ScheduleList:
    """See `steering.RemoveSchedule`. Raises NotFound; Conflict for one of the settings."""
    _refuse_configured(engine, operation.name)
    if engine.kept.schedules.get(operation.name) is None:
        raise NotFound(f"there is no schedule {operation.name!r}", "schedules lists them")
    engine.kept.schedule_states.remove(operation.name)
    await asyncio.wrap_future(engine.kept.schedules.remove(operation.name))
    return _listed(engine, "")


async def list_schedules(engine: Engine, operation: steering.ListSchedules) -> steering.ScheduleList:
    """See `steering.ListSchedules`. Raises NotFound."""
    if operation.name and operation.name not in dict(schedules_of(engine)):
        raise NotFound(f"there is no schedule {operation.name!r}", "schedules lists them")
    return _listed(engine, operation.name)


HANDLERS: dict[str, Handler] = {"schedule_add": add, "schedule_remove": remove, "schedules": list_schedules}


def _refuse_configured(engine: Engine, name: str) -> None:
    if any(each.name == name for each in engine.settings.schedules):
        raise Conflict(f"the schedule {name!r} stands in config.toml", "change it there")


def _listed(engine: Engine, name: str) -> steering.ScheduleList:
    configured = {each.name for each in engine.settings.schedules}
    rows = []
    runs: tuple[ScheduleRun, ...] = ()
    for key, schedule in sorted(schedules_of(engine)):
        if name not in ("", key):
            continue
        state = state_of(engine, key, schedule)
        last = state.runs[0] if state.runs else None
        runs = state.runs if name else ()
        rows.append(
            steering.ScheduleRow(
                name=key,
                when=schedule.when,
                timezone=schedule.timezone,
                command=schedule.command,
                next=format_time(state.due_ns) if state.due_ns else None,
                last=format_time(last.started_ns) if last else None,
                last_state=last.state if last else "",
                last_message=last.message if last else "",
                is_configured=key in configured,
            )
        )
    return steering.ScheduleList(schedules=tuple(rows), runs=tuple(map(_run_row, runs)))


def _run_row(run: ScheduleRun) -> steering.ScheduleRunRow:
    return steering.ScheduleRunRow(
        started=format_time(run.started_ns),
        ended=format_time(run.ended_ns),
        state=run.state,
        message=run.message,
        caught_up=run.caught_up,
    )


def failing(engine: Engine) -> Iterator[tuple[str, ScheduleRun]]:
    """Schedules whose last run failed."""
    for name, _ in schedules_of(engine):
        state = engine.kept.schedule_states.get(name)
        if state is not None and state.runs and state.runs[0].state == "failed":
            yield name, state.runs[0]

"""Scripts: a text of commands → steps, all of it read before any of it runs.

A line is a command of the catalog, `expect EXPRESSION [within SPAN]`, or `let NAME = PATH`. Blank lines and
comments (`#` at the start of a word) are skipped, a backslash at the end continues a line, `$NAME` is what a `let`
above gave. Every mistake has its place, `tour.wed:7`. What `-c` gives is read here too. Pure: reading only;
`headless` and the console run the steps.
"""

from __future__ import annotations

import re
from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass, field

import msgspec

from engine.base.errors import UsageError, WedSyncError
from engine.contract.operations import Operation, Result, RetrieveWeddingData, StoreWeddingData
from engine.contract.recovery import MakePaperKey, Recover
from engine.contract.status import JOB_STATES_ENDED, JobRow, Status
from wedsync_tui.commands import HelpRequest, bind, build
from wedsync_tui.expressions import Expectation, Facts, NotThere, Operand, Rows, parse_expectation, parse_operand, shown
from wedsync_tui.words import Word, split_words

SCRIPT_BYTES_MAX = 1_000_000
PROBLEMS_SHOWN = 20

_LET = re.compile(r"let\s+(\S+)\s*=\s*(\S.*)", re.DOTALL)
_NAME = re.compile(r"[A-Za-z_][A-Za-z0-9_]*")


class NotHeld(WedSyncError):
    """An expectation did not hold."""


class Place(msgspec.Struct, frozen=True):
    """Where a step was written. `source` is empty for a single command that needs no place."""

    source: str = ""
    line: int = 0

    def __str__(self) -> str:
        """`tour.wed:7: `, or nothing."""
        return f"{self.source}:{self.line}: " if self.source else ""


@dataclass(frozen=True, slots=True)
class CommandStep:
    """One command. `operation` is None while it still has variables."""

    place: Place
    text: str
    words: tuple[Word, ...] = field(repr=False)
    operation: Operation | None

    def ready(self, variables: Mapping[str, str]) -> Operation:
        """The operation with its variables filled. Raises UsageError."""
        if self.operation is not None:
            return self.operation
        bound = bind([word.filled(variables) for word in self.words])
        if isinstance(bound, HelpRequest):
            raise UsageError("a variable made this a question for help", "write help in a script by itself")
        return build(bound)


class HelpStep(msgspec.Struct, frozen=True):
    """Somebody asks for a page of help."""

    place: Place
    text: str
    verb: str


class ExpectStep(msgspec.Struct, frozen=True):
    """What must hold now, or within a span."""

    place: Place
    text: str
    expectation: Expectation


class LetStep(msgspec.Struct, frozen=True):
    """Give a value a name for the lines below."""

    place: Place
    text: str
    name: str
    operand: Operand

    def value(self, facts: Facts) -> str:
        """What the name will stand for. Raises UsageError where it is not a plain value."""
        value = self.operand.read(facts)
        if value is None or isinstance(value, dict | list | tuple):
            raise UsageError(f"${self.name} cannot be {shown(value)}", "name a single value")
        return str(value).lower() if isinstance(value, bool) else str(value)


Step = CommandStep | HelpStep | ExpectStep | LetStep


class Problem(msgspec.Struct, frozen=True):
    """A line that cannot be run."""

    place: Place
    error: UsageError


class Script(msgspec.Struct, frozen=True):
    """Steps in order. A script with problems must not be run."""

    steps: tuple[Step, ...]
    problems: tuple[Problem, ...] = ()

    @property
    def writes_standard_output(self) -> bool:
        """Whether a step sends restored bytes there, so that nothing else may go there."""
        operations = [step.operation for step in self.steps if isinstance(step, CommandStep)]
        return any(
            (isinstance(one, RetrieveWeddingData) and one.to == "-")
            or (isinstance(one, MakePaperKey) and one.out == "-")
            for one in operations
        )

    @property
    def recovers(self) -> bool:
        """Whether a step opens a repository that this home does not know yet."""
        operations = [step.operation for step in self.steps if isinstance(step, CommandStep)]
        return any(isinstance(one, Recover) for one in operations)

    @property
    def reads_standard_input(self) -> Place | None:
        """The first step that takes its bytes from there."""
        for step in self.steps:
            operation = step.operation if isinstance(step, CommandStep) else None
            if isinstance(operation, StoreWeddingData) and operation.file == "-":
                return step.place
        return None


def read_script(data: bytes, source: str, variables: Collection[str] = ()) -> Script:
    """The script in the bytes of a file. `source` names it in messages; `variables` have values already."""
    if len(data) > SCRIPT_BYTES_MAX:
        error = UsageError("the script is longer than a script can be", f"{SCRIPT_BYTES_MAX:,} bytes are the most")
        return Script((), (Problem(Place(source, 1), error),))
    text = data.removeprefix(b"\xef\xbb\xbf").decode("utf-8", "surrogateescape")
    return _read(((Place(source, number), line) for number, line in _logical_lines(text)), variables)


def read_commands(lines: Sequence[str]) -> Script:
    """The commands given by `-c`, in order. A place is told only when there are several."""
    several = len(lines) > 1
    return _read(((Place("command" if several else "", index), line) for index, line in enumerate(lines, 1)), ())


def facts_of(status: Status, last: Result | None, variables: Mapping[str, str]) -> Facts:
    """What expressions speak of now. `last` is the newest result; a job it left running is shown as it is now."""
    document = msgspec.to_builtins(status)
    board = status.dashboard
    document["jobs"] = Rows(
        document["jobs"], total=status.jobs_total, running=board.jobs_running, queued=board.jobs_queued,
        done=board.jobs_done, failed=board.jobs_failed,
    )  # fmt: skip
    document["weddings"] = Rows(
        document["weddings"], total=status.weddings_total, today=board.weddings_today,
        today_protected=board.weddings_today_protected,
    )  # fmt: skip
    document["alerts"] = Rows(document["alerts"], total=status.alerts_total)
    if last is not None:
        document["last"] = msgspec.to_builtins(_refreshed(last, status))
    return Facts(document, variables)


def why_not(expectation: Expectation, facts: Facts) -> NotHeld | None:
    """What stands in the way of an expectation now; None when it holds. Raises UsageError: it can never hold."""
    try:
        if expectation.condition.holds(facts):
            return None
        found = expectation.condition.found(facts)
    except NotThere as nowhere:
        return NotHeld(f"expected {expectation.text}, but {nowhere.message}", nowhere.hint)
    return NotHeld(f"expected {expectation.text}" + (f", but {found}" if found else ""))


# --- reading ------------------------------------------------------------------------------------------


def _logical_lines(text: str) -> Iterator[tuple[int, str]]:
    """Lines with the number of their first, a backslash at the end joining the next."""
    started, pending = 0, ""
    number = 0
    for number, raw in enumerate(text.split("\n"), 1):
        line = raw.removesuffix("\r")
        started = started or number
        if (len(line) - len(line.rstrip("\\"))) % 2:
            pending += line[:-1] + " "
            continue
        yield started, pending + line
        started, pending = 0, ""
    if pending:
        yield started, pending


def _read(lines: Iterator[tuple[Place, str]], variables: Collection[str]) -> Script:
    steps: list[Step] = []
    problems: list[Problem] = []
    known = set(variables)
    for place, line in lines:
        try:
            step = _step(place, line, known)
        except UsageError as error:
            problems.append(Problem(place, error))
            continue
        if isinstance(step, LetStep):
            known.add(step.name)
        if step is not None:
            steps.append(step)
    return Script(tuple(steps), tuple(problems))


def _step(place: Place, line: str, known: set[str]) -> Step | None:
    words = split_words(line)
    if not words:
        if place.source in {"", "command"}:
            raise UsageError("there is no command", "help lists the verbs")
        return None
    text = line[words[0].start : words[-1].end]
    first = line[words[0].start : words[0].end]
    _check_variables(words, known)
    if first == "expect":
        return ExpectStep(place, text, parse_expectation(text.removeprefix("expect")))
    if first == "let":
        return _let(place, text)
    if any(word.variables for word in words):
        return _deferred(place, text, words)
    bound = bind([word.filled({}) for word in words])
    if isinstance(bound, HelpRequest):
        return HelpStep(place, text, bound.verb)
    return CommandStep(place, text, words, build(bound))


def _check_variables(words: tuple[Word, ...], known: set[str]) -> None:
    missing = next((name for word in words for name in word.variables if name not in known), None)
    if missing is not None:
        raise UsageError(f"${missing} has no value here", f"set it above with let {missing} = …")


def _deferred(place: Place, text: str, words: tuple[Word, ...]) -> CommandStep:
    """A command with variables: verb and options are checked now, values when they are known."""
    bound = bind([word.filled(dict.fromkeys(word.variables, "x")) for word in words])
    if isinstance(bound, HelpRequest):
        raise UsageError("help takes no variables")
    return CommandStep(place, text, words, None)


def _let(place: Place, text: str) -> LetStep:
    match = _LET.fullmatch(text)
    if match is None or not _NAME.fullmatch(match.group(1)):
        raise UsageError("this let is not understood", "write it like let JOB = last.job.id")
    return LetStep(place, text, match.group(1), parse_operand(match.group(2)))


def _refreshed(last: Result, status: Status) -> Result:
    job = getattr(last, "job", None)
    if isinstance(job, JobRow) and job.state not in JOB_STATES_ENDED:  # a document may be older than the result
        newer = next((row for row in status.jobs if row.id == job.id), job)
        return msgspec.structs.replace(last, job=newer)
    return last

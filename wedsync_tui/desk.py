"""`ConsoleDesk`: what screens may ask of the program, answered by the parser, the completion and the engine.

Flows in: lines and operations. Flows out: result screens, toasts, lines of the log. An answer that comes late, or
while somebody is busy in a dialog, is announced and kept (`o` opens it) instead of covering the screen.
Drawing thread.
"""

from __future__ import annotations

import asyncio
import json
from collections import deque
from collections.abc import Callable, Mapping, Sequence
from functools import partial

import msgspec

from engine.base.errors import UsageError
from engine.base.shapes import convert
from engine.contract import operations as ops
from engine.contract.catalog import BY_ARGUMENTS, BY_NAME, OperationSpec
from engine.contract.operations import Operation, Result
from engine.contract.retention import Prune, PruneReport
from engine.contract.rows import WeddingSummary
from engine.contract.steering import ReadJob, SteerJobs, SteerResult
from screens.desk import HelpWanted, Problem, Suggestion
from screens.dialogs.backup import BackupDialog
from screens.dialogs.choice import confirm
from screens.dialogs.form import Field, FormDialog
from screens.dialogs.retrieve import RetrieveDialog
from screens.dialogs.scale import ScaleDialog
from screens.gauges import capacity_lines
from screens.help import HelpScreen
from screens.job import JobScreen
from screens.jobs import JobsScreen
from screens.results import ResultScreen
from screens.scaling import ScalingScreen
from screens.storage import StorageScreen
from screens.tables import pruned_sentence, sentence_of, sheet_of
from screens.text import Span, clean, line_of
from screens.view import is_ended, job_meant
from wedsync_tui.arguments import Argument, arguments_of
from wedsync_tui.aside import Aside
from wedsync_tui.commands import HelpRequest, format_command, parse_line
from wedsync_tui.completion import known_from, suggest
from wedsync_tui.folders import Folders
from wedsync_tui.help import lines_of_page
from wedsync_tui.history import History
from wedsync_tui.stage import Stage

KEPT_MAX = 20
LATE_S = 2.0
REGISTER_FRESH_S = 10.0
FORMS = frozenset({"start_backup", "retrieve_wedding_data", "scale_infrastructure", "wedding_add"})


class ConsoleDesk:
    """See `screens.desk.Desk`."""

    def __init__(self, stage: Stage) -> None:
        self._stage = stage
        self.history = History()  # replaced by one that is kept
        self._aside = Aside()
        self._folders = Folders(self._aside, time_s=lambda: asyncio.get_running_loop().time())
        self._folders.changed = stage.look_again
        self._register: tuple[tuple[str, str], ...] = ()  # every wedding, where the status document has not all
        self._register_s = float("-inf")
        self.hushed: frozenset[str] = frozenset()  # jobs whose end is told with that of others
        self._kept: deque[tuple[str, Operation, msgspec.Struct]] = deque(maxlen=KEPT_MAX)

    # --- lines ---

    def understand(self, line: str) -> Operation | HelpWanted | Problem:
        """See `Desk.understand`."""
        try:
            meant = parse_line(line)
        except UsageError as error:
            return Problem(error.line())
        if isinstance(meant, HelpRequest):
            return HelpWanted(meant.verb)
        problem = not_here(meant)
        return Problem(problem) if problem else meant

    def suggest(self, line: str) -> tuple[Suggestion, ...]:
        """See `Desk.suggest`."""
        known = known_from(self._stage.status(), self._folders.names)
        return suggest(line, msgspec.structs.replace(known, weddings=self.weddings))

    def recall(self, text: str, *, anywhere: bool) -> Sequence[str]:
        """See `Desk.recall`."""
        return self.history.containing(text) if anywhere else self.history.beginning(text)

    def weddings(self) -> Sequence[tuple[str, str]]:
        """See `Desk.weddings`."""
        status = self._stage.status()
        shown = [(row.name, f"{row.date} {clean(row.venue)}".strip()) for row in status.weddings]
        if status.weddings_total <= len(shown):
            return shown
        now_s = asyncio.get_running_loop().time()
        if now_s - self._register_s > REGISTER_FRESH_S:
            self._register_s = now_s
            self._stage.courier.send(ops.ListWeddings(), self._took_register)
        return self._register or shown

    def _took_register(self, answer: Result | Problem) -> None:
        if isinstance(answer, ops.WeddingList):
            found = answer.weddings
            self._aside.run(lambda: _names_of(found), self._know_register)  # of ten thousand it takes 70 ms

    def _know_register(self, names: tuple[tuple[str, str], ...]) -> None:
        self._register = names
        self._stage.look_again()

    def synopsis(self, line: str) -> str:
        """See `Desk.synopsis`."""
        spec = spec_of(line)
        return " ".join([spec.verb, *(row.usage for row in arguments_of(spec))]) if spec else ""

    # --- operations ---

    def choose(self, spec: OperationSpec) -> None:
        """What the palette does with a row: run it, or begin its line where it needs arguments."""
        if spec.name in FORMS:
            self.open_form(spec.name, {})
        elif any(row.required for row in arguments_of(spec)):
            self.open_line(f"{spec.verb} ")
        else:
            self.submit(spec.verb)

    def submit(self, line: str) -> None:
        """Run a line and keep it in the history."""
        if not line.strip():
            return
        self.history.add(line)
        meant = self.understand(line)
        if isinstance(meant, Problem):
            self._tell_problem(line, meant)
        elif isinstance(meant, HelpWanted):
            self.help(meant.verb)
        else:
            self.request(meant)

    def request(self, operation: Operation) -> None:
        """See `Desk.request`."""
        spec = BY_ARGUMENTS[type(operation)]
        problem = not_here(operation)
        if problem:
            self._tell_problem(spec.verb, Problem(problem))
        elif isinstance(operation, ops.ListJobs):
            self.open_jobs(match_of(operation))
        elif isinstance(operation, ReadJob):
            self.open_job(operation.job)
        elif isinstance(operation, Prune) and not operation.dry_run:
            looked = msgspec.structs.replace(operation, dry_run=True, wait=True)
            self._stage.courier.send(looked, partial(self._confirm_prune, operation))
        elif spec.confirm and not getattr(operation, "dry_run", False):
            self._confirm(operation, job_meant(self._stage.status(), getattr(operation, "job", "")))
        else:
            self._send(operation)

    def _confirm(self, operation: Operation, meant: str) -> None:
        self._stage.open(
            confirm(format_command(operation), BY_ARGUMENTS[type(operation)].help, meant),
            lambda answer: self._send(operation) if answer == "go" else None,
        )

    def _confirm_prune(self, operation: Prune, looked: Result | Problem) -> None:
        """Ask with what a dry run has told."""
        if isinstance(looked, Problem):
            self._tell_problem("prune", looked)
        elif isinstance(looked, PruneReport):
            self._confirm(operation, pruned_sentence(looked))
        else:
            self._tell_problem("prune", Problem(sentence_of(looked)))

    def steer(self, operation: SteerJobs, then: Callable[[SteerResult | None], None]) -> None:
        """See `Desk.steer`. The end of each job that is cancelled so is not told by itself."""
        if operation.action == "cancel":
            self.hushed = frozenset(operation.jobs)

        def answered(answer: Result | Problem) -> None:
            if isinstance(answer, SteerResult):
                words = sentence_of(answer)
                self._stage.note(
                    line_of(Span(f"✓ {words}" if answer.done else f"▲ {words}", "ok" if answer.done else "warning"))
                )
                self._stage.tell(words, severity="information" if answer.done else "warning")
            elif isinstance(answer, Problem):
                self._tell_problem("steer", answer)
            then(answer if isinstance(answer, SteerResult) else None)

        self._stage.courier.send(operation, answered)

    def ask(self, operation: Operation, then: Callable[[Result | Problem], None]) -> None:
        """See `Desk.ask`."""
        self._stage.courier.send(operation, then)

    def _send(self, operation: Operation) -> None:
        line = clean(format_command(operation))
        started = asyncio.get_running_loop().time()
        self._stage.note(line_of(Span(f": {line}", "accent")))
        self._stage.courier.send(operation, lambda answer: self._answered(operation, line, started, answer))

    def _answered(self, operation: Operation, line: str, started: float, answer: Result | Problem) -> None:
        if isinstance(answer, Problem):
            self._tell_problem(line, answer)
            return
        words = sentence_of(answer)
        for warning in getattr(answer, "warnings", ()):
            self._stage.note(line_of(Span(f"▲ {clean(str(warning))}", "warning")))
        if words:
            self._stage.note(line_of(Span(f"✓ {words}", "ok")))
            if not (isinstance(answer, ops.JobResult) and is_ended(answer.job)):  # of an end the event tells
                self._stage.tell(words)
            return
        self._kept.append((line, operation, answer))
        late = asyncio.get_running_loop().time() - started > LATE_S
        if late or self._stage.is_busy:
            self._stage.note(line_of(Span(f"✓ {line}: ready, o opens it", "ok")))
            self._stage.tell(f"{line} is ready; o opens it")
        else:
            self.show(line, operation, answer)

    def _tell_problem(self, line: str, problem: Problem) -> None:
        words = clean(problem.line)
        self._stage.note(line_of(Span(f"✗ {line}: {words}", "critical")))
        self._stage.tell(words, severity="error")

    # --- screens ---

    def open_line(self, line: str = "") -> None:
        """See `Desk.open_line`."""
        self._stage.open_line(line)

    def open_form(self, name: str, given: Mapping[str, str]) -> None:
        """See `Desk.open_form`."""
        spec = BY_NAME[name]
        fields = [_field(row) for row in arguments_of(spec)]
        if name == "start_backup":
            self._stage.open(BackupDialog(self, fields, given), self._submit)
        elif name == "retrieve_wedding_data":
            self._stage.open(RetrieveDialog(self, given.get("wedding", "")), self._submit)
        elif name == "scale_infrastructure":
            lead = (line_of(Span(spec.help, "dim")), *capacity_lines(self._stage.status()))
            self._stage.open(ScaleDialog(self, fields, lead=lead), self._submit)
        else:
            about = line_of(Span(spec.help, "dim"))
            self._stage.open(FormDialog(self, spec.verb, fields, given, lead=(about,)), self._submit)

    def _submit(self, line: str | None) -> None:
        self.submit(line or "")

    def open_jobs(self, match: str = "") -> None:
        """See `Desk.open_jobs`."""
        self._stage.open(JobsScreen(self, self._stage.status(), match=match))

    def open_job(self, job: str) -> None:
        """See `Desk.open_job`."""
        self._stage.open(JobScreen(self, self._stage.status(), job))

    def open_storage(self) -> None:
        """See `Desk.open_storage`."""
        self._stage.open(StorageScreen(self, self._stage.status()))

    def open_scaling(self) -> None:
        """See `Desk.open_scaling`."""
        self._stage.open(ScalingScreen(self, self._stage.status(), symbols=self._stage.symbols))

    def command_of(self, operation: str, arguments: str) -> str:
        """See `Desk.command_of`."""
        spec = BY_NAME.get(operation)
        if spec is None or not arguments:
            return ""
        try:
            return format_command(convert(json.loads(arguments), spec.arguments))
        except (ValueError, msgspec.ValidationError):
            return ""  # an older WedSync wrote them

    def show(self, title: str, operation: Operation, result: msgspec.Struct) -> None:
        """See `Desk.show`."""
        self._stage.open(ResultScreen(self, operation, sheet_of(title, result)))

    def show_newest(self) -> None:
        """Open the newest result again."""
        if self._kept:
            self.show(*self._kept[-1])
        else:
            self._stage.tell("no result has come yet")

    def help(self, verb: str = "") -> None:
        """The page of a verb, or keys and all verbs."""
        self._stage.open(HelpScreen(self, verb, partial(lines_of_page, verb) if verb else None))


def _names_of(found: Sequence[WeddingSummary]) -> tuple[tuple[str, str], ...]:
    rows = (row.wedding for row in found)
    return tuple((row.name, f"{row.date} {clean(row.venue)}".strip()) for row in rows)


def spec_of(line: str) -> OperationSpec | None:
    """The operation whose verb `line` begins with; of two that fit, the longer."""
    words = line.split()
    found = [spec for spec in BY_NAME.values() if words[: len(spec.verb.split())] == spec.verb.split()]
    return max(found, key=lambda spec: len(spec.verb), default=None)


def not_here(operation: Operation) -> str:
    """Why an operation cannot be run from a screen: standard input and output are the screen's own."""
    match operation:
        case ops.StoreWeddingData(file="-"):
            return "standard input is the keyboard here; name the file with --file"
        case ops.RetrieveWeddingData(to="-"):
            return "standard output is the screen here; name a folder or file with --to"
    return ""


def match_of(operation: ops.ListJobs) -> str:
    """The words of a filter that narrow as the operation does."""
    words = (operation.wedding, operation.state, operation.kind, operation.match)
    return " ".join(word for word in words if word)


_LABELS = {"target": "streams", "timezone": "time zone", "at": "position", "name": "name"}


def _field(row: Argument) -> Field:
    default = "yes" if row.default is True else ""
    words = f"{row.help} ({'|'.join(row.choices)})" if row.choices else row.help
    label = _LABELS.get(row.field) or (row.flag.removeprefix("--") or row.title.lower()).replace("-", " ")
    return Field(
        row.field, row.flag, label, words, row.required, row.kind == "switch", row.kind == "list", default, row.negative
    )

"""`JobScreen`: one job as a whole, live while it runs: facts, course, every warning; and what may be done with it.

Flows in: status documents, as the beat, and what the engine knows of the job; of the warnings only those that are not
here yet. Drawing thread.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import ClassVar

from textual.app import ComposeResult
from textual.binding import Binding, BindingType
from textual.containers import Horizontal

from engine.contract import operations as ops
from engine.contract.status import Status
from engine.contract.steering import JobDetail, ReadJob, SteerResult
from screens import jobfacts, view
from screens.desk import Desk, Problem
from screens.live import JobKeys
from screens.text import Line, Row, Span, clean, fit, line_of
from screens.widgets.command_bar import CommandBar
from screens.widgets.keyline import KeyLine
from screens.widgets.rows import Lines, Rows

LINES_A_TIME = 500


class JobScreen(JobKeys):
    """One job. Escape leads back."""

    AUTO_FOCUS = "#job"
    HORIZONTAL_BREAKPOINTS = [(0, "-narrow"), (132, "-wide")]  # noqa: RUF012
    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("escape,backspace,q", "back", "Back", key_display="esc"),
        *JobKeys.JOB_BINDINGS,
        Binding("s", "snapshot", "Snapshot"),
    ]

    def __init__(self, desk: Desk, status: Status, job: str) -> None:
        super().__init__(desk)
        self._status = status
        self._job = job
        self._detail: JobDetail | None = None
        self._warnings: list[str] = []
        self._problem = ""
        self._is_asking = False
        self._command = ("", "", "")  # operation and arguments, and the line that says the same
        self._notice = ""

    def compose(self) -> ComposeResult:
        """Status, title, facts with warnings, course."""
        yield Lines(id="top", fill=self._fill_top)
        yield Lines(id="title", fill=self._fill_title)
        with Horizontal(id="halves"):
            yield Rows(id="job", fill=self._fill_job)
            yield Rows(id="course", fill=self._fill_course)
        yield CommandBar(self._desk)
        yield KeyLine()

    def on_mount(self) -> None:
        """The list has the keys, though nothing in it is to be chosen: they scroll it."""
        self.query_one("#job", Rows).can_focus = True
        self._ask()

    # --- what flows in ---

    def apply(self, status: Status, *, notice: str = "") -> None:
        """See `LiveScreen.apply`."""
        self._status, self._notice = status, notice
        self._ask()
        self._refill()

    def _ask(self) -> None:
        detail = self._detail
        is_whole = detail is not None and view.is_ended(detail.job) and len(self._warnings) >= detail.lines_total
        if not self._is_asking and not is_whole:
            self._is_asking = True
            self._desk.ask(ReadJob(job=self._job, offset=len(self._warnings), limit=LINES_A_TIME), self._answered)

    def _answered(self, answer: ops.Result | Problem) -> None:
        self._is_asking = False
        if not self.is_attached:
            return
        if isinstance(answer, Problem):
            self._problem = clean(answer.line)
        elif isinstance(answer, JobDetail):
            self._take(answer)
        self._refill()

    def _take(self, detail: JobDetail) -> None:
        before, self._detail, self._problem = self._detail, detail, ""
        if before is None or before.job.state != detail.job.state:
            self.refresh_bindings()
        if detail.lines_total < len(self._warnings):
            self._warnings.clear()  # another attempt has begun to count anew
        elif detail.offset == len(self._warnings):
            self._warnings += detail.lines
        if (detail.operation, detail.arguments) != self._command[:2]:
            line = clean(self._desk.command_of(detail.operation, detail.arguments))
            self._command = (detail.operation, detail.arguments, line)
        if len(self._warnings) < detail.lines_total:
            self._ask()

    def _refill(self) -> None:
        for rows in self.query(Rows):
            rows.refill()

    # --- panels ---

    def _fill_top(self, rows: Rows) -> None:
        rows.show_lines((view.status_line(self._status, rows.text_width, notice=self._notice),))

    def _fill_title(self, rows: Rows) -> None:
        words = f"job {clean(self._job)[:12]}" if self._detail is None else jobfacts.job_title(self._detail.job)
        parts = [Span(f" {words}", "strong")]
        if self.doing:
            parts.append(Span(f" · {self.doing}", "accent"))
        if self._problem:
            parts.append(Span(f" · ✗ {self._problem}", "critical"))
        rows.show_lines((fit(tuple(parts), rows.text_width),))

    def _fill_job(self, rows: Rows) -> None:
        detail, width = self._detail, rows.text_width
        if detail is None:
            rows.show_lines((line_of(Span("reading …", "dim")),))
            return
        lines = list(jobfacts.fact_lines(detail, view.now_ns(self._status), width, command=self._command[2]))
        if not self.query_one("#course").display:
            lines += [(), _heading("Course"), *jobfacts.course_lines(detail.history, width)]
        lines += [(), _heading(jobfacts.warnings_title(detail))] if detail.job.warnings else []
        for words in self._warnings:
            lines += jobfacts.warning_lines(words, width)
        rows.show([Row("", line) for line in lines])

    def _fill_course(self, rows: Rows) -> None:
        if self._detail is not None:
            course = jobfacts.course_lines(self._detail.history, rows.text_width)
            rows.show_lines((_heading("Course"), *course))

    # --- keys ---

    def targets(self) -> Mapping[str, str]:
        """See `JobKeys.targets`: this one."""
        if self._detail is None:
            return {}
        job = self._detail.job
        return {job.id: f"{job.kind} of {clean(job.wedding)}, {job.state}"}

    def steered(self, result: SteerResult | None) -> None:
        """See `JobKeys.steered`."""
        if self.is_attached:
            self._ask()
            self._refill()

    def check_action(self, action: str, parameters: tuple[object, ...]) -> bool | None:
        """Keys that lead nowhere with a job as it stands are not offered."""
        if self._detail is None:
            return action not in ("cancel", "classify", "steer", "snapshot")
        job = self._detail.job
        may = {
            "cancel": not view.is_ended(job),
            "classify": not view.is_ended(job),
            "pause": job.state in ("queued", "running"),
            "resume": job.state == "paused",
            "retry": job.state in ("failed", "cancelled", "interrupted", "warnings") or job.retry_ns is not None,
            "snapshot": bool(job.snapshot),
        }
        return may.get(str(parameters[0]) if action == "steer" else action, True)

    def action_snapshot(self) -> None:
        """What the snapshot of this job holds."""
        if self._detail is not None:
            job = self._detail.job
            self._desk.request(ops.Browse(wedding=job.wedding, snapshot=job.snapshot))

    def action_back(self) -> None:
        """Back to where it was opened."""
        self.dismiss()


def _heading(words: str) -> Line:
    return line_of(Span(words, "accent"))

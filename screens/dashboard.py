"""`DashboardScreen`: every wedding's safety, every job, the pace, and what needs a person, on one screen.

Flows in: frozen status documents and events, a few times a second. Flows out: operations, asked of the desk.
Each panel knows how to fill itself from the newest document, and does so on a new one and when its box changes
size; panels a small terminal hides cost nothing. Drawing thread.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Sequence
from typing import ClassVar

from textual.app import ComposeResult
from textual.binding import Binding, BindingType
from textual.containers import Horizontal, Vertical
from textual.screen import Screen

from engine.base.units import format_rate, format_span
from engine.contract import operations as ops
from engine.contract.events import Event
from engine.contract.status import JobRow, Status
from screens import classes, gauges, trail, view
from screens.desk import Desk
from screens.notes import Notes, NotesScreen
from screens.text import Line, Span, fit, line_of
from screens.widgets.chart import Chart
from screens.widgets.command_bar import CommandBar
from screens.widgets.keyline import KeyLine
from screens.widgets.plot import Frame, Symbols, window_words
from screens.widgets.rows import Lines, Rows

LOG_LINES = 200
TRAIL_SAMPLES = 3_600
SECOND_NS = 10**9


class DashboardScreen(Screen[None]):
    """The first screen, and the last one to leave."""

    AUTO_FOCUS = "#weddings"
    HORIZONTAL_BREAKPOINTS = [(0, "-tiny"), (70, "-narrow"), (100, "-medium"), (160, "-wide")]  # noqa: RUF012
    VERTICAL_BREAKPOINTS = [(0, "-flat"), (20, "-short"), (32, "-normal"), (45, "-tall")]  # noqa: RUF012
    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("colon", "line", "Command", key_display=":"),
        Binding("b", "backup", "Back up"),
        Binding("r", "retrieve", "Retrieve"),
        Binding("v", "verify", "Verify"),
        Binding("a", "add", "Add wedding"),
        Binding("i", "init", "Make repository"),
        Binding("s", "snapshots", "Snapshots", show=False),
        Binding("w", "weddings", "Weddings", show=False),
        Binding("c", "scale", "Streams", show=False),
        Binding("x", "cancel", "Cancel job", show=False),
        Binding("J", "jobs", "All jobs", key_display="J"),
        Binding("S", "storage", "Storage", key_display="S"),
        Binding("C", "scaling", "Scaling", key_display="C"),
        Binding("1", "go('weddings')", "Weddings", show=False),
        Binding("2", "go('jobs')", "Jobs", show=False),
        Binding("plus,equals_sign", "window(-1)", "Shorter", show=False),
        Binding("minus", "window(1)", "Longer", show=False),
        Binding("n", "notes", "Needs you, log", show=False),
        Binding("p", "pause", "Pause", show=False),
        Binding("z", "zoom", "Zoom", show=False),
    ]

    def __init__(self, desk: Desk, *, symbols: Symbols = "braille") -> None:
        super().__init__()
        self._desk = desk
        self._symbols = symbols
        self._status: Status | None = None
        self._trail: deque[trail.Spread] = deque(maxlen=TRAIL_SAMPLES)
        self._log: deque[Line] = deque(maxlen=LOG_LINES)
        self._zoom = 0  # how many windows longer (or, below zero, shorter) than the one that suits the width
        self._notice = ""
        self.is_paused = False

    def compose(self) -> ComposeResult:
        """All panels; the style sheet decides which of them a terminal has room for."""
        yield Lines(id="top", fill=self._fill_top)
        with Horizontal(id="board"):
            with Vertical(id="main"):
                yield Rows(id="weddings", fill=self._fill_weddings, choosable=True)
                yield Rows(id="jobs", fill=self._fill_jobs, choosable=True)
                with Horizontal(id="speed"):
                    yield Chart(id="throughput", fill=self._fill_throughput)
                    yield Lines(id="pace", fill=self._fill_pace)
            with Vertical(id="side"):
                yield Chart(id="latency", fill=self._fill_latency)
                yield Lines(id="initiation", fill=self._fill_initiation)
                yield Lines(id="classes", fill=self._fill_classes)
                yield Rows(id="stages", fill=self._fill_stages)
                yield Lines(id="storage", fill=self._fill_storage)
                yield Lines(id="streams", fill=self._fill_streams)
                yield Lines(id="machine", fill=self._fill_machine)
        with Horizontal(id="foot"):
            yield Lines(id="attention", fill=self._fill_attention)
            yield Lines(id="log", fill=self._fill_log)
        yield CommandBar(self._desk)
        yield KeyLine()

    def on_mount(self) -> None:
        """Name the panels."""
        for name, title in _TITLES.items():
            self.query_one(f"#{name}").border_title = title

    # --- what flows in ---

    def apply(self, status: Status, events: Sequence[Event] = (), *, notice: str = "") -> None:
        """Show a document, and the events since the one before. While paused only the notice changes."""
        for event in events:
            self._log.append(view.event_line(event))
        self._notice = notice
        if not self.is_paused or self._status is None:
            is_other = self._status is None or self._status.status != status.status
            self._status = status
            self._remember(status)
            if is_other:  # other keys lead somewhere now
                self.refresh_bindings()
        self._refill()

    def note(self, line: Line) -> None:
        """Add a line to the log."""
        self._log.append(line)
        self.query_one("#log", Rows).refill()

    def _remember(self, status: Status) -> None:
        spread, now = status.performance.initiation, view.now_ns(status)
        if spread.count and (not self._trail or now - self._trail[-1].time_ns >= SECOND_NS):
            self._trail.append(trail.Spread(now, spread.p50_s, spread.p95_s, spread.p99_s))

    def _refill(self) -> None:
        for panel in self.query(Rows):
            panel.refill()

    # --- panels ---

    def _fill_top(self, rows: Rows) -> None:
        if self._status is not None:
            notice = " ".join(filter(None, ("PAUSED" if self.is_paused else "", self._notice)))
            rows.show_lines((view.status_line(self._status, rows.text_width, notice=notice),))

    def _fill_weddings(self, rows: Rows) -> None:
        if self._status is None:
            return
        rows.head(view.weddings_heading(self._status))
        shown = view.wedding_rows(self._status, rows.text_width)
        if shown:
            rows.show(shown)
        else:
            rows.show_lines(view.weddings_empty(self._status))

    def _fill_jobs(self, rows: Rows) -> None:
        if self._status is None:
            return
        rows.head(view.jobs_heading(self._status))
        shown = view.job_rows(self._status, rows.text_width)
        if shown:
            rows.show(shown)
        else:
            rows.show_lines(view.jobs_empty(self._status))

    def _fill_throughput(self, chart: Chart) -> None:
        status = self._status
        if status is None:
            return
        now, window_s = view.now_ns(status), self._window_s(chart)
        frame = Frame(format_rate, window_s, self._symbols)
        history = status.performance.history
        chart.head(f"last {window_words(window_s)}")
        chart.plot(
            lambda count: trail.throughput(status.performance, now=now, window_s=window_s, count=count),
            frame,
            key=(now // SECOND_NS, history[-1].time_ns if history else 0),
        )

    def _fill_latency(self, chart: Chart) -> None:
        status = self._status
        if status is None:
            return
        now, window_s = view.now_ns(status), self._window_s(chart)
        frame = Frame(format_span, window_s, self._symbols)
        chart.head(f"as seen here, last {window_words(window_s)}")
        chart.plot(
            lambda count: trail.initiation(self._trail, now=now, window_s=window_s, count=count),
            frame,
            key=(now // SECOND_NS, len(self._trail)),
        )

    def _window_s(self, chart: Chart) -> float:
        """The shortest window in which a column of dots is a sample or more; the zoom moves on from there."""
        samples = chart.samples(self._symbols)
        suits = next((at for at, span in enumerate(trail.WINDOWS_S) if span >= samples * 0.8), len(trail.WINDOWS_S) - 1)
        return trail.WINDOWS_S[min(max(0, suits + self._zoom), len(trail.WINDOWS_S) - 1)]

    def _fill_pace(self, rows: Rows) -> None:
        if self._status is not None:
            rows.show_lines(gauges.pace_lines(self._status, rows.text_width))

    def _fill_initiation(self, rows: Rows) -> None:
        if self._status is not None:
            rows.head(gauges.initiation_heading(self._status.performance.initiation))
            rows.show_lines(gauges.initiation_lines(self._status.performance.initiation, rows.text_width))

    def _fill_classes(self, rows: Rows) -> None:
        if self._status is not None:
            rows.show_lines(classes.class_lines(self._status, rows.text_width))

    def _fill_stages(self, rows: Rows) -> None:
        if self._status is not None:
            rows.head(gauges.stages_heading(self._status))
            rows.show_lines(gauges.stage_lines(self._status, rows.text_width))

    def _fill_storage(self, rows: Rows) -> None:
        if self._status is not None:
            rows.show_lines(gauges.storage_lines(self._status, rows.text_width))

    def _fill_streams(self, rows: Rows) -> None:
        if self._status is not None:
            rows.show_lines(gauges.streams_lines(self._status.auto_scaling, rows.text_width, rows.size.height))

    def _fill_machine(self, rows: Rows) -> None:
        if self._status is not None:
            rows.head(gauges.uptime(self._status, view.now_ns(self._status)))
            rows.show_lines(gauges.machine_lines(self._status, rows.text_width))

    def _fill_attention(self, rows: Rows) -> None:
        if self._status is None:
            return
        lines = view.attention_lines(self._status) or (line_of(Span("● Nothing needs you now.", "ok")),)
        more = len(lines) - rows.size.height
        if more > 0:
            counted = Span(f"  +{more} more", "dim")
            last = rows.size.height - 1
            lines = (*lines[:last], (*fit(lines[last], rows.text_width - len(counted.text)), counted))
        rows.show_lines([fit(line, rows.text_width) for line in lines])

    def _fill_log(self, rows: Rows) -> None:
        lines = list(self._log)[-rows.size.height :] or [line_of(Span("Nothing has happened yet.", "dim"))]
        rows.show_lines([fit(line, rows.text_width) for line in lines])

    # --- keys ---

    def check_action(self, action: str, parameters: tuple[object, ...]) -> bool | None:
        """Keys that lead nowhere now are not offered."""
        has_repository = self._status is None or self._status.status != "no-repository"
        if action == "init":
            return not has_repository
        if action in ("backup", "retrieve", "verify", "add"):
            return has_repository
        return True

    @property
    def marked_wedding(self) -> str:
        """The wedding under the mark, or of the job under it."""
        if self.focused is not None and self.focused.id == "jobs":
            job = self._marked_job()
            if job is not None:
                return job.wedding
        return self.query_one("#weddings", Rows).cursor_key

    def _marked_job(self) -> JobRow | None:
        key = self.query_one("#jobs", Rows).cursor_key
        return next((job for job in self._status.jobs if job.id == key), None) if self._status else None

    def on_rows_chosen(self, event: Rows.Chosen) -> None:
        """Enter: a wedding shows its snapshots, a job what is known of it."""
        if event.rows.id == "weddings":
            self._desk.request(ops.ListSnapshots(wedding=event.key))
        elif event.rows.id == "jobs":
            self._desk.open_job(event.key)

    def action_line(self) -> None:
        """The command line."""
        self._desk.open_line()

    def action_backup(self) -> None:
        """The form for a backup of the marked wedding."""
        self._desk.open_form("start_backup", {"wedding": self.marked_wedding})

    def action_retrieve(self) -> None:
        """The form for getting the marked wedding back."""
        self._desk.open_form("retrieve_wedding_data", {"wedding": self.marked_wedding})

    def action_verify(self) -> None:
        """Verify the marked wedding; the report comes when it is ready."""
        if self.marked_wedding:
            self._desk.request(ops.Verify(wedding=self.marked_wedding))

    def action_scale(self) -> None:
        """The form for more or fewer streams."""
        self._desk.open_form("scale_infrastructure", {})

    def action_add(self) -> None:
        """The form for a new wedding."""
        self._desk.open_form("wedding_add", {})

    def action_init(self) -> None:
        """Make the repository."""
        self._desk.request(ops.InitRepository())

    def action_snapshots(self) -> None:
        """Snapshots of the marked wedding."""
        if self.marked_wedding:
            self._desk.request(ops.ListSnapshots(wedding=self.marked_wedding))

    def action_weddings(self) -> None:
        """The whole register."""
        self._desk.request(ops.ListWeddings())

    def action_jobs(self) -> None:
        """Every job, sorted and narrowed as one likes."""
        self._desk.open_jobs()

    def action_storage(self) -> None:
        """Where the bytes lie."""
        self._desk.open_storage()

    def action_scaling(self) -> None:
        """How many workers there are, why, and what they cost."""
        self._desk.open_scaling()

    def action_cancel(self) -> None:
        """Cancel the marked job, if it is not over."""
        job = self._marked_job()
        if job is not None and not view.is_ended(job):
            self._desk.request(ops.CancelJob(job=job.id))
        else:
            self.notify("mark a job that is not over (2 goes to the jobs)", markup=False)

    def action_notes(self) -> None:
        """All that needs a person, and the log."""

        def notes() -> Notes:
            return Notes(view.attention_lines(self._status) if self._status else (), tuple(self._log))

        self.app.push_screen(NotesScreen(notes))

    def action_go(self, name: str) -> None:
        """Give a list the focus."""
        self.query_one(f"#{name}").focus()

    def action_window(self, step: int) -> None:
        """Show a shorter or a longer time."""
        limit = len(trail.WINDOWS_S)
        self._zoom = min(max(-limit, self._zoom + step), limit)
        self._refill()

    def action_pause(self) -> None:
        """Stop and start the screen; the engine goes on."""
        self.is_paused = not self.is_paused
        self._refill()

    def action_zoom(self) -> None:
        """The focused panel alone, and back."""
        if self.maximized is not None:
            self.minimize()
        elif self.focused is not None:
            self.maximize(self.focused)


_TITLES = {
    "weddings": "1 Weddings", "jobs": "2 Jobs, J all", "throughput": "Throughput", "pace": "Now",
    "latency": "Start of jobs",
    "initiation": "Request to first sealed byte", "classes": "Classes", "stages": "What slows it", "storage": "Storage",
    "streams": "Streams", "machine": "This machine", "attention": "Needs you", "log": "Log",
}  # fmt: skip

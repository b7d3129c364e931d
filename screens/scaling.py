"""`ScalingScreen`: workers as they were, are and are forecast; why, what it costs, whether the next weddings fit.

Flows in: status documents; the answers of `scaling`, `cost` and `readiness`, asked for when it opens, every 15 s while
it is on top, and when the number has changed. Flows out: operations. Drawing thread.
"""

from __future__ import annotations

from typing import ClassVar

from textual.app import ComposeResult
from textual.binding import Binding, BindingType
from textual.containers import Horizontal

from engine.contract.costs import CostReport, ReadCost
from engine.contract.decisions import ReadScaling, ScalingReport
from engine.contract.operations import Operation, Result
from engine.contract.readying import CheckReadiness, ReadinessReport
from engine.contract.status import Status
from screens import horizon, view, workers
from screens.desk import Desk, Problem
from screens.live import LiveScreen
from screens.text import Line, Span, fit
from screens.widgets.chart import Chart
from screens.widgets.command_bar import CommandBar
from screens.widgets.keyline import KeyLine
from screens.widgets.plot import Symbols
from screens.widgets.rows import Lines, Rows

ASK_AGAIN_S = 15.0
_LEFT: tuple[workers.Part, ...] = (workers.now_lines, workers.group_lines, workers.decision_lines)
_RIGHT: tuple[workers.Part, ...] = (workers.readiness_lines, workers.cost_lines)


class ScalingScreen(LiveScreen):
    """How many workers there are, and why. Escape leads back."""

    AUTO_FOCUS = "#words"
    HORIZONTAL_BREAKPOINTS = [(0, "-narrow"), (160, "-wide")]  # noqa: RUF012
    VERTICAL_BREAKPOINTS = [(0, "-flat"), (20, "-short"), (32, "-normal"), (45, "-tall")]  # noqa: RUF012
    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("escape,backspace,q", "back", "Back", key_display="esc"),
        Binding("c", "scale", "Change"),
        Binding("a", "run('scale auto')", "Auto"),
        Binding("f", "run('forecast')", "Forecast"),
        Binding("r", "run('readiness')", "Ready?"),
        Binding("b", "run('cost')", "Bill"),
        Binding("plus,equals_sign", "window(-1)", "Shorter", show=False),
        Binding("minus", "window(1)", "Longer", show=False),
        Binding("colon", "line", "Command", key_display=":"),
    ]

    def __init__(self, desk: Desk, status: Status, *, symbols: Symbols = "braille") -> None:
        super().__init__()
        self._desk = desk
        self._status = status
        self._symbols = symbols
        self._notice = ""
        self._zoom = horizon.USUAL
        self._answers = workers.Answers()
        self._problems: dict[str, str] = {}
        self._under_way: set[str] = set()
        self._answer = 0  # counts the answers, so that a chart knows a new one
        self._asked_ns = 0  # by the documents' time
        self._asked_for: object = None  # the number of workers that was asked about last

    def compose(self) -> ComposeResult:
        """Status, title, charts with marks below, words."""
        yield Lines(id="top", fill=self._fill_top)
        yield Lines(id="title", fill=self._fill_title)
        yield Chart(id="workers", fill=self._fill_workers)
        yield Lines(id="marks", fill=self._fill_marks)
        yield Chart(id="queue", fill=self._fill_queue)
        with Horizontal(id="halves"):
            yield Rows(id="words", fill=self._fill_words)
            yield Rows(id="more", fill=self._fill_more)
        yield CommandBar(self._desk)
        yield KeyLine()

    def on_mount(self) -> None:
        """Nothing is to be chosen, but the keys scroll."""
        self.query_one("#words", Rows).can_focus = True
        self._ask()
        self.set_interval(ASK_AGAIN_S, self._ask_again)

    # --- what flows in ---

    def apply(self, status: Status, *, notice: str = "") -> None:
        """See `LiveScreen.apply`."""
        self._status, self._notice = status, notice
        if self.is_current and self._is_other():
            self._ask_scaling()
        self._refill()

    def _is_other(self) -> bool:
        """Whether the number is not the one that was answered: the autoscaler looks at it once a second."""
        report = self._answers.scaling
        is_behind = (
            report is not None
            and report.of == "streams"
            and report.workers != self._status.auto_scaling.streams
            and view.now_ns(self._status) - self._asked_ns >= view.SECOND_NS
        )
        return is_behind or self._number() != self._asked_for

    def _number(self) -> object:
        scaling = self._status.auto_scaling
        return scaling.mode, scaling.target, scaling.until_ns

    def _ask_again(self) -> None:
        if self.is_current:
            self._ask()

    def _ask(self) -> None:
        self._ask_scaling()
        self._ask_for("cost", ReadCost())
        self._ask_for("readiness", CheckReadiness())

    def _ask_scaling(self) -> None:
        if "scaling" in self._under_way:
            return
        self._asked_for, self._asked_ns = self._number(), view.now_ns(self._status)
        self._ask_for("scaling", ReadScaling(hours=self._window.back))

    def _ask_for(self, part: str, operation: Operation) -> None:
        if part not in self._under_way:
            self._under_way.add(part)
            self._desk.ask(operation, lambda answer: self._answered(part, answer))

    def _answered(self, part: str, answer: Result | Problem) -> None:
        self._under_way.discard(part)
        self._problems.pop(part, None)
        self._answer += 1
        match answer:
            case ScalingReport():
                self._answers = self._answers._replace(scaling=answer)
            case CostReport():
                self._answers = self._answers._replace(cost=answer)
            case ReadinessReport():
                self._answers = self._answers._replace(readiness=answer)
            case Problem(line=line):
                self._problems[part] = line
        self._answers = self._answers._replace(problems=tuple(self._problems.items()))
        if self.is_attached:
            self._refill()

    def _refill(self) -> None:
        for rows in self.query(Rows):
            rows.refill()

    # --- what is shown ---

    @property
    def _window(self) -> horizon.Window:
        return horizon.WINDOWS[self._zoom]

    def _fill_top(self, rows: Rows) -> None:
        rows.show_lines((view.status_line(self._status, rows.text_width, notice=self._notice),))

    def _fill_title(self, rows: Rows) -> None:
        back, ahead = self._window
        words = f" · the last {back} hours, and the forecast of the next {ahead}"
        problem = self._problems.get("scaling", "")
        stale = Span(f" · ✗ {problem}", "critical") if problem and self._answers.scaling is not None else Span("")
        rows.show_lines((fit((Span(" scaling", "strong"), Span(words, "dim"), stale), rows.text_width),))

    def _fill_workers(self, chart: Chart) -> None:
        self._plot(chart, horizon.workers)

    def _fill_queue(self, chart: Chart) -> None:
        self._plot(chart, horizon.queue)

    def _plot(self, chart: Chart, source: horizon.Source) -> None:
        report = self._answers.scaling
        if report is None:
            return
        columns = horizon.Columns.of(self._window, now=view.now_ns(self._status), count=chart.samples(self._symbols))
        frame = self._window.frame(horizon.whole, self._symbols)
        chart.plot(lambda _: source(report, columns), frame, key=(self._answer, columns))

    def _fill_marks(self, rows: Rows) -> None:
        report = self._answers.scaling
        decisions = report.decisions if report is not None else ()
        rows.show_lines(horizon.mark_lines(self._status, decisions, self._window, rows.text_width))

    def _fill_words(self, rows: Rows) -> None:
        is_alone = not self.query_one("#more").display
        self._fill(rows, (*_LEFT[:1], _RIGHT[0], *_LEFT[1:], *_RIGHT[1:]) if is_alone else _LEFT)

    def _fill_more(self, rows: Rows) -> None:
        self._fill(rows, _RIGHT)

    def _fill(self, rows: Rows, parts: tuple[workers.Part, ...]) -> None:
        lines: list[Line] = []
        for part in parts:
            words = part(self._status, self._answers, rows.text_width)
            lines += [*([()] if lines and words else []), *words]
        rows.show_lines(lines)

    # --- keys ---

    def action_scale(self) -> None:
        """Another number, and until when."""
        self._desk.open_form("scale_infrastructure", {})

    def action_run(self, line: str) -> None:
        """Run a line of the palette; what it shows opens over this screen."""
        self._desk.submit(line)

    def action_window(self, step: int) -> None:
        """Show a shorter or a longer time."""
        self._zoom = min(max(0, self._zoom + step), len(horizon.WINDOWS) - 1)
        self._under_way.discard("scaling")
        self._ask_scaling()
        self._refill()

    def action_line(self) -> None:
        """The command line."""
        self._desk.open_line()

    def action_back(self) -> None:
        """Back to where it was opened."""
        self.dismiss()

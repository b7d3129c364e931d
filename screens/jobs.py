"""`JobsScreen`: every job, sorted and narrowed as one likes, to look into or to act on, one or many.

Flows in: status documents, as the beat, and pages of the list, asked of the engine: what is on the screen and a box
above and below it, never the whole list. Asking never takes more than a tenth of the time. Flows out: operations.
Drawing thread.
"""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from typing import ClassVar

from textual.app import ComposeResult
from textual.binding import Binding, BindingType
from textual.events import Click
from textual.widgets import Input

from engine.contract import operations as ops
from engine.contract.status import Status
from engine.contract.steering import SteerResult
from screens import classes, jobrows, view
from screens.desk import Desk, Problem
from screens.live import JobKeys
from screens.text import Row, Span, clean, fit
from screens.widgets.command_bar import CommandBar
from screens.widgets.jobtable import JobTable, Page
from screens.widgets.keyline import KeyLine
from screens.widgets.rows import Lines, Rows

RESTS = 9  # times as long as an answer took, before the next is asked for by itself
PAGE_MIN = 60


class JobsScreen(JobKeys):
    """The list. Escape takes back the filter, then the marks, then leads back."""

    AUTO_FOCUS = "#table"
    HORIZONTAL_BREAKPOINTS = [(0, "-narrow"), (100, "-medium")]  # noqa: RUF012
    VERTICAL_BREAKPOINTS = [(0, "-flat"), (20, "-normal")]  # noqa: RUF012
    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("escape,backspace,q", "back", "Back", key_display="esc"),
        Binding("down", "to_table", "To the jobs", show=False),
        Binding("space", "mark", "Mark"),
        Binding("slash", "filter", "Filter", key_display="/"),
        Binding("s", "sort(1)", "Sort"),
        Binding("S", "reverse", "Turn round", key_display="S", show=False),
        *JobKeys.JOB_BINDINGS,
        Binding("a,asterisk", "mark_all", "Mark all", key_display="a"),
    ]

    def __init__(self, desk: Desk, status: Status, *, match: str = "") -> None:
        super().__init__(desk)
        self._status = status
        self._match = match
        self._sort = jobrows.SORTS[0]
        self._reverse = False
        self._marks: dict[str, str] = {}  # id → what it is called, where that is known
        self._newest: ops.JobPage | None = None
        self._problem = ""
        self._is_asking = self._asks_again = False
        self._rests_until_s = 0.0
        self._notice = ""

    def compose(self) -> ComposeResult:
        """Status, classes, what is shown, headings, jobs, filter."""
        yield Lines(id="top", fill=self._fill_top)
        yield Lines(id="classes", fill=self._fill_classes)
        yield Lines(id="title", fill=self._fill_title)
        yield Lines(id="heading", fill=self._fill_heading)
        yield JobTable(id="table", fill=self._fill_table, wants=self._want)
        yield Input(self._match, id="filter", placeholder="words that must stand there; !word must not", compact=True,
                    select_on_focus=False)  # fmt: skip
        yield CommandBar(self._desk)
        yield KeyLine()

    def on_mount(self) -> None:
        """The filter shows itself while it narrows something."""
        self._box.display = bool(self._match)
        self._box.cursor_blink = False

    @property
    def _box(self) -> Input:
        return self.query_one("#filter", Input)

    @property
    def _table(self) -> JobTable:
        return self.query_one("#table", JobTable)

    # --- what flows in ---

    def apply(self, status: Status, *, notice: str = "") -> None:
        """See `LiveScreen.apply`."""
        self._status, self._notice = status, notice
        if not self._is_asking and self._now_s() >= self._rests_until_s:
            self._ask()
        for rows in self.query(Lines):
            rows.refill()

    def _want(self) -> None:
        """Ask now, or once the answer that is under way has come."""
        if self._is_asking:
            self._asks_again = True
        else:
            self._ask()

    def _ask(self) -> None:
        table = self._table
        first, last = table.seen
        size = max(PAGE_MIN, 3 * (last - first))
        wanted = ops.ListJobs(
            match=self._match,
            sort=self._sort.key,
            reverse=self._reverse,
            offset=max(0, first - size // 3),
            limit=size,
            around=table.held if first <= table.cursor_row < last else "",
        )
        self._is_asking, started_s = True, self._now_s()
        self._desk.ask(wanted, lambda answer: self._answered(wanted, started_s, answer))

    def _answered(self, asked: ops.ListJobs, started_s: float, answer: ops.Result | Problem) -> None:
        self._is_asking = False
        self._rests_until_s = self._now_s() + RESTS * (self._now_s() - started_s)
        if not self.is_attached:
            return
        is_current = (asked.match, asked.sort, asked.reverse) == (self._match, self._sort.key, self._reverse)
        if isinstance(answer, Problem):
            self._problem = clean(answer.line)
        elif isinstance(answer, ops.JobPage) and is_current:
            self._problem, self._newest = "", answer
            self._show(asked.around)
        if self._asks_again or not is_current:
            self._asks_again = False
            self._ask()
        self.query_one("#title", Rows).refill()

    def _show(self, around: str = "") -> None:
        """Lay the newest page out; `around` is the job whose position it tells."""
        page, table = self._newest, self._table
        if page is None or not table.text_width:
            return
        if not page.total:
            table.show_none(jobrows.empty_lines(self._status, self._match))
            return
        now, width = view.now_ns(self._status), table.text_width
        lines = [Row(job.id, jobrows.job_line(job, now, width, is_marked=job.id in self._marks)) for job in page.jobs]
        shown = Page(page.offset, lines, page.total)
        table.show_page(shown, page.position if around and around == table.held else shown.position(table.held))

    def _now_s(self) -> float:
        return asyncio.get_running_loop().time()

    # --- panels ---

    def _fill_top(self, rows: Rows) -> None:
        rows.show_lines((view.status_line(self._status, rows.text_width, notice=self._notice),))

    def _fill_classes(self, rows: Rows) -> None:
        rows.show_lines(classes.class_lines(self._status, rows.text_width))

    def _fill_title(self, rows: Rows) -> None:
        page = self._newest
        counted = (
            "reading …"
            if page is None
            else f"{page.total:,}" + (f" of {page.known:,}" if page.total != page.known else "")
        )
        parts = [Span(f" Jobs {counted}", "strong")]
        parts += [Span(f" · {jobrows.sort_words(self._sort, reverse=self._reverse)}", "dim")]
        if self._marks:
            parts.append(Span(f" · {len(self._marks):,} marked", "accent"))
        if self.doing:
            parts.append(Span(f" · {self.doing}", "accent"))
        if self._problem:
            parts.append(Span(f" · ✗ {self._problem}", "critical"))
        slow = classes.bottleneck_words(self._status)
        right = f"slowed by {slow} " if slow and rows.text_width >= 100 else ""
        rows.show_lines(((*fit(tuple(parts), max(0, rows.text_width - len(right))), Span(right, "dim")),))

    def _fill_heading(self, rows: Rows) -> None:
        width = self._table.text_width or rows.text_width - 1
        rows.show_lines((jobrows.heading(self._sort, width, reverse=self._reverse),))

    def _fill_table(self, _rows: Rows) -> None:
        self._show()
        self._want()
        self.query_one("#heading", Rows).refill()

    # --- which jobs are meant ---

    def targets(self) -> Mapping[str, str]:
        """See `JobKeys.targets`: those marked, else the one under the mark."""
        if self._marks:
            return dict(self._marks)
        key = self._table.cursor_key
        return {key: self._called().get(key, "")} if key else {}

    def _called(self) -> Mapping[str, str]:
        """What the jobs of the page are called, by id."""
        rows = self._newest.jobs if self._newest is not None else ()
        return {job.id: f"{job.kind} of {clean(job.wedding)}, {job.state}" for job in rows}

    def steered(self, result: SteerResult | None) -> None:
        """See `JobKeys.steered`: marks have served, unless it failed."""
        if result is not None:
            self._marks.clear()
        if self.is_attached:
            self._show()
            self._want()
            self.query_one("#title", Rows).refill()

    def action_cancel(self) -> None:
        """See `JobKeys.action_cancel`. Of marked jobs that the filter hides, the question tells."""
        targets = self.targets()
        if not self._marks or not self._match:
            self.ask_cancel(targets)
            return

        def take(answer: ops.Result | Problem) -> None:
            listed = set(answer.ids) if isinstance(answer, ops.JobPage) else set()
            hidden = len(targets.keys() - listed)
            self.ask_cancel(
                targets,
                caution=f"▲ {hidden:,} of them {'is' if hidden == 1 else 'are'} not shown by the filter."
                if hidden
                else "",
            )

        self._desk.ask(ops.ListJobs(match=self._match, ids=True), take)

    def action_to_table(self) -> None:
        """From the filter to the jobs."""
        self._table.focus()

    def action_mark(self) -> None:
        """Mark this job, or take its mark off, and go to the next."""
        key = self._table.cursor_key
        if key in self._marks:
            del self._marks[key]
        elif key:
            self._marks[key] = self._called().get(key, "")
        self._marks_changed()
        self._table.action_move(1)

    def action_mark_all(self) -> None:
        """Mark all jobs that are listed, seen or not; again: none of them."""
        wanted = ops.ListJobs(match=self._match, sort=self._sort.key, reverse=self._reverse, ids=True)

        def take(answer: ops.Result | Problem) -> None:
            if not isinstance(answer, ops.JobPage):
                return
            listed = dict.fromkeys(answer.ids)
            if listed and listed.keys() <= self._marks.keys():
                self._marks = {key: words for key, words in self._marks.items() if key not in listed}
            else:
                called = self._called()
                self._marks = {**{key: called.get(key, "") for key in listed}, **self._marks}
            if self.is_attached:
                self._marks_changed()

        self._desk.ask(wanted, take)

    def _marks_changed(self) -> None:
        self._show()
        self.query_one("#title", Rows).refill()

    # --- keys ---

    def on_rows_chosen(self, event: Rows.Chosen) -> None:
        """Look into a job."""
        self._desk.open_job(event.key)

    def action_sort(self, by: int) -> None:
        """By the next column."""
        at = jobrows.SORTS.index(self._sort)
        self._sort_by(jobrows.SORTS[(at + by) % len(jobrows.SORTS)], reverse=False)

    def action_reverse(self) -> None:
        """The other way round."""
        self._sort_by(self._sort, reverse=not self._reverse)

    def _sort_by(self, sort: jobrows.Sort, *, reverse: bool) -> None:
        self._sort, self._reverse = sort, reverse
        self._want()
        for name in ("#title", "#heading"):
            self.query_one(name, Rows).refill()

    def on_click(self, event: Click) -> None:
        """A click on a title sorts by its column; again: the other way round."""
        if isinstance(event.widget, Rows) and event.widget.id == "heading":
            sort = jobrows.sort_at(event.x, self._table.text_width)
            if sort is not None:
                self._sort_by(sort, reverse=sort == self._sort and not self._reverse)

    def action_filter(self) -> None:
        """Open the filter."""
        self._box.display = True
        self._box.focus()

    def on_input_changed(self, event: Input.Changed) -> None:
        """Narrow as it is typed."""
        if event.input is self._box and event.value != self._match:
            self._match = event.value
            self._want()

    def on_input_submitted(self, event: Input.Submitted) -> None:
        """Keep the filter and go to the jobs."""
        if event.input is self._box:
            self._box.display = bool(self._match)
            self._table.focus()

    def action_back(self) -> None:
        """Take back the filter, then the marks, then go."""
        if self._box.display:
            self._box.value = ""
            self._box.display = False
            self._table.focus()
        elif self._marks:
            self._marks.clear()
            self._marks_changed()
        else:
            self.dismiss()

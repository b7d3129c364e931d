"""`ResultScreen`: what an operation gave back, as facts and a table to scroll, filter and open rows of.

Flows in: a `Sheet` and the operation it answers. Flows out: the operation that shows what is inside a row.
Only visible rows are laid out, so ten thousand cost no more than forty. Drawing thread.
"""

from __future__ import annotations

from typing import ClassVar

from textual.app import ComposeResult
from textual.binding import Binding, BindingType
from textual.screen import Screen
from textual.widgets import Input

from engine.base.units import format_count
from engine.contract.operations import Operation
from screens.desk import Desk
from screens.tables import Sheet, inside
from screens.text import Column, Line, Role, Row, Span, cell_len, fit, lay_out, line_of
from screens.widgets.command_bar import CommandBar
from screens.widgets.keyline import KeyLine
from screens.widgets.rows import Rows

WIDTH_SAMPLE = 5_000  # rows at either end that are measured for the width of a column
WIDTH_MAX = 48  # cells, for all but the widest column of a table
WIDTH_UNKNOWN = 10_000  # before the box has a size


class SheetRows(Rows):
    """The rows of a sheet."""

    def __init__(self, sheet: Sheet, *, id: str | None = None) -> None:
        super().__init__(choosable=True, id=id)
        self._sheet = sheet
        self._natural = _widths(sheet)
        self._columns: tuple[Column, ...] = ()
        self.set_widths(WIDTH_UNKNOWN)
        self.show(tuple(Row(str(index), ()) for index in range(len(sheet.rows))))

    def on_resize(self) -> None:
        """Give the widest column what room is left, or scroll sideways."""
        self.set_widths(self.text_width)
        self.refresh()

    def set_widths(self, width: int) -> None:
        """Set the widths of the columns for a box of `width` cells."""
        sizes = list(self._natural)
        if sizes:
            widest = max(range(len(sizes)), key=sizes.__getitem__)
            others = sum(sizes) - sizes[widest] + 2 * (len(sizes) - 1)
            sizes[widest] = max(min(sizes[widest], 20), min(sizes[widest], width - others))
        self._columns = tuple(
            Column(size, right=head.right, keep_end=head.title == "path")
            for size, head in zip(sizes, self._sheet.heads, strict=True)
        )
        self._measure()

    def line_width(self) -> int:
        """See `Rows.line_width`."""
        return sum(column.width + 2 for column in self._columns)

    def heading(self) -> Line:
        """The titles of the columns."""
        return (Span(" "), *self._laid_out([Span(head.title, "dim") for head in self._sheet.heads]))

    def line_at(self, index: int) -> Line:
        """See `Rows.line_at`."""
        cells = self._sheet.rows[int(self._rows[index].key)]
        return self._laid_out([Span(cell) for cell in cells])

    def _laid_out(self, cells: list[Span]) -> Line:
        return lay_out([line_of(cell) for cell in cells], self._columns, [column.width for column in self._columns])

    def filter(self, text: str) -> None:
        """Show only rows with `text` in a cell, whatever its case."""
        wanted = text.casefold()
        kept = (index for index, row in enumerate(self._sheet.rows) if any(wanted in cell.casefold() for cell in row))
        self.show(tuple(Row(str(index), ()) for index in kept))
        self.refresh()


def _widths(sheet: Sheet) -> tuple[int, ...]:
    sample = sheet.rows[:WIDTH_SAMPLE] + sheet.rows[WIDTH_SAMPLE:][-WIDTH_SAMPLE:]
    widths = [
        max([cell_len(head.title), *(cell_len(row[index]) for row in sample)]) for index, head in enumerate(sheet.heads)
    ]
    widest = max(widths, default=0)
    return tuple(width if width == widest else min(width, WIDTH_MAX) for width in widths)


class ResultScreen(Screen[None]):
    """One result. Escape goes back to where it was asked for."""

    AUTO_FOCUS = "#sheet"
    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("escape,backspace,q", "back", "Back", key_display="esc"),
        Binding("enter", "open", "Open"),
        Binding("slash", "filter", "Filter", key_display="/"),
        Binding("r", "again", "Read again"),
        Binding("colon", "line", "Command", key_display=":"),
    ]

    def __init__(self, desk: Desk, operation: Operation, sheet: Sheet) -> None:
        super().__init__()
        self._desk = desk
        self._operation = operation
        self._sheet = sheet

    def compose(self) -> ComposeResult:
        """Title, facts, heading, rows."""
        yield Rows(id="title", fill=self._fill_title)
        yield Rows(id="facts", fill=self._fill_facts)
        yield Rows(id="heading", fill=self._fill_heading)
        yield SheetRows(self._sheet, id="sheet")
        yield Input(id="filter", placeholder="show rows with …", compact=True)
        yield CommandBar(self._desk)
        yield KeyLine()

    def on_mount(self) -> None:
        """Facts take what room they need, and a screen without a table all of it."""
        count = len(self._sheet.facts) + len(self._sheet.warnings)
        facts = self.query_one("#facts", Rows)
        facts.display = count > 0
        facts.can_focus = not self._sheet.rows
        facts.styles.height = count if self._sheet.rows else "1fr"
        facts.styles.max_height = "40%" if self._sheet.rows else "100%"
        self.query_one("#sheet").display = bool(self._sheet.rows) or not count
        self.query_one("#heading").display = bool(self._sheet.rows)
        self.query_one("#filter").display = False
        if not self._sheet.rows:
            facts.focus()

    @property
    def _rows(self) -> SheetRows:
        return self.query_one("#sheet", SheetRows)

    def _fill_title(self, rows: Rows) -> None:
        total, shown = len(self._sheet.rows), self._rows.count
        counted = f"{shown:,} of {total:,} rows" if shown != total else format_count(total, "row")
        words = counted if total else "" if self._sheet.facts else "nothing to show"
        title = line_of(Span(f": {self._sheet.title}", "strong"))
        room = max(0, rows.text_width - len(words))
        rows.show_lines(((*fit(title, room), Span(words, "dim")),))

    def _fill_facts(self, rows: Rows) -> None:
        width = max((len(label) for label, _ in self._sheet.facts), default=0) + 2
        lines = [fit(line_of(Span(f"▲ {words}", "warning")), rows.text_width) for words in self._sheet.warnings]
        for label, words in self._sheet.facts:
            role: Role = "critical" if label == "problem" else "plain"
            lines.append(fit((Span(label.ljust(width), "dim"), Span(words, role)), rows.text_width))
        rows.show_lines(lines)

    def _fill_heading(self, rows: Rows) -> None:
        sheet = self._rows
        sheet.set_widths(sheet.text_width or rows.text_width)
        rows.show_lines((sheet.heading(),))

    # --- keys ---

    def on_rows_chosen(self, event: Rows.Chosen) -> None:
        """Show what is inside the row, where something is."""
        wanted = inside(self._operation, self._sheet.sources[int(event.key)])
        if wanted is not None:
            self._desk.request(wanted)

    def action_open(self) -> None:
        """Enter, wherever the focus is."""
        self._rows.action_choose()

    def action_filter(self) -> None:
        """Open the filter."""
        box = self.query_one("#filter", Input)
        box.display = True
        box.cursor_blink = False
        box.focus()

    def on_input_changed(self, event: Input.Changed) -> None:
        """Filter as it is typed."""
        self._rows.filter(event.value)
        self.query_one("#title", Rows).refill()

    def on_input_submitted(self) -> None:
        """Keep the filter and go to the rows."""
        self._rows.focus()

    def action_line(self) -> None:
        """The command line."""
        self._desk.open_line()

    def action_again(self) -> None:
        """Ask the same again."""
        self.dismiss()
        self._desk.request(self._operation)

    def action_back(self) -> None:
        """Escape closes the filter first, then the screen."""
        box = self.query_one("#filter", Input)
        if box.display:
            box.value = ""
            box.display = False
            self._rows.focus()
        else:
            self.dismiss()

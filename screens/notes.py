"""`NotesScreen`: all that needs a person, and the log, in whole sentences: a small dashboard has a line for each.

Flows in: a function that gives the lines as they are now. Escape goes back. Drawing thread.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import ClassVar, NamedTuple

from textual.app import ComposeResult
from textual.binding import Binding, BindingType
from textual.screen import Screen

from screens.text import Line, Row, Span, beside, fit, line_of
from screens.widgets.keyline import KeyLine
from screens.widgets.rows import Rows


class Notes(NamedTuple):
    """What there is to tell: what needs a person, gravest first; what has happened, oldest first."""

    attention: Sequence[Line]
    log: Sequence[Line]


class NotesScreen(Screen[None]):
    """Two lists, one below the other."""

    AUTO_FOCUS = "#notes"
    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("escape,q,n", "app.pop_screen", "Back", key_display="esc"),
        Binding("r", "again", "Read again"),
    ]

    def __init__(self, notes: Callable[[], Notes]) -> None:
        super().__init__()
        self._notes = notes

    def compose(self) -> ComposeResult:
        """One list, and the keys."""
        yield Rows(id="notes", fill=self._fill, choosable=True)
        yield KeyLine()

    def _fill(self, rows: Rows) -> None:
        width, notes = rows.text_width, self._notes()
        lines: list[Line] = [_heading("Needs you", width)]
        for line in notes.attention or (line_of("  ", Span("nothing, now", "dim")),):
            lines += _in_full(line, width)
        lines += [(), _heading("Log, the newest first", width)]
        for line in tuple(reversed(notes.log)) or (line_of("  ", Span("nothing yet", "dim")),):
            lines += _in_full(line, width)
        rows.show([Row("line", line) for line in lines])

    def action_again(self) -> None:
        """Read what there is now."""
        self.query_one("#notes", Rows).refill()


def _heading(words: str, width: int) -> Line:
    return fit(line_of(Span(words, "accent")), width)


def _in_full(line: Line, width: int) -> tuple[Line, ...]:
    """The words of a line beside its mark (time, glyph, level), wrapped."""
    mark = line[:-1] if len(line) < 3 or line[0].role == "dim" else line[:1]
    words = "".join(span.text for span in line[len(mark) :]).strip()
    return beside((Span("  "), *mark, Span(" ")), Span(words), width)

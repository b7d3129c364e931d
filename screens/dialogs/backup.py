"""`BackupDialog`: which wedding, from where, how urgent; what it would read is shown before it starts.

A form of `backup` with a dry run in front: Start looks first, and starts what was looked at. Drawing thread.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import msgspec
from textual.app import ComposeResult
from textual.widgets import Button

from engine.base.units import format_bytes, format_count
from engine.contract import operations as ops
from screens.desk import Desk, Problem
from screens.dialogs.form import Field, FormDialog
from screens.text import Line, Span, clean, fit, line_of
from screens.widgets.rows import Rows

SHOWN = ("wedding", "sources", "priority", "exclude", "one_file_system")
ESTIMATE_LINES = 3


class BackupDialog(FormDialog):
    """The result is the line of the backup, or nothing."""

    def __init__(self, desk: Desk, fields: Sequence[Field], given: Mapping[str, str]) -> None:
        """`fields` are those of the operation; the seldom ones are left to the command line."""
        super().__init__(desk, "backup", [field for field in fields if field.name in SHOWN], given)
        self._looked_at = ""  # the line whose estimate is shown
        self._looking_at = ""
        self._estimate: tuple[Line, ...] = ()

    def first(self) -> str:
        """From where, if the wedding is known."""
        return super().first() or ("" if self._given.get("sources") else "sources")

    def compose_more(self) -> ComposeResult:
        """What it would take."""
        yield Rows(id="estimate", fill=self._fill_estimate)

    def compose_buttons(self) -> ComposeResult:
        """Look, start."""
        yield Button("Look first", id="dry", variant="primary", compact=True)
        yield Button("Start", id="run", variant="success", compact=True)

    def _fill_estimate(self, rows: Rows) -> None:
        lines = self._estimate if self.line() in (self._looked_at, self._looking_at) else ()
        if not lines:
            lines = (line_of(Span("Enter looks at what it would read, and starts nothing yet.", "dim")),)
        rows.show_lines([fit(line, rows.text_width) for line in lines[:ESTIMATE_LINES]])

    def _judge(self) -> None:
        super()._judge()
        self.query_one("#estimate", Rows).refill()

    def _run(self, *, dry: bool = False) -> None:
        """Look, unless this very line was looked at; then start."""
        line = self.line()
        if not dry and line == self._looked_at:
            self.dismiss(line)
            return
        meant = self._desk.understand(line)
        if isinstance(meant, Problem) or not isinstance(meant, ops.StartBackup):
            self._problem = meant.line if isinstance(meant, Problem) else "this is no backup"
            self.query_one("#words", Rows).refill()
            return
        self._looking_at, self._looked_at = line, ""
        self._show((line_of(Span("looking …", "dim")),))
        self._desk.ask(msgspec.structs.replace(meant, dry_run=True), lambda answer: self._answered(line, answer))

    def _answered(self, line: str, answer: ops.Result | Problem) -> None:
        if line != self._looking_at or not self.is_attached:
            return
        self._looking_at = ""
        if isinstance(answer, ops.BackupEstimate):
            self._looked_at = line
            self._show(estimate_lines(answer))
            self.query_one("#run", Button).focus()
        else:
            self._problem = answer.line if isinstance(answer, Problem) else "there is no estimate"
            self._show(())
            self.query_one("#words", Rows).refill()

    def _show(self, lines: tuple[Line, ...]) -> None:
        self._estimate = lines
        self.query_one("#estimate", Rows).refill()


def estimate_lines(found: ops.BackupEstimate) -> tuple[Line, ...]:
    """What a backup would read, in three lines."""
    kinds = ((found.files_new, "new"), (found.files_changed, "changed"), (found.files_unchanged, "as they were"))
    parts = [f"{format_count(count)} {words}" for count, words in kinds if count]
    gone = f"; {format_count(found.files_gone)} gone since the snapshot before" if found.files_gone else ""
    warnings = ""
    if found.warnings:
        more = f" and {len(found.warnings) - 1} more" if len(found.warnings) > 1 else ""
        warnings = f"▲ {clean(found.warnings[0])}{more}"
    return (
        line_of(
            Span(f"{format_bytes(found.bytes_to_read)} to read", "strong"),
            f" of {format_bytes(found.bytes_source)} in {format_count(found.files, 'file')}",
        ),
        line_of(Span(f"{', '.join(parts) or 'no files'}{gone}", "dim")),
        line_of(Span(warnings, "warning")) if warnings else line_of(Span("Enter starts it.", "dim")),
    )

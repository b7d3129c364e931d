"""`ScaleDialog`: another number of workers, and until when; what it costs and when it takes effect is shown before.

A form of `scale`. Enter sends it, Escape leaves everything as it is. Drawing thread.
"""

from __future__ import annotations

from collections.abc import Sequence

from textual.app import ComposeResult

from engine.contract.decisions import ReadScaling, ScalingReport
from engine.contract.operations import Result
from screens.desk import Desk, Problem
from screens.dialogs.form import Field, FormDialog
from screens.text import Line, fit
from screens.widgets.rows import Rows
from screens.workers import change_lines


class ScaleDialog(FormDialog):
    """The result is the line of `scale`, or nothing."""

    def __init__(self, desk: Desk, fields: Sequence[Field], *, lead: Sequence[Line]) -> None:
        super().__init__(desk, "scale", fields, {}, lead=lead)
        self._report: ScalingReport | None = None

    def compose_more(self) -> ComposeResult:
        """What the change would mean."""
        yield Rows(id="effect", fill=self._fill_effect)

    def on_mount(self) -> None:
        """Ask what there is, and what a worker costs."""
        super().on_mount()
        self._desk.ask(ReadScaling(hours=1, limit=1), self._answered)

    def _answered(self, answer: Result | Problem) -> None:
        if isinstance(answer, ScalingReport) and self.is_attached:
            self._report = answer
            self.query_one("#effect", Rows).refill()

    def _judge(self) -> None:
        super()._judge()
        self.query_one("#effect", Rows).refill()

    def _fill_effect(self, rows: Rows) -> None:
        values = {field.name: self._value(field) for field in self._fields}
        lines = change_lines(self._report, values["target"].lower(), values["until"])
        rows.show_lines([fit(line, rows.text_width) for line in lines])

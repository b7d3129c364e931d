"""`JobTable`: a window onto a list of any length, of which only a page is here; its mark stays on a job.

Flows in: pages of jobs. Flows out: `wants`, called when rows are seen that are not here. When rows move, the marked
job keeps its line on the screen and the list flows around it; one that is scrolled out of sight is left there.
Drawing thread.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import ClassVar, overload

from textual.binding import Binding, BindingType

from screens.text import Line, Row, Span
from screens.widgets.rows import Rows

_ABSENT = Row("", (Span("…", "dim"),))


class Page(Sequence[Row]):
    """So many rows, of which some are here."""

    def __init__(self, first: int = 0, rows: Sequence[Row] = (), total: int = 0) -> None:
        self.first = first
        self.rows = rows
        self.total = total

    def __len__(self) -> int:
        return self.total

    @overload
    def __getitem__(self, index: int) -> Row: ...
    @overload
    def __getitem__(self, index: slice) -> Sequence[Row]: ...
    def __getitem__(self, index: int | slice) -> Row | Sequence[Row]:
        if isinstance(index, slice):
            return [self[at] for at in range(*index.indices(self.total))]
        at = index - self.first
        return self.rows[at] if 0 <= at < len(self.rows) else _ABSENT

    def position(self, key: str) -> int | None:
        """Where the row with this key stands, if it is here."""
        return next((self.first + at for at, row in enumerate(self.rows) if row.key == key), None)

    def has(self, first: int, last: int) -> bool:
        """Whether all rows from `first` up to `last` are here, as far as there are so many."""
        return self.first <= first and min(last, self.total) <= self.first + len(self.rows)


class JobTable(Rows):
    """Rows of jobs; `held` is the job that the mark stays on, empty until somebody moves it."""

    BINDINGS: ClassVar[list[BindingType]] = [
        *(one for one in Rows.BINDINGS if not isinstance(one, Binding) or one.key != "enter"),
        Binding("enter", "choose", "Open", key_display="enter"),
    ]

    def __init__(self, *, fill: Callable[..., None], wants: Callable[[], None], id: str) -> None:
        super().__init__(fill=fill, choosable=True, id=id)
        self._wants = wants
        self._page = Page()
        self.held = ""

    def show_page(self, page: Page, position: int | None) -> None:
        """Show a page; `position` is where the held job stands now. A held job that is gone lets go of the mark."""
        line = self._cursor - self.scroll_offset.y
        is_seen = 0 <= line < max(1, self.size.height)
        before, self._page, self._rows = self._page, page, page
        if self.held:
            self._cursor = self._cursor if position is None else position
        elif not self._was_moved:
            self._cursor = 0
        self._cursor = min(self._cursor, max(0, page.total - 1))
        self._measure()
        if is_seen:
            self.scroll_to(y=max(0, self._cursor - line), animate=False, immediate=True)
        if position is None or not self.held:
            self.held = self.cursor_key if self._was_moved else ""
        self._draw_what_changed(before)

    def show_none(self, lines: Sequence[Line]) -> None:
        """Say why there is no job."""
        self._page, self.held, self._was_moved = Page(), "", False
        self.show_lines(lines)
        self.refresh()

    def _draw_what_changed(self, before: Page) -> None:
        if before.total != self._page.total:
            self.refresh()
            return
        for y in range(self.scroll_offset.y, min(self._page.total, self.scroll_offset.y + self.size.height)):
            if before[y] != self._page[y]:
                self.refresh_line(y)

    @property
    def seen(self) -> tuple[int, int]:
        """The first row that is seen, and the one after the last."""
        top = self.scroll_offset.y
        return top, top + max(1, self.size.height)

    def action_move(self, by: int) -> None:
        """Move the mark to another job."""
        super().action_move(by)
        self.held = self.cursor_key
        self._look()

    def watch_scroll_y(self, old_value: float, new_value: float) -> None:
        """Other rows are seen."""
        super().watch_scroll_y(old_value, new_value)
        self._look()

    def _look(self) -> None:
        if not self._page.has(*self.seen):
            self._wants()

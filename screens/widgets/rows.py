"""`Rows`: lines of text in a box, drawn line by line; with a cursor, a list to choose from.

Flows in: rows that are already laid out (`screens.view`). Flows out: `Rows.Chosen` with the key of a row. Only
lines that changed are drawn again, and only visible ones are made into cells. Drawing thread.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import ClassVar

from rich.segment import Segment
from rich.style import Style
from textual.binding import Binding, BindingType
from textual.color import Color
from textual.content import Content
from textual.events import Click
from textual.geometry import Size
from textual.message import Message
from textual.scroll_view import ScrollView
from textual.strip import Strip

from screens.text import Line, Role, Row

CURSOR = "›"

# How a role looks: a variable of the theme, and whether it is bold. Component classes of the style sheet would say
# the same, but cost 13 ms at every change of focus: each list has as many of them as there are roles.
LOOKS: dict[Role, tuple[str, bool]] = {
    "plain": ("foreground", False), "strong": ("foreground", True), "dim": ("muted", False), "ok": ("success", False),
    "warning": ("warning", True), "critical": ("error", True), "accent": ("accent", True), "bar": ("primary", False),
    "rail": ("rail", False), "read": ("chart-read", False), "stored": ("chart-stored", False),
    "restored": ("chart-restored", False), "p50": ("chart-stored", False), "p95": ("chart-read", False),
    "p99": ("chart-restored", False),
}  # fmt: skip


class Rows(ScrollView, can_focus=False, inherit_bindings=False):
    """Lines. With `choosable`, one of them is marked, and arrows, j and k move the mark."""

    ALLOW_SELECT = False
    never_scrolls = False  # lines that do not fit are cut off: a change of their number lays nothing out anew
    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("up,k", "move(-1)", "Up", show=False),
        Binding("down,j", "move(1)", "Down", show=False),
        Binding("pageup,ctrl+b", "page(-1)", "Page up", show=False),
        Binding("pagedown,ctrl+f", "page(1)", "Page down", show=False),
        Binding("home,g", "move(-1000000)", "First", show=False),
        Binding("end,G", "move(1000000)", "Last", show=False),
        Binding("left,h", "sideways(-8)", "Left", show=False),
        Binding("right,l", "sideways(8)", "Right", show=False),
        Binding("enter", "choose", "Open", show=False),
    ]

    class Chosen(Message):
        """Enter or a click on the marked row."""

        def __init__(self, rows: Rows, key: str) -> None:
            super().__init__()
            self.rows = rows
            self.key = key

        @property
        def control(self) -> Rows:
            """The list it happened in."""
            return self.rows

    def __init__(
        self, *, fill: Callable[..., None] | None = None, choosable: bool = False, id: str | None = None
    ) -> None:
        """`fill` shows what there is to show; it is called again when the box changes its size."""
        super().__init__(id=id)
        self._fill = fill
        self.can_focus = choosable
        self.choosable = choosable
        self._rows: Sequence[Row] = ()
        self._head = ""
        self._cursor = 0
        self._has_keys = False  # whether any of the rows can be chosen; then the mark is shown on the others, too
        self._was_moved = False  # until somebody moves the mark it stays on the first row, whichever that is
        self._styles_of: dict[Role, Style] = {}

    # --- what it shows ---

    def refill(self) -> None:
        """Ask `fill` again, if there is room to show anything."""
        if self._fill is not None and self.size.width and self.size.height:
            self._fill(self)

    def head(self, words: str) -> None:
        """Words in the border. Setting them draws the whole box again, so it is done only when they change."""
        if words != self._head:
            self._head = words
            self.border_subtitle = Content(words).markup

    def on_resize(self) -> None:
        """What is shown depends on the room for it."""
        self.refill()

    def show(self, rows: Sequence[Row]) -> None:
        """Show these rows; a mark that somebody set stays on the row with the same key."""
        before, key = self._rows, self.cursor_key if self._was_moved else ""
        self._rows = rows
        self._has_keys = any(row.key for row in rows)
        if key and not (self._cursor < len(rows) and rows[self._cursor].key == key):
            self._cursor = next((index for index, row in enumerate(rows) if row.key == key), self._cursor)
        self._cursor = min(self._cursor, max(0, len(rows) - 1))
        self._measure()
        if len(before) != len(rows):
            self.refresh()
            return
        top = self.scroll_offset.y
        for y in range(top, min(len(rows), top + self.size.height)):
            if before[y] != rows[y]:
                self.refresh_line(y)

    def show_lines(self, lines: Sequence[Line]) -> None:
        """Show lines that are nothing to choose."""
        self.show(tuple(Row("", line) for line in lines))

    def _measure(self) -> None:
        if self.never_scrolls:
            return
        size = Size(self.line_width(), len(self._rows))
        if size != self.virtual_size:
            self.virtual_size = size
            if self.styles.auto_dimensions:  # asked for inside a resize, the layout would be forgotten
                self.call_after_refresh(self.refresh, layout=True)

    def line_width(self) -> int:
        """Cells of the widest line; 0 for lines cut to the box, which has then nothing to scroll sideways to."""
        return 0

    @property
    def text_width(self) -> int:
        """Cells a line may take."""
        return max(0, self.scrollable_content_region.width - self.choosable)

    def line_at(self, index: int) -> Line:
        """The line of row `index`."""
        return self._rows[index].line

    @property
    def cursor_key(self) -> str:
        """The key of the marked row, or nothing."""
        return self._rows[self._cursor].key if self.choosable and self._cursor < len(self._rows) else ""

    @property
    def count(self) -> int:
        """Rows there are."""
        return len(self._rows)

    @property
    def cursor_row(self) -> int:
        """The number of the marked row."""
        return self._cursor

    # --- drawing ---

    def notify_style_update(self) -> None:
        """Forget the styles when the theme changes."""
        super().notify_style_update()
        self._styles_of = {}

    def _style(self, role: Role) -> Style:
        style = self._styles_of.get(role)
        if style is None:
            variable, is_bold = LOOKS[role]
            color = Color.parse(self.app.theme_variables[variable]).rich_color
            style = self.rich_style + Style(color=color, bold=is_bold)
            self._styles_of[role] = style
        return style

    def _cursor_style(self) -> Style:
        if self.app.no_color:
            return Style(reverse=True)
        return Style(bgcolor=Color.parse(self.app.theme_variables["marked"]).rich_color)

    def render_line(self, y: int) -> Strip:
        """One line of the box."""
        width = self.size.width
        scroll_x, scroll_y = self.scroll_offset
        index = y + scroll_y
        base = self._style("plain")
        over = Style.null()
        if index >= len(self._rows):
            return Strip.blank(width, base)
        marked = self.choosable and self.has_focus and index == self._cursor and self._has_keys
        if marked:
            over = self._cursor_style()
        lead = CURSOR if marked else " "
        segments = [Segment(lead, base + over)] if self.choosable else []
        segments += [Segment(span.text, self._style(span.role) + over) for span in self.line_at(index) if span.text]
        strip = Strip(segments)
        if scroll_x or strip.cell_length > width:
            strip = strip.crop(scroll_x, scroll_x + width)
        return strip.adjust_cell_length(width, base + over)

    # --- moving ---

    def action_move(self, by: int) -> None:
        """Move the mark, or the view where nothing can be chosen."""
        if not self.choosable:
            self.scroll_to(y=self.scroll_offset.y + by, animate=False)
            return
        self._was_moved = True
        target = min(max(0, self._cursor + by), max(0, len(self._rows) - 1))
        if target != self._cursor:
            before, self._cursor = self._cursor, target
            self.refresh_line(before)
            self.refresh_line(target)
        top, height = self.scroll_offset.y, max(1, self.size.height)
        if target < top:
            self.scroll_to(y=target, animate=False)
        elif target >= top + height:
            self.scroll_to(y=target - height + 1, animate=False)

    def action_page(self, by: int) -> None:
        """Move by one box."""
        self.action_move(by * max(1, self.size.height - 1))

    def action_sideways(self, by: int) -> None:
        """Scroll a wide list sideways."""
        self.scroll_to(x=self.scroll_offset.x + by, animate=False)

    def action_choose(self) -> None:
        """Open the marked row."""
        if self.cursor_key:
            self.post_message(self.Chosen(self, self.cursor_key))

    def on_click(self, event: Click) -> None:
        """A click marks a row; a click on the marked one opens it."""
        if not self.choosable:
            return
        offset = event.get_content_offset(self)
        index = self.scroll_offset.y + offset.y if offset is not None else -1
        if not 0 <= index < len(self._rows):
            return
        if index == self._cursor and event.chain > 1:
            self.action_choose()
        else:
            self.action_move(index - self._cursor)

    def on_focus(self) -> None:
        """Show the mark."""
        self.refresh()

    def on_blur(self) -> None:
        """Hide the mark."""
        self.refresh()


class Lines(Rows):
    """Lines that are as many as there is room for; nothing to choose, and never scrolled."""

    never_scrolls = True

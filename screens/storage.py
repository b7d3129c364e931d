"""`StorageScreen`: where the bytes lie, live: tiers, regions and copies, what moves, recalls, scrub, read cache.

Flows in: status documents. Flows out: operations; of migrate and prune only what they would do. Drawing thread.
"""

from __future__ import annotations

from typing import ClassVar

from textual.app import ComposeResult
from textual.binding import Binding, BindingType
from textual.containers import Horizontal

from engine.contract.status import Status
from screens import stores, view
from screens.desk import Desk
from screens.live import LiveScreen
from screens.text import Line, Span, fit
from screens.widgets.command_bar import CommandBar
from screens.widgets.keyline import KeyLine
from screens.widgets.rows import Lines, Rows

_PLACES: tuple[stores.Part, ...] = (stores.tier_lines, stores.region_lines, stores.owed_lines, stores.endpoint_lines)
_GOINGS_ON: tuple[stores.Part, ...] = (stores.moving_lines, stores.recall_lines, stores.scrub_lines, stores.cache_lines)


class StorageScreen(LiveScreen):
    """Where the bytes lie. Escape leads back."""

    AUTO_FOCUS = "#places"
    HORIZONTAL_BREAKPOINTS = [(0, "-narrow"), (160, "-wide")]  # noqa: RUF012
    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("escape,backspace,q", "back", "Back", key_display="esc"),
        Binding("T", "run('tiers')", "Weddings", key_display="T"),
        Binding("c", "copies", "Copies"),
        Binding("m", "run('migrate --dry-run')", "Plan moves"),
        Binding("p", "run('prune --dry-run')", "Plan prune"),
        Binding("colon", "line", "Command", key_display=":"),
    ]

    def __init__(self, desk: Desk, status: Status) -> None:
        super().__init__()
        self._desk = desk
        self._status = status
        self._notice = ""

    def compose(self) -> ComposeResult:
        """Status, title, places with what goes on below or beside them."""
        yield Lines(id="top", fill=self._fill_top)
        yield Lines(id="title", fill=self._fill_title)
        with Horizontal(id="halves"):
            yield Rows(id="places", fill=self._fill_places)
            yield Rows(id="goings-on", fill=self._fill_goings_on)
        yield CommandBar(self._desk)
        yield KeyLine()

    def on_mount(self) -> None:
        """Nothing is to be chosen, but the keys scroll."""
        self.query_one("#places", Rows).can_focus = True

    def apply(self, status: Status, *, notice: str = "") -> None:
        """See `LiveScreen.apply`."""
        self._status, self._notice = status, notice
        for rows in self.query(Rows):
            rows.refill()

    def _fill_top(self, rows: Rows) -> None:
        rows.show_lines((view.status_line(self._status, rows.text_width, notice=self._notice),))

    def _fill_title(self, rows: Rows) -> None:
        name = self._status.storage.repository
        words = f"repository {name[:12]}" if name else "there is no repository yet"
        rows.show_lines((fit((Span(" storage", "strong"), Span(f" · {words}", "dim")), rows.text_width),))

    def _fill_places(self, rows: Rows) -> None:
        is_alone = not self.query_one("#goings-on").display
        self._fill(rows, (*_PLACES, *(_GOINGS_ON if is_alone else ())))

    def _fill_goings_on(self, rows: Rows) -> None:
        self._fill(rows, _GOINGS_ON)

    def _fill(self, rows: Rows, parts: tuple[stores.Part, ...]) -> None:
        lines: list[Line] = []
        for part in parts:
            words = part(self._status, rows.text_width)
            lines += [*([()] if lines and words else []), *words]
        rows.show_lines(lines)

    def action_run(self, line: str) -> None:
        """Run a line of the palette; what it shows opens over this screen."""
        self._desk.submit(line)

    def action_copies(self) -> None:
        """Ask which wedding's."""
        self._desk.open_line("copies ")

    def action_line(self) -> None:
        """The command line."""
        self._desk.open_line()

    def action_back(self) -> None:
        """Back to where it was opened."""
        self.dismiss()

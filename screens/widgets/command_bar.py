"""`CommandBar`: the `:` line at the foot of a screen, with history, completion and errors in place.

It is part of the screen it lies over and only comes and goes, because a screen put over another is laid out anew, which
costs ten times as much. Flows in: a desk that understands lines. Flows out: a line that is understood. Drawing thread.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import ClassVar

from textual.app import ComposeResult
from textual.binding import Binding, BindingType
from textual.containers import Horizontal, Vertical
from textual.events import Key
from textual.geometry import Size
from textual.reactive import Reactive
from textual.widget import Widget
from textual.widgets import Input, Label

from screens.desk import Desk, Problem, Suggestion
from screens.text import Span, clean, cut, fit, line_of
from screens.widgets.rows import Lines, Rows

HINT = "Tab completes · ↑ ↓ history · ^r searches it · Enter runs · Esc goes back"


class LineInput(Input):
    """An input whose box never changes with what is written, so that a letter lays nothing out anew.

    It tells of a letter at once and not by a message, so that the letter and what it finds are painted together.
    """

    virtual_size = Reactive(Size(0, 0), layout=False)

    def __init__(self, changed: Callable[[str], None]) -> None:
        super().__init__(id="line", compact=True, select_on_focus=False)
        self._tell = changed

    def watch_value(self, value: str) -> None:
        """Somebody typed, or the line was filled in."""
        self._tell(value)


class CommandBar(Vertical):
    """One line at the foot of the screen. Tab completes, up and down walk the history, Enter runs."""

    BINDINGS: ClassVar[list[BindingType]] = [Binding("escape", "leave", "Back", priority=True)]

    def __init__(self, desk: Desk) -> None:
        super().__init__(id="command")
        self._desk = desk
        self._before: Widget | None = None  # what had the focus
        self._back = 0  # how far back in the history; 0 is the line being written
        self._written = ""
        self._suggestions: tuple[Suggestion, ...] = ()
        self._searches = False  # suggestions are lines of the history
        self._marked = -1
        self._filled = ""  # what we put into the line ourselves; typing anything else starts over
        self._problem = ""

    def compose(self) -> ComposeResult:
        """Suggestions, a line of words, the line itself."""
        yield Lines(id="suggestions", fill=self._fill_suggestions)
        yield Lines(id="words", fill=self._fill_words)
        with Horizontal(id="entry"):
            yield Label(":", id="colon")
            yield LineInput(self._changed)

    def on_mount(self) -> None:
        """It waits out of sight."""
        self._input.cursor_blink = False
        self.display = False

    @property
    def _input(self) -> Input:
        return self.query_one("#line", Input)

    @property
    def is_open(self) -> bool:
        """Whether somebody writes."""
        return bool(self.display)

    def open(self, line: str = "") -> None:
        """Begin a line, at the end of what is given."""
        if not self.is_open:
            self._before = self.screen.focused
        self.display = True
        self._problem, self._back, self._searches = "", 0, False
        self._written = line
        self._put(line)
        self._input.focus(scroll_visible=False)
        self._look()

    def close(self) -> None:
        """Go, and give back the focus."""
        if self.is_open:
            self.display = False
            self.screen.set_focus(self._before, scroll_visible=False)

    def look_again(self) -> None:
        """More is known than a moment ago: suggest anew, unless somebody walks the suggestions."""
        if self.is_open and self._marked < 0 and not self._searches:
            self._look()

    # --- what stands above the line ---

    def _look(self) -> None:
        text = self._input.value
        if self._searches:
            found = self._desk.recall(text, anywhere=True)
            self._suggestions = tuple(Suggestion(line, line) for line in found)
        else:
            self._suggestions = self._desk.suggest(text)
        self._marked = -1
        self._show()

    def _show(self) -> None:
        self.query_one("#suggestions", Rows).refill()
        self.query_one("#words", Rows).refill()

    def _fill_suggestions(self, rows: Rows) -> None:
        width, height = rows.text_width, rows.size.height
        names = (
            max(0, width - 4)
            if self._searches
            else min(36, max((len(one.shown) for one in self._suggestions), default=0))
        )
        first = min(max(0, self._marked - height + 1), max(0, len(self._suggestions) - height))
        lines = []
        for index, one in enumerate(self._suggestions[first : first + height], start=first):
            mark = "› " if index == self._marked else "  "
            shown = fit(
                line_of(Span(clean(one.shown), "accent" if index == self._marked else "strong")), names, keep_end=True
            )
            lines.append(fit((Span(mark, "accent"), *shown, Span(f"  {clean(one.help)}", "dim")), width))
        rows.show_lines(lines)

    def _fill_words(self, rows: Rows) -> None:
        width = rows.text_width
        if self._problem:
            rows.show_lines((fit(line_of(Span(f"✗ {clean(self._problem)}", "critical")), width),))
            return
        words = "search the history: Tab takes a line, Enter runs it" if self._searches else ""
        words = words or self._desk.synopsis(self._input.value) or HINT
        rows.show_lines((fit(line_of(Span(cut(words, width), "dim")), width),))

    # --- keys ---

    def on_input_changed(self, event: Input.Changed) -> None:
        """It is known already, and no business of the screen below."""
        event.stop()

    def _changed(self, value: str) -> None:
        """Somebody typed: forget the error, suggest anew."""
        if value == self._filled or not self.is_open:
            return
        self._problem = ""
        self._back = 0
        self._filled = self._written = value
        self._look()

    def on_input_submitted(self, event: Input.Submitted) -> None:
        """Run the line if it is understood; else say in place what is wrong."""
        event.stop()
        line = event.value.rstrip()
        if self._searches and self._suggestions and self._marked < 0:
            line = self._suggestions[0].line
        if not line.strip():
            self.close()
            return
        meant = self._desk.understand(line)
        if isinstance(meant, Problem):
            self._problem = meant.line
            self.query_one("#words", Rows).refill()
            return
        self.close()
        self._desk.submit(line)

    def on_key(self, event: Key) -> None:
        """Tab, shift+tab, up, down and ctrl+r belong to the line."""
        moves = {"tab": 1, "shift+tab": -1}
        if event.key in moves:
            self._complete(moves[event.key])
        elif event.key in ("up", "down") and self._searches:
            self._complete(1 if event.key == "down" else -1)
        elif event.key == "up":
            self._recall(1)
        elif event.key in ("down", "ctrl+n"):
            self._recall(-1)
        elif event.key == "ctrl+r":
            self._searches = not self._searches
            self._look()
        else:
            return
        event.prevent_default()
        event.stop()

    def _complete(self, step: int) -> None:
        if not self._suggestions:
            return
        self._marked = (self._marked + step) % len(self._suggestions) if self._marked >= 0 or step > 0 else -1
        self._put(self._suggestions[self._marked].line)
        if len(self._suggestions) == 1:
            self._searches = False
            self._look()
        else:
            self._show()

    def _recall(self, step: int) -> None:
        matching = self._desk.recall(self._written, anywhere=False)
        target = min(max(0, self._back + step), len(matching))
        if target == self._back:
            return
        self._back = target
        self._put(matching[-target] if target else self._written)
        self._look()

    def _put(self, line: str) -> None:
        self._filled = line
        self._problem = ""
        self._input.value = line
        self._input.cursor_position = len(line)

    def action_leave(self) -> None:
        """Escape."""
        self.close()

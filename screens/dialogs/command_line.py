"""`CommandLine`: the `:` line over any screen, with history, completion and errors in place.

Flows in: a desk that understands lines. Flows out: a line that is understood, or nothing. What is typed is never
run here. Drawing thread.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import ClassVar

from textual.app import ComposeResult
from textual.binding import Binding, BindingType
from textual.containers import Horizontal, Vertical
from textual.events import Key
from textual.screen import ModalScreen
from textual.widgets import Input, Label

from screens.desk import Desk, Problem, Suggestion
from screens.text import Span, clean, cut, fit, line_of
from screens.widgets.rows import Rows

SHOWN_MAX = 8


class CommandLine(ModalScreen[str]):
    """One line at the foot of the screen. Tab completes, up and down walk the history, Enter runs."""

    AUTO_FOCUS = "#line"
    BINDINGS: ClassVar[list[BindingType]] = [Binding("escape", "nothing", "Back", priority=True)]

    def __init__(self, desk: Desk, line: str, history: Sequence[str]) -> None:
        super().__init__()
        self._desk = desk
        self._first = line
        self._history = history
        self._back = 0  # how far back in the history; 0 is the line being written
        self._written = line
        self._suggestions: tuple[Suggestion, ...] = ()
        self._marked = -1
        self._filled = line  # what we put into the line ourselves; typing anything else starts over

    def compose(self) -> ComposeResult:
        """Suggestions, a line of words, the line itself."""
        with Vertical(id="command"):
            yield Rows(id="suggestions", fill=self._fill_suggestions)
            yield Rows(id="words", fill=self._fill_words)
            with Horizontal(id="entry"):
                yield Label(":", id="colon")
                yield Input(self._first, id="line", compact=True, select_on_focus=False)

    def on_mount(self) -> None:
        """Start at the end of what is given."""
        self._problem = ""
        self._input.cursor_position = len(self._first)
        self._input.cursor_blink = False
        self._look()

    @property
    def _input(self) -> Input:
        return self.query_one("#line", Input)

    # --- what stands above the line ---

    def _look(self) -> None:
        self._suggestions = self._desk.suggest(self._input.value)
        self._marked = -1
        self._show()

    def _show(self) -> None:
        suggestions = self.query_one("#suggestions", Rows)
        suggestions.styles.height = min(SHOWN_MAX, len(self._suggestions))
        suggestions.refill()
        self.query_one("#words", Rows).refill()

    def _fill_suggestions(self, rows: Rows) -> None:
        width = rows.text_width
        names = min(36, max((len(one.shown) for one in self._suggestions), default=0))
        first = min(max(0, self._marked - SHOWN_MAX + 1), max(0, len(self._suggestions) - SHOWN_MAX))
        lines = []
        for index, one in enumerate(self._suggestions[first : first + SHOWN_MAX], start=first):
            mark = "› " if index == self._marked else "  "
            shown = fit(line_of(Span(clean(one.shown), "accent" if index == self._marked else "strong")), names)
            lines.append(fit((Span(mark, "accent"), *shown, Span(f"  {clean(one.help)}", "dim")), width))
        rows.show_lines(lines)

    def _fill_words(self, rows: Rows) -> None:
        width = rows.text_width
        if self._problem:
            rows.show_lines((fit(line_of(Span(f"✗ {clean(self._problem)}", "critical")), width),))
            return
        synopsis = self._desk.synopsis(self._input.value)
        words = synopsis or "Tab completes · ↑ ↓ history · Enter runs · Esc goes back"
        rows.show_lines((fit(line_of(Span(cut(words, width), "dim")), width),))

    # --- keys ---

    def on_input_changed(self, event: Input.Changed) -> None:
        """Somebody typed: forget the error, suggest anew."""
        if event.value == self._filled:
            return
        self._problem = ""
        self._back = 0
        self._filled = self._written = event.value
        self._look()

    def on_input_submitted(self, event: Input.Submitted) -> None:
        """Give the line back if it is understood; else say in place what is wrong."""
        line = event.value.strip()
        if not line:
            self.dismiss("")
            return
        meant = self._desk.understand(line)
        if isinstance(meant, Problem):
            self._problem = meant.line
            self.query_one("#words", Rows).refill()
            return
        self.dismiss(line)

    def on_key(self, event: Key) -> None:
        """Tab, shift+tab, up and down belong to the line."""
        moves = {"tab": 1, "shift+tab": -1}
        if event.key in moves:
            self._complete(moves[event.key])
        elif event.key in ("up", "ctrl+p"):
            self._recall(1)
        elif event.key in ("down", "ctrl+n"):
            self._recall(-1)
        else:
            return
        event.prevent_default()
        event.stop()

    def _complete(self, step: int) -> None:
        if not self._suggestions:
            return
        self._marked = (self._marked + step) % len(self._suggestions) if self._marked >= 0 or step > 0 else -1
        chosen = self._suggestions[self._marked]
        self._put(chosen.line)
        if len(self._suggestions) == 1:
            self._look()
        else:
            self._show()

    def _recall(self, step: int) -> None:
        matching = [line for line in self._history if line.startswith(self._written)]
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

    def action_nothing(self) -> None:
        """Escape."""
        self.dismiss("")

"""`KeyLine`: the keys that lead somewhere now, in one line at the foot of a screen.

Textual's footer is a widget a key, made anew whenever the focus moves: some 20 ms. This is one line of text. Which keys
there are comes from the bindings of the screen; a click on one presses it. Drawing thread.
"""

from __future__ import annotations

from textual.app import App
from textual.events import Click
from textual.screen import Screen

from screens.text import Line, Span, cell_len, fit
from screens.widgets.rows import Lines


class KeyLine(Lines):
    """Key and word, key and word; the palette's key stands at the right."""

    def __init__(self) -> None:
        super().__init__(fill=lambda _: self._fill_keys(), id="keys")
        self._places: list[tuple[int, int, str]] = []  # from cell, to cell, key

    def on_mount(self) -> None:
        """Look again when other keys lead somewhere."""
        self.screen.bindings_updated_signal.subscribe(self, self._changed)

    def _changed(self, screen: Screen[object]) -> None:
        if self.is_attached and screen is self.screen:
            self.refill()

    def _fill_keys(self) -> None:
        active = self.screen.active_bindings
        shown: dict[str, tuple[str, str, str]] = {}
        for _, binding, is_enabled, _tooltip in active.values():
            if binding.show and is_enabled and binding.action not in shown:
                shown[binding.action] = (binding.key, self.app.get_key_display(binding), binding.description)
        palette = active.get(App.COMMAND_PALETTE_BINDING)
        right = f"{self.app.get_key_display(palette.binding)} palette " if palette else ""
        room = self.text_width - len(right)
        line: list[Span] = []
        self._places = [(room, self.text_width, App.COMMAND_PALETTE_BINDING)] if right else []
        at = 0
        for key, display, words in shown.values():
            width = cell_len(display) + cell_len(words) + 4
            if at + width > room:
                break
            line += [Span(f" {display}", "accent"), Span(f" {words}  ")]
            self._places.append((at, at + width, key))
            at += width
        self.show_lines([self._whole(line, right, room)])

    def _whole(self, line: list[Span], right: str, room: int) -> Line:
        if room < 0 or not right:
            return fit(tuple(line), self.text_width)
        key, _, word = right.partition(" ")
        return (*fit(tuple(line), room), Span(key, "accent"), Span(f" {word}", "dim"))

    def on_click(self, event: Click) -> None:
        """Press the key that was clicked."""
        event.stop()
        key = next((key for first, last, key in self._places if first <= event.x < last), "")
        if key:
            self.app.simulate_key(key)

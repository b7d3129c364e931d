"""`Tick`: yes or no, as `[x]` or `[ ]`, so that it reads the same without colour. Drawing thread."""

from __future__ import annotations

from typing import ClassVar

from textual.binding import Binding, BindingType
from textual.content import Content
from textual.message import Message
from textual.reactive import reactive
from textual.widgets import Static


class Tick(Static, can_focus=True):
    """Space, Enter or a click turn it over."""

    BINDINGS: ClassVar[list[BindingType]] = [Binding("space,enter", "turn", "Turn over", show=False)]
    value: reactive[bool] = reactive(False)

    class Changed(Message):
        """It was turned over."""

    def __init__(self, value: bool, *, id: str | None = None) -> None:
        super().__init__(id=id)
        self.set_reactive(Tick.value, value)

    def render(self) -> Content:
        """The mark."""
        return Content("[x]" if self.value else "[ ]")

    def watch_value(self) -> None:
        """Tell whoever shows what follows from it."""
        self.post_message(self.Changed())

    def action_turn(self) -> None:
        """Turn it over."""
        self.value = not self.value

    def on_click(self) -> None:
        """Turn it over."""
        self.action_turn()

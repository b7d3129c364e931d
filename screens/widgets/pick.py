"""`Pick`: one of a few words, `‹ keep them ›`; left, right and space go to the next. Drawing thread."""

from __future__ import annotations

from collections.abc import Sequence
from typing import ClassVar

from textual.binding import Binding, BindingType
from textual.content import Content
from textual.message import Message
from textual.reactive import reactive
from textual.widgets import Static


class Pick(Static, can_focus=True):
    """The first choice is taken unless somebody takes another."""

    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("right,l,space", "turn(1)", "Next", show=False),
        Binding("left,h", "turn(-1)", "Previous", show=False),
    ]
    at: reactive[int] = reactive(0)

    class Changed(Message):
        """Another choice was taken."""

    def __init__(self, choices: Sequence[tuple[str, str]], *, id: str | None = None) -> None:
        """`choices` are pairs of value and words."""
        super().__init__(id=id)
        self._choices = choices

    @property
    def value(self) -> str:
        """The value of the choice that is taken."""
        return self._choices[self.at][0]

    def render(self) -> Content:
        """The words, between the arrows that turn them."""
        return Content(f"‹ {self._choices[self.at][1]} ›")

    def watch_at(self) -> None:
        """Tell whoever shows what follows from it."""
        self.post_message(self.Changed())

    def action_turn(self, by: int) -> None:
        """Take the next."""
        self.at = (self.at + by) % len(self._choices)

    def on_click(self) -> None:
        """Take the next."""
        self.action_turn(1)

"""`FileRows`: rows of a tree. Right opens, left closes, space chooses; the dialog does it. Drawing thread."""

from __future__ import annotations

from collections.abc import Callable
from typing import ClassVar

from textual.binding import Binding, BindingType
from textual.message import Message

from screens.widgets.rows import Rows


class FileRows(Rows):
    """A choosable list with the keys of a tree."""

    BINDINGS: ClassVar[list[BindingType]] = [
        *(binding for binding in Rows.BINDINGS if isinstance(binding, Binding) and "sideways" not in binding.action),
        Binding("right,l", "open(True)", "Open", show=False),
        Binding("left,h", "open(False)", "Close", show=False),
        Binding("space,x", "tick", "Choose", show=False),
    ]

    class Turned(Message):
        """A folder shall be opened or closed."""

        def __init__(self, key: str, opens: bool) -> None:
            super().__init__()
            self.key = key
            self.opens = opens

    class Ticked(Message):
        """The marked row shall be chosen, or let go."""

        def __init__(self, key: str) -> None:
            super().__init__()
            self.key = key

    def __init__(self, *, fill: Callable[..., None], id: str) -> None:
        super().__init__(fill=fill, choosable=True, id=id)

    def action_open(self, opens: bool) -> None:
        """Right and left."""
        if self.cursor_key:
            self.post_message(self.Turned(self.cursor_key, opens))

    def action_tick(self) -> None:
        """Space."""
        if self.cursor_key:
            self.post_message(self.Ticked(self.cursor_key))

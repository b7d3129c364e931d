"""`Stage`: what the parts of the console need of the app that holds them, so that they need not know the app.

Drawing thread.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Literal, Protocol

from textual.screen import Screen

from engine.contract.status import Status
from screens.text import Line
from screens.widgets.plot import Symbols
from wedsync_tui.courier import Courier

Severity = Literal["information", "warning", "error"]


class Stage(Protocol):
    """Where screens are put, and words are said."""

    courier: Courier
    symbols: Symbols  # what charts are drawn with

    @property
    def is_busy(self) -> bool:
        """Whether somebody is in a dialog, which nothing may cover."""
        ...

    def status(self) -> Status:
        """The newest status document."""
        ...

    def open(self, screen: Screen[Any], then: Callable[[Any], None] | None = None) -> None:
        """Put a screen over what is there; `then` gets its result."""
        ...

    def open_line(self, line: str) -> None:
        """Open the command line of the screen that is shown, with this in it."""
        ...

    def look_again(self) -> None:
        """Have whatever suggests something suggest anew: more is known than a moment ago."""
        ...

    def tell(self, words: str, *, severity: Severity = "information") -> None:
        """A toast. Its words are never read as markup."""
        ...

    def note(self, line: Line) -> None:
        """A line of the log."""
        ...

"""`ChoiceDialog`: a question, what hangs on it, and buttons; the harmless one has the focus.

Result: the key of the button, or nothing after Escape. Drawing thread.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import ClassVar, Literal, NamedTuple

from textual.app import ComposeResult
from textual.binding import Binding, BindingType
from textual.containers import Horizontal, Vertical
from textual.content import Content
from textual.screen import ModalScreen
from textual.widgets import Button, Static

from engine.base.units import format_count
from screens.text import clean


class Choice(NamedTuple):
    """One button."""

    key: str
    label: str
    variant: Literal["default", "primary", "error", "warning"] = "default"


class ChoiceDialog(ModalScreen[str]):
    """Ask for one of a few things. The first choice has the focus; Escape answers with nothing."""

    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("escape", "nothing", "Back"),
        Binding("left,h", "app.focus_previous", "Previous", show=False),
        Binding("right,l", "app.focus_next", "Next", show=False),
    ]

    def __init__(self, question: str, lines: Sequence[str], choices: Sequence[Choice]) -> None:
        super().__init__()
        self._question = question
        self._lines = lines
        self._choices = choices

    def compose(self) -> ComposeResult:
        """Question, lines, buttons."""
        with Vertical(classes="dialog"):
            yield Static(Content.styled(clean(self._question), "bold"), classes="dialog-title")
            for line in self._lines:
                yield Static(Content(clean(line)), classes="dialog-line")
            with Horizontal(classes="dialog-buttons"):
                for choice in self._choices:
                    yield Button(Content(choice.label), id=choice.key, variant=choice.variant, compact=True)

    def on_mount(self) -> None:
        """The first choice is the one Enter takes."""
        self.query(Button).first().focus()

    def on_button_pressed(self, event: Button.Pressed) -> None:
        """Answer."""
        self.dismiss(event.button.id or "")

    def action_nothing(self) -> None:
        """Escape."""
        self.dismiss("")


def confirm(command: str, help_text: str, meant: str = "") -> ChoiceDialog:
    """Ask before something is done that is hard to take back: shows the line it would run, and what that means."""
    return ChoiceDialog(
        "Really?",
        (f": {command}", *((f"  {meant}",) if meant else ()), "", help_text),
        (Choice("cancel", "Cancel"), Choice("go", "Do it", "error")),
    )


def leave(jobs: int, others: int = 0) -> ChoiceDialog:
    """Quitting while jobs run, or while other consoles and commands use the engine in this program."""
    facts, lines = [], ["Leave: the console closes, the engine goes on in the background; the next start finds it."]
    choices = [Choice("cancel", "Stay"), Choice("leave", "Leave it running", "primary")]
    if jobs:
        facts.append(f"{format_count(jobs, 'job')} {'is' if jobs == 1 else 'are'} not finished")
        lines.append("Wait: the console closes by itself when the last has ended.")
        choices.append(Choice("wait", "Wait, then quit"))
    if others:
        facts.append(f"{format_count(others, 'other console')} {'is' if others == 1 else 'are'} attached")
    stop = "jobs are checkpointed now, and go on at the next start" if jobs else "the engine ends now"
    lines.append(f"Stop: {stop}{', and the others lose it' if others else ''}.")
    return ChoiceDialog(f"{', '.join(facts)}.", lines, (*choices, Choice("stop", "Stop now", "warning")))

"""`FormDialog`: any operation as a form, one line an argument, with suggestions, and what is wrong said as one types.

Flows in: the operation's fields as a door describes them, and a desk. Flows out: the command line the form makes,
once it is understood. A form is a way to write a line, so palette, scripts and forms can never differ.
Drawing thread.
"""

from __future__ import annotations

import shlex
from collections.abc import Mapping, Sequence
from typing import ClassVar, NamedTuple

from textual.app import ComposeResult
from textual.binding import Binding, BindingType
from textual.containers import Horizontal, Vertical, VerticalScroll
from textual.content import Content
from textual.events import DescendantFocus, Key
from textual.screen import ModalScreen
from textual.widgets import Button, Input, Label, Static

from screens.desk import Desk, Problem, Suggestion
from screens.text import Line, Span, clean, cut, fit, line_of
from screens.widgets.rows import Rows
from screens.widgets.tick import Tick

SHOWN_MAX = 4
LABEL_WIDTH = 18


class Field(NamedTuple):
    """One argument of an operation, as a form shows it. `flag` is empty for one given by its place."""

    name: str
    flag: str
    label: str
    help: str
    required: bool
    switch: bool
    many: bool
    default: str
    off: str = ""  # the flag that turns off a switch which is on by default


class FormDialog(ModalScreen[str]):
    """Fill in an operation. The result is its command line, or nothing after Escape."""

    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("escape", "nothing", "Back", priority=True),
        Binding("ctrl+s", "run", "Run", priority=True),
    ]

    RUN = "Run"  # what the button says

    def __init__(
        self,
        desk: Desk,
        verb: str,
        fields: Sequence[Field],
        given: Mapping[str, str],
        *,
        lead: Sequence[Line] = (),
    ) -> None:
        """`given` fills fields by name; `lead` stands above them: what one should know before one chooses."""
        super().__init__()
        self._lead = lead
        self._desk = desk
        self._verb = verb
        self._fields = sorted(fields, key=lambda field: (not field.required, field.switch))
        self._given = given
        self._problem = ""
        self._about = ""
        self._suggestions: tuple[Suggestion, ...] = ()
        self._marked = -1
        self._filled = ""
        self._start = 0  # where in a suggested line the value of the field begins

    def compose(self) -> ComposeResult:
        """Title, fields, suggestions, what the line would be, buttons."""
        with Vertical(classes="dialog form"):
            yield Static(Content.styled(self._verb, "bold"), classes="dialog-title")
            if self._lead:
                yield Rows(id="lead", fill=self._fill_lead)
            with VerticalScroll(id="fields", can_focus=False):
                for field in self._fields:
                    yield from self._compose_field(field)
            yield Rows(id="suggestions", fill=self._fill_suggestions)
            yield Rows(id="words", fill=self._fill_words)
            yield from self.compose_more()
            with Horizontal(classes="dialog-buttons"):
                yield Button("Cancel", id="cancel", compact=True)
                yield from self.compose_buttons()

    def compose_more(self) -> ComposeResult:
        """What stands between the words and the buttons."""
        yield from ()

    def compose_buttons(self) -> ComposeResult:
        """The buttons after Cancel."""
        if any(field.name == "dry_run" for field in self._fields):
            yield Button("Dry run", id="dry", variant="primary", compact=True)
        yield Button(self.RUN, id="run", variant="success", compact=True)

    def _compose_field(self, field: Field) -> ComposeResult:
        with Horizontal(classes="field"):
            mark = "*" if field.required else " "
            yield Label(Content(f"{mark} {cut(field.label, LABEL_WIDTH - 3)}"), classes="field-label")
            if field.switch:
                is_on = (self._given.get(field.name) or field.default) == "yes"
                yield Tick(is_on, id=field.name)
                yield Label(Content(cut(field.help, 50)), classes="field-help")
            else:
                value = self._given.get(field.name, "")
                yield Input(value, placeholder=field.help, id=field.name, compact=True, select_on_focus=False)

    def on_mount(self) -> None:
        """Begin at the first required field that is empty."""
        for box in self.query(Input):
            box.cursor_blink = False
        self.query_one(f"#{self.first() or 'run'}").focus()
        if self._lead:
            self.query_one("#lead").styles.height = len(self._lead)

    def first(self) -> str:
        """The field to begin with: the first that must be filled and is not. Empty: none."""
        needed = (field for field in self._fields if field.required and not field.switch)
        return next((field.name for field in needed if not self._given.get(field.name)), "")

    def _fill_lead(self, rows: Rows) -> None:
        rows.show_lines([fit(line, rows.text_width) for line in self._lead])

    # --- the line it makes ---

    def line(self, *, dry: bool = False) -> str:
        """The command line of what is filled in."""
        words = [self._verb]
        for field in sorted(self._fields, key=lambda one: bool(one.flag)):
            if field.switch:
                is_on = self.query_one(f"#{field.name}", Tick).value or (dry and field.name == "dry_run")
                if is_on != (field.default == "yes"):
                    words.append(field.flag if is_on else field.off or f"{field.flag}=no")
                continue
            text = self.query_one(f"#{field.name}", Input).value.strip()
            if text:
                words += [field.flag] * bool(field.flag) + (_listed(text) if field.many else [shlex.quote(text)])
        return " ".join(words)

    def _judge(self) -> None:
        """What is wrong with the line, once all that it needs is there; what is half written is not wrong yet."""
        self._problem = ""
        if not self._missing():
            meant = self._desk.understand(self.line())
            self._problem = meant.line if isinstance(meant, Problem) else ""

    def _missing(self) -> str:
        """The first field that must be filled and is not."""
        needed = (field for field in self._fields if field.required and not field.switch)
        return next((field.name for field in needed if not self._value(field)), "")

    def _run(self, *, dry: bool = False) -> None:
        meant = self._desk.understand(self.line(dry=dry))
        if isinstance(meant, Problem):
            self._problem = meant.line
            self.query_one("#words", Rows).refill()
            return
        self.dismiss(self.line(dry=dry))

    def _fill_words(self, rows: Rows) -> None:
        words = Span(f": {clean(self.line())}", "dim")
        if self._problem:
            words = Span(f"✗ {clean(self._problem)}", "critical")
        about = Span(clean(self._about), "dim")
        rows.show_lines([fit(line_of(one), rows.text_width) for one in (about, words)])

    # --- suggestions ---

    def _fill_suggestions(self, rows: Rows) -> None:
        lines = []
        first = min(max(0, self._marked - SHOWN_MAX + 1), max(0, len(self._suggestions) - SHOWN_MAX))
        for index, one in enumerate(self._suggestions[first : first + SHOWN_MAX], start=first):
            mark = "› " if index == self._marked else "  "
            words = cut(clean(one.shown), max(0, rows.text_width - 5), keep_end="/" in one.shown)
            shown = Span(words, "accent" if index == self._marked else "strong")
            lines.append(fit((Span(mark, "accent"), shown, Span(f"  {clean(one.help)}", "dim")), rows.text_width))
        rows.show_lines(lines)

    def look_again(self) -> None:
        """More is known than a moment ago: suggest anew where somebody writes."""
        box = self.focused
        field = self._field(box.id) if isinstance(box, Input) else None
        if field is not None and isinstance(box, Input) and self._marked < 0:
            self._suggest(field, box.value)

    def _suggest(self, field: Field, text: str) -> None:
        """What the command line would suggest at this argument's place."""
        places = [one for one in self._fields if not one.flag and not one.switch]
        before = [shlex.quote(self._value(one) or "x") for one in places if one != field]
        start = " ".join([self._verb, *before, *([field.flag] if field.flag else [])])
        self._start = len(start) + 1
        found = self._desk.suggest(f"{start} {text}")
        self._suggestions = tuple(one for one in found if not one.shown.startswith("-"))
        self._marked = -1
        self.query_one("#suggestions", Rows).refill()

    def _value(self, field: Field) -> str:
        return self.query_one(f"#{field.name}", Input).value.strip()

    def _field(self, name: str | None) -> Field | None:
        return next((field for field in self._fields if field.name == name), None)

    def on_descendant_focus(self, event: DescendantFocus) -> None:
        """Say what the field is, and suggest for it."""
        field = self._field(event.widget.id)
        self._about = field.help if field else ""
        if field is not None and isinstance(event.widget, Input):
            self._suggest(field, event.widget.value)
        else:
            self._suggestions = ()
            self.query_one("#suggestions", Rows).refill()
        self.query_one("#words", Rows).refill()

    def on_input_changed(self, event: Input.Changed) -> None:
        """Suggest as it is typed, and say what is wrong with what is there."""
        event.stop()
        self._judge()
        field = self._field(event.input.id)
        if field is not None and event.input.has_focus and event.value != self._filled:
            self._filled = ""
            self._suggest(field, event.value)
        self.query_one("#words", Rows).refill()

    def on_tick_changed(self) -> None:
        """Show the line anew."""
        self._judge()
        self.query_one("#words", Rows).refill()

    # --- keys ---

    def on_key(self, event: Key) -> None:
        """Down and up walk the suggestions while there are some."""
        box = self.focused
        if event.key not in ("down", "up") or not isinstance(box, Input) or not self._suggestions:
            return
        step = 1 if event.key == "down" else -1
        self._marked = (self._marked + step) % len(self._suggestions) if self._marked >= 0 or step > 0 else -1
        chosen, field = self._suggestions[self._marked], self._field(box.id)
        is_many = field is not None and field.many  # several values are written as on a line, one as it is
        word = chosen.line[self._start :].rstrip(" ") if is_many else chosen.shown
        self._filled = box.value = word
        box.cursor_position = len(word)
        if len(self._suggestions) == 1 and field is not None:  # a folder: what is in it comes next
            self._suggest(field, word)
        self.query_one("#suggestions", Rows).refill()
        event.prevent_default()
        event.stop()

    def on_input_submitted(self) -> None:
        """Enter goes to the next field that must be filled, else runs."""
        missing = self._missing()
        if missing:
            self.query_one(f"#{missing}").focus()
        else:
            self._run()

    def on_button_pressed(self, event: Button.Pressed) -> None:
        """Run, or go back."""
        if event.button.id == "cancel":
            self.dismiss("")
        else:
            self._run(dry=event.button.id == "dry")

    def action_run(self) -> None:
        """Run from wherever the focus is."""
        self._run()

    def action_nothing(self) -> None:
        """Escape."""
        self.dismiss("")


def _listed(text: str) -> list[str]:
    """Several values in one field, by the shell's quoting; a quote left open counts as a letter."""
    try:
        return [shlex.quote(word) for word in shlex.split(text)]
    except ValueError:
        return [shlex.quote(text)]

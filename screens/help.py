"""`HelpScreen`: the keys, and every verb with what it does. Escape goes back. Drawing thread."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import ClassVar

from textual.app import ComposeResult
from textual.binding import Binding, BindingType
from textual.screen import Screen

from engine.contract.catalog import CATALOG, OperationSpec, Role
from screens.desk import Desk
from screens.text import Row, Span, beside, fit, line_of
from screens.widgets.command_bar import CommandBar
from screens.widgets.keyline import KeyLine
from screens.widgets.rows import Rows

KEYS: tuple[tuple[str, str], ...] = (
    (":", "write a command; Tab completes, ↑ ↓ walk the history"),
    ("ctrl+p", "the palette: every operation, searched as you type"),
    ("1  2  tab", "go to the weddings, to the jobs, to the next list"),
    ("J", "every job: sort, filter, look into one, act on many"),
    ("S", "where the bytes lie: tiers, copies, regions, moves, recalls, scrub, cache"),
    ("C", "how many workers: timeline, forecast, decisions, readiness, cost"),
    ("↑ ↓  j k", "move the mark; Enter opens what is marked"),
    ("b", "back up the marked wedding"),
    ("r", "retrieve the marked wedding"),
    ("v", "verify the marked wedding"),
    ("s  w", "snapshots of the marked wedding; all weddings"),
    ("a", "add a wedding"),
    ("c", "change how many streams work, and until when"),
    ("x", "cancel the marked job"),
    ("i", "make the repository, while there is none"),
    ("n", "all that needs you, and the log"),
    ("o", "open the newest result again"),
    ("+  -", "a shorter, a longer time in the charts"),
    ("p", "pause the screen (the engine goes on)"),
    ("z", "give the marked panel the whole screen; again: back"),
    ("t", "the next theme"),
    ("?", "keys and commands"),
    ("esc", "back"),
    ("q  ctrl+q", "quit; asks while jobs run"),
)

JOB_KEYS: tuple[tuple[str, str], ...] = (
    ("/", "show jobs with these words in wedding, kind, class or state; !word leaves out; esc shows all"),
    ("s  S", "sort by the next column; the other way round (or click a title)"),
    ("space  a", "mark this job; all that are listed"),
    ("x", "cancel the marked jobs, or this one; asks first"),
    ("p  r", "pause; resume"),
    ("R", "begin again what failed or was stopped; try now what waits to"),
    ("c", "into another class, or the one of the date"),
    ("enter", "one job: its course, every warning, what made it; there s opens its snapshot"),
)

STORAGE_KEYS: tuple[tuple[str, str], ...] = (
    ("T", "each wedding: what of it lies in which tier"),
    ("c", "where a wedding's copies are, what is missing or bad, since when it is safe; asks which"),
    ("m", "what migrate would move, why, and what that saves"),
    ("p", "what prune would forget and free"),
)

SCALING_KEYS: tuple[tuple[str, str], ...] = (
    ("c", "another number, and until when; shows what it costs before it is sent"),
    ("a", "back to what scaling.mode says"),
    ("f", "the forecast, hour by hour"),
    ("r", "go or no-go for the next weddings, check by check"),
    ("b", "the bill of this month, with its arithmetic"),
    ("+  -", "a shorter, a longer time in the charts"),
)

MARKS: tuple[tuple[str, str], ...] = (
    ("● ✓", "well, done"),
    ("▲", "needs a look"),
    ("✗", "failed, critical"),
    ("▸ ○ ‖ ■", "running, waiting, paused, stopped"),
)


class HelpScreen(Screen[None]):
    """Keys first, then verbs; Enter on a verb begins its line."""

    AUTO_FOCUS = "#help"
    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("escape,q,question_mark", "app.pop_screen", "Back", key_display="esc"),
        Binding("enter", "open", "Write the marked verb"),
        Binding("colon", "line", "Command", key_display=":"),
    ]

    def __init__(self, desk: Desk, verb: str = "", usage: Callable[[int], Sequence[str]] | None = None) -> None:
        """Of one `verb`, `usage` gives the lines of its page for a width; without one, keys and all verbs are told."""
        super().__init__()
        self._desk = desk
        self._verb = verb
        self._usage = usage

    def compose(self) -> ComposeResult:
        """One list."""
        yield Rows(id="help", fill=self._fill, choosable=True)
        yield CommandBar(self._desk)
        yield KeyLine()

    def _fill(self, rows: Rows) -> None:
        width = rows.text_width
        lines: list[Row] = []
        if self._usage is not None:
            lines += [Row(self._verb, fit(line_of(_page_span(text)), width)) for text in self._usage(width)]
        else:
            lines.append(_heading("Keys", width))
            lines += [row for key, words in KEYS for row in _pair(key, words, width, 14)]
            lines += [_blank(), _heading("Jobs", width)]
            lines += [row for key, words in JOB_KEYS for row in _pair(key, words, width, 14)]
            lines += [_blank(), _heading("Storage", width)]
            lines += [row for key, words in STORAGE_KEYS for row in _pair(key, words, width, 14)]
            lines += [_blank(), _heading("Scaling", width)]
            lines += [row for key, words in SCALING_KEYS for row in _pair(key, words, width, 14)]
            lines += [_blank(), _heading("Marks", width)]
            lines += [row for mark, words in MARKS for row in _pair(mark, words, width, 14)]
            lines += [_blank(), _heading("Commands", width)]
            lines += [row for spec in CATALOG for row in _verb_rows(spec, width)]
        rows.show(lines)

    def on_rows_chosen(self, event: Rows.Chosen) -> None:
        """Begin the line of the marked verb."""
        self.dismiss()
        self._desk.open_line(f"{event.key} ")

    def action_line(self) -> None:
        """The command line."""
        self._desk.open_line()

    def action_open(self) -> None:
        """Enter."""
        self.query_one("#help", Rows).action_choose()


def _heading(text: str, width: int) -> Row:
    return Row("", fit(line_of(Span(text, "accent")), width))


def _page_span(text: str) -> Span:
    return Span(text, "plain" if text.startswith(" ") else "strong")


def _blank() -> Row:
    return Row("", ())


def _pair(key: str, words: str, width: int, key_width: int) -> list[Row]:
    first = (Span(f"  {key:<{key_width}}", "strong"),)
    return [Row("", line) for line in beside(first, Span(words), width)]


def _verb_rows(spec: OperationSpec, width: int) -> list[Row]:
    role = {Role.VIEWER: "", Role.OPERATOR: "operator", Role.ADMIN: "admin"}[spec.role]
    first = (Span(f"  {spec.verb:<16}", "strong"), Span(f"{role:<10}", "dim"))
    return [Row(spec.verb, line) for line in beside(first, Span(spec.help), width)]

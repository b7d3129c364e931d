"""Words → the values of a form: flags and places sorted by cyclopts, values converted here.

In: the rows of an operation's arguments, or of the program's own options, and words. Out: values by field name.
Raises `UsageError` with one line that says what to write. cyclopts reads a signature made of the rows; values are
converted here, so that messages speak of dates and choices and not of types. It is loaded only for a line that is not
plain: to import it takes a sixth of a start. Pure; rich is never loaded.
"""

from __future__ import annotations

import datetime as dt
import difflib
import functools
import inspect
import re
from collections.abc import Callable, Mapping, Sequence
from typing import TYPE_CHECKING, Annotated, cast

import msgspec

from engine.base import units
from engine.base.errors import UsageError
from wedsync_tui.arguments import Argument

if TYPE_CHECKING:
    import cyclopts
    from cyclopts import exceptions as wrong
    from rich.console import Console

RawValue = str | bool | tuple[str, ...]
_LOOKS_NEGATIVE = re.compile(r"-(|[0-9.].*)")  # "-" alone, or a negative number or position


class Form(msgspec.Struct, frozen=True):
    """What is to be filled in: a verb (or the program) and its arguments. `more` says where they are listed."""

    name: str
    rows: tuple[Argument, ...]
    more: str

    @property
    def flags(self) -> list[str]:
        """Every flag, negative ones too."""
        return [name for row in self.rows for name in (row.flag, row.negative) if name]

    @property
    def synopsis(self) -> str:
        """The shortest line that works: `backup WEDDING --from PATH…`."""
        return " ".join([self.name, *(row.usage for row in self.rows if row.required)])


def bind_values(form: Form, words: Sequence[str]) -> dict[str, RawValue]:
    """Sort words to the fields of a form, without looking at the values. Raises UsageError."""
    plain = plain_values(form, words)
    return sorted_values(form, words) if plain is None else plain


def sorted_values(form: Form, words: Sequence[str]) -> dict[str, RawValue]:
    """What cyclopts makes of any line. Raises UsageError."""
    from cyclopts import exceptions as wrong

    tied = _tied(list(words))
    try:
        _, bound, _ = _reader(form).parse_args(tied, print_error=False, exit_on_error=False, error_console=_NOBODY)
    except wrong.CycloptsError as problem:
        raise _explained(form, tied, problem) from None
    return dict(bound.arguments)


def plain_values(form: Form, words: Sequence[str]) -> dict[str, RawValue] | None:
    """The same for a line that can mean one thing only; None for any other, also for every mistake."""
    flags = {name: row for row in form.rows for name in (row.flag, row.negative) if name}
    values: dict[str, RawValue] = {}
    places: list[str] = []
    left = list(reversed(words))
    while left:
        if not left[-1].startswith("-"):
            if places:
                return None  # with a flag between them
            while left and not left[-1].startswith("-"):
                places.append(left.pop())
            continue
        word = left.pop()
        name, sign, value = word.partition("=")
        row = flags.get(name)
        if row is None or (row.field in values and row.kind != "list") or (sign and row.kind == "switch"):
            return None
        if row.kind == "switch":
            values[row.field] = name == row.flag
            continue
        taken = [value] if sign else []
        while left and not left[-1].startswith("-") and (row.kind == "list" or not taken):
            taken.append(left.pop())
        if not taken:
            return None
        before = cast("tuple[str, ...]", values.get(row.field, ()))
        values[row.field] = (*before, *taken) if row.kind == "list" else taken[0]
    return _with_places(form, values, places)


def _with_places(form: Form, values: dict[str, RawValue], places: list[str]) -> dict[str, RawValue] | None:
    for row in form.rows:
        if not row.flag and places:
            values[row.field] = tuple(places) if row.kind == "list" else places[0]
            places = [] if row.kind == "list" else places[1:]
        if row.required and row.field not in values:
            return None
    return None if places else values


def convert_values(form: Form, values: Mapping[str, RawValue]) -> dict[str, object]:
    """The values as what they mean: dates, numbers, members of a choice. Raises UsageError."""
    rows = {row.field: row for row in form.rows}
    return {name: _converted(rows[name], value) for name, value in values.items()}


def nearest(word: str, candidates: Sequence[str]) -> str:
    """The candidate a mistyped `word` most likely meant; empty when none is near."""
    return next(iter(difflib.get_close_matches(word, candidates, n=1, cutoff=0.6)), "")


def shown(text: str) -> str:
    """`text` for a message, with what a terminal would obey written out."""
    return text if text.isprintable() else ascii(text)[1:-1]


# --- words to fields ----------------------------------------------------------------------------------


def _tied(words: list[str]) -> list[str]:
    """Tie `-` and negative numbers to the flag before them, which cyclopts would take for options."""
    tied: list[str] = []
    for index, word in enumerate(words):
        if word == "--":
            return tied + words[index:]
        before = tied[-1] if tied else ""
        if before.startswith("--") and "=" not in before and _LOOKS_NEGATIVE.fullmatch(word):
            tied[-1] = f"{before}={word}"
        else:
            tied.append(word)
    return tied


# cyclopts makes a rich console for an error before it knows whether it may print; this stands in for it.
_NOBODY = cast("Console", object())


@functools.cache
def _reader(form: Form) -> cyclopts.App:
    import cyclopts

    def accept(**_: object) -> None:
        """Never called: only its signature is read."""

    parameters = [_parameter(row) for row in form.rows]
    accept.__signature__ = inspect.Signature(parameters)  # type: ignore[attr-defined]
    accept.__annotations__ = {row.name: row.annotation for row in parameters}
    reader = cyclopts.App(name=form.name.replace(" ", "-"), help_flags=(), version_flags=())
    reader.default(accept)
    return reader


def _parameter(row: Argument) -> inspect.Parameter:
    place = inspect.Parameter.KEYWORD_ONLY if row.flag else inspect.Parameter.POSITIONAL_ONLY
    default = inspect.Parameter.empty if row.required else None
    return inspect.Parameter(row.field, place, annotation=_annotation(row), default=default)


def _annotation(row: Argument) -> object:
    import cyclopts

    name = row.flag or None
    if row.kind == "switch":
        return Annotated[bool, cyclopts.Parameter(name, negative=row.negative or ())]
    if row.kind == "list":
        return Annotated[tuple[str, ...], cyclopts.Parameter(name, negative=(), consume_multiple=(1, None))]
    return Annotated[str, cyclopts.Parameter(name, negative=())]


def _explained(form: Form, words: list[str], problem: wrong.CycloptsError) -> UsageError:
    from cyclopts import exceptions as wrong

    unknown = _unknown_flag(words, form.flags)
    if unknown:
        guess = nearest(unknown, form.flags)
        return UsageError(
            f'{form.name} has no option "{shown(unknown)}"', f"did you mean {guess}?" if guess else form.more
        )
    row = _row_of(form.rows, problem)
    if isinstance(problem, wrong.UnusedCliTokensError):
        extra = next(iter(problem.unused_tokens or []), "")
        return UsageError(f'{form.name} cannot use "{shown(extra)}"', f"write {form.synopsis}")
    if row is None:
        return UsageError(f"{form.name}: {' '.join(str(problem).split())}", form.more)
    if isinstance(problem, wrong.RepeatArgumentError):
        return UsageError(f"{row.name} is given twice", "give it once")
    if row.kind == "switch":
        return UsageError(
            f"{row.name} takes no value", f"write {row.name} alone" + f", or {row.negative}" * bool(row.negative)
        )
    if any(word.partition("=")[0] == row.flag for word in words if row.flag):
        return UsageError(f"{row.name} needs a value", f"write {row.usage.strip('[]')}")
    swallowing = not row.flag and any(word.startswith("--") for word in words)
    place = f", with {row.name} before the options" if swallowing else ""
    return UsageError(f"{form.name} needs {row.name}", f"write {form.synopsis}{place}")


def _row_of(rows: Sequence[Argument], problem: wrong.CycloptsError) -> Argument | None:
    names = {problem.argument.name} if problem.argument is not None else set()
    token = getattr(problem, "token", None)
    if token is not None and token.keyword:
        names.add(token.keyword)
    return next(
        (row for row in rows if names & {row.flag, row.negative, row.field, row.field.upper(), row.title} - {""}), None
    )


def _unknown_flag(words: list[str], flags: list[str]) -> str:
    for word in words:
        if word == "--":
            return ""
        name = word.partition("=")[0]
        if word.startswith("-") and not _LOOKS_NEGATIVE.fullmatch(word) and name not in flags:
            return name
    return ""


# --- values -------------------------------------------------------------------------------------------


def _converted(row: Argument, value: str | bool | tuple[str, ...]) -> object:
    if isinstance(value, tuple) and "" in value:
        raise UsageError(f"{row.name} is empty", f"write {row.usage.strip('[]')}, or leave it out")
    if not isinstance(value, str):
        return value
    if row.required and not value:
        raise UsageError(f"{row.name} is empty", f"write {row.help}")
    convert = _CONVERTERS.get(row.kind)
    return convert(row, value) if convert is not None else value


def _date(row: Argument, text: str) -> dt.date:
    try:
        return units.parse_date(text)
    except ValueError as problem:
        raise UsageError(f"{row.name}: {problem}") from None


def _span(row: Argument, text: str) -> str:
    try:
        if text:
            units.parse_span(text)
    except ValueError as problem:
        raise UsageError(f"{row.name}: {problem}") from None
    return text


def _number(row: Argument, text: str) -> int:
    if not re.fullmatch(r"[+-]?[0-9][0-9_]{0,17}", text):
        raise UsageError(f"{row.name}: {text!r} is not a whole number", "write it like 100")
    number = int(text)
    if row.minimum is not None and number < row.minimum:
        raise UsageError(f"{row.name}: {number} is too small", f"{row.minimum} is the least")
    if row.maximum is not None and number > row.maximum:
        raise UsageError(f"{row.name}: {number} is too large", f"{row.maximum} is the most")
    return number


def _choice(row: Argument, text: str) -> str:
    if text in row.choices:
        return text
    guess = nearest(text, row.choices)
    others = ", ".join(row.choices[:-1])
    hint = f"did you mean {guess}?" if guess else f"write {others} or {row.choices[-1]}"
    raise UsageError(f'{row.name} cannot be "{shown(text)}"', hint)


_CONVERTERS: dict[str, Callable[[Argument, str], object]] = {
    "date": _date,
    "span": _span,
    "number": _number,
    "choice": _choice,
}

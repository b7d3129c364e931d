"""One line of words → one `Operation`. The single parser of command line, scripts and palette.

In: words already split, or a line. Out: an operation of the catalog, or a wish for help.
Raises `UsageError` with one line: what is wrong, and what to write instead. cyclopts binds words to
flags and places, from a signature built out of the catalog; values are converted here, so that their
messages speak of dates and sizes and not of types. Pure; any thread; rich is never loaded.
"""

from __future__ import annotations

import datetime as dt
import difflib
import functools
import inspect
import re
import shlex
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Annotated, cast

import cyclopts
import msgspec
from cyclopts import exceptions as wrong

from engine.base import units
from engine.base.errors import UsageError
from engine.contract.catalog import BY_ARGUMENTS, BY_NAME, BY_VERB, CATALOG, OperationSpec
from engine.contract.operations import Operation
from wedsync_tui.arguments import Argument, arguments_of
from wedsync_tui.words import split_words

if TYPE_CHECKING:
    from rich.console import Console

HELP_WORDS = frozenset({"--help", "-h"})
_LOOKS_NEGATIVE = re.compile(r"-(|[0-9.].*)")  # "-" alone, or a negative number or position


@dataclass(frozen=True, slots=True)
class HelpRequest:
    """Somebody asked how: for one verb, or for all (`verb` empty)."""

    verb: str = ""


@dataclass(frozen=True, slots=True)
class BoundWords:
    """Words sorted to the arguments of one operation, values not yet converted."""

    spec: OperationSpec
    values: Mapping[str, str | bool | tuple[str, ...]]


def parse_line(line: str) -> Operation | HelpRequest:
    """`parse` of a line that is not yet split; it has no variables. Raises UsageError."""
    return parse([word.filled({}) for word in split_words(line)])


def parse(words: Sequence[str]) -> Operation | HelpRequest:
    """The operation `words` ask for. Raises UsageError."""
    bound = bind(words)
    return bound if isinstance(bound, HelpRequest) else build(bound)


def bind(words: Sequence[str]) -> BoundWords | HelpRequest:
    """Find the verb and sort the words to its arguments, without looking at the values. Raises UsageError."""
    if not words:
        raise UsageError("there is no command", "help lists the verbs")
    if words[0] in HELP_WORDS:
        return HelpRequest()
    if words[0] == "help":
        return HelpRequest(_verb_of(words[1:])[0].verb if len(words) > 1 else "")
    spec, rest = _verb_of(words)
    before_delimiter = rest[: rest.index("--")] if "--" in rest else rest
    if HELP_WORDS.intersection(before_delimiter):
        return HelpRequest(spec.verb)
    return BoundWords(spec, _bound_values(spec, _joined(_redirected(spec, rest))))


def build(bound: BoundWords) -> Operation:
    """Convert the values and make the operation. Raises UsageError."""
    rows = {row.field: row for row in arguments_of(bound.spec)}
    values = {field: _converted(rows[field], value) for field, value in bound.values.items()}
    try:
        return msgspec.convert(values, bound.spec.arguments)
    except msgspec.ValidationError as problem:
        raise UsageError(f"{bound.spec.verb}: {problem}", f"help {bound.spec.verb} tells what it takes") from None


def format_command(operation: Operation) -> str:
    """The line that asks for `operation`: what `parse` reads back. Arguments at their default are left out."""
    spec = BY_ARGUMENTS[type(operation)]
    places: list[str] = []
    flags: list[str] = []
    for row in arguments_of(spec):
        value = getattr(operation, row.field)
        if not row.required and value == row.default:
            continue
        if row.flag:
            flags += _flag_words(row, value)
        else:
            places.append(str(value))
    if any(place.startswith("-") for place in places):
        flags.append("--")
        return " ".join([spec.verb, *flags, *map(shlex.quote, places)])
    return " ".join([spec.verb, *map(shlex.quote, places), *flags])


def nearest(word: str, candidates: Sequence[str]) -> str:
    """The candidate a mistyped `word` most likely meant; empty when none is near."""
    return next(iter(difflib.get_close_matches(word, candidates, n=1, cutoff=0.6)), "")


# --- the verb -----------------------------------------------------------------------------------------


def _verb_of(words: Sequence[str]) -> tuple[OperationSpec, list[str]]:
    for length in (2, 1):
        spec = BY_VERB.get(" ".join(words[:length]))
        if spec is not None and len(words) >= length:
            return spec, list(words[length:])
    raise _unknown_verb(words)


def _unknown_verb(words: Sequence[str]) -> UsageError:
    verbs = [spec.verb for spec in CATALOG]
    first = words[0]
    family = [verb for verb in verbs if verb.startswith(f"{first} ")]
    if family:
        given = " ".join(words[:2])
        return UsageError(f'unknown verb "{_shown(given)}"', f"write one of: {', '.join(family)}")
    if first in BY_NAME:
        return UsageError(f'unknown verb "{first}"', f"did you mean {BY_NAME[first].verb}?")
    guess = nearest(" ".join(words[:2]), verbs) or nearest(first, verbs)
    hint = f"did you mean {guess}?" if guess else "help lists the verbs"
    return UsageError(f'unknown verb "{_shown(first)}"', hint)


# --- words to arguments -------------------------------------------------------------------------------


def _redirected(spec: OperationSpec, words: list[str]) -> list[str]:
    """`store … < FILE`, as in a shell, inside one of our own lines: the operation reads that file."""
    if len(words) >= 2 and words[-2] == "<" and any(row.field == "file" for row in arguments_of(spec)):
        return [*words[:-2], f"--file={words[-1]}"]
    return words


def _joined(words: list[str]) -> list[str]:
    """Tie `-` and negative numbers to the flag before them, which cyclopts would take for options."""
    joined: list[str] = []
    for index, word in enumerate(words):
        if word == "--":
            return joined + words[index:]
        before = joined[-1] if joined else ""
        if before.startswith("--") and "=" not in before and _LOOKS_NEGATIVE.fullmatch(word):
            joined[-1] = f"{before}={word}"
        else:
            joined.append(word)
    return joined


def _bound_values(spec: OperationSpec, words: list[str]) -> dict[str, str | bool | tuple[str, ...]]:
    try:
        _, bound, _ = _reader(spec).parse_args(words, print_error=False, exit_on_error=False, error_console=_NOBODY)
    except wrong.CycloptsError as problem:
        raise _explained(spec, words, problem) from None
    return dict(bound.arguments)


# cyclopts makes a rich console for an error before it knows whether it may print; this stands in for it.
_NOBODY = cast("Console", object())


@functools.cache
def _reader(spec: OperationSpec) -> cyclopts.App:
    def accept(**_: object) -> None:
        """Never called: only its signature is read."""

    parameters = [_parameter(row) for row in arguments_of(spec)]
    accept.__signature__ = inspect.Signature(parameters)  # type: ignore[attr-defined]
    accept.__annotations__ = {row.name: row.annotation for row in parameters}
    reader = cyclopts.App(name=spec.verb.replace(" ", "-"), help_flags=(), version_flags=())
    reader.default(accept)
    return reader


def _parameter(row: Argument) -> inspect.Parameter:
    place = inspect.Parameter.KEYWORD_ONLY if row.flag else inspect.Parameter.POSITIONAL_ONLY
    default = inspect.Parameter.empty if row.required else None
    return inspect.Parameter(row.field, place, annotation=_annotation(row), default=default)


def _annotation(row: Argument) -> object:
    name = row.flag or None
    if row.kind == "switch":
        return Annotated[bool, cyclopts.Parameter(name, negative=row.negative or ())]
    if row.kind == "list":
        return Annotated[tuple[str, ...], cyclopts.Parameter(name, negative=(), consume_multiple=(1, None))]
    return Annotated[str, cyclopts.Parameter(name, negative=())]


def _explained(spec: OperationSpec, words: list[str], problem: wrong.CycloptsError) -> UsageError:
    rows = arguments_of(spec)
    flags = [name for row in rows for name in (row.flag, row.negative) if name]
    unknown = _unknown_flag(words, flags)
    if unknown:
        guess = nearest(unknown, flags)
        hint = f"did you mean {guess}?" if guess else f"help {spec.verb} lists its options"
        return UsageError(f'{spec.verb} has no option "{_shown(unknown)}"', hint)
    row = _row_of(rows, problem)
    if isinstance(problem, wrong.UnusedCliTokensError):
        extra = next(iter(problem.unused_tokens or []), "")
        return UsageError(f'{spec.verb} cannot use "{_shown(extra)}"', f"write {synopsis(spec)}")
    if row is None:
        return UsageError(f"{spec.verb}: {' '.join(str(problem).split())}", f"help {spec.verb} tells what it takes")
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
    return UsageError(f"{spec.verb} needs {row.name}", f"write {synopsis(spec)}{place}")


def _row_of(rows: Sequence[Argument], problem: wrong.CycloptsError) -> Argument | None:
    names = {problem.argument.name} if problem.argument is not None else set()
    token = getattr(problem, "token", None)
    if token is not None and token.keyword:
        names.add(token.keyword)
    return next((row for row in rows if names & {row.flag, row.negative, row.field, row.title} - {""}), None)


def _unknown_flag(words: list[str], flags: list[str]) -> str:
    for word in words:
        if word == "--":
            return ""
        name = word.partition("=")[0]
        if word.startswith("-") and not _LOOKS_NEGATIVE.fullmatch(word) and name not in flags:
            return name
    return ""


def synopsis(spec: OperationSpec) -> str:
    """The shortest line that works: `backup WEDDING --from PATH…`."""
    return " ".join([spec.verb, *(row.usage for row in arguments_of(spec) if row.required)])


# --- values -------------------------------------------------------------------------------------------


def _converted(row: Argument, value: str | bool | tuple[str, ...]) -> object:
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
    return number


def _choice(row: Argument, text: str) -> str:
    if text in row.choices:
        return text
    guess = nearest(text, row.choices)
    others = ", ".join(row.choices[:-1])
    hint = f"did you mean {guess}?" if guess else f"write {others} or {row.choices[-1]}"
    raise UsageError(f'{row.name} cannot be "{_shown(text)}"', hint)


_CONVERTERS: dict[str, Callable[[Argument, str], object]] = {
    "date": _date,
    "span": _span,
    "number": _number,
    "choice": _choice,
}


# --- back to words ------------------------------------------------------------------------------------


def _flag_words(row: Argument, value: object) -> list[str]:
    if isinstance(value, bool):
        return [row.flag if value else row.negative or f"{row.flag}=no"]
    values = value if isinstance(value, tuple) else (value,)
    return [f"{row.flag}{'=' if str(one).startswith('-') else ' '}{shlex.quote(str(one))}" for one in values]


def _shown(text: str) -> str:
    return text.encode("utf-8", "backslashreplace").decode() if text.isprintable() else ascii(text)[1:-1]

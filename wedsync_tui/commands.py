"""One line of words → one `Operation`. The single parser of command line, scripts and palette.

In: words already split, or a line. Out: an operation of the catalog, or a wish for help.
Raises `UsageError` with one line: what is wrong, and what to write instead. Finds the verb; `binding` fills in
its arguments. `format_command` is the way back. Pure; any thread.
"""

from __future__ import annotations

import functools
import json
import shlex
from collections.abc import Mapping, Sequence

import msgspec

from engine.base.errors import UsageError
from engine.base.shapes import convert
from engine.contract.catalog import BY_ARGUMENTS, BY_NAME, BY_VERB, CATALOG, OperationSpec
from engine.contract.operations import Operation
from engine.contract.paths import with_absolute_paths
from engine.contract.steering import AddSchedule
from wedsync_tui.arguments import Argument, arguments_of
from wedsync_tui.binding import Form, RawValue, bind_values, convert_values, nearest, shown
from wedsync_tui.words import split_words

HELP_WORDS = frozenset({"--help", "-h"})


class HelpRequest(msgspec.Struct, frozen=True):
    """Somebody asked how: for one verb, or for all (`verb` empty)."""

    verb: str = ""


class BoundWords(msgspec.Struct, frozen=True):
    """Words sorted to the arguments of one operation, values not yet converted."""

    spec: OperationSpec
    values: Mapping[str, RawValue]


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
    return BoundWords(spec, bind_values(form_of(spec), _redirected(spec, rest)))


def build(bound: BoundWords) -> Operation:
    """Convert the values and make the operation. Raises UsageError."""
    values = convert_values(form_of(bound.spec), bound.values)
    try:
        operation = convert(values, bound.spec.arguments)
        return _with_command(operation) if isinstance(operation, AddSchedule) else operation
    except msgspec.ValidationError as problem:
        raise UsageError(f"{bound.spec.verb}: {problem}", f"help {bound.spec.verb} tells what it takes") from None


def _with_command(schedule: AddSchedule) -> AddSchedule:
    """A schedule whose command, written as in a script, is an operation with its arguments. Raises UsageError."""
    if not schedule.run or schedule.operation:
        return schedule
    wanted = parse_line(schedule.run)
    if isinstance(wanted, HelpRequest):
        raise UsageError("help cannot be scheduled", "write a command, as verify smith-jones")
    absolute = with_absolute_paths(wanted)
    arguments = json.dumps(msgspec.to_builtins(absolute))
    return msgspec.structs.replace(schedule, operation=BY_ARGUMENTS[type(wanted)].name, arguments=arguments)


def synopsis(spec: OperationSpec) -> str:
    """The shortest line that works: `backup WEDDING --from PATH…`."""
    return form_of(spec).synopsis


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
        elif isinstance(value, tuple):
            places += map(str, value)
        else:
            places.append(str(value))
    if any(place.startswith("-") for place in places):
        flags.append("--")
        return " ".join([spec.verb, *flags, *map(shlex.quote, places)])
    return " ".join([spec.verb, *map(shlex.quote, places), *flags])


@functools.cache
def form_of(spec: OperationSpec) -> Form:
    """What an operation wants filled in."""
    return Form(spec.verb, arguments_of(spec), f"help {spec.verb} tells what it takes")


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
    if not first.strip():
        return UsageError("the verb is empty", "help lists the verbs")
    if len(words) == 1 and any(first.startswith(f"{verb} ") for verb in verbs):
        return UsageError(f'unknown verb "{shown(first)}"', "write it without quotes around it all, or after -c")
    family = [verb for verb in verbs if verb.startswith(f"{first} ")]
    if family:
        given = " ".join(words[:2])
        return UsageError(f'unknown verb "{shown(given)}"', f"write one of: {', '.join(family)}")
    if first in BY_NAME:
        return UsageError(f'unknown verb "{first}"', f"did you mean {BY_NAME[first].verb}?")
    guess = nearest(" ".join(words[:2]).lower(), verbs) or nearest(first.lower(), verbs)
    hint = f"did you mean {guess}?" if guess else "help lists the verbs"
    return UsageError(f'unknown verb "{shown(first)}"', hint)


def _redirected(spec: OperationSpec, words: list[str]) -> list[str]:
    """`store … < FILE`, as in a shell, inside one of our own lines: the operation reads that file."""
    if len(words) >= 2 and words[-2] == "<" and any(row.field == "file" for row in arguments_of(spec)):
        return [*words[:-2], f"--file={words[-1]}"]
    return words


# --- back to words ------------------------------------------------------------------------------------


def _flag_words(row: Argument, value: object) -> list[str]:
    if isinstance(value, bool):
        return [row.flag if value else row.negative or f"{row.flag}=no"]
    values = value if isinstance(value, tuple) else (value,)
    return [f"{row.flag}{'=' if str(one).startswith('-') else ' '}{shlex.quote(str(one))}" for one in values]

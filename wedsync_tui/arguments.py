"""What an operation's arguments look like at the doors, read once from the catalog's structs.

In: an `OperationSpec`. Out: `Argument` rows: flag or place, placeholder, kind of value, choices, help.
The parser, the help pages and the completion all read these rows, so a flag is declared in one place
only: `engine.contract.operations`. Pure; any thread.
"""

from __future__ import annotations

import functools
import types
import typing
from typing import Literal

import msgspec
import msgspec.inspect as inspect

from engine.contract.catalog import OperationSpec

ArgumentKind = Literal["text", "list", "switch", "number", "date", "span", "choice"]


class Argument(msgspec.Struct, frozen=True):
    """One argument. `flag` is empty for one that is given by its place."""

    field: str  # its name in the operation's struct
    flag: str
    title: str  # placeholder, as WEDDING
    help: str
    kind: ArgumentKind
    required: bool
    default: object
    choices: tuple[str, ...] = ()
    minimum: int | None = None
    maximum: int | None = None

    @property
    def name(self) -> str:
        """What a message calls it: the flag, or the placeholder."""
        return self.flag or self.title

    @property
    def negative(self) -> str:
        """The flag that turns off a switch which is on unless told otherwise, or is worth denying."""
        return f"--no-{self.flag.removeprefix('--')}" if self.kind == "switch" and self.field == "wait" else ""

    @property
    def usage(self) -> str:
        """How it stands in a synopsis: `WEDDING`, `[--wait]`, `--from PATH…`."""
        value = "|".join(self.choices if self.flag else ()) or self.title
        if self.kind == "list":
            value += "…"
        text = value if not self.flag else self.flag if self.kind == "switch" else f"{self.flag} {value}"
        return text if self.required else f"[{text}]"


@functools.cache
def arguments_of(spec: OperationSpec) -> tuple[Argument, ...]:
    """The arguments of one operation, those given by place first, in their order."""
    info = inspect.type_info(spec.arguments)
    assert isinstance(info, inspect.StructType)
    hints = typing.get_type_hints(spec.arguments, include_extras=True)
    rows = [_argument(field, hints[field.name]) for field in info.fields]
    return tuple(sorted(rows, key=lambda row: bool(row.flag)))


def _argument(field: inspect.Field, hint: object) -> Argument:
    meta = field.type if isinstance(field.type, inspect.Metadata) else inspect.Metadata(field.type)
    words = meta.extra_json_schema or {}
    extra = meta.extra or {}
    positional = bool(extra.get("positional"))
    flag = "" if positional else str(extra.get("flag") or f"--{field.name.replace('_', '-')}")
    choices = _choices(hint)
    value = _without_none(meta.type)
    kind = "choice" if choices else _kind(value, str(words.get("title", "")))
    return Argument(
        field=field.name,
        flag=flag,
        title=str(words.get("title") or field.name.upper().replace("_", "-")),
        help=str(words.get("description", "")),
        kind=kind,
        required=field.required,
        default=None if field.required else field.default,
        choices=choices,
        minimum=value.ge if isinstance(value, inspect.IntType) else None,
        maximum=value.le if isinstance(value, inspect.IntType) else None,
    )


def _without_none(value: inspect.Type) -> inspect.Type:
    if isinstance(value, inspect.UnionType):
        rest = [member for member in value.types if not isinstance(member, inspect.NoneType)]
        if len(rest) == 1:
            return rest[0]
    return value


def _kind(value: inspect.Type, title: str) -> ArgumentKind:
    if isinstance(value, inspect.BoolType):
        return "switch"
    if isinstance(value, inspect.IntType):
        return "number"
    if isinstance(value, inspect.DateType):
        return "date"
    if isinstance(value, inspect.VarTupleType):
        return "list"
    if isinstance(value, inspect.StrType):
        return "span" if title == "SPAN" else "text"
    raise TypeError(f"no door knows how to write a value of type {value}")


def _choices(hint: object) -> tuple[str, ...]:
    """The members of a Literal inside `hint`, in the order they were written (msgspec sorts them)."""
    origin = typing.get_origin(hint)
    if origin is Literal:
        return tuple(str(member) for member in typing.get_args(hint))
    if origin is typing.Annotated:
        return _choices(typing.get_args(hint)[0])
    if origin in {typing.Union, types.UnionType}:
        return tuple(word for member in typing.get_args(hint) for word in _choices(member))
    return ()

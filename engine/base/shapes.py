"""Values of a known shape out of data: the one door to msgspec's reading.

msgspec 0.22 looks into a struct type when it first reads one, and keeps what it has found so far where other threads
see it: two threads that read the same shape for the first time at once crash the process. Here each type is looked into
once, under a lock, before anything reads it (docs/decisions/0011-msgspec-threads.md). Any thread.
"""

from __future__ import annotations

import threading
from collections.abc import Callable
from typing import TypeAlias, TypeVar

import msgspec

Shape = TypeVar("Shape")
ExtensionHook = Callable[[int, memoryview], object]
MsgpackDecoder: TypeAlias = msgspec.msgpack.Decoder

_LOOKING = threading.Lock()
_KNOWN: set[object] = set()  # types looked into; grows only, under the lock


def convert(value: object, kind: type[Shape], *, strict: bool = True) -> Shape:
    """`value`, made of plain objects, as a `kind`. Raises msgspec.ValidationError."""
    _look_into(kind)
    return msgspec.convert(value, kind, strict=strict)


def msgpack_decoder(kind: type[Shape], hook: ExtensionHook | None = None) -> MsgpackDecoder[Shape]:
    """What reads MessagePack as a `kind`; `hook` takes its extensions. May be used by any number of threads."""
    _look_into(kind)
    return msgspec.msgpack.Decoder(kind, ext_hook=hook)


def from_json(data: bytes, kind: type[Shape]) -> Shape:
    """The `kind` that JSON holds. Raises msgspec.DecodeError, msgspec.ValidationError."""
    _look_into(kind)
    return msgspec.json.decode(data, type=kind)


def _look_into(kind: object) -> None:
    if kind not in _KNOWN:
        with _LOOKING:
            msgspec.msgpack.Decoder(kind)  # finds all that is inside
            _KNOWN.add(kind)

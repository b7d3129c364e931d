"""What an engine and a door in another process say to each other over the unix socket (docs/attach.md).

A frame is four bytes of length, big-endian, and one MessagePack map; its `type` tells which message it is. Flows in:
bytes of a stream, messages. Flows out: whole messages, bytes. Everything is bounded before it is believed. Any thread
may encode; a `Frames` belongs to one.
"""

from __future__ import annotations

import functools
import struct
from collections.abc import Iterator
from typing import Final, TypeAlias, TypeVar, cast

import msgspec

from engine.base.errors import UsageError, WedSyncError
from engine.base.shapes import MsgpackDecoder, convert, msgpack_decoder
from engine.contract.catalog import BY_NAME, CATALOG
from engine.contract.events import Event
from engine.contract.operations import Operation, Result
from engine.contract.status import Status

PROTOCOL: Final = 1  # grows when an older peer would misunderstand
SOCKET_NAME: Final = "engine.sock"
REQUEST_BYTES_MAX: Final = 4 * 1024 * 1024
ANSWER_BYTES_MAX: Final = 64 * 1024 * 1024
CALLS_MAX: Final = 128  # under way at once, a client
DESCRIPTORS_PER_CALL: Final = 2

_LENGTH: Final = struct.Struct(">I")
_NOT_UTF8: Final = 1  # MessagePack extension: the bytes of a text that is not UTF-8


Decoded = TypeVar("Decoded")


class WireError(ValueError):
    """The other side does not keep to the protocol."""


class _Message(msgspec.Struct, frozen=True, kw_only=True, tag_field="type", rename="camel"):
    """One message. Unknown fields are ignored, so fields may be added."""


# --- from the door to the engine ------------------------------------------------------------------------


class Hello(_Message, frozen=True, kw_only=True, tag="hello"):
    """First of all: who speaks."""

    protocol: int
    version: str


class Call(_Message, frozen=True, kw_only=True, tag="call"):
    """Run an operation of the catalog. `descriptors` came with the frame: standard input, standard output."""

    id: int
    operation: str
    arguments: msgspec.Raw
    descriptors: int = 0


class Cancel(_Message, frozen=True, kw_only=True, tag="cancel"):
    """Nobody waits for the answer any more. A job goes on."""

    id: int


Request: TypeAlias = Hello | Call | Cancel


# --- from the engine to the door ------------------------------------------------------------------------


class Welcome(_Message, frozen=True, kw_only=True, tag="welcome"):
    """The answer to a hello; then come events and status, by themselves."""

    protocol: int
    version: str
    pid: int


class Refused(_Message, frozen=True, kw_only=True, tag="refused"):
    """Why the engine closes the connection."""

    code: str
    message: str
    hint: str = ""


class Answer(_Message, frozen=True, kw_only=True, tag="answer"):
    """What a call gave: `body` is the struct called `result` in `engine.contract.operations`."""

    id: int
    result: str
    body: msgspec.Raw


class Failure(_Message, frozen=True, kw_only=True, tag="failure"):
    """What a call gave instead: an error, by its stable code."""

    id: int
    code: str
    message: str
    hint: str = ""


class NewStatus(_Message, frozen=True, kw_only=True, tag="status"):
    """The newest status document. One that a slow reader missed does not come later."""

    document: msgspec.Raw


class NewEvents(_Message, frozen=True, kw_only=True, tag="events"):
    """Events since the last such message, and how many between were dropped."""

    events: tuple[Event, ...]
    dropped: int = 0


class Goodbye(_Message, frozen=True, kw_only=True, tag="goodbye"):
    """The engine has stopped in order. A connection that ends without it was lost."""


Reply: TypeAlias = Welcome | Refused | Answer | Failure | NewStatus | NewEvents | Goodbye


# --- frames -------------------------------------------------------------------------------------------


def frame(message: Request | Reply) -> bytes:
    """A message as it goes over the socket. Raises WireError for one that no peer would take."""
    body = _encoded(message)
    most = REQUEST_BYTES_MAX if isinstance(message, Hello | Call | Cancel) else ANSWER_BYTES_MAX
    if len(body) > most:
        raise WireError(f"{len(body):,} bytes are more than a message holds")
    return _LENGTH.pack(len(body)) + body


class Frames:
    """Bytes in as they come, whole frames out. `limit` bounds what one may claim to hold."""

    def __init__(self, limit: int) -> None:
        self._limit = limit
        self._buffer = bytearray()

    def feed(self, data: bytes) -> Iterator[bytes]:
        """The frames that are whole now. Raises WireError for one that is too long."""
        self._buffer += data
        start = 0
        while len(self._buffer) - start >= _LENGTH.size:
            (length,) = _LENGTH.unpack_from(self._buffer, start)
            if length > self._limit:
                raise WireError(f"a message of {length:,} bytes is longer than one may be")
            end = start + _LENGTH.size + length
            if len(self._buffer) < end:
                break
            yield bytes(self._buffer[start + _LENGTH.size : end])
            start = end
        del self._buffer[:start]


def request_from(data: bytes) -> Request:
    """The message in a frame from a door. Raises WireError."""
    return _decoded(_requests(), data)


def reply_from(data: bytes) -> Reply:
    """The message in a frame from an engine. Raises WireError."""
    return _decoded(_replies(), data)


# --- what messages carry --------------------------------------------------------------------------------


def arguments_raw(operation: Operation) -> msgspec.Raw:
    """Arguments, for a `Call`. Raises UsageError where a text cannot be carried."""
    try:
        return msgspec.Raw(_encoded(operation, exactly=True))
    except UnicodeEncodeError:
        raise UsageError("an argument holds a character that is none", "write it anew") from None


def operation_from(call: Call) -> Operation:
    """The operation that a call asks for. Raises UsageError."""
    decoder = argument_decoder(call.operation)
    if decoder is None:
        raise UsageError(f"there is no operation {call.operation!r} here", "use the same version as the engine's")
    try:
        return _decoded(decoder, bytes(call.arguments))
    except WireError as error:
        raise UsageError(f"{call.operation}: {error}") from None


def answer_to(call_id: int, result: Result) -> Answer:
    """A result, ready for a frame."""
    return Answer(id=call_id, result=type(result).__name__, body=msgspec.Raw(_encoded(result)))


def result_from(answer: Answer) -> Result:
    """The result in an answer. Raises WireError."""
    decoder = result_decoders().get(answer.result)
    if decoder is None:
        raise WireError(f"there is no result {answer.result!r} here")
    return _decoded(decoder, bytes(answer.body))


def status_raw(document: Status) -> msgspec.Raw:
    """A status document, for any number of `NewStatus`."""
    return msgspec.Raw(_encoded(document))


def status_from(message: NewStatus) -> Status:
    """The status document in a message. Raises WireError."""
    return _decoded(_status(), bytes(message.document))


def failure_of(call_id: int, error: WedSyncError) -> Failure:
    """An error, ready for a frame."""
    return Failure(id=call_id, code=error.code, message=error.message, hint=error.hint)


def error_from(message: Failure | Refused) -> WedSyncError:
    """The error that was sent, of the class its code belongs to."""
    kind = _error_kinds().get(message.code, WedSyncError)
    return kind(message.message, message.hint)


@functools.cache
def _error_kinds() -> dict[str, type[WedSyncError]]:
    found: dict[str, type[WedSyncError]] = {}
    ahead: list[type[WedSyncError]] = [WedSyncError]
    while ahead:
        kind = ahead.pop()
        if kind.__module__ == WedSyncError.__module__:
            found[kind.code] = kind
            ahead += kind.__subclasses__()
    return found


# --- encoding and decoding ------------------------------------------------------------------------------
# The engine makes a decoder when it is first asked for what it decodes: most starts are asked for little. The door
# makes its own before its thread starts, so that no answer waits for them.


def argument_decoder(name: str) -> MsgpackDecoder[Operation] | None:
    """A decoder for the arguments of the operation of this name; None when there is none."""
    spec = BY_NAME.get(name)
    return None if spec is None else _decoder_of(spec.arguments)


@functools.cache
def _decoder_of(arguments: type[Operation]) -> MsgpackDecoder[Operation]:
    return msgpack_decoder(arguments, _extension)


@functools.cache
def result_decoders() -> dict[str, MsgpackDecoder[Result]]:
    """A decoder for each kind of result."""
    _replies()
    _status()
    decoders: dict[str, MsgpackDecoder[Result]] = {}
    for kind in {kind for spec in CATALOG for kind in spec.results}:
        decoders[kind.__name__] = msgpack_decoder(kind, _extension)
    return decoders


@functools.cache
def _requests() -> MsgpackDecoder[Request]:
    return msgpack_decoder(cast("type[Request]", Request), _extension)


@functools.cache
def _replies() -> MsgpackDecoder[Reply]:
    return msgpack_decoder(cast("type[Reply]", Reply), _extension)


@functools.cache
def _status() -> MsgpackDecoder[Status]:
    return msgpack_decoder(Status, _extension)


def _encoded(value: msgspec.Struct, *, exactly: bool = False) -> bytes:
    """MessagePack of a struct. A text that is not UTF-8, as a file name may be, becomes an extension of its bytes.

    A text that stands for no bytes at all is written out; with `exactly`, UnicodeEncodeError.
    """
    try:
        return msgspec.msgpack.encode(value)
    except UnicodeEncodeError:
        return msgspec.msgpack.encode(_portable(msgspec.to_builtins(value), exactly))


def _decoded(decoder: MsgpackDecoder[Decoded], data: bytes) -> Decoded:
    """What `_encoded` wrote. Raises WireError."""
    try:
        try:
            return decoder.decode(data)
        except msgspec.ValidationError:  # also: an extension where a text should be
            return convert(msgspec.msgpack.decode(data, ext_hook=_extension), decoder.type)
    except (msgspec.MsgspecError, UnicodeDecodeError, RecursionError) as error:
        raise WireError(str(error)) from None


def _portable(value: object, exactly: bool) -> object:
    if isinstance(value, str):
        return value if _is_utf8(value) else _extended(value, exactly)
    if isinstance(value, dict):
        return {key: _portable(inner, exactly) for key, inner in value.items()}
    if isinstance(value, list | tuple):
        return [_portable(inner, exactly) for inner in value]
    return value


def _is_utf8(text: str) -> bool:
    try:
        text.encode()
    except UnicodeEncodeError:
        return False
    return True


def _extended(text: str, exactly: bool) -> msgspec.msgpack.Ext | str:
    try:
        return msgspec.msgpack.Ext(_NOT_UTF8, text.encode("utf-8", "surrogateescape"))
    except UnicodeEncodeError:
        if exactly:
            raise
        return text.encode("utf-8", "backslashreplace").decode()


def _extension(code: int, data: memoryview) -> str:
    if code != _NOT_UTF8:
        raise msgspec.ValidationError(f"extension {code} is not known")
    return bytes(data).decode("utf-8", "surrogateescape")

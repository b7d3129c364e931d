"""Payloads: strict MessagePack structs, framed and perhaps compressed (docs/format.md, section 3.2).

Every reader here is bounded: a length is checked before it is believed.
"""

from __future__ import annotations

import struct
from typing import TypeVar, cast

import msgspec
import zstandard

from engine.base.errors import IntegrityError
from engine.base.invariants import check
from engine.base.shapes import MsgpackDecoder, msgpack_decoder
from engine.base.units import MIB

PAYLOAD_BYTES_MAX = 256 * MIB
OBJECT_BYTES_MAX = PAYLOAD_BYTES_MAX + MIB
RAW, ZSTD = 0, 1  # codecs; on disk, never change

_FRAME = struct.Struct("<BI")
_WORTH_COMPRESSING_BYTES = 256
_LEVEL = 3

T = TypeVar("T")
_DECODERS: dict[type, object] = {}


def encode(value: object) -> bytes:
    """A struct as canonical MessagePack."""
    return msgspec.msgpack.encode(value)


def decode(payload: bytes, kind: type[T], what: str) -> T:
    """The struct in `payload`. Raises IntegrityError unless it has the shape and re-encodes to itself."""
    try:
        value = _decoder(kind).decode(payload)
    except (msgspec.MsgspecError, UnicodeDecodeError) as error:
        raise IntegrityError(f"{what} does not have the shape of format 1 ({error})") from None
    if msgspec.msgpack.encode(value) != payload:
        raise IntegrityError(f"{what} is not in canonical form")
    return value


def _decoder(kind: type[T]) -> MsgpackDecoder[T]:
    """One decoder a shape; of two that are made at once, one stays."""
    decoder = _DECODERS.get(kind)
    if decoder is None:
        decoder = _DECODERS[kind] = msgpack_decoder(kind)
    return cast("MsgpackDecoder[T]", decoder)


def frame(payload: bytes) -> bytes:
    """`payload` made ready for sealing: codec, length, body."""
    check(len(payload) <= PAYLOAD_BYTES_MAX, "a payload stays under 256 MiB")
    body, codec = press(payload)
    return _FRAME.pack(codec, len(payload)) + body


def press(content: bytes) -> tuple[bytes, int]:
    """Metadata made smaller, and the codec used; what does not compress is kept as it is."""
    if len(content) >= _WORTH_COMPRESSING_BYTES:
        pressed = zstandard.ZstdCompressor(level=_LEVEL).compress(content)
        if len(pressed) < len(content):
            return pressed, ZSTD
    return content, RAW


def unframe(plaintext: bytes, what: str) -> bytes:
    """The payload in what was unsealed. Raises IntegrityError."""
    if len(plaintext) < _FRAME.size:
        raise IntegrityError(f"{what} is too short")
    codec, size_bytes = _FRAME.unpack_from(plaintext)
    body = plaintext[_FRAME.size :]
    if size_bytes > PAYLOAD_BYTES_MAX:
        raise IntegrityError(f"{what} claims {size_bytes} bytes, more than the format allows")
    if codec == ZSTD:
        body = decompress(body, size_bytes, what)
    elif codec != RAW:
        raise IntegrityError(f"{what} has the unknown codec {codec}")
    if len(body) != size_bytes:
        raise IntegrityError(f"{what} has another length than it says")
    return body


def decompress(pressed: bytes | memoryview, size_bytes_max: int, what: str) -> bytes:
    """The content of one zstd frame that carries its size. Raises IntegrityError, also when it is over the bound."""
    try:
        size_bytes = zstandard.frame_content_size(pressed)
        if not 0 <= size_bytes <= size_bytes_max:
            raise IntegrityError(f"{what} unpacks to more than it may")
        return zstandard.ZstdDecompressor().decompress(pressed, max_output_size=size_bytes, allow_extra_data=False)
    except zstandard.ZstdError as error:
        raise IntegrityError(f"{what} does not unpack ({error})") from None

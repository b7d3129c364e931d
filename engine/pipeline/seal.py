"""The hot road: what one stream does with one unit's data, from named chunks to sealed blobs in a pack.

In: chunks in the stream's source buffer. Out: blobs in one or two packs, each decrypted and compared before its
pack leaves. Plain calls on memoryviews; the libraries release the GIL; locks are taken a few times a unit.
"""

from __future__ import annotations

import ctypes

import msgspec

from engine.base.entropy import Entropy
from engine.base.errors import IntegrityError
from engine.base.invariants import check
from engine.contract.settings import BUNDLE_BYTES, SMALL_FILE_BYTES
from engine.pipeline.compress import press
from engine.pipeline.pool import Buffers
from engine.repository import codec, crypto
from engine.repository.pack import PackWriter
from engine.repository.transaction import Transaction

SPREAD_FROM_BYTES = 64 * 1024 * 1024  # a job this large spreads its blobs over two packs

_memcmp = ctypes.CDLL(None).memcmp  # releases the GIL; comparing memoryviews goes byte by byte
_memcmp.argtypes = (ctypes.c_void_p, ctypes.c_void_p, ctypes.c_size_t)
_memcmp.restype = ctypes.c_int


class NamedChunk(msgspec.Struct, frozen=True, gc=False):
    """A chunk in the source buffer."""

    chunk_id: bytes
    start: int
    length: int
    pressed_format: bool


class Blob(msgspec.Struct):
    """What is sealed as one: a chunk, or several small ones end to end."""

    content: memoryview
    chunks: list[NamedChunk]
    pressed_format: bool


def same_bytes(content: memoryview, opened: memoryview | bytes) -> bool:
    """Whether two runs of bytes are equal; memoryviews among them have to be writable ones."""
    if len(content) != len(opened):
        return False
    difference: int = _memcmp(_address(content), _address(opened), len(content)) if len(content) else 0
    return difference == 0


def _address(data: memoryview | bytes) -> int:
    if isinstance(data, bytes):
        return ctypes.cast(ctypes.c_char_p(data), ctypes.c_void_p).value or 0
    return ctypes.addressof(ctypes.c_char.from_buffer(data))


def gather(chunks: list[NamedChunk], source: memoryview) -> list[Blob]:
    """Chunks as blobs: large ones alone, small ones in bundles of about 1 MiB, no byte copied where they adjoin."""
    blobs: list[Blob] = []
    small: list[NamedChunk] = []
    small_bytes = 0
    for chunk in chunks:
        if chunk.length >= SMALL_FILE_BYTES:
            content = source[chunk.start : chunk.start + chunk.length]
            blobs.append(Blob(content, [chunk], chunk.pressed_format))
            continue
        small.append(chunk)
        small_bytes += chunk.length
        if small_bytes >= BUNDLE_BYTES:
            blobs.append(_bundle(small, small_bytes, source))
            small, small_bytes = [], 0
    if small:
        blobs.append(_bundle(small, small_bytes, source))
    return blobs


def _bundle(chunks: list[NamedChunk], size_bytes: int, source: memoryview) -> Blob:
    first, last = chunks[0], chunks[-1]
    if last.start + last.length - first.start == size_bytes:
        content = source[first.start : first.start + size_bytes]
    else:
        content = memoryview(bytearray().join([source[chunk.start : chunk.start + chunk.length] for chunk in chunks]))
    return Blob(content, list(chunks), all(chunk.pressed_format for chunk in chunks))


def store_chunks(
    chunks: list[NamedChunk], buffers: Buffers, transaction: Transaction, *, entropy: Entropy, compare: bool
) -> int:
    """Seal `chunks` (already claimed) into packs; returns the bytes written. Raises what the store raises."""
    if not chunks:
        return 0
    blobs = gather(chunks, buffers.source)
    count = 2 if transaction.bytes_stored >= SPREAD_FROM_BYTES else 1
    writers = transaction.checkout(crypto.DATA_PACK, count)
    choice = entropy.token(len(blobs)) if count > 1 else bytes(len(blobs))
    for writer, buffer in zip(writers, buffers.packs, strict=False):
        writer.open_unit(buffer)
    for blob, pick in zip(blobs, choice, strict=True):
        _seal_blob(blob, writers[pick % count], buffers, compare=compare)
    start_s = buffers.now_s()
    written = sum(writer.close_unit() for writer in writers)
    written_s = buffers.now_s()
    buffers.spent("write", written_s - start_s, written)
    transaction.add_stored(written)
    full_bytes = sum(writer.size_bytes for writer in writers if writer.is_full)
    transaction.checkin(crypto.DATA_PACK, writers, buffers.packs[0])
    if full_bytes:  # waits while many others are on their way to a bucket
        buffers.spent("publish", buffers.now_s() - written_s, full_bytes)
    return written


def _seal_blob(blob: Blob, writer: PackWriter, buffers: Buffers, *, compare: bool) -> None:
    start_s = buffers.now_s()
    content, codec_used = press(blob.content, buffers, pressed_format=blob.pressed_format)
    pressed_s = buffers.now_s()
    place = writer.seal(content, codec_used)
    inner = 0
    for chunk in blob.chunks:
        writer.record(chunk.chunk_id, place, (inner, chunk.length), codec_used)
        inner += chunk.length
    sealed_s = buffers.now_s()
    size_bytes = len(blob.content)
    buffers.spent("compress", pressed_s - start_s, size_bytes)
    buffers.spent("seal", sealed_s - pressed_s, size_bytes)
    if compare:
        _compare(blob, writer, place, codec_used, buffers)
        buffers.spent("compare", buffers.now_s() - sealed_s, size_bytes)


def _compare(blob: Blob, writer: PackWriter, place: tuple[int, int], codec_used: int, buffers: Buffers) -> None:
    """Read the sealed blob back as a restore would; bad memory or a library's bug must not leave this machine."""
    size_bytes = writer.reopen(place[0], place[1], codec_used, buffers.scratch)
    opened = buffers.scratch[:size_bytes]
    if codec_used == codec.ZSTD:
        opened = _unpressed(opened, len(blob.content), buffers)
    if not same_bytes(blob.content, opened):
        raise IntegrityError("a sealed blob did not open to what was sealed", "check this machine's memory")


def _unpressed(pressed: memoryview, size_bytes: int, buffers: Buffers) -> memoryview:
    """What was pressed, in the scratch buffer behind it: new memory would cost a page fault for every 4 KiB."""
    start = len(pressed)
    check(start + size_bytes <= len(buffers.scratch), "a blob fits the scratch buffer pressed and unpressed")
    into = buffers.scratch[start : start + size_bytes]
    with buffers.decompressor.stream_reader(pressed) as reader:
        return into[: reader.readinto(into)]

"""One ranged read of a pack, and its blobs opened and their chunks checked. One stream a call.

In: a `Range` of the plan. Out: each use with its verified bytes, or with what is wrong with them: a damaged blob
spoils the files that need it and nothing else.
"""

from __future__ import annotations

from collections.abc import Iterator

from blake3 import blake3

from engine.base.errors import IntegrityError, NotFound
from engine.pipeline.plan import BlobUse, Piece, Range
from engine.pipeline.pool import Buffers
from engine.repository import layout
from engine.repository.vault import WeddingVault

Fetched = tuple[Piece, memoryview | None, str]  # the bytes, or None and a sentence


def fetch(vault: WeddingVault, wanted: Range, buffers: Buffers) -> Iterator[Fetched]:
    """Every use of the range's blobs, its bytes valid until the next one is asked for."""
    begin_s = buffers.now_s()
    stored = buffers.source[: wanted.length]
    name = layout.pack(vault.keys.wedding, wanted.pack)
    try:
        vault.store.read_into(name, wanted.offset, stored)
    except (IntegrityError, NotFound) as error:
        yield from _all_spoilt(wanted.blobs, error.message)
        return
    buffers.spent("fetch", buffers.now_s() - begin_s, wanted.length)
    for blob in wanted.blobs:
        yield from _open(vault, wanted, blob, buffers)


def _open(vault: WeddingVault, wanted: Range, blob: BlobUse, buffers: Buffers) -> Iterator[Fetched]:
    location = blob.location
    at = location.offset - wanted.offset
    begin_s = buffers.now_s()
    try:
        content = vault.open_blob(location, buffers.source[at : at + location.stored_bytes], buffers.scratch)
    except IntegrityError as error:
        yield from _all_spoilt([blob], f"pack {wanted.pack.hex()}: {error.message}")
        return
    for place, piece in blob.uses:
        chunk = content[place.inner_offset : place.inner_offset + place.length]
        if blake3(chunk, key=vault.keys.chunk_key).digest() != piece.chunk_id:
            yield piece, None, f"chunk {piece.chunk_id.hex()} does not have the contents it is named after"
        else:
            buffers.spent("open", buffers.now_s() - begin_s, len(chunk))
            yield piece, chunk, ""
        begin_s = buffers.now_s()


def _all_spoilt(blobs: list[BlobUse], what: str) -> Iterator[Fetched]:
    for blob in blobs:
        for _, piece in blob.uses:
            yield piece, None, what

"""One ranged read of a pack, and its blobs opened and their chunks checked. One stream a call.

In: a `Range` of the plan. Out: each use with its verified bytes, or with what is wrong with them: a damaged blob
spoils the files that need it and nothing else.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator

from blake3 import blake3

from engine.base.errors import IntegrityError, NotFound
from engine.pipeline.plan import BlobUse, Piece, Range
from engine.pipeline.pool import Buffers
from engine.repository import layout
from engine.repository.vault import WeddingVault
from engine.storage.cached import past_caches

Fetched = tuple[Piece, memoryview | None, str]  # the bytes, or None and a sentence
Room = Callable[[BlobUse], memoryview]  # where an unpressed blob is to be opened, to save a copy


def fetch(vault: WeddingVault, wanted: Range, buffers: Buffers, room: Room | None = None) -> Iterator[Fetched]:
    """Every use of the range's blobs, its bytes valid until those of another blob come (in `room`: until it is used).

    Without `room` blobs are opened into the stream's scratch buffer.
    """
    begin_s = buffers.now_s()
    stored = buffers.source[: wanted.length]
    name = layout.pack(vault.keys.wedding, wanted.pack)
    try:
        vault.store.read_into(name, wanted.offset, stored)
    except (IntegrityError, NotFound) as error:
        if wanted.length == wanted.blobs[0].location.stored_bytes:
            yield from _all_spoilt(wanted.blobs, error.message)
            return
        for blob in wanted.blobs:  # one by one: those before the end of a pack that was cut short are still good
            alone = Range(wanted.pack, blob.location.offset, blob.location.stored_bytes, [blob])
            yield from fetch(vault, alone, buffers, room)
        return
    buffers.spent("fetch", buffers.now_s() - begin_s, wanted.length)
    for blob in wanted.blobs:
        at = blob.location.offset - wanted.offset
        sealed = stored[at : at + blob.location.stored_bytes]
        yield from _open(vault, blob, sealed, buffers, room(blob) if room is not None else buffers.scratch)


def fetch_from_any(vault: WeddingVault, wanted: Range, buffers: Buffers, room: Room | None = None) -> Iterator[Fetched]:
    """As `fetch`; a chunk that is spoilt where it was looked for is taken from elsewhere if another pack has it."""
    for piece, data, what in fetch(vault, wanted, buffers, room):
        if data is not None:
            yield piece, data, what
            continue
        found = vault.read_elsewhere(piece.chunk_id, wanted.blobs[0].location.pack, what)
        yield piece, None if found is None else memoryview(found), what


def _open(
    vault: WeddingVault, blob: BlobUse, sealed: memoryview, buffers: Buffers, into: memoryview
) -> Iterator[Fetched]:
    begin_s = buffers.now_s()
    try:
        try:
            content = vault.open_blob(blob.location, sealed, into)
        except IntegrityError:
            content = _open_past_caches(vault, blob, sealed, into)
    except (IntegrityError, NotFound) as error:
        yield from _all_spoilt([blob], f"pack {blob.location.pack.name.hex()}: {error.message}")
        return
    id_key = vault.keys.id_key(blob.location.pack.pack_type)
    checked: list[Fetched] = []
    for place, piece in blob.uses:
        chunk = content[place.inner_offset : place.inner_offset + place.length]
        if blake3(chunk, key=id_key).digest() == piece.chunk_id:
            checked.append((piece, chunk, ""))
        else:
            checked.append((piece, None, f"chunk {piece.chunk_id.hex()} does not have the contents it is named after"))
    buffers.spent("open", buffers.now_s() - begin_s, sum(len(chunk) for _, chunk, _ in checked if chunk is not None))
    yield from checked


def _open_past_caches(vault: WeddingVault, blob: BlobUse, sealed: memoryview, into: memoryview) -> memoryview:
    """Read a blob once more, from its store: a cache may have kept what the store once gave wrong.

    Raises IntegrityError, NotFound.
    """
    with past_caches():
        vault.store.read_into(layout.pack(vault.keys.wedding, blob.location.pack.name), blob.location.offset, sealed)
    return vault.open_blob(blob.location, sealed, into)


def _all_spoilt(blobs: list[BlobUse], what: str) -> Iterator[Fetched]:
    for blob in blobs:
        for _, piece in blob.uses:
            yield piece, None, what

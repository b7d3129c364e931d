"""One pack, looked at whole: its bytes against its name, its header and footer, its blobs and their chunks.

What verify and repair share. One stream a call.
"""

from __future__ import annotations

from collections.abc import Iterator

from blake3 import blake3

from engine.base.errors import IntegrityError
from engine.base.units import format_count
from engine.contract.settings import UNIT_BYTES
from engine.pipeline.fetch import Fetched, fetch
from engine.pipeline.plan import Piece, Range, by_pack, place_chunks
from engine.pipeline.pool import Buffers
from engine.repository import layout
from engine.repository.entry import FILE, Entry
from engine.repository.index import Location
from engine.repository.pack import HEADER_BYTES, PackEntry, parse_header, split_records
from engine.repository.vault import WeddingVault
from engine.storage.cached import past_caches

_ANY_FILE = Entry(path=b"pack", kind=FILE, mode=0, uid=0, gid=0, mtime_ns=0, size=1 << 62)


def check_name(vault: WeddingVault, pack: PackEntry, buffers: Buffers) -> None:
    """Read the whole pack. Raises IntegrityError unless size, header and hash are right; NotFound."""
    name = layout.pack(vault.keys.wedding, pack.name)
    size_bytes = vault.store.stat(name).size_bytes
    if size_bytes != pack.size:
        raise IntegrityError(f"has {format_count(size_bytes, 'byte')} instead of {pack.size}")
    hasher = blake3()
    for offset in range(0, size_bytes, UNIT_BYTES):
        part = buffers.source[: min(UNIT_BYTES, size_bytes - offset)]
        with past_caches():
            vault.store.read_into(name, offset, part)
        if not offset:
            parse_header(bytes(part[:HEADER_BYTES]), pack.name)
        hasher.update(part)
    if hasher.digest() != pack.name:
        raise IntegrityError("its bytes do not have the hash that is its name")


def ranges_of(pack: PackEntry) -> list[Range]:
    """Reads that cover every blob of `pack`, which has its records. Raises IntegrityError."""
    bare = PackEntry(pack.name, pack.salt, pack.epoch, pack.pack_type, pack.size, b"")
    needed: list[tuple[Location, Piece]] = []
    for record in split_records(pack):
        location = Location(
            bare, record.offset, record.stored_bytes, record.inner_offset, record.length, record.codec_used
        )
        needed += place_chunks(_ANY_FILE, [record.chunk_id], [location], data_offset=0, owner=0)
    return by_pack(needed)


def open_all(vault: WeddingVault, pack: PackEntry, buffers: Buffers) -> Iterator[Fetched]:
    """Every chunk of `pack`, opened and checked against its id; damaged ones with what is wrong."""
    for wanted in ranges_of(pack):
        yield from fetch(vault, wanted, buffers)

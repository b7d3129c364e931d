"""Whether the bytes of a pack are what its name says: read piece by piece, in a stated amount of memory. Blocks."""

from __future__ import annotations

import mmap
from collections.abc import Iterator

from blake3 import blake3

from engine.base.errors import IntegrityError
from engine.storage.stores.store import ObjectStore

PIECE_BYTES = 1024 * 1024


def hash_of(name: str) -> str:
    """The hash in a pack's name, in hex."""
    return name.rpartition("/")[2]


def parts(store: ObjectStore, name: str, size_bytes: int, piece: memoryview) -> Iterator[memoryview]:
    """An object piece by piece, in the same memory. Raises what reading raises."""
    for offset in range(0, size_bytes, len(piece)):
        part = piece[: min(len(piece), size_bytes - offset)]
        store.read_into(name, offset, part)
        yield part


def digest(store: ObjectStore, name: str, size_bytes: int, piece: memoryview) -> str:
    """The BLAKE3 of an object's bytes, in hex. Raises what reading raises."""
    hasher = blake3()
    for part in parts(store, name, size_bytes, piece):
        hasher.update(part)
    return hasher.hexdigest()


def is_whole(store: ObjectStore, name: str, size_bytes: int, piece: memoryview) -> bool:
    """Whether a pack is what its name says. Raises NotFound, Unavailable."""
    try:
        return digest(store, name, size_bytes, piece) == hash_of(name)
    except IntegrityError:
        return False


def hash_copy(name: str, store: ObjectStore) -> int:
    """Read the whole of one copy; its size. Raises IntegrityError when its bytes are not those it is named after."""
    size_bytes = store.stat(name).size_bytes
    if digest(store, name, size_bytes, memoryview(mmap.mmap(-1, PIECE_BYTES))) != hash_of(name):
        raise IntegrityError(f"{name} does not have the hash that is its name", "run verify")
    return size_bytes

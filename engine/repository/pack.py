"""Packs: blobs, footer, trailer (docs/format.md, section 5).

A `PackWriter` fills a page-aligned buffer that belongs to a stream, one unit at a time, and appends it to a staged
object; memory holds only the unit in flight. One stream at a time writes a pack, and only one process life ever
does: what was not published is gone after a crash, key and all.
"""

from __future__ import annotations

import struct
from collections.abc import Iterator
from concurrent.futures import Future
from typing import Final

import msgspec
from blake3 import blake3

from engine.base.entropy import Entropy
from engine.base.errors import IntegrityError
from engine.base.ids import PackName
from engine.base.invariants import check
from engine.base.units import MIB
from engine.repository import codec, crypto, layout
from engine.repository.keyring import WeddingKeys
from engine.storage.stores.store import ObjectStore, StagedObject

PACK_TARGET_BYTES: Final = 32 * MIB
PACK_BYTES_MIN: Final = 2 * 4096
PACK_BYTES_MAX: Final = 128 * MIB
PACK_RECORDS_MAX: Final = 100_000
ALIGNMENT_BYTES: Final = 4096
BLOB_CONTENT_BYTES_MAX: Final = 8 * MIB
KEY_KIND: Final = 1
_HEADER: Final = struct.Struct("<4sBBBBI32s")
HEADER_BYTES: Final = _HEADER.size
_KEY_BLOCK_BYTES: Final = 36
_TRAILER: Final = struct.Struct("<32sI4s")
RECORD: Final = struct.Struct("<32sIIIIB")


class PackEntry(msgspec.Struct, frozen=True, array_like=True, forbid_unknown_fields=True):
    """What the index keeps of one pack; on disk, never change the order."""

    name: bytes
    salt: bytes
    epoch: int
    pack_type: int
    size: int
    records: bytes


class FooterObject(msgspec.Struct, frozen=True, array_like=True, forbid_unknown_fields=True):
    """Payload of a footer."""

    records: bytes


class Record(msgspec.Struct, frozen=True):
    """Where one chunk lies in a pack."""

    chunk_id: bytes
    offset: int
    stored_bytes: int
    inner_offset: int
    length: int
    codec_used: int


def check_entry(entry: PackEntry) -> None:
    """Raise IntegrityError when what an index or a footer says of a pack cannot be."""
    possible = (
        len(entry.name) == crypto.KEY_BYTES
        and len(entry.salt) == crypto.SALT_BYTES
        and 1 <= entry.epoch < 1 << 32
        and entry.pack_type in (crypto.DATA_PACK, crypto.METADATA_PACK)
        and PACK_BYTES_MIN <= entry.size <= PACK_BYTES_MAX
        and entry.size % ALIGNMENT_BYTES == 0
        and len(entry.records) % RECORD.size == 0
    )
    if not possible:
        raise IntegrityError(f"pack {entry.name.hex()} is recorded as what no pack can be")


def split_records(entry: PackEntry) -> Iterator[Record]:
    """The records of a pack. Raises IntegrityError when one does not fit its pack or blob."""
    check_entry(entry)
    end = entry.size - _TRAILER.size
    for fields in RECORD.iter_unpack(entry.records):
        record = Record(*fields)
        in_pack = record.offset >= HEADER_BYTES and record.offset + record.stored_bytes <= end
        in_blob = record.inner_offset + record.length <= BLOB_CONTENT_BYTES_MAX
        if not in_pack or not in_blob or record.stored_bytes < crypto.TAG_BYTES or record.codec_used > codec.ZSTD:
            raise IntegrityError(f"a record of pack {entry.name.hex()} points outside")
        yield record


def make_header(pack_type: int, epoch: int, salt: bytes) -> bytes:
    """A pack's first bytes."""
    check(len(salt) == crypto.SALT_BYTES, "a pack has a salt")
    return _HEADER.pack(crypto.PACK_MAGIC, crypto.VERSION, pack_type, KEY_KIND, _KEY_BLOCK_BYTES, epoch, salt)


def pack_cipher(keys: WeddingKeys, entry: PackEntry) -> crypto.PackCipher:
    """The cipher of a pack that the index knows. Raises IntegrityError for an unknown epoch."""
    binding = crypto.PackBinding(make_header(entry.pack_type, entry.epoch, entry.salt), keys.wedding)
    return crypto.PackCipher(binding, secret=keys.secret_of(entry.epoch))


class PackWriter:
    """One open pack. Used by one stream at a time; `Transaction` hands it round."""

    def __init__(
        self,
        stage: StagedObject,
        *,
        pack_type: int,
        keys: WeddingKeys,
        entropy: Entropy,
        target_bytes: int = PACK_TARGET_BYTES,
    ) -> None:
        check(target_bytes <= PACK_BYTES_MAX // 2, "a pack and a unit more are no larger than a pack may be")
        self._target_bytes = target_bytes
        self._stage = stage
        self._keys = keys
        self._entropy = entropy
        self._pack_type = pack_type
        header = make_header(pack_type, keys.epoch, entropy.token(crypto.SALT_BYTES))
        self._binding = crypto.PackBinding(header, keys.wedding)
        self._cipher = crypto.PackCipher(self._binding, secret=keys.secret)
        self._hasher = blake3()
        self._records = bytearray()
        self._base = 0  # where the buffer's front lies in the pack; a multiple of 4,096
        self._used = 0  # bytes of the buffer in use
        self._hashed = 0  # of them, those the name's hash has seen; a blob is hashed while it is in the cache
        self._buffer: memoryview | None = None

    @property
    def size_bytes(self) -> int:
        """Bytes of all finished units."""
        return self._base

    @property
    def is_full(self) -> bool:
        """Whether it has reached its target, or so many chunks that its footer would grow large."""
        return self._base >= self._target_bytes or self.records_count >= PACK_RECORDS_MAX

    @property
    def records_count(self) -> int:
        """Chunks recorded so far."""
        return len(self._records) // RECORD.size

    def open_unit(self, buffer: memoryview) -> None:
        """Begin a unit in `buffer`, which is page-aligned and stays the caller's."""
        check(self._buffer is None, "a pack has one unit open at a time")
        self._buffer, self._used, self._hashed = buffer, 0, 0
        if not self._base:
            buffer[:HEADER_BYTES] = self._binding.header
            self._used = HEADER_BYTES

    def seal(self, content: bytes | memoryview, codec_used: int) -> tuple[int, int]:
        """Seal one blob into the unit; returns its offset in the pack and its stored length."""
        assert self._buffer is not None
        offset = self._base + self._used
        stored_bytes = self._cipher.seal_into(
            content, offset=offset, codec_used=codec_used, into=self._buffer[self._used :]
        )
        self._used += stored_bytes
        self._hasher.update(self._buffer[self._hashed : self._used])
        self._hashed = self._used
        return offset, stored_bytes

    def reopen(self, offset: int, stored_bytes: int, codec_used: int, into: memoryview) -> int:
        """Decrypt a blob of the open unit again, to compare it before it leaves. Returns its plaintext length."""
        assert self._buffer is not None
        start = offset - self._base
        return self._cipher.open_into(
            self._buffer[start : start + stored_bytes], offset=offset, codec_used=codec_used, into=into
        )

    def record(self, chunk_id: bytes, place: tuple[int, int], inner: tuple[int, int], codec_used: int) -> None:
        """Note a chunk: `place` is the blob's (offset, stored length), `inner` the chunk's (offset, length) in it."""
        self._records += RECORD.pack(chunk_id, place[0], place[1], inner[0], inner[1], codec_used)

    def close_unit(self) -> int:
        """Pad the unit and append it to the staged object; returns the bytes written. Raises what `append` raises."""
        assert self._buffer is not None
        buffer, self._buffer = self._buffer, None
        if self._used == (HEADER_BYTES if not self._base else 0):
            return 0  # nothing was sealed: the header is written with the first blob
        padded = -(-self._used // ALIGNMENT_BYTES) * ALIGNMENT_BYTES
        buffer[self._used : padded] = self._entropy.token(padded - self._used)
        self._hasher.update(buffer[self._hashed : padded])
        self._stage.append(buffer[:padded])
        self._base += padded
        return padded

    def publish(self, store_folder: str, buffer: memoryview) -> tuple[PackEntry, Future[None]]:
        """Write footer and trailer and make the pack durable; the future ends when it is."""
        check(self._buffer is None and self._base > 0, "a pack is published between units, and is not empty")
        footer_salt = self._entropy.token(crypto.SALT_BYTES)
        records = bytes(self._records)
        footer = crypto.seal_footer(
            codec.encode(FooterObject(records)),
            self._binding,
            secret=self._keys.secret,
            footer_salt=footer_salt,
        )
        tail = footer + _TRAILER.pack(footer_salt, len(footer), crypto.PACK_MAGIC)
        padding = -len(tail) % ALIGNMENT_BYTES
        total = padding + len(tail)
        check(total <= len(buffer), "a footer fits a unit's buffer")
        buffer[:padding] = self._entropy.token(padding)
        buffer[padding:total] = tail
        self._hasher.update(buffer[:total])
        self._stage.append(buffer[:total])
        name = PackName(self._hasher.digest())
        entry = PackEntry(name, self._binding.salt, self._keys.epoch, self._pack_type, self._base + total, records)
        return entry, self._stage.publish(store_folder + name.hex())

    def discard(self) -> None:
        """Forget the pack; nothing stays behind."""
        self._buffer = None
        self._stage.discard()


def read_footer(store: ObjectStore, keys: WeddingKeys, name: bytes) -> PackEntry:
    """What a pack says of itself, from its header, trailer and footer. Raises NotFound, IntegrityError."""
    object_name = layout.pack(keys.wedding, name)
    size = store.stat(object_name).size_bytes
    if not PACK_BYTES_MIN <= size <= PACK_BYTES_MAX or size % ALIGNMENT_BYTES:
        raise IntegrityError(f"pack {name.hex()} has an impossible size")
    header = bytearray(HEADER_BYTES)
    store.read_into(object_name, 0, memoryview(header))
    pack_type, epoch, salt = parse_header(header, name)
    trailer = bytearray(_TRAILER.size)
    store.read_into(object_name, size - _TRAILER.size, memoryview(trailer))
    footer_salt, footer_bytes, magic = _TRAILER.unpack(trailer)
    footer_start = size - _TRAILER.size - footer_bytes
    if magic != crypto.PACK_MAGIC or footer_start < HEADER_BYTES:
        raise IntegrityError(f"pack {name.hex()} has no readable end")
    footer = bytearray(footer_bytes)
    store.read_into(object_name, footer_start, memoryview(footer))
    payload = crypto.open_footer(
        bytes(footer),
        crypto.PackBinding(bytes(header), keys.wedding),
        secret=keys.secret_of(epoch),
        footer_salt=footer_salt,
        what=f"pack {name.hex()}",
    )
    records = codec.decode(payload, FooterObject, f"the footer of pack {name.hex()}").records
    return PackEntry(name, salt, epoch, pack_type, size, records)


def parse_header(header: bytes | bytearray, name: bytes) -> tuple[int, int, bytes]:
    """Pack type, key epoch and salt. Raises IntegrityError."""
    magic, version, pack_type, key_kind, block_bytes, epoch, salt = _HEADER.unpack_from(header)
    known = (
        magic == crypto.PACK_MAGIC
        and version == crypto.VERSION
        and pack_type in (crypto.DATA_PACK, crypto.METADATA_PACK)
        and key_kind == KEY_KIND
        and block_bytes == _KEY_BLOCK_BYTES
    )
    if not known:
        raise IntegrityError(f"pack {name.hex()} is not a pack of format 1")
    return pack_type, epoch, salt

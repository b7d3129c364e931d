"""Vectors of packs: a good one of each type, and what goes wrong with header, blobs, records, footer and trailer.

Most failures get the name that fits their bytes, or the name alone would tell of them. `random` says what becomes of
reading each record by itself, with the footer read first.
"""

from __future__ import annotations

import struct
from collections.abc import Iterator
from dataclasses import dataclass, field, replace

from blake3 import blake3
from cryptography.hazmat.primitives.ciphers.aead import AESGCM

from engine.repository import codec, crypto
from engine.repository.entry import FOLDER, Entry
from engine.repository.pack import RECORD, FooterObject, PackWriter
from engine.storage.stores.memory import MemoryStore
from tests.golden import stranger, world
from tests.golden.objects import SEALING_HEX, WEDDING_FOLDER
from tests.golden.vector import Vector
from tests.golden.world import RecordedEntropy, flip

BUFFER_BYTES = 1 << 16
LARGE = bytes(range(200)) * 3  # alone in its blob
BUNDLE = (b"the first of three", b"the second", b"and the third")
SAME = b"y" * 5000  # pressed
TWIN = LARGE[::-1]  # as long as LARGE
SEGMENT = codec.encode([Entry(b"srv", FOLDER, 0o755, 0, 0, world.NOW_NS)])


def chunk_id(content: bytes, pack_type: int = crypto.DATA_PACK) -> bytes:
    """The id of what a pack of this type holds, from the page."""
    context = "wedsync 1 chunk id" if pack_type == crypto.DATA_PACK else "wedsync 1 metadata id"
    return blake3(content, key=stranger.derive(context, world.IDENTITY)).digest()


CHUNK_LIST = chunk_id(LARGE) + chunk_id(SAME)


def _write(pack_type: int, blobs: list[tuple[bytes, tuple[bytes, ...], int]], seed: str) -> bytes:
    """A pack of one unit, by the engine's own writer."""
    store = MemoryStore()
    writer = PackWriter(store.stage(), pack_type=pack_type, keys=world.KEYS, entropy=RecordedEntropy(seed))
    buffer = memoryview(bytearray(BUFFER_BYTES))
    writer.open_unit(buffer)
    for stored, contents, codec_used in blobs:
        place = writer.seal(stored, codec_used)
        inner = 0
        for content in contents:
            writer.record(chunk_id(content, pack_type), place, (inner, len(content)), codec_used)
            inner += len(content)
    writer.close_unit()
    entry, published = writer.publish(f"{WEDDING_FOLDER}/packs/", buffer)
    published.result()
    return store.get(f"{WEDDING_FOLDER}/packs/{entry.name.hex()}", limit_bytes=1 << 20)


def data_pack(seed: str = "data") -> bytes:
    """The good data pack."""
    pressed = (world.zstd_repeated(SAME[0], len(SAME)), (SAME,), codec.ZSTD)
    blobs = [(LARGE, (LARGE,), 0), (b"".join(BUNDLE), BUNDLE, 0), pressed, (TWIN, (TWIN,), 0)]
    return _write(crypto.DATA_PACK, blobs, seed)


def metadata_pack() -> bytes:
    """The good metadata pack."""
    return _write(crypto.METADATA_PACK, [(SEGMENT, (SEGMENT,), 0), (CHUNK_LIST, (CHUNK_LIST,), 0)], "metadata")


@dataclass(slots=True)
class Draft:
    """A pack made from the page, of any blobs and records: what the engine's writer would never write."""

    salt: bytes = field(default_factory=lambda: world.salt("draft"))
    wedding: bytes = world.WEDDING
    pack_type: int = crypto.DATA_PACK
    names_as: int = 0  # the pack type by which its chunks are named; its own if 0
    epoch: int = len(world.SEALING)
    body: bytearray = field(default_factory=bytearray)
    records: bytes = b""

    def add(self, plaintext: bytes, content: bytes, *, codec_used: int = 0, **record: int) -> None:
        """Seal a blob, and record its content as one chunk, unless `record` says otherwise."""
        offset = 44 + len(self.body)
        key = stranger.derive("wedsync 1 pack", world.SEALING[-1] + self.salt)
        associated = self.header + self.wedding + bytes([codec_used])
        self.body += AESGCM(key).encrypt(offset.to_bytes(12, "little"), plaintext, associated)
        place = {
            "offset": offset, "stored": len(plaintext) + 16, "inner": 0, "length": len(content), "codec": codec_used,
        } | record  # fmt: skip
        self.records += RECORD.pack(chunk_id(content, self.names_as or self.pack_type), *place.values())

    @property
    def header(self) -> bytes:
        """Its first 44 bytes."""
        return b"WSPK\x01" + bytes([self.pack_type]) + b"\x01\x24" + self.epoch.to_bytes(4, "little") + self.salt

    def whole(self) -> bytes:
        """The whole pack."""
        head = self.header + self.body
        head += bytes(-len(head) % 4096)
        footer_salt = world.salt("draft footer")
        key = stranger.derive("wedsync 1 pack footer", world.SEALING[-1] + footer_salt)
        payload = world.frame(codec.encode(FooterObject(self.records)))
        footer = AESGCM(key).encrypt(bytes(12), payload, self.header + self.wedding + footer_salt)
        tail = footer + footer_salt + struct.pack("<I", len(footer)) + b"WSPK"
        return head + bytes(-len(tail) % 4096) + tail


def _vector(title: str, data: bytes, comment: str, *, expect: str = "integrity", random: str = "integrity") -> Vector:
    return Vector(
        title=f"pack-{title}",
        data=data,
        expect=expect,
        kind="pack",
        comment=comment,
        layer="" if expect == "ok" else "seal",
        random=random,
        name=f"{WEDDING_FOLDER}/packs/{blake3(data).hexdigest()}",
        wedding=world.WEDDING.hex(),
        identity=world.IDENTITY.hex(),
        sealing=SEALING_HEX,
    )


def _ok(title: str, data: bytes, contents: tuple[bytes, ...], comment: str) -> Vector:
    vector = _vector(title, data, comment, expect="ok", random="ok")
    return replace(vector, payload=blake3(b"".join(contents)).hexdigest())


def vectors() -> Iterator[Vector]:
    """All of this module."""
    good = data_pack()
    contents = (LARGE, *BUNDLE, SAME, TWIN)
    yield _ok("data-ok", good, contents, "a chunk, a bundle, a pressed chunk, a chunk; as the engine writes it")
    yield _ok("metadata-ok", metadata_pack(), (SEGMENT, CHUNK_LIST), "a manifest segment and a chunk list")
    draft = Draft()
    draft.add(LARGE, LARGE)
    yield _ok("draft-ok", draft.whole(), (LARGE,), "written from the page")
    yield from _names(good)
    yield from _headers(good)
    yield from _ends(good)
    yield from _blobs(good)
    yield from _drafts()


def _names(good: bytes) -> Iterator[Vector]:
    """The bytes are not those of the name."""
    for title, at, random, comment in (
        ("flipped-padding", 3000, "ok", "a bit of the padding, which nothing but the name covers"),
        ("flipped-last-padding", -400, "ok", "a bit of the padding before the footer"),
        ("flipped-blob", 50, "integrity", "a bit of a blob"),
    ):
        vector = _vector(title, flip(good, at), comment, random=random)
        yield replace(vector, name=f"{WEDDING_FOLDER}/packs/{blake3(good).hexdigest()}")


def _headers(good: bytes) -> Iterator[Vector]:
    for title, data, comment in (
        ("magic", flip(good, 1), "one bit of the magic"),
        ("version", flip(good, 4, 1), "format version 3"),
        ("type", flip(good, 5), "a data pack that claims to hold metadata"),
        ("unknown-type", good[:5] + b"\x0c" + good[6:], "pack type 12"),
        ("key-kind", good[:6] + b"\x02" + good[7:], "key kind 2, which is reserved"),
        ("key-block", flip(good, 7), "another length of the key block"),
        ("epoch", flip(good, 8), "a key epoch that is not there"),
        ("salt", flip(good, 12), "one bit of the salt"),
    ):
        yield _vector(f"header-{title}", data, comment)
    twice = _vector("header-other-epoch", flip(good, 8), "another key epoch, one of the same secret")
    yield replace(twice, sealing=f"{SEALING_HEX} {world.SEALING[-1].hex()}")


def _ends(good: bytes) -> Iterator[Vector]:
    footer_bytes = int.from_bytes(good[-8:-4], "little")
    for title, data, comment in (
        ("magic", flip(good, -1), "one bit of the magic at the end"),
        ("length", flip(good, -8), "a footer length that is off by one"),
        ("length-over-bound", good[:-8] + b"\xff" * 4 + good[-4:], "a footer longer than the pack"),
        ("salt", flip(good, -40), "one bit of the footer's salt"),
        ("footer", flip(good, -40 - footer_bytes), "one bit of the footer"),
        ("tag", flip(good, -41), "one bit of the footer's tag"),
        ("truncated", good[:-4096], "the last 4 KiB are missing"),
        ("cut", good[:-1], "the last byte is missing"),
        ("grown", good + bytes(4096), "4 KiB behind the end"),
        ("empty", b"", "no bytes at all"),
    ):
        yield _vector(f"end-{title}", data, comment)


def _blobs(good: bytes) -> Iterator[Vector]:
    """Blobs that are not where they were sealed."""
    blob = slice(44, 44 + len(LARGE) + 16)
    other = data_pack("another salt")
    moved = good[: blob.start] + other[blob] + good[blob.stop :]
    yield _vector("blob-other-salt", moved, "a blob of another pack at the same offset")
    records = _records(good)
    twin = next(record for record in records if record[0] == chunk_id(TWIN))
    end = slice(twin[1], twin[1] + twin[2])
    swapped = good[: blob.start] + good[end] + good[blob.stop : end.start] + good[blob] + good[end.stop :]
    yield _vector("blob-other-offset", swapped, "two blobs of the same length in each other's place")
    yield _vector("blob-flipped", flip(good, 60), "one bit of a blob, under the name that fits")
    yield _vector("blob-flipped-tag", flip(good, blob.stop - 1), "one bit of a blob's tag")


def _records(good: bytes) -> list[tuple[bytes, int, int, int, int, int]]:
    """The records of the good pack, read from the page."""
    footer_bytes = int.from_bytes(good[-8:-4], "little")
    key = stranger.derive("wedsync 1 pack footer", world.SEALING[-1] + good[-40:-8])
    associated = good[:44] + world.WEDDING + good[-40:-8]
    plaintext = AESGCM(key).decrypt(bytes(12), good[-40 - footer_bytes : -40], associated)
    return list(struct.iter_unpack("<32sIIIIB", stranger.unframe(plaintext)[0]))


def _drafts() -> Iterator[Vector]:
    """Well sealed, and wrong."""
    foreign = Draft(wedding=world.OTHER_WEDDING)
    foreign.add(LARGE, LARGE)
    yield _vector("other-wedding", foreign.whole(), "a pack of another wedding")
    for pack_type, title, comment in (
        (crypto.DATA_PACK, "metadata-in-data", "a data pack whose chunk is named as metadata is"),
        (crypto.METADATA_PACK, "data-in-metadata", "a metadata pack whose chunk is named as a file's is"),
    ):
        draft = Draft(pack_type=pack_type, names_as=crypto.DATA_PACK + crypto.METADATA_PACK - pack_type)
        draft.add(LARGE, LARGE)
        yield _vector(title, draft.whole(), comment)
    for title, stored, content, codec_used, record, comment in (
        (
            "record-codec",
            LARGE,
            LARGE,
            0,
            {"codec": 1},
            "a record that names another codec than the blob was sealed with",
        ),
        ("record-unknown-codec", LARGE, LARGE, 0, {"codec": 2}, "codec 2"),
        ("record-offset", LARGE, LARGE, 0, {"offset": 45}, "a record that is off by one"),
        ("record-length", LARGE, LARGE, 0, {"stored": 615}, "a record that is a byte short"),
        ("record-outside", LARGE, LARGE, 0, {"offset": 8192 - 615}, "a record that runs over the end of the pack"),
        ("record-inner", LARGE, LARGE, 0, {"inner": 1}, "a chunk that runs over the end of its blob"),
        ("record-inner-wraps", LARGE, LARGE, 0, {"inner": 2**32 - 1}, "an inner offset of 2^32 - 1"),
        ("record-id", LARGE, TWIN, 0, {}, "a chunk whose id is another's"),
        ("blob-bomb", world.zstd_repeated(0x79, (8 << 20) + 1), SAME, 1, {}, "a content of a byte more than 8 MiB"),
        ("blob-huge", world.zstd_repeated(0x79, 64 << 20), SAME, 1, {}, "a content of 64 MiB in 2 KiB"),
        ("blob-no-size", b"\x28\xb5\x2f\xfd\x00\x58\x09\x00\x00y", b"y", 1, {}, "a zstd frame that hides its size"),
        ("blob-trailing", world.zstd_repeated(SAME[0], len(SAME)) + b"\0", SAME, 1, {}, "a byte behind the zstd frame"),
        ("blob-no-frame", LARGE, LARGE, 1, {}, "codec 1 and no zstd frame"),
    ):
        draft = Draft()
        draft.add(stored, content, codec_used=codec_used, **record)
        yield _vector(title, draft.whole(), comment)

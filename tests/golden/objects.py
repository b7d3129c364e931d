"""Vectors of key slots and of everything sealed on its own: one good of each kind, and its named failures."""

from __future__ import annotations

import datetime as dt
import struct
import unicodedata
from collections.abc import Iterator
from dataclasses import dataclass, replace
from typing import Any

from blake3 import blake3
from msgspec.structs import asdict
from msgspec.structs import replace as changed

from engine.repository import codec, crypto, keyring
from engine.repository.fragment import FragmentObject
from engine.repository.leases import ENGINE, LeaseObject
from engine.repository.manifest import SegmentRef
from engine.repository.marks import MarkObject
from engine.repository.pack import RECORD, PackEntry
from engine.repository.register import HeldWedding, RegisterObject, StoredHold, StoredWedding
from engine.repository.repository import Chunker, ConfigObject
from engine.repository.snapshot import Counts, SnapshotObject, SnapshotWarning
from tests.golden import world
from tests.golden.vector import Vector
from tests.golden.world import RecordedEntropy, flip, frame

INTEGRITY, WRONG_PASSPHRASE = "integrity", "wrong-passphrase"
SEALING_HEX = " ".join(secret.hex() for secret in world.SEALING)
WEDDING_FOLDER = f"weddings/{world.WEDDING.hex()}"


@dataclass(frozen=True, slots=True)
class Kind:
    """How objects of one kind are sealed, and a good one."""

    title: str
    object_type: int
    name: str  # empty: its hash
    wedding: bytes
    payload: Any

    @property
    def is_of_wedding(self) -> bool:
        """Whether it is sealed under the wedding's secret."""
        return self.object_type in (crypto.FRAGMENT, crypto.SNAPSHOT)

    def seal(self, plaintext: bytes, *, salt: bytes | None = None, **changes: Any) -> bytes:
        """Any plaintext, sealed as objects of this kind are, unless `changes` say otherwise."""
        how: dict[str, Any] = {
            "secret": world.SEALING[-1] if self.is_of_wedding else world.MASTER,
            "epoch": len(world.SEALING) if self.is_of_wedding else 0,
            "name": self.name,
            "wedding": self.wedding,
            "salt": salt or world.salt(self.title),
            **changes,
        }
        return world.seal(self.object_type, plaintext, **how)

    def vector(self, title: str, data: bytes, expect: str, comment: str, layer: str = "") -> Vector:
        """A vector of this kind; what opens it goes along."""
        folder = f"{WEDDING_FOLDER}/index/"
        return Vector(
            title=f"{self.title}-{title}",
            data=data,
            expect=expect,
            kind=self.title,
            comment=comment,
            layer=layer,
            name=self.name or folder + blake3(data).hexdigest(),
            master="" if self.is_of_wedding else world.MASTER.hex(),
            wedding="" if self.wedding == bytes(16) else self.wedding.hex(),
            sealing=SEALING_HEX if self.is_of_wedding else "",
            identity=world.IDENTITY.hex() if self.is_of_wedding else "",
        )

    def ok(self, title: str, data: bytes, payload: bytes, comment: str) -> Vector:
        """A vector that opens."""
        return replace(self.vector(title, data, "ok", comment), payload=blake3(payload).hexdigest())


RECORDS = RECORD.pack(world.salt("chunk 1"), 44, 616, 0, 600, 0) + RECORD.pack(world.salt("chunk 2"), 660, 56, 0, 40, 0)
PACK = PackEntry(world.salt("pack name"), world.salt("pack salt"), 1, crypto.DATA_PACK, 8192, RECORDS)
COUNTS = Counts(entries=2, files=1, bytes_source=600, bytes_stored=8192, warnings=1)
SNAPSHOT = SnapshotObject(
    wedding=world.WEDDING,
    time_ns=world.NOW_NS,
    ended_ns=world.NOW_NS + 5,
    host="ops-1",
    sources=(b"/srv/\xff",),
    priority="same-day",
    tags=("eve",),
    parent="",
    partial=False,
    segments=(SegmentRef(world.salt("segment"), b"srv/\xff", 2, 120),),
    inline_entries=b"",
    inline_packs=(),
    counts=COUNTS,
    warnings=(SnapshotWarning(b"srv/\xff/s", "a socket"),),
    engine="0.1.0",
)
_SMITHS = StoredWedding(
    world.WEDDING, "smith-jones", dt.date(2026, 6, 20), "Europe/London", "Bath, UK", (51.38, -2.36), False, world.NOW_NS
)
CONFIG = ConfigObject(1, world.REPOSITORY, world.NOW_NS, Chunker(), ())

_SNAPSHOTS = f"{WEDDING_FOLDER}/snapshots/{world.JOB.hex()}"
_LEASE = LeaseObject(ENGINE, "ops-1", 4242, world.NOW_NS, 7)
_MARK = MarkObject(((world.WEDDING, world.salt("pack 1") + world.salt("pack 2")), (world.OTHER_WEDDING, b"")))

KINDS = {
    kind.title: kind
    for kind in (
        Kind("config", crypto.CONFIG, "config/1", crypto.NO_WEDDING, CONFIG),
        Kind("wedding-key", crypto.WEDDING_KEY, f"{WEDDING_FOLDER}/key/2", world.WEDDING, world.SECRETS),
        Kind("register", crypto.REGISTER, "register/3", crypto.NO_WEDDING, RegisterObject(True, (_SMITHS,))),
        Kind("lease", crypto.LEASE, f"leases/{world.LEASE.hex()}/2", crypto.NO_WEDDING, _LEASE),
        Kind("mark", crypto.MARK, "marks/12", crypto.NO_WEDDING, _MARK),
        Kind("fragment", crypto.FRAGMENT, "", world.WEDDING, FragmentObject((PACK,))),
        Kind("snapshot", crypto.SNAPSHOT, _SNAPSHOTS, world.WEDDING, SNAPSHOT),
        Kind("checkpoint", crypto.SNAPSHOT, f"{_SNAPSHOTS}-1", world.WEDDING, changed(SNAPSHOT, partial=True)),
    )
}


# --- failures that every kind has in common ----------------------------------------------------------


def _good(kind: Kind) -> bytes:
    """As the engine seals it."""
    binding = crypto.Binding(kind.object_type, kind.wedding, kind.name.encode())
    secret, epoch = (world.SEALING[-1], len(world.SEALING)) if kind.is_of_wedding else (world.MASTER, 0)
    entropy = RecordedEntropy(kind.title)
    return crypto.seal_object(codec.encode(kind.payload), binding, secret=secret, epoch=epoch, entropy=entropy)


def _seals(kind: Kind) -> Iterator[Vector]:
    """Bytes that are not what was sealed, and seals that do not belong where they stand."""
    good = _good(kind)
    payload = codec.encode(kind.payload)
    yield kind.ok("ok", good, payload, "as the engine writes it")

    def bad(title: str, data: bytes, comment: str) -> Vector:
        return kind.vector(title, data, INTEGRITY, comment, "seal")

    yield bad("flipped-tag", flip(good, -1), "one bit of the tag")
    yield bad("flipped-ciphertext", flip(good, 42), "one bit of the ciphertext")
    yield bad("truncated", good[:-1], "the last byte is missing")
    other = kind.seal(frame(payload), wedding=world.OTHER_WEDDING)
    yield bad("other-wedding", other, "sealed for another wedding")
    name = "" if kind.name else kind.name + "other"
    yield bad("other-name", kind.seal(frame(payload), name=name or kind.name + "9"), "sealed under another name")
    if kind.title not in ("config", "snapshot"):
        return
    yield bad("flipped-magic", flip(good, 0), "one bit of the magic")
    yield bad("flipped-version", flip(good, 4, 1), "format version 3")
    yield bad("flipped-type", flip(good, 5), "another type in the header")
    yield bad("flipped-epoch", flip(good, 6), "another key epoch in the header")
    if kind.is_of_wedding:
        twice = bad("other-epoch", flip(good, 6), "another key epoch in the header, one of the same secret")
        yield replace(twice, sealing=f"{SEALING_HEX} {world.SEALING[-1].hex()}")
    yield bad("flipped-salt", flip(good, 10), "one bit of the salt")
    yield bad("cut-to-header", good[:42], "nothing behind the header")
    yield bad("empty", b"", "no bytes at all")
    yield bad("trailing", good + b"\0", "a byte behind the tag")
    yield from _frames(kind, payload)


def _frames(kind: Kind, payload: bytes) -> Iterator[Vector]:
    """Plaintexts that are no frame of a payload."""

    def bad(title: str, plaintext: bytes, comment: str) -> Vector:
        return kind.vector(title, kind.seal(plaintext), INTEGRITY, comment, "seal")

    pressed = world.zstd_stored(payload)
    good = kind.seal(frame(pressed, codec=1, length=len(payload)))
    yield kind.ok("pressed", good, payload, "the payload in a zstd frame")
    yield bad("unknown-codec", frame(payload, codec=2), "codec 2")
    yield bad("no-frame", b"\0\1\0\0", "a plaintext of four bytes")
    yield bad("length-short", frame(payload, length=len(payload) - 1), "a length that is too small")
    yield bad("length-long", frame(payload, length=len(payload) + 1), "a length that is too large")
    yield bad("length-over-bound", frame(payload, length=(256 << 20) + 1), "a length of more than 256 MiB")
    yield bad("pressed-length-lie", frame(pressed, codec=1, length=len(payload) + 1), "another length than the frame's")
    yield bad("pressed-trailing", frame(pressed + b"\0", codec=1, length=len(payload)), "a byte behind the zstd frame")
    yield bad("pressed-truncated", frame(pressed[:-1], codec=1, length=len(payload)), "the zstd frame is cut short")
    sizeless = b"\x28\xb5\x2f\xfd\x00\x58" + (len(payload) << 3 | 1).to_bytes(3, "little") + payload
    yield bad("pressed-no-size", frame(sizeless, codec=1, length=len(payload)), "a zstd frame that hides its size")
    bomb = world.zstd_repeated(0xC0, 16 << 20)
    yield bad("bomb", frame(bomb, codec=1, length=len(payload)), "a zstd frame of 16 MiB that claims to be short")


# --- payloads ----------------------------------------------------------------------------------------


def _payloads() -> Iterator[Vector]:
    """Well sealed, and not what format 1 allows."""

    def bad(kind: str, title: str, payload: bytes, comment: str, layer: str = "payload") -> Vector:
        return KINDS[kind].vector(title, KINDS[kind].seal(frame(payload)), INTEGRITY, comment, layer)

    config = codec.encode(CONFIG)
    longer = config.replace(b"\x95\x01", b"\x95\xcc\x01", 1)
    signed = config.replace(b"\x95\x01", b"\x95\xd0\x01", 1)
    yield bad("config", "longer-int", longer, "the format number in two bytes instead of one", "seal")
    yield bad("config", "signed-int", signed, "the format number as a signed one", "seal")
    yield bad("config", "trailing-payload", config + b"\xc0", "a nil behind the payload", "seal")
    yield bad("config", "not-msgpack", b"\xc1", "a byte that begins nothing", "seal")
    yield bad("config", "missing-field", b"\x94" + config[1:-1], "the last field is missing")
    yield bad("config", "extra-field", b"\x96" + config[1:] + b"\xc0", "one field too many")
    yield bad(
        "config", "wrong-field", config.replace(b"\x95\x01", b"\x95\xa1" + b"1", 1), "text where a number belongs"
    )
    feature = codec.encode(changed(CONFIG, features=("prune-2",)))
    yield bad("config", "unknown-feature", feature, "a feature that format 1 does not have")
    yield bad("config", "other-format", codec.encode(changed(CONFIG, format=2)), "format 2")
    chunker = codec.encode(changed(CONFIG, chunker=Chunker(nominal=2 << 20)))
    yield bad("config", "other-chunker", chunker, "chunks of 2 MiB")
    yield bad("config", "short-id", codec.encode(changed(CONFIG, id=bytes(15))), "an id of 15 bytes")
    for title, epochs, comment in (
        ("epoch-gap", (1, 3), "epochs 1 and 3"),
        ("epochs-swapped", (2, 1), "epochs in the wrong order"),
        ("epoch-zero", (0, 1), "epochs from 0"),
        ("no-epoch", (), "no epoch at all"),
    ):
        listed = tuple(keyring.SealingEpoch(epoch, world.SEALING[0]) for epoch in epochs)
        secrets = keyring.WeddingSecrets(world.IDENTITY, listed)
        yield bad("wedding-key", title, codec.encode(secrets), comment)
    short = keyring.WeddingSecrets(world.IDENTITY[:-1], world.SECRETS.epochs)
    yield bad("wedding-key", "short-identity", codec.encode(short), "an identity of 31 bytes")
    register = codec.encode(RegisterObject(True, (_SMITHS,)))
    yield bad("register", "wrong-date", register.replace(b"2026-06-20", b"2026-06-31"), "the 31st of June")
    single = register.replace(b"\xcb" + struct.pack(">d", 51.38), b"\xca" + struct.pack(">f", 51.38))
    yield bad("register", "short-float", single, "a latitude of 32 bits", "seal")
    yield bad(
        "register", "short-id", codec.encode(RegisterObject(True, (changed(_SMITHS, id=b"x"),))), "an id of a byte"
    )
    held = HeldWedding(**asdict(_SMITHS), regions=(), holds=(StoredHold("", "claim 7", world.NOW_NS),))
    payload = codec.encode(RegisterObject(True, (held,)))
    kind = KINDS["register"]
    yield kind.ok("held", kind.seal(frame(payload)), payload, "a wedding that is held and may lie anywhere")
    nothing = codec.encode(RegisterObject(True, (changed(held, holds=()),)))
    yield bad("register", "no-holds", nothing, "a wedding with an empty list of holds")
    cut = MarkObject(((world.WEDDING, bytes(33)),))
    yield bad("mark", "names-cut", codec.encode(cut), "33 bytes of names")
    nobody = MarkObject(((bytes(15), bytes(32)),))
    yield bad("mark", "short-id", codec.encode(nobody), "the packs of a wedding with an id of 15 bytes")
    yield from _fragments()
    for title, changes, comment in (
        ("other-wedding-inside", {"wedding": world.OTHER_WEDDING}, "names another wedding than it lies under"),
        ("partial", {"partial": True}, "a checkpoint under the name of a snapshot"),
        ("two-manifests", {"inline_entries": b"\x90"}, "segments and inline entries"),
        ("short-segment-id", {"segments": (changed(SNAPSHOT.segments[0], id=bytes(31)),)}, "a segment id of 31 bytes"),
        ("unknown-priority", {"priority": "whenever"}, "a priority that is none"),
    ):
        yield bad("snapshot", title, codec.encode(changed(SNAPSHOT, **changes)), comment)


def _fragments() -> Iterator[Vector]:
    kind = KINDS["fragment"]
    renamed = kind.vector("other-hash", _good(kind), INTEGRITY, "stands under a name that is not its hash", "seal")
    yield replace(renamed, name=f"{WEDDING_FOLDER}/index/{bytes(32).hex()}")
    unknown_epoch = kind.seal(frame(codec.encode(kind.payload)), epoch=9)
    yield kind.vector("unknown-epoch", unknown_epoch, INTEGRITY, "sealed under a key epoch that is not there", "seal")
    first = RECORDS[: RECORD.size]
    for title, changes, comment in (
        ("records-cut", {"records": RECORDS[:-1]}, "the last record is cut short"),
        ("record-outside", {"records": _record(first, offset=8192 - 40 - 615)}, "a blob that runs into the trailer"),
        ("record-in-header", {"records": _record(first, offset=43)}, "a blob that begins in the header"),
        ("record-too-short", {"records": _record(first, stored=15)}, "a blob shorter than its tag"),
        ("record-too-large", {"records": _record(first, inner=1, length=8 << 20)}, "a content of more than 8 MiB"),
        ("record-codec", {"records": first[:-1] + b"\2"}, "codec 2"),
        ("pack-type", {"pack_type": 12}, "a pack of type 12"),
        ("pack-salt", {"salt": bytes(31)}, "a salt of 31 bytes"),
        ("pack-name", {"name": bytes(33)}, "a name of 33 bytes"),
        ("pack-size", {"size": 8193}, "a size that is no multiple of 4,096"),
        ("pack-size-over-bound", {"size": (128 << 20) + 4096}, "a size of more than 128 MiB"),
    ):
        payload = codec.encode(FragmentObject((changed(PACK, **changes),)))
        yield kind.vector(title, kind.seal(frame(payload)), INTEGRITY, comment, "payload")
    dropped = codec.encode(FragmentObject((), dropped=bytes(33)))
    yield kind.vector("dropped-cut", kind.seal(frame(dropped)), INTEGRITY, "33 bytes of dropped names", "payload")


def _record(record: bytes, *, offset: int = 44, stored: int = 616, inner: int = 0, length: int = 600) -> bytes:
    return RECORD.pack(record[:32], offset, stored, inner, length, 0)


# --- key slots ---------------------------------------------------------------------------------------

_SLOT_NAME = f"keys/{world.SLOT.hex()}"
_CHEAP = keyring.KdfCost(1, 64, 1)


def _slot(contents: keyring.SlotContents, *, name: str = _SLOT_NAME, passphrase: str = world.PASSPHRASE) -> bytes:
    return keyring.seal_slot(contents, passphrase, name=name, cost=_CHEAP, entropy=RecordedEntropy("slot"))


def _slots() -> Iterator[Vector]:
    contents = keyring.SlotContents(world.MASTER, "spare key in the safe", world.NOW_NS)
    good = _slot(contents)

    def vector(title: str, data: bytes, expect: str, comment: str) -> Vector:
        return Vector(
            f"key-slot-{title}", data, expect, "key-slot", comment, layer="seal", name=_SLOT_NAME,
            passphrase=world.PASSPHRASE,
        )  # fmt: skip

    opened = blake3(codec.encode(contents)).hexdigest()
    yield replace(vector("ok", good, "ok", "as the engine writes it, at the least cost"), payload=opened, layer="")
    decomposed = unicodedata.normalize("NFD", world.PASSPHRASE)
    other_form = vector("decomposed", good, "ok", "opened with the passphrase in decomposed form")
    yield replace(other_form, payload=opened, layer="", passphrase=decomposed)
    wrong = vector("wrong-passphrase", good, WRONG_PASSPHRASE, "another passphrase")
    yield replace(wrong, passphrase="battery staple")
    for title, at in (("salt", 10), ("iterations", 42), ("memory", 46), ("lanes", 50), ("ciphertext", 54), ("tag", -1)):
        bit = 1 if title in ("iterations", "lanes") else 4 if title == "memory" else 0
        yield vector(f"flipped-{title}", flip(good, at, bit), WRONG_PASSPHRASE, f"one bit of the {title}")
    yield vector("flipped-magic", flip(good, 3), INTEGRITY, "one bit of the magic")
    yield vector("flipped-version", flip(good, 4), INTEGRITY, "format version 0")
    yield vector("flipped-type", flip(good, 5), INTEGRITY, "another type")
    yield vector("flipped-reserved", flip(good, 6), INTEGRITY, "bytes that are to be zero")
    yield vector("truncated", good[:69], INTEGRITY, "too short for a tag")
    yield vector("other-name", _slot(contents, name="keys/" + bytes(16).hex()), WRONG_PASSPHRASE, "another slot's")
    for title, at, value, comment in (
        ("memory-over-bound", 46, (1 << 20) + 1, "a KiB more memory than 1 GiB: refused before deriving"),
        ("memory-under-bound", 46, 7, "less memory than Argon2id takes"),
        ("iterations-over-bound", 42, 65, "65 iterations: refused before deriving"),
        ("iterations-zero", 42, 0, "no iteration"),
        ("lanes-over-bound", 50, 65, "65 lanes: refused before deriving"),
        ("lanes-zero", 50, 0, "no lane"),
    ):
        costly = good[:at] + value.to_bytes(4, "little") + good[at + 4 :]
        yield vector(title, costly, INTEGRITY, comment)
    short = vector("short-master", _slot(changed(contents, master=bytes(31))), INTEGRITY, "a master key of 31 bytes")
    yield replace(short, layer="payload")


def vectors() -> Iterator[Vector]:
    """All of this module."""
    for kind in KINDS.values():
        yield from _seals(kind)
    yield from _payloads()
    yield from _slots()

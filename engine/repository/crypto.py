"""The seal: key derivation and AES-256-GCM (docs/format.md, sections 3.2 and 5). Any thread.

Every sealed object and every pack has a fresh salt and so a key of its own; nonces are zero or the offset.
Nothing outside this module and `keyring` touches the cipher.
"""

from __future__ import annotations

import struct
from collections.abc import Callable
from typing import Final

import msgspec
from blake3 import blake3
from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM

from engine.base.entropy import Entropy
from engine.base.errors import IntegrityError
from engine.base.invariants import check
from engine.repository import codec

VERSION: Final = 1
SALT_BYTES: Final = 32
KEY_BYTES: Final = 32
TAG_BYTES: Final = 16
NO_WEDDING: Final = bytes(16)
OBJECT_MAGIC: Final = b"WSOB"
PACK_MAGIC: Final = b"WSPK"
ZERO_NONCE: Final = bytes(12)

# Object types; on disk, never change.
CONFIG, KEY_SLOT, WEDDING_KEY, REGISTER, LEASE, MARK, FRAGMENT, SNAPSHOT = range(1, 9)
DATA_PACK, METADATA_PACK = 10, 11

_CONTEXTS: Final = {
    CONFIG: "wedsync 1 config",
    WEDDING_KEY: "wedsync 1 wedding key",
    REGISTER: "wedsync 1 register",
    LEASE: "wedsync 1 lease",
    MARK: "wedsync 1 mark",
    FRAGMENT: "wedsync 1 index",
    SNAPSHOT: "wedsync 1 snapshot",
}
_PACK_CONTEXT: Final = "wedsync 1 pack"
_FOOTER_CONTEXT: Final = "wedsync 1 pack footer"
_FINGERPRINT_CONTEXT: Final = "wedsync 1 home"  # never in a repository
_HEADER: Final = struct.Struct("<4sBBI32s")
HEADER_BYTES: Final = _HEADER.size

SecretOf = Callable[[int], bytes]  # key epoch → secret; raises IntegrityError for an epoch it does not know


def derive(context: str, material: bytes) -> bytes:
    """A 32-byte key from `material`, bound to `context` (BLAKE3 derive_key)."""
    return blake3(material, derive_key_context=context).digest()


def hash_bytes(data: bytes | memoryview) -> bytes:
    """Plain BLAKE3, 32 bytes."""
    return blake3(data).digest()


def chunk_id(data: bytes | memoryview, id_key: bytes) -> bytes:
    """A chunk's name: keyed BLAKE3, 32 bytes."""
    return blake3(data, key=id_key).digest()


def fingerprint(master: bytes) -> str:
    """What a home knows a repository by: 16 hex digits that tell nothing of the key."""
    return derive(_FINGERPRINT_CONTEXT, master)[:8].hex()


class Binding(msgspec.Struct, frozen=True):
    """What a sealed object is and where it belongs; goes into the associated data, so nothing opens elsewhere."""

    object_type: int
    wedding: bytes  # 16 bytes; NO_WEDDING for what belongs to the repository
    object_id: bytes = b""  # its whole name; empty when the name is a hash, known only after sealing

    @classmethod
    def named(cls, object_type: int, name: str, wedding: bytes = NO_WEDDING) -> Binding:
        """The binding of an object that knows its name when it is sealed."""
        return cls(object_type, wedding, name.encode("ascii"))

    def associated(self, header: bytes) -> bytes:
        """The associated data: the whole header, salt included, and where the object belongs."""
        check(len(self.wedding) == len(NO_WEDDING), "a wedding id has 16 bytes")
        return header + self.wedding + self.object_id


def seal_object(payload: bytes, binding: Binding, *, secret: bytes, epoch: int, entropy: Entropy) -> bytes:
    """`payload` as a sealed object under a fresh salt."""
    salt = entropy.token(SALT_BYTES)
    key = derive(_CONTEXTS[binding.object_type], secret + salt)
    header = _HEADER.pack(OBJECT_MAGIC, VERSION, binding.object_type, epoch, salt)
    return header + AESGCM(key).encrypt(ZERO_NONCE, codec.frame(payload), binding.associated(header))


def open_object(data: bytes, binding: Binding, *, secret_of: SecretOf, what: str) -> bytes:
    """The payload of a sealed object. Raises IntegrityError when anything about it is not as it was sealed."""
    if len(data) < HEADER_BYTES + TAG_BYTES:
        raise IntegrityError(f"{what} is cut short")
    magic, version, found_type, epoch, salt = _HEADER.unpack_from(data)
    if magic != OBJECT_MAGIC or found_type != binding.object_type:
        raise IntegrityError(f"{what} is not what its name says")
    if version != VERSION:
        raise IntegrityError(f"{what} has format version {version}", "a newer WedSync may read it")
    key = derive(_CONTEXTS[binding.object_type], secret_of(epoch) + salt)
    try:
        plaintext = AESGCM(key).decrypt(ZERO_NONCE, data[HEADER_BYTES:], binding.associated(data[:HEADER_BYTES]))
    except InvalidTag:
        raise IntegrityError(f"{what} is damaged or does not belong here") from None
    return codec.unframe(plaintext, what)


class PackBinding(msgspec.Struct, frozen=True):
    """Which pack a blob or footer belongs to; goes into its associated data."""

    header: bytes  # the pack's first bytes: version, type, key epoch, salt
    wedding: bytes

    @property
    def salt(self) -> bytes:
        """The pack's salt: the end of its header."""
        return self.header[-SALT_BYTES:]

    def associated(self, part: bytes) -> bytes:
        """The associated data of one part of the pack; `part` tells its kinds apart."""
        check(len(self.wedding) == len(NO_WEDDING), "a pack belongs to a wedding")
        return self.header + self.wedding + part


def seal_footer(payload: bytes, binding: PackBinding, *, secret: bytes, footer_salt: bytes) -> bytes:
    """A pack's footer, sealed under its own key."""
    key = derive(_FOOTER_CONTEXT, secret + footer_salt)
    return AESGCM(key).encrypt(ZERO_NONCE, codec.frame(payload), binding.associated(footer_salt))


def open_footer(data: bytes, binding: PackBinding, *, secret: bytes, footer_salt: bytes, what: str) -> bytes:
    """The payload of a pack's footer. Raises IntegrityError."""
    key = derive(_FOOTER_CONTEXT, secret + footer_salt)
    try:
        plaintext = AESGCM(key).decrypt(ZERO_NONCE, data, binding.associated(footer_salt))
    except InvalidTag:
        raise IntegrityError(f"the footer of {what} is damaged") from None
    return codec.unframe(plaintext, what)


class PackCipher:
    """Seals and opens the blobs of one pack; a blob's nonce is its offset. Any thread."""

    __slots__ = ("_aead", "_associated")

    def __init__(self, binding: PackBinding, *, secret: bytes) -> None:
        self._aead = AESGCM(derive(_PACK_CONTEXT, secret + binding.salt))
        self._associated = tuple(binding.associated(bytes((codec_used,))) for codec_used in (codec.RAW, codec.ZSTD))

    def seal_into(self, content: bytes | memoryview, *, offset: int, codec_used: int, into: memoryview) -> int:
        """Seal `content` into the front of `into`; returns the stored length."""
        nonce = offset.to_bytes(12, "little")
        stored_bytes = len(content) + TAG_BYTES
        return self._aead.encrypt_into(nonce, content, self._associated[codec_used], into[:stored_bytes])

    def open_into(self, stored: memoryview, *, offset: int, codec_used: int, into: memoryview) -> int:
        """Open a stored blob into the front of `into`; returns its length. Raises IntegrityError."""
        size_bytes = len(stored) - TAG_BYTES
        if size_bytes < 0 or codec_used >= len(self._associated):
            raise IntegrityError("a blob is cut short or has an unknown codec")
        try:
            return self._aead.decrypt_into(
                offset.to_bytes(12, "little"), stored, self._associated[codec_used], into[:size_bytes]
            )
        except InvalidTag:
            raise IntegrityError("a blob is damaged or does not belong here") from None

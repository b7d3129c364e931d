"""Key slots and wedding keys (docs/format.md, sections 3.1, 3.3 and 6.2).

A passphrase opens a slot, a slot holds the master key, the master key opens everything but packs' contents:
those need the wedding's own secrets.
"""

from __future__ import annotations

import struct
import unicodedata
from dataclasses import dataclass, field

import msgspec
from cryptography.exceptions import InvalidSignature, InvalidTag
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey, Ed25519PublicKey
from cryptography.hazmat.primitives.ciphers.aead import AESGCM
from cryptography.hazmat.primitives.kdf.argon2 import Argon2id

from engine.base.entropy import Entropy
from engine.base.errors import IntegrityError, WrongPassphrase
from engine.base.ids import KeyEpoch
from engine.base.units import GIB, KIB, MIB
from engine.repository import codec, crypto, paper

_SLOT = struct.Struct("<4sBBI32sIII")
_MEMORY_KIB_MAX = GIB // KIB
_ITERATIONS_MAX = 64
_LANES_MAX = 64
_RECEIPT_CONTEXT = "wedsync 1 receipt key"  # nothing of it is ever in a repository
_RECEIPT_PREFIX = b"wedsync 1 receipt\0"


class KdfCost(msgspec.Struct, frozen=True):
    """Argon2id parameters (RFC 9106): iterations, memory in KiB, lanes."""

    iterations: int = 3
    memory_kib: int = 64 * MIB // KIB
    lanes: int = 4

    def __str__(self) -> str:
        return f"argon2id t={self.iterations} m={self.memory_kib // 1024}MiB p={self.lanes}"


class SlotContents(msgspec.Struct, frozen=True, array_like=True, forbid_unknown_fields=True):
    """What a key slot holds."""

    master: bytes
    label: str
    created_ns: int


def _derive(passphrase: str, salt: bytes, cost: KdfCost) -> bytes:
    text = unicodedata.normalize("NFC", paper.as_passphrase(passphrase)).encode("utf-8", "surrogateescape")
    kdf = Argon2id(
        salt=salt, length=crypto.KEY_BYTES, iterations=cost.iterations, lanes=cost.lanes, memory_cost=cost.memory_kib
    )
    return kdf.derive(text)


def seal_slot(contents: SlotContents, passphrase: str, *, name: str, cost: KdfCost, entropy: Entropy) -> bytes:
    """A key slot object, named `name`."""
    salt = entropy.token(crypto.SALT_BYTES)
    header = _SLOT.pack(
        crypto.OBJECT_MAGIC, crypto.VERSION, crypto.KEY_SLOT, 0, salt, cost.iterations, cost.memory_kib, cost.lanes
    )
    key = _derive(passphrase, salt, cost)
    return header + AESGCM(key).encrypt(
        crypto.ZERO_NONCE, codec.frame(codec.encode(contents)), header + name.encode("ascii")
    )


def slot_cost(data: bytes, name: str) -> KdfCost:
    """What a slot's passphrase costs to try. Raises IntegrityError, also for costs over the bound."""
    if len(data) < _SLOT.size + crypto.TAG_BYTES:
        raise IntegrityError(f"key slot {name} is cut short")
    magic, version, kind, epoch, _, iterations, memory_kib, lanes = _SLOT.unpack_from(data)
    if (magic, version, kind, epoch) != (crypto.OBJECT_MAGIC, crypto.VERSION, crypto.KEY_SLOT, 0):
        raise IntegrityError(f"key slot {name} is not a key slot of format 1")
    in_bounds = (
        1 <= iterations <= _ITERATIONS_MAX and 1 <= lanes <= _LANES_MAX and 8 * lanes <= memory_kib <= _MEMORY_KIB_MAX
    )
    if not in_bounds:
        raise IntegrityError(f"key slot {name} asks for more memory or time than the format allows")
    return KdfCost(iterations, memory_kib, lanes)


def open_slot(data: bytes, passphrase: str, *, name: str) -> SlotContents:
    """What a slot holds. Raises WrongPassphrase, IntegrityError."""
    cost = slot_cost(data, name)
    header = data[: _SLOT.size]
    salt = _SLOT.unpack_from(data)[4]
    try:
        plaintext = AESGCM(_derive(passphrase, salt, cost)).decrypt(
            crypto.ZERO_NONCE, data[_SLOT.size :], header + name.encode("ascii")
        )
    except InvalidTag:
        hint = "check WEDSYNC_PASSPHRASE, or ask for a key"
        raise WrongPassphrase("this passphrase opens no key slot", hint) from None
    contents = codec.decode(codec.unframe(plaintext, name), SlotContents, f"key slot {name}")
    if len(contents.master) != crypto.KEY_BYTES:
        raise IntegrityError(f"key slot {name} holds no master key")
    return contents


class ReceiptKey:
    """What signs receipts: Ed25519 (RFC 8032), derived from the master key, so it is the same for life."""

    def __init__(self, master: bytes) -> None:
        self._key = Ed25519PrivateKey.from_private_bytes(crypto.derive(_RECEIPT_CONTEXT, master))

    @property
    def public(self) -> str:
        """The public key, 64 hex digits."""
        return self._key.public_key().public_bytes_raw().hex()

    def sign(self, digest: bytes) -> bytes:
        """The signature of what has this digest."""
        return self._key.sign(_RECEIPT_PREFIX + digest)


def is_signed_by(public: str, digest: bytes, signature: str) -> bool:
    """Whether the holder of a receipt key signed what has this digest. Key and signature are hex digits."""
    try:
        key = Ed25519PublicKey.from_public_bytes(bytes.fromhex(public))
        key.verify(bytes.fromhex(signature), _RECEIPT_PREFIX + digest)
    except (ValueError, InvalidSignature):
        return False
    return True


class SealingEpoch(msgspec.Struct, frozen=True, array_like=True, forbid_unknown_fields=True):
    """One key epoch's sealing secret."""

    epoch: int
    secret: bytes


class WeddingSecrets(msgspec.Struct, frozen=True, array_like=True, forbid_unknown_fields=True):
    """What a wedding key object holds."""

    identity: bytes
    epochs: tuple[SealingEpoch, ...]


def new_secrets(entropy: Entropy) -> WeddingSecrets:
    """Fresh secrets for a new wedding, at epoch 1."""
    first = SealingEpoch(1, entropy.token(crypto.KEY_BYTES))
    return WeddingSecrets(entropy.token(crypto.KEY_BYTES), (first,))


@dataclass(frozen=True, slots=True)
class WeddingKeys:
    """A wedding's keys, ready for use."""

    wedding: bytes
    chunk_key: bytes = field(repr=False)  # names what data packs hold
    metadata_key: bytes = field(repr=False)  # names what metadata packs hold: equal bytes have another name there
    chunker_seed: int = field(repr=False)
    epoch: KeyEpoch  # the newest: what new objects use
    secrets: dict[int, bytes] = field(repr=False)

    @classmethod
    def of(cls, wedding: bytes, secrets: WeddingSecrets) -> WeddingKeys:
        """Derive what is used from what is stored. Raises IntegrityError when the secrets are misshapen."""
        numbers = [epoch.epoch for epoch in secrets.epochs]
        lengths = {len(secrets.identity), *(len(epoch.secret) for epoch in secrets.epochs)}
        if not numbers or numbers != list(range(1, len(numbers) + 1)) or lengths != {crypto.KEY_BYTES}:
            raise IntegrityError(f"the key of wedding {wedding.hex()} is misshapen")
        seed = int.from_bytes(crypto.derive("wedsync 1 chunker seed", secrets.identity)[:8], "little") & (2**63 - 1)
        return cls(
            wedding=wedding,
            chunk_key=crypto.derive("wedsync 1 chunk id", secrets.identity),
            metadata_key=crypto.derive("wedsync 1 metadata id", secrets.identity),
            chunker_seed=seed or 1,
            epoch=KeyEpoch(numbers[-1]),
            secrets={epoch.epoch: epoch.secret for epoch in secrets.epochs},
        )

    def id_key(self, pack_type: int) -> bytes:
        """The key that names what packs of this type hold."""
        return self.chunk_key if pack_type == crypto.DATA_PACK else self.metadata_key

    @property
    def secret(self) -> bytes:
        """The sealing secret of the newest epoch."""
        return self.secrets[self.epoch]

    def secret_of(self, epoch: int) -> bytes:
        """The sealing secret of `epoch`. Raises IntegrityError."""
        try:
            return self.secrets[epoch]
        except KeyError:
            raise IntegrityError(f"key epoch {epoch} of wedding {self.wedding.hex()} is not known here") from None

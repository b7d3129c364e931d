"""The seal: what is sealed opens where it belongs and nowhere else."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from engine.base.errors import IntegrityError
from engine.repository import codec, crypto
from engine.repository.crypto import NO_WEDDING, Binding, PackCipher
from tests.engine.repository.parts import ENTROPY
from tests.golden import world

TYPES = (
    crypto.CONFIG, crypto.WEDDING_KEY, crypto.REGISTER, crypto.LEASE, crypto.MARK, crypto.FRAGMENT, crypto.SNAPSHOT,
    crypto.PACK_FOOTER,
)  # fmt: skip
BINDINGS = st.builds(
    Binding,
    st.sampled_from(TYPES),
    st.sampled_from((NO_WEDDING, world.WEDDING, world.OTHER_WEDDING)),
    st.none() | st.sampled_from((b"config/1", b"config/12", b"config/", b"")),
)


def _secret_of(epoch: int) -> bytes:
    return world.SEALING[epoch - 1]


def _open(data: bytes, binding: Binding) -> bytes:
    return crypto.open_object(data, binding, secret_of=_secret_of, what="it")


@given(BINDINGS, BINDINGS, st.binary(max_size=300))
def test_an_object_opens_only_as_what_it_was_sealed(sealed_as: Binding, opened_as: Binding, payload: bytes) -> None:
    """Type, wedding and name are all bound."""
    data = crypto.seal_object(payload, sealed_as, secret=world.SEALING[0], epoch=1, entropy=ENTROPY)
    assert _open(data, sealed_as) == payload
    if opened_as != sealed_as:
        with pytest.raises(IntegrityError):
            _open(data, opened_as)


@given(st.integers(0, 8 * 120 - 1))
def test_no_flipped_bit_opens(number: int) -> None:
    """Of header, salt, ciphertext or tag."""
    binding = Binding.named(crypto.SNAPSHOT, "weddings/x/snapshots/y", world.WEDDING)
    data = crypto.seal_object(b"x" * 60, binding, secret=world.SEALING[1], epoch=2, entropy=ENTROPY)
    with pytest.raises(IntegrityError):
        crypto.open_object(
            world.flip(data, number // 8 % len(data), number % 8), binding, secret_of=world.KEYS.secret_of, what="it"
        )


def test_each_sealing_has_a_key_of_its_own() -> None:
    """The same payload twice: nothing of the bytes is the same but the header."""
    binding = Binding.named(crypto.CONFIG, "config/1")
    first, second = (
        crypto.seal_object(b"payload", binding, secret=world.MASTER, epoch=0, entropy=ENTROPY) for _ in range(2)
    )
    assert first[:10] == second[:10]
    assert first[10:42] != second[10:42]
    assert first[42:-16] != second[42:-16]


def test_contexts_and_uses_of_a_secret_never_meet() -> None:
    """Every derivation of the same material gives another key."""
    contexts = [f"wedsync 1 {name}" for name in (
        "config", "wedding key", "register", "lease", "mark", "index", "snapshot", "pack footer", "pack", "chunk id",
        "chunker seed", "home",
    )]  # fmt: skip
    assert len({crypto.derive(context, world.MASTER) for context in contexts}) == len(contexts)
    assert crypto.fingerprint(world.MASTER) == crypto.derive("wedsync 1 home", world.MASTER)[:8].hex()


PLACES = st.tuples(
    st.sampled_from((world.WEDDING, world.OTHER_WEDDING)),
    st.sampled_from((world.salt("a"), world.salt("b"))),
    st.sampled_from((crypto.DATA_PACK, crypto.METADATA_PACK)),
    st.sampled_from((44, 45, 2**32 - 1)),
    st.sampled_from((codec.RAW, codec.ZSTD)),
)


@given(PLACES, PLACES, st.binary(max_size=100))
def test_a_blob_opens_only_at_its_place(
    sealed_at: tuple[bytes, bytes, int, int, int], opened_at: tuple[bytes, bytes, int, int, int], content: bytes
) -> None:
    """Wedding, pack, type of pack, offset and codec are all bound."""
    stored = memoryview(bytearray(len(content) + crypto.TAG_BYTES))
    wedding, salt, pack_type, offset, codec_used = sealed_at
    sealing = PackCipher(secret=world.SEALING[0], wedding=wedding, salt=salt, pack_type=pack_type)
    assert sealing.seal_into(content, offset=offset, codec_used=codec_used, into=stored) == len(stored)
    wedding, salt, pack_type, offset, codec_used = opened_at
    opening = PackCipher(secret=world.SEALING[0], wedding=wedding, salt=salt, pack_type=pack_type)
    into = memoryview(bytearray(len(content)))
    if opened_at == sealed_at:
        assert opening.open_into(stored, offset=offset, codec_used=codec_used, into=into) == len(content)
        assert into == content
    else:
        with pytest.raises(IntegrityError):
            opening.open_into(stored, offset=offset, codec_used=codec_used, into=into)


@pytest.mark.parametrize("size", [0, 15])
def test_a_blob_shorter_than_its_tag_is_refused(size: int) -> None:
    """Before the cipher is asked."""
    cipher = PackCipher(secret=world.SEALING[0], wedding=world.WEDDING, salt=world.salt("a"), pack_type=10)
    with pytest.raises(IntegrityError):
        cipher.open_into(memoryview(bytearray(size)), offset=44, codec_used=0, into=memoryview(bytearray(99)))

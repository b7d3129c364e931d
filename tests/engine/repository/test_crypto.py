"""The seal: what is sealed opens where it belongs and nowhere else."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from engine.base.errors import IntegrityError
from engine.repository import codec, crypto
from engine.repository.crypto import NO_WEDDING, Binding, PackBinding, PackCipher
from engine.repository.pack import make_header
from tests.engine.repository.parts import ENTROPY
from tests.golden import world

TYPES = (
    crypto.CONFIG, crypto.WEDDING_KEY, crypto.REGISTER, crypto.LEASE, crypto.MARK, crypto.FRAGMENT, crypto.SNAPSHOT,
)  # fmt: skip
BINDINGS = st.builds(
    Binding,
    st.sampled_from(TYPES),
    st.sampled_from((NO_WEDDING, world.WEDDING, world.OTHER_WEDDING)),
    st.sampled_from((b"config/1", b"config/12", b"config/", b"")),
)


def _secret_of(_: int) -> bytes:
    return world.SEALING[0]  # of every epoch, so that only the seal can tell them apart


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


@pytest.mark.parametrize("binding", [
    Binding.named(crypto.SNAPSHOT, "weddings/x/snapshots/y", world.WEDDING), Binding(crypto.FRAGMENT, world.WEDDING),
])  # fmt: skip
def test_no_flipped_bit_opens(binding: Binding) -> None:
    """Of header, ciphertext or tag; also of the epoch, though every epoch has the same secret."""
    data = crypto.seal_object(b"x" * 60, binding, secret=world.SEALING[0], epoch=2, entropy=ENTROPY)
    assert _open(data, binding) == b"x" * 60
    for number in range(8 * len(data)):
        with pytest.raises(IntegrityError):
            _open(world.flip(data, number // 8, number % 8), binding)


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
        "metadata id", "chunker seed", "home",
    )]  # fmt: skip
    assert len({crypto.derive(context, world.MASTER) for context in contexts}) == len(contexts)
    assert crypto.fingerprint(world.MASTER) == crypto.derive("wedsync 1 home", world.MASTER)[:8].hex()


PACKS = st.builds(
    PackBinding,
    st.builds(
        make_header,
        st.sampled_from((crypto.DATA_PACK, crypto.METADATA_PACK)),
        st.sampled_from((1, 2)),
        st.sampled_from((world.salt("a"), world.salt("b"))),
    ),
    st.sampled_from((world.WEDDING, world.OTHER_WEDDING)),
)
PLACES = st.tuples(PACKS, st.sampled_from((44, 45, 2**32 - 1)), st.sampled_from((codec.RAW, codec.ZSTD)))
Place = tuple[PackBinding, int, int]


@given(PLACES, PLACES, st.binary(max_size=100))
def test_a_blob_opens_only_at_its_place(sealed_at: Place, opened_at: Place, content: bytes) -> None:
    """Wedding, pack, type and epoch of the pack, offset and codec are all bound."""
    stored = memoryview(bytearray(len(content) + crypto.TAG_BYTES))
    pack, offset, codec_used = sealed_at
    sealing = PackCipher(pack, secret=world.SEALING[0])
    assert sealing.seal_into(content, offset=offset, codec_used=codec_used, into=stored) == len(stored)
    pack, offset, codec_used = opened_at
    opening = PackCipher(pack, secret=world.SEALING[0])
    into = memoryview(bytearray(len(content)))
    if opened_at == sealed_at:
        assert opening.open_into(stored, offset=offset, codec_used=codec_used, into=into) == len(content)
        assert into == content
    else:
        with pytest.raises(IntegrityError):
            opening.open_into(stored, offset=offset, codec_used=codec_used, into=into)


FOOTERS = st.tuples(PACKS, st.sampled_from((world.salt("c"), world.salt("d"))))


@given(FOOTERS, FOOTERS)
def test_a_footer_opens_only_in_its_pack(
    sealed_in: tuple[PackBinding, bytes], opened_in: tuple[PackBinding, bytes]
) -> None:
    """Wedding, pack, type and epoch of the pack, and the footer's salt are all bound."""
    pack, salt = sealed_in
    footer = crypto.seal_footer(b"records", pack, secret=world.SEALING[0], footer_salt=salt)
    pack, salt = opened_in
    if opened_in == sealed_in:
        assert crypto.open_footer(footer, pack, secret=world.SEALING[0], footer_salt=salt, what="it") == b"records"
    else:
        with pytest.raises(IntegrityError):
            crypto.open_footer(footer, pack, secret=world.SEALING[0], footer_salt=salt, what="it")


@pytest.mark.parametrize("size", [0, 15])
def test_a_blob_shorter_than_its_tag_is_refused(size: int) -> None:
    """Before the cipher is asked."""
    pack = PackBinding(make_header(crypto.DATA_PACK, 1, world.salt("a")), world.WEDDING)
    cipher = PackCipher(pack, secret=world.SEALING[0])
    with pytest.raises(IntegrityError):
        cipher.open_into(memoryview(bytearray(size)), offset=44, codec_used=0, into=memoryview(bytearray(99)))

"""Key slots and wedding keys: what opens them, what does not, and what is refused before it is tried."""

from __future__ import annotations

import functools
import struct
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from engine.base.errors import IntegrityError, WrongPassphrase
from engine.repository import keyring
from engine.repository.keyring import KdfCost, SealingEpoch, SlotContents, WeddingKeys, WeddingSecrets
from tests.engine.repository.parts import CHEAP, ENTROPY
from tests.golden import world

NAME = "keys/" + "0f" * 16
CONTENTS = SlotContents(world.MASTER, "safe", 7)


def _slot(passphrase: str, name: str = NAME) -> bytes:
    return keyring.seal_slot(CONTENTS, passphrase, name=name, cost=CHEAP, entropy=ENTROPY)


@pytest.mark.parametrize("passphrase", ["correct horse", "", " ", "\u00e9", "\ud55c", "x" * 5000, "bytes \udcff"])
def test_the_passphrase_of_a_slot_opens_it(passphrase: str) -> None:
    """Of any length, and of bytes that are no text."""
    assert keyring.open_slot(_slot(passphrase), passphrase, name=NAME) == CONTENTS


@pytest.mark.parametrize(
    ("typed", "other"), [("\u00e9", "e\u0301"), ("\ud55c", "\u1112\u1161\u11ab"), ("\u2126", "\u03a9")]
)
def test_a_passphrase_may_be_typed_in_any_unicode_form(typed: str, other: str) -> None:
    """Keyboards and systems differ in how they compose; all are brought to NFC."""
    assert keyring.open_slot(_slot(typed), other, name=NAME) == CONTENTS


@pytest.mark.parametrize("passphrase", ["correct hors", "correct horse ", "Correct horse", ""])
def test_another_passphrase_is_wrong(passphrase: str) -> None:
    """Nothing is forgiven: neither case nor spaces."""
    with pytest.raises(WrongPassphrase):
        keyring.open_slot(_slot("correct horse"), passphrase, name=NAME)


def test_a_slot_opens_only_under_its_name() -> None:
    """A slot that was removed cannot be brought back under another name."""
    with pytest.raises(WrongPassphrase):
        keyring.open_slot(_slot("p", "keys/" + "00" * 16), "p", name=NAME)


@given(st.integers(0, 2**32 - 1), st.integers(0, 2**32 - 1), st.integers(0, 2**32 - 1))
def test_only_bounded_costs_are_tried(iterations: int, memory_kib: int, lanes: int) -> None:
    """Whatever a slot asks for, at most 1 GiB is taken."""
    good = _slot_bytes()
    data = good[:42] + struct.pack("<III", iterations, memory_kib, lanes) + good[54:]
    bounded = 1 <= iterations <= 64 and 1 <= lanes <= 64 and 8 * lanes <= memory_kib <= 1 << 20
    if bounded:
        assert keyring.slot_cost(data, NAME) == KdfCost(iterations, memory_kib, lanes)
    else:
        with pytest.raises(IntegrityError):
            keyring.slot_cost(data, NAME)


@functools.cache
def _slot_bytes() -> bytes:
    return _slot("p")


def test_derivation_is_not_begun_for_what_is_over_the_bound(monkeypatch: pytest.MonkeyPatch) -> None:
    """The bound comes first, and the library is not asked."""

    def derive(*_: Any, **__: Any) -> None:
        raise AssertionError("derived")

    good = _slot_bytes()
    monkeypatch.setattr(keyring, "Argon2id", derive)
    for costs in ((1, (1 << 20) + 1, 1), (65, 64, 1), (1, 1 << 20, 65)):
        with pytest.raises(IntegrityError):
            keyring.open_slot(good[:42] + struct.pack("<III", *costs) + good[54:], "p", name=NAME)


def test_costs_are_said_for_people() -> None:
    """As the list of slots shows them."""
    assert str(KdfCost()) == "argon2id t=3 m=64MiB p=4"


# --- wedding keys ------------------------------------------------------------------------------------


def test_new_secrets_are_fresh_and_begin_with_epoch_one() -> None:
    """Two weddings share nothing."""
    first, second = keyring.new_secrets(ENTROPY), keyring.new_secrets(ENTROPY)
    assert [epoch.epoch for epoch in first.epochs] == [1]
    everything = {first.identity, first.epochs[0].secret, second.identity, second.epochs[0].secret}
    assert len(everything) == 4


@given(st.binary(min_size=32, max_size=32))
def test_a_chunker_seed_has_63_bits_and_is_never_zero(identity: bytes) -> None:
    """The chunker takes no more, and a seed of 0 would be no seed."""
    keys = WeddingKeys.of(world.WEDDING, WeddingSecrets(identity, world.SECRETS.epochs))
    assert 0 < keys.chunker_seed < 2**63


def test_a_new_epoch_changes_what_seals_and_nothing_that_names() -> None:
    """Rotation never breaks deduplication."""
    before = WeddingKeys.of(world.WEDDING, WeddingSecrets(world.IDENTITY, world.SECRETS.epochs[:1]))
    after = world.KEYS
    assert (before.chunk_key, before.metadata_key) == (after.chunk_key, after.metadata_key)
    assert before.chunker_seed == after.chunker_seed
    assert (before.epoch, after.epoch) == (1, 2)
    assert before.secret != after.secret
    assert after.secret_of(1) == before.secret


def test_an_epoch_that_is_not_there_is_an_integrity_error() -> None:
    """Neither 0 nor one of the future."""
    for epoch in (0, 3):
        with pytest.raises(IntegrityError):
            world.KEYS.secret_of(epoch)


@pytest.mark.parametrize("numbers", [(), (2,), (1, 3), (2, 1), (1, 1)])
def test_epochs_are_counted_from_one(numbers: tuple[int, ...]) -> None:
    """A gap would mean a lost key."""
    epochs = tuple(SealingEpoch(number, bytes(32)) for number in numbers)
    with pytest.raises(IntegrityError):
        WeddingKeys.of(world.WEDDING, WeddingSecrets(bytes(32), epochs))


def test_secrets_are_not_shown() -> None:
    """Not in a log line that holds the object."""
    keys = world.KEYS
    for secret in (*world.SEALING, keys.chunk_key, keys.metadata_key):
        assert secret.hex() not in repr(keys)
        assert repr(secret) not in repr(keys)

"""Receipts: what was signed is read back, and any change at all is noticed, without a repository."""

from __future__ import annotations

import io

import msgspec
import pytest
from blake3 import blake3
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey
from hypothesis import given
from hypothesis import strategies as st

from engine.base.errors import IntegrityError
from engine.contract.receipts import PlaceCopies
from engine.repository.keyring import ReceiptKey, is_signed_by
from engine.repository.receipt import DATA, SIGNATURE, Facts, FileLine, verify_receipt, write_receipt
from tests.golden import world

KEY = ReceiptKey(world.MASTER)
LINES = [FileLine("/cards/A/1.jpg", 10, "ab" * 32), FileLine("/cards/A/\\xff", 5, "cd" * 32, "L2Nh")]
FACTS = Facts(
    receipt=2, repository="0f" * 16, wedding="smith-jones", date="2026-06-20", snapshot="5f" * 16,
    snapshot_time="2026-06-20T18:00:00Z", made="2026-06-20T19:00:00Z", host="ops", files=2, bytes_source=15,
    level="committed", copies=1, copies_needed=3, places=("hot/home",), card="", card_files=0, card_bytes=0,
    missing=(), missing_total=0, safe_to_format=False, reasons=("1 copy exists where 3 are needed, in home",),
    copies_by_place=(PlaceCopies(place="hot/home", copies=2, bytes=9, read_back=1, verified="2026-06-20T18:30:00Z"),),
)  # fmt: skip


def _written(facts: Facts = FACTS, lines: list[FileLine] = LINES) -> bytes:
    output = io.BytesIO()
    write_receipt(output, "words\n", facts, lines, KEY)
    return output.getvalue()


RECEIPT = _written()


def test_a_receipt_is_what_was_signed() -> None:
    """And says by which key."""
    verified = verify_receipt(io.BytesIO(RECEIPT))
    assert (verified.facts, verified.key) == (FACTS, KEY.public)


def test_the_key_is_the_repositorys_for_life() -> None:
    """It is printed in contracts, so it never changes; another repository has another one."""
    assert ReceiptKey(world.MASTER).public == KEY.public
    assert ReceiptKey(bytes(32)).public == "06711d73e2eee2696815332459a054ceb0422127f86353fd43cdcfddf552ba9a"


def test_a_stranger_can_check_it_with_ed25519_and_blake3_alone() -> None:
    """As the paper says: the digest of all before the section, behind a prefix."""
    body, _, tail = RECEIPT.partition(SIGNATURE)
    signed = msgspec.json.decode(tail)
    key = Ed25519PublicKey.from_public_bytes(bytes.fromhex(signed["key"]))
    key.verify(bytes.fromhex(signed["signature"]), b"wedsync 1 receipt\0" + blake3(body).digest())
    lines = body.partition(DATA)[2].splitlines()
    assert [msgspec.json.decode(line)["path"] for line in lines[1:]] == [line.path for line in LINES]


@given(st.integers(0, len(RECEIPT) - 1), st.integers(1, 255))
def test_any_changed_byte_is_noticed(at: int, change: int) -> None:
    """In the words, the data or the signature."""
    changed = bytearray(RECEIPT)
    changed[at] ^= change
    try:
        verified = verify_receipt(io.BytesIO(bytes(changed)))
    except IntegrityError:
        return
    tail = len(RECEIPT) - len(RECEIPT.partition(SIGNATURE)[2])
    assert at >= tail, "only how hex digits and blanks of the signature are written says nothing"
    assert (verified.facts, verified.key.lower()) == (FACTS, KEY.public)


@given(st.integers(0, len(RECEIPT) - 1))
def test_a_receipt_that_was_cut_short_is_none(length: int) -> None:
    """Wherever the mail ended."""
    if length == len(RECEIPT) - 1:
        return  # the last line's end
    with pytest.raises(IntegrityError):
        verify_receipt(io.BytesIO(RECEIPT[:length]))


@pytest.mark.parametrize(
    "receipt",
    [
        RECEIPT + b"x",
        RECEIPT + RECEIPT,
        b"",
        _written(lines=LINES[:1]),
        _written(msgspec.structs.replace(FACTS, bytes_source=16)),
        _written(msgspec.structs.replace(FACTS, receipt=3)),
        _written(msgspec.structs.replace(FACTS, receipt=0)),
        RECEIPT.replace(b'"Ed25519"', b'"none"'),
    ],
)
def test_a_receipt_of_another_shape_is_refused(receipt: bytes) -> None:
    """Something behind it, files that do not add up, another version or algorithm, signed or not."""
    with pytest.raises(IntegrityError):
        verify_receipt(io.BytesIO(receipt))


def test_a_receipt_of_before_is_still_good() -> None:
    """Version 1 did not say which copies had been read back; photographers keep such receipts."""
    facts = msgspec.structs.replace(FACTS, receipt=1, copies_by_place=())
    old = _signed_without_places(facts)
    assert b"copiesByPlace" not in old
    assert verify_receipt(io.BytesIO(old)).facts == facts


def _signed_without_places(facts: Facts) -> bytes:
    """A receipt as version 1 wrote it."""
    body = _written(facts).partition(SIGNATURE)[0].replace(b',"copiesByPlace":[]', b"")
    digest = blake3(body).digest()
    signed = {"algorithm": "Ed25519", "key": KEY.public, "signature": KEY.sign(digest).hex()}
    return body + SIGNATURE + msgspec.json.encode(signed) + b"\n"


@pytest.mark.parametrize("key", ["", "zz", "00" * 31, "ff" * 32])
def test_what_is_no_key_signed_nothing(key: str) -> None:
    assert not is_signed_by(key, bytes(32), "00" * 64)

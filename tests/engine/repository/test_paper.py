"""Keys on paper: what is typed from a page opens, and a slip is told by its group."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from engine.base.errors import WrongPassphrase
from engine.repository import paper
from engine.repository.repository import Repository
from engine.storage.stores.memory import MemoryObjects, MemoryStore
from tests.engine.repository.parts import CHEAP, home

_SECRETS = st.binary(min_size=32, max_size=32)
_ZEROS = paper.paper_text(bytes(32))


def test_the_text_of_a_secret_never_changes() -> None:
    """Pages lie in safes for years."""
    assert _ZEROS == "00000-00001-00002-00003-00004-00005-00006-00007-00008-00009-0000A-0000B-0000C"
    counted = "000GG-40R4S-0M30D-E209P-185G6-R38EG-1W81A-24GKA-2GAH3-C5RR4-34D11-P70X1-3RFGJ"
    assert paper.paper_text(bytes(range(32))) == counted


@given(_SECRETS, _SECRETS)
def test_every_secret_has_a_text_of_its_own(one: bytes, other: bytes) -> None:
    """All 256 bits are on the page."""
    assert (paper.paper_text(one) == paper.paper_text(other)) == (one == other)


@given(_SECRETS)
def test_it_may_be_typed_as_people_type(secret: bytes) -> None:
    """Small letters, blanks, line ends, no dashes; and I, L and O for the digits they look like."""
    text = paper.paper_text(secret)
    for typed in (text.lower(), text.replace("-", " "), text.replace("-", "\n", 6), text.replace("-", "")):
        assert paper.as_passphrase(typed) == text
    assert paper.as_passphrase(text.replace("0", "o").replace("1", "l")) == text


@given(_SECRETS, st.integers(0, 12), st.integers(0, 4), st.sampled_from("0123456789ABCDEFGHJKMNPQRSTVWXYZ"))
def test_a_slip_is_told_by_its_group(secret: bytes, group: int, at: int, letter: str) -> None:
    """Any one wrong character of any group, the check itself too."""
    groups = paper.paper_text(secret).split("-")
    if groups[group][at] == letter:
        return
    groups[group] = groups[group][:at] + letter + groups[group][at + 1 :]
    typed = "-".join(groups)
    assert paper.mistake_in(typed) == f"group {group + 1} of the key on paper cannot be as printed"
    assert paper.as_passphrase(typed) == typed


@given(_SECRETS)
def test_groups_in_the_wrong_order_are_told(secret: bytes) -> None:
    """The check knows the place."""
    groups = paper.paper_text(secret).split("-")
    assert paper.mistake_in("-".join([groups[1], groups[0], *groups[2:]]))


@pytest.mark.parametrize("passphrase", ["correct horse", "", _ZEROS[:-1], _ZEROS + "-00000", "é" * 65, "00000 " * 12])
def test_any_other_passphrase_is_left_alone(passphrase: str) -> None:
    """Only what has the whole shape of a key on paper is read as one."""
    assert paper.as_passphrase(passphrase) == passphrase
    assert paper.mistake_in(passphrase) == ""


def test_a_passphrase_that_only_looks_like_one_still_opens() -> None:
    """Whoever chose thirteen groups of five letters keeps them."""
    looks = _ZEROS.replace("00001", "00009")
    store = MemoryStore(MemoryObjects())
    Repository.create(store, looks, label="x", home=home(), cost=CHEAP).close()
    Repository.open(store, looks, home=home()).close()


def test_the_key_on_paper_opens_the_repository() -> None:
    """Typed without care; with a slip, the error says where."""
    store = MemoryStore(MemoryObjects())
    repository = Repository.create(store, "correct horse", label="x", home=home(), cost=CHEAP)
    slot, text = repository.add_paper_slot("safe", CHEAP)
    repository.close()
    opened = Repository.open(store, text.lower().replace("-", " "), home=home())
    assert [(one.id, one.label) for one in opened.slots() if one.current] == [(slot.id, "safe")]
    opened.close()
    wrong = text[:12] + ("7" if text[12] != "7" else "8") + text[13:]
    with pytest.raises(WrongPassphrase, match="opens no key slot") as caught:
        Repository.open(store, wrong, home=home())
    assert caught.value.hint.startswith("group 3 of the key on paper")

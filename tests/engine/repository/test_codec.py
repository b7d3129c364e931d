"""Payloads: one encoding a value, bounded, and refused in any other form."""

from __future__ import annotations

import contextlib
from typing import Any

import pytest
import zstandard
from hypothesis import given
from hypothesis import strategies as st

from engine.base.errors import IntegrityError
from engine.base.units import KIB, MIB
from engine.repository import codec
from engine.repository.entry import Entry
from tests.engine.repository.payloads import manifests, payloads


@given(payloads())
def test_any_payload_comes_back(value: Any) -> None:
    """Decoded from its encoding, it is the same value."""
    assert codec.decode(codec.encode(value), type(value), "it") == value


@given(payloads(), st.data())
def test_changed_bytes_are_refused_or_another_payload(value: Any, data: st.DataObject) -> None:
    """Nothing but IntegrityError comes out of bad bytes, and what is accepted encodes to just those bytes."""
    encoded = codec.encode(value)
    at = data.draw(st.integers(0, len(encoded) - 1))
    changed = encoded[:at] + data.draw(st.binary(max_size=3)) + encoded[at + data.draw(st.integers(0, 3)) :]
    try:
        found = codec.decode(changed, type(value), "it")
    except IntegrityError:
        return
    assert codec.encode(found) == changed
    assert (found == value) == (changed == encoded)


@given(payloads(), st.binary(min_size=1, max_size=4))
def test_trailing_bytes_are_refused(value: Any, more: bytes) -> None:
    """A payload ends where it ends."""
    with pytest.raises(IntegrityError):
        codec.decode(codec.encode(value) + more, type(value), "it")


@given(st.binary(max_size=60))
def test_noise_is_refused(noise: bytes) -> None:
    """As a list of entries, and as a frame."""
    with contextlib.suppress(IntegrityError):
        assert codec.encode(codec.decode(noise, list[Entry], "it")) == noise
    with contextlib.suppress(IntegrityError):
        assert len(codec.unframe(noise, "it")) == int.from_bytes(noise[1:5], "little")


@given(manifests())
def test_any_entries_come_back(entries: list[Entry]) -> None:
    """Also the shapes with many defaults: none of them may be left out."""
    assert codec.decode(codec.encode(entries), list[Entry], "it") == entries


@given(st.binary(max_size=2000) | st.binary(max_size=9).map(lambda part: part * 900))
def test_any_payload_is_framed_and_back(payload: bytes) -> None:
    """Pressed when that makes it smaller, else as it is."""
    framed = codec.frame(payload)
    assert codec.unframe(framed, "it") == payload
    assert len(framed) <= len(payload) + 5


def test_what_presses_well_is_kept_pressed() -> None:
    """Codec and length are told in front."""
    framed = codec.frame(b"a" * MIB)
    assert framed[0] == codec.ZSTD
    assert len(framed) < KIB
    assert int.from_bytes(framed[1:5], "little") == MIB


@pytest.mark.parametrize("claimed", [100 * MIB, 256 * MIB + 1, 2**32 - 1])
def test_a_bomb_is_refused_before_it_is_unpacked(claimed: int) -> None:
    """By what the frame says of itself: no memory is taken for it."""
    bomb = zstandard.ZstdCompressor().compress(bytes(MIB))
    with pytest.raises(IntegrityError):
        codec.unframe(bytes([codec.ZSTD]) + claimed.to_bytes(4, "little") + bomb, "it")
    with pytest.raises(IntegrityError):
        codec.decompress(bomb, MIB - 1, "it")


@pytest.mark.parametrize("unsized", [zstandard.ZstdCompressor(write_content_size=False).compress(b"a" * 900)])
def test_a_frame_that_hides_its_size_is_refused(unsized: bytes) -> None:
    """It could not be bounded before it is unpacked."""
    with pytest.raises(IntegrityError):
        codec.decompress(unsized, MIB, "it")

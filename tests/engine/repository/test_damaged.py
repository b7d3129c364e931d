"""What a home remembers of damaged packs: across restarts, until they are good again, and never in anybody's way."""

from __future__ import annotations

import errno
from pathlib import Path

import pytest

from engine.repository import damaged as module
from engine.repository.damaged import DamagedPacks

FIRST, SECOND = bytes(32), b"\xff" * 32


def test_what_was_found_is_known_after_a_restart(tmp_path: Path) -> None:
    packs = DamagedPacks(tmp_path / "damaged.json")
    assert packs.add(FIRST)
    assert packs.add(SECOND)
    assert not packs.add(SECOND), "no news"
    assert DamagedPacks(tmp_path / "damaged.json").names() == {FIRST, SECOND}


def test_what_is_forgotten_stays_so(tmp_path: Path) -> None:
    packs = DamagedPacks(tmp_path / "damaged.json")
    packs.add(FIRST)
    packs.add(SECOND)
    packs.forget([FIRST, b"\x01" * 32])
    assert packs.names() == DamagedPacks(tmp_path / "damaged.json").names() == {SECOND}


def test_a_home_without_damage_gets_no_file(tmp_path: Path) -> None:
    DamagedPacks(tmp_path / "damaged.json").forget([FIRST])
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("data", [b"", b"{", b"[1]", b'["not a name", "ff"]'])
def test_a_file_that_says_nothing_is_as_good_as_none(tmp_path: Path, data: bytes) -> None:
    """The next verification finds the packs again; an engine that does not start would be worse."""
    (tmp_path / "damaged.json").write_bytes(data)
    packs = DamagedPacks(tmp_path / "damaged.json")
    assert packs.names() == frozenset()
    packs.add(FIRST)
    assert DamagedPacks(tmp_path / "damaged.json").names() == {FIRST}


def test_a_home_that_is_full_still_knows_it_for_now(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def is_full(path: Path, data: bytes) -> None:
        raise OSError(errno.ENOSPC, "No space left on device")

    packs = DamagedPacks(tmp_path / "damaged.json")
    monkeypatch.setattr(module, "replace_file", is_full)
    packs.add(FIRST)
    assert packs.names() == {FIRST}
    assert not (tmp_path / "damaged.json").exists()

"""The home: private, one engine at a time, told apart when it cannot be used."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from engine.base.errors import Conflict, LimitReached, NotPermitted
from engine.contract.settings import Settings, StorageSettings
from engine.operations.home import Home


def test_a_home_is_made_for_its_owner_only(tmp_path: Path) -> None:
    home = Home(tmp_path / "a" / "home")
    assert (home.path.stat().st_mode & 0o777, home.logs.stat().st_mode & 0o777) == (0o700, 0o700)
    home.release()


def test_a_second_engine_is_refused_with_the_pid_of_the_first(tmp_path: Path) -> None:
    home = Home(tmp_path)
    with pytest.raises(Conflict, match=rf"an engine already runs on this home \(pid {os.getpid()}\)"):
        Home(tmp_path)
    home.release()
    Home(tmp_path).release()


def test_a_home_that_cannot_be_made_is_one_line(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises((LimitReached, NotPermitted), match="home"):
        Home(tmp_path / "file" / "home")


def test_hot_store_lies_in_the_home_unless_the_settings_say_another(tmp_path: Path) -> None:
    home = Home(tmp_path / "with space")
    assert home.hot_url(Settings()) == f"file://{tmp_path}/with%20space/repository"
    assert home.hot_url(Settings(storage=StorageSettings(hot="memory://x"))) == "memory://x"
    home.release()


def test_what_changes_in_a_home_is_looked_for_when_a_name_has_come_or_gone(tmp_path: Path) -> None:
    """And not for each backup, of which there may be a hundred a second."""
    home = Home(tmp_path)
    os.utime(tmp_path, ns=(0, 1_000_000_000))
    later_ns = 10_000_000_000
    before = home.restless(later_ns)
    assert _identity(tmp_path / "journal.db") in before
    assert home.restless(later_ns) is before
    (tmp_path / "copies.db").write_bytes(b"")
    copies = _identity(tmp_path / "copies.db")
    assert copies in home.restless(os.stat(tmp_path).st_mtime_ns)
    os.utime(tmp_path, ns=(0, 2_000_000_000))
    assert copies in home.restless(later_ns)
    home.release()


def test_a_home_that_has_changed_this_moment_is_looked_at_again(tmp_path: Path) -> None:
    """A name that comes in the same tick of the clock does not change the folder's time any more."""
    home = Home(tmp_path)
    now_ns = os.stat(tmp_path).st_mtime_ns
    assert home.restless(now_ns) is not home.restless(now_ns)
    home.release()


def _identity(path: Path) -> tuple[int, int]:
    found = path.stat()
    return found.st_dev, found.st_ino

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

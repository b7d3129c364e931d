"""Addresses of sockets, however deep they lie."""

from __future__ import annotations

import os
import socket
from pathlib import Path

import pytest

from engine.base.addresses import ADDRESS_BYTES_MAX, address_of


def test_a_short_path_is_its_own_address() -> None:
    with address_of(Path("/run/w/engine.sock")) as address:
        assert address == b"/run/w/engine.sock"


def test_the_longest_path_that_fits_is_taken_as_it_is(tmp_path: Path) -> None:
    room = ADDRESS_BYTES_MAX - len(os.fsencode(tmp_path)) - len("/s")
    folder = tmp_path / ("d" * (room - 1))
    folder.mkdir()
    with address_of(folder / "s") as address, socket.socket(socket.AF_UNIX) as listener:
        assert len(address) == ADDRESS_BYTES_MAX
        listener.bind(address)
    with address_of(folder / "ss") as address:
        assert address.startswith(b"/proc/self/fd/")


def test_a_longer_one_is_reached_through_its_folder_and_nothing_stays_open(tmp_path: Path) -> None:
    folder = tmp_path / ("d" * 120) / "caf\udce9"
    folder.mkdir(parents=True)
    before = len(os.listdir("/proc/self/fd"))
    with address_of(folder / "engine.sock") as address, socket.socket(socket.AF_UNIX) as listener:
        listener.bind(address)
    assert os.listdir(folder) == ["engine.sock"]
    assert len(os.listdir("/proc/self/fd")) == before


def test_a_folder_that_is_not_there_is_the_systems_error(tmp_path: Path) -> None:
    with pytest.raises(FileNotFoundError), address_of(tmp_path / ("d" * 120) / "engine.sock"):
        pass

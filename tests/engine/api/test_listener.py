"""The socket file: whose it is, what it replaces, and where it can be."""

from __future__ import annotations

import os
import socket
import stat
from collections.abc import Iterator
from pathlib import Path

import pytest

from engine.api.listener import Listener, peer_uid
from engine.base.addresses import ADDRESS_BYTES_MAX, address_of
from engine.contract.wire import SOCKET_NAME
from tests.privileges import IS_ROOT, plain_user, shared_folder


@pytest.fixture(params=["short", "deep " + "d" * 100 + "/" + "e" * 100])
def home(request: pytest.FixtureRequest, tmp_path: Path) -> Path:
    """A home; the second one lies deeper than a socket's address can say."""
    path = tmp_path / str(request.param)
    path.mkdir(parents=True)
    return path


@pytest.fixture
def listener(home: Path) -> Iterator[Listener]:
    """One that listens there."""
    made = Listener(home)
    yield made
    made.close()


def connected(home: Path) -> socket.socket:
    """A door that was opened."""
    door = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
    try:
        with address_of(home / SOCKET_NAME) as address:
            assert len(address) <= ADDRESS_BYTES_MAX
            door.connect(address)
    except OSError:
        door.close()
        raise
    return door


def test_a_socket_in_the_home_is_for_its_owner_alone(home: Path, listener: Listener) -> None:
    mode = (home / SOCKET_NAME).stat().st_mode
    assert (stat.S_ISSOCK(mode), stat.S_IMODE(mode)) == (True, 0o600)
    with connected(home):
        peer, _ = listener.socket.accept()
        with peer:
            assert peer_uid(peer) == os.geteuid()


def test_the_socket_of_a_dead_engine_is_replaced(home: Path) -> None:
    first = Listener(home)
    first.socket.close()  # as the kernel does when a process is killed: the file stays
    with pytest.raises(ConnectionRefusedError):
        connected(home)
    second = Listener(home)
    connected(home).close()
    second.close()


def test_it_is_gone_when_it_is_closed_also_twice(home: Path, listener: Listener) -> None:
    listener.close()
    listener.close()
    assert os.listdir(home) == []


def test_something_that_is_no_socket_is_left_alone(home: Path) -> None:
    (home / SOCKET_NAME).write_text("mine")
    with pytest.raises(FileExistsError, match="no socket"):
        Listener(home)
    assert (home / SOCKET_NAME).read_text() == "mine"


def test_a_folder_that_takes_no_socket_is_an_error_and_leaves_nothing_open(home: Path) -> None:
    before = len(os.listdir("/proc/self/fd"))
    with pytest.raises(OSError, match="No such file"):
        Listener(home / "nowhere")
    assert len(os.listdir("/proc/self/fd")) == before


def test_nobody_else_reaches_it() -> None:
    with shared_folder() as folder:
        os.chmod(folder, 0o755)
        made = Listener(folder)
        try:
            with plain_user():
                if IS_ROOT:
                    with pytest.raises(PermissionError):
                        connected(folder)
                else:
                    connected(folder).close()
        finally:
            made.close()

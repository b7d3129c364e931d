"""The socket file in the home: made when an engine starts, gone when it has stopped. Blocks for a moment only.

Whoever holds the home's lock owns the name `engine.sock` in it, so what lies there is of a dead engine and is replaced.
"""

from __future__ import annotations

import errno
import os
import socket
import stat
import struct
from pathlib import Path

from engine.base.addresses import address_of
from engine.contract.wire import SOCKET_NAME

BACKLOG = 64
_CREDENTIALS = struct.Struct("3i")  # pid, uid, gid


class Listener:
    """A listening socket at `engine.sock` in a home whose lock is held. Nobody but its owner may reach it."""

    def __init__(self, home: Path) -> None:
        """Raises OSError, as where the file system has no sockets or is full."""
        self._path = home / SOCKET_NAME
        _remove(self._path)
        self.socket = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM | socket.SOCK_NONBLOCK | socket.SOCK_CLOEXEC)
        try:
            os.fchmod(self.socket.fileno(), 0o600)  # before it has a name: the file is never open to others
            with address_of(self._path) as address:
                self.socket.bind(address)
            self.socket.listen(BACKLOG)
        except OSError:
            self.socket.close()
            raise

    def close(self) -> None:
        """Be gone: whoever comes from now on finds no engine. Raises nothing."""
        try:
            _remove(self._path)
        except OSError:
            pass  # a dead socket is replaced at the next start
        self.socket.close()


def peer_uid(connection: socket.socket) -> int:
    """The user on the other side, as the kernel saw it connect. Raises OSError."""
    data = connection.getsockopt(socket.SOL_SOCKET, socket.SO_PEERCRED, _CREDENTIALS.size)
    uid: int = _CREDENTIALS.unpack(data)[1]
    return uid


def _remove(path: Path) -> None:
    try:
        mode = path.lstat().st_mode
    except FileNotFoundError:
        return
    if not stat.S_ISSOCK(mode):
        raise FileExistsError(errno.EEXIST, "something that is no socket has its name")
    path.unlink()

"""Which congestion control the connections to a host use: chosen where the system allows it, and read back.

obstore gives no socket away, so this process's own descriptors are looked through for connections to the host (Linux,
/proc/self/fd), again every few seconds, since new ones begin with the system's choice. BBR is what a line with losses
wants: at 50 ms and 1 % loss one stream moves many times what cubic does (docs/performance.md). What cannot be set
stays the system's. Any thread.
"""

from __future__ import annotations

import os
import socket
import stat
import threading
import urllib.parse
from collections.abc import Iterator
from contextlib import contextmanager, suppress

from engine.base.clock import Clock

SYSTEM = "system"  # leave it to the system
WANTED = "bbr"
CHOICES = ("bbr", "cubic", "reno", SYSTEM)
LOOK_EVERY_S = 10.0
_NAME_BYTES = 16  # TCP_CA_NAME_MAX
_ADDRESSES_MAX = 256  # of one host, as its name is resolved again and again


class Congestion:
    """The connections of this process to one host."""

    def __init__(self, url: str, wanted: str, clock: Clock) -> None:
        """`url`: `https://host:port` of the endpoint; `wanted`: one of `CHOICES`."""
        parts = urllib.parse.urlsplit(url)
        self._host = parts.hostname or ""
        self._port = parts.port or (80 if parts.scheme == "http" else 443)
        self._wanted = wanted
        self._clock = clock
        self._lock = threading.Lock()
        self._addresses: set[str] = set()  # guarded by `_lock`, as the next
        self._looks_again_s = 0.0
        self.in_use = ""

    def look_if_due(self) -> None:
        """Set and read back what the connections use, if the last look is some seconds old; cheap else."""
        now_s = self._clock.monotonic_s()
        if now_s < self._looks_again_s or not self._lock.acquire(blocking=False):
            return
        try:
            self._looks_again_s = now_s + LOOK_EVERY_S
            self.look()
        finally:
            self._lock.release()

    def look(self) -> None:
        """Set and read back what the connections use. One thread at a time."""
        self._resolve()
        found = {self.settle(each) for each in _connections(self._addresses, self._port)}
        if found:
            self.in_use = ", ".join(sorted(found))

    def settle(self, connection: socket.socket) -> str:
        """Choose for one connection; what it uses then, read back. Raises OSError for one that is gone."""
        if self._wanted != SYSTEM and _control_of(connection) != self._wanted:
            with suppress(OSError):  # not built in, or not for us: the system's stays
                connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_CONGESTION, self._wanted.encode())
        return _control_of(connection)

    def _resolve(self) -> None:
        """Learn the host's addresses; a name may give others each time."""
        with suppress(OSError):
            found = {str(info[4][0]) for info in socket.getaddrinfo(self._host, None, type=socket.SOCK_STREAM)}
            if len(self._addresses) + len(found) > _ADDRESSES_MAX:
                self._addresses.clear()
            self._addresses |= found


def _connections(addresses: set[str], port: int) -> Iterator[socket.socket]:
    """This process's TCP connections to one of the addresses, each open for its turn only."""
    for entry in os.listdir("/proc/self/fd"):
        with suppress(OSError), _socket_of(int(entry)) as connection:
            if connection is None:
                continue
            peer = connection.getpeername()
            if peer[1] == port and str(peer[0]).removeprefix("::ffff:") in addresses:
                yield connection


@contextmanager
def _socket_of(fd: int) -> Iterator[socket.socket | None]:
    """A TCP socket for a descriptor that may be anything, and may be gone any moment; None for anything else."""
    if not stat.S_ISSOCK(os.fstat(fd).st_mode):
        yield None
        return
    copy = os.dup(fd)
    try:
        found = socket.socket(fileno=copy)
    except OSError:  # another file has the number by now
        os.close(copy)
        raise
    try:
        is_tcp = found.family in (socket.AF_INET, socket.AF_INET6) and found.type == socket.SOCK_STREAM
        yield found if is_tcp else None
    finally:
        found.close()


def _control_of(connection: socket.socket) -> str:
    return connection.getsockopt(socket.IPPROTO_TCP, socket.TCP_CONGESTION, _NAME_BYTES).rstrip(b"\0").decode("ascii")

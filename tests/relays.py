"""A line to a service that breaks: bytes go through until so many have passed one way, then every connection is cut."""

from __future__ import annotations

import contextlib
import socket
import struct
import threading
import urllib.parse
from collections.abc import Iterator

_PIECE_BYTES = 64 * 1024


class Relay:
    """A port of this machine that leads to a service. Ends with the block of `relay`."""

    def __init__(self, target: str) -> None:
        parts = urllib.parse.urlsplit(target)
        assert parts.hostname is not None
        assert parts.port is not None
        self._target = (parts.hostname, parts.port)
        self._listener = socket.create_server(("127.0.0.1", 0))
        self._lock = threading.Lock()
        self._open: set[socket.socket] = set()
        self._left: dict[str, int | None] = {"up": None, "down": None}
        self.is_cut = False
        self.passed = {"up": 0, "down": 0}
        self.endpoint = f"http://127.0.0.1:{self._listener.getsockname()[1]}"
        threading.Thread(target=self._accept, daemon=True).start()

    def cut_after(self, way: str, size_bytes: int) -> None:
        """Cut the line when so many more bytes have gone `up` to the service or `down` from it."""
        with self._lock:
            self._left[way] = size_bytes

    def cut(self) -> None:
        """Cut it now; nothing connects any more."""
        with self._lock:
            self.is_cut = True
            with contextlib.suppress(OSError):
                self._listener.shutdown(socket.SHUT_RDWR)  # which wakes its thread, and refuses who comes
            self._listener.close()
            for each in self._open:
                with contextlib.suppress(OSError):
                    each.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))  # a reset
                    each.shutdown(socket.SHUT_RDWR)  # which wakes its threads
                each.close()

    def _accept(self) -> None:
        with contextlib.suppress(OSError):
            while True:
                client = self._listener.accept()[0]
                server = socket.create_connection(self._target)
                with self._lock:
                    self._open |= {client, server}
                if self.is_cut:
                    self.cut()
                    return
                for way, source, target in (("up", client, server), ("down", server, client)):
                    threading.Thread(target=self._pump, args=(way, source, target), daemon=True).start()

    def _pump(self, way: str, source: socket.socket, target: socket.socket) -> None:
        with contextlib.suppress(OSError):
            while piece := source.recv(_PIECE_BYTES):
                with self._lock:
                    left = self._left[way]
                    self.passed[way] += len(piece)
                    if left is not None:
                        self._left[way] = left - len(piece)
                if left is not None and left <= len(piece):
                    self.cut()
                    break
                target.sendall(piece)
        for each in (source, target):
            with contextlib.suppress(OSError):
                each.shutdown(socket.SHUT_RDWR)


@contextlib.contextmanager
def relay(target: str) -> Iterator[Relay]:
    """A line to `target`, cut at the end of the block."""
    made = Relay(target)
    try:
        yield made
    finally:
        made.cut()

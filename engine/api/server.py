"""The engine's unix socket: who may come in, who is there, and the end of all conversations.

Flows in: connections of the same user or of root, as the kernel vouches for them. Flows out: their calls, handed to
the engine. Nothing here waits for a door; a door that is gone is noticed by the loop. Engine loop only, but for the
constructor.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
import os
import socket
from collections.abc import Callable
from pathlib import Path

from engine.api.connection import Begin, Connection, Served
from engine.api.listener import Listener, peer_uid
from engine.base.errors import LimitReached, NotPermitted, WedSyncError
from engine.contract import wire
from engine.contract.status import Status
from engine.operations import dispatch
from engine.operations.context import Engine, user_name

DOORS_MAX = 64
LAST_WORDS_S = 1.0  # how long doors may take to read what was written to them before the engine is gone
RETRY_ACCEPT_S = 1.0  # after the process ran out of descriptors

_LOG = logging.getLogger(__name__)


class SocketServer:
    """The doors of other processes."""

    @classmethod
    def of(cls, engine: Engine, begin: Begin, document: Callable[[], Status]) -> SocketServer:
        """The doors of `engine`, which shows `document` and answers within what `begin` starts."""
        newest = 0, b""

        def status_frame() -> bytes:
            nonlocal newest
            shown = document()
            if newest[0] != shown.seq:
                newest = shown.seq, wire.frame(wire.NewStatus(document=wire.status_raw(shown)))
            return newest[1]

        def changed(doors: int) -> None:
            engine.attached = doors

        served = Served(
            answer=lambda operation, caller: dispatch.run(engine, operation, caller),
            begin=begin,
            events=engine.events.after,
            newest_event=lambda: engine.events.newest,
            status_frame=status_frame,
            status_seq=lambda: document().seq,
        )
        return cls(served, changed)

    def __init__(self, served: Served, changed: Callable[[int], None]) -> None:
        """`changed` is told how many doors are open, each time that changes. May block: it asks for users' names."""
        self._served = served
        self._changed = changed
        self._users = {uid: user_name(uid) for uid in (0, os.geteuid())}
        self._listener: Listener | None = None
        self._open: set[Connection] = set()
        self._held: list[Connection] = []  # told goodbye, and not hung up yet
        self._emptied = asyncio.Event()

    @property
    def doors(self) -> int:
        """How many are open."""
        return len(self._open)

    def listen(self, home: Path) -> str:
        """Let doors in from now on. The home's lock is held. What is wrong, where there can be no socket."""
        try:
            self._listener = Listener(home)
        except OSError as error:
            problem = f"no other console or command can use this engine: {error.strerror or error}"
            _LOG.warning(problem)
            return problem
        self._accept_more()
        return ""

    def push(self) -> None:
        """There is a new status document, or new events."""
        for connection in list(self._open):
            connection.push()

    def refuse(self) -> None:
        """Let nobody in any more: from now on there is no engine to be found here."""
        if self._listener is not None:
            asyncio.get_running_loop().remove_reader(self._listener.socket)
            self._listener.close()
            self._listener = None

    async def close(self) -> None:
        """Refuse, say goodbye to all who are there, and give them a moment to read it."""
        self.refuse()
        for connection in list(self._open):
            self._held.append(connection)
            connection.end(wire.Goodbye(), is_held=True)
        if self._open:
            self._emptied.clear()
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(LAST_WORDS_S):
                    await self._emptied.wait()
        for connection in list(self._open):
            connection.close()

    def abandon(self) -> None:
        """The loop is no more, for whatever reason: take the socket's name away. The home's lock is still held."""
        if self._listener is not None:
            self._listener.close()
            self._listener = None

    def hang_up(self) -> None:
        """The engine has let go of everything: let those who were told goodbye see the end."""
        for connection in (*self._held, *self._open):
            connection.hang_up()

    # --- coming and going ---

    def _accept_more(self) -> None:
        if self._listener is not None:
            asyncio.get_running_loop().add_reader(self._listener.socket, self._accept)

    def _accept(self) -> None:
        if self._listener is None:
            return
        loop = asyncio.get_running_loop()
        try:
            peer, _ = self._listener.socket.accept()
        except (BlockingIOError, ConnectionAbortedError):
            return
        except OSError as error:
            _LOG.warning("a door could not be opened: %s", error)
            loop.remove_reader(self._listener.socket)
            loop.call_later(RETRY_ACCEPT_S, self._accept_more)
            return
        peer.setblocking(False)
        try:
            user = self._admitted(peer)
        except WedSyncError as error:
            self._turn_away(peer, error)
        except OSError:
            peer.close()
        else:
            self._open.add(Connection(peer, user, self._served, self._ended))
            self._changed(self.doors)

    def _admitted(self, peer: socket.socket) -> str:
        """The name of the user who comes in. Raises NotPermitted, LimitReached, OSError."""
        uid = peer_uid(peer)
        if uid not in self._users:
            raise NotPermitted(
                f"this engine is of the user {self._users[os.geteuid()]}", "become that user, or use a home of your own"
            )
        if self.doors >= DOORS_MAX:
            raise LimitReached(f"{DOORS_MAX} consoles and commands are attached to this engine", "close one")
        return self._users[uid]

    def _turn_away(self, peer: socket.socket, error: WedSyncError) -> None:
        refused = wire.frame(wire.Refused(code=error.code, message=error.message, hint=error.hint))
        with contextlib.suppress(OSError):
            peer.send(refused)
        peer.close()

    def _ended(self, connection: Connection) -> None:
        self._open.discard(connection)
        self._changed(self.doors)
        if not self._open:
            self._emptied.set()

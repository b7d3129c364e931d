"""The other side of a conversation with the engine, as a test speaks it: frames written by hand."""

from __future__ import annotations

import asyncio
import socket
from collections.abc import Awaitable, Callable, Coroutine, Iterator
from contextlib import contextmanager
from typing import TypeVar

from engine.api.connection import Connection, Served
from engine.base.errors import WedSyncError
from engine.base.version import VERSION
from engine.contract import operations as ops
from engine.contract import wire
from engine.contract.events import Event, EventBatch
from engine.contract.operations import Operation, Result
from engine.operations.context import Caller
from tests import samples

Kind = TypeVar("Kind", bound=wire.Reply)
WAIT_S = 20.0  # what no answer of a test takes

HELLO = wire.Hello(protocol=wire.PROTOCOL, version=VERSION)


class Host:
    """An engine as a conversation sees it, in the hands of a test."""

    def __init__(self) -> None:
        self.seq = 1
        self.happened: list[Event] = []
        self.asked: list[tuple[Operation, Caller]] = []
        self.answer: Callable[[Operation, Caller], Awaitable[Result]] = self._empty
        self.tasks: set[asyncio.Task[None]] = set()
        self.ended: list[Connection] = []

    @property
    def served(self) -> Served:
        """As a connection takes it."""
        return Served(
            answer=self._answer,
            begin=self._begin,
            events=lambda seq: EventBatch(events=tuple(self.happened[seq:]), dropped=0),
            newest_event=lambda: len(self.happened),
            status_frame=lambda: wire.frame(wire.NewStatus(document=wire.status_raw(samples.status(seq=self.seq)))),
            status_seq=lambda: self.seq,
        )

    def happen(self, message: str) -> None:
        """Something happened."""
        self.happened.append(Event(seq=len(self.happened) + 1, time_ns=0, kind="wedding-changed", message=message))

    async def _answer(self, operation: Operation, caller: Caller) -> Result:
        self.asked.append((operation, caller))
        return await self.answer(operation, caller)

    async def _empty(self, operation: Operation, caller: Caller) -> Result:
        return ops.Empty()

    def _begin(self, answering: Coroutine[None, None, None]) -> asyncio.Task[None]:
        task = asyncio.get_running_loop().create_task(answering)
        self.tasks.add(task)
        task.add_done_callback(self.tasks.discard)
        return task


class Peer:
    """A door, by hand."""

    def __init__(self, own: socket.socket) -> None:
        own.setblocking(False)
        self.own = own
        self._frames = wire.Frames(wire.ANSWER_BYTES_MAX)
        self._heard: list[wire.Reply] = []

    async def say(self, *requests: wire.Request) -> None:
        """Send."""
        for request in requests:
            await self.send(wire.frame(request))

    async def send(self, data: bytes) -> None:
        """Send bytes."""
        await asyncio.wait_for(asyncio.get_running_loop().sock_sendall(self.own, data), WAIT_S)

    async def call(self, call_id: int, operation: Operation, name: str) -> None:
        """Ask for an operation."""
        await self.say(wire.Call(id=call_id, operation=name, arguments=wire.arguments_raw(operation)))

    async def hear(self, kind: type[Kind]) -> Kind:
        """The next message of this kind; what came before it is skipped. Fails at the end of the stream."""
        while True:
            while self._heard:
                heard = self._heard.pop(0)
                if isinstance(heard, kind):
                    return heard
            assert await self._more(), f"the stream ended before {kind.__name__} came"

    async def rest(self) -> list[wire.Reply]:
        """All that comes until the end of the stream."""
        while await self._more():
            pass
        heard, self._heard = self._heard, []
        return heard

    async def _more(self) -> bool:
        loop = asyncio.get_running_loop()
        try:
            data = await asyncio.wait_for(loop.sock_recv(self.own, 1 << 20), WAIT_S)
        except ConnectionResetError:
            return False
        self._heard += [wire.reply_from(frame) for frame in self._frames.feed(data)]
        return bool(data)


@contextmanager
def conversation(host: Host) -> Iterator[tuple[Peer, Connection]]:
    """Both sides of a new conversation with `host`. On the loop; closed at the end."""
    own, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_STREAM)
    theirs.setblocking(False)
    connection = Connection(theirs, "ann", host.served, host.ended.append)
    try:
        yield Peer(own), connection
    finally:
        connection.close()
        connection.hang_up()
        own.close()


async def until(holds: Callable[[], bool]) -> None:
    """Let the loop turn until something holds."""
    for _ in range(100_000):
        if holds():
            return
        await asyncio.sleep(0)
    raise AssertionError("it did not come true")


async def refused(peer: Peer) -> WedSyncError:
    """Why the engine closes."""
    return wire.error_from(await peer.hear(wire.Refused))

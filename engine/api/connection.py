"""One door's conversation with the engine over the unix socket (docs/attach.md). Engine loop only.

Flows in: requests, with descriptors beside them. Flows out: answers in the order they are ready, and between them the
newest status document and the events, looked up at the moment there is room for them. So a reader that stalls costs
the engine one document and the answers it asked for, both bounded, and never a wait.
"""

from __future__ import annotations

import asyncio
import logging
import os
import socket
import struct
from collections import deque
from collections.abc import Awaitable, Callable, Coroutine

import msgspec

from engine.base.errors import Conflict, LimitReached, Unavailable, UsageError, WedSyncError
from engine.base.version import VERSION
from engine.contract import wire
from engine.contract.catalog import BY_NAME, Role
from engine.contract.events import EventBatch
from engine.contract.operations import Operation, Result
from engine.contract.paths import check_absolute
from engine.operations.context import Caller
from engine.operations.descriptors import CallerStreams, Descriptor

READ_BYTES = 256 * 1024
WRITE_BYTES_PER_TURN = 1024 * 1024  # then the loop looks after others
UNREAD_PAUSE_BYTES = 1024 * 1024  # a door that leaves so many bytes of answers unread is not listened to meanwhile
UNREAD_BYTES_MAX = 2 * wire.ANSWER_BYTES_MAX  # one that leaves so many is let go
DESCRIPTORS_MAX = 8  # received and not yet used by a call
_ANCILLARY_BYTES = socket.CMSG_SPACE(DESCRIPTORS_MAX * struct.calcsize("i"))

_LOG = logging.getLogger(__name__)


Begin = Callable[[Coroutine[None, None, None]], asyncio.Task[None]]


class Served(msgspec.Struct, frozen=True):
    """What a conversation is about: the engine, as far as a door may reach. Engine loop only."""

    answer: Callable[[Operation, Caller], Awaitable[Result]]  # raises WedSyncError only
    begin: Begin  # with the engine's own calls
    events: Callable[[int], EventBatch]
    newest_event: Callable[[], int]
    status_frame: Callable[[], bytes]  # of the newest document
    status_seq: Callable[[], int]


class _Call(msgspec.Struct, frozen=True):
    task: asyncio.Task[None]
    only_reads: bool
    streams: bool


class Connection:
    """One door, from its hello to its end."""

    def __init__(self, peer: socket.socket, user: str, served: Served, ended: Callable[[Connection], None]) -> None:
        """`peer` does not block. `ended` is told once, when the door has gone."""
        self._peer = peer
        self._user = user
        self._served = served
        self._on_end = ended
        self._loop = asyncio.get_running_loop()
        self._frames = wire.Frames(wire.REQUEST_BYTES_MAX)
        self._descriptors: deque[Descriptor] = deque()
        self._calls: dict[int, _Call] = {}
        self._answers: deque[bytes] = deque()
        self._unread_bytes = 0
        self._part = memoryview(b"")  # of the frame that is being written
        self._event_seq = 0
        self._status_seq = 0
        self._is_reading = self._is_waiting_for_room = False
        self._is_greeted = self._is_welcomed = self._is_ending = self._is_held = False
        self.is_open = True
        self._listen(True)

    # --- from the engine ---

    def push(self) -> None:
        """There may be something new: write it, if there is room."""
        if self._is_greeted and not self._is_waiting_for_room:
            self._write()

    def end(self, last: wire.Reply, *, is_held: bool = False) -> None:
        """Say one last thing, then close; or, held, stay silent until `hang_up`."""
        if self.is_open and not self._is_ending:
            self._listen(False)
            self._append(last)
            self._is_held = is_held
            self._is_greeted = self._is_ending = True
            self.push()

    def close(self) -> None:
        """Close now. Jobs go on; what only reads is given up."""
        if self.is_open:
            self._leave()
            self.hang_up()

    def hang_up(self) -> None:
        """Let the other side see the end. Needs no loop."""
        self._peer.close()

    def _leave(self) -> None:
        """Say and hear nothing more."""
        self.is_open = False
        self._listen(False)
        self._wait_for_room(False)
        for descriptor in self._descriptors:
            descriptor.close()
        for call in list(self._calls.values()):
            if call.only_reads or call.streams:
                call.task.cancel()
        self._answers.clear()
        self._on_end(self)

    # --- reading ---

    def _listen(self, wanted: bool) -> None:
        if wanted != self._is_reading:
            self._is_reading = wanted
            if wanted:
                self._loop.add_reader(self._peer, self._readable)
            else:
                self._loop.remove_reader(self._peer)

    def _readable(self) -> None:
        try:
            data, ancillary, flags, _ = self._peer.recvmsg(READ_BYTES, _ANCILLARY_BYTES, socket.MSG_CMSG_CLOEXEC)
        except BlockingIOError:
            return
        except OSError:
            self.close()
            return
        self._take_descriptors(ancillary)
        if not data:
            self.close()
            return
        try:
            if flags & socket.MSG_CTRUNC or len(self._descriptors) > DESCRIPTORS_MAX:
                raise wire.WireError("more descriptors than calls can use")
            for frame in self._frames.feed(data):
                if self._is_reading:
                    self._take(wire.request_from(frame))
        except wire.WireError as error:
            self._refuse(UsageError(f"the engine does not understand this program: {error}"))

    def _take_descriptors(self, ancillary: list[tuple[int, int, bytes]]) -> None:
        for level, kind, data in ancillary:
            if (level, kind) == (socket.SOL_SOCKET, socket.SCM_RIGHTS):
                whole = len(data) - len(data) % struct.calcsize("i")
                self._descriptors.extend(Descriptor(fd) for (fd,) in struct.iter_unpack("i", data[:whole]))

    def _take(self, request: wire.Request) -> None:
        match request:
            case wire.Hello():
                self._greet(request)
            case _ if not self._is_greeted:
                raise wire.WireError("it does not begin with hello")
            case wire.Call():
                self._call(request)
            case wire.Cancel():
                call = self._calls.get(request.id)
                if call is not None:
                    call.task.cancel()

    def _greet(self, hello: wire.Hello) -> None:
        if hello.protocol != wire.PROTOCOL:
            self._refuse(
                Conflict(
                    f"the engine on this home is WedSync {VERSION} and speaks protocol {wire.PROTOCOL},"
                    f" this program is {hello.version} and speaks {hello.protocol}",
                    "use the same version of both, or stop that engine",
                )
            )
            return
        self._append(wire.Welcome(protocol=wire.PROTOCOL, version=VERSION, pid=os.getpid()))
        self._is_greeted = True
        self.push()

    def _refuse(self, error: WedSyncError) -> None:
        self.end(wire.Refused(code=error.code, message=error.message, hint=error.hint))

    # --- calls ---

    def _call(self, call: wire.Call) -> None:
        if call.id in self._calls:
            raise wire.WireError(f"call {call.id} is under way already")
        streams = self._streams_of(call)
        try:
            if len(self._calls) >= wire.CALLS_MAX:
                raise LimitReached(f"{wire.CALLS_MAX} calls are under way", "wait for one to end")
            operation = wire.operation_from(call)
            check_absolute(operation)
        except WedSyncError as error:
            streams.close()
            self._send(wire.failure_of(call.id, error))
            return
        caller = Caller(name=self._user, streams=streams)
        task = self._served.begin(self._answer(call.id, operation, caller))
        only_reads = BY_NAME[call.operation].role is Role.VIEWER
        self._calls[call.id] = _Call(task, only_reads, bool(call.descriptors))
        task.add_done_callback(lambda _: self._calls.pop(call.id, None))

    def _streams_of(self, call: wire.Call) -> CallerStreams:
        if call.descriptors not in (0, wire.DESCRIPTORS_PER_CALL):
            raise wire.WireError("a call brings standard input and output, or nothing")
        if call.descriptors > len(self._descriptors):
            raise wire.WireError("descriptors were announced and did not come")
        return CallerStreams(*[self._descriptors.popleft() for _ in range(call.descriptors)])

    async def _answer(self, call_id: int, operation: Operation, caller: Caller) -> None:
        reply: wire.Reply
        try:
            reply = wire.answer_to(call_id, await self._served.answer(operation, caller))
        except WedSyncError as error:
            reply = wire.failure_of(call_id, error)
        except asyncio.CancelledError:
            self._send(wire.failure_of(call_id, Unavailable("the engine has stopped", "start it again")))
            raise
        finally:
            caller.streams.close()
        self._send(reply)

    # --- writing ---

    def _send(self, reply: wire.Reply) -> None:
        if self.is_open and not self._is_ending:
            self._append(reply)
            if self._unread_bytes > UNREAD_BYTES_MAX:
                _LOG.warning("a door that reads no answers is let go", extra={"user": self._user})
                self.close()
                return
            self._listen(self._unread_bytes <= UNREAD_PAUSE_BYTES)
            self.push()

    def _append(self, reply: wire.Reply) -> None:
        try:
            frame = wire.frame(reply)
        except wire.WireError as error:
            if not isinstance(reply, wire.Answer):
                raise
            too_long = LimitReached(f"the answer cannot be carried: {error}", "ask for less, as with --limit")
            frame = wire.frame(wire.failure_of(reply.id, too_long))
        self._answers.append(frame)
        self._unread_bytes += len(frame)

    def _write(self) -> None:
        left = WRITE_BYTES_PER_TURN
        while left > 0:
            if not self._part:
                self._part = memoryview(self._next_frame())
                if not self._part:
                    self._written()
                    return
            try:
                count = self._peer.send(self._part)
            except BlockingIOError:
                break
            except OSError:
                self.close()
                return
            self._part = self._part[count:]
            left -= count
        self._wait_for_room(True)

    def _next_frame(self) -> bytes:
        """What goes next: all that happened before an answer goes before it."""
        news = self._is_welcomed and not self._is_ending
        if news and self._served.newest_event() > self._event_seq:
            batch = self._served.events(self._event_seq)
            self._event_seq = batch.events[-1].seq
            return wire.frame(wire.NewEvents(events=batch.events, dropped=batch.dropped))
        if news and self._served.status_seq() > self._status_seq:
            self._status_seq = self._served.status_seq()
            return self._served.status_frame()
        if not self._answers:
            return b""
        self._is_welcomed = True  # the welcome is the first of the answers
        frame = self._answers.popleft()
        self._unread_bytes -= len(frame)
        return frame

    def _written(self) -> None:
        """Everything is written."""
        self._wait_for_room(False)
        if self._is_held:
            self._leave()
        elif self._is_ending:
            self.close()
        else:
            self._listen(True)

    def _wait_for_room(self, wanted: bool) -> None:
        if wanted != self._is_waiting_for_room:
            self._is_waiting_for_room = wanted
            if wanted:
                self._loop.add_writer(self._peer, self._write)
            else:
                self._loop.remove_writer(self._peer)

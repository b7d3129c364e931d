"""`RemoteEngine`: the engine of another process on this home, reached through its unix socket (docs/attach.md).

Flows in: operations, from any thread. Flows out: answers as futures, and what the engine pushes: the newest status
document and the last events, kept here so that `status` and `events` never ask and never wait. A thread of its own
reads and writes. When the connection is lost, whoever waits is told and the status is `stopped`; coming back is the
door's business.
"""

from __future__ import annotations

import contextlib
import os
import selectors
import socket
import threading
from collections import deque
from concurrent.futures import Future, InvalidStateError
from pathlib import Path

import msgspec

from engine.base.addresses import address_of
from engine.base.errors import LimitReached, NotPermitted, Unavailable, UsageError, WedSyncError
from engine.base.version import VERSION
from engine.contract import wire
from engine.contract.catalog import BY_ARGUMENTS
from engine.contract.events import Event, EventBatch
from engine.contract.operations import Operation, Result
from engine.contract.paths import uses_streams, with_absolute_paths
from engine.contract.settings import EVENTS_KEPT
from engine.contract.status import Status

ANSWER_HELLO_S = 10.0  # how long an engine may take to answer a new door
READ_BYTES = 1024 * 1024


class _Outgoing(msgspec.Struct):
    """A frame on its way out, and the descriptors that go with its first byte."""

    left: memoryview
    descriptors: list[int] = []

    def drop(self) -> None:
        """Close what was to be sent along: sent or not, it is ours no more."""
        while self.descriptors:
            os.close(self.descriptors.pop())


class RemoteEngine:
    """An `EngineHandle` whose engine lives in another process. Any thread."""

    def __init__(self, peer: socket.socket, conversation: _Conversation) -> None:
        """See `attach`."""
        self._peer = peer
        self._talk = conversation
        self._closed: Future[None] = Future()
        self._closed.set_running_or_notify_cancel()

    @classmethod
    def attach(cls, home: Path) -> RemoteEngine | None:
        """The engine that runs on `home`; None when there is none to be found. Blocks while it answers.

        Raises NotPermitted when it is another user's, Conflict when it speaks another protocol, LimitReached when too
        many are attached, Unavailable when it does not answer.
        """
        wire.result_decoders()
        peer = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM | socket.SOCK_CLOEXEC)
        try:
            peer.settimeout(ANSWER_HELLO_S)
            conversation = _welcomed(peer, home)
            if conversation is None:
                peer.close()
                return None
            peer.setblocking(False)
            engine = cls(peer, conversation)
            threading.Thread(target=engine._run, name="wedsync-remote", daemon=True).start()
        except BaseException:
            peer.close()
            raise
        return engine

    @property
    def went_away(self) -> bool:
        """Whether the connection ended without a goodbye, as when the engine's process was killed."""
        return self._talk.was_lost

    def status(self) -> Status:
        """See `EngineHandle.status`."""
        return self._talk.document

    def call(self, operation: Operation) -> Future[Result]:
        """See `EngineHandle.call`. A job goes on when its caller is gone, but for one that reads from the caller."""
        future: Future[Result] = Future()
        try:
            spec = BY_ARGUMENTS.get(type(operation))
            if spec is None:
                raise UsageError(f"there is no operation for {type(operation).__name__}")
            whole = with_absolute_paths(operation)
            arguments = wire.arguments_raw(whole)
            self._talk.begin(future, spec.name, arguments, with_streams=uses_streams(whole))
        except WedSyncError as error:
            future.set_exception(error)
        return future

    def events(self, after_seq: int) -> EventBatch:
        """See `EngineHandle.events`."""
        return self._talk.events_after(after_seq)

    def close(self, *, drain_s: float) -> Future[None]:
        """See `EngineHandle.close`: this handle ends, the engine goes on."""
        self._talk.leave()
        return self._closed

    def leave(self, *, to_jobs: bool) -> Future[bool]:
        """See `EngineHandle.leave`."""
        self._talk.leave()
        goes_on: Future[bool] = Future()
        goes_on.set_result(False)
        return goes_on

    # --- the thread ---

    def _run(self) -> None:
        """Read and write until one side ends it."""
        talk = self._talk
        try:
            with selectors.DefaultSelector() as selector:
                selector.register(self._peer, selectors.EVENT_READ)
                selector.register(talk.wake_fd, selectors.EVENT_READ)
                while not talk.is_over:
                    wanted = selectors.EVENT_READ | (selectors.EVENT_WRITE if talk.outgoing else 0)
                    selector.modify(self._peer, wanted)
                    for key, ready in selector.select():
                        if key.fileobj is self._peer:
                            self._exchange(ready)
                        else:
                            os.eventfd_read(talk.wake_fd)
        except (OSError, wire.WireError):
            talk.end(None)
        except WedSyncError as error:
            talk.end(error)
        else:
            talk.end(None)
        finally:
            self._peer.close()
            self._closed.set_result(None)

    def _exchange(self, ready: int) -> None:
        if ready & selectors.EVENT_WRITE:
            self._write()
        if ready & selectors.EVENT_READ:
            data = self._peer.recv(READ_BYTES)
            if not data:
                raise ConnectionResetError
            self._talk.take(data)

    def _write(self) -> None:
        outgoing = self._talk.outgoing
        while outgoing:
            first = outgoing[0]
            try:
                if first.descriptors:
                    count = socket.send_fds(self._peer, [first.left], first.descriptors)
                    first.drop()
                else:
                    count = self._peer.send(first.left)
            except BlockingIOError:
                return
            first.left = first.left[count:]
            if not first.left:
                outgoing.popleft()


class _Conversation:
    """What was said so far: calls that wait, the newest document, the last events. One thread takes, any may ask."""

    def __init__(self) -> None:
        self.wake_fd = os.eventfd(0, os.EFD_CLOEXEC | os.EFD_NONBLOCK)
        self.outgoing: deque[_Outgoing] = deque()  # appended under the lock, taken by the thread
        self.document: Status
        self.is_welcome = self.has_status = False
        self.was_lost = False
        self._frames = wire.Frames(wire.ANSWER_BYTES_MAX)
        self._lock = threading.Lock()
        self._waiting: dict[int, Future[Result]] = {}  # under the lock
        self._events: deque[Event] = deque(maxlen=EVENTS_KEPT)  # under the lock
        self._last_id = 0  # under the lock
        self._is_left = False  # under the lock
        self._end: WedSyncError | None = None  # why there is no more to come; under the lock
        self._said_goodbye = False
        self._is_ended = False  # and its descriptors are closed; under the lock

    @property
    def is_over(self) -> bool:
        """Whether we have ended it. After the engine's goodbye comes the end of the stream, once it is all gone."""
        return self._is_left

    # --- any thread ---

    def begin(self, future: Future[Result], operation: str, arguments: msgspec.Raw, *, with_streams: bool) -> None:
        """Send a call; `future` gets what comes of it. Raises Unavailable, LimitReached."""
        with self._lock:
            if self._end is not None:
                raise type(self._end)(self._end.message, self._end.hint)
            if len(self._waiting) >= wire.CALLS_MAX:
                raise LimitReached(f"{wire.CALLS_MAX} calls are under way", "wait for one to end")
            self._last_id += 1
            call_id = self._last_id
            descriptors = _own_streams() if with_streams else []
            call = wire.Call(id=call_id, operation=operation, arguments=arguments, descriptors=len(descriptors))
            try:
                frame = wire.frame(call)
            except wire.WireError as error:
                raise LimitReached(f"the command is too long: {error}", "ask for less at once") from None
            self._waiting[call_id] = future
            self.outgoing.append(_Outgoing(memoryview(frame), descriptors))
            self._wake()
        future.add_done_callback(lambda done: self._given_up(call_id) if done.cancelled() else None)

    def _given_up(self, call_id: int) -> None:
        with self._lock:
            if self._waiting.pop(call_id, None) is not None and self._end is None:
                self.outgoing.append(_Outgoing(memoryview(wire.frame(wire.Cancel(id=call_id)))))
                self._wake()

    def events_after(self, seq: int) -> EventBatch:
        """See `EngineHandle.events`. Events the engine dropped on the way here count, too."""
        with self._lock:
            kept = tuple(event for event in self._events if event.seq > seq)
            newest = self._events[-1].seq if self._events else 0
        return EventBatch(events=kept, dropped=max(0, newest - max(0, seq) - len(kept)))

    def leave(self) -> None:
        """End it from this side."""
        with self._lock:
            self._is_left = True
            if not self._is_ended:
                self._wake()

    def _wake(self) -> None:
        """Have the thread look. The lock is held, and the end has not come."""
        os.eventfd_write(self.wake_fd, 1)

    # --- its thread ---

    def take(self, data: bytes) -> None:
        """Bytes of the engine. Raises WireError, and what the engine refuses with."""
        for frame in self._frames.feed(data):
            self._take(wire.reply_from(frame))

    def _take(self, reply: wire.Reply) -> None:
        match reply:
            case wire.NewStatus():
                self.document = wire.status_from(reply)
                self.has_status = True
            case wire.NewEvents():
                with self._lock:
                    self._events.extend(reply.events)
            case wire.Answer():
                self._answer(reply.id, _result_of(reply))
            case wire.Failure():
                self._answer(reply.id, wire.error_from(reply))
            case wire.Welcome():
                self.is_welcome = True
            case wire.Goodbye():
                self._stopped()
            case wire.Refused():
                raise wire.error_from(reply)

    def _answer(self, call_id: int, answer: Result | WedSyncError) -> None:
        with self._lock:
            future = self._waiting.pop(call_id, None)
        if future is not None:
            _give(future, answer)

    def _stopped(self) -> None:
        """Whoever waits learns at once; the engine is gone when the stream ends."""
        with self._lock:
            self._end = Unavailable("the engine has stopped", "start it again")
            self._said_goodbye = True
        self._tell_all(self._end)

    def _tell_all(self, why: WedSyncError) -> None:
        with self._lock:
            left = list(self._waiting.values())
            self._waiting.clear()
        for future in left:
            _give(future, why)

    def discard(self) -> None:
        """It did not come to a conversation."""
        os.close(self.wake_fd)

    def end(self, refusal: WedSyncError | None) -> None:
        """Nothing more comes, perhaps because the engine refused to go on: tell who waits, and show it."""
        with self._lock:
            if self._is_left:
                why = refusal or Unavailable("this handle was closed", "attach to the engine again")
            else:
                self.was_lost = not self._said_goodbye and refusal is None
                lost = Unavailable("the engine went away", "start it again; what is checkpointed is kept")
                why = refusal or self._end or lost
            self._end, self._is_ended = why, True
            for one in self.outgoing:
                one.drop()
            self.outgoing.clear()
            os.close(self.wake_fd)
        self.document = msgspec.structs.replace(self.document, seq=self.document.seq + 1, status="stopped")
        self._tell_all(why)


def _welcomed(peer: socket.socket, home: Path) -> _Conversation | None:
    """Say hello and wait for the welcome and the first status document."""
    try:
        with address_of(home / wire.SOCKET_NAME) as address:
            peer.connect(address)
    except (FileNotFoundError, NotADirectoryError, ConnectionRefusedError):
        return None
    except PermissionError:
        raise NotPermitted(
            f"the engine of {home} belongs to another user", "become that user, or use a home of your own"
        ) from None
    except TimeoutError:
        raise _silent(home) from None
    conversation = _Conversation()
    is_under_way = False
    try:
        peer.sendall(wire.frame(wire.Hello(protocol=wire.PROTOCOL, version=VERSION)))
        while not (conversation.is_welcome and conversation.has_status):
            data = peer.recv(READ_BYTES)
            if not data or conversation.is_over:
                raise ConnectionResetError
            conversation.take(data)
        is_under_way = True
    except TimeoutError:
        raise _silent(home) from None
    except ConnectionError:
        return None  # it was about to end
    except wire.WireError as error:
        raise Unavailable(f"the engine of {home} is not understood: {error}", "use the same version of both") from None
    finally:
        if not is_under_way:
            conversation.discard()
    return conversation


def _silent(home: Path) -> Unavailable:
    return Unavailable(f"the engine of {home} does not answer", "try again, or stop its process")


def _own_streams() -> list[int]:
    """Duplicates of this process's standard input and output. Raises Unavailable where they are closed."""
    made: list[int] = []
    try:
        made.append(os.dup(0))
        made.append(os.dup(1))
    except OSError as error:
        for descriptor in made:
            os.close(descriptor)
        raise Unavailable(f"standard input and output cannot be used: {error.strerror}", "name a file") from None
    return made


def _result_of(answer: wire.Answer) -> Result | WedSyncError:
    try:
        return wire.result_from(answer)
    except wire.WireError as error:
        return WedSyncError(f"the engine's answer is not understood: {error}", "use the same version of both")


def _give(future: Future[Result], answer: Result | WedSyncError) -> None:
    """Give the answer, unless the caller has given up waiting."""
    with contextlib.suppress(InvalidStateError):
        if isinstance(answer, WedSyncError):
            future.set_exception(answer)
        else:
            future.set_result(answer)

"""One conversation: greeting, calls, pushes, descriptors, bad manners, and readers that stall."""

from __future__ import annotations

import asyncio
import os
import socket
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import pytest

from engine.api import connection as module
from engine.api.connection import Connection
from engine.base.errors import Conflict, LimitReached, NotFound, UsageError
from engine.contract import operations as ops
from engine.contract import wire
from engine.contract.operations import Operation, Result
from engine.operations.context import Caller
from tests.engine.api.peers import HELLO, Host, Peer, conversation, refused, until


@pytest.fixture
def host() -> Host:
    return Host()


@asynccontextmanager
async def greeted(host: Host) -> AsyncIterator[tuple[Peer, Connection]]:
    """A conversation after its first words; closed at the end."""
    with conversation(host) as (peer, connection):
        await peer.say(HELLO)
        await peer.hear(wire.NewStatus)
        yield peer, connection


async def never(operation: Operation, caller: Caller) -> Result:
    """An operation that does not end by itself."""
    await asyncio.Event().wait()
    raise AssertionError


def listing(count: int) -> ops.SnapshotList:
    """An answer of a certain weight."""
    return ops.SnapshotList(wedding="x" * count, snapshots=())


async def test_a_welcome_comes_first_then_events_then_status(host: Host) -> None:
    host.happen("one")
    with conversation(host) as (peer, _):
        await peer.say(HELLO)
        welcome = await peer.hear(wire.Welcome)
        assert (welcome.protocol, welcome.pid) == (wire.PROTOCOL, os.getpid())
        assert [event.message for event in (await peer.hear(wire.NewEvents)).events] == ["one"]
        assert wire.status_from(await peer.hear(wire.NewStatus)).seq == 1


async def test_what_happened_before_an_answer_is_told_before_it(host: Host) -> None:
    async def answer(operation: Operation, caller: Caller) -> Result:
        host.happen("done")
        host.seq = 7
        return ops.Empty()

    host.answer = answer
    async with greeted(host) as (peer, _):
        await peer.call(5, ops.Shutdown(), "shutdown")
        assert (await peer.hear(wire.NewEvents)).events[0].message == "done"
        assert wire.status_from(await peer.hear(wire.NewStatus)).seq == 7
        answered = await peer.hear(wire.Answer)
        assert (answered.id, wire.result_from(answered)) == (5, ops.Empty())


async def test_answers_come_when_they_are_ready_not_in_the_order_of_the_calls(host: Host) -> None:
    first = asyncio.Event()

    async def answer(operation: Operation, caller: Caller) -> Result:
        if isinstance(operation, ops.ListJobs):
            await first.wait()
        return ops.Empty()

    host.answer = answer
    async with greeted(host) as (peer, _):
        await peer.call(1, ops.ListJobs(), "jobs")
        await peer.call(2, ops.ListKeys(), "keys")
        assert (await peer.hear(wire.Answer)).id == 2
        first.set()
        assert (await peer.hear(wire.Answer)).id == 1


async def test_an_error_comes_with_its_code(host: Host) -> None:
    async def answer(operation: Operation, caller: Caller) -> Result:
        raise NotFound("caf\udce9 is not there", "look elsewhere")

    host.answer = answer
    async with greeted(host) as (peer, _):
        await peer.call(1, ops.ListJobs(), "jobs")
        error = wire.error_from(await peer.hear(wire.Failure))
        assert (type(error), error.message, error.hint) == (NotFound, "caf\udce9 is not there", "look elsewhere")


async def test_the_caller_has_the_name_of_its_user(host: Host) -> None:
    async with greeted(host) as (peer, _):
        await peer.call(1, ops.ListJobs(), "jobs")
        await peer.hear(wire.Answer)
        assert host.asked[0][1].name == "ann"


async def test_descriptors_come_with_their_call_and_go_with_it(host: Host) -> None:
    async def answer(operation: Operation, caller: Caller) -> Result:
        given = caller.streams.input()
        with os.fdopen(given.take(), "rb") as stream:
            return ops.SnapshotList(wedding=stream.read().decode(), snapshots=())

    host.answer = answer
    reading, writing = os.pipe()
    os.write(writing, b"the speech")
    os.close(writing)
    operation = ops.StoreWeddingData(wedding="a", name="b")
    call = wire.Call(id=1, operation="store_wedding_data", arguments=wire.arguments_raw(operation), descriptors=2)
    async with greeted(host) as (peer, _):
        before = len(os.listdir("/proc/self/fd"))
        frame = wire.frame(call)
        socket.send_fds(peer.own, [frame[:10]], [reading, reading])
        await peer.send(frame[10:])
        answered = wire.result_from(await peer.hear(wire.Answer))
        assert isinstance(answered, ops.SnapshotList)
        assert answered.wedding == "the speech"
        assert len(os.listdir("/proc/self/fd")) == before
    os.close(reading)


async def test_a_call_without_descriptors_never_gets_the_engines_own(host: Host) -> None:
    async def answer(operation: Operation, caller: Caller) -> Result:
        caller.streams.input()
        raise AssertionError

    host.answer = answer
    async with greeted(host) as (peer, _):
        await peer.call(1, ops.StoreWeddingData(wedding="a", name="b"), "store_wedding_data")
        assert isinstance(wire.error_from(await peer.hear(wire.Failure)), NotFound)


@pytest.mark.parametrize(
    "operation", [ops.StartBackup(wedding="a", sources=("photos",)), ops.AddKey(passphrase_file="~/key")]
)
async def test_a_path_that_is_not_absolute_is_refused(host: Host, operation: Operation) -> None:
    async with greeted(host) as (peer, _):
        name = "start_backup" if isinstance(operation, ops.StartBackup) else "key_add"
        await peer.call(1, operation, name)
        error = wire.error_from(await peer.hear(wire.Failure))
        assert isinstance(error, UsageError)
        assert "absolute" in error.message
        assert host.asked == []


async def test_unknown_operations_and_wrong_arguments_are_usage_errors(host: Host) -> None:
    async with greeted(host) as (peer, _):
        await peer.call(1, ops.ListJobs(), "no_such")
        assert isinstance(wire.error_from(await peer.hear(wire.Failure)), UsageError)
        await peer.call(2, ops.AddKey(label="x"), "jobs")
        assert isinstance(wire.error_from(await peer.hear(wire.Failure)), UsageError)
        await peer.call(3, ops.ListJobs(), "jobs")
        assert (await peer.hear(wire.Answer)).id == 3


async def test_cancelling_ends_the_wait_and_nothing_else(host: Host) -> None:
    host.answer = never
    async with greeted(host) as (peer, _):
        await peer.call(1, ops.StartBackup(wedding="a", sources=("/x",), wait=True), "start_backup")
        await peer.say(wire.Cancel(id=1), wire.Cancel(id=99))
        assert (await peer.hear(wire.Failure)).id == 1
        assert not host.tasks


async def test_too_many_calls_are_refused_one_by_one(host: Host, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(wire, "CALLS_MAX", 3)
    host.answer = never
    async with greeted(host) as (peer, _):
        for number in range(4):
            await peer.call(number, ops.ListJobs(), "jobs")
        failure = await peer.hear(wire.Failure)
        assert (failure.id, failure.code) == (3, LimitReached.code)


# --- going --------------------------------------------------------------------------------------------


async def test_a_door_that_vanishes_leaves_what_changes_something_and_ends_what_reads(host: Host) -> None:
    host.answer = never
    async with greeted(host) as (peer, connection):
        await peer.call(1, ops.StartBackup(wedding="a", sources=("/x",), wait=True), "start_backup")
        await peer.call(2, ops.WaitForJobs(), "wait")
        await until(lambda: len(host.asked) == 2)
        peer.own.close()
        await until(lambda: len(host.tasks) == 1)
        assert host.ended == [connection]
        (left,) = host.tasks
        assert not left.cancelling()
        left.cancel()


async def test_a_goodbye_comes_after_the_answers(host: Host) -> None:
    async with greeted(host) as (peer, connection):
        await peer.call(1, ops.ListJobs(), "jobs")
        await peer.hear(wire.Answer)
        connection.end(wire.Goodbye())
        assert await peer.rest() == [wire.Goodbye()]
        assert not connection.is_open


async def test_a_held_end_shows_only_when_it_is_hung_up(host: Host) -> None:
    async with greeted(host) as (peer, connection):
        connection.end(wire.Goodbye(), is_held=True)
        await peer.hear(wire.Goodbye)
        assert host.ended == [connection]
        with pytest.raises(BlockingIOError):
            peer.own.recv(1)
        connection.hang_up()
        assert await peer.rest() == []


# --- bad manners --------------------------------------------------------------------------------------


async def test_another_protocol_is_one_clear_line(host: Host) -> None:
    with conversation(host) as (peer, connection):
        await peer.say(wire.Hello(protocol=wire.PROTOCOL + 1, version="9.9.9"))
        error = await refused(peer)
        assert isinstance(error, Conflict)
        assert "this program is 9.9.9 and speaks 2; use the same version of both" in error.line()
        assert await peer.rest() == []
        assert host.ended == [connection]


@pytest.mark.parametrize(
    "data",
    [
        b"GET / HTTP/1.1\r\n\r\n",  # a length of 1.2 GB
        (wire.REQUEST_BYTES_MAX + 1).to_bytes(4, "big"),
        b"\0\0\0\1\xc1",
        b"\0\0\0\0",
        b"\0\0\0\x06\x81\xa4type\xa1",
        wire.frame(wire.Cancel(id=1)),  # before hello
    ],
)
async def test_what_is_not_the_protocol_ends_the_conversation(host: Host, data: bytes) -> None:
    with conversation(host) as (peer, connection):
        await peer.send(data)
        assert isinstance(await refused(peer), UsageError)
        assert await peer.rest() == []
        assert host.ended == [connection]


async def test_descriptors_that_were_announced_and_did_not_come_end_it(host: Host) -> None:
    async with greeted(host) as (peer, _):
        arguments = wire.arguments_raw(ops.StoreWeddingData(wedding="a", name="b"))
        await peer.say(wire.Call(id=1, operation="store_wedding_data", arguments=arguments, descriptors=2))
        assert "did not come" in (await refused(peer)).message


async def test_descriptors_that_nobody_asked_for_are_closed_and_end_it(host: Host) -> None:
    before = len(os.listdir("/proc/self/fd"))
    async with greeted(host) as (peer, _):
        some = [peer.own.fileno()] * (module.DESCRIPTORS_MAX + 1)
        socket.send_fds(peer.own, [b"\0"], some)
        assert isinstance(await refused(peer), UsageError)
        await peer.rest()
    assert len(os.listdir("/proc/self/fd")) == before


# --- readers that stall -------------------------------------------------------------------------------


async def test_a_stalled_reader_costs_one_document_however_long_it_stalls(host: Host) -> None:
    async with greeted(host) as (peer, connection):
        for seq in range(2, 2_000):
            host.seq = seq
            connection.push()
        assert connection._unread_bytes == 0
        assert not connection._answers
        heard: list[int] = []
        while not heard or heard[-1] < 1_999:
            heard.append(wire.status_from(await peer.hear(wire.NewStatus)).seq)
        assert len(heard) < 1_000  # what the socket took, and the newest
        assert heard == sorted(heard)


async def test_a_door_with_much_unread_is_not_listened_to_meanwhile(
    host: Host, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(module, "UNREAD_PAUSE_BYTES", 1 << 20)

    async def answer(operation: Operation, caller: Caller) -> Result:
        return listing(1 << 20)

    host.answer = answer
    async with greeted(host) as (peer, _):
        for number in range(1, 31):
            await peer.call(number, ops.ListJobs(), "jobs")
            for _turn in range(5):
                await asyncio.sleep(0)
        assert len(host.asked) < 10
        heard = [(await peer.hear(wire.Answer)).id for _ in range(30)]
        assert sorted(heard) == list(range(1, 31))


async def test_a_door_that_reads_no_answers_is_let_go(host: Host, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "UNREAD_BYTES_MAX", 4 << 20)
    ready = asyncio.Event()

    async def answer(operation: Operation, caller: Caller) -> Result:
        await ready.wait()
        return listing(1 << 20)

    host.answer = answer
    async with greeted(host) as (peer, connection):
        for number in range(10):
            await peer.call(number, ops.ListJobs(), "jobs")
        await until(lambda: len(host.asked) == 10)
        ready.set()
        await until(lambda: not host.tasks)
        assert not connection.is_open


async def test_an_answer_that_is_too_long_is_told_and_not_sent(host: Host, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(wire, "ANSWER_BYTES_MAX", 200_000)

    async def answer(operation: Operation, caller: Caller) -> Result:
        return listing(300_000)

    host.answer = answer
    async with greeted(host) as (peer, _):
        await peer.call(1, ops.ListJobs(), "jobs")
        error = wire.error_from(await peer.hear(wire.Failure))
        assert isinstance(error, LimitReached)
        assert "--limit" in error.hint

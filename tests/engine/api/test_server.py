"""Who may come in, who is there, and the end of all conversations."""

from __future__ import annotations

import asyncio
import os
import resource
import socket
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import pytest

from engine.api import server as module
from engine.api.server import SocketServer
from engine.base.addresses import address_of
from engine.base.errors import LimitReached, NotPermitted
from engine.contract import wire
from tests.engine.api.peers import HELLO, Host, Peer, refused, until


class Open:
    """A server that listens, and the doors a test opens."""

    def __init__(self, home: Path) -> None:
        self.host = Host()
        self.home = home
        self.counts: list[int] = []
        self.server = SocketServer(self.host.served, self.counts.append)
        self.doors: list[socket.socket] = []

    def door(self) -> Peer:
        """Another door."""
        own = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        self.doors.append(own)
        with address_of(self.home / wire.SOCKET_NAME) as address:
            own.connect(address)
        return Peer(own)


@asynccontextmanager
async def opened(home: Path) -> AsyncIterator[Open]:
    """A server, closed at the end."""
    made = Open(home)
    assert made.server.listen(home) == ""
    try:
        yield made
    finally:
        await made.server.close()
        made.server.hang_up()
        for door in made.doors:
            door.close()


async def test_doors_are_counted_as_they_come_and_go(tmp_path: Path) -> None:
    async with opened(tmp_path) as here:
        first, second = here.door(), here.door()
        for door in (first, second):
            await door.say(HELLO)
            await door.hear(wire.NewStatus)
        assert here.server.doors == 2
        first.own.close()
        await until(lambda: here.server.doors == 1)
        assert here.counts == [1, 2, 1]


async def test_news_go_to_all(tmp_path: Path) -> None:
    async with opened(tmp_path) as here:
        doors = [here.door() for _ in range(3)]
        for door in doors:
            await door.say(HELLO)
            await door.hear(wire.NewStatus)
        here.host.seq = 2
        here.server.push()
        assert [wire.status_from(await door.hear(wire.NewStatus)).seq for door in doors] == [2, 2, 2]


async def test_another_user_is_turned_away_by_name_of_the_owner(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(module, "peer_uid", lambda peer: 4_000_000)
    async with opened(tmp_path) as here:
        error = await refused(here.door())
        assert isinstance(error, NotPermitted)
        assert here.server.doors == 0


async def test_root_may_come_in_everywhere(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "peer_uid", lambda peer: 0)
    async with opened(tmp_path) as here:
        door = here.door()
        await door.say(HELLO)
        await door.hear(wire.Welcome)


async def test_there_is_a_most_and_the_next_is_told(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "DOORS_MAX", 2)
    async with opened(tmp_path) as here:
        for _ in range(2):
            door = here.door()
            await door.say(HELLO)
            await door.hear(wire.Welcome)
        assert isinstance(await refused(here.door()), LimitReached)


async def test_an_engine_out_of_descriptors_tries_again(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "RETRY_ACCEPT_S", 0.0)
    async with opened(tmp_path) as here:
        door = here.door()
        soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
        highest = max(int(name) for name in os.listdir("/proc/self/fd"))
        full = [os.dup(0) for _ in range(3)]
        resource.setrlimit(resource.RLIMIT_NOFILE, (min(full), hard))
        try:
            for _ in range(5):
                await asyncio.sleep(0)
            assert here.server.doors == 0
        finally:
            resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))
            for descriptor in full:
                os.close(descriptor)
        assert highest > 0
        await door.say(HELLO)
        await door.hear(wire.Welcome)


async def test_where_there_can_be_no_socket_the_engine_goes_on_and_says_so(tmp_path: Path) -> None:
    (tmp_path / wire.SOCKET_NAME).mkdir()
    server = SocketServer(Host().served, lambda doors: None)
    assert server.listen(tmp_path).startswith("no other console or command can use this engine")
    server.push()
    server.abandon()
    await server.close()


async def test_whoever_comes_after_the_end_finds_nothing(tmp_path: Path) -> None:
    async with opened(tmp_path) as here:
        inside = here.door()
        await inside.say(HELLO)
        await inside.hear(wire.NewStatus)
        here.server.refuse()
        with pytest.raises(FileNotFoundError):
            here.door()
        here.host.seq = 2
        here.server.push()
        await inside.hear(wire.NewStatus)  # who was in stays
        await here.server.close()
        await inside.hear(wire.Goodbye)


async def test_a_door_that_reads_nothing_does_not_hold_up_the_end(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(module, "LAST_WORDS_S", 0.01)
    async with opened(tmp_path) as here:
        stalled = here.door()
        await stalled.say(HELLO)
        await until(lambda: here.server.doors == 1)
        for seq in range(2, 2_000):
            here.host.seq = seq
            here.server.push()
        await here.server.close()
        assert here.server.doors == 0

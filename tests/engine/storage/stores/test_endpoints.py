"""Several ways to one bucket: shares by rate, and one that breaks in the middle of a pack gives way to the next."""

from __future__ import annotations

import contextlib
import itertools
import os
import signal
import socket
import time
from collections import Counter
from collections.abc import Iterator
from http.client import HTTPConnection
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
from obstore import exceptions
from obstore.store import MemoryStore, S3Store

from engine.base.clock import FakeClock
from engine.base.errors import IntegrityError, NotFound, Unavailable, UsageError
from engine.base.units import MIB
from engine.storage.stores import breaker, cloud
from engine.storage.stores.breaker import Breaker
from engine.storage.stores.buckets import open_bucket
from engine.storage.stores.cloud import CloudStore, _Reading
from engine.storage.stores.congestion import Congestion
from engine.storage.stores.endpoints import Endpoint, Endpoints
from tests import s3_servers
from tests.relays import Relay, relay
from tests.s3_servers import S3Server
from tests.suites.object_store import pattern, publish

if TYPE_CHECKING:
    from obstore import Bytes

_prefixes = (f"ways-{number}" for number in itertools.count())


class Ways:
    """Endpoints that answer as they are told, at rates they are told."""

    def __init__(self, *rates: float) -> None:
        self.clock = FakeClock()
        self.asked: Counter[str] = Counter()
        self.broken: set[str] = set()
        self._rates = {f"http://{number}": rate for number, rate in enumerate(rates)}
        self._names: dict[int, str] = {}
        ways = []
        for url in self._rates:
            client = MemoryStore()
            self._names[id(client)] = url
            nobody = Congestion("http://127.0.0.1:9", "system", self.clock)
            ways.append(Endpoint(url, client, Breaker(self.clock), nobody))  # type: ignore[arg-type]
        self.endpoints = Endpoints(ways, store_url="s3://weddings", clock=self.clock)

    def move(self, size_bytes: int = MIB) -> str:
        """Move so much; who did."""

        def ask(client: S3Store) -> str:
            url = self._names[id(client)]
            self.asked[url] += 1
            if url in self.broken:
                raise exceptions.GenericError("HTTP error: connection reset")
            self.clock.advance(size_bytes / self._rates[url])
            return url

        return self.endpoints.call("a", ask, size_bytes=size_bytes)


def test_endpoints_share_the_calls_by_their_measured_rates() -> None:
    ways = Ways(30e6, 10e6)
    served = Counter(ways.move() for _ in range(400))
    assert served["http://0"] == pytest.approx(300, abs=12)
    rates = [each.bytes_per_s for each in ways.endpoints.figures()]
    assert rates == [pytest.approx(30e6, rel=0.01), pytest.approx(10e6, rel=0.01)]


def test_a_slow_endpoint_is_still_asked_now_and_then_so_its_recovery_is_seen() -> None:
    ways = Ways(1e9, 1e3)
    for _ in range(100):
        ways.move()
    assert 3 <= ways.asked["http://1"] <= 8


def test_an_endpoint_that_fails_gives_way_rests_and_is_tried_again() -> None:
    ways = Ways(10e6, 10e6)
    ways.broken.add("http://0")
    assert {ways.move() for _ in range(40)} == {"http://1"}
    assert ways.asked["http://0"] == breaker.FAILURES
    figures = ways.endpoints.figures()
    assert (figures[0].failures, figures[0].is_resting, figures[1].is_resting) == (breaker.FAILURES, True, False)
    ways.broken.clear()
    ways.clock.advance(breaker.REST_S)
    assert {ways.move() for _ in range(4)} == {"http://0", "http://1"}


def test_when_no_endpoint_answers_the_store_is_unavailable() -> None:
    ways = Ways(1e6, 1e6, 1e6)
    ways.broken |= {"http://0", "http://1", "http://2"}
    with pytest.raises(Unavailable, match="connection reset"):
        ways.move()
    assert set(ways.asked.values()) == {1}


def test_what_the_service_refuses_is_asked_of_no_other_endpoint() -> None:
    ways = Ways(1e6, 1e6)
    asked: list[object] = []

    def ask(client: S3Store) -> None:
        asked.append(client)
        raise FileNotFoundError("no such key")

    with pytest.raises(NotFound):
        ways.endpoints.call("a", ask)
    assert len(asked) == 1


# --- a real service behind lines that break ---


@contextlib.contextmanager
def lines_to(
    weed: S3Server, count: int, monkeypatch: pytest.MonkeyPatch, *, options: str = ""
) -> Iterator[tuple[list[Relay], CloudStore]]:
    """A store that reaches one service over several lines."""
    for name, value in s3_servers.CREDENTIALS.items():
        monkeypatch.setenv(name, value)
    with contextlib.ExitStack() as stack:
        lines = [stack.enter_context(relay(weed.endpoint)) for _ in range(count)]
        ways = ",".join(line.endpoint for line in lines)
        store = open_bucket(
            f"s3://{s3_servers.BUCKET}/{next(_prefixes)}?endpoint={ways}{options}", FakeClock(time.time_ns())
        )
        stack.callback(store.close)
        yield lines, store


def test_a_read_that_breaks_in_the_middle_goes_on_elsewhere_from_where_it_stopped(
    weed: S3Server, monkeypatch: pytest.MonkeyPatch
) -> None:
    with lines_to(weed, 2, monkeypatch) as (lines, store):
        data = pattern(24 * MIB)
        store.put("packs/1", data)  # by the second line: the first one was asked at the start
        lines[0].cut_after("down", 10 * MIB)
        buffer = bytearray(len(data))
        store.read_into("packs/1", 0, memoryview(buffer))
        assert buffer == data
        assert (lines[0].is_cut, lines[1].is_cut) == (True, False)
        assert 14 * MIB < lines[1].passed["down"] < 18 * MIB
        assert [each.failures for each in store.endpoints()] == [1, 0]


def test_a_gateway_that_is_killed_in_the_middle_of_a_pack_gives_way_to_the_other(
    weed: S3Server, weed_folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name, value in s3_servers.CREDENTIALS.items():
        monkeypatch.setenv(name, value)
    with s3_servers.second_door(weed_folder, weed) as door:
        url = weed.url(next(_prefixes)).replace(weed.endpoint, f"{door.endpoint},{weed.endpoint}")
        store = open_bucket(url, FakeClock(time.time_ns()))
        data = pattern(48 * MIB)
        store.put("packs/1", data)  # by the second endpoint, as the first one was asked at the start
        take = _Reading._take

        def kill_and_take(reading: _Reading, part: Bytes | bytes) -> None:
            os.kill(door.process_id, signal.SIGKILL)  # it is ours until the block ends, also when dead
            take(reading, part)

        monkeypatch.setattr(_Reading, "_take", kill_and_take)
        buffer = bytearray(len(data))
        store.read_into("packs/1", 0, memoryview(buffer))
        assert buffer == data
        assert [each.failures for each in store.endpoints()] == [1, 0]
        store.close()


def test_an_upload_that_breaks_in_the_middle_arrives_by_another_line(
    weed: S3Server, monkeypatch: pytest.MonkeyPatch
) -> None:
    with lines_to(weed, 2, monkeypatch) as (lines, store):
        data = pattern(8 * MIB)
        for number in range(4):
            if number == 1:
                lines[0].cut_after("up", 3 * MIB)
            publish(store, f"packs/{number}", data)
        assert lines[0].is_cut
        assert all(store.get(f"packs/{number}", limit_bytes=len(data)) == data for number in range(4))


def small_parts(monkeypatch: pytest.MonkeyPatch) -> None:
    """Let smaller objects go up in smaller parts."""
    monkeypatch.setattr(cloud, "_MULTIPART_FROM_BYTES", 4 * MIB)
    monkeypatch.setattr(cloud, "_PART_BYTES", 5 * MIB)


def test_parts_that_a_broken_line_did_not_bring_go_by_another_and_the_rest_is_not_sent_again(
    weed: S3Server, monkeypatch: pytest.MonkeyPatch
) -> None:
    small_parts(monkeypatch)
    with lines_to(weed, 2, monkeypatch) as (lines, store):
        data = pattern(30 * MIB)
        lines[0].cut_after("up", 12 * MIB)  # of the 15 that would be its share: in its third part
        publish(store, "packs/1", data)
        assert store.get("packs/1", limit_bytes=len(data)) == data
        assert lines[0].is_cut
        first, second = store.endpoints()
        assert first.failures >= 1
        assert first.bytes_moved + second.bytes_moved == len(data)


def test_the_connections_that_bring_parts_use_what_was_chosen_from_their_first_byte(
    weed: S3Server, monkeypatch: pytest.MonkeyPatch
) -> None:
    small_parts(monkeypatch)
    used: list[str] = []
    request = HTTPConnection.request

    def noted(connection: HTTPConnection, *arguments: Any) -> None:
        used.append(connection.sock.getsockopt(socket.IPPROTO_TCP, socket.TCP_CONGESTION, 16).rstrip(b"\0").decode())
        request(connection, *arguments)

    monkeypatch.setattr(HTTPConnection, "request", noted)
    with lines_to(weed, 2, monkeypatch, options="&congestion=reno") as (_, store):
        publish(store, "packs/1", pattern(10 * MIB))
    assert used == ["reno"] * 4  # begin, two parts, end


def test_an_upload_that_no_line_brings_leaves_nothing_under_its_name(
    weed: S3Server, monkeypatch: pytest.MonkeyPatch
) -> None:
    small_parts(monkeypatch)
    with lines_to(weed, 2, monkeypatch) as (lines, store):
        for line in lines:
            line.cut_after("up", 8 * MIB)
        with pytest.raises(Unavailable):
            publish(store, "packs/1", pattern(30 * MIB))
        whole = open_bucket(weed.url(store.url.partition("weddings/")[2].partition("?")[0]), FakeClock())
        assert list(whole.list("")) == []
        whole.close()


def test_no_object_ends_elsewhere_at_another_endpoint(weed: S3Server, monkeypatch: pytest.MonkeyPatch) -> None:
    with lines_to(weed, 2, monkeypatch) as (_, store):
        store.put("packs/1", bytes(3 * MIB))
        with pytest.raises(IntegrityError, match=f"byte {3 * MIB}"):
            store.read_into("packs/1", 0, memoryview(bytearray(4 * MIB)))


def test_what_the_connections_of_each_endpoint_use_is_chosen_and_read_back(
    weed: S3Server, monkeypatch: pytest.MonkeyPatch
) -> None:
    with lines_to(weed, 2, monkeypatch, options="&congestion=reno") as (_, store):
        store.put("packs/1", b"x")  # by the second line
        assert [each.congestion for each in store.endpoints()] == ["reno", "reno"]


@pytest.mark.parametrize(
    ("query", "what"),
    [("endpoint=http://a,host", "endpoint"), ("congestion=vegas", "congestion"), ("endpoint=http://x@a", "endpoint")],
)
def test_a_wrong_way_is_refused(query: str, what: str) -> None:
    with pytest.raises(UsageError, match=what):
        open_bucket(f"s3://weddings?{query}", FakeClock())

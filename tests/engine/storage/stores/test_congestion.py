"""Congestion control: chosen for the connections to a host and no others, and told as the system says it."""

from __future__ import annotations

import socket
from collections.abc import Iterator
from pathlib import Path

import pytest

from engine.base.clock import FakeClock
from engine.storage.stores.congestion import LOOK_EVERY_S, SYSTEM, Congestion

DEFAULT = Path("/proc/sys/net/ipv4/tcp_congestion_control").read_text().strip()
WANTED = "reno"  # the one that every Linux has; it is nobody's default


@pytest.fixture
def connections() -> Iterator[tuple[str, socket.socket, socket.socket]]:
    """Where two listeners listen: the URL of the first, a connection to it, and one to the other."""
    with socket.create_server(("127.0.0.1", 0)) as first, socket.create_server(("127.0.0.1", 0)) as second:
        with socket.create_connection(first.getsockname()) as to_first:
            with socket.create_connection(second.getsockname()) as to_second:
                yield f"http://localhost:{first.getsockname()[1]}", to_first, to_second


def control_of(connection: socket.socket) -> str:
    return connection.getsockopt(socket.IPPROTO_TCP, socket.TCP_CONGESTION, 16).rstrip(b"\0").decode()


def test_connections_to_the_host_are_set_and_others_left_alone(
    connections: tuple[str, socket.socket, socket.socket],
) -> None:
    url, to_first, to_second = connections
    control = Congestion(url, WANTED, FakeClock())
    control.look_if_due()
    assert (control_of(to_first), control_of(to_second)) == (WANTED, DEFAULT)
    assert control.in_use == WANTED


@pytest.mark.parametrize("wanted", [SYSTEM, "nosuch"])
def test_what_is_left_to_the_system_or_is_not_to_be_had_is_told_as_it_is(
    connections: tuple[str, socket.socket, socket.socket], wanted: str
) -> None:
    url, to_first, _ = connections
    control = Congestion(url, wanted, FakeClock())
    control.look_if_due()
    assert control.in_use == control_of(to_first) == DEFAULT


def test_connections_are_looked_for_again_only_after_some_seconds(
    connections: tuple[str, socket.socket, socket.socket],
) -> None:
    url, to_first, _ = connections
    clock = FakeClock()
    control = Congestion(url, WANTED, clock)
    control.look_if_due()
    with socket.create_connection(to_first.getpeername()) as newer:
        control.look_if_due()
        assert control_of(newer) == DEFAULT
        clock.advance(LOOK_EVERY_S)
        control.look_if_due()
        assert control_of(newer) == WANTED


def test_a_host_nobody_is_connected_to_has_nothing_in_use() -> None:
    control = Congestion("http://127.0.0.1:9", WANTED, FakeClock())
    control.look_if_due()
    assert control.in_use == ""

"""Congestion control over a long line with losses: cubic and BBR, by 1, 4 and 16 streams at once.

The line is a relay in this process between two TUN devices, each in a network namespace of its own: 25 ms each way, 1
% of packets lost, 100 Mbit/s with a queue of 200 packets. It needs root, /dev/net/tun and namespaces; where they are
not to be had, that is said and nothing measured. Simulated: the line, SIMULATED in its name. Real: the kernel's TCP
at both ends.
"""

from __future__ import annotations

import contextlib
import fcntl
import os
import random
import select
import struct
import subprocess
import sys
import threading
import time
from collections import deque
from collections.abc import Iterator
from pathlib import Path

from benchmarks.report import Report

DELAY_S = 0.025  # each way
LOSS = 0.01
RATE_BYTES_PER_S = 100e6 / 8
QUEUE_PACKETS = 200
STREAMS = (1, 4, 16)
CONTROLS = ("cubic", "bbr")
_ENDS = (("wsline0", "10.91.7.1"), ("wsline1", "10.91.7.2"))
_TUNSETIFF, _IFF_TUN, _IFF_NO_PI = 0x400454CA, 0x0001, 0x1000
_PACKET_MAX = 2048

RECEIVE = """
import socket, sys, threading, time
listener = socket.create_server(("10.91.7.2", 7000), backlog=64)
print("listening", flush=True)
seconds, streams = float(sys.argv[1]), int(sys.argv[2])
counts, end = [0] * streams, [1e18]
def take(number, connection):
    while time.monotonic() < end[0]:
        got = len(connection.recv(1 << 16))
        if not got:
            return
        counts[number] += got
found = [listener.accept()[0] for _ in range(streams)]
end[0] = time.monotonic() + seconds
threads = [threading.Thread(target=take, args=pair, daemon=True) for pair in enumerate(found)]
[each.start() for each in threads]
time.sleep(seconds)
print(sum(counts) / seconds, flush=True)
"""
SEND = """
import socket, sys, threading
wanted = sys.argv[1].encode()
def send():
    with socket.socket() as sender:
        sender.setsockopt(socket.IPPROTO_TCP, socket.TCP_CONGESTION, wanted)
        assert sender.getsockopt(socket.IPPROTO_TCP, socket.TCP_CONGESTION, 16).rstrip(b"\\0") == wanted
        sender.connect(("10.91.7.2", 7000))
        try:
            while True:
                sender.sendall(bytes(1 << 16))
        except OSError:
            pass
threads = [threading.Thread(target=send, daemon=True) for _ in range(int(sys.argv[2]))]
[each.start() for each in threads]
[each.join() for each in threads]
"""


def measure(folder: Path, report: Report, *, short: bool) -> None:
    """What each moves."""
    seconds = 4.0 if short else 15.0
    try:
        with line():
            for streams in STREAMS:
                rates = {}
                for control in CONTROLS:
                    rates[control] = transfer(control, streams, seconds) * 8 / 1e6
                    name = f"SIMULATED line, 50 ms, 1 % loss, 100 Mbit/s: {control} × {streams}"
                    report.add(name, None, rates[control], "Mbit/s")
                report.add(f"bbr ÷ cubic, {streams} streams", None, rates["bbr"] / max(1e-6, rates["cubic"]), "×")
    except (OSError, subprocess.CalledProcessError) as error:
        report.say(f"no line between namespaces can be made here ({error}): congestion control is not measured")


def transfer(control: str, streams: int, seconds: float) -> float:
    """Bytes a second that arrive."""
    words = ["ip", "netns", "exec", _ENDS[1][0], sys.executable, "-c", RECEIVE, str(seconds), str(streams)]
    with subprocess.Popen(words, stdout=subprocess.PIPE, text=True) as receiver:
        assert receiver.stdout is not None
        receiver.stdout.readline()
        words = ["ip", "netns", "exec", _ENDS[0][0], sys.executable, "-c", SEND, control, str(streams)]
        with subprocess.Popen(words) as sender:
            arrived = float(receiver.stdout.readline() or 0)
            receiver.wait()
            sender.kill()
    return arrived


@contextlib.contextmanager
def line() -> Iterator[None]:
    """Two namespaces and the relay between them. Raises OSError, CalledProcessError where that is not allowed."""
    with contextlib.ExitStack() as stack:
        ends = []
        for number, (name, address) in enumerate(_ENDS):
            _ip("netns", "add", name)
            stack.callback(_ip, "netns", "del", name)
            fd = os.open("/dev/net/tun", os.O_RDWR | os.O_NONBLOCK | os.O_CLOEXEC)
            stack.callback(os.close, fd)
            fcntl.ioctl(fd, _TUNSETIFF, struct.pack("16sH22x", name.encode(), _IFF_TUN | _IFF_NO_PI))
            _ip("link", "set", name, "netns", name)
            _ip("-n", name, "addr", "add", f"{address}/32", "peer", _ENDS[1 - number][1], "dev", name)
            _ip("-n", name, "link", "set", name, "up", "mtu", "1500")
            ends.append(fd)
        is_over = threading.Event()
        relay = threading.Thread(target=_relay, args=(ends[0], ends[1], is_over))
        relay.start()
        try:
            yield
        finally:
            is_over.set()
            relay.join()


def _relay(first: int, second: int, is_over: threading.Event) -> None:
    """Carry packets both ways: lost by chance, held by the rate, late by the delay."""
    chance = random.Random(2026)
    waiting: dict[int, deque[tuple[float, bytes]]] = {first: deque(), second: deque()}  # by whom they come from
    free_s = dict.fromkeys(waiting, 0.0)
    other = {first: second, second: first}
    while not is_over.is_set():
        now_s = time.monotonic()
        due = min((queue[0][0] for queue in waiting.values() if queue), default=now_s + 0.05)
        ready, _, _ = select.select((first, second), (), (), max(0.0, due - now_s))
        now_s = time.monotonic()
        for source in ready:
            for packet in _packets(source):
                queued = (free_s[source] - now_s) * RATE_BYTES_PER_S / 1500
                if chance.random() < LOSS or queued > QUEUE_PACKETS:
                    continue
                free_s[source] = max(free_s[source], now_s) + len(packet) / RATE_BYTES_PER_S
                waiting[source].append((free_s[source] + DELAY_S, packet))
        now_s = time.monotonic()
        for source, queue in waiting.items():
            while queue and queue[0][0] <= now_s:
                with contextlib.suppress(OSError):
                    os.write(other[source], queue.popleft()[1])


def _packets(source: int) -> Iterator[bytes]:
    with contextlib.suppress(BlockingIOError):
        for _ in range(64):
            yield os.read(source, _PACKET_MAX)


def _ip(*words: str) -> None:
    subprocess.run(["ip", *words], check=True, capture_output=True)

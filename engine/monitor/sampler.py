"""This machine, as psutil sees it. Called once a second on the executor, never by two threads at once.

What a machine does not tell (a container without disk counters) is 0.
"""

from __future__ import annotations

import contextlib
import os

import msgspec
import psutil

from engine.base.clock import Clock
from engine.contract.status import Infrastructure


class Counters(msgspec.Struct, frozen=True):
    """What only ever grows: bytes since the machine started, and when that was read."""

    time_s: float
    disk_read_bytes: int = 0
    disk_write_bytes: int = 0
    network_sent_bytes: int = 0
    network_received_bytes: int = 0


class Rates(msgspec.Struct, frozen=True):
    """Bytes per second."""

    disk_read: float = 0.0
    disk_write: float = 0.0
    network_sent: float = 0.0
    network_received: float = 0.0


def rates_between(before: Counters, after: Counters) -> Rates:
    """How fast the counters grew; one that went back (a device was taken away) counts as standing still."""
    span_s = after.time_s - before.time_s
    if span_s <= 0:
        return Rates()

    def rate(count_before: int, count_after: int) -> float:
        return max(0, count_after - count_before) / span_s

    return Rates(
        disk_read=rate(before.disk_read_bytes, after.disk_read_bytes),
        disk_write=rate(before.disk_write_bytes, after.disk_write_bytes),
        network_sent=rate(before.network_sent_bytes, after.network_sent_bytes),
        network_received=rate(before.network_received_bytes, after.network_received_bytes),
    )


class Sampler:
    """Samples one machine."""

    def __init__(self, clock: Clock, *, engine_version: str) -> None:
        self._clock = clock
        self._engine_version = engine_version
        self._started_ns = clock.now_ns()
        self._process = psutil.Process()
        self._before = self._counters()
        psutil.cpu_percent(None)  # the first reading is without meaning: the span begins here

    def sample(self, *, engine_lag_s: float) -> Infrastructure:
        """The machine now; rates are means since the sample before. `engine_lag_s` is the engine's own measure."""
        after = self._counters()
        rates = rates_between(self._before, after)
        self._before = after
        memory = psutil.virtual_memory()
        return Infrastructure(
            host=os.uname().nodename,
            engine_version=self._engine_version,
            started_ns=self._started_ns,
            cpu_share=min(1.0, psutil.cpu_percent(None) / 100),
            cpu_cores=len(os.sched_getaffinity(0)),
            memory_used_bytes=memory.total - memory.available,
            memory_total_bytes=memory.total,
            engine_memory_bytes=self._process.memory_info().rss,
            load_one_minute=os.getloadavg()[0],
            disk_read_bytes_per_s=rates.disk_read,
            disk_write_bytes_per_s=rates.disk_write,
            network_sent_bytes_per_s=rates.network_sent,
            network_received_bytes_per_s=rates.network_received,
            engine_lag_s=engine_lag_s,
        )

    def _counters(self) -> Counters:
        disk = network = None
        with contextlib.suppress(OSError, RuntimeError):
            disk = psutil.disk_io_counters()
        with contextlib.suppress(OSError, RuntimeError):
            network = psutil.net_io_counters()
        return Counters(
            time_s=self._clock.monotonic_s(),
            disk_read_bytes=disk.read_bytes if disk else 0,
            disk_write_bytes=disk.write_bytes if disk else 0,
            network_sent_bytes=network.bytes_sent if network else 0,
            network_received_bytes=network.bytes_recv if network else 0,
        )

"""What a machine of the cluster runs: a Dask worker that hands each order to the engine of this process.

In: orders, through the scheduler; signals and notices from the machine. Out: reports, and the node's word with each
heartbeat. It supervises itself: when the scheduler is gone it looks for it until it is there again, and jobs at work go
on meanwhile. Drained, it takes nothing new, ends what it has begun, and leaves. One asyncio loop, that of the caller;
orders wait on Dask's threads, one a slot.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
import tempfile
from collections import deque
from collections.abc import Callable, Collection
from concurrent.futures import Future
from pathlib import Path
from typing import TYPE_CHECKING, Literal, Protocol

import msgspec

from engine.base.clock import Clock
from engine.base.errors import Unavailable
from engine.base.version import VERSION
from engine.contract.cluster import Machine
from engine.scaling.dask_setup import load
from engine.scaling.orders import NodeWord, Order, Report, Tally, order_of, to_json

if TYPE_CHECKING:
    from distributed import Security, Worker

METRIC = "wedsync"
LOOK_S = 0.2  # between looks at what a draining node still has to do, and for a notice
GIVEN_KEPT = 1000
COMING_S = 5.0  # a draining node waits so long for orders that were given before it was told
TRY_AGAIN_S = 1.0  # while no scheduler answers
FETCHED_WITHIN_S = 10.0  # a drained node waits so long for its last reports to be fetched
_LOG = logging.getLogger(__name__)


class Host(Protocol):
    """The engine that does the work. Any thread."""

    def carry(self, order: Order) -> Future[Report]:
        """Carry out a job; one that is at work here already is joined. The future holds no error of the job's."""
        ...

    def stop(self, job_id: str, how: Literal["cancel", "interrupt"]) -> None:
        """Stop a job, if it is at work here. `interrupt` checkpoints it first."""
        ...

    def tallies(self) -> dict[str, Tally]:
        """How far the jobs at work are."""
        ...

    def repository(self) -> str:
        """The id of the open repository; empty while none is open."""
        ...


class Node:
    """One node. Its loop, but where it says otherwise."""

    def __init__(self, machine: Machine, host: Host, clock: Clock) -> None:
        self._machine = machine
        self._host = host
        self._clock = clock
        self._leaving = asyncio.Event()
        self._why = ""
        self._given: deque[str] = deque(maxlen=GIVEN_KEPT)  # jobs whose orders have come
        self._expected: frozenset[str] = frozenset()  # jobs whose orders are on their way

    def leave(self, why: str, expected: Collection[str] = ()) -> None:
        """Drain, then come back from `serve`. `expected` are jobs whose orders are still coming. Again: no change."""
        if not self._leaving.is_set():
            self._why, self._expected = why, frozenset(expected)
            self._leaving.set()

    async def serve(self, tell: Callable[[str], None]) -> None:
        """Serve until told to leave, whatever becomes of the scheduler. `tell` gets a line for each turn."""
        security = load(self._machine.tls)
        _NODES[self._machine.row.name] = self
        try:
            with tempfile.TemporaryDirectory(prefix="wedsync-node-", ignore_cleanup_errors=True) as scratch:
                async with asyncio.TaskGroup() as group:
                    watching = group.create_task(self._watch_for_notice())
                    leaving = group.create_task(self._left())
                    while not self._leaving.is_set():
                        await self._serve_once(security, scratch, group, tell)
                    watching.cancel()
                    leaving.cancel()
        finally:
            del _NODES[self._machine.row.name]
        tell("left the cluster")

    async def _left(self) -> None:
        await self._leaving.wait()

    async def _serve_once(
        self, security: Security, scratch: str, group: asyncio.TaskGroup, tell: Callable[[str], None]
    ) -> None:
        """From one scheduler to the next."""
        worker = await self._join(security, scratch)
        if worker is None:
            return
        tell(f"joined {self._machine.scheduler} as {self._machine.row.name}")
        over = [group.create_task(_finished(worker)), group.create_task(self._left())]
        try:
            await asyncio.wait(over, return_when=asyncio.FIRST_COMPLETED)
            if self._leaving.is_set():
                tell(f"draining: {self._why}")
                await self._drain(worker)
            else:
                tell("the scheduler is gone; looking for it")
        finally:
            for task in over:
                task.cancel()
            await _closed(worker)

    def word(self) -> str:
        """What the node says of itself, with each heartbeat."""
        tallies = self._host.tallies()
        state: Literal["draining", "ready"] = "draining" if self._leaving.is_set() else "ready"
        row = msgspec.structs.replace(self._machine.row, state=state, running=len(tallies))
        return to_json(NodeWord(row=row, version=VERSION, repository=self._host.repository(), tallies=tallies))

    def carry(self, order: str) -> str:
        """Carry out an order; blocks. A thread of Dask's."""
        read = order_of(order)
        self._given.append(read.job_id)
        return to_json(self._host.carry(read).result())

    def stop(self, job_id: str, how: Literal["cancel", "interrupt"]) -> None:
        """Stop a job."""
        self._host.stop(job_id, how)

    async def _join(self, security: Security, scratch: str) -> Worker | None:
        """A worker that the scheduler has taken; None when none answers now."""
        from distributed import Worker

        row = self._machine.row
        worker = Worker(
            self._machine.scheduler,
            nthreads=row.slots,
            name=row.name,
            memory_limit=0,
            security=security,
            host=self._machine.host or None,
            dashboard=False,
            dashboard_address="127.0.0.1:0",
            local_directory=scratch,
            metrics={METRIC: lambda _: self.word()},
            heartbeat_interval="500ms",
            death_timeout=10,
        )
        try:
            await worker
        except (OSError, TimeoutError, ValueError, RuntimeError) as error:  # also: the name is still taken
            _LOG.warning("the scheduler %s did not take the node: %s", self._machine.scheduler, error)
            await _closed(worker)
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(TRY_AGAIN_S):
                    await self._leaving.wait()
            return None
        return worker

    async def _drain(self, worker: Worker) -> None:
        """Take nothing new, end what has begun, let its reports be fetched, leave."""
        from distributed.core import Status

        come_s = self._clock.monotonic_s() + COMING_S
        while not self._expected.issubset(self._given) and self._clock.monotonic_s() < come_s:
            await self._clock.sleep(LOOK_S / 4)
        worker.status = Status.paused  # the scheduler is told, and gives it nothing more
        while worker.state.executing or self._host.tallies():
            if worker.status == Status.closed:
                return  # the scheduler is gone; what is at work has been ended all the same
            await self._clock.sleep(LOOK_S)
        fetched_s = self._clock.monotonic_s() + FETCHED_WITHIN_S
        while worker.data and self._clock.monotonic_s() < fetched_s:
            await self._clock.sleep(LOOK_S / 4)
        with contextlib.suppress(OSError, TimeoutError):
            async with asyncio.timeout(FETCHED_WITHIN_S):
                await worker.close_gracefully(reason=self._why)

    async def _watch_for_notice(self) -> None:
        notice = Path(self._machine.notice) if self._machine.notice else None
        while notice is not None and not self._leaving.is_set():
            if notice.exists():  # of a local file, five times a second
                self.leave(f"{notice} says that this machine goes")
            await self._clock.sleep(LOOK_S)


_NODES: dict[str, Node] = {}  # of this process, by name: what Dask calls below finds them here


def carry_out(order: str) -> str:
    """The task that Dask runs: an order in, a report out. A thread of Dask's. Raises Unavailable where no node runs."""
    from distributed import get_worker

    node = _NODES.get(str(get_worker().name))
    if node is None:
        raise Unavailable("no node runs in this process")
    return node.carry(order)


def stop_job(job_id: str, how: Literal["cancel", "interrupt"], dask_worker: Worker) -> None:
    """Stop a job of a node's. On the node's loop; Dask gives `dask_worker`."""
    node = _NODES.get(str(dask_worker.name))
    if node is not None:
        node.stop(job_id, how)


def begin_to_leave(why: str, expected: list[str], dask_worker: Worker) -> None:
    """Have a node drain and leave. On the node's loop; Dask gives `dask_worker`."""
    node = _NODES.get(str(dask_worker.name))
    if node is not None:
        node.leave(why, expected)


async def _finished(worker: Worker) -> None:
    await worker.finished()  # type: ignore[no-untyped-call]


async def _closed(worker: Worker) -> None:
    with contextlib.suppress(OSError, TimeoutError):
        await worker.close(nanny=False, timeout=5)

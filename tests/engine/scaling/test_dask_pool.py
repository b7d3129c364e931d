"""A pool of nodes through a real scheduler and real workers, all on the loop of the test; what they carry is a double.

Nodes in processes of their own, with engines, are in tests/engine/operations/test_elsewhere.py.
"""

from __future__ import annotations

import asyncio
import contextlib
import socket
from collections.abc import AsyncIterator, Callable
from concurrent.futures import Future
from pathlib import Path
from typing import Literal

import msgspec
import pytest

from engine.base.clock import SystemClock
from engine.contract.cluster import ClusterSettings, Machine, NodeRow, Tls
from engine.scaling import dask_scheduler
from engine.scaling.dask_pool import DaskPool, NodeLost
from engine.scaling.node import Node
from engine.scaling.orders import Order, Report, Tally
from engine.scaling.pool import NodePool, total
from tests.engine.certificates import certificates
from tests.suites.node_pool import NodePoolSuite

REPOSITORY = "r" * 32
WITHIN_S = 30.0
NO_TLS = Tls()


class Desk:
    """A `Host` whose jobs end when the test says so."""

    def __init__(self, repository: str = REPOSITORY) -> None:
        self._repository = repository
        self.jobs: dict[str, Future[Report]] = {}
        self.stopped: list[tuple[str, str]] = []

    def carry(self, order: Order) -> Future[Report]:
        return self.jobs.setdefault(order.job_id, Future())

    def stop(self, job_id: str, how: Literal["cancel", "interrupt"]) -> None:
        self.stopped.append((job_id, how))
        self.jobs[job_id].set_result(Report(end="stopped"))

    def tallies(self) -> dict[str, Tally]:
        return {job_id: Tally(bytes_read=7) for job_id, job in self.jobs.items() if not job.done()}

    def repository(self) -> str:
        return self._repository


class Place:
    """A scheduler, a pool, and nodes as many as the test starts, on one loop."""

    def __init__(self, group: asyncio.TaskGroup, tls: Tls = NO_TLS) -> None:
        with socket.socket() as found:
            found.bind(("127.0.0.1", 0))
            port = found.getsockname()[1]
        self.address = f"{'tls' if tls.ca else 'tcp'}://127.0.0.1:{port}"
        self.tls = tls
        self.group = group
        self.desks: dict[str, Desk] = {}
        self.running: dict[str, asyncio.Task[None]] = {}
        self.stop = asyncio.Event()
        settings = ClusterSettings(
            scheduler=self.address, tls_ca=tls.ca, tls_certificate=tls.certificate, tls_key=tls.key
        )
        self.pool = DaskPool(settings, SystemClock(), repository=lambda: REPOSITORY, changed=lambda: None)
        self.scheduler = group.create_task(dask_scheduler.serve(self.address, tls, self.stop, lambda _: None))
        self.keeping = group.create_task(self.pool.keep())

    def start(self, name: str, *, desk: Desk | None = None, tls: Tls | None = None) -> None:
        """Start a node."""
        machine = Machine(scheduler=self.address, row=NodeRow(name=name), tls=tls or self.tls)
        desk = self.desks[name] = desk or Desk()
        self.running[name] = self.group.create_task(Node(machine, desk, SystemClock()).serve(lambda _: None))

    async def settle(self) -> None:
        """Start nodes until there are as many as are wanted, and wait until those that are too many have gone."""
        there = sum(row.state != "draining" for row in self.pool.nodes())
        for number in range(self.pool.size - there):
            self.start(f"n{number}")
        await self.until(lambda: len(self.pool.nodes()) == self.pool.size)

    async def until(self, holds: Callable[[], bool]) -> None:
        """Come back when something holds."""
        async with asyncio.timeout(WITHIN_S):
            while not holds():  # noqa: ASYNC110  # what is waited for is told by other processes' words
                await asyncio.sleep(0.05)

    async def close(self) -> None:
        """End all of it: nodes first, then the pool, then the scheduler."""
        for job in [job for desk in self.desks.values() for job in desk.jobs.values() if not job.done()]:
            job.set_result(Report(end="stopped"))
        for task in (*self.running.values(), self.keeping):
            task.cancel()
            await asyncio.wait([task])
        self.stop.set()
        await asyncio.wait([self.scheduler])


@contextlib.asynccontextmanager
async def place_of(tls: Tls = NO_TLS) -> AsyncIterator[Place]:
    async with asyncio.TaskGroup() as group:
        place = Place(group, tls)
        try:
            yield place
        finally:
            await place.close()


@pytest.fixture
async def place() -> AsyncIterator[Place]:
    async with place_of() as place:
        yield place


class TestDaskPool(NodePoolSuite):
    """The shared promises; whoever starts machines does so when there are too few."""

    @pytest.fixture
    async def pool(self, place: Place) -> NodePool:
        for name in ("a", "b"):
            place.start(name)
        await place.until(lambda: len(place.pool.nodes()) == 2)
        self._place = place
        return place.pool

    async def settled(self, pool: NodePool) -> None:
        await self._place.settle()


def order(job_id: str = "j1") -> Order:
    return Order(job_id=job_id, operation="start_backup", arguments="{}", wedding_id="w", priority="standard")


async def begun(place: Place, name: str = "a") -> tuple[asyncio.Task[Report], list[Tally]]:
    """An order that is at work on a node."""
    heard: list[Tally] = []
    carrying = place.group.create_task(place.pool.carry(name, order(), heard.append))
    await place.until(lambda: "j1" in place.desks[name].jobs)
    return carrying, heard


async def test_an_order_comes_back_with_its_report_and_is_told_of_meanwhile(place: Place) -> None:
    place.start("a")
    await place.until(lambda: bool(place.pool.nodes()))
    carrying, heard = await begun(place)
    await place.until(lambda: bool(heard))
    place.desks["a"].jobs["j1"].set_result(Report(end="done", tally=Tally(bytes_read=9)))
    assert (await carrying).tally.bytes_read == 9
    assert heard[-1].bytes_read == 7


async def test_a_job_is_stopped_where_it_runs(place: Place) -> None:
    place.start("a")
    await place.until(lambda: bool(place.pool.nodes()))
    carrying, _ = await begun(place)
    place.pool.stop("j1", "interrupt")
    assert (await carrying).end == "stopped"
    assert place.desks["a"].stopped == [("j1", "interrupt")]


async def test_a_draining_node_ends_its_order_before_it_leaves(place: Place) -> None:
    place.start("a")
    await place.until(lambda: bool(place.pool.nodes()))
    carrying, _ = await begun(place)
    place.pool.drain(["a"])
    assert [row.state for row in place.pool.nodes()] == ["draining"]
    await asyncio.sleep(0.5)
    assert not place.running["a"].done()
    place.desks["a"].jobs["j1"].set_result(Report(end="done"))
    assert (await carrying).end == "done"
    await place.until(place.running["a"].done)


async def test_with_the_scheduler_every_order_is_lost_and_the_cluster_comes_back(place: Place) -> None:
    place.start("a")
    await place.until(lambda: bool(place.pool.nodes()))
    carrying = asyncio.ensure_future(_error_of(place.pool.carry("a", order(), lambda _: None)))
    await place.until(lambda: "j1" in place.desks["a"].jobs)
    place.stop.set()
    await place.scheduler
    assert isinstance(await carrying, NodeLost)
    assert isinstance(await _error_of(place.pool.carry("a", order("j2"), lambda _: None)), NodeLost)
    place.stop.clear()
    place.scheduler = place.group.create_task(
        dask_scheduler.serve(place.address, place.tls, place.stop, lambda _: None)
    )
    await place.until(lambda: bool(place.pool.nodes()))
    place.desks["a"].jobs["j1"].set_result(Report(end="done"))


async def _error_of(carrying: object) -> BaseException | None:
    try:
        await carrying  # type: ignore[misc]
    except NodeLost as error:
        return error
    return None


async def test_a_node_of_another_repository_is_given_nothing(place: Place) -> None:
    place.start("a", desk=Desk("another"))
    await place.until(lambda: bool(place.pool.nodes()))
    assert [row.state for row in place.pool.nodes()] == ["starting"]


async def test_only_who_has_a_certificate_of_the_ca_comes_in(tmp_path: Path) -> None:
    good, bad = certificates(tmp_path / "good"), certificates(tmp_path / "bad")
    async with place_of(good) as place:
        place.start("a")
        place.start("stranger", tls=bad)
        await place.until(lambda: bool(place.pool.nodes()))
        carrying, _ = await begun(place)
        place.desks["a"].jobs["j1"].set_result(Report(end="done"))
        assert (await carrying).end == "done"
        assert [row.name for row in place.pool.nodes()] == ["a"]


def test_a_pool_without_nodes_has_none_to_give() -> None:
    pool = DaskPool(
        ClusterSettings(scheduler="tcp://127.0.0.1:1"), SystemClock(), repository=lambda: "", changed=lambda: None
    )
    assert (pool.size, pool.nodes(), total({})) == (0, (), 0)
    assert msgspec.json.encode(pool.nodes()) == b"[]"

"""The nodes of a cluster, through Dask: who is there, what each carries, and how there come to be more or fewer.

Dask is given an order only when its node has a free slot: queue, order and retries are the engine's, whose journal is
the truth. So nothing is lost with the scheduler, or with a node: who carried an order that is lost is told `NodeLost`,
and gives it to another. Engine loop only; programs that bring nodes run on threads.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
import os
import subprocess
from collections import Counter
from collections.abc import Callable, Collection, Mapping
from typing import TYPE_CHECKING, Any, Literal

import msgspec

from engine.base.clock import Clock
from engine.base.errors import Unavailable, WedSyncError
from engine.base.invariants import check
from engine.base.version import VERSION
from engine.contract.cluster import NODE_CLASSES, ClusterSettings, NodeClass, NodeRow, Reach
from engine.scaling import choosing
from engine.scaling.dask_setup import check_trust, load
from engine.scaling.node import METRIC, begin_to_leave, carry_out, stop_job
from engine.scaling.orders import NodeWord, Order, Report, Tally, report_of, to_json, word_of
from engine.scaling.pool import Target, total

if TYPE_CHECKING:
    from distributed import Client, Security

POLL_S = 0.5
ANSWER_S = 30.0  # a scheduler that is silent for longer is lost
TRY_AGAIN_S = 1.0
TAKEN_BACK_S = 3.0  # an order that a draining node has not begun by then goes to another
LAUNCH_AGAIN_S = 30.0  # while there are fewer nodes than wanted
LAUNCH_MAX_S = 300.0  # of one run of the program that brings nodes
_PASSED_ON = ("PATH", "HOME", "LANG", "TZ", "USER", "KUBECONFIG")
_LOG = logging.getLogger(__name__)


class NodeLost(Exception):
    """The node, or the way to it, is gone; what became of its job is not known, so it is run again."""


class _Flight(msgspec.Struct, eq=False):
    """An order on its way."""

    order: Order
    node: str
    address: str
    heard: Callable[[Tally], None]
    came: asyncio.Future[Report]
    begun_s: float


class DaskPool:
    """A `NodePool` of machines that also carries orders. Engine loop only."""

    def __init__(
        self, settings: ClusterSettings, clock: Clock, *, repository: Callable[[], str], changed: Callable[[], None]
    ) -> None:
        """`repository` is the id of the one that is open here; `changed` is called when nodes have come or gone."""
        self._settings = settings
        self._clock = clock
        self._repository = repository
        self._changed = changed
        self._client: Client | None = None
        self._group: asyncio.TaskGroup | None = None
        self._words: dict[str, NodeWord] = {}  # by node
        self._addresses: dict[str, str] = {}  # by node
        self._flights: dict[str, _Flight] = {}  # by job
        self._told_to_leave: set[str] = set()
        self._target: dict[NodeClass, int] | None = None  # None: as many as come by themselves
        self._launched_s = 0.0
        self._number = 0  # of the orders of this life
        self.problem = ""  # why there is no cluster, or not all of it

    # --- a pool of nodes ---

    @property
    def size(self) -> int:
        """See `NodePool.size`."""
        return total(self._target if self._target is not None else self._there())

    def nodes(self) -> tuple[NodeRow, ...]:
        """See `NodePool.nodes`."""
        return tuple(self._row(self._words[name]) for name in sorted(self._words))

    def resize(self, target: Target) -> None:
        """See `NodePool.resize`. More than there are come by the program that the settings name, else by hand."""
        check(total(target) >= 1, "a pool has at least one worker")
        self._target = {name: target.get(name, 0) for name in NODE_CLASSES}
        gone = choosing.leavers(self.nodes(), self._target)
        self._tell_to_leave(gone, "the cluster becomes smaller")
        self._launch(gone)

    def drain(self, names: Collection[str]) -> None:
        """See `NodePool.drain`."""
        gone = [row for row in self.nodes() if row.name in names and row.state != "draining"]
        if self._target is not None:
            for row in gone:
                self._target[row.node_class] = max(0, self._target[row.node_class] - 1)
        self._tell_to_leave([row.name for row in gone], "it was told to drain")
        self._launch([row.name for row in gone])

    # --- orders ---

    def pick(self, reach: Reach, busy: Mapping[str, int]) -> str:
        """The node to run a job on; empty when none has its source and a free slot."""
        return choosing.pick(self.nodes(), reach, busy)

    def may(self, reach: Reach) -> bool:
        """Whether a node, busy or not, could run such a job."""
        return any(node.state == "ready" and choosing.has_source(node, reach) for node in self.nodes())

    async def carry(self, node: str, order: Order, heard: Callable[[Tally], None]) -> Report:
        """Have a node carry out an order, to its end. `heard` gets how far it is. Raises NodeLost, Unavailable."""
        client, group, address = self._client, self._group, self._addresses.get(node)
        if client is None or group is None or address is None:
            raise NodeLost(f"the node {node} is gone")
        self._number += 1
        came: asyncio.Future[Report] = asyncio.get_running_loop().create_future()
        flight = _Flight(order, node, address, heard, came, self._clock.monotonic_s())
        future = client.submit(
            carry_out, to_json(order), key=f"job-{order.job_id}-{self._number}", workers=[address], pure=False
        )
        self._flights[order.job_id] = flight
        landing = group.create_task(_land(future, came))
        try:
            return await came
        finally:
            del self._flights[order.job_id]
            landing.cancel()
            future.release()  # type: ignore[no-untyped-call]

    def stop(self, job_id: str, how: Literal["cancel", "interrupt"]) -> None:
        """Stop a job that a node carries; its report says when it has ended."""
        flight = self._flights.get(job_id)
        if flight is not None:
            self._run_there(flight.address, stop_job, job_id, how)

    # --- the cluster ---

    async def keep(self) -> None:
        """Be a part of the cluster, and come back to it, for as long as the engine lives. What is wrong is a `problem`.

        Whatever is wrong with a cluster, the engine works on without it.
        """
        this = asyncio.current_task()
        while not (this is not None and this.cancelling()):  # the library may tell of a cancellation as a lost line
            try:
                security = await asyncio.to_thread(self._security)
                await self._keep_once(security)
            except* WedSyncError as group:
                self.problem = " ".join(error.line() for error in group.exceptions if isinstance(error, WedSyncError))
                _LOG.warning("%s", self.problem)
            except* (OSError, TimeoutError) as group:
                self.problem = f"the scheduler {self._settings.scheduler} does not answer"
                _LOG.warning("%s: %r", self.problem, group.exceptions[0])
            except* Exception:
                self.problem = "the cluster met a bug; the log in the home has the details"
                _LOG.exception("the cluster met a bug")
            if this is None or not this.cancelling():
                await self._clock.sleep(TRY_AGAIN_S)

    def _security(self) -> Security:
        check_trust(self._settings.scheduler, self._settings.tls)
        return load(self._settings.tls)

    async def _keep_once(self, security: Security) -> None:
        """From one connection to the next."""
        from distributed import Client

        client = Client(  # type: ignore[no-untyped-call]
            self._settings.scheduler, asynchronous=True, security=security, timeout="5s", set_as_default=False
        )
        try:
            await client
            async with asyncio.TaskGroup() as self._group:
                self._client = client
                await self._watch(client)
        finally:
            self._client = self._group = None
            self._take({}, {})
            with contextlib.suppress(OSError, TimeoutError, RuntimeError):
                await client.close(timeout=2)  # type: ignore[no-untyped-call]

    async def _watch(self, client: Client) -> None:
        self.problem = ""
        while True:
            async with asyncio.timeout(ANSWER_S):
                scheduler: Any = client.scheduler
                identity = await scheduler.identity()
            if client.status != "running":
                raise OSError("the scheduler has gone")
            self._take_workers(identity["workers"])
            self._launch_again()
            await self._clock.sleep(POLL_S)

    def _take_workers(self, workers: Mapping[str, Mapping[str, Any]]) -> None:
        words: dict[str, NodeWord] = {}
        addresses: dict[str, str] = {}
        for address, worker in workers.items():
            text = worker["metrics"].get(METRIC)
            if text is None:
                continue
            word = word_of(text)
            name = word.row.name
            if worker["status"] != "running" or name in self._told_to_leave:
                word = msgspec.structs.replace(word, row=msgspec.structs.replace(word.row, state="draining"))
            words[name], addresses[name] = word, address
        self._take(words, addresses)

    def _take(self, words: Mapping[str, NodeWord], addresses: Mapping[str, str]) -> None:
        """Know the nodes that are there now; orders of those that are gone are lost."""
        before = {name: self._row(word) for name, word in self._words.items()}
        self._words = dict(words)
        self._addresses = dict(addresses)
        self._told_to_leave &= self._words.keys()
        for flight in list(self._flights.values()):
            self._look_at(flight)
        if before != {name: self._row(word) for name, word in self._words.items()}:
            self._changed()

    def _look_at(self, flight: _Flight) -> None:
        word = self._words.get(flight.node)
        if flight.came.done():
            return
        if word is None or self._addresses[flight.node] != flight.address:
            flight.came.set_exception(NodeLost(f"the node {flight.node} is gone"))
            return
        tally = word.tallies.get(flight.order.job_id)
        if tally is not None:
            flight.heard(tally)
        elif word.row.state == "draining" and self._clock.monotonic_s() - flight.begun_s > TAKEN_BACK_S:
            flight.came.set_exception(NodeLost(f"the node {flight.node} drains and has not begun"))

    def _row(self, word: NodeWord) -> NodeRow:
        """A node as it is shown; one of another version, or of another repository, is given nothing."""
        row = word.row
        if word.version != VERSION or not word.repository or word.repository != self._repository():
            return msgspec.structs.replace(row, state="starting") if row.state == "ready" else row
        return row

    def _there(self) -> Counter[NodeClass]:
        return Counter(row.node_class for row in self.nodes() if row.state != "draining")

    # --- more and fewer ---

    def _tell_to_leave(self, names: Collection[str], why: str) -> None:
        self._told_to_leave |= set(names)
        for name in names:
            if name in self._addresses:
                coming = [job_id for job_id, flight in self._flights.items() if flight.node == name]
                self._run_there(self._addresses[name], begin_to_leave, why, coming)
        self._words = {
            name: msgspec.structs.replace(word, row=msgspec.structs.replace(word.row, state="draining"))
            if name in names
            else word
            for name, word in self._words.items()
        }

    def _run_there(self, address: str, function: Callable[..., None], *arguments: object) -> None:
        client, group = self._client, self._group
        if client is None or group is None:
            return

        async def run() -> None:
            try:
                run_on: Any = client.run
                await run_on(function, *arguments, workers=[address], on_error="ignore")
            except Exception as error:  # it is gone, which the next look tells
                _LOG.info("%s was not told: %r", address, error)

        group.create_task(run())

    def _launch_again(self) -> None:
        if self._target is not None and self._clock.monotonic_s() - self._launched_s > LAUNCH_AGAIN_S:
            there = self._there()
            if any(there[name] < wanted for name, wanted in self._target.items()):
                self._launch(())

    def _launch(self, leaving: Collection[str]) -> None:
        """Have the program of the settings bring as many nodes as are wanted."""
        self._launched_s = self._clock.monotonic_s()
        if not self._settings.launch or self._group is None or self._target is None:
            return
        told = {f"WEDSYNC_{name.upper()}": str(count) for name, count in self._target.items()}
        told |= {"WEDSYNC_LEAVING": " ".join(leaving), "WEDSYNC_SCHEDULER": self._settings.scheduler}
        environment = {name: os.environ[name] for name in _PASSED_ON if name in os.environ} | told

        async def run() -> None:
            try:
                await asyncio.to_thread(_run_program, self._settings.launch, environment)
                self.problem = ""
            except Unavailable as error:
                self.problem = error.line()
                _LOG.warning("%s", self.problem)

        self._group.create_task(run())


async def _land(future: Any, came: asyncio.Future[Report]) -> None:
    """Wait for what Dask has of an order, and pass it on."""
    try:
        report = report_of(await future)
    except asyncio.CancelledError:
        if not came.done():
            came.set_exception(NodeLost("the scheduler is gone"))
        raise
    except Exception as error:
        if not came.done():
            lost = type(error).__name__ in ("FutureCancelledError", "KilledWorker", "CommClosedError")
            came.set_exception(NodeLost(repr(error)) if lost else Unavailable(f"the node failed: {error!r}"))
    else:
        if not came.done():
            came.set_result(report)


def _run_program(command: tuple[str, ...], environment: dict[str, str]) -> None:
    """Run a program to its end; blocks. Raises Unavailable when it failed or took too long."""
    name = os.path.basename(command[0])
    try:
        done = subprocess.run(
            command,
            env=environment,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.PIPE,
            timeout=LAUNCH_MAX_S,
            check=False,
        )
    except (OSError, subprocess.TimeoutExpired) as error:
        raise Unavailable(f"{name}, which brings nodes, did not run: {error}", "see config get cluster") from None
    if done.returncode:
        said = " ".join(done.stderr[:2000].decode("utf-8", "backslashreplace").split())
        raise Unavailable(f"{name}, which brings nodes, ended with {done.returncode}: {said}")

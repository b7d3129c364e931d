"""One machine of a cluster: an engine of its own on a home of its own, and the worker that brings it orders.

In: the home, how to get the passphrase, and machine. It opens the repository itself, with what this machine knows of
it: neither passphrase nor keys ever come over the wire. The console attaches to its home as to any other. The caller's
thread is the worker's; the engine has its own.
"""

from __future__ import annotations

import asyncio
import signal
from collections.abc import Callable
from pathlib import Path

from engine.base.clock import SystemClock
from engine.base.errors import Unavailable
from engine.contract.cluster import Machine, Tls
from engine.local import LocalEngine
from engine.operations.carrying import Carrying
from engine.operations.configuration import change_setting
from engine.operations.context import Engine
from engine.operations.opening import Passphrase
from engine.scaling import dask_scheduler
from engine.scaling.dask_setup import check_trust
from engine.scaling.node import Node

OPEN_AGAIN_S = 5.0  # while the store does not answer
Tell = Callable[[str], None]


def run_node(home: Path, passphrase: Passphrase, machine: Machine, tell: Tell) -> None:
    """Be a node until SIGTERM, SIGINT, a notice or the cluster says so; then end what has begun, and come back.

    A second signal checkpoints what is left. Raises WedSyncError when the repository does not open, or settings and
    addresses will not do.
    """
    check_trust(machine.scheduler, machine.tls)
    if machine.repository:
        home.mkdir(mode=0o700, parents=True, exist_ok=True)
        change_setting(home / "config.toml", "storage.hot", machine.repository)
    engine = LocalEngine.start(home, passphrase, streams=machine.streams)
    try:
        asyncio.run(_serve(engine, machine, tell))
    finally:
        engine.close(drain_s=0.0).result()


def run_scheduler(listen: str, tls: Tls, tell: Tell) -> None:
    """Be the scheduler until SIGTERM or SIGINT. Raises WedSyncError."""
    check_trust(listen, tls)

    async def serve() -> None:
        stop = asyncio.Event()
        for number in (signal.SIGTERM, signal.SIGINT):
            asyncio.get_running_loop().add_signal_handler(number, stop.set)
        await dask_scheduler.serve(listen, tls, stop, tell)

    try:
        asyncio.run(serve())
    except OSError as error:
        raise Unavailable(f"{listen} cannot be listened at: {error.strerror or error}") from None


async def _serve(engine: LocalEngine, machine: Machine, tell: Tell) -> None:
    parts, engine_loop = engine.parts()
    clock = SystemClock()
    node = Node(machine, Carrying(parts, engine_loop), clock)
    signals = 0

    def heard(number: signal.Signals) -> None:
        nonlocal signals
        signals += 1
        node.leave(number.name)
        if signals > 1:
            engine.close(drain_s=0.0)

    for number in (signal.SIGTERM, signal.SIGINT):
        asyncio.get_running_loop().add_signal_handler(number, heard, number)
    while not signals:
        try:
            await asyncio.wrap_future(asyncio.run_coroutine_threadsafe(_opened(parts), engine_loop))
            break
        except Unavailable as error:
            tell(f"{error.line()}; trying again")
            await clock.sleep(OPEN_AGAIN_S)
    await node.serve(tell)


async def _opened(parts: Engine) -> None:
    await parts.opening.needed()

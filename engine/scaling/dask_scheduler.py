"""The scheduler of a cluster: Dask's, in a process of its own, which only passes orders and reports on.

It may be killed at any moment: the engine's journal knows every job, nodes and engine come back to it. Whoever else
makes the cluster smaller (an autoscaler of the platform's) is given workers without work alone. The caller's loop.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit

from engine.contract.cluster import Tls
from engine.scaling.dask_setup import load

if TYPE_CHECKING:
    from distributed.scheduler import Scheduler, WorkerState


async def serve(listen: str, tls: Tls, stop: asyncio.Event, tell: Callable[[str], None]) -> None:
    """Serve at `listen`, as tls://10.0.0.1:8786, until told to stop. Raises OSError when the address is taken."""
    security = load(tls)
    from distributed import Scheduler

    parts = urlsplit(listen)
    scheduler = Scheduler(
        host=parts.hostname,
        port=parts.port or 0,
        protocol=f"{parts.scheme}://",
        security=security,
        dashboard=False,
        dashboard_address="127.0.0.1:0",
        plugins=(_idle_only(),),
    )
    async with scheduler:
        tell(f"listening at {scheduler.address}")
        await stop.wait()


def _idle_only() -> Any:  # the class can only be made where Dask is installed
    from distributed.diagnostics.plugin import SchedulerPlugin

    class IdleOnly(SchedulerPlugin):
        """Only workers without work may be taken away."""

        def valid_workers_downscaling(self, scheduler: Scheduler, workers: list[WorkerState]) -> list[WorkerState]:
            return [worker for worker in workers if not worker.processing]

    return IdleOnly()

"""How safe weddings are: their snapshots counted, without opening an index, into `facts`. Engine loop only.

In: ids of weddings. Out: what `facts.safety` then knows. Reading runs on the executor, a few weddings at a time.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
from collections.abc import Iterable

from engine.base.errors import WedSyncError
from engine.operations.context import Engine
from engine.operations.facts import Recovery
from engine.repository.repository import Repository

COUNTED_AT_ONCE = 3
ANSWER_WITHIN_S = 2.0  # what an answer waits for weddings that were not counted yet; of some 1,000 it knows all then

_LOG = logging.getLogger(__name__)


async def count_all(engine: Engine, repository: Repository, wedding_ids: Iterable[str]) -> None:
    """Count the snapshots of many weddings, in this order."""
    ahead = iter(wedding_ids)

    async def count() -> None:
        for wedding_id in ahead:
            await _count(engine, repository, wedding_id)

    async with asyncio.TaskGroup() as group:
        for _ in range(COUNTED_AT_ONCE):
            group.create_task(count())


async def count_unknown(engine: Engine, repository: Repository, wedding_ids: Iterable[str]) -> None:
    """Count those that were not counted since the start, as far as that takes no longer than an answer may."""
    unknown = [wedding_id for wedding_id in wedding_ids if engine.facts.safety(wedding_id).snapshots is None]
    with contextlib.suppress(TimeoutError):
        async with asyncio.timeout(ANSWER_WITHIN_S):
            await count_all(engine, repository, unknown)


async def _count(engine: Engine, repository: Repository, wedding_id: str) -> None:
    """Learn how safe one wedding is. One that cannot be read stays unknown."""

    damaged: list[str] = []

    def read() -> list[Recovery]:
        found = repository.snapshots(wedding_id, damaged)
        return [Recovery(item.body.time_ns, item.body.counts.bytes_source) for item in found if not item.partial]

    before = engine.facts.safety(wedding_id)
    try:
        counted = await engine.offload.run("facts", read)
    except WedSyncError as error:
        _LOG.warning("the snapshots of a wedding cannot be listed: %s", error.line(), extra={"wedding": wedding_id})
        return
    if engine.facts.safety(wedding_id) == before:  # else a job has committed meanwhile, and knows better
        engine.facts.counted(wedding_id, counted, damaged)

"""What an engine does again and again beside its jobs: sample, measure room, renew the lease, look at the register.

Each function is one round; `engine.local` owns the intervals. The rounds run on the loop, what blocks on the executor.
"""

from __future__ import annotations

import logging
from collections import Counter

from engine.base.errors import NotPermitted
from engine.contract.settings import STATUS_ROWS
from engine.jobs.totals import Totals
from engine.monitor.sampler import Sampler
from engine.operations import capacity, pruning, safety, tierrows, weddings
from engine.operations.context import Engine
from engine.operations.room import tier_row
from engine.operations.status import rate_point

LAG_TICK_S = 0.1
_LOG = logging.getLogger(__name__)


class Measuring:
    """Once a second: the machine, the jobs' counters, a point of the history."""

    def __init__(self, engine: Engine, sampler: Sampler) -> None:
        self._engine = engine
        self._sampler = sampler
        self._before = Totals()
        self._before_s = engine.clock.monotonic_s()
        self.lag_s = 0.0  # the worst since the last round; written by the lag meter
        engine.rationing.apply(engine.settings, engine.clock.now_ns())  # limits hold from the first job on
        engine.rationing.sample(engine.clock.monotonic_s())  # or what is done before the first round would not show

    async def round(self) -> None:
        """Measure."""
        engine = self._engine
        engine.dispatcher.figures.sample()
        engine.rationing.apply(engine.settings, engine.clock.now_ns())
        engine.rationing.sample(engine.clock.monotonic_s())
        engine.accounts.round(engine.measured.tiers, paid_workers(engine))
        capacity.go_back_if_due(engine)
        pruning.look_again(engine)
        now_s, totals = engine.clock.monotonic_s(), engine.dispatcher.figures.totals()
        span_s = now_s - self._before_s
        engine.measured.history.append(rate_point(self._before, totals, span_s=span_s, now_ns=engine.clock.now_ns()))
        self._before, self._before_s = totals, now_s
        lag_s, self.lag_s = self.lag_s, 0.0
        engine.measured.infrastructure = await engine.offload.run(
            "sampler", lambda: self._sampler.sample(engine_lag_s=lag_s)
        )

    async def watch_lag(self) -> None:
        """How late the loop runs what was due: the worst of each second; for ever."""
        clock = self._engine.clock
        while True:
            before_s = clock.monotonic_s()
            await clock.sleep(LAG_TICK_S)
            self.lag_s = max(self.lag_s, clock.monotonic_s() - before_s - LAG_TICK_S)


def paid_workers(engine: Engine) -> dict[str, int]:
    """Workers by class, busy or not: the nodes that are brought and let go, or else the streams."""
    if engine.scaling.nodes is None:
        return {"on-demand": engine.streams.size}
    return dict(Counter(row.node_class for row in engine.scaling.nodes.nodes()))


async def measure_room(engine: Engine) -> None:
    """Ask the stores how much room they have, and now and then count what is used of hot."""
    stack = engine.opening.stack
    if stack is None:
        return
    store = stack.tiers["hot"]
    space = await engine.offload.run("room", store.space)
    room = engine.measured.room
    used = room.used_bytes(engine.dispatcher.figures.totals().bytes_stored) if room.url == store.url else None
    row = tier_row(store.url, space, engine.settings.storage, used_bytes=used)
    engine.measured.tiers = await tierrows.with_others(engine, row)
    if space.used_bytes is None:
        stored_total = engine.dispatcher.figures.totals().bytes_stored
        await room.walk_if_due(store, engine.offload, engine.clock, stored_total=stored_total)
        used = room.used_bytes(engine.dispatcher.figures.totals().bytes_stored)
        row = tier_row(store.url, space, engine.settings.storage, used_bytes=used)
        engine.measured.tiers = await tierrows.with_others(engine, row)


async def renew_lease(engine: Engine) -> None:
    """Show other engines that this one lives."""
    repository = engine.opening.repository
    if repository is None:
        return
    try:
        await engine.offload.run("lease", repository.presence.renew)
    except NotPermitted:
        _LOG.debug("no lease is kept in a repository that can only be read")


async def look_at_register(engine: Engine) -> None:
    """See what other engines did: weddings of the register, snapshots of those that are shown first."""
    repository = engine.opening.repository
    if repository is None:
        return
    await weddings.refresh(engine, repository)
    listing = engine.facts.listing(engine.clock.now_ns())
    wanted = (  # those of today first, then as they are shown
        wedding.id
        for position, (wedding, priority) in enumerate(listing.weddings)
        if (position < STATUS_ROWS and priority != "standard") or engine.facts.safety(wedding.id).snapshots is None
    )
    await safety.count_all(engine, repository, wanted)

"""What an engine does by itself once it is open: goes on with old jobs, watches folders, runs schedules.

Assembled by `engine.local`, which owns the tasks. Engine loop only.
"""

from __future__ import annotations

import logging
from collections.abc import Coroutine, Mapping
from functools import partial

from engine.base.errors import WedSyncError
from engine.contract.weddings import PriorityClass
from engine.jobs.offload import Means
from engine.jobs.watcher import Watcher
from engine.operations import dispatch, forecasting, freeze, missing, resuming, setback, watching
from engine.operations.autoscaling import Autoscaling
from engine.operations.context import Engine
from engine.operations.elsewhere import Elsewhere
from engine.operations.migrating import Migrating
from engine.operations.regions import HEAL_S
from engine.operations.scheduling import Scheduler
from engine.operations.scrubbing import SCRUB_S
from engine.repository.repository import Repository
from engine.storage.stack import Stack

_LOG = logging.getLogger(__name__)
_MINUTE_NS = 60 * 10**9


class Standing:
    """The standing orders of one engine."""

    def __init__(self, engine: Engine, means: Means) -> None:
        self._engine = engine
        self._watcher: Watcher = watching.make_watcher(engine, means)
        self._scheduler = Scheduler(engine, means, dispatch.run)
        self._migrating = Migrating(engine)
        self._is_recalling = False
        self._spawn = means.spawn
        self._is_open = False
        self._classed_minute = 0
        engine.kept.watcher = self._watcher
        self._elsewhere = Elsewhere(engine, engine.settings.cluster) if engine.settings.cluster.scheduler else None
        engine.dispatcher.places.runner = self._elsewhere
        if self._elsewhere is not None and engine.settings.cluster.launch:
            engine.scaling.nodes = self._elsewhere.pool
        self._autoscaling = Autoscaling(engine)

    async def remember(self) -> None:
        """Show what ended in earlier lives of this home; before anything else happens."""
        await resuming.remember_ended(self._engine)

    def tasks(self) -> tuple[Coroutine[None, None, None], ...]:
        """What runs as long as the engine does."""
        cluster = () if self._elsewhere is None else (self._elsewhere.pool.keep(),)
        return (
            self._watcher.tend(),
            self._watcher.walk(),
            self._tend_regions(),
            self._tend_copies(),
            self._autoscaling.run(),
            *cluster,
            forecasting.keep_fresh(self._engine),
        )

    async def go_on(self) -> None:
        """The repository is open and the register known: go on from where the last engine on this home was."""
        if self._is_open:
            return
        self._is_open = True
        try:
            await setback.notice(self._engine)
            await resuming.go_on(self._engine)
        finally:
            self._engine.went_on.set()
        watching.begin(self._engine)
        self._spawn(self._learn_copies())

    async def _tend_recalls(self) -> None:
        self._is_recalling = True
        try:
            await self._engine.offload.run("recalls", self._engine.tiering.recalls.tend)
        finally:
            self._is_recalling = False

    async def _learn_copies(self) -> None:
        """What the copy catalog lacks, listings tell; meanwhile packs are looked for where they may be."""
        try:
            await self._engine.offload.run("copies", self._engine.tiering.learn)
        except WedSyncError as error:
            _LOG.warning("the copies in a place could not be listed: %s", error.line())

    async def round(self) -> None:
        """Once a second: schedules that are due, and once a minute the classes that a new day gives."""
        engine = self._engine
        if engine.stopping:
            engine.went_on.set()  # whoever still waits is told that the engine stops
        if not self._is_open or engine.stopping:
            return
        self._scheduler.round()
        self._engine.tiering.round()
        if self._engine.tiering.recalls.is_time() and not self._is_recalling:
            self._spawn(self._tend_recalls())
        if self._migrating.is_time():
            self._spawn(self._migrating.look())
        minute = engine.clock.now_ns() // _MINUTE_NS
        if minute != self._classed_minute:
            self._classed_minute = minute
            freeze.look(engine)
            engine.dispatcher.reclassify(self._classes())

    async def _tend_regions(self) -> None:
        """Give regions what they are owed, and compare them, for ever. What goes wrong is logged, and tried again."""
        engine = self._engine
        while True:
            await engine.clock.sleep(HEAL_S)
            if engine.opening.repository is None or engine.stopping:
                continue
            engine.regional.use(engine.opening.stack, engine.opening.meters)
            try:
                if engine.regional.is_used:
                    await engine.regional.heal(engine.home.locations())
                    await engine.regional.compare(engine.settings)
                    await engine.regional.locking.round(engine.settings.regions)
            except WedSyncError as error:
                _LOG.warning("regions could not be tended: %s", error.line())
            except Exception:
                _LOG.exception("tending the regions met a bug")

    async def _tend_copies(self) -> None:
        """Read copies again, for ever. What goes wrong is logged, and tried again."""
        engine = self._engine
        while True:
            await engine.clock.sleep(SCRUB_S)
            stack = engine.opening.stack
            if engine.opening.repository is None or engine.stopping or stack is None or len(stack.places) < 2:
                continue
            if not engine.scaling.may_do_upkeep(engine.clock.now_ns()):
                continue
            try:
                await engine.regional.scrubbing.round(stack, engine.home.locations(), engine.settings)
                await self._look_for_missing(stack, engine.opening.repository)
            except WedSyncError as error:
                _LOG.warning("copies could not be read again: %s", error.line())
            except Exception:
                _LOG.exception("the scrub met a bug")

    async def _look_for_missing(self, stack: Stack, repository: Repository) -> None:
        engine = self._engine
        await engine.regional.missing.round(
            [wedding.id for wedding in engine.facts.weddings],
            look=partial(missing.find_missing, repository, stack),
            learn=partial(missing.take_in, stack, engine.home.locations()),
        )

    def close(self) -> None:
        """Watch nothing any more, and write the month down."""
        self._engine.accounts.keep()
        self._watcher.close()

    def _classes(self) -> Mapping[str, PriorityClass]:
        listing = self._engine.facts.listing(self._engine.clock.now_ns())
        return {wedding.id: priority for wedding, priority in listing.weddings}

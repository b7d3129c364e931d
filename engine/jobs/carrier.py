"""One attempt of a job: open it, hand its run to the streams, close it. Engine loop only.

In: a job at work with its opener. Out: what came of it, told once to whoever owns the roster. Opening and closing
block and therefore run on the executor, a few at a time for each wedding.
"""

from __future__ import annotations

import asyncio
import contextlib
import functools
import logging
from collections.abc import Callable
from contextlib import AbstractContextManager

from engine.base.errors import WedSyncError
from engine.jobs.offload import Offload
from engine.jobs.roster import Active, Conclusion, Prepared
from engine.jobs.totals import DATED_KINDS
from engine.pipeline.pool import Cancelled, StreamPool

Came = Conclusion | WedSyncError | None  # None: it was told to stop
_LOG = logging.getLogger(__name__)


class Carrier:
    """Carries jobs over the streams."""

    def __init__(
        self,
        pool: StreamPool,
        offload: Offload,
        *,
        opened: Callable[[Active], None],
        left: Callable[[Active, Came], None],
    ) -> None:
        """`opened` is called when a job was opened, or could not be; `left` when it is off the streams and closed."""
        self._pool = pool
        self._offload = offload
        self._opened = opened
        self._left = left

    async def carry(self, active: Active) -> None:
        """From opening to `left`. Nothing is raised but the end of the engine's loop."""
        try:
            came: Came = await self._attempt(active)
        except Cancelled:
            came = None
        except WedSyncError as error:
            came = error
        except asyncio.CancelledError:
            active.stop = "interrupt"
            self._left(active, None)
            raise
        except Exception as error:
            _LOG.exception("a job met a bug", extra={"job": active.job.id})
            came = WedSyncError(f"internal error: {error!r}", "the log in the home has the details")
        self._left(active, came)

    def tell_to_stop(self, active: Active) -> None:
        """Pass on to the run that its job is to stop."""
        if active.run is not None and active.stop == "cancel":
            active.run.cancel()
        elif active.run is not None:
            active.run.interrupt()

    async def _attempt(self, active: Active) -> Conclusion:
        job = active.job
        context = active.spec.open(job)
        try:
            prepared = await self._offload.run(job.wedding_id, context.__enter__)
        finally:
            self._opened(active)
        active.run = prepared.run
        try:
            conclusion = await self._worked(active, prepared)
        except BaseException as error:
            await self._offload.run(job.wedding_id, functools.partial(_leave, context, error))
            raise
        await self._offload.run(job.wedding_id, functools.partial(_leave, context, None))
        return conclusion

    async def _worked(self, active: Active, prepared: Prepared) -> Conclusion:
        prepared.run.priority = active.job.priority  # it may have changed while the run was made
        has_come_through = active.job.kind == "retrieve" and active.job.initiation_s is not None
        if active.job.kind in DATED_KINDS and not has_come_through:
            prepared.run.accepted_s = active.job.queued_monotonic_s
        if active.stop:
            self.tell_to_stop(active)  # it was opened meanwhile; the pool lets go of it in its own way
        self._pool.submit(prepared.run)
        await asyncio.shield(asyncio.wrap_future(prepared.run.done))
        return prepared.conclude()


def _leave(context: AbstractContextManager[Prepared], error: BaseException | None) -> None:
    """Leave what a job opened; a part of it may still fail (an archive that gets its name last)."""
    if error is None:
        context.__exit__(None, None, None)
    else:
        with contextlib.suppress(type(error)):
            context.__exit__(type(error), error, error.__traceback__)

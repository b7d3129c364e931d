"""One attempt of a job: open it, hand its run to the streams, close it; or have a node do all that. Engine loop, but
where it says otherwise.

In: a job at work with its opener. Out: what came of it, told once to whoever owns the roster. Opening blocks and
therefore runs on the executor, a few at a time for each wedding; what was opened is left where the run was ended.
"""

from __future__ import annotations

import asyncio
import contextlib
import functools
import logging
from collections.abc import Callable
from concurrent.futures import Future
from contextlib import AbstractContextManager

from engine.base.errors import WedSyncError
from engine.jobs.offload import Offload
from engine.jobs.places import HERE, Places
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
        places: Places,
        opened: Callable[[Active], None],
        left: Callable[[Active, Came], None],
    ) -> None:
        """`opened` is called when a job was opened, or could not be; `left` when it is off the streams and closed."""
        self._pool = pool
        self._offload = offload
        self._places = places
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
        if active.place != HERE:
            assert self._places.runner is not None
            return await self._places.runner.run(active)
        context = active.spec.open(active.job)
        closed: Future[None] = Future()
        try:
            opened = functools.partial(self._open, active, context, closed)
            prepared = await self._offload.run(active.job.wedding_id, opened)
        finally:
            self._opened(active)
        await self._offload.ended(closed)
        return prepared.conclude()

    def _open(self, active: Active, context: AbstractContextManager[Prepared], closed: Future[None]) -> Prepared:
        """Open a job and give its run to the streams. On the executor: the first unit waits for no turn of the loop."""
        prepared = context.__enter__()
        run = prepared.run
        try:
            active.run = run  # from now on who stops the job, or moves it, tells the run; what was told before is here
            date(active)
            run.priority = active.serves.priority
            if active.stop:
                self.tell_to_stop(active)  # the pool lets go of it in its own way
            run.done.add_done_callback(functools.partial(_close, context, closed))
            self._pool.submit(run)
        except BaseException as error:
            _leave(context, error)
            raise
        return prepared


def date(active: Active) -> None:
    """Say from when on the deadline of a run counts. A retrieval that has come through has none any more."""
    job = active.job
    if (
        active.run is not None
        and job.kind in DATED_KINDS
        and not (job.kind == "retrieve" and job.initiation_s is not None)
    ):
        active.run.accepted_s = active.serves.queued_monotonic_s


def _close(context: AbstractContextManager[Prepared], closed: Future[None], done: Future[object]) -> None:
    """Leave what a job opened, on the closer that ended its run: that waits for the store as the end did."""
    error = done.exception()
    try:
        _leave(context, error)
    except BaseException as other:  # a part of it has failed only now
        error = error or other
    if error is None:
        closed.set_result(None)
    else:
        closed.set_exception(error)


def _leave(context: AbstractContextManager[Prepared], error: BaseException | None) -> None:
    """Leave what a job opened; a part of it may still fail (an archive that gets its name last)."""
    if error is None:
        context.__exit__(None, None, None)
    else:
        with contextlib.suppress(type(error)):
            context.__exit__(type(error), error, error.__traceback__)

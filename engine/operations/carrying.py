"""A node's side of an order: the engine of this process carries out the job of another engine, under its id.

In: orders, from the worker's threads. Out: reports. The job is not kept in this home's journal to be gone on with: that
of the engine which gave the order is the truth. An order for a job that is at work here already joins it, so one that
was given twice, as after the scheduler was lost, is carried out once. Any thread; the work is on the engine loop.
"""

from __future__ import annotations

import asyncio
from concurrent.futures import Future
from typing import Literal

import msgspec

from engine.base.errors import Conflict, Unavailable, UsageError, WedSyncError
from engine.contract import operations as ops
from engine.contract.paths import NODES, node_of
from engine.contract.weddings import Wedding
from engine.jobs.job import Counts, Job
from engine.jobs.records import operation_of
from engine.operations.backups import backup_spec, checked_sources
from engine.operations.context import Engine
from engine.operations.hooks import with_hook
from engine.operations.rounds import look_at_register
from engine.scaling.orders import Order, Report, Tally


class Carrying:
    """The `Host` of a node."""

    def __init__(self, engine: Engine, loop: asyncio.AbstractEventLoop) -> None:
        self._engine = engine
        self._loop = loop
        self._at_work: dict[str, int] = {}  # jobs, and how many orders wait for each; engine loop only

    def carry(self, order: Order) -> Future[Report]:
        """See `Host.carry`."""
        return asyncio.run_coroutine_threadsafe(self._carry(order), self._loop)

    def stop(self, job_id: str, how: Literal["cancel", "interrupt"]) -> None:
        """See `Host.stop`."""
        self._loop.call_soon_threadsafe(self._stop, job_id, how)

    def tallies(self) -> dict[str, Tally]:
        """See `Host.tallies`."""
        return {job_id: self._tally(job_id) for job_id in list(self._at_work)}

    def repository(self) -> str:
        """See `Host.repository`."""
        repository = self._engine.opening.repository
        return repository.id if repository is not None else ""

    async def _carry(self, order: Order) -> Report:
        self._at_work[order.job_id] = self._at_work.get(order.job_id, 0) + 1
        try:
            job = await self._job(order)
            await self._engine.dispatcher.ended(job)
            return _report(job)
        except WedSyncError as error:
            return Report(end="failed", code=error.code, message=error.message, hint=error.hint)
        finally:
            self._at_work[order.job_id] -= 1
            if not self._at_work[order.job_id]:
                del self._at_work[order.job_id]

    async def _job(self, order: Order) -> Job:
        """The job that is at work or done here already, else one that begins now."""
        engine = self._engine
        await engine.opening.needed()
        wedding = await self._wedding(order.wedding_id)
        operation = operation_of(order.arguments, ops.StartBackup)
        if not isinstance(operation, ops.StartBackup):
            raise UsageError(f"a node does not carry out {order.operation}")
        sources = tuple(node_of(each)[1] if each.startswith(NODES) else each for each in operation.sources)
        operation = msgspec.structs.replace(operation, sources=sources)
        await engine.offload.run(wedding.id, lambda: checked_sources(sources))
        known = engine.dispatcher.roster.get(order.job_id)
        if known is not None and (not known.ended or known.state in ("done", "warnings")):
            return known
        spec = msgspec.structs.replace(
            backup_spec(engine, operation, wedding),
            operation="",
            arguments="",
            priority=order.priority,
            priority_given=True,
        )
        is_again = order.is_again or known is not None
        return engine.dispatcher.accept(with_hook(spec, engine.settings.hooks), job_id=order.job_id, is_again=is_again)

    async def _wedding(self, wedding_id: str) -> Wedding:
        """From the register; one that was added a moment ago is looked for."""
        found = self._engine.facts.by_id(wedding_id)
        if found is None:
            await look_at_register(self._engine)
            found = self._engine.facts.by_id(wedding_id)
        if found is None:
            raise Unavailable("the node does not find the wedding in its register", "it opens another repository?")
        return found

    def _stop(self, job_id: str, how: Literal["cancel", "interrupt"]) -> None:
        job = self._engine.dispatcher.roster.get(job_id)
        if job is None or job.ended:
            return
        try:
            if how == "cancel":
                self._engine.dispatcher.cancel(job)
            else:
                self._engine.dispatcher.interrupt(job)
        except Conflict:
            return  # it has just ended

    def _tally(self, job_id: str) -> Tally:
        roster = self._engine.dispatcher.roster
        active, job = roster.active.get(job_id), roster.get(job_id)
        if active is not None:
            return _tally_of(active.counts(), has_sealed=job is not None and job.initiation_s is not None)
        return _tally_of(job.counts, has_sealed=job.initiation_s is not None) if job is not None else Tally()


def _report(job: Job) -> Report:
    tally = _tally_of(job.counts, has_sealed=job.initiation_s is not None)
    if job.state in ("done", "warnings"):
        return Report(end="done", tally=tally)
    if job.error is not None:
        error = job.error
        return Report(end="failed", tally=tally, code=error.code, message=error.message, hint=error.hint)
    return Report(end="stopped", tally=tally)


def _tally_of(counts: Counts, *, has_sealed: bool) -> Tally:
    return Tally(
        files_done=counts.files_done,
        files_total=counts.files_total,
        bytes_read=counts.bytes_read,
        bytes_total=counts.bytes_total,
        bytes_expected=counts.bytes_expected,
        bytes_stored=counts.bytes_stored,
        bytes_reused=counts.bytes_reused,
        files_unchanged=counts.files_unchanged,
        warnings=counts.warnings,
        units=counts.units,
        has_sealed=has_sealed,
    )

"""Jobs on the nodes of a cluster: from a job at work to an order, and back from a report to its end. Engine loop only.

The engine reads the commit itself before a job counts as done: what a node says is not enough. A job whose node is
lost is lined up again at once; one that loses node after node is tried again with growing waits, as if its store did
not answer.
"""

from __future__ import annotations

from collections import Counter

import msgspec

from engine.base.errors import Unavailable
from engine.contract import operations as ops
from engine.contract import wire
from engine.contract.cluster import ClusterSettings
from engine.contract.settings import WARNINGS_TOLD
from engine.jobs.records import arguments_text, operation_of
from engine.jobs.roster import Active, Conclusion
from engine.operations.accepting import open_repository
from engine.operations.context import Engine
from engine.operations.facts import Recovery
from engine.pipeline.pool import Cancelled, Run
from engine.repository.entry import path_text
from engine.repository.reach import require_whole
from engine.repository.snapshot import Snapshot
from engine.scaling.dask_pool import DaskPool, NodeLost
from engine.scaling.orders import Order, Report, Tally

LOST_MAX = 3  # nodes that a job may lose before it has to wait for its next attempt


def _for_a_node(arguments: str, wedding_id: str) -> str:
    """The arguments of a backup without the couple's name, which is nobody's affair on the way."""
    operation = operation_of(arguments, ops.StartBackup)
    return arguments_text(msgspec.structs.replace(operation, wedding=wedding_id))


class RemoteRun(Run[None]):
    """What this engine shows of a job that a node carries. No stream ever asks it for a unit."""

    def __init__(self, engine: Engine) -> None:
        super().__init__()
        self._clock = engine.clock
        self._warned: tuple[str, ...] = ()

    @property
    def stop_wanted(self) -> str:
        """Whether it is to stop, and how."""
        return self._stop

    def take_in(self, tally: Tally) -> None:
        """How far the node is."""
        progress = self.progress
        for name in (
            "files_done", "files_total", "bytes_read", "bytes_total", "bytes_expected", "bytes_stored", "bytes_reused",
            "files_unchanged", "warnings",
        ):  # fmt: skip
            setattr(progress, name, getattr(tally, name))
        self.units_ended = tally.units
        if tally.has_sealed and progress.first_sealed_monotonic is None:
            progress.first_sealed_monotonic = self._clock.monotonic_s()

    def take_warnings(self, committed: Snapshot) -> None:
        """What the node has warned of stands in the snapshot."""
        self._warned = tuple(f"{path_text(each.path)}: {each.what}" for each in committed.body.warnings)
        self.progress.first_warnings = self._warned[:WARNINGS_TOLD]

    def warning_lines(self) -> tuple[str, ...]:
        """See `Run.warning_lines`."""
        return self._warned


class Elsewhere:
    """The `JobRunner` of a cluster. Engine loop only."""

    def __init__(self, engine: Engine, settings: ClusterSettings) -> None:
        self._engine = engine
        self._lost: Counter[str] = Counter()  # nodes, by job
        self.pool = DaskPool(settings, engine.clock, repository=self._repository, changed=engine.dispatcher.look_again)
        self.may, self.pick = self.pool.may, self.pool.pick

    @property
    def problem(self) -> str:
        """See `JobRunner.problem`."""
        return self.pool.problem

    async def run(self, active: Active) -> Conclusion:
        """See `JobRunner.run`."""
        job, run = active.job, RemoteRun(self._engine)
        active.run = run
        run.attach(lambda _: self._stop(active, run))
        if active.stop:
            raise Cancelled
        again = job.attempts > 1 or job.was_held_up
        order = Order(
            job_id=job.id,
            operation=job.operation,
            arguments=_for_a_node(job.arguments, job.wedding_id),
            wedding_id=job.wedding_id,
            priority=job.priority,
            is_again=again,
        )
        try:
            report = await self.pool.carry(active.place, order, run.take_in)
        except NodeLost as lost:
            job.note("node-lost", str(lost), now_ns=self._engine.clock.now_ns())
            self._lost[job.id] += 1
            if self._lost[job.id] > LOST_MAX:
                raise Unavailable(f"{lost}, after {self._lost[job.id] - 1} others") from None
            raise Cancelled from None
        self._lost.pop(job.id, None)
        run.take_in(report.tally)
        return await self._concluded(active, run, report)

    def _stop(self, active: Active, run: RemoteRun) -> None:
        if run.stop_wanted == "cancel":
            self.pool.stop(active.job.id, "cancel")
        elif run.stop_wanted:
            self.pool.stop(active.job.id, "interrupt")

    async def _concluded(self, active: Active, run: RemoteRun, report: Report) -> Conclusion:
        if report.end == "stopped":
            raise Cancelled
        if report.end == "failed":
            raise wire.error_from(wire.Failure(id=0, code=report.code, message=report.message, hint=report.hint))
        job, engine = active.job, self._engine
        committed = await engine.offload.run(job.wedding_id, lambda: self._committed(job.wedding_id, job.id))
        run.take_warnings(committed)
        counts = committed.body.counts
        engine.facts.committed(job.wedding_id, Recovery(committed.body.time_ns, counts.bytes_source))
        return Conclusion(snapshot=committed.id, warnings=counts.warnings)

    def _committed(self, wedding_id: str, job_id: str) -> Snapshot:
        with open_repository(self._engine).vault(wedding_id) as vault:
            committed = vault.committed(job_id)
            if committed is None:
                raise Unavailable("a node says that the job is done, and its snapshot is not there", "see the regions")
            require_whole(vault, committed)
            return committed

    def _repository(self) -> str:
        repository = self._engine.opening.repository
        return repository.id if repository is not None else ""

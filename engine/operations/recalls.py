"""recall: a wedding's packs made readable again, as a job that waits for them."""

from __future__ import annotations

import contextlib
import logging
from collections.abc import Iterator, Sequence

from engine.base.errors import WedSyncError
from engine.base.units import format_count
from engine.contract import operations as ops
from engine.contract.placements import Recall, RecallPlan, RecallReport
from engine.contract.weddings import Wedding
from engine.jobs.job import Job
from engine.jobs.roster import Conclusion, JobSpec, Prepared
from engine.operations.accepting import kept, open_repository
from engine.operations.browsing import no_snapshot, with_vault
from engine.operations.context import Engine, Handler, Resumer
from engine.operations.outcomes import carried_out
from engine.operations.recalling import Need
from engine.pipeline.plan import Selection, pack_sizes
from engine.pipeline.recall import RecallRun
from engine.repository.vault import WeddingVault

_LOG = logging.getLogger(__name__)


async def recall(engine: Engine, operation: Recall) -> ops.Result:
    """See `Recall`. Where everything can be read already the job ends at once."""
    wedding = engine.facts.find(operation.wedding)
    need = await with_vault(
        engine, operation.wedding, lambda vault: _needed(engine, vault, wedding, operation), nothing=no_snapshot
    )
    if operation.dry_run:
        return RecallPlan(
            packs=len(need.names),
            bytes=sum(need.names.values()),
            packs_readable=need.readable,
            speed=need.speed,
            eta_s=need.eta_s,
            cost=need.cost,
            meets_objective=need.meets_objective,
        )
    result = await carried_out(engine, recall_spec(engine, operation, wedding), wait=operation.wait)
    return RecallReport(job=result.job, warnings=result.warnings)


def recall_spec(engine: Engine, operation: Recall, wedding: Wedding) -> JobSpec:
    """The job that `operation` asks for, now or after a restart: it asks again then, and learns what has come."""
    recalls = engine.tiering.recalls

    @contextlib.contextmanager
    def opened(job: Job) -> Iterator[Prepared]:
        with open_repository(engine).vault(job.wedding_id) as vault:
            need = _needed(engine, vault, wedding, operation)
        job.was_held_up = True  # how long it takes is the store's affair
        recalls.begin(wedding.name, need, held=True)
        run = RecallRun(need.names, recalls)

        def conclude() -> Conclusion:
            return Conclusion(message=f"{format_count(run.done.result(), 'pack')} can be read")

        with engine.tiering.waking(run):
            yield Prepared(run, conclude)

    return kept(JobSpec("recall", wedding, "standard", True, opened, turn=("recall", wedding.id)), operation)


def _needed(engine: Engine, vault: WeddingVault, wedding: Wedding, operation: Recall) -> Need:
    """Blocks."""
    snapshot = vault.find_snapshot(operation.snapshot) if operation.snapshot else None
    packs = pack_sizes(vault, snapshot, Selection())
    return engine.tiering.recalls.needed(wedding.id, packs, speed=operation.speed)


def recall_together(engine: Engine, weddings: Sequence[Wedding]) -> None:
    """Ask at once for what the newest snapshots of many weddings need, so that none waits for another's. Blocks."""
    for wedding in weddings:
        if not engine.tiering.recalls.may_need(wedding.id):
            continue
        try:
            with open_repository(engine).vault(wedding.id) as vault:
                packs = pack_sizes(vault, vault.find_snapshot("latest"), Selection())
            engine.tiering.recalls.begin(wedding.name, engine.tiering.needed_for(wedding, packs))
        except WedSyncError as error:  # its own job asks again, and tells
            _LOG.warning("a wedding was not recalled ahead: %s", error.line(), extra={"wedding": wedding.id})


HANDLERS: dict[str, Handler] = {"recall": recall}
RESUMERS: dict[str, Resumer] = {"recall": recall_spec}

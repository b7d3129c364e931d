"""verify: structure, every pack by its name, every blob by decryption, and every file or every copy if asked."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator

import msgspec

from engine.base.errors import IntegrityError, UsageError
from engine.base.units import format_count
from engine.contract import operations as ops
from engine.contract.weddings import Wedding
from engine.jobs.job import Job
from engine.jobs.roster import Conclusion, JobSpec, Prepared
from engine.operations import copysurvey
from engine.operations.accepting import kept, open_repository
from engine.operations.context import Engine, Handler, Resumer
from engine.operations.outcomes import carried_out, judged
from engine.operations.weddings import heal_register
from engine.pipeline.repair import RepairOutcome, RepairRun
from engine.pipeline.verify import VerifyOutcome, VerifyRun


async def verify(engine: Engine, operation: ops.Verify) -> ops.Result:
    """See `ops.Verify`. Problems are in the report, and make the job one that failed with an integrity error."""
    wedding = engine.facts.find(operation.wedding)
    if operation.all and operation.copies:
        raise UsageError(
            "--all reads one copy of each file, --copies every copy of each pack", "ask for one of the two"
        )
    await engine.opening.needed()
    found: list[VerifyOutcome] = []
    result = await carried_out(engine, verify_spec(engine, operation, wedding, found), wait=operation.wait)
    if not operation.wait or not found:
        return result
    outcome = found[-1]
    more = outcome.problems_total - len(outcome.problems)
    return ops.VerifyReport(
        job=result.job,
        snapshots=outcome.snapshots,
        packs=outcome.packs,
        blobs=outcome.blobs,
        files=outcome.files,
        copies=outcome.copies,
        bytes_checked=outcome.bytes_checked,
        problems=tuple(outcome.problems),
        warnings=(*outcome.healed, format_count(more, "more problem")) if more else tuple(outcome.healed),
    )


def verify_spec(
    engine: Engine, operation: ops.Verify, wedding: Wedding, found: list[VerifyOutcome] | None = None
) -> JobSpec:
    """The job that `operation` asks for, now or after a restart; it begins anew then. `found` takes the outcome."""

    @contextlib.contextmanager
    def opened(job: Job) -> Iterator[Prepared]:
        if operation.copies:
            with copysurvey.reading(engine, wedding, copysurvey.packs_of) as run:
                yield judged(run, found, refuse_problems)
            return
        with engine.tiering.readers.reading(wedding.id), open_repository(engine).vault(job.wedding_id) as vault:
            archived = engine.tiering.archived(vault, wedding)
            yield judged(VerifyRun(vault, all_files=operation.all, archived=archived), found, refuse_problems)

    turn = ("verify", wedding.id, "all" if operation.all else "copies" if operation.copies else "")
    return kept(JobSpec("verify", wedding, "standard", True, opened, turn=turn), operation)


def refuse_problems(outcome: VerifyOutcome) -> Conclusion:
    """Nothing to tell. Raises IntegrityError when the verification found problems."""
    count = outcome.problems_total
    if count:
        more = f" and {format_count(count - 1)} more" if count > 1 else ""
        hint = "a backup stores again what its source still has, repair saves what is still good"
        raise IntegrityError(f"{outcome.problems[0]}{more}", hint)
    return Conclusion()


async def repair(engine: Engine, operation: ops.Repair) -> ops.Result:
    """See `ops.Repair`. Losses are in the report, and make the job one that failed with an integrity error."""
    wedding = engine.facts.find(operation.wedding)
    healed = await heal_register(engine, dry_run=operation.dry_run)
    found: list[RepairOutcome] = []
    result = await carried_out(engine, repair_spec(engine, operation, wedding, found), wait=operation.wait)
    if not operation.wait or not found:
        return msgspec.structs.replace(result, warnings=(*healed, *result.warnings))
    outcome = found[-1]
    return ops.RepairReport(
        warnings=healed,
        job=result.job,
        packs=outcome.packs,
        packs_recovered=outcome.packs_recovered,
        packs_dropped=outcome.packs_dropped,
        chunks_saved=outcome.chunks_saved,
        fragments_replaced=outcome.fragments_replaced,
        problems=tuple(outcome.problems),
        losses=tuple(outcome.losses),
        losses_total=outcome.losses_total,
    )


def repair_spec(
    engine: Engine, operation: ops.Repair, wedding: Wedding, found: list[RepairOutcome] | None = None
) -> JobSpec:
    """The job that `operation` asks for, now or after a restart; it begins anew then. `found` takes the outcome."""

    @contextlib.contextmanager
    def opened(job: Job) -> Iterator[Prepared]:
        with engine.tiering.readers.reading(wedding.id), open_repository(engine).vault(job.wedding_id) as vault:
            run = RepairRun(vault, engine.entropy, contents=operation.all, dry_run=operation.dry_run)
            yield judged(run, found, refuse_losses)

    return kept(JobSpec("repair", wedding, "standard", True, opened, turn=("repair", wedding.id)), operation)


def refuse_losses(outcome: RepairOutcome) -> Conclusion:
    """Nothing to tell. Raises IntegrityError when files cannot be restored any more."""
    if outcome.losses_total:
        more = f" and {format_count(outcome.losses_total - 1)} more" if outcome.losses_total > 1 else ""
        raise IntegrityError(
            f"lost: {outcome.losses[0]}{more}", "back up the source again if it still stands; the rest can be restored"
        )
    return Conclusion()


HANDLERS: dict[str, Handler] = {"verify": verify, "repair": repair}
RESUMERS: dict[str, Resumer] = {"verify": verify_spec, "repair": repair_spec}

"""prune: forget by rule, then delete what nothing needs; one job a wedding."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Iterator

import msgspec

from engine.base.errors import IntegrityError, NotFound, UsageError
from engine.base.units import format_bytes, format_count, format_time
from engine.contract import operations as ops
from engine.contract import retention as contract
from engine.contract.status import JobRow
from engine.contract.weddings import Hold, Wedding
from engine.jobs.job import Job
from engine.jobs.roster import Conclusion, JobSpec, Prepared
from engine.operations import freeze
from engine.operations.accepting import accept, kept, open_repository
from engine.operations.browsing import with_vault
from engine.operations.context import Engine, Handler, Resumer
from engine.operations.queue import ended
from engine.operations.weddings import change, one_line, refresh
from engine.pipeline.prune import Engaged, PruneOutcome, PruneRun
from engine.repository import pruning, retention
from engine.repository.repository import Repository
from engine.repository.snapshot import Snapshot

AT_ONCE = 8  # weddings; those that wait for other engines take no stream, and wait together
VERDICTS_TOLD = 10_000


async def prune(engine: Engine, operation: contract.Prune) -> ops.Result:
    """See `contract.Prune`. Of every wedding: what went wrong with one is a warning, and keeps no other."""
    retention.parse_policy(operation.keep)
    repository = await engine.opening.needed()
    await refresh(engine, repository)
    refuse_unknown_holds(repository)
    if not (operation.dry_run or operation.anyway) and (words := freeze.words(engine)):
        return msgspec.structs.replace(_report([], operation), warnings=(words,))
    if operation.wedding:
        wedding = engine.facts.find(operation.wedding)
        found: list[PruneOutcome] = []
        job = await accept(engine, prune_spec(engine, operation, wedding, found))
        if not operation.wait:
            return ops.JobResult(job=engine.dispatcher.row(job))
        result = await ended(engine, job)
        if not found:
            return result
        return _report([(result.job, found[-1])], operation)
    done = await _each(engine, operation)
    if not operation.wait:
        return ops.JobList(jobs=tuple(row for row, _ in done), total=len(done))
    return _report(done, operation)


async def _each(engine: Engine, operation: contract.Prune) -> list[tuple[JobRow, PruneOutcome | None]]:
    """A prune of every wedding, a few at a time."""
    gate = asyncio.Semaphore(AT_ONCE)
    done: list[tuple[JobRow, PruneOutcome | None]] = []

    async def one(wedding: Wedding) -> None:
        async with gate:
            found: list[PruneOutcome] = []
            only = msgspec.structs.replace(operation, wedding=wedding.name)
            job = await accept(engine, prune_spec(engine, only, wedding, found))
            row = (await ended(engine, job)).job if operation.wait else engine.dispatcher.row(job)
            done.append((row, found[-1] if found else None))

    async with asyncio.TaskGroup() as group:
        for wedding in engine.facts.weddings:
            group.create_task(one(wedding))
    return sorted(done, key=lambda each: each[0].wedding)


async def hold(engine: Engine, operation: contract.HoldWedding) -> contract.HoldList:
    """See `contract.HoldWedding`. It is of the repository: every engine heeds it from its next prune on."""
    wedding = engine.facts.find(operation.wedding)
    reason = one_line(operation.reason)
    if not operation.release and not reason:
        raise UsageError("a hold needs a reason", "give --reason TEXT, as --reason 'claim 2026-114'")
    snapshot = operation.snapshot
    if snapshot and not (operation.release and any(each.snapshot == snapshot for each in wedding.holds)):
        snapshot = await with_vault(engine, operation.wedding, lambda vault: vault.find_snapshot(snapshot).id)
    now_ns = engine.clock.now_ns()

    def changed(wedding: Wedding) -> dict[str, object]:
        others = tuple(each for each in wedding.holds if each.snapshot != snapshot)
        if operation.release:
            if len(others) == len(wedding.holds):
                raise NotFound(f"{snapshot[:8] or wedding.name} is not held", "weddings and snapshots show what is")
            return {"holds": others}
        placed = Hold(snapshot=snapshot, reason=reason, since_ns=now_ns)
        return {"holds": tuple(sorted((*others, placed), key=lambda each: each.snapshot))}

    word = "released" if operation.release else "held"
    held = (await change(engine, operation.wedding, changed, word)).wedding
    rows = (
        contract.HoldRow(snapshot=each.snapshot, reason=each.reason, since=format_time(each.since_ns))
        for each in held.holds
    )
    return contract.HoldList(wedding=held.name, holds=tuple(rows))


def prune_spec(
    engine: Engine, operation: contract.Prune, wedding: Wedding, found: list[PruneOutcome] | None = None
) -> JobSpec:
    """The job that `operation` asks for, now or after a restart; it begins anew then. `found` takes the outcome."""

    @contextlib.contextmanager
    def opened(job: Job) -> Iterator[Prepared]:
        repository = open_repository(engine)
        repository.refresh()  # a hold that another engine has placed counts from now on
        refuse_unknown_holds(repository)
        standing = repository.register.by_id(job.wedding_id)
        policy = policy_of(engine, operation, standing)
        held = {each.snapshot for each in standing.holds}

        def decide(snapshots: list[Snapshot]) -> list[retention.Verdict]:
            facts = pruning.facts_of(snapshots, held)
            return retention.decide(facts, policy, standing.timezone, engine.clock.now_ns())

        presence = repository.presence
        with presence.using(bytes.fromhex(job.wedding_id)) as use, repository.used_vault(job.wedding_id) as vault:
            archived = engine.tiering.archived(vault, wedding)
            engaged = Engaged(presence, use, engine.clock, engine.entropy, archived)
            run = PruneRun(vault, engaged, decide, dry_run=operation.dry_run)

            def conclude() -> Conclusion:
                outcome = run.done.result()
                if found is not None:
                    found.append(outcome)
                if not operation.dry_run and len(engine.tiering.present) == 1:  # else the next walk tells
                    engine.measured.room.let_go(outcome.bytes_freed)
                return Conclusion(message=outcome_line(outcome, dry_run=operation.dry_run))

            yield Prepared(run, conclude)

    spec = JobSpec("prune", wedding, "standard", True, opened, turn=("prune", wedding.id))
    return kept(spec, operation)


def policy_of(engine: Engine, operation: contract.Prune, wedding: Wedding) -> retention.Policy:
    """The rules for a wedding: those given now, its own, or those for all."""
    rules = engine.settings.retention
    own = retention.rules_of(wedding.name, rules.weddings)
    return retention.parse_policy(operation.keep or (rules.keep if own is None else own))


def refuse_unknown_holds(repository: Repository) -> None:
    """Raise IntegrityError where a part of the register cannot be read: it may be what holds a wedding."""
    for problem in repository.register.problems:
        raise IntegrityError(f"nothing is pruned: {problem}", "run repair, or bring it back from a copy")


def look_again(engine: Engine) -> None:
    """Wake the jobs that rest until other engines have answered."""
    for active in engine.dispatcher.roster.active.values():
        if isinstance(active.run, PruneRun) and active.run.is_waiting:
            active.run.look_again()


HANDLERS: dict[str, Handler] = {"prune": prune, "hold": hold}


def _resumed(engine: Engine, operation: contract.Prune, wedding: Wedding) -> JobSpec:
    return prune_spec(engine, operation, wedding)


RESUMERS: dict[str, Resumer] = {"prune": _resumed}


# --- what is told -------------------------------------------------------------------------------------


def outcome_line(outcome: PruneOutcome, *, dry_run: bool) -> str:
    """What a prune did, in a sentence."""
    gone = sum(not verdict.stays for verdict in outcome.verdicts)
    would = "would " if dry_run else ""
    words = (
        f"{format_count(gone, 'snapshot')} of {len(outcome.verdicts)} and {format_count(outcome.packs_freed, 'pack')}"
    )
    freed = format_bytes(max(0, outcome.bytes_freed - outcome.bytes_written))
    return f"{words} {would}go, {freed} {would}come free" if dry_run else f"{words} are gone, {freed} came free"


def _report(done: list[tuple[JobRow, PruneOutcome | None]], operation: contract.Prune) -> contract.PruneReport:
    outcomes = [(row.wedding, outcome) for row, outcome in done if outcome is not None]
    verdicts = [verdict for wedding, outcome in outcomes for verdict in _verdicts(wedding, outcome)]
    told = [verdict for verdict in verdicts if operation.wedding or not verdict.stays]
    return contract.PruneReport(
        weddings=tuple(_row(wedding, outcome) for wedding, outcome in outcomes),
        snapshots=tuple(told[:VERDICTS_TOLD]),
        jobs=tuple(row for row, _ in done),
        dry_run=operation.dry_run,
        bytes_freed=sum(outcome.bytes_freed - outcome.bytes_written for _, outcome in outcomes),
    )


def _row(wedding: str, outcome: PruneOutcome) -> contract.PrunedWedding:
    kept_count = sum(verdict.stays for verdict in outcome.verdicts)
    return contract.PrunedWedding(
        wedding=wedding,
        snapshots_kept=kept_count,
        snapshots_gone=len(outcome.verdicts) - kept_count,
        packs_freed=outcome.packs_freed,
        bytes_freed=outcome.bytes_freed,
        packs_repacked=outcome.packs_repacked,
        bytes_written=outcome.bytes_written,
        bytes_young=outcome.bytes_young,
    )


def _verdicts(wedding: str, outcome: PruneOutcome) -> Iterator[contract.SnapshotVerdict]:
    for item, verdict in zip(outcome.snapshots, outcome.verdicts, strict=True):
        yield contract.SnapshotVerdict(
            wedding=wedding,
            id=item.id,
            time=format_time(item.body.time_ns),
            stays=verdict.stays,
            reasons=verdict.reasons,
        )

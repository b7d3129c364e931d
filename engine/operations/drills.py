"""drill: restore a sample of a wedding by chance, compare it, and tell how long it took."""

from __future__ import annotations

import contextlib
import os
import random
import shutil
from collections.abc import Iterator
from pathlib import Path

import msgspec

from engine.base.errors import Conflict, IntegrityError, LimitReached, NotFound, NotPermitted, UsageError
from engine.base.units import format_bytes, format_count, format_rate, format_span
from engine.contract import drills
from engine.contract import operations as ops
from engine.contract.weddings import Wedding
from engine.jobs.job import Job
from engine.jobs.roster import Conclusion, JobSpec, Prepared
from engine.operations import recoverytimes
from engine.operations.accepting import kept, open_repository
from engine.operations.context import Engine, Handler, Resumer
from engine.operations.outcomes import carried_out, judged
from engine.operations.recalling import Need
from engine.operations.retrievals import recalled
from engine.pipeline.drill import DrillOutcome, DrillRun, Sample, album, files_of, sample
from engine.pipeline.plan import pack_sizes
from engine.pipeline.targets.folder import FolderTarget
from engine.repository.entry import Entry

ALBUM_BYTES = 2_000_000_000


async def drill(engine: Engine, operation: drills.Drill) -> ops.Result:
    """See `drills.Drill`. Files that come back otherwise make the job one that failed with an integrity error."""
    wedding = engine.facts.find(operation.wedding)
    if operation.files < 1:
        raise UsageError("a drill restores at least one file", "give --files 20")
    if engine.home.read_only and not operation.to:
        raise NotPermitted(f"no drill in it: {engine.home.read_only}", "give --to DIR")
    await engine.opening.needed()
    found: list[DrillOutcome] = []
    result = await carried_out(engine, drill_spec(engine, operation, wedding, found), wait=operation.wait)
    if not operation.wait or not found:
        return result
    outcome = found[-1]
    return drills.DrillReport(
        job=result.job,
        snapshot=result.job.snapshot,
        files=outcome.files,
        bytes_restored=outcome.bytes_restored,
        first_file_s=outcome.first_file_s,
        restored_s=outcome.restored_s,
        compared_with_source=outcome.compared_with_source,
        size=operation.size,
        tier=outcome.tier,
        projected_100gb_s=recoverytimes.projected_s(outcome),
        problems=outcome.problems,
        warnings=outcome.source_changes,
    )


def drill_spec(
    engine: Engine, operation: drills.Drill, wedding: Wedding, found: list[DrillOutcome] | None = None
) -> JobSpec:
    """The job that `operation` asks for, now or after a restart; it begins anew then. `found` takes the outcome."""

    @contextlib.contextmanager
    def opened(job: Job) -> Iterator[Prepared]:
        above = Path(operation.to).expanduser() if operation.to else engine.home.path
        if not above.is_dir():
            raise NotFound(f"there is no folder {above} to drill in", "make it first, or leave --to out")
        with (
            engine.tiering.readers.reading(job.wedding_id),
            open_repository(engine).vault(job.wedding_id) as vault,
            scratch(above.absolute() / f"drill-{job.id}") as root,
            contextlib.closing(FolderTarget(root, entropy=engine.entropy)) as target,
        ):
            snapshot = vault.find_snapshot(operation.snapshot)
            job.snapshot = snapshot.id
            entries = _chosen(vault.entries(snapshot), operation, random.Random(engine.entropy.token(16)))
            refuse_to_fill(above, sum(entry.data_bytes for entry in entries))
            drilled = Sample(entries, recoverytimes.tier_of_packs(engine, vault, entries))
            begun_s = engine.clock.monotonic_s()
            packs = pack_sizes(vault, snapshot, drilled.selection)
            if not operation.recall and (need := engine.tiering.needed_for(wedding, packs)).names:
                raise archived(need)
            readable = recalled(engine, job, wedding, pack_sizes_of=lambda: packs)
            if readable is not None:
                drilled = msgspec.structs.replace(drilled, readable=readable, requested_s=begun_s)
            run = DrillRun(vault, snapshot, drilled, target, root=root)

            def judge(outcome: DrillOutcome) -> Conclusion:
                refuse_problems(outcome)
                recoverytimes.keep(engine, wedding.name, operation.size, outcome)
                warnings = len(target.warnings) + len(outcome.source_changes)
                return Conclusion(snapshot=snapshot.id, warnings=warnings, message=outcome_line(outcome))

            with engine.tiering.waking(run):
                yield judged(run, found, judge)

    spec = JobSpec("drill", wedding, "standard", True, opened, turn=("drill", wedding.id))
    return kept(spec, operation)


def _chosen(entries: Iterator[Entry], operation: drills.Drill, chance: random.Random) -> list[Entry]:
    """The files of a drill of this size."""
    if operation.size == "wedding":
        return files_of(entries)
    if operation.size == "album":
        return album(files_of(entries), ALBUM_BYTES, chance)
    return sample(entries, 1 if operation.size == "first-file" else operation.files, chance)


def archived(need: Need) -> Conflict:
    """What is said when a drill would have to recall packs and nobody said that it may."""
    packs = format_count(len(need.names), "pack")
    return Conflict(
        f"{packs} of it have to be recalled before they can be read, which costs {need.cost:.2f}",
        "recall the wedding first, or say --recall: the drill then waits, and counts the wait",
    )


@contextlib.contextmanager
def scratch(path: Path) -> Iterator[bytes]:
    """A folder that is not there before and after the block, whatever an attempt that was killed left in it. Blocks."""
    _remove(path)
    try:
        yield os.fsencode(path)
    finally:
        _remove(path)


def refuse_to_fill(folder: Path, needed_bytes: int) -> None:
    """Raise LimitReached when a sample would leave less than half of what is free now: others need the disk."""
    free_bytes = shutil.disk_usage(folder).free
    if needed_bytes > free_bytes // 2:
        what = f"the sample takes {format_bytes(needed_bytes)}, and {folder} has {format_bytes(free_bytes)} free"
        raise LimitReached(what, "give --to DIR on another disk, or a smaller --files")


def _remove(path: Path) -> None:
    with contextlib.suppress(FileNotFoundError):
        shutil.rmtree(path)


def outcome_line(outcome: DrillOutcome) -> str:
    """What a drill measured, in a sentence."""
    rate = outcome.bytes_restored / outcome.restored_s if outcome.restored_s > 0 else 0.0
    return (
        f"{format_count(outcome.files, 'file')}, {format_bytes(outcome.bytes_restored)} came back in "
        f"{format_span(outcome.restored_s)} ({format_rate(rate)}) from {outcome.tier}, the first after "
        f"{format_span(outcome.first_file_s)}"
    )


def refuse_problems(outcome: DrillOutcome) -> None:
    """Raise IntegrityError when a file came back otherwise than it was backed up."""
    if outcome.problems:
        count = len(outcome.problems) - 1
        more = f", and {format_count(count, 'more file')}" if count else ""
        raise IntegrityError(f"{outcome.problems[0]}{more}", "check the disk it was restored to, and run verify --all")


HANDLERS: dict[str, Handler] = {"drill": drill}
RESUMERS: dict[str, Resumer] = {"drill": drill_spec}

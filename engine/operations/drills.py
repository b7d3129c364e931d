"""drill: restore a sample of a wedding by chance, compare it, and tell how long it took."""

from __future__ import annotations

import contextlib
import os
import random
import shutil
from collections.abc import Iterator
from pathlib import Path

from engine.base.errors import Conflict, IntegrityError, LimitReached, NotPermitted, UsageError
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
from engine.pipeline.drill import DrillOutcome, DrillRun, album, files_of, sample
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
        with (
            engine.tiering.readers.reading(job.wedding_id),
            open_repository(engine).vault(job.wedding_id) as vault,
            scratch(above.absolute() / f"drill-{job.id}") as root,
            contextlib.closing(FolderTarget(root, entropy=engine.entropy)) as target,
        ):
            if engine.tiering.archived(vault, wedding):
                raise Conflict("packs of it have to be recalled before they can be read", "recall it, then drill")
            snapshot = vault.find_snapshot(operation.snapshot)
            job.snapshot = snapshot.id
            entries = _chosen(vault.entries(snapshot), operation, random.Random(engine.entropy.token(16)))
            refuse_to_fill(above, sum(entry.data_bytes for entry in entries))
            run = DrillRun(vault, snapshot, entries, target, root=root)
            run.tier = recoverytimes.tier_of_packs(engine, vault, entries)

            def judge(outcome: DrillOutcome) -> Conclusion:
                refuse_problems(outcome)
                recoverytimes.keep(engine, wedding.name, operation.size, outcome)
                warnings = len(target.warnings) + len(outcome.source_changes)
                return Conclusion(snapshot=snapshot.id, warnings=warnings, message=outcome_line(outcome))

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

"""analyze --photos: which photographs of a wedding look alike. Told, never acted on."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator

from engine.contract import operations as ops
from engine.contract.photos import AnalyzePhotos, PhotoGroup, PhotoReport
from engine.contract.weddings import Wedding
from engine.jobs.job import Job
from engine.jobs.roster import Conclusion, JobSpec, Prepared
from engine.operations.accepting import kept, open_repository
from engine.operations.context import Engine, Handler, Resumer
from engine.operations.outcomes import carried_out, judged
from engine.pipeline.lookalikes import LookalikeOutcome, LookalikeRun
from engine.pipeline.pictures import PictureHasher


async def analyze_photos(engine: Engine, operation: AnalyzePhotos) -> ops.Result:
    """See `AnalyzePhotos`. Raises NotFound where the extra is not installed."""
    wedding = engine.facts.find(operation.photos)
    await engine.offload.run("photos", PictureHasher)  # so that who asked learns at once
    await engine.opening.needed()
    found: list[LookalikeOutcome] = []
    result = await carried_out(engine, photos_spec(engine, operation, wedding, found), wait=operation.wait)
    if not operation.wait or not found:
        return result
    outcome = found[-1]
    return PhotoReport(
        job=result.job,
        snapshot=result.job.snapshot,
        photographs=outcome.photographs,
        groups=tuple(
            PhotoGroup(group.photographs, group.files, group.size_bytes, group.paths) for group in outcome.groups
        ),
        groups_total=outcome.groups_total,
        alike=outcome.alike,
        same_files=outcome.same_files,
        damaged=outcome.damaged,
        refused=outcome.refused,
        blank=outcome.blank,
        passed_over=outcome.passed_over,
        warnings=result.warnings,
    )


def photos_spec(
    engine: Engine, operation: AnalyzePhotos, wedding: Wedding, found: list[LookalikeOutcome] | None = None
) -> JobSpec:
    """The job that `operation` asks for, now or after a restart; it begins anew then. `found` takes the outcome."""

    @contextlib.contextmanager
    def opened(job: Job) -> Iterator[Prepared]:
        with open_repository(engine).vault(job.wedding_id) as vault:
            snapshot = vault.find_snapshot(operation.snapshot)
            job.snapshot = snapshot.id
            run = LookalikeRun(vault, snapshot, PictureHasher(), distance=operation.distance)

            def judge(outcome: LookalikeOutcome) -> Conclusion:
                message = f"{outcome.groups_total} groups of {outcome.alike} photographs that look alike"
                return Conclusion(snapshot=snapshot.id, message=message)

            yield judged(run, found, judge)

    return kept(JobSpec("analyze", wedding, "standard", True, opened, turn=("analyze", wedding.id)), operation)


HANDLERS: dict[str, Handler] = {"analyze_photos": analyze_photos}
RESUMERS: dict[str, Resumer] = {"analyze_photos": photos_spec}

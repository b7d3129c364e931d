"""What wants a person: a repository that does not open or was found odd, jobs that failed, files that were not kept.

Made from memory with each status document. A job's alert stands until a later job of its kind and wedding ends
better, or until it is old. Engine loop only.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator

from engine.base.units import format_count
from engine.contract.settings import STATUS_ROWS
from engine.contract.status import AlertRow, JobKind
from engine.jobs.job import Job
from engine.operations import recoverytimes
from engine.operations.context import Engine

FAILURE_STANDS_NS = 7 * 86_400 * 10**9
WARNING_STANDS_NS = 86_400 * 10**9
_AGAIN: dict[JobKind, str] = {
    "backup": "back it up again", "store": "store it again", "retrieve": "retrieve it again",
    "verify": "the repository may be damaged", "repair": "back up again what is lost",
    "drill": "what is kept may not come back", "migrate": "what was not moved stays where it was",
    "recall": "recall it again", "prune": "the store goes on filling",
    "analyze": "look at the photographs again",
}  # fmt: skip
_WARNED: dict[JobKind, str] = {
    "backup": "could not be kept", "store": "could not be kept", "migrate": "could not be moved",
}  # fmt: skip


def alerts_of(engine: Engine) -> tuple[AlertRow, ...]:
    """All of them: those of the engine, of weddings that nothing protects, then of jobs from the newest on."""
    of_jobs = job_alerts(engine.dispatcher.roster.ended(), now_ns=engine.clock.now_ns())
    return (
        *_of_the_engine(engine),
        *engine.coverage.alerts(engine),
        *engine.regional.alerts(engine.settings),
        *recoverytimes.alerts(engine),
        *engine.scaling.alerts(),
        *_of_the_calendar(engine),
        *of_jobs,
    )


def _of_the_engine(engine: Engine) -> Iterator[AlertRow]:
    since_ns = engine.measured.infrastructure.started_ns
    failure = engine.opening.failure
    if failure is not None:
        yield AlertRow(
            id="repository", level="critical", since_ns=since_ns, subject="repository", message=failure.line()
        )
    if engine.home.notice:
        yield AlertRow(id="home", level="warning", since_ns=since_ns, subject="engine", message=engine.home.notice)
    if engine.door_problem:
        yield AlertRow(id="door", level="warning", since_ns=since_ns, subject="engine", message=engine.door_problem)
    for tier, (since_ns, words) in engine.tiering.away.items():
        yield AlertRow(id=f"tier-{tier}", level="warning", since_ns=since_ns, subject=tier, message=words)
    if engine.opening.repository is not None:
        for number, words in enumerate(engine.opening.repository.warnings[:STATUS_ROWS], 1):
            yield AlertRow(
                id=f"repository-{number}", level="warning", since_ns=since_ns, subject="repository", message=words
            )


def _of_the_calendar(engine: Engine) -> Iterator[AlertRow]:
    """That a feed which is set cannot be relied on: what is to come is forecast without it."""
    forecasting = engine.forecasting
    if engine.settings.calendar.feed and forecasting.note and forecasting.note_since_ns:
        yield AlertRow(
            id="calendar", level="warning", since_ns=forecasting.note_since_ns, subject="calendar",
            message=forecasting.note,
        )  # fmt: skip


def job_alerts(jobs: Iterable[Job], *, now_ns: int) -> Iterator[AlertRow]:
    """Alerts of ended jobs; `jobs` come with the newest ended one first."""
    seen: set[tuple[str, str]] = set()
    for job in jobs:
        matter = (job.wedding_id, job.kind)
        if not job.ended or matter in seen or job.state in ("cancelled", "interrupted"):
            continue
        seen.add(matter)
        age_ns = now_ns - job.ended_ns
        if job.state == "failed" and age_ns < FAILURE_STANDS_NS:
            reason = job.message or job.code
            words = f"{job.kind} failed: {reason}; {_AGAIN[job.kind]}"
            yield _alert(job, "critical", words)
        elif job.state == "warnings" and job.kind != "verify" and age_ns < WARNING_STANDS_NS:
            what = _WARNED.get(job.kind, "could not be brought back")
            count, noun = job.counts.warnings, "pack" if job.kind in ("migrate", "recall") else "file"
            files = format_count(count, noun) if count else f"some {noun}s"
            yield _alert(job, "warning", f"{files} {what} as they were; the warnings of job {job.id[:8]} name them")


def _alert(job: Job, level: str, words: str) -> AlertRow:
    return AlertRow(
        id=f"job-{job.id}",
        level="critical" if level == "critical" else "warning",
        since_ns=job.ended_ns,
        subject=job.wedding,
        message=words,
    )

"""Results, events and jobs as a few lines for a person at a terminal: what goes to standard error.

Words and tables are those of `screens.tables`, so that console and command line never disagree. Long lists are
cut here, since standard output carries them whole. Pure.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

from engine.base.units import format_bytes, format_count, format_rate, format_span
from engine.contract import drills, photos, placements, receipts, recovery, retention, simulations
from engine.contract import operations as ops
from engine.contract.events import Event
from engine.contract.status import JOB_STATES_ENDED, JobRow, Status
from screens.tables import Sheet, job_sentence, money_words, sentence_of, sheet_of
from screens.text import Span, clean, cut, width_of

ROWS_MAX = 50
COLUMN_MAX = 200  # cells
_LISTS = ("weddings", "snapshots", "entries", "rows", "jobs", "keys", "settings", "watches", "schedules", "holds")


def users_of(status: Status) -> str:
    """Who uses an engine that this program leaves: `1 other console and 2 jobs`."""
    others = status.infrastructure.attached
    jobs = status.dashboard.jobs_running + status.dashboard.jobs_queued
    words = []
    if others:
        words.append("1 other console or command" if others == 1 else f"{others} other consoles and commands")
    if jobs or not others:
        words.append(format_count(jobs, "job"))
    return " and ".join(words)


def lines_of(operation: ops.Operation, result: ops.Result) -> list[str]:
    """What a result says, without its warnings: a sentence, some facts, or a table."""
    if type(result) in _REPORTS:
        return list(_REPORTS[type(result)](result))
    match result:
        case ops.JobList(jobs=jobs) if isinstance(operation, ops.WaitForJobs):
            return [job_line(job) for job in jobs[:ROWS_MAX]] or ["nothing to wait for"]
        case ops.JobResult(job=job):
            return [job_line(job)]
        case ops.JobPage(ids=(_, *_) as ids):
            return [f"{format_count(len(ids), 'id')}; standard output has them"]
        case ops.StatusResult(document=status):
            return list(_status(status))
    sentence = sentence_of(result)
    if sentence:
        return [sentence]
    if not any(getattr(result, name, ()) for name in _LISTS) and any(hasattr(result, name) for name in _LISTS):
        return ["none"]
    return list(_sheet(sheet_of("", result), is_cut=bool(getattr(result, "truncated", False))))


def warnings_of(result: ops.Result) -> list[str]:
    """Its warnings, printable; of very many only the first."""
    lines = [clean(line) for line in result.warnings[:ROWS_MAX]]
    if len(result.warnings) > ROWS_MAX:
        lines.append(f"and {len(result.warnings) - ROWS_MAX:,} more; standard output has them all")
    return lines


def job_line(job: JobRow) -> str:
    """A job with what it has done."""
    if job.state not in JOB_STATES_ENDED:
        return f"{job_sentence(job)} ({job.id[:12]})"
    if job.state not in {"done", "warnings"}:
        return job_sentence(job)
    parts = [format_count(job.files_done, "file"), f"{format_bytes(job.bytes_read)} dealt with"]
    if job.kind in {"backup", "store"}:
        parts.append(f"{format_bytes(job.bytes_stored)} stored")
        if job.bytes_reused:
            parts.append(f"{format_bytes(job.bytes_reused)} there already")
    if job.started_ns and job.ended_ns > job.started_ns:
        parts.append(format_span((job.ended_ns - job.started_ns) / 1e9))
    return f"{job_sentence(job)}: {', '.join(parts)}"


def progress_line(status: Status, width: int) -> str:
    """The jobs at work, in one line of at most `width` cells; empty when none is."""
    running = [job for job in status.jobs if job.state == "running"]
    if not running:
        return ""
    job = running[0]
    done = format_bytes(job.bytes_read)
    if job.bytes_total:
        share = min(1.0, job.bytes_read / job.bytes_total)
        done = f"{share * 100:3.0f} %  {done} of {format_bytes(job.bytes_total)}"
    parts = [f"{job.kind} {clean(job.wedding)}", done, format_rate(job.rate_bytes_per_s)]
    if job.eta_s is not None:
        parts.append(f"{format_span(job.eta_s)} left")
    if status.dashboard.jobs_running > 1:
        parts.append(f"and {format_count(status.dashboard.jobs_running - 1, 'more job')}")
    return cut("  ".join([*parts, clean(job.current)]), width)


def event_line(event: Event) -> str:
    """An event that a person watching a service wants to read; empty for the rest."""
    if event.level == "info" and event.kind in {"job-started", "job-checkpoint"}:
        return ""
    words = event.message or event.kind.replace("-", " ")
    subject = f"{event.wedding}: " if event.wedding and event.wedding not in words else ""
    return clean(f"{subject}{words}")


def _verified(report: ops.VerifyReport) -> Iterator[str]:
    yield job_sentence(report.job)
    if report.job.state in JOB_STATES_ENDED and report.copies:
        yield (
            f"{format_count(report.packs, 'pack')}, {format_count(report.copies, 'copy')} read where they lie, "
            f"{format_bytes(report.bytes_checked)} checked, {format_count(len(report.problems), 'problem')}"
        )
    elif report.job.state in JOB_STATES_ENDED:
        yield (
            f"{format_count(report.snapshots, 'snapshot')}, {format_count(report.packs, 'pack')}, "
            f"{format_count(report.blobs, 'blob')}, {format_count(report.files, 'file')}, "
            f"{format_bytes(report.bytes_checked)} checked, {format_count(len(report.problems), 'problem')}"
        )
    for problem in report.problems[:ROWS_MAX]:
        yield f"problem: {clean(problem)}"


def _repaired(report: ops.RepairReport) -> Iterator[str]:
    yield job_sentence(report.job)
    yield (
        f"{format_count(report.packs, 'pack')}: {report.packs_recovered} recovered, {report.packs_dropped} dropped, "
        f"{format_count(report.chunks_saved, 'chunk')} saved, {format_count(report.losses_total, 'file')} lost"
    )
    for problem in report.problems[:ROWS_MAX]:
        yield f"problem: {clean(problem)}"
    for loss in report.losses[:ROWS_MAX]:
        yield f"lost: {clean(loss)}"
    if report.losses_total > ROWS_MAX:
        yield f"and {report.losses_total - ROWS_MAX} more lost"


def _drilled(report: drills.DrillReport) -> Iterator[str]:
    yield job_sentence(report.job)
    rate = report.bytes_restored / report.restored_s if report.restored_s > 0 else 0.0
    yield (
        f"{format_count(report.files, 'file')}, {format_bytes(report.bytes_restored)} came back in "
        f"{format_span(report.restored_s)} ({format_rate(rate)}), the first after {format_span(report.first_file_s)}; "
        f"{report.compared_with_source} also equal their source, {format_count(len(report.problems), 'problem')}"
    )
    if report.projected_100gb_s is not None:
        yield f"PROJECTED for a wedding of 100 GB from {report.tier}: {format_span(report.projected_100gb_s)}"
    for problem in report.problems[:ROWS_MAX]:
        yield f"problem: {clean(problem)}"


def _simulated(report: simulations.SimulationReport) -> Iterator[str]:
    yield (
        f"SIMULATED: {format_count(report.jobs, 'job')} under {report.rule}: {report.failed} failed, "
        f"{report.late} late; 99 of 100 began within {format_span(report.wait_p99_s)}"
    )
    yield (
        f"SIMULATED: up to {format_count(report.nodes_most, 'node')}, 95 of 100 ready {format_span(report.ready_p95_s)}"
        f" after the decision; {report.node_hours:,.0f} node-hours, {report.spot_share:.0%} of them spot: "
        f"{report.cost:,.2f} {report.currency}"
    )
    yield (
        f"SIMULATED: {report.nodes_lost} nodes taken away, {format_count(report.put_back, 'job')} went on elsewhere; "
        f"too few {report.under_time:.0f} % of the time, too many {report.over_time:.0f} %"
    )
    yield f"assumed: {report.assumed}"


def _receipt(found: receipts.ReceiptResult | receipts.ReceiptVerified) -> Iterator[str]:
    yield (
        f"{clean(found.wedding)}, snapshot {found.snapshot[:12]} of {found.time}: {format_count(found.files, 'file')}, "
        f"{format_bytes(found.bytes_source)}; {found.copies} of {found.copies_needed} copies"
    )
    if isinstance(found, receipts.ReceiptVerified):
        yield f"the signature is good, made {found.made}; key {found.key}"
    elif found.card:
        yield f"{clean(found.card)}: {format_count(found.card_files, 'file')}, {format_bytes(found.card_bytes)}"
        for line in found.missing[:ROWS_MAX]:
            yield f"missing: {clean(line)}"
        if found.missing_total > ROWS_MAX:
            yield f"and {found.missing_total - ROWS_MAX:,} more missing"
    if isinstance(found, receipts.ReceiptResult):
        for row in found.copies_by_place:
            read = f"read back, the first at {row.verified}" if row.verified else "read back"
            yield f"{row.place}: {row.read_back:,} of {format_count(row.copies, 'pack')} {read}"
    yield "safe to format" if found.safe_to_format else "NOT safe to format"


def _pruned(report: retention.PruneReport) -> Iterator[str]:
    would = "would " if report.dry_run else ""
    for verdict in report.snapshots[:ROWS_MAX]:
        why = f"stays: {', '.join(verdict.reasons)}" if verdict.stays else f"{would}go" if would else "gone"
        yield f"{verdict.id[:12]}  {verdict.time.replace('T', ' ')[:16]}  {clean(verdict.wedding)}: {why}"
    if len(report.snapshots) > ROWS_MAX:
        yield f"and {len(report.snapshots) - ROWS_MAX:,} more; standard output has them all"
    touched = [row for row in report.weddings if row.snapshots_gone or row.packs_freed or row.bytes_young]
    for row in touched[:ROWS_MAX]:
        moved = f" ({row.packs_repacked} of them moved into {format_bytes(row.bytes_written)})" * bool(
            row.packs_repacked
        )
        young = f"; {format_bytes(row.bytes_young)} that nothing names yet stay a day" * bool(row.bytes_young)
        yield (
            f"{clean(row.wedding)}: {format_count(row.snapshots_gone, 'snapshot')} {would}go, "
            f"{row.snapshots_kept} stay; {format_count(row.packs_freed, 'pack')} "
            f"of {format_bytes(row.bytes_freed)} {would}go{moved}{young}"
        )
    yield f"{format_bytes(max(0, report.bytes_freed))} {'would come free' if would else 'came free'}"


def _moves(plan: placements.MigrationPlan) -> Iterator[str]:
    for row in (*plan.moves, *plan.stays)[:ROWS_MAX]:
        way = f"stays in {row.source}" if row.source == row.target else f"{row.source} → {row.target}"
        saved = f", saves {money_words(row.saves_month)} a month" if row.saves_month else ""
        cost = f", costs {money_words(row.cost)} to read" if row.cost else ""
        what = f"{format_count(row.packs, 'pack')}, {format_bytes(row.bytes)}"
        yield f"{clean(row.wedding)}: {way}: {what}{saved}{cost}; {clean(row.reason)}"
    if len(plan.moves) + len(plan.stays) > ROWS_MAX:
        yield f"and {len(plan.moves) + len(plan.stays) - ROWS_MAX:,} more; standard output has them all"
    if not plan.packs:
        yield "nothing would move"
        return
    total = f"{format_count(plan.packs, 'pack')} of {format_bytes(plan.bytes)} would move"
    yield f"{total}: saves {money_words(plan.saves_month)} a month, costs {money_words(plan.cost)} once"


def _recalls(plan: placements.RecallPlan) -> Iterator[str]:
    if not plan.packs:
        yield "nothing has to be recalled"
        return
    eta = "not known how long" if plan.eta_s is None else f"{format_span(plan.eta_s)} at most"
    late = "" if plan.meets_objective else "; no speed keeps the objective"
    speed = f", {plan.speed}" if plan.speed else ""
    yield (
        f"{format_count(plan.packs, 'pack')} of {format_bytes(plan.bytes)} would be recalled{speed}: {eta}, "
        f"costs {money_words(plan.cost)}; {plan.packs_readable:,} more can be read already{late}"
    )


def _migrated(report: placements.MigrationReport) -> Iterator[str]:
    for job in report.jobs[:ROWS_MAX]:
        yield job_line(job)
    if len(report.jobs) > ROWS_MAX:
        yield f"and {len(report.jobs) - ROWS_MAX:,} more; standard output has them all"
    if not report.jobs:
        yield "nothing is to be moved"
    if report.left:
        yield f"{format_count(report.left, 'pack')} copied, and kept where they were too: read now, or still needed"


def _alike(report: photos.PhotoReport) -> Iterator[str]:
    yield job_sentence(report.job)
    yield (
        f"{format_count(report.photographs, 'photograph')} looked at, {report.alike:,} of them alike in "
        f"{format_count(report.groups_total, 'group')}; {report.same_files:,} more files are copies, "
        f"{report.damaged} damaged, {report.refused} refused, {report.blank} blank, {report.passed_over:,} passed over"
    )
    for group in report.groups[:ROWS_MAX]:
        more = f", and {group.files - 3} more" if group.files > 3 else ""
        yield f"{group.photographs} alike, {format_bytes(group.size_bytes)}: {clean(', '.join(group.paths[:3]))}{more}"
    if report.groups_total > ROWS_MAX:
        yield f"and {report.groups_total - ROWS_MAX:,} more groups"


def _recovered(found: recovery.Recovery) -> Iterator[str]:
    yield f"repository {found.repository[:12]} in {clean(found.url)}: {format_count(found.weddings, 'wedding')}"
    for row in found.restored[:ROWS_MAX]:
        what = (
            f"{format_count(row.files, 'file')}, {format_bytes(row.bytes_restored)}" if row.snapshot else "no snapshot"
        )
        fetched = f" from {format_count(row.packs, 'pack')}, {format_bytes(row.bytes_fetched)}" if row.packs else ""
        if row.packs_recalled:
            fetched += f", {row.packs_recalled:,} of them recalled first"
        yield f"{row.date.isoformat()}  {clean(row.name)}: {what}{fetched}" + (f", {row.state}" if row.state else "")
    if len(found.restored) > ROWS_MAX:
        yield f"and {len(found.restored) - ROWS_MAX:,} more; standard output has them all"
    if found.eta_s is not None:
        yield f"PROJECTED from the last drill: {format_span(found.eta_s)} in all"
    if any(row.packs_recalled for row in found.restored):
        eta = "not known how long" if found.recall_eta_s is None else format_span(found.recall_eta_s)
        yield f"recalls, all at once: {eta}, cost {found.cost:.2f}"
    for what in found.set_again:
        yield f"to be set again: {what}" if what != found.set_again[-1] else f"note: {what}"


def _status(status: Status) -> Iterator[str]:
    board, machine, speed = status.dashboard, status.infrastructure, status.performance
    yield f"{status.status} on {clean(machine.host)}, WedSync {machine.engine_version}" + (
        ", SIMULATED" if status.simulated else ""
    )
    yield (
        f"weddings: {format_count(board.weddings_total)}, of today {board.weddings_today_protected} of "
        f"{board.weddings_today} protected"
    )
    yield (
        f"jobs: {board.jobs_running} running, {board.jobs_queued} queued, {board.jobs_done} done, "
        f"{board.jobs_failed} failed"
    )
    yield (
        f"streams: {status.auto_scaling.streams_busy} of {status.auto_scaling.streams} busy; reading "
        f"{format_rate(speed.read_bytes_per_s)}, storing {format_rate(speed.stored_bytes_per_s)}"
    )
    for tier in status.storage.tiers:
        used = "not measured yet" if tier.used_bytes is None else f"{format_bytes(tier.used_bytes)} used"
        free = "" if tier.free_bytes is None else f", {format_bytes(tier.free_bytes)} free"
        limit = "" if tier.limit_bytes_per_s is None else f", limit {format_rate(tier.limit_bytes_per_s)}"
        yield f"{tier.tier}: {used}{free}{limit}, {clean(tier.url)}"
    for row in status.storage.recovery[:1]:
        what = f"{row.size}, {format_bytes(row.bytes_restored)} from {row.tier}"
        yield f"last drill: {what} in {format_span(row.restored_s)}, first file after {format_span(row.first_file_s)}"
    for area in status.health:
        if area.health != "ok":
            yield f"{area.area}: {area.health}, {clean(area.reason)}"
    for alert in status.alerts:
        yield f"{alert.level}: {clean(alert.subject)}: {clean(alert.message)}"


def _sheet(sheet: Sheet, *, is_cut: bool) -> Iterator[str]:
    facts = [f"{name} {value}" for name, value in sheet.facts if name not in {"truncated", "wedding"}]
    if facts:
        yield ", ".join(facts)
    if not sheet.heads:
        return
    shown = [
        tuple(cut(cell, COLUMN_MAX, keep_end=head.title == "path") for cell, head in zip(row, sheet.heads, strict=True))
        for row in sheet.rows[:ROWS_MAX]
    ]
    titles = tuple(head.title for head in sheet.heads)
    widths = [max(_cells(row[index]) for row in (titles, *shown)) for index in range(len(titles))]
    for row in (titles, *shown):
        cells = [
            " " * (width - _cells(cell)) + cell if head.right else cell + " " * (width - _cells(cell))
            for cell, width, head in zip(row, widths, sheet.heads, strict=True)
        ]
        yield "  ".join(cells).rstrip()
    if len(sheet.rows) > ROWS_MAX:
        yield f"and {len(sheet.rows) - ROWS_MAX:,} more; standard output has them all"
    for other in sheet.more:
        yield from ("", other.title, *_sheet(other, is_cut=False))
    if is_cut:
        yield "there is more; --limit shows it"


def _cells(text: str) -> int:
    return width_of((Span(text),))


_REPORTS: dict[type[ops.Result], Callable[[Any], Iterator[str]]] = {
    ops.VerifyReport: _verified,
    ops.RepairReport: _repaired,
    drills.DrillReport: _drilled,
    simulations.SimulationReport: _simulated,
    receipts.ReceiptResult: _receipt,
    receipts.ReceiptVerified: _receipt,
    recovery.Recovery: _recovered,
    retention.PruneReport: _pruned,
    photos.PhotoReport: _alike,
    placements.MigrationPlan: _moves,
    placements.RecallPlan: _recalls,
    placements.MigrationReport: _migrated,
}

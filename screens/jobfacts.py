"""What there is to know of one job, as lines: its facts, its course turn by turn, its warnings.

Pure, like `view`: the moment is handed in. Drawing thread.
"""

from __future__ import annotations

import textwrap
from collections.abc import Sequence

from engine.base.units import format_bytes, format_count, format_rate, format_span
from engine.contract.status import JobRow, JobTurn
from engine.contract.steering import JobDetail, JobMoment
from screens.classes import short_span, whole_span
from screens.jobrows import is_ending, state_span
from screens.text import Line, Role, Span, bar, cell_len, clean, cut, fit, line_of, percent, width_of
from screens.view import SECOND_NS, ago, clock, is_about, is_ended, job_share, warnings_told

LABEL_WIDTH = 11
_COURSE_INDENT = 25  # where the words of a turn begin

_TURNS: dict[JobTurn, tuple[str, str, Role]] = {
    "accepted": ("○", "accepted", "dim"), "started": ("▸", "started", "accent"),
    "attempt-failed": ("▲", "attempt failed", "warning"), "paused": ("‖", "paused", "warning"),
    "resumed": ("○", "resumed", "accent"), "class-changed": ("·", "class changed", "dim"),
    "node-lost": ("▲", "node lost", "warning"),
    "restarted": ("○", "the engine started again", "warning"), "done": ("✓", "done", "ok"),
    "warnings": ("▲", "done with warnings", "warning"), "failed": ("✗", "failed", "critical"),
    "cancelled": ("■", "cancelled", "dim"), "interrupted": ("■", "interrupted", "warning"),
}  # fmt: skip


def job_title(job: JobRow) -> str:
    """`backup of smith-jones, 5f0c7c1e9b7d`."""
    return f"{job.kind} of {clean(job.wedding)}, {job.id[:12]}"


def fact_lines(detail: JobDetail, now: int, width: int, *, command: str) -> tuple[Line, ...]:
    """State, progress, rates, what was stored, deadline, units, snapshot, and what made it."""
    job = detail.job
    facts: list[tuple[str, Line]] = [("state", _state(job, now)), ("progress", _progress(job, width - LABEL_WIDTH))]
    if job.started_ns:
        facts.append(("rate", _rate(job, now)))
    if job.kind in ("backup", "store") and job.started_ns:
        facts.append(("stored", _stored(job)))
    facts.append(("class", _class(detail, now)))
    if job.initiation_s is not None:
        done = "restored" if job.kind == "retrieve" else "sealed"
        facts.append(("first byte", line_of(f"{done} {format_span(job.initiation_s)} after it was asked for")))
    if detail.units_done or detail.units_at_work:
        facts.append(("units", _units(detail)))
    if job.snapshot:
        facts.append(("snapshot", line_of(job.snapshot)))
    if job.message:
        is_bad = job.state == "failed" or job.retry_ns
        facts.append(
            ("reason" if is_bad else "note", line_of(Span(clean(job.message), "critical" if is_bad else "plain")))
        )
    if job.current and job.state == "running":
        room = max(0, width - LABEL_WIDTH)
        facts.append(("at work on", line_of(Span(cut(clean(job.current), room, keep_end=True), "dim"))))
    facts.append(("job", line_of(Span(job.id, "dim"))))
    lines = [fit((Span(label.ljust(LABEL_WIDTH), "dim"), *line), width) for label, line in facts]
    return (*lines, *_wrapped("made by", f": {command}" if command else _UNMADE, width))


_UNMADE = "a stream, or more than is kept; nothing can begin it again"


def _wrapped(label: str, words: str, width: int) -> list[Line]:
    """Words over as many lines as they take."""
    parts = folded(words, width - LABEL_WIDTH)
    labels = (label, *[""] * (len(parts) - 1))
    return [
        fit((Span(each.ljust(LABEL_WIDTH), "dim"), Span(part)), width) for each, part in zip(labels, parts, strict=True)
    ]


def folded(words: str, room: int) -> list[str]:
    """Words in parts that fit into `room` cells, broken at blanks where there are any."""
    room = max(8, room if words.isascii() else room // 2)  # of any other letter: it may be two cells wide
    return textwrap.wrap(words, room, break_on_hyphens=False) or [""]


def _state(job: JobRow, now: int) -> Line:
    parts = [state_span(job, now)]
    if is_ended(job):
        parts.append(Span(f", {ago((now - job.ended_ns) / SECOND_NS)}"))
        if job.started_ns:
            parts.append(Span(f", after {format_span(max(0, job.ended_ns - job.started_ns) / SECOND_NS)}", "dim"))
    elif job.state == "queued":
        parts.append(Span(f", waits since {short_span(max(0, now - job.queued_ns) / SECOND_NS)}", "dim"))
    elif job.started_ns:
        parts.append(Span(f", begun {ago((now - job.started_ns) / SECOND_NS)}", "dim"))
    if job.attempts > 1:
        parts.append(Span(f", {job.attempts} attempts", "warning"))
    return tuple(parts)


def _progress(job: JobRow, room: int) -> Line:
    share = job_share(job)
    whole = job.bytes_total or job.bytes_expected
    about = "about " * is_about(job)
    files = f"{job.files_done:,}" + (f" of {job.files_total:,}" if job.files_total is not None else "") + " files"
    size = format_bytes(job.bytes_read) + (f" of {about}{format_bytes(whole)}" if whole else "")
    words = f"{size}, {files}"
    if share is None or is_ended(job):
        return line_of(words)
    length = min(24, room - len(words) - 8)
    return (*bar(share, length), Span(f" {'~' * is_about(job)}{percent(share)}  ", "strong"), Span(words))


def _rate(job: JobRow, now: int) -> Line:
    span_s = ((job.ended_ns or now) - job.started_ns) / SECOND_NS
    mean = f"{format_rate(job.bytes_read / span_s)} on average" if span_s > 0 else "not measured"
    if is_ended(job):
        return line_of(mean)
    left = f", {'~' * is_about(job)}{format_span(job.eta_s)} left" if job.eta_s is not None else ""
    if is_ending(job):
        left = ", all of it read: ending"
    return line_of(f"{format_rate(job.rate_bytes_per_s)} now, ", Span(mean, "dim"), left)


def _stored(job: JobRow) -> Line:
    parts = [f"{format_bytes(job.bytes_stored)} written"]
    if job.bytes_reused:
        parts.append(f"{format_bytes(job.bytes_reused)} were there already")
    if job.files_unchanged:
        parts.append(f"{format_count(job.files_unchanged, 'file')} unchanged")
    return line_of(", ".join(parts))


def _class(detail: JobDetail, now: int) -> Line:
    job, deadline_s = detail.job, detail.deadline_s
    if deadline_s is None:
        return line_of(job.priority)
    is_retrieval = job.kind == "retrieve"
    first_s = job.initiation_s if is_retrieval else None  # what counts of a retrieval is its first byte
    due = "its first byte to be restored" if is_retrieval else "to be protected"
    words = f"{job.priority}, {due} within {whole_span(deadline_s)}: "
    if first_s is None and is_ended(job) and job.state not in ("done", "warnings"):
        return line_of(words, Span("it was not", "warning"))
    took_s = first_s if first_s is not None else ((job.ended_ns or now) - job.queued_ns) / SECOND_NS
    late = took_s > deadline_s
    if first_s is not None or is_ended(job):
        verdict = f"▲ took {format_span(took_s)}" if late else f"✓ took {format_span(took_s)}"
    else:
        verdict = f"▲ {short_span(took_s - deadline_s)} over" if late else f"{short_span(deadline_s - took_s)} left"
    return line_of(words, Span(verdict, "warning" if late else "ok"))


def _units(detail: JobDetail) -> Line:
    at_work = detail.units_at_work
    streams = f", {at_work} at work, each on a stream" if at_work > 1 else ", 1 at work on a stream" if at_work else ""
    return line_of(f"{detail.units_done:,} done{streams}")


# --- its course ---------------------------------------------------------------------------------------


def course_lines(history: Sequence[JobMoment], width: int) -> tuple[Line, ...]:
    """A line a turn, oldest first: when, how long after the one before, what, and why."""
    lines: list[Line] = []
    attempts = 0
    before = history[0].time_ns if history else 0
    day = before // (86_400 * SECOND_NS)
    for moment in history:
        glyph, words, role = _TURNS[moment.what]
        attempts += moment.what == "started"
        again = f", attempt {attempts}" if moment.what == "started" and attempts > 1 else ""
        later = moment.time_ns // (86_400 * SECOND_NS) - day
        passed = "" if moment is history[0] else f"+{short_span(max(0, moment.time_ns - before) / SECOND_NS)}"
        line = line_of(
            Span(clock(moment.time_ns), "dim"), Span(f"{f'+{later} d' if later else '':>5}", "dim"),
            Span(f"{passed:>8} ", "dim"), Span(f" {glyph} {words}{again}", role),
        )  # fmt: skip
        why = clean(moment.words)
        if why and width_of(line) + cell_len(why) + 2 <= width:
            line, why = (*line, Span(f": {why}")), ""
        lines.append(fit(line, width))
        if why:
            indent = " " * min(_COURSE_INDENT, width // 3)
            lines += [fit(line_of(Span(indent + part)), width) for part in folded(why, width - len(indent))]
        before = moment.time_ns
    return tuple(lines)


# --- its warnings -------------------------------------------------------------------------------------


def warning_lines(words: str, width: int) -> tuple[Line, ...]:
    """One warning, over as many lines as it takes."""
    parts = folded(clean(words), width - 2)
    return tuple(
        fit(line_of(Span("  " if at else "▲ ", "warning"), Span(part)), width) for at, part in enumerate(parts)
    )


def warnings_title(detail: JobDetail) -> str:
    """`45 warnings`; of more than are kept, how many there are to read."""
    count = detail.job.warnings
    kept = f", the first {detail.lines_total:,} are kept" if detail.lines_total < count else ""
    return f"{warnings_told(detail.job)}{kept}"

"""The rows of the Jobs screen: a page of jobs in, lines of columns out; what they are sorted by, in words.

Pure, like `view`: the moment is handed in. Drawing thread.
"""

from __future__ import annotations

from typing import NamedTuple

from engine.base.units import format_bytes, format_count, format_rate
from engine.contract.operations import JobSort
from engine.contract.status import JobRow, Status
from screens.classes import short_span
from screens.text import GAP, Column, Line, Role, Span, bar, clean, columns_at, cut, fit, lay_out, line_of, percent
from screens.view import JOB_GLYPH, SECOND_NS, is_about, is_ended, job_share


class Sort(NamedTuple):
    """One way to sort: what it is called, its column, how it runs and how it runs the other way round."""

    key: JobSort
    column: int
    runs: str
    other: str
    is_descending: bool = False


_COLUMNS = (
    Column(1), Column(11, 13), Column(8, from_width=92), Column(12, 30), Column(9), Column(6, 30, from_width=132),
    Column(5, right=True), Column(9, right=True), Column(7, right=True), Column(5, right=True),
    Column(21, from_width=150, right=True), Column(18, from_width=168, right=True),
    Column(12, 90, from_width=104),
)  # fmt: skip
_TITLES = (
    "", "state", "kind", "wedding", "class", "", "done", "rate", "left", "age", "bytes", "files", "note",
)  # fmt: skip
_SHARE, _AGE, _NOTE = 6, 9, 12  # columns; the bar of the share stands before it
_SAID = (*_COLUMNS[: _SHARE - 1], Column(1), _COLUMNS[_AGE])  # where a note stands for the figures

SORTS: tuple[Sort, ...] = (
    Sort("state", 1, "what runs first", "what ended first"),
    Sort("age", 9, "newest first", "oldest first"),
    Sort("wedding", 3, "A to Z", "Z to A"),
    Sort("class", 4, "same-day first", "standard first"),
    Sort("kind", 2, "A to Z", "Z to A"),
    Sort("progress", _SHARE, "farthest first", "least far first", is_descending=True),
    Sort("rate", 7, "fastest first", "slowest first", is_descending=True),
    Sort("eta", 8, "first to end", "last to end"),
)


def sort_words(sort: Sort, *, reverse: bool) -> str:
    """`by rate, fastest first`."""
    name = "time left" if sort.key == "eta" else sort.key
    return f"by {name}, {sort.other if reverse else sort.runs}"


def heading(sort: Sort, width: int, *, reverse: bool) -> Line:
    """The titles of the columns, with an arrow at the one they are sorted by."""
    sizes = columns_at(_COLUMNS, width)
    arrow = "↓" if sort.is_descending != reverse else "↑"
    cells = [
        line_of(Span(f"{title}{arrow}", "accent") if at == sort.column else Span(title, "dim"))
        for at, title in enumerate(_TITLES)
    ]
    return (Span(" "), *lay_out(cells, _COLUMNS, sizes))


def sort_at(cell: int, width: int) -> Sort | None:
    """The sort whose column has this cell of the heading."""
    at = 1
    for column, size in enumerate(columns_at(_COLUMNS, width)):
        if size and at <= cell < at + size + GAP:
            wanted = _SHARE if column == _SHARE - 1 else column  # the bar says the same as the share
            return next((sort for sort in SORTS if sort.column == wanted), None)
        at += size + GAP * bool(size)
    return None


def job_line(job: JobRow, now: int, width: int, *, is_marked: bool) -> Line:
    """One job in columns. Where there is no room for a note, it takes that of figures which say nothing any more."""
    sizes = columns_at(_COLUMNS, width)
    runs = job.state == "running"
    head = (
        line_of(Span("*" if is_marked else "", "accent")),
        line_of(state_span(job, now)),
        line_of(Span(job.kind, "dim")),
        line_of(Span(clean(job.wedding), "plain" if is_ended(job) else "strong")),
        line_of(Span(job.priority, "dim")),
    )
    age = line_of(Span(short_span(max(0, now - job.queued_ns) / SECOND_NS), "dim"))
    if not sizes[_NOTE] and not runs and (job.message or job.warnings):
        room = sum(sizes[_SHARE:_AGE]) + GAP * 2
        line = lay_out((*head, line_of(note(job, room)), age), _SAID, (*sizes[: len(head)], room, sizes[_AGE]))
        return fit(line, width)
    share = job_share(job)
    figures = (
        bar(share, sizes[_SHARE - 1]) if runs or (share and not is_ended(job)) else (),
        line_of(_done(job, share, tells_warnings=not sizes[_NOTE])),
        line_of(Span(format_rate(job.rate_bytes_per_s) if runs or job.rate_bytes_per_s else "", _when(runs))),
        line_of(_left(job)),
        age,
        line_of(Span(_bytes(job), "dim")),
        line_of(Span(_files(job), "dim")),
        line_of(note(job, sizes[_NOTE])),
    )
    return fit(lay_out((*head, *figures), _COLUMNS, sizes), width)


def is_ending(job: JobRow) -> bool:
    """Whether everything is read, and what is left is to commit it."""
    return job.state == "running" and job.bytes_total is not None and 0 < job.bytes_total <= job.bytes_read


def _left(job: JobRow) -> Span:
    if is_ending(job):
        return Span("ending", "dim")
    if job.eta_s is None or job.state != "running":
        return Span("")
    return Span(f"{'~' * is_about(job)}{short_span(job.eta_s)}")


def _when(runs: bool) -> Role:
    return "plain" if runs else "dim"


def state_span(job: JobRow, now: int) -> Span:
    """State in a glyph and a word; of one that waits for its next attempt, how long it still does."""
    glyph, role = JOB_GLYPH[job.state]
    if job.retry_ns:
        return Span(f"○ retry {short_span(max(0, job.retry_ns - now) / SECOND_NS)}", "warning")
    return Span(f"{glyph} {job.state}", role)


def _done(job: JobRow, share: float | None, *, tells_warnings: bool) -> Span:
    if job.state == "queued":
        return Span("")
    if tells_warnings and job.warnings and share is not None:
        return Span(f"▲{percent(share)}", "warning")
    if share is None:
        return Span("scan" if job.state == "running" else "", "dim")
    return Span(f"{'~' * is_about(job)}{percent(share)}", _when(job.state == "running"))


def _bytes(job: JobRow) -> str:
    whole = job.bytes_total or job.bytes_expected
    if not job.bytes_read and whole is None:
        return ""
    return format_bytes(job.bytes_read) + (f" of {format_bytes(whole)}" if whole and not is_ended(job) else "")


def _files(job: JobRow) -> str:
    if not job.files_done and job.files_total is None:
        return ""
    total = "" if job.files_total is None or is_ended(job) else f" of {job.files_total:,}"
    return f"{job.files_done:,}{total}"


def note(job: JobRow, width: int) -> Span:
    """What there is to say of a job beyond its figures: why it failed or waits, its warnings, what it works on."""
    if job.message:
        return Span(clean(job.message), "critical" if job.state == "failed" else "dim")
    if job.warnings:
        return Span(f"▲ {format_count(job.warnings, 'warning')}", "warning")
    return Span(cut(clean(job.current), width, keep_end=True), "dim")


def empty_lines(status: Status, match: str) -> tuple[Line, ...]:
    """What stands where no job is, and what to do about it."""
    if match:
        return (
            line_of("No job fits ", Span(clean(match), "accent"), "."),
            line_of("Esc shows all again."),
            line_of(Span("Words look into id, wedding, kind, class and state; !word leaves out.", "dim")),
        )
    if status.status == "no-repository" or not status.dashboard.weddings_total:
        return (
            line_of(Span("No job has run.", "strong")),
            line_of("Esc leads back; there ", Span("i", "accent"), " makes a repository, ", Span("a", "accent"),
                    " adds a wedding."),
        )  # fmt: skip
    return (
        line_of(Span("No job has run.", "strong")),
        line_of("Esc leads back; there ", Span("b", "accent"), " backs up the marked wedding."),
        line_of("Or type ", Span(": backup smith-jones --from /cards/A", "accent")),
    )

"""What the classes of jobs get and how they keep their deadlines, and what slows the jobs down. Status in, lines out.

Pure, like `view`. Drawing thread.
"""

from __future__ import annotations

from engine.base.units import format_rate, format_span
from engine.contract.status import ClassRow, Status
from screens.text import Column, Line, Role, Span, columns_at, fit, lay_out, line_of, percent

STAGE_WORDS = {
    "read": "reading", "chunk": "chunking", "index": "index", "compress": "compressing", "seal": "sealing",
    "compare": "comparing", "write": "writing", "publish": "uploading", "fetch": "fetching", "open": "opening",
    "place": "placing",
}  # fmt: skip
_OUTSIDE = {"limit": "a rate limit", "store": "waiting for the store", "source": "the source"}  # of the streams
_IN_TIME_SHARE = 0.99  # of its jobs; below it a class is not well

_COLUMNS = (
    Column(9), Column(5, right=True), Column(8, right=True, from_width=69), Column(5, right=True),
    Column(6, right=True), Column(7, right=True), Column(8, right=True), Column(5, right=True),
    Column(9, right=True, from_width=78), Column(11, right=True, from_width=92), Column(9, right=True, from_width=104),
)  # fmt: skip
_HEADS = (
    "class", "share", "entitled", "runs", "waits", "longest", "deadline", "kept", "of jobs", "took", "limit",
)  # fmt: skip
_SLIM_WIDTH = 57  # below it deadline and how it is kept share a column
_SLIM_COLUMNS = (Column(9), Column(5, right=True), Column(5, right=True), Column(7, right=True), Column(10, right=True))
_SLIM_HEADS = ("class", "share", "waits", "longest", "deadline")


def class_lines(status: Status, width: int) -> tuple[Line, ...]:
    """A heading, and a line a class: its share, what runs and waits, the longest wait, deadline and how it is kept."""
    is_slim = width < _SLIM_WIDTH
    columns, titles = (_SLIM_COLUMNS, _SLIM_HEADS) if is_slim else (_COLUMNS, _HEADS)
    sizes = columns_at(columns, width)
    heads = lay_out([line_of(Span(head, "dim")) for head in titles], columns, sizes)
    cells = [_slim_cells(row) if is_slim else _cells(row) for row in status.performance.classes]
    return tuple(fit(line, width) for line in (heads, *(lay_out(each, columns, sizes) for each in cells)))


def _cells(row: ClassRow) -> tuple[Line, ...]:
    return (
        line_of(Span(row.priority, "strong")),
        line_of(Span(percent(row.share), "plain" if row.share else "dim")),
        line_of(Span(percent(row.entitled_share), "dim")),
        line_of(Span(f"{row.jobs_running:,}", "plain" if row.jobs_running else "dim")),
        line_of(Span(f"{row.jobs_queued:,}", "plain" if row.jobs_queued else "dim")),
        line_of(_longest(row)),
        line_of(Span(whole_span(row.deadline_s), "dim")),
        line_of(_kept(row)),
        line_of(Span(f"{row.jobs_counted:,}" if row.jobs_counted else "", "dim")),
        line_of(Span(f"p99 {short_span(row.took.p99_s)}" if row.took.count else "", "dim")),
        line_of(Span("none" if row.limit_bytes_per_s is None else format_rate(row.limit_bytes_per_s), "dim")),
    )


def _slim_cells(row: ClassRow) -> tuple[Line, ...]:
    return (
        line_of(Span(row.priority, "strong")),
        line_of(Span(percent(row.share), "plain" if row.share else "dim")),
        line_of(Span(f"{row.jobs_queued:,}", "plain" if row.jobs_queued else "dim")),
        line_of(_longest(row)),
        line_of(Span(f"{whole_span(row.deadline_s)} ", "dim"), _kept(row)),
    )


def _longest(row: ClassRow) -> Span:
    """How long the one that waits longest has waited; longer than the deadline is too long."""
    if not row.jobs_queued:
        return Span("–", "dim")
    is_late = row.oldest_queued_s > row.deadline_s
    return Span(f"{'▲' * is_late}{short_span(row.oldest_queued_s)}", _late(is_late))


def _late(is_late: bool) -> Role:
    return "warning" if is_late else "plain"


def _kept(row: ClassRow) -> Span:
    """The share of its jobs that were in time."""
    if not row.jobs_counted:
        return Span("–", "dim")
    share = row.jobs_in_time / row.jobs_counted
    return Span(percent(share), "ok") if share >= _IN_TIME_SHARE else Span(f"▲{percent(share)}", "warning")


def short_span(seconds: float) -> str:
    """As `format_span`, in one unit: `42 s`, `12m`, `3h`."""
    return format_span(seconds).split(" ")[0] if seconds >= 60 else whole_span(seconds)


def whole_span(seconds: float) -> str:
    """As `format_span`, without a tenth that is none: `5 s`."""
    return format_span(seconds).replace(".0 ", " ")


def classes_short(status: Status) -> Line:
    """One line for the narrow screen: the shares in order of the classes, what waits, and how long."""
    rows = status.performance.classes
    if not rows:
        return line_of(Span("not measured yet", "dim"))
    shares = "/".join(percent(row.share).removesuffix(" %") for row in rows)
    queued = sum(row.jobs_queued for row in rows)
    longest = max(row.oldest_queued_s for row in rows)
    is_late = any(row.jobs_queued and row.oldest_queued_s > row.deadline_s for row in rows)
    words = f"{queued:,} wait {short_span(longest)}" if queued else "none waits"
    return line_of(Span(f"{shares} ", "dim"), Span(words, _late(is_late) if queued else "dim"))


def bottleneck_words(status: Status) -> str:
    """What holds jobs up most, over the last ten seconds; empty while none runs."""
    name = status.performance.bottleneck
    return _OUTSIDE.get(name) or STAGE_WORDS.get(name, name)

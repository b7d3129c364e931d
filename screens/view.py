"""What the lists of the screen say: the status document in, rows of text out.

Pure: the moment is the document's own timestamp, so the same document always reads the same. Every state is
told by a word and a glyph; the role only colours it. Lists are cut to the width they get. Drawing thread.
"""

from __future__ import annotations

import datetime as dt
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

from engine.base.units import format_bytes, format_count, format_rate, format_span
from engine.contract.events import Event
from engine.contract.status import JOB_STATES_ENDED, Health, JobKind, JobRow, JobState, Status, WeddingRow
from screens.text import (
    Column,
    Line,
    Role,
    Row,
    Span,
    bar,
    clean,
    columns_at,
    fit,
    lay_out,
    line_of,
    percent,
    rail_with,
)

SECOND_NS = 10**9
DAY_ENDS_HOUR = 6  # a wedding's day lasts until six in the morning

_DAYS = ("Mon", "Tue", "Wed", "Thu", "Fri", "Sat", "Sun")
_MONTHS = ("Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec")

KIND_DOING: dict[JobKind, str] = {
    "backup": "backing up", "store": "storing", "retrieve": "retrieving", "verify": "verifying",
    "repair": "repairing", "drill": "drilling", "migrate": "moving", "recall": "recalling", "prune": "pruning",
    "analyze": "looking at",
}  # fmt: skip

JOB_GLYPH: dict[JobState, tuple[str, Role]] = {
    "queued": ("○", "dim"), "running": ("▸", "accent"), "paused": ("‖", "warning"), "done": ("✓", "ok"),
    "warnings": ("▲", "warning"),
    "failed": ("✗", "critical"), "cancelled": ("■", "dim"), "interrupted": ("■", "warning"),
}  # fmt: skip

HEALTH_GLYPH: dict[Health, tuple[str, Role]] = {
    "ok": ("●", "ok"), "warning": ("▲", "warning"), "critical": ("✗", "critical"), "unknown": ("○", "dim"),
}  # fmt: skip

# --- time, in words -----------------------------------------------------------------------------------


def now_ns(status: Status) -> int:
    """The moment the document describes."""
    moment = dt.datetime.fromisoformat(status.timestamp)
    return round(moment.timestamp() * 1000) * 10**6


def clock(ns: int) -> str:
    """`14:03:07`, UTC."""
    return f"{dt.datetime.fromtimestamp(ns // SECOND_NS, tz=dt.UTC):%H:%M:%S}"


def ago(seconds: float) -> str:
    """How long since, in the one unit a person would use."""
    if seconds < 5:
        return "just now"
    for unit, size in (("d", 86_400), ("h", 3_600), ("min", 60), ("s", 1)):
        if seconds >= size * (2 if unit == "d" else 1):
            return f"{seconds // size:.0f} {unit} ago"
    return "just now"


def days_until(row: WeddingRow, now: int) -> int:
    """Days from the wedding's own today to its date: 0 on the day, which lasts until six in the morning."""
    try:
        zone: dt.tzinfo = ZoneInfo(row.timezone)
    except (ZoneInfoNotFoundError, ValueError, OSError):
        zone = dt.UTC
    local = dt.datetime.fromtimestamp(now // SECOND_NS, tz=zone) - dt.timedelta(hours=DAY_ENDS_HOUR)
    return (row.date - local.date()).days


def day_words(date: dt.date, days: int) -> str:
    """`today`, `tomorrow`, `Sat 27 Jun`, and beyond half a year `20 Jun '27`."""
    if days in (-1, 0, 1):
        return ("today", "tomorrow", "yesterday")[days]
    if abs(days) > 180:
        return f"{date.day} {_MONTHS[date.month - 1]} '{date.year % 100:02}"
    return f"{_DAYS[date.weekday()]} {date.day} {_MONTHS[date.month - 1]}"


# --- weddings -----------------------------------------------------------------------------------------


def safety(row: WeddingRow, now: int) -> Span:
    """How safe a wedding is. A copy from before the day cannot hold the day's photographs, and is said to be old."""
    days = days_until(row, now)
    if row.protected_since_ns is None:
        if row.snapshots is None:
            return Span("○ not counted yet", "dim")
        if days < 0:
            return Span("✗ nothing kept", "critical")
        return Span("▲ not yet", "warning") if days <= 1 else Span("○ nothing yet", "dim")
    words = ago((now - row.protected_since_ns) / SECOND_NS)
    if days <= 0 and row.protected_since_ns < _day_start_ns(row):
        return Span(f"▲ {words}, before the day", "warning")
    return Span(f"● protected {words}", "ok")


def _day_start_ns(row: WeddingRow) -> int:
    """Midnight that begins the wedding's date, by the earliest clock on earth: a mild bound on purpose."""
    return int(dt.datetime.combine(row.date, dt.time(), tzinfo=dt.UTC).timestamp() - 14 * 3_600) * SECOND_NS


def wedding_order(status: Status) -> tuple[WeddingRow, ...]:
    """Today's first, then tomorrow's, those being worked on, the coming ones, and the past, newest first."""
    now = now_ns(status)

    def rank(row: WeddingRow) -> tuple[int, int, str]:
        days = days_until(row, now)
        if days in (0, 1):
            return (days, 0, row.name)
        if row.running_jobs:
            return (2, abs(days), row.name)
        return (3, days, row.name) if days > 0 else (4, -days, row.name)

    return tuple(sorted((row for row in status.weddings if not row.archived), key=rank))


WEDDING_COLUMNS = (
    Column(12, 28), Column(10, from_width=49), Column(8, from_width=88), Column(23, 30), Column(15, 22, from_width=76),
    Column(12, from_width=100, right=True), Column(9, from_width=92, right=True), Column(10, 40, from_width=118),
)  # fmt: skip


def wedding_rows(status: Status, width: int) -> tuple[Row, ...]:
    """The weddings: name, day, class, protected since, what is being done, snapshots, size, venue."""
    now = now_ns(status)
    sizes = columns_at(WEDDING_COLUMNS, width)
    working = {job.wedding: job for job in reversed(status.jobs) if job.state == "running"}
    rows = []
    for row in wedding_order(status):
        days = days_until(row, now)
        cells = (
            line_of(Span(clean(row.name), "strong")),
            line_of(Span(day_words(row.date, days), "accent" if days == 0 else "plain")),
            line_of(Span(row.priority, "plain" if days in (0, 1) else "dim")),
            line_of(safety(row, now)),
            line_of(Span(_doing(working.get(row.name), row), "accent")),
            line_of(_counted(row.snapshots)),
            line_of(Span("" if row.bytes_source is None else format_bytes(row.bytes_source), "dim")),
            line_of(Span(clean(row.venue), "dim")),
        )
        rows.append(Row(row.name, lay_out(cells, WEDDING_COLUMNS, sizes)))
    return tuple(rows)


def _counted(snapshots: int | None) -> Span:
    if snapshots is None:
        return Span("", "dim")
    return Span("no snapshot" if not snapshots else format_count(snapshots, "snapshot"), "dim")


def _doing(job: JobRow | None, row: WeddingRow) -> str:
    if job is not None:
        share = job_share(job)
        return KIND_DOING[job.kind] + (f" {percent(share)}" if share is not None else "")
    return f"{row.running_jobs} running" if row.running_jobs else ""


def weddings_heading(status: Status) -> str:
    """`2 today, 1 protected · 128 in all`."""
    head = status.dashboard
    if not head.weddings_total:
        return ""
    unknown = f", {head.weddings_today_unknown} not counted yet" if head.weddings_today_unknown else ""
    today = f"{head.weddings_today} today, {head.weddings_today_protected} protected{unknown}"
    left = head.weddings_unknown - head.weddings_today_unknown
    counting = f", {left:,} not counted yet" if left else ""
    return f"{today if head.weddings_today else 'none today'} · {head.weddings_total:,} in all{counting}"


def weddings_empty(status: Status) -> tuple[Line, ...]:
    """What stands where no wedding is."""
    if status.status == "no-repository":
        return (
            line_of(Span("There is no repository yet.", "strong")),
            line_of("Press ", Span("i", "accent"), " to make one in ", Span(_hot_url(status), "dim"), "."),
            line_of(Span("Then add a wedding and back it up; ? shows every key.", "dim")),
        )
    if status.status == "starting":
        return (line_of("The engine is starting …"),)
    if status.status == "failed":
        reason = next((clean(alert.message) for alert in status.alerts if alert.id == "repository"), "")
        return (
            line_of(Span("The repository could not be opened.", "strong")),
            line_of(Span(reason or "health says what is wrong", "critical")),
        )
    return (
        line_of(Span("No weddings yet.", "strong")),
        line_of("Press ", Span("a", "accent"), " to add one, or ", Span(":", "accent"), " and type"),
        line_of(Span("wedding add smith-jones --date 2026-06-20", "accent")),
    )


def _hot_url(status: Status) -> str:
    return next((clean(tier.url) for tier in status.storage.tiers if tier.tier == "hot"), "the hot store")


# --- jobs ---------------------------------------------------------------------------------------------


def job_share(job: JobRow) -> float | None:
    """How far a job is, 0…1; None while its size is not known."""
    if job.bytes_total:
        return job.bytes_read / job.bytes_total
    if job.files_total:
        return job.files_done / job.files_total
    if job.bytes_expected:
        return min(1.0, job.bytes_read / job.bytes_expected)
    return None


def is_about(job: JobRow) -> bool:
    """Whether its share is an estimate: the scan has not seen everything."""
    return job.bytes_total is None and job.files_total is None and bool(job.bytes_expected)


def job_order(status: Status) -> tuple[JobRow, ...]:
    """What runs first, then what waits or is paused, then what has ended, newest first."""
    rank = {"running": 0, "queued": 1, "paused": 2}
    return tuple(sorted(status.jobs, key=lambda job: (rank.get(job.state, 3), -job.ended_ns, job.queued_ns)))


_JOB_HEAD = (Column(10), Column(10, 24))
_JOB_RUNNING = (
    Column(8, 36), Column(5, right=True), Column(9, right=True, from_width=44), Column(11, right=True, from_width=56),
    Column(20, from_width=84, right=True), Column(18, from_width=120, right=True), Column(10, from_width=70),
    Column(14, 60, from_width=98, keep_end=True),
)  # fmt: skip


def job_rows(status: Status, width: int) -> tuple[Row, ...]:
    """The jobs: kind and wedding, then a bar with rate and time left, or how it ended."""
    now = now_ns(status)
    head_width = min(max(22, width * 35 // 100), 38)
    head_sizes = columns_at(_JOB_HEAD, head_width)
    rest_width = max(0, width - head_width - 2)
    rest_sizes = columns_at(_JOB_RUNNING, rest_width)
    rows = []
    for job in job_order(status):
        glyph, role = JOB_GLYPH[job.state]
        head = lay_out(
            (line_of(Span(f"{glyph} {job.kind}", role)), line_of(Span(clean(job.wedding), "strong"))),
            _JOB_HEAD,
            head_sizes,
        )
        if job.state == "running":
            rest = lay_out(_running_cells(job, rest_sizes[0]), _JOB_RUNNING, rest_sizes)
        else:
            rest = fit(job_words(job, now), rest_width)
        rows.append(Row(job.id, (*head, Span("  "), *rest)))
    return tuple(rows)


def _running_cells(job: JobRow, bar_width: int) -> tuple[Line, ...]:
    share = job_share(job)
    whole, about = job.bytes_total or job.bytes_expected, is_about(job)
    total = "" if whole is None else f" of {'about ' * about}{format_bytes(whole)}"
    files = format_count(job.files_done, "file")
    if job.files_total is not None:
        files = f"{job.files_done:,} of {format_count(job.files_total, 'file')}"
    so_far = f"{format_bytes(job.bytes_read)} so far"
    return (
        bar(share, bar_width) if share is not None else rail_with(so_far, bar_width),
        line_of(Span("scan" if share is None else f"{'~' * about}{percent(share)}", "strong")),
        line_of(format_rate(job.rate_bytes_per_s)),
        line_of(Span("" if job.eta_s is None else f"{'~' * about}{format_span(job.eta_s)} left", "dim")),
        line_of(Span(f"{format_bytes(job.bytes_read)}{total}", "dim")),
        line_of(Span(files, "dim")),
        line_of(Span(f"▲ {job.warnings} warn" if job.warnings else "", "warning")),
        line_of(Span(clean(job.current), "dim")),
    )


def job_words(job: JobRow, now: int) -> Line:
    """How a job stands that does not run: `done 2 min ago, 4.00 GB in 35 s, 312 MB stored`."""
    role = JOB_GLYPH[job.state][1]
    if job.state == "queued":
        return line_of(Span(f"queued {ago((now - job.queued_ns) / SECOND_NS)}", "dim"))
    if job.state == "paused":
        return line_of(Span("paused", role), Span(f", {format_bytes(job.bytes_read)} so far", "dim"))
    ended = ago((now - job.ended_ns) / SECOND_NS)
    if job.state == "failed":
        return line_of(Span(f"failed {ended}", role), f": {clean(job.message) or job.code or 'no reason was given'}")
    if job.state in ("cancelled", "interrupted"):
        kept = f", {clean(job.message)}" if job.message else ""
        return line_of(Span(f"{job.state} {ended}", role), Span(kept, "dim"))
    spent = format_span(max(0, job.ended_ns - job.started_ns) / SECOND_NS)
    facts = f", {format_bytes(job.bytes_read)} in {spent}"
    if job.kind in ("backup", "store"):
        facts += f", {format_bytes(job.bytes_stored)} stored"
    warnings = f", {warnings_told(job)}" if job.warnings else ""
    return line_of(Span(f"done {ended}", role), Span(warnings, "warning"), Span(facts, "dim"))


def warnings_told(job: JobRow) -> str:
    """How many things a job has told of that are not as they should be: `2 warnings`; a verification, `2 problems`."""
    return format_count(job.warnings, "problem" if job.kind == "verify" else "warning")


def job_meant(status: Status, begun: str) -> str:
    """The job whose id begins so, for whoever is asked about it: `backup of smith-jones, running, 42 %`."""
    found = [job for job in status.jobs if begun and job.id.startswith(begun)]
    if len(found) != 1:
        return ""
    share = job_share(found[0]) if found[0].state == "running" else None
    part = f", {percent(share)}" if share is not None else ""
    return f"{found[0].kind} of {clean(found[0].wedding)}, {found[0].state}{part}"


def jobs_heading(status: Status) -> str:
    """`1 running, 2 queued · 14 done, 1 failed`."""
    head = status.dashboard
    parts = [f"{head.jobs_running} running"]
    if head.jobs_queued:
        parts.append(f"{head.jobs_queued} queued")
    ended = f"{head.jobs_done} done" + (f", {head.jobs_failed} failed" if head.jobs_failed else "")
    return f"{', '.join(parts)} · {ended}"


def jobs_empty(status: Status) -> tuple[Line, ...]:
    """What stands where no job is."""
    if status.status == "no-repository" or not status.dashboard.weddings_total:
        return (line_of(Span("No job has run.", "dim")),)
    return (line_of("No job has run. Press ", Span("b", "accent"), " to back up the wedding that is marked."),)


def unfinished(status: Status) -> int:
    """Jobs that a quit would cut short."""
    return status.dashboard.jobs_running + status.dashboard.jobs_queued


def is_ended(job: JobRow) -> bool:
    """Whether nothing more will happen to it."""
    return job.state in JOB_STATES_ENDED


# --- the top line, and what needs a person ------------------------------------------------------------


def overall(status: Status) -> Span:
    """The one word of the screen: the gravest of what the document says."""
    if status.status != "ready":
        words = {"no-repository": "no repository yet", "draining": "stopping: jobs are ending"}
        return Span(f"○ {words.get(status.status, status.status)}", "warning")
    levels = [area.health for area in status.health] + [row.level for row in status.alerts if not row.acknowledged]
    if "critical" in levels:
        return Span("✗ critical", "critical")
    if "warning" in levels:
        return Span("▲ needs a look", "warning")
    return Span("● all well", "ok") if "ok" in levels else Span("○ unknown", "dim")


def status_line(status: Status, width: int, *, notice: str = "") -> Line:
    """The top line: health, host, simulated, jobs, streams, lag, clock. `notice` stands before all but health."""
    parts: list[Span] = [overall(status)]
    if notice:
        parts.append(Span(notice, "warning"))
    if status.simulated:
        parts.append(Span("SIMULATED", "warning"))
    scaling = status.auto_scaling
    optional = [
        Span(f"streams {scaling.streams_busy}/{scaling.streams}"),
        Span(clean(status.infrastructure.host), "dim"),
        Span(f"engine lag {format_span(status.infrastructure.engine_lag_s)}", "dim"),
    ]
    right = Span(f"{clock(now_ns(status))} UTC", "dim")
    room = width - len(right.text) - 3
    used = sum(len(part.text) + 3 for part in parts)
    for part in optional:
        if used + len(part.text) + 3 > room:
            break
        parts.append(part)
        used += len(part.text) + 3
    left: list[Span] = [Span(" ")]
    for index, part in enumerate(parts):
        if index:
            left.append(Span(" · ", "dim"))
        left.append(part)
    return (*fit(tuple(left), max(0, width - len(right.text) - 1)), right, Span(" "))


def attention_lines(status: Status) -> tuple[Line, ...]:
    """What needs a person, gravest first: alerts, then areas of health that are not well."""
    now = now_ns(status)
    alerts = sorted(
        (row for row in status.alerts if not row.acknowledged),
        key=lambda row: (row.level != "critical", row.since_ns),
    )
    lines = []
    for row in alerts:
        glyph, role = HEALTH_GLYPH[row.level]
        since = ago((now - row.since_ns) / SECOND_NS)
        lines.append(
            line_of(
                Span(f"{glyph} {row.level}", role),
                f"  {clean(row.subject)}: {clean(row.message)}",
                Span(f"  since {since.removesuffix(' ago')}" if since != "just now" else "  just now", "dim"),
            )
        )
    for area in status.health:
        if area.health in ("warning", "critical"):
            glyph, role = HEALTH_GLYPH[area.health]
            lines.append(line_of(Span(f"{glyph} {area.health}", role), f"  {area.area}: {clean(area.reason)}"))
    return tuple(lines)


def event_line(event: Event) -> Line:
    """One line of the log."""
    glyph, role = _EVENT_GLYPH.get(event.level, ("·", "dim"))
    return line_of(Span(clock(event.time_ns), "dim"), Span(f" {glyph} ", role), event_words(event))


def event_words(event: Event) -> str:
    """An event as a sentence, whatever of it is filled in."""
    words = clean(event.message) or event.kind.replace("-", " ")
    return f"{words} ({clean(event.wedding)})" if event.wedding and event.wedding not in words else words


_EVENT_GLYPH: dict[str, tuple[str, Role]] = {
    "info": ("·", "dim"), "warning": ("▲", "warning"), "error": ("✗", "critical"),
}  # fmt: skip

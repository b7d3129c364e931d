"""What the side panels say: pace, initiation, stages, storage, streams, the machine. Status in, lines out.

Pure, like `view`. Each figure states its unit, and a percentile its window and count. Drawing thread.
"""

from __future__ import annotations

import datetime as dt
from itertools import pairwise
from typing import NamedTuple

from engine.base.units import format_bytes, format_count, format_rate, format_span
from engine.contract.status import AutoScaling, Percentiles, StageTime, Status, TierRow
from screens.classes import STAGE_WORDS, bottleneck_words, classes_short
from screens.text import Column, Line, Role, Span, bar, clean, columns_at, cut, fit, lay_out, line_of, percent
from screens.view import SECOND_NS, clock, day_words


class Labelled(NamedTuple):
    """A label in its column, and what stands beside it."""

    label: str
    line: Line

    def at(self, width: int, label_width: int = 8) -> Line:
        """As one line of `width` cells."""
        return fit((Span(self.label.ljust(label_width), "dim"), *self.line), width)


# --- the narrow screen's one panel of figures ---------------------------------------------------------


def pace_lines(status: Status, width: int) -> tuple[Line, ...]:
    """Six lines for the narrow screen: streams, what slows it, the classes, start of jobs, hot tier, machine."""
    room = max(0, width - 8)
    machine = status.infrastructure
    return (
        Labelled("streams", streams_bar(status.auto_scaling, min(12, max(0, room - 8)))).at(width),
        Labelled("slowest", _slowest(status)).at(width),
        Labelled("classes", classes_short(status)).at(width),
        Labelled("start", _initiation_short(status.performance.initiation)).at(width),
        Labelled("hot", _tier_short(_hot(status), room)).at(width),
        Labelled("machine", line_of(f"CPU {percent(machine.cpu_share)}, load {machine.load_one_minute:.1f}")).at(width),
    )


def _slowest(status: Status) -> Line:
    slow = bottleneck_words(status)
    if slow:
        return line_of(Span("now ", "dim"), slow)
    stages = _shares(status.performance.stages)
    if not stages:
        return line_of(Span("nothing has run", "dim"))
    stage, share = max(stages, key=lambda pair: pair[1])
    p95 = Span(f", p95 {format_span(stage.unit.p95_s)}" if stage.unit.count else "", "dim")
    return line_of(f"{STAGE_WORDS.get(stage.stage, stage.stage)} {percent(share)}", p95)


def _initiation_short(spread: Percentiles) -> Line:
    if not spread.count:
        return line_of(Span("no job yet", "dim"))
    return line_of(f"p50 {format_span(spread.p50_s)}, p99 {format_span(spread.p99_s)}")


def _hot(status: Status) -> TierRow | None:
    return next((tier for tier in status.storage.tiers if tier.tier == "hot"), None)


def _tier_short(tier: TierRow | None, room: int) -> Line:
    if tier is None or tier.free_bytes is None or not tier.capacity_bytes:
        used = None if tier is None else tier.used_bytes
        return line_of(Span("not measured yet", "dim") if used is None else Span(format_bytes(used)))
    share = fullness(tier)
    words = f"{percent(share)} full, {format_bytes(tier.free_bytes)} free"
    length = min(8, room - len(words) - 1)
    return (*bar(share, length), Span(" " * (length > 0) + words, tier_role(share))) if length >= 3 else line_of(words)


def fullness(tier: TierRow) -> float:
    """The share of a tier's capacity that is not free, 0…1, whoever fills it."""
    if not tier.capacity_bytes or tier.free_bytes is None:
        return 0.0
    return min(1.0, max(0.0, 1 - tier.free_bytes / tier.capacity_bytes))


# --- initiation ---------------------------------------------------------------------------------------


def initiation_lines(spread: Percentiles, width: int) -> tuple[Line, ...]:
    """Request → first sealed byte: p50, p95, p99 and the worst; the heading tells of how many."""
    if not spread.count:
        return (line_of(Span("No job has started yet.", "dim")),)
    figures: tuple[tuple[str, Role, float], ...] = (
        ("p50", "p50", spread.p50_s), ("p95", "p95", spread.p95_s), ("p99", "p99", spread.p99_s),
        ("worst", "plain", spread.max_s),
    )  # fmt: skip
    cells: list[Span] = []
    for label, role, value in figures:
        cells += [Span(f"{label} ", role), Span(f"{format_span(value):<9}", "strong")]
    if width >= 52:
        return (fit(tuple(cells), width),)
    return (fit(tuple(cells[:4]), width), fit(tuple(cells[4:]), width))


def initiation_heading(spread: Percentiles) -> str:
    """`212 jobs in the last hour`: what the percentiles are of."""
    if not spread.count:
        return ""
    span = _ONE_UNIT.get(spread.window_s) or format_span(spread.window_s)
    return f"{format_count(spread.count, 'job')} in the last {span}"


_ONE_UNIT = {60.0: "minute", 3_600.0: "hour", 86_400.0: "day"}


# --- what slows it ------------------------------------------------------------------------------------


def _shares(stages: tuple[StageTime, ...]) -> list[tuple[StageTime, float]]:
    """Those that cost anything: lines are dear, and a disk that keeps up is not waited for."""
    total = sum(stage.thread_s for stage in stages)
    return [(stage, stage.thread_s / total) for stage in stages if stage.thread_s > STAGE_SHARE_MIN * total]


STAGE_SHARE_MIN = 0.005
_STAGE_COLUMNS = (
    Column(11), Column(6, 40, from_width=52), Column(5, right=True), Column(6, 8, right=True),
    Column(6, 8, right=True), Column(6, 8, right=True), Column(15, from_width=84, right=True),
)  # fmt: skip
_STAGE_HEADS = ("", "", "share", "p50", "p95", "p99", "one stream")


def stage_lines(status: Status, width: int) -> tuple[Line, ...]:
    """Each stage's share of the streams' time since the start, and how long a unit spends in it."""
    stages = _shares(status.performance.stages)
    if not stages:
        return (line_of(Span("Nothing has run yet.", "dim")),)
    sizes = columns_at(_STAGE_COLUMNS, width)
    most = max(share for _, share in stages)
    heads = lay_out([line_of(Span(head, "dim")) for head in _STAGE_HEADS], _STAGE_COLUMNS, sizes)
    lines = [fit(heads, width)]
    for stage, share in stages:
        pace = f"{format_rate(stage.bytes / stage.thread_s)}" if stage.thread_s > 0 and stage.bytes else ""
        role: Role = "strong" if share == most else "plain"
        unit = (stage.unit.p50_s, stage.unit.p95_s, stage.unit.p99_s)
        cells = (
            line_of(Span(STAGE_WORDS.get(stage.stage, clean(stage.stage)), role)),
            bar(share, sizes[1]),
            line_of(Span(percent(share), role)),
            *(line_of(Span(_short_span(seconds) if stage.unit.count else "–", role)) for seconds in unit),
            line_of(Span(pace, "dim")),
        )
        lines.append(fit(lay_out(cells, _STAGE_COLUMNS, sizes), width))
    return tuple(lines)


def _short_span(seconds: float) -> str:
    """As `format_span`, in at most six cells, and below 10 ms to a tenth."""
    if seconds < 0.01:
        return f"{seconds * 1000:.1f} ms"
    return format_span(seconds).split(" ")[0] if seconds >= 60 else format_span(seconds)


def stages_heading(status: Status) -> str:
    """`now writing · a unit; 1,204 in the last 10m`: what slows it now, and what the percentiles are of."""
    slow = bottleneck_words(status)
    stages = [stage.unit for stage in status.performance.stages if stage.unit.count]
    now = f"now {slow}" if slow else ""
    if not stages:
        return now
    most = max(stages, key=lambda unit: unit.count)
    return f"{now}{' · ' * bool(now)}{most.count:,} units in {format_span(most.window_s)}"


# --- storage ------------------------------------------------------------------------------------------


def tier_role(share: float) -> Role:
    """How full is too full."""
    return "critical" if share >= 0.95 else "warning" if share >= 0.85 else "plain"


def storage_lines(status: Status, width: int) -> tuple[Line, ...]:
    """Each tier: how full, what is free of what capacity; what of it is ours; where it is; last, what dedup saved."""
    lines: list[Line] = []
    for tier in status.storage.tiers:
        lines.extend(_tier_lines(tier, width))
    if status.performance.bytes_read_total:
        ratio = status.performance.dedup_ratio
        lines.append(Labelled("dedup", line_of(f"{ratio:.2f} : 1", Span(" since the start", "dim"))).at(width))
    return tuple(lines) or (line_of(Span("No store is open.", "dim")),)


def _tier_lines(tier: TierRow, width: int) -> list[Line]:
    place = clean(tier.url.removeprefix("file://"))
    where = Labelled("", line_of(Span(cut(place, max(0, width - 8), keep_end=True), "dim"))).at(width)
    used = "being counted" if tier.used_bytes is None else f"{format_bytes(tier.used_bytes)} ours"
    limit = "" if tier.limit_bytes_per_s is None else f", limit {format_rate(tier.limit_bytes_per_s)}"
    if tier.free_bytes is None or not tier.capacity_bytes:
        return [Labelled(tier.tier, line_of(used + limit)).at(width), where]
    share, room = fullness(tier), format_bytes(tier.capacity_bytes)
    words = f" {percent(share)} full, {format_bytes(tier.free_bytes)} free of {room}"
    length = width - 8 - len(words)
    if length >= 6:
        first = (*bar(share, min(length, 30)), Span(words, tier_role(share)))
    else:
        first = line_of(Span(words.strip(), tier_role(share)))
    ours = "" if tier.used_bytes is None else f", {percent(tier.used_bytes / tier.capacity_bytes)} of it"
    return [
        Labelled(tier.tier, first).at(width),
        Labelled("", line_of(Span(used + ours + limit, "dim"))).at(width),
        where,
    ]


# --- streams ------------------------------------------------------------------------------------------


def streams_bar(scaling: AutoScaling, width: int) -> Line:
    """`▮▮▮▯▯ 3/5`: streams at work among those there are; many are drawn in proportion."""
    words = f"{scaling.streams_busy}/{scaling.streams}"
    if width <= 0 or not scaling.streams:
        return line_of(words)
    marks = min(width, scaling.streams)
    busy = -(-scaling.streams_busy * marks // scaling.streams)
    return (Span("▮" * busy, "bar"), Span("▯" * (marks - busy), "rail"), Span(f" {words}"))


def until_words(ns: int) -> str:
    """`Sat 18:00`, UTC."""
    moment = dt.datetime.fromtimestamp(ns // SECOND_NS, tz=dt.UTC)
    return f"{day_words(moment.date(), 2)} {moment:%H:%M}"


def capacity_lines(status: Status) -> tuple[Line, ...]:
    """What to know before the number of streams is changed."""
    scaling, head = status.auto_scaling, status.dashboard
    chosen = "set by hand" if scaling.mode == "manual" else "by default"
    if scaling.until_ns is not None:
        chosen += f" until {until_words(scaling.until_ns)} UTC"
    machine = status.infrastructure
    return (
        line_of(Span(format_count(scaling.streams, "stream"), "strong"), f" {chosen}, {scaling.streams_busy} busy"),
        line_of(Span(f"jobs: {head.jobs_running} running, {head.jobs_queued} waiting", "dim")),
        line_of(
            Span(
                f"CPU {percent(machine.cpu_share)} of {machine.cpu_cores} cores, load {machine.load_one_minute:.1f}",
                "dim",
            )
        ),
    )


def streams_lines(scaling: AutoScaling, width: int, rows: int) -> tuple[Line, ...]:
    """Streams now and whose choice that is, then the scaling timeline, newest first; of one line its newest step."""
    chosen = "set by hand" if scaling.mode == "manual" else "by default"
    if scaling.until_ns is not None:
        chosen += f" until {until_words(scaling.until_ns)}"
    if scaling.target != scaling.streams:
        chosen += f", going to {scaling.target}"
    now = streams_bar(scaling, max(0, min(24, width - 28)))
    changes = scaling.timeline[::-1]
    before = {change.time_ns: older.streams for change, older in pairwise(changes)}
    steps: list[Line] = []
    for change in changes[: max(1, rows - 1)]:
        step = f"{before[change.time_ns]} → {change.streams}" if change.time_ns in before else f"{change.streams}"
        steps.append((Span(f"{clock(change.time_ns)} ", "dim"), Span(f"{step:<9}"), Span(clean(change.reason), "dim")))
    if rows == 1 and before:
        return (fit((*now, Span("  "), *steps[0]), width),)
    first = (*now, Span(f" busy, {chosen}", "dim"))
    return tuple(fit(line, width) for line in (first, *steps[: max(0, rows - 1)]))


# --- the machine --------------------------------------------------------------------------------------


def machine_lines(status: Status, width: int) -> tuple[Line, ...]:
    """CPU, memory, disk and network of this machine, and the engine's own share."""
    now = status.infrastructure
    memory = now.memory_used_bytes / now.memory_total_bytes if now.memory_total_bytes else 0.0
    length = max(0, min(20, width - 34))
    gap = " " * (length > 0)
    cpu = (*bar(now.cpu_share, length), Span(f"{gap}{percent(now.cpu_share)} of {now.cpu_cores} cores"))
    used = (*bar(memory, length), Span(f"{gap}{percent(memory)} of {format_bytes(now.memory_total_bytes)}"))
    disk = f"{format_rate(now.disk_read_bytes_per_s)} read, {format_rate(now.disk_write_bytes_per_s)} written"
    network = f"{format_rate(now.network_received_bytes_per_s)} in, {format_rate(now.network_sent_bytes_per_s)} out"
    lines = (
        Labelled("CPU", (*cpu, Span(f", load {now.load_one_minute:.1f}", "dim"))),
        Labelled("memory", (*used, Span(f", engine {format_bytes(now.engine_memory_bytes)}", "dim"))),
        Labelled("disk", line_of(disk)),
        Labelled("network", line_of(network)),
    )
    return tuple(line.at(width) for line in lines)


def uptime(status: Status, now: int) -> str:
    """`up 2h`."""
    return f"up {format_span(max(0, now - status.infrastructure.started_ns) // SECOND_NS)}"

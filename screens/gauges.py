"""What the side panels say: pace, initiation, stages, storage, streams, the machine. Status in, lines out.

Pure, like `view`. Each figure states its unit, and a percentile its window and count. Drawing thread.
"""

from __future__ import annotations

from itertools import pairwise
from typing import NamedTuple

from engine.base.units import format_bytes, format_rate, format_span
from engine.contract.status import AutoScaling, Percentiles, StageTime, Status, TierRow
from screens.text import Column, Line, Role, Span, bar, clean, columns_at, cut, fit, lay_out, line_of, percent
from screens.view import SECOND_NS, clock

_STAGE_WORDS = {
    "read": "reading", "chunk": "chunking", "index": "index", "compress": "compressing", "seal": "sealing",
    "compare": "comparing", "write": "writing",
}  # fmt: skip


class Labelled(NamedTuple):
    """A label in its column, and what stands beside it."""

    label: str
    line: Line

    def at(self, width: int, label_width: int = 8) -> Line:
        """As one line of `width` cells."""
        return fit((Span(self.label.ljust(label_width), "dim"), *self.line), width)


# --- the narrow screen's one panel of figures ---------------------------------------------------------


def pace_lines(status: Status, width: int) -> tuple[Line, ...]:
    """Five lines for the narrow screen: streams, what slows it, start of jobs, hot tier, machine."""
    room = max(0, width - 8)
    machine = status.infrastructure
    return (
        Labelled("streams", streams_bar(status.auto_scaling, min(12, max(0, room - 8)))).at(width),
        Labelled("slowest", _slowest(status)).at(width),
        Labelled("start", _initiation_short(status.performance.initiation)).at(width),
        Labelled("hot", _tier_short(_hot(status), room)).at(width),
        Labelled("machine", line_of(f"CPU {percent(machine.cpu_share)}, load {machine.load_one_minute:.1f}")).at(width),
    )


def _slowest(status: Status) -> Line:
    stages = _shares(status.performance.stages)
    if not stages:
        return line_of(Span("nothing has run", "dim"))
    stage, share = max(stages, key=lambda pair: pair[1])
    return line_of(f"{_STAGE_WORDS.get(stage.stage, stage.stage)} {percent(share)}")


def _initiation_short(spread: Percentiles) -> Line:
    if not spread.count:
        return line_of(Span("no job yet", "dim"))
    return line_of(f"p50 {format_span(spread.p50_s)}, p99 {format_span(spread.p99_s)}")


def _hot(status: Status) -> TierRow | None:
    return next((tier for tier in status.storage.tiers if tier.tier == "hot"), None)


def _tier_short(tier: TierRow | None, room: int) -> Line:
    if tier is None or tier.used_bytes is None:
        return line_of(Span("not measured yet", "dim"))
    if not tier.capacity_bytes:
        return line_of(format_bytes(tier.used_bytes))
    words = f"{format_bytes(tier.used_bytes)} of {format_bytes(tier.capacity_bytes)}"
    share = tier.used_bytes / tier.capacity_bytes
    length = min(8, room - len(words) - 1)
    return (*bar(share, length), Span(" " * (length > 0) + words, tier_role(share))) if length >= 3 else line_of(words)


# --- initiation ---------------------------------------------------------------------------------------


def initiation_lines(spread: Percentiles, width: int) -> tuple[Line, ...]:
    """Request → first sealed byte: p50, p95, p99 and the worst, with window and count."""
    if not spread.count:
        return (line_of(Span("No job has started yet.", "dim")),)
    figures: tuple[tuple[str, Role, float], ...] = (
        ("p50", "p50", spread.p50_s), ("p95", "p95", spread.p95_s), ("p99", "p99", spread.p99_s),
        ("worst", "plain", spread.max_s),
    )  # fmt: skip
    cells: list[Span] = []
    for label, role, value in figures:
        cells += [Span(f"{label} ", role), Span(f"{format_span(value):<9}", "strong")]
    jobs = f"{spread.count:,} job{'s' * (spread.count != 1)}"
    span = _ONE_UNIT.get(spread.window_s) or format_span(spread.window_s)
    window = line_of(Span(f"{jobs} in the last {span}", "dim"))
    if width >= 52:
        return (fit(tuple(cells), width), fit(window, width))
    return (fit(tuple(cells[:4]), width), fit(tuple(cells[4:]), width), fit(window, width))


_ONE_UNIT = {60.0: "minute", 3_600.0: "hour", 86_400.0: "day"}


# --- what slows it ------------------------------------------------------------------------------------


def _shares(stages: tuple[StageTime, ...]) -> list[tuple[StageTime, float]]:
    total = sum(stage.thread_s for stage in stages)
    return [(stage, stage.thread_s / total) for stage in stages] if total > 0 else []


_STAGE_COLUMNS = (Column(11), Column(6, 40), Column(5, right=True), Column(18, from_width=44, right=True))


def stage_lines(status: Status, width: int) -> tuple[Line, ...]:
    """Share of the streams' time by stage, and the pace one stream makes in it."""
    stages = _shares(status.performance.stages)
    if not stages:
        return (line_of(Span("Nothing has run yet.", "dim")),)
    sizes = columns_at(_STAGE_COLUMNS, width)
    most = max(share for _, share in stages)
    lines = []
    for stage, share in stages:
        pace = f"{format_rate(stage.bytes / stage.thread_s)} each" if stage.thread_s > 0 and stage.bytes else ""
        role: Role = "strong" if share == most else "plain"
        cells = (
            line_of(Span(_STAGE_WORDS.get(stage.stage, clean(stage.stage)), role)),
            bar(share, sizes[1]),
            line_of(Span(percent(share), role)),
            line_of(Span(pace, "dim")),
        )
        lines.append(lay_out(cells, _STAGE_COLUMNS, sizes))
    return tuple(lines)


# --- storage ------------------------------------------------------------------------------------------


def tier_role(share: float) -> Role:
    """How full is too full."""
    return "critical" if share >= 0.95 else "warning" if share >= 0.85 else "plain"


def storage_lines(status: Status, width: int) -> tuple[Line, ...]:
    """Each tier: a bar, used of capacity, what is free; below it, where it is; last, what dedup saved."""
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
    free = "" if tier.free_bytes is None else f"{format_bytes(tier.free_bytes)} free"
    if tier.used_bytes is None:
        words = f"not measured yet{', ' + free if free else ''}"
        return [Labelled(tier.tier, line_of(Span(words, "dim"))).at(width), where]
    if not tier.capacity_bytes:
        words = f"{format_bytes(tier.used_bytes)} used{', ' + free if free else ''}"
        return [Labelled(tier.tier, line_of(words)).at(width), where]
    share = tier.used_bytes / tier.capacity_bytes
    words = f" {percent(share)}, {format_bytes(tier.used_bytes)} of {format_bytes(tier.capacity_bytes)}"
    length = width - 8 - len(words)
    if length >= 6:
        first = (*bar(share, min(length, 30)), Span(words, tier_role(share)))
    else:
        first = line_of(Span(words.strip(), tier_role(share)))
    return [Labelled(tier.tier, first).at(width), where]


# --- streams ------------------------------------------------------------------------------------------


def streams_bar(scaling: AutoScaling, width: int) -> Line:
    """`▮▮▮▯▯ 3/5`: streams at work among those there are; many are drawn in proportion."""
    words = f"{scaling.streams_busy}/{scaling.streams}"
    if width <= 0 or not scaling.streams:
        return line_of(words)
    marks = min(width, scaling.streams)
    busy = -(-scaling.streams_busy * marks // scaling.streams)
    return (Span("▮" * busy, "bar"), Span("▯" * (marks - busy), "rail"), Span(f" {words}"))


def streams_lines(scaling: AutoScaling, width: int, rows: int) -> tuple[Line, ...]:
    """Streams now and whose choice that is, then the scaling timeline, newest first."""
    chosen = "set by hand" if scaling.mode == "manual" else "by default"
    if scaling.target != scaling.streams:
        chosen += f", going to {scaling.target}"
    first = (*streams_bar(scaling, max(0, min(24, width - 28))), Span(f" busy, {chosen}", "dim"))
    lines = [fit(first, width)]
    changes = scaling.timeline[::-1]
    before = {change.time_ns: older.streams for change, older in pairwise(changes)}
    for change in changes[: max(0, rows - 1)]:
        step = f"{before[change.time_ns]} → {change.streams}" if change.time_ns in before else f"{change.streams}"
        words = (Span(f"{clock(change.time_ns)} ", "dim"), Span(f"{step:<9}"), Span(clean(change.reason), "dim"))
        lines.append(fit(words, width))
    return tuple(lines)


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

"""What the Storage screen says: tiers, regions, copies, moves, recalls, scrub, cache. Status in, lines out.

Pure, like `view`. Each part is a heading, a line of titles and a line a thing; what there is none of says so in one
line, and what is not set up at all says how to. Drawing thread.
"""

from __future__ import annotations

import datetime as dt
from collections.abc import Callable, Iterable, Sequence

from engine.base.units import format_bytes, format_count, format_rate, format_span
from engine.contract.status import (
    CachedTierRow,
    CacheStatus,
    EndpointRow,
    MovingRow,
    RecallRow,
    RegionRow,
    ScrubAges,
    Status,
    TierRow,
    WeddingRow,
)
from screens.gauges import fullness, tier_role
from screens.text import Column, Line, Span, bar, clean, columns_at, fit, lay_out, line_of, percent
from screens.view import SECOND_NS, now_ns

Part = Callable[[Status, int], tuple[Line, ...]]
Cell = Span | float | None  # words; a bar; a bar of an unknown share

_TIERS = (
    Column(5), Column(8, 28), Column(5, right=True), Column(9, right=True), Column(9, right=True, from_width=56),
    Column(10, right=True), Column(9, right=True, from_width=70), Column(9, right=True, from_width=88),
    Column(10, right=True, from_width=100), Column(12, 60, from_width=124, keep_end=True),
)  # fmt: skip
_TIER_HEADS = ("tier", "", "full", "ours", "free", "full on", "packs", "a month", "moves", "where")
_REGIONS = (
    Column(10, 18), Column(10, 22), Column(9, right=True), Column(9, right=True, from_width=60),
    Column(7, right=True), Column(7, right=True, from_width=52), Column(7, right=True),
    Column(14, 20, from_width=84), Column(16, 22, from_width=110),
)  # fmt: skip
_REGION_HEADS = ("region", "", "packs", "bytes", "owed", "since", "bad", "tiers", "at")
_OWED = (Column(12, 28), Column(12, right=True), Column(16, right=True), Column(16, right=True, from_width=56))
_OWED_HEADS = ("wedding", "copies owed", "committed since", "safe since")
_MOVES = (
    Column(12, 28), Column(11), Column(6, 24), Column(13, right=True, from_width=60), Column(9, right=True),
    Column(12, 60, from_width=80),
)  # fmt: skip
_MOVE_HEADS = ("wedding", "", "", "packs", "bytes", "why")
_RECALLS = (
    Column(12, 28), Column(4), Column(6, 24), Column(13, right=True, from_width=60), Column(9, right=True),
    Column(14, right=True), Column(10, from_width=80),
)  # fmt: skip
_RECALL_HEADS = ("wedding", "from", "", "packs", "bytes", "all back", "class")
_AGES = (
    Column(12, 20), Column(7, right=True), Column(7, right=True), Column(7, right=True),
    Column(8, right=True, from_width=58), Column(7, right=True), Column(6, right=True), Column(6, 24, from_width=70),
)  # fmt: skip
_AGE_HEADS = ("place", "a day", "a week", "a month", "3 months", "longer", "never", "recent")
_ENDPOINTS = (
    Column(12, 20), Column(11), Column(11, right=True), Column(9, right=True, from_width=60), Column(8, right=True),
    Column(6, from_width=52), Column(12, 60, from_width=84, keep_end=True),
)  # fmt: skip
_ENDPOINT_HEADS = ("place", "", "a stream", "moved", "failures", "paced", "where")
_CACHE = (
    Column(5), Column(5, right=True), Column(8, 20), Column(11, right=True, from_width=48),
    Column(11, right=True, from_width=62), Column(11, right=True, from_width=62), Column(11, right=True, from_width=76),
)  # fmt: skip
_CACHE_HEADS = ("tier", "hits", "", "reads", "memory p50", "disk p50", "store p50")


def heading(words: str, more: str, width: int) -> Line:
    """The first line of a part: its name, and what is to be known of it in a few words."""
    return fit((Span(words, "accent"), Span(f"  {more}" if more else "", "dim")), width)


def tier_lines(status: Status, width: int) -> tuple[Line, ...]:
    """Each tier: how full and until when, what of it is ours, what keeping it costs, what moves, where it is."""
    tiers = status.storage.tiers
    if not tiers:
        return (heading("Tiers", "", width), remark("No store is open.", width))
    costs = sum(_month(tier) for tier in tiers)
    more = format_count(len(tiers), "tier") + (f", {_money(costs)} a month" if costs else "")
    return (heading("Tiers", more, width), *table(_TIERS, _TIER_HEADS, (_tier_cells(tier) for tier in tiers), width))


def _tier_cells(tier: TierRow) -> tuple[Cell, ...]:
    known = tier.free_bytes is not None and bool(tier.capacity_bytes)
    share = fullness(tier)
    ours = "counting" if tier.used_bytes is None else format_bytes(tier.used_bytes)
    limit = "" if tier.limit_bytes_per_s is None else f" of {format_rate(tier.limit_bytes_per_s)}"
    moves = format_rate(tier.moved_bytes_per_s) + limit if tier.moved_bytes_per_s or limit else "–"
    return (
        Span(tier.tier, "strong"),
        share if known else None,
        Span(percent(share), tier_role(share)) if known else Span("–", "dim"),
        Span(ours),
        Span(format_bytes(tier.free_bytes) if tier.free_bytes is not None else "–", "dim"),
        _full_on(tier),
        Span("–" if tier.packs is None else f"{tier.packs:,}", "dim" if tier.packs is None else "plain"),
        Span(_money(_month(tier)) if tier.price_gb_month else "–", "dim"),
        Span(moves, "dim"),
        Span(clean(tier.url.removeprefix("file://")), "dim"),
    )


def _full_on(tier: TierRow) -> Span:
    if tier.full_ns is None:
        return Span("not soon", "dim")
    return Span(f"{dt.datetime.fromtimestamp(tier.full_ns // SECOND_NS, tz=dt.UTC):%d %b %Y}".lstrip("0"), "warning")


def _month(tier: TierRow) -> float:
    return tier.price_gb_month * (tier.packs_bytes if tier.packs_bytes is not None else tier.used_bytes or 0) / 1e9


def _money(amount: float) -> str:
    return f"{amount:,.2f}"


def region_lines(status: Status, width: int) -> tuple[Line, ...]:
    """Each region: does it answer, what lies there, what it is owed and since when, what of it is bad."""
    replication = status.storage.replication
    if replication is None:
        return (
            heading("Copies", "one", width),
            remark("No regions are named: each pack has one copy (docs/regions.md).", width),
        )
    copies = "one copy" if replication.copies == 1 else f"{replication.copies} copies"
    wanted = f"{copies} of each pack, {replication.quorum} to commit"
    late = replication.weddings_not_safe
    safe = Span(f", {format_count(late, 'wedding')} not safe yet", "warning") if late else Span(", all safe", "ok")
    first = fit((*heading("Copies", wanted, len(wanted) + 8), safe), width)
    rows = (_region_cells(row, now_ns(status)) for row in replication.regions)
    return (first, *table(_REGIONS, _REGION_HEADS, rows, width))


def _region_cells(row: RegionRow, now: int) -> tuple[Cell, ...]:
    if not row.answers:
        since = "" if row.failing_since_ns is None else f" {_since(row.failing_since_ns, now)}"
        state = Span(f"✗ away{since}", "critical")
    elif row.owed:
        state = Span("▲ healing", "warning")
    else:
        state = Span("● answers", "ok")
    return (
        Span(clean(row.region), "strong"),
        state,
        Span(f"{row.packs:,}"),
        Span(format_bytes(row.bytes_stored)),
        Span(f"{row.owed:,}" if row.owed else "–", "warning" if row.owed else "dim"),
        Span(_since(row.owed_since_ns, now) if row.owed and row.owed_since_ns is not None else "–", "dim"),
        Span(f"✗{row.bad:,}" if row.bad else "–", "critical" if row.bad else "dim"),
        Span(" ".join(row.tiers) + (" (adds only)" if row.append_only else ""), "dim"),
        Span(clean(row.at), "dim"),
    )


def owed_lines(status: Status, width: int) -> tuple[Line, ...]:
    """Weddings of which a region lacks something, the one that lacks most first. Nothing where none is."""
    owed = sorted((row for row in status.weddings if row.copies_owed), key=lambda row: -row.copies_owed)
    if not owed:
        return ()
    rows = (_owed_cells(row, now_ns(status)) for row in owed)
    head = heading("Not safe yet", "committed, and a region lacks something", width)
    return (head, *table(_OWED, _OWED_HEADS, rows, width))


def _owed_cells(row: WeddingRow, now: int) -> tuple[Cell, ...]:
    times = (row.protected_since_ns, row.safe_since_ns)
    return (
        Span(clean(row.name), "strong"),
        Span(f"{row.copies_owed:,}", "warning"),
        *(Span("–", "dim") if ns is None else Span(f"{_since(ns, now)} ago") for ns in times),
    )


def moving_lines(status: Status, width: int) -> tuple[Line, ...]:
    """Packs on the move between tiers."""
    moving = status.storage.moving
    if not moving:
        return (heading("Moving now", "", width), remark("Nothing moves between tiers.", width))
    head = heading("Moving now", format_count(len(moving), "migration"), width)
    return (head, *table(_MOVES, _MOVE_HEADS, map(_move_cells, moving), width))


def _move_cells(row: MovingRow) -> tuple[Cell, ...]:
    return (
        Span(clean(row.wedding), "strong"),
        Span(f"{row.source} → {row.target}"),
        _share(row.bytes_done, row.bytes_total),
        Span(f"{row.packs_done:,}/{row.packs_total:,}"),
        Span(format_bytes(row.bytes_total), "dim"),
        Span(clean(row.reason), "dim"),
    )


def recall_lines(status: Status, width: int) -> tuple[Line, ...]:
    """Packs that are being made readable, and when all of a wedding are expected."""
    recalls = status.storage.recalls
    if not recalls:
        return (heading("Recalls", "", width), remark("Nothing is being recalled.", width))
    head = heading("Recalls", format_count(len(recalls), "recall"), width)
    rows = (_recall_cells(row, now_ns(status)) for row in recalls)
    return (head, *table(_RECALLS, _RECALL_HEADS, rows, width))


def _recall_cells(row: RecallRow, now: int) -> tuple[Cell, ...]:
    left = None if row.eta_ns is None else (row.eta_ns - now) / SECOND_NS
    eta = Span("not known", "dim") if left is None else Span(f"in {format_span(left)}") if left > 0 else _OVERDUE
    return (
        Span(clean(row.wedding), "strong"),
        Span(row.tier),
        _share(row.packs_ready, row.packs_total),
        Span(f"{row.packs_ready:,}/{row.packs_total:,}"),
        Span(format_bytes(row.bytes_total), "dim"),
        eta,
        Span(clean(row.speed), "dim"),
    )


_OVERDUE = Span("▲ overdue", "warning")


def scrub_lines(status: Status, width: int) -> tuple[Line, ...]:
    """How long ago the copies in each place were verified: a small histogram in figures."""
    scrub = status.storage.scrub
    if scrub is None:
        return (heading("Scrub", "", width), remark("There is one copy of everything; verify reads it.", width))
    pace = f"at most {format_rate(scrub.limit_bytes_per_s)}" if scrub.enabled else "switched off"
    parts = [*heading("Scrub", f"{pace}, {format_bytes(scrub.bytes_read)} read since the start", width)[:2]]
    if scrub.bad_found:
        parts.append(Span(f", {scrub.bad_found:,} bad", "critical"))
    lines = [fit(tuple(parts), width), *table(_AGES, _AGE_HEADS, map(_age_cells, scrub.ages), width)]
    if scrub.problem:
        lines.append(fit(line_of(Span(f"▲ {clean(scrub.problem)}", "warning")), width))
    return tuple(lines)


def _age_cells(row: ScrubAges) -> tuple[Cell, ...]:
    counts = (row.within_day, row.within_week, row.within_month, row.within_quarter)
    total = sum(counts) + row.longer_ago + row.never
    return (
        Span(clean(row.place), "strong"),
        *(Span(f"{count:,}" if count else "–", "plain" if count else "dim") for count in counts),
        Span(f"{row.longer_ago:,}" if row.longer_ago else "–", "warning" if row.longer_ago else "dim"),
        Span(f"{row.never:,}" if row.never else "–", "warning" if row.never else "dim"),
        _share(sum(counts[:3]), total),
    )


def endpoint_lines(status: Status, width: int) -> tuple[Line, ...]:
    """The ways to stores in buckets: how fast, what failed, how they are paced. Nothing where there is no bucket."""
    rows = status.storage.endpoints
    if not rows:
        return ()
    head = heading("Endpoints", format_count(len(rows), "way") + " to buckets", width)
    return (head, *table(_ENDPOINTS, _ENDPOINT_HEADS, map(_endpoint_cells, rows), width))


def _endpoint_cells(row: EndpointRow) -> tuple[Cell, ...]:
    return (
        Span(clean(row.place), "strong"),
        Span("▲ resting", "warning") if row.is_resting else Span("● in use", "ok"),
        Span("–" if row.bytes_per_s is None else format_rate(row.bytes_per_s), "plain"),
        Span(format_bytes(row.bytes_moved), "dim"),
        Span(f"{row.failures:,}" if row.failures else "–", "warning" if row.failures else "dim"),
        Span(clean(row.congestion) or "–", "dim"),
        Span(clean(row.url), "dim"),
    )


def cache_lines(status: Status, width: int) -> tuple[Line, ...]:
    """The read cache: how full, and for each tier how often it had what was read, and how long that took."""
    cache = status.storage.cache
    if cache is None:
        return (heading("Read cache", "", width), remark("None: there is no warm or cold tier to read from.", width))
    head = heading("Read cache", _cache_room(cache), width)
    return (head, *table(_CACHE, _CACHE_HEADS, map(_cache_cells, cache.tiers), width))


def _cache_room(cache: CacheStatus) -> str:
    memory = f"memory {format_bytes(cache.memory_bytes)} of {format_bytes(cache.memory_capacity_bytes)}"
    if not cache.disk_capacity_bytes:
        return memory
    return f"{memory}, disk {format_bytes(cache.disk_bytes)} of {format_bytes(cache.disk_capacity_bytes)}"


def _cache_cells(row: CachedTierRow) -> tuple[Cell, ...]:
    reads = row.memory_hits + row.disk_hits + row.misses
    spreads = (row.memory, row.disk, row.store)
    return (
        Span(row.tier, "strong"),
        Span(percent(row.hit_rate) if reads else "–", "plain" if reads else "dim"),
        row.hit_rate if reads else None,
        Span(f"{reads:,}", "dim"),
        *(Span(_brief(spread.p50_s) if spread.count else "–", "dim") for spread in spreads),
    )


def table(
    columns: Sequence[Column], titles: Sequence[str], rows: Iterable[Sequence[Cell]], width: int
) -> tuple[Line, ...]:
    """Titles and rows; a number is a bar as long as its column allows, and None one of an unknown share."""
    sizes = columns_at(columns, width)
    lines = [lay_out([line_of(Span(title, "dim")) for title in titles], columns, sizes)]
    for row in rows:
        cells = [_cell(cell, size) for cell, size in zip(row, sizes, strict=True)]
        lines.append(lay_out(cells, columns, sizes))
    return tuple(fit(line, width) for line in lines)


def _cell(cell: Cell, size: int) -> Line:
    if cell is None or isinstance(cell, float):
        return bar(cell, size)
    return (cell,)


def _brief(seconds: float) -> str:
    """As `format_span`, and below a millisecond in microseconds."""
    return f"{seconds * 1e6:.0f} µs" if seconds < 0.001 else format_span(seconds)


def _share(done: int, total: int) -> float | None:
    return done / total if total else None


def _since(then_ns: int, now: int) -> str:
    return format_span(max(0, now - then_ns) / SECOND_NS).split(" ")[0]


def remark(words: str, width: int) -> Line:
    """A quiet line: what there is none of, or how it is set up."""
    return fit(line_of(Span(words, "dim")), width)

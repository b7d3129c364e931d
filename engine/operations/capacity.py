"""scale: how many streams work, or nodes, for now or until a moment; then the number goes back to what it was."""

from __future__ import annotations

import datetime as dt

from engine.base.errors import UsageError
from engine.base.units import format_time, parse_span
from engine.contract import operations as ops
from engine.contract.settings import STREAMS_MAX
from engine.operations.context import Engine, Handler
from engine.operations.streams import Mode, default_streams
from engine.scaling.facts import Manual

NODES_MAX = 10_000
UNTIL_MAX_S = 366 * 86_400.0


async def scale(engine: Engine, operation: ops.ScaleInfrastructure) -> ops.ScaleResult:
    """See `ops.ScaleInfrastructure`. Without an end: until the engine stops, or the next change. Raises UsageError."""
    now_ns = engine.clock.now_ns()
    until_ns = moment_of(operation.until, now_ns=now_ns) if operation.until.strip() else None
    word = operation.target.strip().lower()
    if engine.scaling.nodes is not None:
        return _scale_nodes(engine, word, until_ns)
    if word == "auto":
        if until_ns is not None:
            raise UsageError("auto has no end", "give a number of streams with --until")
        decides = engine.settings.scaling.mode == "auto"
        target = engine.streams.size if decides else default_streams()
        before = resize(engine, target, mode="auto" if decides else "default", reason="scale auto")
    elif word.isascii() and word.isdigit() and 1 <= int(word) <= STREAMS_MAX:
        ends = f" until {format_time(until_ns)[:16]} UTC" if until_ns is not None else ""
        before = resize(engine, int(word), mode="manual", reason=f"scale {int(word)}{ends}", until_ns=until_ns)
    else:
        raise UsageError(f"{operation.target!r} is no number of streams", f"give 1 to {STREAMS_MAX}, or auto")
    return ops.ScaleResult(
        before=before,
        streams=engine.streams.size,
        mode=engine.streams.mode,
        until=format_time(until_ns) if until_ns is not None else None,
    )


def _scale_nodes(engine: Engine, word: str, until_ns: int | None) -> ops.ScaleResult:
    """The same of the nodes of a cluster, which the autoscaler's next round brings or lets go."""
    board, nodes = engine.scaling, engine.scaling.nodes
    before = nodes.size if nodes is not None else 0
    if word == "auto" and until_ns is None:
        board.manual = None
    elif word.isascii() and word.isdigit() and 1 <= int(word) <= NODES_MAX:
        board.manual = Manual(int(word), until_ns)
    else:
        raise UsageError(f"{word!r} is no number of nodes", f"give 1 to {NODES_MAX:,}, or auto without an end")
    return ops.ScaleResult(
        before=before,
        streams=board.manual.target if board.manual is not None else before,
        mode="manual" if board.manual is not None else "auto" if board.is_auto else "default",
        until=format_time(until_ns) if until_ns is not None else None,
        of="nodes",
    )


def resize(engine: Engine, target: int, *, mode: Mode, reason: str, until_ns: int | None = None) -> int:
    """Set the number of streams and tell of it; the number before."""
    before = engine.streams.resize(target, mode=mode, reason=reason, until_ns=until_ns)
    if before != target:
        engine.events.announce("streams-changed", f"{engine.streams}, {before} before: {reason}")
    return before


def go_back_if_due(engine: Engine) -> None:
    """End a number of streams whose time is over."""
    before = engine.streams.size
    if engine.streams.go_back_if_due() and engine.streams.size != before:
        engine.events.announce("streams-changed", f"{engine.streams}, {before} before: the time is over")


HANDLERS: dict[str, Handler] = {"scale_infrastructure": scale}


# --- what a person wrote, checked (pure) --------------------------------------------------------------


def moment_of(text: str, *, now_ns: int) -> int:
    """`2h`, `2026-06-21T06:00` (UTC unless it says otherwise) or `06:00` (the next one, UTC) → nanoseconds since 1970.

    Raises UsageError for what is none of these, is over, or is more than a year away.
    """
    words = text.strip()
    now = dt.datetime.fromtimestamp(now_ns // 10**9, tz=dt.UTC)
    try:
        when = now + dt.timedelta(seconds=parse_span(words))
    except (ValueError, OverflowError):
        when = _written(words, now)
    ahead_s = (when - now).total_seconds()
    if ahead_s <= 0:
        raise UsageError(f"{words!r} is over", "give a moment to come, as 2h or 2026-06-21T06:00")
    if ahead_s > UNTIL_MAX_S:
        raise UsageError(f"{words!r} is more than a year away", "give a nearer moment")
    return now_ns + round(ahead_s * 1e9)


def _written(words: str, now: dt.datetime) -> dt.datetime:
    try:
        if len(words) <= 5:
            clock = dt.time.fromisoformat(words)
            today = dt.datetime.combine(now.date(), clock, tzinfo=dt.UTC)
            return today if today > now else today + dt.timedelta(days=1)
        when = dt.datetime.fromisoformat(words.replace("Z", "+00:00").replace("z", "+00:00"))
    except ValueError:
        hint = "write it like 2h, 06:00 or 2026-06-21T06:00 (UTC)"
        raise UsageError(f"{words!r} is no moment", hint) from None
    return when if when.tzinfo is not None else when.replace(tzinfo=dt.UTC)

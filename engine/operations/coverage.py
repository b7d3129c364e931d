"""Which weddings of the coming days nothing would protect, and what is wrong with watches and schedules: alerts.

Worked out each five seconds at most, since a register may hold ten thousand weddings. Engine loop only.
"""

from __future__ import annotations

from collections.abc import Iterator

import msgspec

from engine.contract.status import AlertRow
from engine.contract.weddings import Wedding
from engine.jobs.priority import local_day
from engine.operations import scheduling
from engine.operations.context import Engine

COMING_DAYS = 14
FRESH_S = 5.0


class Coverage:
    """The alerts of one engine's weddings, watches and schedules."""

    def __init__(self) -> None:
        self._made_s = float("-inf")
        self._rows: tuple[AlertRow, ...] = ()
        self._since_ns: dict[str, int] = {}  # alert id → when it was first seen

    def alerts(self, engine: Engine) -> tuple[AlertRow, ...]:
        """As they were five seconds ago at most."""
        now_s, now_ns = engine.clock.monotonic_s(), engine.clock.now_ns()
        if now_s - self._made_s >= FRESH_S:
            self._made_s = now_s
            rows = list(_rows(engine, now_ns))
            self._since_ns = {row.id: self._since_ns.get(row.id, now_ns) for row in rows}
            self._rows = tuple(msgspec.structs.replace(row, since_ns=self._since_ns[row.id]) for row in rows)
        return self._rows


def _rows(engine: Engine, now_ns: int) -> Iterator[AlertRow]:
    for number, words in enumerate(engine.kept.journal.warnings, 1):
        yield _row(f"journal-{number}", "critical", "engine", words)
    runner = engine.dispatcher.places.runner
    if runner is not None and runner.problem:
        yield _row("cluster", "warning", "cluster", runner.problem)
    if engine.opening.repository is None:
        return
    for wedding in bare(engine, now_ns):
        when = "today" if wedding.date == local_day(wedding.timezone, now_ns) else f"on {wedding.date}"
        words = f"the wedding is {when}, and it has no source, no watch and no snapshot; wedding edit --source or watch"
        yield _row(f"bare-{wedding.id}", "critical" if when == "today" else "warning", wedding.name, words)
    watcher = engine.kept.watcher
    for watch in watcher.watches.values() if watcher is not None else ():
        known = engine.facts.by_id(watch.id) if watch.problem else None
        if known is not None:
            yield _row(f"watch-{watch.id}", "warning", known.name, f"its watch: {watch.problem}")
    for name, run in scheduling.failing(engine):
        yield _row(f"schedule-{name}", "warning", name, f"the schedule failed: {run.message}")


def bare(engine: Engine, now_ns: int) -> Iterator[Wedding]:
    """Weddings of the coming days that have neither source nor watch nor snapshot, as far as is known."""
    for wedding, _ in engine.facts.listing(now_ns).weddings:
        ahead = (wedding.date - local_day(wedding.timezone, now_ns)).days
        if not -1 <= ahead <= COMING_DAYS + 1:
            break  # the list has those of today, those to come by date, and then the past; a day for the time zones
        if not 0 <= ahead <= COMING_DAYS:
            continue
        safety = engine.facts.safety(wedding.id)
        if safety.snapshots == 0 and safety.protected_since_ns is None and not engine.kept.sources_of(wedding.id):
            yield wedding


def _row(key: str, level: str, subject: str, words: str) -> AlertRow:
    return AlertRow(
        id=key, level="critical" if level == "critical" else "warning", since_ns=0, subject=subject, message=words
    )

"""The tiers as the status document shows them: room, price, what lies in each, when it will be full. Engine loop only.

Used bytes are kept hourly for a month in the journal, so that a forecast outlives the engine.
"""

from __future__ import annotations

import msgspec

from engine.base.errors import WedSyncError
from engine.contract.status import Tier, TierRow
from engine.contract.tiers import tier_of
from engine.monitor.forecast import full_ns
from engine.operations.context import Engine
from engine.operations.keeping import UseDocument
from engine.operations.room import row_of
from engine.storage.locations import Total
from engine.storage.stores.store import Space

SAMPLE_NS = 3600 * 10**9
SAMPLES_KEPT = 24 * 30


async def with_others(engine: Engine, hot: TierRow) -> tuple[TierRow, ...]:
    """Hot, and warm and cold where they are there. What lies in them is what the catalog knows of."""
    stack = engine.opening.stack
    if stack is None or len(stack.tiers) < 2:
        return with_forecast(engine, (hot,))
    totals = await engine.offload.run("tiers", lambda: by_tier(engine.home.locations().totals()))
    rows = [hot]
    for tier, store in stack.tiers.items():
        if tier == "hot":
            continue
        try:
            space = await engine.offload.run("room", store.space)
            engine.tiering.away.pop(tier, None)
        except WedSyncError as error:  # it does not answer; its row stays
            space = Space(None, None, None)
            engine.tiering.away.setdefault(tier, (engine.clock.now_ns(), error.line()))
        settings = engine.settings.tiers.of(tier)
        rows.append(
            row_of(
                tier,
                store.url or settings.url,
                space,
                settings.capacity,
                used_bytes=totals.get(tier, Total()).size_bytes,
            )
        )
    return with_forecast(engine, tuple(_with_facts(engine, row, totals) for row in rows))


def by_tier(totals: dict[str, Total]) -> dict[Tier, Total]:
    """Totals of places as those of tiers. Pure."""
    found: dict[Tier, Total] = {}
    for place, total in totals.items():
        before = found.get(tier_of(place), Total())
        found[tier_of(place)] = Total(before.packs + total.packs, before.size_bytes + total.size_bytes)
    return found


def with_forecast(engine: Engine, rows: tuple[TierRow, ...]) -> tuple[TierRow, ...]:
    """The rows with when each will be full, by the use of the last month; a sample an hour is kept."""
    now_ns, shown = engine.clock.now_ns(), []
    for row in rows:
        kept = engine.kept.uses.get(row.tier) or UseDocument(())
        if row.used_bytes is not None and (not kept.samples or now_ns - kept.samples[-1][0] >= SAMPLE_NS):
            kept = UseDocument((*kept.samples, (now_ns, row.used_bytes))[-SAMPLES_KEPT:])
            engine.kept.uses.put(row.tier, kept)
        full = None
        if row.used_bytes is not None and row.free_bytes is not None:
            full = full_ns((*kept.samples, (now_ns, row.used_bytes)), row.used_bytes + row.free_bytes)
        price = engine.settings.tiers.of(row.tier).price_gb_month
        shown.append(msgspec.structs.replace(row, full_ns=full, price_gb_month=price))
    return tuple(shown)


def _with_facts(engine: Engine, row: TierRow, totals: dict[Tier, Total]) -> TierRow:
    total = totals.get(row.tier, Total())
    recall = engine.settings.tiers.of(row.tier).recall
    return msgspec.structs.replace(row, packs=total.packs, packs_bytes=total.size_bytes, recall=recall)

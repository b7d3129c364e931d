"""How long it takes to get something back, as drills have measured it: kept in the home, shown, and asked for again.

Measured times stand as they are. What a wedding of 100 GB would take is drawn out from the rate, and says PROJECTED.
Engine loop only, but for `tier_of_packs`.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import get_args

from engine.base.units import format_time, parse_span
from engine.contract.status import AlertRow, DrillSize, RecoveryRow
from engine.contract.tiers import TIERS, Tier, tier_of
from engine.operations.context import Engine
from engine.operations.keeping import DrillDocument
from engine.pipeline.drill import DrillOutcome
from engine.repository import layout
from engine.repository.entry import Entry
from engine.repository.vault import WeddingVault

PROJECTED_BYTES = 100_000_000_000
TELLING_BYTES = 100_000_000  # fewer are no rate: they came before the streams were busy
_SEPARATOR = "/"


def keep(engine: Engine, wedding: str, size: DrillSize, outcome: DrillOutcome) -> None:
    """Remember what a drill measured that found no problem."""
    document = DrillDocument(
        wedding,
        engine.clock.now_ns(),
        outcome.files,
        outcome.bytes_restored,
        outcome.first_file_s,
        outcome.restored_s,
    )
    engine.kept.drills.put(f"{size}{_SEPARATOR}{outcome.tier}", document)


def rows(engine: Engine) -> tuple[RecoveryRow, ...]:
    """What is known, the newest first."""
    found = [_row(key, document) for key, document in engine.kept.drills.items()]
    return tuple(sorted((row for row in found if row is not None), key=lambda row: -row.measured_ns))


def alerts(engine: Engine) -> tuple[AlertRow, ...]:
    """That the newest drill is too old, or that there was none since the repository has been as old."""
    repository = engine.opening.repository
    if repository is None or not any(not wedding.archived for wedding in engine.facts.weddings):
        return ()
    newest = max((document.measured_ns for _, document in engine.kept.drills.items()), default=0)
    due_ns = (newest or repository.config.created_ns) + round(parse_span(engine.settings.drills.every) * 1e9)
    if engine.clock.now_ns() < due_ns:
        return ()
    last = f"the last drill was at {format_time(newest)}" if newest else "no drill was ever made"
    words = f"{last}: nobody knows that what is kept comes back, and how fast; run drill WEDDING, or schedule it"
    return (AlertRow(id="drill-due", level="warning", since_ns=due_ns, subject="recovery", message=words),)


def projected_s(outcome: DrillOutcome | DrillDocument) -> float | None:
    """PROJECTED: seconds for 100 GB, the first file's wait and then at this rate; None where too little was read."""
    if outcome.bytes_restored < TELLING_BYTES or outcome.restored_s <= 0:
        return None
    return outcome.first_file_s + PROJECTED_BYTES / (outcome.bytes_restored / outcome.restored_s)


def eta_s(engine: Engine, size_bytes: int) -> float | None:
    """PROJECTED: seconds that so many bytes take at the rate of the newest drill that measured one."""
    telling = (row for row in rows(engine) if row.bytes_restored >= TELLING_BYTES and row.restored_s > 0)
    newest = next(telling, None)
    return size_bytes / (newest.bytes_restored / newest.restored_s) if newest is not None else None


def tier_of_packs(engine: Engine, vault: WeddingVault, entries: Iterable[Entry]) -> Tier:
    """The slowest tier that any pack of these files has to be read from. Blocks; on the executor."""
    stack = engine.opening.stack
    if stack is None or len(stack.tiers) < 2:
        return "hot"
    packs: set[bytes] = set()
    for entry in entries:
        ids = vault.chunk_ids(entry)
        split = [ids[at : at + 32] for at in range(0, len(ids), 32)]
        packs.update(location.pack.name for location in vault.places(split) if location is not None)
    slowest = 0
    for name in packs:
        copies = engine.home.locations().copies(layout.pack(vault.keys.wedding, name))
        near = [TIERS.index(tier_of(copy.place)) for copy in copies if copy.state == "good"]
        slowest = max(slowest, min(near, default=0))
    return TIERS[slowest]


def _row(key: str, document: DrillDocument) -> RecoveryRow | None:
    size_word, _, tier_word = key.partition(_SEPARATOR)
    size = next((each for each in get_args(DrillSize) if each == size_word), None)
    tier = next((each for each in TIERS if each == tier_word), None)
    if size is None or tier is None:
        return None  # of a newer program
    return RecoveryRow(
        size=size,
        tier=tier,
        wedding=document.wedding,
        measured_ns=document.measured_ns,
        files=document.files,
        bytes_restored=document.bytes_restored,
        first_file_s=document.first_file_s,
        restored_s=document.restored_s,
        projected_100gb_s=projected_s(document),
    )

"""migrate, tiers: packs brought to where the policy wants them, on request and by themselves. Engine loop only.

By itself: once a minute the next weddings of the register are looked at, each of them planned once a day, and the first
that has something to move gets a job, of the standard class and one stream wide; the next one when that has ended.
"""

from __future__ import annotations

import contextlib
import logging
import math
from collections.abc import Iterable, Iterator
from functools import partial

import msgspec

from engine.base.errors import UsageError, WedSyncError
from engine.base.units import format_bytes, format_count
from engine.contract import operations as ops
from engine.contract import placements
from engine.contract.placements import MoveRow
from engine.contract.settings import Settings
from engine.contract.tiers import TIERS, Tier, tier_of
from engine.contract.weddings import Wedding
from engine.jobs.job import Job
from engine.jobs.roster import Conclusion, JobSpec, Prepared
from engine.operations import freeze
from engine.operations.accepting import accept, kept, open_repository
from engine.operations.context import Engine, Handler, Resumer
from engine.operations.queue import ended
from engine.operations.rounds import measure_room
from engine.operations.tiering import Mark, Stay
from engine.operations.transport import cache_of, endpoints_of
from engine.pipeline.migrate import MigrateOutcome, MigrateRun
from engine.storage.moving import Move

LOOK_EVERY_S = 60.0
LOOKED_AT_ONCE = 200  # weddings a minute: 10,000 in an hour
LISTED_MAX = 1000
_LOG = logging.getLogger(__name__)


async def migrate(engine: Engine, operation: placements.Migrate) -> ops.Result:
    """See `placements.Migrate`. Raises UsageError for a tier that is not there; where there is one, nothing moves."""
    await engine.opening.needed()
    if operation.tier is not None:
        engine.tiering.refuse_absent(operation.tier)
    weddings = (engine.facts.find(operation.wedding),) if operation.wedding else engine.facts.weddings
    if operation.dry_run:
        return await _planned(engine, operation, weddings)
    if not operation.anyway and (words := freeze.words(engine)):
        return placements.MigrationReport(jobs=(), packs=0, bytes=0, left=0, warnings=(words,))
    if not operation.wedding and operation.tier is not None:
        raise UsageError("a tier by name is for one wedding", "name it, or leave --tier out to go by the policy")
    found: list[MigrateOutcome] = []
    jobs: list[Job] = []
    for wedding in weddings:
        if bool(operation.wedding) or await engine.offload.run("tiers", partial(engine.tiering.is_due, wedding)):
            named = msgspec.structs.replace(operation, wedding=wedding.name)
            jobs.append(await accept(engine, migrate_spec(engine, named, wedding, found)))
    if operation.wait:
        for job in jobs:
            await ended(engine, job)
    return placements.MigrationReport(
        jobs=tuple(engine.dispatcher.row(job) for job in jobs),
        packs=sum(each.packs for each in found),
        bytes=sum(each.bytes for each in found),
        left=sum(each.left for each in found),
    )


def migrate_spec(
    engine: Engine, operation: placements.Migrate, wedding: Wedding, found: list[MigrateOutcome] | None = None
) -> JobSpec:
    """The job that `operation` asks for, now or after a restart: it plans anew then, from where everything lies."""
    tiering = engine.tiering

    @contextlib.contextmanager
    def opened(job: Job) -> Iterator[Prepared]:
        with open_repository(engine).vault(job.wedding_id) as vault:
            moves, _ = tiering.plan(vault, wedding, operation.tier)
        tiering.recall_sources(wedding, moves)
        run = MigrateRun(
            tiering.mover(),
            moves,
            may_drop=lambda: not tiering.readers.are_at(wedding.id),
            wait_s=tiering.wait_s,
            readable=tiering.recalls,
        )

        def conclude() -> Conclusion:
            outcome = run.done.result()
            if found is not None:
                found.append(outcome)
            engine.measured.room.let_go(outcome.hot_bytes)
            return Conclusion(warnings=run.progress.warnings, message=_outcome_line(outcome))

        with tiering.waking(run), tiering.moving(job.id, wedding.name, moves, run):
            yield Prepared(run, conclude)

    return kept(JobSpec("migrate", wedding, "standard", True, opened, turn=("migrate", wedding.id)), operation)


def _outcome_line(outcome: MigrateOutcome) -> str:
    left = f"; {format_count(outcome.left, 'copy')} stay: read now, or still needed" if outcome.left else ""
    return f"{format_count(outcome.packs, 'pack')}, {format_bytes(outcome.bytes)} moved{left}"


async def _planned(
    engine: Engine, operation: placements.Migrate, weddings: Iterable[Wedding]
) -> placements.MigrationPlan:
    repository = await engine.opening.needed()
    moves: list[MoveRow] = []
    stays: list[MoveRow] = []
    warnings: list[str] = []
    for wedding in weddings:

        def plan(each: Wedding = wedding) -> tuple[list[MoveRow], list[MoveRow]]:
            if repository.is_untouched(each.id):
                return [], []
            if not operation.wedding and operation.tier is None and not engine.tiering.is_due(each):
                return [], []
            with repository.vault(each.id) as vault:
                found, kept_back = engine.tiering.plan(vault, each, operation.tier)
            return move_rows(each.name, found, engine.settings), stay_rows(each.name, kept_back)

        try:
            to_move, to_stay = await engine.offload.run(wedding.id, plan)
        except UsageError:
            raise
        except WedSyncError as error:
            warnings.append(f"{wedding.name}: {error.line()}")
            continue
        moves += to_move
        stays += to_stay
    return placements.MigrationPlan(
        moves=tuple(moves[:LISTED_MAX]),
        stays=tuple(stays[:LISTED_MAX]),
        packs=sum(row.packs for row in moves),
        bytes=sum(row.bytes for row in moves),
        saves_month=sum(row.saves_month for row in moves),
        cost=sum(row.cost for row in moves),
        warnings=tuple(warnings),
    )


def move_rows(wedding: str, moves: Iterable[Move], settings: Settings) -> list[MoveRow]:
    """Moves that go the same way for the same reason, as one row each. Pure."""
    rows: dict[tuple[Tier, Tier, str], MoveRow] = {}
    for move in moves:
        source = move.source or (move.drops[0] if move.drops else move.target)
        key = source, move.target, move.reason
        price = settings.tiers.of(source).retrieval_price_gb if move.source is not None else 0.0
        row = rows.get(key) or MoveRow(
            wedding=wedding, source=source, target=move.target, packs=0, bytes=0, saves_month=0.0, cost=0.0,
            reason=move.reason,
        )  # fmt: skip
        rows[key] = msgspec.structs.replace(
            row,
            packs=row.packs + 1,
            bytes=row.bytes + move.size_bytes,
            saves_month=row.saves_month + move.saves_month,
            cost=row.cost + move.size_bytes / 1e9 * price,
        )
    return list(rows.values())


def stay_rows(wedding: str, stays: Iterable[Stay]) -> list[MoveRow]:
    """Packs that stay, one row for each tier and reason. Pure."""
    rows: dict[tuple[Tier, str], MoveRow] = {}
    for stay in stays:
        key = stay.tier, stay.reason
        row = rows.get(key) or MoveRow(
            wedding=wedding, source=stay.tier, target=stay.tier, packs=0, bytes=0, saves_month=0.0, cost=0.0,
            reason=stay.reason,
        )  # fmt: skip
        rows[key] = msgspec.structs.replace(row, packs=row.packs + 1, bytes=row.bytes + stay.size_bytes)
    return list(rows.values())


# --- by itself ----------------------------------------------------------------------------------------


class Migrating:
    """Looks for weddings that have something to move, and begins one job after the other.

    A wedding is planned once a day, and when what lies where has changed: so one that a full or broken tier refuses is
    not begun again each minute.
    """

    def __init__(self, engine: Engine) -> None:
        self._engine = engine
        self._next_s = engine.clock.monotonic_s() + LOOK_EVERY_S
        self._position = 0  # in the register
        self._looked: dict[str, Mark] = {}  # by wedding: how it stood when it was last looked at
        self._is_looking = False

    def is_time(self) -> bool:
        """Whether to call `look` now."""
        engine = self._engine
        if self._is_looking or len(engine.tiering.present) < 2 or engine.home.read_only:
            return False
        return engine.clock.monotonic_s() >= self._next_s and engine.scaling.may_do_upkeep(engine.clock.now_ns())

    async def look(self) -> None:
        """Begin the next migration, if one is due and none is at work."""
        engine = self._engine
        self._is_looking = True
        try:
            self._next_s = engine.clock.monotonic_s() + LOOK_EVERY_S
            await engine.offload.run("copies", engine.tiering.learn)  # what was away when the engine started
            if any(job.kind == "migrate" and not job.ended for job in engine.dispatcher.roster):
                return
            weddings = engine.facts.weddings
            for _ in range(min(LOOKED_AT_ONCE, len(weddings))):
                self._position = (self._position + 1) % len(weddings)
                if await self._begins(weddings[self._position]):
                    return
        except WedSyncError as error:
            _LOG.warning("no migration was begun: %s", error.line())
        finally:
            self._is_looking = False

    async def _begins(self, wedding: Wedding) -> bool:
        """Begin a migration of one wedding, if it has something to move and there is room for it."""
        engine = self._engine
        mark = await engine.offload.run("tiers", partial(engine.tiering.mark_of, wedding))
        if self._looked.get(wedding.id) == mark:
            return False
        self._looked[wedding.id] = mark
        plan = await _planned(engine, placements.Migrate(dry_run=True), (wedding,))
        crowded = [row for row in engine.measured.tiers if _bytes_to(plan, row.tier) > (row.free_bytes or math.inf)]
        for row in crowded:
            _LOG.warning("%s has no room for what is due to be moved there", row.tier, extra={"wedding": wedding.id})
        if crowded or not plan.moves:
            return False
        operation = placements.Migrate(wedding=wedding.name, wait=False)
        await accept(engine, migrate_spec(engine, operation, wedding))
        return True


def _bytes_to(plan: placements.MigrationPlan, tier: Tier) -> int:
    return sum(move.bytes for move in plan.moves if move.target == tier)


async def tiers(engine: Engine, operation: placements.ListTiers) -> placements.TierList:
    """See `placements.ListTiers`. Raises NotFound."""
    await engine.opening.needed()
    weddings = (engine.facts.find(operation.wedding),) if operation.wedding else engine.facts.weddings
    rows: list[placements.WeddingTierRow] = []
    if len(engine.tiering.present) > 1:
        for wedding in weddings:
            rows += await engine.offload.run("tiers", partial(_copies_of, engine, wedding))
            if len(rows) >= LISTED_MAX:
                break
    await measure_room(engine)
    shown = engine.rationing.shown(engine.measured.tiers)
    cache = cache_of(engine.opening.stack)
    return placements.TierList(
        tiers=shown,
        copies=tuple(rows[:LISTED_MAX]),
        recalls=engine.tiering.recalls.rows(),
        endpoints=endpoints_of(engine.opening.stack),
        cached=cache.tiers if cache is not None else (),
    )


def _copies_of(engine: Engine, wedding: Wedding) -> list[placements.WeddingTierRow]:
    totals = engine.home.locations().totals(wedding.id)
    return [
        placements.WeddingTierRow(
            wedding=wedding.name,
            place=place,
            packs=total.packs,
            bytes=total.size_bytes,
            price_month=total.size_bytes / 1e9 * engine.settings.tiers.of(tier_of(place)).price_gb_month,
        )
        for place, total in sorted(totals.items(), key=lambda item: (TIERS.index(tier_of(item[0])), item[0]))
    ]


HANDLERS: dict[str, Handler] = {"migrate": migrate, "tiers": tiers}
RESUMERS: dict[str, Resumer] = {"migrate": migrate_spec}

"""What an engine knows of its tiers: what is to lie where, who reads what now, when a wedding was last read.

Deciding is `engine.storage.placement`'s, moving `engine.storage.moving`'s; this brings facts and doers together. Engine
loop only, but for what says that it blocks (executor, streams).
"""

from __future__ import annotations

import contextlib
import datetime as dt
import logging
import threading
from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any

import msgspec

from engine.base.clock import Clock
from engine.base.errors import Unavailable, UsageError, WedSyncError
from engine.base.units import format_count
from engine.contract.settings import Settings
from engine.contract.status import MovingRow
from engine.contract.tiers import TIERS, Tier, place_of, tier_of
from engine.contract.weddings import Wedding
from engine.jobs.priority import local_day, local_time
from engine.operations.home import Home
from engine.operations.keeping import Kept
from engine.operations.opening import Opening
from engine.operations.recalling import NOTHING_NEEDED, Need, Recalls
from engine.pipeline.plan import Selection, pack_sizes
from engine.pipeline.pool import Run
from engine.repository import layout
from engine.repository.crypto import DATA_PACK
from engine.repository.vault import WeddingVault
from engine.storage.locations import Copy
from engine.storage.moving import Move, Mover, move_of
from engine.storage.placement import Goal, PlacementFacts, Terms, goal_in, goal_of
from engine.storage.stack import Stack
from engine.storage.stores.store import InOrder

_LOG = logging.getLogger(__name__)
_DAY_NS = 86_400 * 10**9
_LONG_AGO_DAYS = 36_500


Mark = tuple[object, ...]


class Stay(msgspec.Struct, frozen=True):
    """A pack that stays, and why."""

    size_bytes: int
    tier: Tier
    reason: str


class Readers:
    """Which weddings jobs of this engine read now: of those no copy is let go. Any thread."""

    def __init__(self) -> None:
        self._mutex = threading.Lock()
        self._weddings: Counter[str] = Counter()

    @contextlib.contextmanager
    def reading(self, wedding_id: str) -> Iterator[None]:
        """For as long as a job reads a wedding."""
        with self._mutex:
            self._weddings[wedding_id] += 1
        try:
            yield
        finally:
            with self._mutex:
                self._weddings[wedding_id] -= 1
                self._weddings += Counter()  # only those that are left

    def are_at(self, wedding_id: str) -> bool:
        """Whether anybody reads it."""
        with self._mutex:
            return self._weddings[wedding_id] > 0


class Tiering:
    """The tiers of one engine."""

    def __init__(
        self, home: Home, opening: Opening, kept: Kept, clock: Clock, settings: Callable[[], Settings]
    ) -> None:
        self._home = home
        self._opening = opening
        self._kept = kept
        self._clock = clock
        self._settings = settings
        self.readers = Readers()
        self.away: dict[Tier, tuple[int, str]] = {}  # tiers that do not answer: since when, and what they say
        self.recalls = Recalls(home.locations, clock, settings, opening.meters)
        self._waiting: set[Run[Any]] = set()  # with the next, changed on the executor, one at a time
        self._moving: dict[str, _Moving] = {}  # by job

    @property
    def present(self) -> tuple[Tier, ...]:
        """The tiers that are there, hot first; none before the stores are open."""
        return tuple(self._opening.stack.tiers) if self._opening.stack is not None else ()

    def refuse_absent(self, tier: Tier) -> None:
        """Raise UsageError for a tier that is not there."""
        if tier not in self.present:
            raise UsageError(f"there is no {tier} tier", f"give it a store: config set tiers.{tier}.url URL")

    def mover(self) -> Mover:
        """What moves packs. Blocks."""
        return Mover(
            self._stack(),
            self._home.locations(),
            meters=self._opening.meters,
            clock=self._clock,
            archives=self.recalls.drivers(),
        )

    def wait_s(self) -> float:
        """How long nothing may be moved, because of the limits of warm and cold. Any thread."""
        return max(self._opening.meters["warm"].wait_s(), self._opening.meters["cold"].wait_s())

    def learn(self) -> None:
        """Take in the listing of each place that was never listed whole, as when the catalog was lost. Blocks long."""
        stack = self._stack()
        if len(stack.tiers) < 2:
            return
        locations = self._home.locations()
        for place in stack.places:
            if locations.listed_ns(place):
                continue
            begun_ns = self._clock.now_ns()
            try:
                found = locations.rebuild(place, stack.listed(place, layout.WEDDINGS), begun_ns=begun_ns)
            except WedSyncError as error:  # the next time; meanwhile packs are looked for where they may be
                _LOG.warning("the copies in %s could not be listed: %s", place, error.line())
            else:
                _LOG.info("the copies in %s were listed: %s packs", place, found.listed)

    # --- what is to lie where ---------------------------------------------------------------------------

    def is_due(self, wedding: Wedding) -> bool:
        """Whether a wedding may have packs to move, by what the catalog sums up of it. Blocks a moment."""
        if len(self.present) < 2:
            return False
        totals = self._home.locations().totals(wedding.id)
        tiers = {tier_of(place) for place in totals} or {"hot"}
        if len(tiers) > 1 and min(map(TIERS.index, tiers)) == 0:
            return True  # copies that are still to be let go, or packs that came since
        return any(self._goal(wedding, _A_COPY[tier], _LARGE_BYTES).tier != tier for tier in tiers)

    def mark_of(self, wedding: Wedding) -> Mark:
        """What a wedding's plan changes with: day, settings, itself, its last reading, what lies where. Blocks."""
        totals = self._home.locations().totals(wedding.id)
        day = local_day(wedding.timezone, self._clock.now_ns())
        lying = tuple(sorted((place, each.packs) for place, each in totals.items()))
        settings = self._settings()
        return day, settings.policy, settings.tiers, wedding, self.last_read(wedding.id), lying

    def plan(self, vault: WeddingVault, wedding: Wedding, tier: Tier | None) -> tuple[list[Move], list[Stay]]:
        """What to move of a wedding, and what stays. `tier`: where to, whatever the policy says. Blocks.

        Data packs only: what lists them (manifests, chunk lists) is always hot. Raises UsageError for a tier that is
        not there, or lies in fewer regions than there must be copies.
        """
        if tier is not None:
            self.refuse_absent(tier)
            self._refuse_scarce(tier, wedding)
        self._stack().learn(wedding.id)  # another engine may have moved some
        known = dict(self._home.locations().of_wedding(wedding.id))
        copies_min = copies_kept(self._settings(), wedding)
        moves: list[Move] = []
        stays: list[Stay] = []
        for pack in vault.index.packs():
            if pack.pack_type != DATA_PACK:
                continue
            name = layout.pack(vault.keys.wedding, pack.name)
            copies = known.get(name, ())
            at = _fastest(copies)
            goal = self._goal(wedding, at, pack.size, tier)
            move = move_of(name, pack.size, copies, goal)
            if move is None:
                stays.append(Stay(pack.size, goal.tier, goal.reason))
            else:
                moves.append(msgspec.structs.replace(move, copies_min=copies_min))
        return self._in_read_order(moves), stays

    def _in_read_order(self, moves: list[Move]) -> list[Move]:
        """Packs of a tape in the order in which it passes them; all others as they are."""
        ranks: dict[str, int] = {}
        for tier in {move.source for move in moves if move.source is not None}:
            store = self._stack().places.get(place_of(tier))
            if isinstance(store, InOrder):
                with contextlib.suppress(Unavailable):  # the moves find that out themselves
                    names = store.read_order([move.name for move in moves if move.source == tier])
                    ranks |= {name: rank for rank, name in enumerate(names)}
        return sorted(moves, key=lambda move: ranks.get(move.name, 0))

    def recall_sources(self, wedding: Wedding, moves: Sequence[Move]) -> None:
        """Ask for the packs that are to be moved from where they have to be recalled. Blocks."""
        packs = {move.name: move.size_bytes for move in moves if move.source is not None}
        if packs and self.recalls.may_need(wedding.id):
            self.recalls.begin(wedding.name, self.recalls.needed(wedding.id, packs), held=True)

    def needed_for(self, wedding: Wedding, packs: Mapping[str, int]) -> Need:
        """What has to be recalled before these packs can be read. Blocks."""
        return self.recalls.needed(wedding.id, packs) if self.recalls.may_need(wedding.id) else NOTHING_NEEDED

    def archived(self, vault: WeddingVault, wedding: Wedding) -> frozenset[bytes]:
        """The packs of a wedding that have to be recalled before they can be read. Blocks."""
        need = self.needed_for(wedding, pack_sizes(vault, None, Selection()))
        return frozenset(bytes.fromhex(name.rpartition("/")[2]) for name in need.names)

    def last_read(self, wedding_id: str) -> dt.date | None:
        """When something of a wedding was last retrieved."""
        found = self._kept.reads.get(wedding_id)
        return None if found is None else local_time("UTC", found.read_ns).date()

    def _goal(self, wedding: Wedding, at: Copy, size_bytes: int, tier: Tier | None = None) -> Goal:
        settings, now_ns = self._settings(), self._clock.now_ns()
        terms = Terms(frozenset(self._ample(wedding)), settings.tiers, settings.policy)
        facts = PlacementFacts(
            today=local_day(wedding.timezone, now_ns),
            event=wedding.date,
            tier=tier_of(at.place),
            in_tier_days=(now_ns - at.written_ns) // _DAY_NS if at.written_ns else _LONG_AGO_DAYS,
            size_bytes=size_bytes,
            last_read=self.last_read(wedding.id),
            held=bool(wedding.holds),
        )
        return goal_of(facts, terms) if tier is None else goal_in(tier, f"asked for: {tier}", facts, terms)

    def _ample(self, wedding: Wedding) -> list[Tier]:
        """The tiers that can hold as many copies of a wedding's packs as there must be."""
        settings = self._settings()
        wanted = copies_kept(settings, wedding)
        return [tier for tier in self._stack().tiers if tier == "hot" or copies_in(tier, settings, wedding) >= wanted]

    def _refuse_scarce(self, tier: Tier, wedding: Wedding) -> None:
        settings = self._settings()
        wanted, there = copies_kept(settings, wedding), copies_in(tier, settings, wedding)
        if tier != "hot" and there < wanted:
            raise UsageError(
                f"{tier} lies in {format_count(there, 'region')} that {wedding.name} may lie in, and {wanted} copies "
                "are kept of each pack: moving would leave fewer",
                f"give {wanted - there} more of its regions a {tier} store",
            )

    def _stack(self) -> Stack:
        stack = self._opening.stack
        assert stack is not None  # there is a repository, so its stores are open
        return stack

    # --- runs that wait ---------------------------------------------------------------------------------

    @contextlib.contextmanager
    def waking(self, run: Run[Any]) -> Iterator[None]:
        """Ask a run again once a second while the block lasts: what it waits for may have come. Executor."""
        self._waiting.add(run)
        try:
            yield
        finally:
            self._waiting.discard(run)

    @contextlib.contextmanager
    def moving(self, job_id: str, wedding: str, moves: Sequence[Move], run: Run[Any]) -> Iterator[None]:
        """Show a migration in the status document while the block lasts. Executor."""
        if moves:
            source = moves[0].source or moves[0].drops[0]
            self._moving[job_id] = _Moving(wedding, source, moves[0].target, moves[0].reason, run)
        try:
            yield
        finally:
            self._moving.pop(job_id, None)

    def moving_rows(self) -> tuple[MovingRow, ...]:
        """The migrations at work."""
        return tuple(
            MovingRow(
                job=job_id,
                wedding=each.wedding,
                source=each.source,
                target=each.target,
                packs_done=each.run.progress.files_done,
                packs_total=each.run.progress.files_total or 0,
                bytes_done=each.run.progress.bytes_read,
                bytes_total=each.run.progress.bytes_total or 0,
                reason=each.reason,
            )
            for job_id, each in tuple(self._moving.items())
        )

    def round(self) -> None:
        """Once a second."""
        for run in tuple(self._waiting):
            if run.is_waiting:
                run.look_again()


def copies_in(tier: Tier, settings: Settings, wedding: Wedding) -> int:
    """How many copies of a wedding's packs a tier can hold: one a region that has it. Pure."""
    if not settings.regions:
        return 1
    return sum(
        bool(region.url(tier)) and (not wedding.regions or region.name in wedding.regions)
        for region in settings.regions
    )


def copies_kept(settings: Settings, wedding: Wedding) -> int:
    """How many copies of a wedding's packs there must be, wherever they move. Pure."""
    return min(settings.replication.copies, copies_in("hot", settings, wedding)) if settings.regions else 1


class _Moving(msgspec.Struct, frozen=True):
    """A migration at work."""

    wedding: str
    source: Tier
    target: Tier
    reason: str
    run: Run[Any]


_LARGE_BYTES = 32 << 20  # of a pack, where no particular one is meant
_A_COPY = {tier: Copy(f"{tier}/home", _LARGE_BYTES) for tier in TIERS}


def _fastest(copies: tuple[Copy, ...]) -> Copy:
    """The good copy in the fastest tier; a pack that the catalog does not know is hot."""
    good = [copy for copy in copies if copy.state == "good"]
    return min(good, key=lambda copy: TIERS.index(tier_of(copy.place)), default=_A_COPY["hot"])

"""One process of a story: the real stack of stores over frail media, a repository on it, and its home on a disk.

What an engine's operations do in jobs and rounds is done here by the same parts, one step at a time: moves, recalls,
healing, comparing, the scrub, reading.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import msgspec

from engine.base.errors import Unavailable
from engine.contract.caching import CacheSettings
from engine.contract.regions import RegionSettings, ReplicationSettings
from engine.contract.settings import Settings
from engine.contract.tiers import TIERS, Tier, TierSettings, TiersSettings, place_of, tier_of
from engine.operations.recalling import Recalls
from engine.pipeline.migrate import MigrateRun
from engine.pipeline.plan import Selection, pack_sizes
from engine.repository import layout
from engine.repository.crypto import DATA_PACK
from engine.repository.damaged import Copies, DamagedPacks
from engine.repository.repository import Home
from engine.repository.seen import SeenNumbers
from engine.repository.snapshot import Snapshot
from engine.repository.vault import WeddingVault
from engine.storage.copycheck import CopyChecker, Findings
from engine.storage.distance import nowhere
from engine.storage.healing import Healer
from engine.storage.healqueue import HealQueue
from engine.storage.locations import Locations
from engine.storage.moving import Move, Mover, move_of
from engine.storage.placement import Goal
from engine.storage.scrub import Scrubber
from engine.storage.stack import Regions, Stack, Wanted, build_stack
from engine.storage.stores.metered import Meter
from tests.engine.pipeline.prune_world import BUFFERS, Process, Seeded, opened
from tests.stories.media import Fuse, Media
from tests.vaults import WEDDING

ATTEMPTS = 3  # of a retrieval whose store does not answer, as a job has
FAST = 1e12  # bytes a second


class Plan(msgspec.Struct, frozen=True):
    """How a house is built."""

    tiers: tuple[Tier, ...]
    regions: tuple[str, ...] = ()
    copies: int = 3
    quorum: int = 2
    append_only: str = ""
    archives: bool = False  # cold has to be recalled

    @property
    def copies_min(self) -> int:
        """How many copies of a pack there must be wherever it moves."""
        return min(self.copies, len(self.regions)) if self.regions else 1

    def settings(self, engine: int) -> Settings:
        """As an operator would write them for one engine."""

        def url(tier: Tier, region: str = "home") -> str:
            return f"memory://{engine}/{place_of(tier, region)}" if tier in self.tiers else ""

        regions = tuple(
            RegionSettings(
                name=name,
                hot=url("hot", name),
                warm=url("warm", name),
                cold=url("cold", name),
                append_only=name == self.append_only,
            )
            for name in self.regions
        )
        cold = TierSettings(recall="command", recall_command=("robot",)) if self.archives else TierSettings()
        tiers = TiersSettings(cold=cold)
        if not regions:
            named = {tier: msgspec.structs.replace(tiers.of(tier), url=url(tier)) for tier in TIERS if tier != "hot"}
            tiers = TiersSettings(**named)
        replication = ReplicationSettings(copies=self.copies, quorum=self.quorum)
        return Settings(tiers=tiers, regions=regions, replication=replication)


class StoryEngine(Process):
    """An engine: what it keeps in its home outlives it."""

    def __init__(self, media: Media, plan: Plan, home: Path, number: int, *, entropy: Seeded, create: bool) -> None:
        self.home, self.plan, self.number = home, plan, number
        self.fuse = media.fuses[number] = Fuse()
        self.settings = plan.settings(number)
        home.mkdir(exist_ok=True)
        clock = media.clock
        self.locations = Locations(home / "copies.db")
        self.stack = self._built(media, create=create)
        copies = None
        if self.stack.recheck is not None and self.stack.verified is not None:
            copies = Copies(self.stack.recheck, self.stack.verified)
        known = SeenNumbers(home / "seen.json"), DamagedPacks(home / "damaged.json")
        try:
            repository = opened(self.stack.store, Home(clock, entropy, *known, copies), create=create)
            super().__init__(repository, clock, entropy)
        except BaseException:
            self.close()
            raise
        meters = {tier: Meter(clock) for tier in TIERS}
        self.recalls = Recalls(lambda: self.locations, clock, lambda: self.settings, meters)
        self.healers = {tier: Healer(store) for tier, store in self.stack.replicated.items()}
        self.moving: MigrateRun | None = None

    def _built(self, media: Media, *, create: bool) -> Stack:
        regional = None
        if self.settings.regions:
            queue = {tier: HealQueue(self.home / f"healing-{tier}.db") for tier in self.plan.tiers}
            regional = Regions(self.settings.regions, self.settings.replication, nowhere, lambda tier: queue[tier])
        wanted = Wanted(
            f"memory://{self.number}/{place_of('hot')}",
            self.settings.tiers,
            {tier: Meter(media.clock) for tier in TIERS},
            lambda: self.locations,
            media.clock,
            cache=CacheSettings(memory="256KiB", disk="0"),
            regional=regional,
        )
        return build_stack(wanted, create=create)

    def close(self) -> None:
        """Let go of its stores and its home."""
        self.stack.close()
        self.locations.close()

    def learn(self) -> None:
        """As an engine does when its catalog was lost: take in what lies where."""
        if len(self.stack.places) > 1:
            for place in self.stack.places:
                if not self.locations.listed_ns(place):
                    listing = self.stack.listed(place, layout.WEDDINGS)
                    self.locations.rebuild(place, listing, begun_ns=self.clock.now_ns())

    # --- moving -----------------------------------------------------------------------------------------

    def begin_moving(self, tier: Tier) -> None:
        """Bring every data pack to a tier, however it takes."""
        with self.repository.vault(WEDDING) as vault:
            self.stack.learn(WEDDING)
            moves = list(self._moves(vault, tier))
        sources = {move.name: move.size_bytes for move in moves if move.source is not None}
        self.recalls.begin("smith-jones", self.recalls.needed(WEDDING, sources))
        mover = Mover(
            self.stack,
            self.locations,
            meters={each: Meter(self.clock) for each in TIERS},
            clock=self.clock,
            archives=self.recalls.drivers() if self.plan.archives else None,
        )
        self.moving = MigrateRun(mover, moves, may_drop=lambda: True, wait_s=lambda: 0.0, readable=self.recalls)

    def _moves(self, vault: WeddingVault, tier: Tier) -> Sequence[Move]:
        known = dict(self.locations.of_wedding(WEDDING))
        moves = []
        for pack in vault.index.packs():
            name = layout.pack(vault.keys.wedding, pack.name)
            move = move_of(name, pack.size, known.get(name, ()), Goal(tier, "it is time"))
            if pack.pack_type == DATA_PACK and move is not None:
                moves.append(msgspec.structs.replace(move, copies_min=self.plan.copies_min))
        return moves

    def move_step(self) -> bool:
        """One unit of the migration; whether it goes on. Raises what the unit raises."""
        run = self.moving
        assert run is not None
        unit = run.next_unit(idle=True)
        if unit is not None:
            unit(BUFFERS)
            return True
        if run.is_waiting:
            self.recalls.poll()
            return True
        self.moving = None
        return False

    # --- healing ----------------------------------------------------------------------------------------

    def heal(self) -> None:
        """Do what is owed, as far as that can be done."""
        for healer in self.healers.values():
            healer.begin_again()
            while healer.heal(16):
                pass

    def compare(self) -> None:
        """List the regions, and owe what they lack."""
        for tier, healer in self.healers.items():
            healer.compare("" if tier == "hot" else f"{layout.WEDDINGS}{WEDDING}/packs/")

    def scrub(self) -> None:
        """Read every copy that the catalog knows."""
        places = {place: store for place, store in self.stack.places.items() if self._is_scrubbed(place)}
        found = Findings(self.stack.replicated, self.locations).found
        scrubber = Scrubber(CopyChecker(places, self.locations, self.clock, found), self.locations, self.clock)
        for _ in range(2):  # at the first the rate allows nothing yet
            while scrubber.scrub(bytes_per_s=FAST, every_s=1.0, rest_s=60.0):
                self.clock.advance(1e-3)
            self.clock.advance(1e-3)

    def _is_scrubbed(self, place: str) -> bool:
        return self.settings.tiers.of(tier_of(place)).recall == "none"

    # --- reading ----------------------------------------------------------------------------------------

    def retrieve(self, snapshot_id: str) -> dict[bytes, bytes]:
        """All files of a snapshot, as a retrieval gets them: recalled first, and begun anew when a store fails.

        Raises what the last attempt raises.
        """
        for attempt in range(ATTEMPTS):
            try:
                with self.repository.vault(WEDDING) as vault:
                    return self._read(vault, vault.find_snapshot(snapshot_id))
            except Unavailable:
                if attempt == ATTEMPTS - 1:
                    raise
                self.clock.advance(20.0)
        raise AssertionError

    def _read(self, vault: WeddingVault, snapshot: Snapshot) -> dict[bytes, bytes]:
        packs = pack_sizes(vault, snapshot, Selection())
        self.recalls.begin("smith-jones", self.recalls.needed(WEDDING, packs))
        for _ in range(9):
            if all(map(self.recalls.is_ready, packs)):
                break
            self.clock.advance(30.0)
            self.recalls.poll()
        else:
            raise Unavailable("the robot does not come")
        return {
            entry.path: b"".join(vault.read_chunk(entry.chunks[at : at + 32]) for at in range(0, len(entry.chunks), 32))
            for entry in vault.entries(snapshot)
        }

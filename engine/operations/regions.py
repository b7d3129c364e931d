"""Regions at work: what is owed is healed, regions are compared, and it is known which wedding is safe since when.

Rounds on the engine's loop, what blocks on the executor. Where no regions are named nothing of this runs.
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Collection, Iterator, Mapping
from functools import partial

import msgspec

from engine.base.errors import Unavailable
from engine.base.units import format_count, format_span, format_time, parse_span
from engine.contract.regions import RegionSettings
from engine.contract.settings import STATUS_ROWS, Settings
from engine.contract.status import AlertRow, RegionRow, Replication, WeddingRow
from engine.contract.tiers import Tier, place_of, tier_of
from engine.jobs.offload import Means
from engine.operations.facts import Facts
from engine.operations.keeping import Kept, SafeDocument
from engine.operations.locking import Locking
from engine.operations.missing import MissingPacks
from engine.operations.scrubbing import Scrubbing
from engine.storage.distance import wedding_of
from engine.storage.healing import Healer
from engine.storage.healqueue import Backlog
from engine.storage.locations import Locations, Total
from engine.storage.replication import is_pack_name
from engine.storage.stack import Stack
from engine.storage.stores.metered import Meter

HEAL_S = 1.0  # between two rounds
HEALED_AT_ONCE = 16  # of each region
HEAL_FOR_S = 20.0  # one round's share of a thread
TRY_AGAIN_S = 60.0  # what could not be healed
COMPARE_FOR_S = 1.0  # one round's share
COMPARE_AGAIN_S = 86_400.0  # a wedding's regions are listed so often
TOP_FOLDERS = ("config/", "keys/", "register/", "marks/")
_REMEDIES = {  # of what is damaged; and of what lies nowhere, which no prune sees
    False: "back them up again while the source stands, then prune",
    True: "repair {}, then back them up again while the source stands",
}
_LOG = logging.getLogger(__name__)


class Owed(msgspec.Struct, frozen=True):
    """What is owed of one wedding, in every tier."""

    count: int = 0
    oldest_ns: int = 0


NOTHING_OWED = Owed()


class View(msgspec.Struct, frozen=True):
    """What is known of the regions, ready to be shown."""

    backlog: Mapping[str, Backlog] = {}  # by region
    owed: Mapping[str, Owed] = {}  # by wedding, those that are owed anything
    totals: Mapping[str, Total] = {}  # by place
    bad: Mapping[str, int] = {}  # by region
    lost: Mapping[str, Owed] = {}  # by wedding: packs that no good copy is left of anywhere
    lost_in: Mapping[str, int] = {}  # by region: those of its bad copies that nothing can heal
    short: Mapping[str, int] = {}  # by wedding: packs with fewer copies than are wanted, for good
    problem: str = ""  # why something could not be healed


class Regional:
    """The regions of one engine. Engine loop only."""

    def __init__(self, facts: Facts, kept: Kept, means: Means) -> None:
        self.scrubbing = Scrubbing(means)
        self.missing = MissingPacks(means)
        self._facts = facts
        self.locking = Locking(kept.locks, means)
        self._safe = kept.safe
        self._clock = means.clock
        self._offload = means.offload
        self._healers: dict[Tier, Healer] = {}
        self._stack: Stack | None = None
        self._begun_ns = means.clock.now_ns()
        self._try_again_s = 0.0
        self._read_s: dict[str, float] = {}  # folder → when its small objects are read again
        self._compared_s: dict[str, float] = {}  # folder → when its regions were compared last
        self.view = View()

    def use(self, stack: Stack | None, meters: Mapping[Tier, Meter]) -> None:
        """The stores that are open now. The limits of warm and cold hold healing; hot's copies make a wedding safe."""
        if stack is not self._stack:
            self._stack = stack
            self._healers = {
                tier: Healer(store, None if tier == "hot" else meters[tier])
                for tier, store in (stack.replicated if stack else {}).items()
            }

    def owed(self, wedding_id: str) -> Owed:
        """What is owed of a wedding as of the last round."""
        return self.view.owed.get(wedding_id, NOTHING_OWED)

    @property
    def is_used(self) -> bool:
        """Whether there are regions."""
        return bool(self._healers)

    # --- rounds -----------------------------------------------------------------------------------------

    async def heal(self, locations: Locations) -> None:
        """Do what is owed, as long as there is something to do and no longer than one round may."""
        if not self._healers:
            return
        if self._clock.monotonic_s() >= self._try_again_s:
            self._try_again_s = self._clock.monotonic_s() + TRY_AGAIN_S
            for healer in self._healers.values():
                healer.begin_again()
        await self._offload.run("healing", self._heal)
        committed = dict(self._facts.fresh)  # first: what they are owed stood in the queue before they committed
        self.view = await self._offload.run("regions", lambda: self._look(locations))
        for wedding_id, protected_ns in committed.items():
            if not self._lacks(wedding_id):
                self._safe.put(wedding_id, SafeDocument(protected_ns, self._clock.now_ns()))
                if self._facts.fresh.get(wedding_id) == protected_ns:
                    del self._facts.fresh[wedding_id]

    def _lacks(self, wedding_id: str) -> bool:
        """Whether copies of a wedding are not there, as of the last round."""
        view = self.view
        return any(wedding_id in found for found in (view.owed, view.lost, view.short, self.missing.since_ns))

    def _heal(self) -> None:
        until_s = self._clock.monotonic_s() + HEAL_FOR_S
        for healer in self._healers.values():
            while healer.heal(HEALED_AT_ONCE) and self._clock.monotonic_s() < until_s:
                pass

    def _look(self, locations: Locations) -> View:
        assert self._stack is not None
        backlog: dict[str, Backlog] = {}
        owed: dict[str, Owed] = {}
        bad: dict[str, int] = {}
        short: dict[str, int] = {}
        for store in self._stack.replicated.values():
            queue = store.shared.queue
            for region, found in queue.backlog().items():
                before = backlog.get(region, Backlog())
                backlog[region] = Backlog(before.count + found.count, _earlier(before.oldest_ns, found.oldest_ns))
            for wedding_id, found in queue.of_weddings().items():
                owing = owed.get(wedding_id, NOTHING_OWED)
                owed[wedding_id] = Owed(owing.count + found.count, _earlier(owing.oldest_ns, found.oldest_ns))
            for region, count in store.shared.bad_count().items():
                bad[region] = bad.get(region, 0) + count
            for name in store.shared.short():
                if (owner := wedding_of(name)) is not None:
                    short[owner] = short.get(owner, 0) + 1
        problem = next((healer.problem for healer in self._healers.values() if healer.problem), "")
        lost, lost_in = self._look_for_lost(self._stack, locations)
        return View(backlog, owed, locations.totals(), bad, lost, lost_in, short, problem)

    def _look_for_lost(self, stack: Stack, locations: Locations) -> tuple[dict[str, Owed], dict[str, int]]:
        """Packs that the healers found no good copy of, where no other tier has one either."""
        lost: dict[str, Owed] = {}
        lost_in: dict[str, int] = {}
        seen: set[str] = set()
        for tier, healer in self._healers.items():
            for name, since_ns in healer.lost.items():
                wedding_id, bad = wedding_of(name), stack.replicated[tier].shared.bad(name)
                if wedding_id is None or not is_pack_name(name) or not bad:  # deleted since, where none is bad
                    continue
                if name in self.missing.since_ns.get(wedding_id, {}):
                    continue
                if is_elsewhere(name, tier, stack.places, locations):
                    continue
                for region in bad:
                    lost_in[region] = lost_in.get(region, 0) + 1
                if name not in seen:
                    seen.add(name)
                    before = lost.get(wedding_id, NOTHING_OWED)
                    lost[wedding_id] = Owed(before.count + 1, _earlier(before.oldest_ns, since_ns))
        return lost, lost_in

    async def compare(self, settings: Settings) -> None:
        """List what weddings, and the top of the repository, have in each region, where that was not done lately.

        What is no pack is read and compared as well, as often as the scrub reads packs.
        """
        if not self._healers:
            return
        until_s = self._clock.monotonic_s() + COMPARE_FOR_S
        for folder in (*TOP_FOLDERS, *(f"weddings/{wedding.id}/" for wedding in self._facts.weddings)):
            now_s = self._clock.monotonic_s()
            if now_s >= until_s:
                return
            if now_s < self._compared_s.get(folder, now_s):
                continue
            try:
                contents = settings.scrub.enabled and now_s >= self._read_s.get(folder, now_s)
                for tier, healer in self._healers.items():
                    compare = partial(healer.compare, _in_tier(folder, tier), contents=contents)
                    await self._offload.run("healing", compare)
            except Unavailable:  # a region does not answer: nobody can say what it lacks
                self._compared_s[folder] = now_s + TRY_AGAIN_S
                return
            self._compared_s[folder] = now_s + COMPARE_AGAIN_S
            if contents:
                self._read_s[folder] = now_s + parse_span(settings.scrub.every)

    def compare_again(self, wedding_id: str) -> None:
        """Where a wedding may lie was changed: its regions are compared in the next round."""
        self._compared_s.pop(f"weddings/{wedding_id}/", None)

    def safe_ns(self, wedding_id: str) -> int | None:
        """When every copy of a wedding's newest snapshot was there; None while one is owed, or nobody saw it."""
        safe = self._safe.get(wedding_id)
        if not self._healers or safe is None or self._lacks(wedding_id):
            return None
        return safe.safe_ns if safe.protected_ns == self._facts.safety(wedding_id).protected_since_ns else None

    def safe_snapshots(self, wedding_id: str) -> Callable[[int], str]:
        """What tells of a snapshot, by its time, when it was safe: those before the one that was seen, by then."""
        safe = self._safe.get(wedding_id)
        if not self._healers or safe is None or self._lacks(wedding_id):
            return lambda _: ""
        words = format_time(safe.safe_ns)
        return lambda time_ns: words if time_ns <= safe.protected_ns else ""

    def with_copies(self, row: WeddingRow, wedding_id: str) -> WeddingRow:
        """A wedding's row with how safe its copies are."""
        if not self._healers:
            return row
        owed = self.owed(wedding_id).count + self.view.short.get(wedding_id, 0)
        return msgspec.structs.replace(row, copies_owed=owed, safe_since_ns=self.safe_ns(wedding_id))

    # --- shown ------------------------------------------------------------------------------------------

    def shown(self, settings: Settings) -> Replication | None:
        """The regions as the status document has them; None where there are none."""
        if self._stack is None or not self._stack.replicated:
            return None
        rows = [
            self._row(each) for each in settings.regions if each.name in self._stack.replicated["hot"].shared.regions
        ]
        return Replication(
            copies=min(settings.replication.copies, len(rows)),
            quorum=min(settings.replication.quorum, len(rows)),
            regions=tuple(rows[:STATUS_ROWS]),
            weddings_not_safe=len({*self.view.owed, *self.view.lost, *self.view.short}),
        )

    def _row(self, settings: RegionSettings) -> RegionRow:
        assert self._stack is not None
        stores = {
            tier: store for tier, store in self._stack.replicated.items() if settings.name in store.shared.regions
        }
        regions = [store.shared.regions[settings.name] for store in stores.values()]
        totals = [self.view.totals.get(place_of(tier, settings.name), Total()) for tier in stores]
        backlog = self.view.backlog.get(settings.name, Backlog())
        failure = next((region.failure for region in regions if region.failure), "")
        return RegionRow(
            region=settings.name,
            at=settings.at,
            tiers=tuple(stores),
            append_only=settings.append_only,
            answers=not failure,
            failure=failure,
            failing_since_ns=max((region.failing_since_ns for region in regions), default=0) or None,
            packs=sum(total.packs for total in totals),
            bytes_stored=sum(total.size_bytes for total in totals),
            bad=self.view.bad.get(settings.name, 0),
            owed=backlog.count,
            owed_since_ns=backlog.oldest_ns or None,
        )

    def alerts(self, settings: Settings) -> tuple[AlertRow, ...]:
        """Too few regions; a region that fails, copies that are bad, packs that are lost, copies that are late."""
        shown = self.shown(settings)
        if shown is None:
            return tuple(self._lost_alerts())
        now_ns = self._clock.now_ns()
        late_ns = round(parse_span(settings.replication.safe_deadline) * 1e9)
        rows: list[AlertRow] = [*self.locking.alerts(settings.regions)]
        wanted, count = settings.replication.copies, shown.copies
        if count < wanted:
            named = "1 region is named" if count == 1 else f"{count} regions are named"
            words = (
                f"replication.copies is {wanted}, and {named}: no pack has more copies than that; "
                f"name another region in config.toml, or set replication.copies to {count}"
            )
            rows.append(_alert("copies", "warning", self._begun_ns, "copies", words))
        for row in shown.regions:
            if row.failing_since_ns is not None:
                words = f"the region {row.region} fails: {row.failure}; what it misses is healed when it is back"
                rows.append(_alert(f"region-{row.region}", "warning", row.failing_since_ns, row.region, words))
            if bad := row.bad - self.view.lost_in.get(row.region, 0):
                what = "to be healed from others"
                if row.append_only:
                    what = "which only adds: never read again, and made up for in another region where one is free"
                words = f"{format_count(bad, 'damaged copy')} in {row.region}, {what}"
                rows.append(_alert(f"bad-{row.region}", "warning", now_ns, row.region, words))
        if self.view.short:
            words = (
                f"{format_count(len(self.view.short), 'wedding')} committed and not safe: bad copies lie in a region "
                "that only adds, and no other region is free for good ones; name another in config.toml"
            )
            rows.append(_alert("short", "critical", now_ns, "copies", words))
        rows += self._lost_alerts()
        late = [owed for owed in self.view.owed.values() if now_ns - owed.oldest_ns > late_ns]
        if late:
            since_ns = min(owed.oldest_ns for owed in late)
            which = f"{format_count(len(late), 'wedding')} committed and not safe"
            words = f"{which}: copies are missing for {format_span((now_ns - since_ns) / 1e9)}"
            if self.view.problem:
                words = f"{words}; {self.view.problem}"
            rows.append(_alert("not-safe", "critical", since_ns, "copies", words))
        return tuple(rows)

    def _lost_alerts(self) -> Iterator[AlertRow]:
        """Weddings with packs that no good copy is left of."""
        where = "in any region" if self._healers else "in any tier"
        for wedding_id in sorted({*self.view.lost, *self.missing.since_ns}):
            wedding = self._facts.by_id(wedding_id)
            if wedding is None:
                continue
            lost, missing = self.view.lost.get(wedding_id, NOTHING_OWED), self.missing.since_ns.get(wedding_id, {})
            since_ns = min((*missing.values(), *((lost.oldest_ns,) if lost.count else ())))
            words = (
                f"no good copy of {format_count(lost.count + len(missing), 'pack')} of {wedding.name} is left {where}; "
                f"verify {wedding.name} names the files: {_REMEDIES[bool(missing)].format(wedding.name)}"
            )
            yield _alert(f"lost-{wedding_id}", "critical", since_ns, wedding.name, words)


def is_elsewhere(name: str, tier: Tier, places: Collection[str], locations: Locations) -> bool:
    """Whether another tier has a good copy of a pack in one of `places`, as far as the catalog knows."""
    return any(
        copy.state == "good" and copy.place in places and tier_of(copy.place) != tier for copy in locations.copies(name)
    )


def _in_tier(folder: str, tier: Tier) -> str:
    """Where there is something to compare: warm and cold hold packs only."""
    return f"{folder}packs/" if tier != "hot" and folder not in TOP_FOLDERS else folder


def _earlier(a_ns: int, b_ns: int) -> int:
    return min(a_ns, b_ns) if a_ns and b_ns else a_ns or b_ns


def _alert(key: str, level: str, since_ns: int, subject: str, words: str) -> AlertRow:
    return AlertRow(
        id=key,
        level="critical" if level == "critical" else "warning",
        since_ns=since_ns,
        subject=subject,
        message=words,
    )
